//! Making a change of the source's columns on the target, in the transaction that applies what comes after it.

use super::{
    applier::Applier,
    look::look_locked,
    shape::{self, Alteration, CatalogTable, Change},
    writer::Writer,
};
use crate::{Route, Side, StreamError, error::On};
use cleave_journal::{Shape, follow_shape};
use cleave_model::{Ident, Oid, QualifiedName};
use cleave_pg::{During, PgError, connect};
use cleave_proto::pgoutput::Relation;
use std::sync::Arc;
use tokio_postgres::Client;

/// Who reads a table at the target is waited for so long; then the stream begins again at its position.
const LOCK_LIMIT_MS: u32 = 2000;

/// The routes as they are with these columns.
pub(crate) fn reshaped(routes: &[Route], shapes: &[Shape]) -> Vec<Route> {
    let shape = |route: &Route| shapes.iter().find(|shape| shape.source_oid == route.source_oid);
    routes
        .iter()
        .map(|route| shape(route).map_or_else(|| route.clone(), |shape| route.reshaped(shape)))
        .collect()
}

/// The table that statements name, the topmost if it is a partition, and its columns' types.
const TARGET: &str = "
    select n.nspname::pg_catalog.text, r.relname::pg_catalog.text, r.oid <> c.oid,
           array(select a.attname::pg_catalog.text from pg_catalog.pg_attribute a
                 where a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped order by a.attnum),
           array(select pg_catalog.format_type(a.atttypid, a.atttypmod) from pg_catalog.pg_attribute a
                 where a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped order by a.attnum)
    from pg_catalog.pg_class c
    join pg_catalog.pg_class r on r.oid = coalesce(pg_catalog.pg_partition_root(c.oid), c.oid)
    join pg_catalog.pg_namespace n on n.oid = r.relnamespace
    where c.oid = $1";

/// A table of the target as an alteration meets it.
struct Target {
    name: QualifiedName,
    /// Its root was altered with another partition's change, perhaps.
    is_partition: bool,
    columns: Vec<(String, String)>,
}

impl Target {
    async fn read(client: &Client, table: Oid) -> Result<Self, StreamError> {
        let row = client
            .query_one(TARGET, &[&table.0])
            .await
            .during("looking at the table to change")
            .on(Side::Target)?;
        let (names, types): (Vec<String>, Vec<String>) = (row.get(3), row.get(4));
        Ok(Self {
            name: QualifiedName::new(row.get::<_, &str>(0), row.get::<_, &str>(1)),
            is_partition: row.get(2),
            columns: names.into_iter().zip(types).collect(),
        })
    }

    /// True if it is as the alteration would make it.
    fn is_so(&self, alteration: &Alteration, type_sql: &str) -> bool {
        let type_of = |name: &str| {
            self.columns.iter().find(|(own, _)| own == name).map(|(_, type_sql)| type_sql.as_str())
        };
        self.is_partition
            && match alteration {
                Alteration::Add { name, .. } | Alteration::Retype { name, .. } => {
                    type_of(name) == Some(type_sql)
                }
                Alteration::Drop { name } => type_of(name).is_none(),
                Alteration::Rename { from, to } => type_of(from).is_none() && type_of(to).is_some(),
            }
    }
}

impl<W: Writer> Applier<W> {
    /// The columns that a change comes with are not those that are known: makes them so on the target, behind everything
    /// that came before it.
    pub(super) async fn meet(&mut self, relation: &Arc<Relation>) -> Result<(), StreamError> {
        let Some(known) = self.router.outdated(relation).cloned() else { return Ok(()) };
        let said = shape::said(relation);
        let changed = |difference| StreamError::TableChanged { table: relation.name.clone(), difference };
        if !self.spec.follows_columns {
            return Err(changed(shape::difference(&known, &said)));
        }
        if self.router.is_binary() {
            return Err(StreamError::ColumnsChanged { table: relation.name.clone(), followed: false });
        }
        self.writer.submit().await?;
        self.writer.flush().await?;
        let source = connect(&self.spec.source, "look at columns").await.on(Side::Source)?;
        let now = look_locked(&source, &[relation.oid]).await?;
        let Some(now) = now.tables.first() else { return Err(changed("it is gone".to_owned())) };
        let change = shape::explain(&known, &said, now).map_err(changed)?;
        self.alter(&relation.name, change).await
    }

