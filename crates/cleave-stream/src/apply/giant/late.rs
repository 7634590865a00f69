//! Reading a row of the source by itself, later than the range it is in now: a range of one key, with a start of its own.

use super::{
    filter::{Late, RowKey},
    seen::Seen,
};
use crate::{
    FollowSpec, Side, StreamError,
    apply::{
        CatalogTable, look,
        parameter::Parameter,
        shape::{catalog_said, said},
    },
    copy::IS_SAME,
    error::On,
};
use bytes::Bytes;
use cleave_journal::Shape;
use cleave_model::{Lsn, Oid, quote_literal};
use cleave_pg::{During, Session, connect};
use cleave_proto::pgoutput::{Cell, Relation, Tuple, Xid};
use futures_util::TryStreamExt;
use std::{
    collections::HashMap,
    error::Error,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::time::sleep;
use tokio_postgres::{
    Row, SimpleQueryMessage, Statement,
    types::{FromSql, PgLsn, Type},
};

/// A snapshot holds back the source's vacuum: after this time another is taken.
const AGE_MAX: Duration = Duration::from_secs(60);

/// Between two looks at a transaction whose commit was sent and is not visible yet.
const GLANCE: Duration = Duration::from_millis(50);

const WHAT: &str = "reading a row that moved to another range";

/// The end of the log is asked for after the snapshot is taken, so nothing behind it is seen.
const SNAPSHOT: &str =
    "select pg_catalog.pg_current_snapshot()::pg_catalog.text, pg_catalog.pg_current_wal_insert_lsn()";

/// Reads rows in snapshots of which it knows what they see. A slot's snapshot would do, too, but a slot waits for every
/// transaction of the server, and one of those may be our own at the target.
#[derive(Debug)]
pub(crate) struct LateRows {
    spec: Arc<FollowSpec>,
    view: Option<View>,
}

/// A row, and how it was read.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) late: Late,
    /// The snapshot as the server says it.
    pub(crate) text: String,
    /// None if the source has none.
    pub(crate) row: Option<Tuple>,
}

#[derive(Debug)]
struct View {
    session: Session,
    late: Late,
    text: String,
    since: Instant,
    /// With the description that each was made of.
    tables: HashMap<Oid, (Arc<Relation>, Statement)>,
}

impl LateRows {
    pub(crate) fn new(spec: Arc<FollowSpec>) -> Self {
        Self { spec, view: None }
    }

    /// Gives up a snapshot that is too old, or that nobody will need.
    pub(crate) fn rest(&mut self, is_needed: bool) {
        if !is_needed || self.view.as_ref().is_some_and(|view| view.since.elapsed() >= AGE_MAX) {
            self.view = None;
        }
    }

    /// The row that the source has under a key, if there is one, in a snapshot that sees `xid`, which has committed.
    pub(crate) async fn read(
        &mut self,
        (relation, known): (&Arc<Relation>, Option<&Shape>),
        key: &RowKey,
        xid: Xid,
    ) -> Result<Read, StreamError> {
        self.rest(true);
        loop {
            // Taken out: what fails meanwhile leaves none behind.
            let view = match self.view.take() {
                Some(view) => view,
                None => self.open().await?,
            };
            // A commit is sent once it is in the log, and seen once its session has gone on: it may wait for standbys.
            if !view.late.seen.sees(xid) {
                sleep(GLANCE).await;
                continue;
            }
            let mut view = view;
            let Some(statement) = view.prepared(relation, known).await? else { continue };
            let row = match key.cells.first() {
                Some(Cell::Binary(_)) => view.in_binary(relation, &statement, key).await?,
                _ => view.in_text(relation, key).await?,
            };
            let read = Read { late: view.late.clone(), text: view.text.clone(), row };
            self.view = Some(view);
            return Ok(read);
        }
    }

    async fn open(&self) -> Result<View, StreamError> {
        let purpose = format!("rows of {}", self.spec.service);
        let session = connect(&self.spec.source, &purpose).await.on(Side::Source)?;
        // Where policies would hide a row this must fail, not say that there is none.
        let sql = "set row_security = off; begin isolation level repeatable read read only";
        session.batch_execute(sql).await.during(WHAT).on(Side::Source)?;
        let row = session.query_one(SNAPSHOT, &[]).await;
        let read = |row: &Row| Ok((row.try_get::<_, String>(0)?, row.try_get::<_, PgLsn>(1)?));
        let (text, end) = row.and_then(|row| read(&row)).during(WHAT).on(Side::Source)?;
        let seen = Seen::parse(&text)
            .ok_or_else(|| StreamError::Protocol { problem: "a snapshot cannot be read".to_owned() })?;
        let late = Late { start: Lsn(end.into()), seen: Arc::new(seen) };
        Ok(View { session, late, text, since: Instant::now(), tables: HashMap::new() })
    }
}

