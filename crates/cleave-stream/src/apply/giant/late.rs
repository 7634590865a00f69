//! Reading a row of the source by itself, later than the range it is in now: a range of one key, with a start position of
//! its own.

use super::filter::RowKey;
use crate::{
    FollowSpec, Side, StreamError, apply::parameter::Parameter, create_slot_with_snapshot, error::On,
};
use bytes::Bytes;
use cleave_model::{Lsn, Oid, quote_ident, quote_literal};
use cleave_pg::{During, Session, connect, replication::SlotLifetime};
use cleave_proto::pgoutput::{Cell, Relation, Tuple};
use futures_util::TryStreamExt;
use std::{
    collections::HashMap,
    error::Error,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio_postgres::{
    SimpleQueryMessage, Statement,
    types::{FromSql, Type},
};

/// A snapshot holds back the source's vacuum: after this time another is taken.
const AGE_MAX: Duration = Duration::from_secs(60);

/// A slot waits for running transactions at most this long.
const SLOT_LIMIT: Duration = Duration::from_secs(600);

const WHAT: &str = "reading a row that moved to another range";

/// Reads rows in snapshots whose consistent points it knows.
#[derive(Debug)]
pub(crate) struct LateRows {
    spec: Arc<FollowSpec>,
    view: Option<View>,
    taken: u32,
}

#[derive(Debug)]
struct View {
    session: Session,
    start: Lsn,
    since: Instant,
    /// With the description that each was made of.
    statements: HashMap<Oid, (Arc<Relation>, Statement)>,
}

impl LateRows {
    pub(crate) fn new(spec: Arc<FollowSpec>) -> Self {
        Self { spec, view: None, taken: 0 }
    }

    /// Gives up a snapshot that is too old, or that nobody will need.
    pub(crate) fn rest(&mut self, is_needed: bool) {
        if !is_needed || self.view.as_ref().is_some_and(|view| view.since.elapsed() >= AGE_MAX) {
            self.view = None;
        }
    }

    /// The row that the source has under a key, if there is one, and from which position on its changes are not in it.
    pub(crate) async fn read(
        &mut self,
        relation: &Arc<Relation>,
        key: &RowKey,
        commit: Lsn,
    ) -> Result<(Lsn, Option<Tuple>), StreamError> {
        self.rest(true);
        if self.view.as_ref().is_none_or(|view| view.start <= commit) {
            self.view = None;
            self.view = Some(self.take().await?);
        }
        let Some(view) = &mut self.view else {
            return Err(StreamError::Task("a snapshot was taken and is not there".into()));
        };
        let row = match key.cells.first() {
            Some(Cell::Binary(_)) => view.in_binary(relation, key).await,
            _ => view.in_text(relation, key).await,
        };
        let start = view.start;
        if row.is_err() {
            self.view = None;
        }
        Ok((start, row?))
    }

    async fn take(&mut self) -> Result<View, StreamError> {
        self.taken += 1;
        // Another process's slot of the same stream may not be gone yet.
        let name = format!("{}_row{}_{}", self.spec.slot, std::process::id(), self.taken);
        let slot =
            create_slot_with_snapshot(&self.spec.source, &name, SlotLifetime::Temporary, SLOT_LIMIT).await?;
        let purpose = format!("rows of {}", self.spec.service);
        let session = connect(&self.spec.source, &purpose).await.on(Side::Source)?;
        let sql = format!(
            "set row_security = off;
             begin isolation level repeatable read read only;
             set transaction snapshot {}",
            quote_literal(&slot.snapshot)
        );
        session.batch_execute(&sql).await.during("taking the snapshot").on(Side::Source)?;
        cleave_failpoint::hit_async("apply.row.read").await;
        Ok(View {
            session,
            start: slot.consistent_point(),
            since: Instant::now(),
            statements: HashMap::new(),
        })
    }
}

impl View {
    async fn in_binary(
        &mut self,
        relation: &Arc<Relation>,
        key: &RowKey,
    ) -> Result<Option<Tuple>, StreamError> {
        let statement = self.prepared(relation).await?;
        let parameters: Vec<Parameter> =
            key.cells.iter().map(|cell| Parameter::new(&relation.name, cell)).collect::<Result<_, _>>()?;
        let rows = self.session.query_raw(&statement, parameters).await;
        let mut rows = pin!(rows.during(WHAT).on(Side::Source)?);
        let Some(row) = rows.try_next().await.during(WHAT).on(Side::Source)? else { return Ok(None) };
        let mut cells = Vec::with_capacity(relation.columns.len());
        for place in 0..relation.columns.len() {
            let raw: Option<Raw> = row.try_get(place).during(WHAT).on(Side::Source)?;
            cells.push(raw.map_or(Cell::Null, |Raw(bytes)| Cell::Binary(bytes)));
        }
        Ok(Some(Tuple { cells }))
    }

    async fn prepared(&mut self, relation: &Arc<Relation>) -> Result<Statement, StreamError> {
        if let Some((described, statement)) = self.statements.get(&relation.oid)
            && Arc::ptr_eq(described, relation)
        {
            return Ok(statement.clone());
        }
        let places = (1..).map(|number: usize| format!("${number}"));
        let sql = select(relation, places);
        let statement = self.session.prepare(&sql).await.during(WHAT).on(Side::Source)?;
        self.statements.insert(relation.oid, (Arc::clone(relation), statement.clone()));
        Ok(statement)
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
    let is: Vec<String> = key
        .zip(values)
        .map(|(column, value)| format!("{} = {value}", quote_ident(column.name.as_str())))
        .collect();
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