    /// The stream has passed a look at the source's catalog: what has become of tables of which no row has come since.
    pub(super) async fn meet_look(&mut self) -> Result<(), StreamError> {
        let passed = |look: &Option<Arc<super::Look>>| look.clone().filter(|look| look.lsn <= self.position);
        let looked = self.looks.borrow().clone();
        let Some(look) = passed(&looked).filter(|look| self.looked_at < look.lsn) else { return Ok(()) };
        self.looked_at = look.lsn;
        for now in &look.tables {
            let Some(known) = self.router.differs(now).cloned() else { continue };
            // Rows have told more by now.
            if now.last_number < known.last_number {
                continue;
            }
            let said = shape::catalog_said(now);
            if shape::is_known(&known, &said) {
                self.meet_like(&known, now).await?;
            } else if self.spec.follows_columns && self.armed_now().await? {
                let table = self.router.name(now.oid)?;
                let changed = |difference| StreamError::TableChanged { table: table.clone(), difference };
                let change = shape::explain(&known, &said, now).map_err(changed)?;
                self.alter(&table, change).await?;
                self.end_alone().await?;
                return self.altered_now();
            }
        }
        Ok(())
    }

    /// True if the batch passes a look at the source's catalog, which is met once it is committed.
    pub(super) fn look_waits(&self) -> bool {
        let end = self.batch.end.unwrap_or_default();
        self.looks.borrow().as_ref().is_some_and(|look| self.looked_at < look.lsn && look.lsn <= end)
    }

    /// Columns of the same names and types: are they the same ones?
    async fn meet_like(&mut self, known: &Shape, now: &CatalogTable) -> Result<(), StreamError> {
        let as_now = now.shape();
        let other = known.columns.iter().zip(&as_now.columns).find(|(known, now)| known.number != now.number);
        let other = other.map(|(column, _)| {
            format!("column {} was dropped and added again", Ident::new(column.name.as_str()))
        });
        if let Some(difference) = other.or_else(|| shape::generated(known, now)) {
            // Names of the target's tables are known once a transaction was open.
            self.armed_now().await?;
            return Err(StreamError::TableChanged { table: self.router.name(now.oid)?, difference });
        }
        // Its rows were written anew, or a column came and went: a later change is measured against this.
        self.router.take_shape(as_now);
        self.unrecorded.push(now.oid);
        Ok(())
    }

    /// Makes a change on the target and records it, in the open transaction.
    async fn alter(&mut self, table: &QualifiedName, change: Change) -> Result<(), StreamError> {
        let session = Arc::clone(&self.session);
        let client: &Client = &session;
        let target = Target::read(client, self.router.target_of(change.shape.source_oid)?).await?;
        let what = "changing a table's columns";
        let limit = |ms: u32| format!("set local lock_timeout = {ms}");
        client.batch_execute(&limit(LOCK_LIMIT_MS)).await.during(what).on(Side::Target)?;
        let mut done = Vec::new();
        for alteration in &change.alterations {
            let type_sql = match alteration.type_of() {
                Some((type_oid, modifier)) => {
                    let row = client
                        .query_one("select pg_catalog.format_type($1, $2)", &[&type_oid, &modifier])
                        .await;
                    row.and_then(|row| row.try_get(0)).during(what).on(Side::Target)?
                }
                None => String::new(),
            };
            if target.is_so(alteration, &type_sql) {
                continue;
            }
            for statement in alteration.sql(&target.name.quoted(), &type_sql) {
                let altered: Result<(), PgError> = client.batch_execute(&statement).await.during(what);
                altered.map_err(|source| StreamError::AlterRefused {
                    table: table.clone(),
                    statement: statement.clone(),
                    source: Box::new(source),
                })?;
                done.push(statement);
            }
        }
        client.batch_execute(&limit(0)).await.during(what).on(Side::Target)?;
        cleave_failpoint::hit_async("columns.altered").await;
        follow_shape(client, &self.spec.whole_stream(), &change.shape, &done).await?;
        self.router.take_shape(change.shape);
        self.writer.forget();
        self.router.reload(client).await?;
        self.altered = Some(table.clone());
        Ok(())
    }

    /// Stores what looks have told, in the open transaction.
    pub(super) async fn record_looks(&mut self) -> Result<(), StreamError> {
        let session = Arc::clone(&self.session);
        for oid in std::mem::take(&mut self.unrecorded) {
            if let Some(shape) = self.router.shape(oid) {
                follow_shape(&**session, &self.spec.whole_stream(), shape, &[]).await?;
            }
        }
        Ok(())
    }

    /// After a commit that has changed columns: the stream begins again, to ask for values in the forms of the new ones.
    pub(super) fn altered_now(&mut self) -> Result<(), StreamError> {
        let Some(table) = self.altered.take() else { return Ok(()) };
        self.reporter.change(|status| status.counters.reshaped += 1);
        Err(StreamError::ColumnsChanged { table, followed: true })
    }
}