impl View {
    async fn in_binary(
        &self,
        relation: &Relation,
        statement: &Statement,
        key: &RowKey,
    ) -> Result<Option<Tuple>, StreamError> {
        let parameters: Vec<Parameter> =
            key.cells.iter().map(|cell| Parameter::new(&relation.name, cell)).collect::<Result<_, _>>()?;
        let rows = self.session.query_raw(statement, parameters).await;
        let mut rows = pin!(rows.during(WHAT).on(Side::Source)?);
        let Some(row) = rows.try_next().await.during(WHAT).on(Side::Source)? else { return Ok(None) };
        let mut cells = Vec::with_capacity(relation.columns.len());
        for place in 0..relation.columns.len() {
            let raw: Option<Raw> = row.try_get(place).during(WHAT).on(Side::Source)?;
            cells.push(raw.map_or(Cell::Null, |Raw(bytes)| Cell::Binary(bytes)));
        }
        Ok(Some(Tuple { cells }))
    }

    /// The statement that reads a row, and from the first on a lock that keeps the table as it is; none if the table is
    /// not what it was when the snapshot was taken.
    async fn prepared(
        &mut self,
        relation: &Arc<Relation>,
        known: Option<&Shape>,
    ) -> Result<Option<Statement>, StreamError> {
        if let Some((described, statement)) = self.tables.get(&relation.oid)
            && Arc::ptr_eq(described, relation)
        {
            return Ok(Some(statement.clone()));
        }
        let lock = format!("lock table only {} in access share mode", relation.name.quoted());
        self.session.batch_execute(&lock).await.during(WHAT).on(Side::Source)?;
        let same = self.session.query_opt(IS_SAME, &[&relation.oid.0]).await;
        let same =
            same.and_then(|row| row.map(|row| row.try_get(0)).transpose()).during(WHAT).on(Side::Source)?;
        if same != Some(true) {
            return Ok(None);
        }
        let now = look(&*self.session, &[relation.oid]).await?;
        let is_as = |now: &CatalogTable| match known {
            Some(known) => now.has_columns_of(known),
            None => catalog_said(now) == said(relation),
        };
        if !now.tables.first().is_some_and(is_as) {
            // What such a row had in columns that the stream has not come to is not in the stream.
            return Err(StreamError::GiantChanged {
                table: relation.name.clone(),
                problem: "its columns were changed before the stream has passed its copy".to_owned(),
            });
        }
        let places = (1..).map(|number: usize| format!("${number}"));
        let statement =
            self.session.prepare(&select(relation, places)).await.during(WHAT).on(Side::Source)?;
        self.tables.insert(relation.oid, (Arc::clone(relation), statement.clone()));
        Ok(Some(statement))
    }

    async fn in_text(&self, relation: &Relation, key: &RowKey) -> Result<Option<Tuple>, StreamError> {
        let literals = key.cells.iter().map(|cell| match cell {
            Cell::Text(bytes) => quote_literal(&String::from_utf8_lossy(bytes)),
            _ => "null".to_owned(),
        });
        let messages = self.session.simple_query(&select(relation, literals)).await;
        let messages = messages.during(WHAT).on(Side::Source)?;
        let row = messages.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        let Some(row) = row else { return Ok(None) };
        let mut cells = Vec::with_capacity(relation.columns.len());
        for place in 0..relation.columns.len() {
            let text = row.try_get(place).during(WHAT).on(Side::Source)?;
            cells.push(text.map_or(Cell::Null, |text| Cell::Text(Bytes::copy_from_slice(text.as_bytes()))));
        }
        Ok(Some(Tuple { cells }))
    }
}

/// The relation's columns of the row of a key.
fn select(relation: &Relation, values: impl Iterator<Item = String>) -> String {
    let columns: Vec<String> = relation.columns.iter().map(|column| column.name.quoted()).collect();
    let key = relation.columns.iter().filter(|column| column.key);
    let is: Vec<String> =
        key.zip(values).map(|(column, value)| format!("{} = {value}", column.name.quoted())).collect();
    format!("select {} from only {} where {}", columns.join(", "), relation.name.quoted(), is.join(" and "))
}

/// A value's bytes as they came.
struct Raw(Bytes);

impl<'a> FromSql<'a> for Raw {
    fn from_sql(_ty: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(Bytes::copy_from_slice(raw)))
    }

    fn accepts(_ty: &Type) -> bool {
        true
    }
}
