//! A session on one side, for reading only.

use crate::{Side, VerifyError};
use cleave_model::QualifiedName;
use cleave_pg::{During, Endpoint, PgError, Session, connect};
use futures_util::{Stream, TryStreamExt};
use std::{collections::BTreeSet, time::Duration};
use tokio_postgres::{Row, RowStream, types::ToSql};

/// Read-only, one snapshot per statement. A row policy must fail rather than hide rows. The grouping by bucket is
/// small (at most 16,384 groups), which the planner cannot know: it would sort whole rows instead of hashing.
/// How many processes a server gives to this is for `jobs` to say, and no table gets more than one.
const SETTINGS: &str = "set default_transaction_read_only = on; \
    set default_transaction_isolation = 'read committed'; \
    set row_security = off; \
    set jit = off; \
    set max_parallel_workers_per_gather = 0; \
    set work_mem = '64MB'; \
    set enable_sort = off";

/// A session that knows which side it is on.
pub(crate) struct Connection {
    pub(crate) side: Side,
    session: Session,
}

/// A parameter of a statement.
pub(crate) type Parameter<'a> = &'a (dyn ToSql + Sync);

impl Connection {
    /// No statement, and so no snapshot, and no transaction that waits for its next one lasts longer than `snapshot`: the
    /// server ends it, whatever becomes of this process.
    pub(crate) async fn open(
        side: Side,
        endpoint: &Endpoint,
        snapshot: Duration,
    ) -> Result<Self, VerifyError> {
        let failed = |source| VerifyError::Connection { side, source: Box::new(source) };
        let session = connect(endpoint, "verify").await.map_err(failed)?;
        let ms = snapshot.as_millis().max(1);
        let limits = format!(
            "set statement_timeout = {ms}; set idle_in_transaction_session_timeout = {ms}; {SETTINGS}"
        );
        session.batch_execute(&limits).await.during("preparing a session for reading").map_err(failed)?;
        Ok(Self { side, session })
    }

    pub(crate) fn session(&self) -> &Session {
        &self.session
    }

    /// Runs a statement and gives its rows one after another, so that memory does not depend on their number.
    pub(crate) async fn stream<'s>(
        &'s self,
        table: &'s QualifiedName,
        sql: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<impl Stream<Item = Result<Row, VerifyError>> + use<'s>, VerifyError> {
        let what = "reading rows";
        let side = self.side;
        let rows: Result<RowStream, PgError> =
            self.session.query_raw(sql, parameters.iter().copied()).await.during(what);
        let rows = rows.map_err(|source| VerifyError::of_table(side, table, source))?;
        Ok(rows.map_err(move |error| VerifyError::of_table(side, table, PgError::from_driver(what, &error))))
    }

    /// Runs a statement whose answer is small.
    pub(crate) async fn rows(
        &self,
        table: &QualifiedName,
        sql: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<Row>, VerifyError> {
        let rows = self.session.query(sql, parameters).await.during("reading rows");
        rows.map_err(|source| VerifyError::of_table(self.side, table, source))
    }

    /// Runs a statement that gives one column of text.
    pub(crate) async fn texts(
        &self,
        table: &QualifiedName,
        sql: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<BTreeSet<String>, VerifyError> {
        let rows = self.rows(table, sql, parameters).await?;
        rows.iter().map(|row| self.value(table, row, 0)).collect()
    }

    /// Runs a statement that has no answer.
    pub(crate) async fn run(&self, table: &QualifiedName, sql: &str) -> Result<(), VerifyError> {
        let done = self.session.batch_execute(sql).await.during("reading rows");
        done.map_err(|source| VerifyError::of_table(self.side, table, source))
    }

    /// Takes a value out of a row.
    pub(crate) fn value<'r, T: tokio_postgres::types::FromSql<'r>>(
        &self,
        table: &QualifiedName,
        row: &'r Row,
        index: usize,
    ) -> Result<T, VerifyError> {
        row.try_get(index)
            .during("reading rows")
            .map_err(|source| VerifyError::of_table(self.side, table, source))
    }

    /// An answer that our own statement cannot give.
    pub(crate) fn unexpected(&self, table: &QualifiedName, reason: &str) -> VerifyError {
        let source = PgError::Protocol { what: "reading rows".into(), reason: reason.into() };
        VerifyError::of_table(self.side, table, source)
    }
}
