//! Writes changes many at once, and one by one where that is not possible or was refused.
//!
//! A segment is written under a savepoint. If anything in it fails, everything of it is rolled back and its changes
//! are written one by one in their order, as the source made them; only what fails then is an error, and it names the
//! table of the one change that failed.

use super::{
    fold::{Net, Row, UpdateGroup, fold},
    layout::Layout,
    many::{self, Form, Many},
    parameter::Parameter,
    segment::{Segment, TableChanges},
    statement::{Planned, Shape},
    table::TargetTable,
    writer::{StatementWriter, Writer, refused},
};
use crate::{Operation, Side, StreamError, error::On};
use cleave_model::Oid;
use cleave_pg::{During, PgError, Session};
use cleave_proto::pgoutput::{Change, Tuple};
use futures_util::SinkExt;
use std::{collections::HashMap, pin::pin, sync::Arc};
use tokio_postgres::Statement;

/// Fewer changes than this go one by one: a savepoint and its answers cost more than they save.
const SEGMENT_ROWS_MIN: usize = 50;
/// Memory of the changes that are written together.
const SEGMENT_BYTES_MAX: usize = 8 << 20;
/// Fewer rows than this of one kind go one by one.
const SET_ROWS_MIN: usize = 8;
/// So many segments of a table are written one by one after one of them was refused as a whole: where rows often take
/// unique values from each other, trying costs twice.
const CAUTIOUS_SEGMENTS: u32 = 50;

const COPYING: &str = "copying new rows";
const SAVEPOINT: &str = "savepoint cleave_segment";
const RELEASE: &str = "release savepoint cleave_segment";
const ROLL_BACK: &str = "rollback to savepoint cleave_segment; release savepoint cleave_segment";

/// The writer of every stream.
pub(super) struct SetWriter {
    session: Arc<Session>,
    rows: StatementWriter,
    segment: Segment,
    /// Segments still to be written one by one, by the table's OID on the target.
    cautious: HashMap<Oid, u32>,
    copies: HashMap<(u64, Form), Statement>,
}

/// Why a segment was not written.
enum Failure {
    /// Its changes may be possible one by one. The first is the table that was being written.
    Refused(Oid),
    /// They are not, or the session cannot be used any more.
    Final(StreamError),
}

impl From<StreamError> for Failure {
    fn from(error: StreamError) -> Self {
        Self::Final(error)
    }
}

impl SetWriter {
    pub(super) fn new(session: Arc<Session>) -> Self {
        Self {
            rows: StatementWriter::new(Arc::clone(&session)),
            session,
            segment: Segment::default(),
            cautious: HashMap::new(),
            copies: HashMap::new(),
        }
    }

    async fn control(&mut self, sql: &str) -> Result<(), StreamError> {
        self.session.batch_execute(sql).await.during("writing many changes at once").on(Side::Target)
    }

    async fn one_by_one(&mut self, segment: &Segment) -> Result<(), StreamError> {
        for (layout, change) in &segment.changes {
            self.rows.write_one(layout, change).await?;
        }
        Ok(())
    }

    async fn many_at_once(&mut self, segment: &Segment) -> Result<(), StreamError> {
        let Some(tables) = segment.by_table() else { return self.one_by_one(segment).await };
        // What was sent before is not this segment's to roll back.
        self.rows.flush().await?;
        self.control(SAVEPOINT).await?;
        match self.tables(&tables).await {
            Ok(()) => self.control(RELEASE).await,
            Err(Failure::Final(error)) => Err(error),
            Err(Failure::Refused(table)) => {
                self.rows.give_up();
                self.control(ROLL_BACK).await?;
                self.cautious.insert(table, CAUTIOUS_SEGMENTS);
                self.one_by_one(segment).await
            }
        }
    }

    async fn tables(&mut self, tables: &[TableChanges<'_>]) -> Result<(), Failure> {
        let mut inserts = Vec::new();
        for TableChanges { layout, changes } in tables {
            let net = if self.may_fold(layout) { fold(layout, changes).ok() } else { None };
            let Some(net) = net else {
                for change in changes {
                    let written = self.rows.write_one(layout, change).await;
                    written.map_err(|error| refusal(layout, error))?;
                }
                continue;
            };
            let written = self.deletes_and_updates(layout, &net).await;
            written.map_err(|error| refusal(layout, error))?;
            if !net.inserts.is_empty() {
                inserts.push((layout, net.inserts));
            }
        }
        let Some(TableChanges { layout: first, .. }) = tables.first() else { return Ok(()) };
        for (layout, rows) in inserts {
            self.inserts(layout, &rows).await?;
        }
        self.rows.flush().await.map_err(|error| refusal(first, error))
    }

    fn may_fold(&mut self, layout: &Layout) -> bool {
        let oid = layout.table.route.target_oid;
        let Some(left) = self.cautious.get_mut(&oid) else { return layout.set_based };
        *left -= 1;
        if *left == 0 {
            self.cautious.remove(&oid);
        }
        false
    }

    async fn deletes_and_updates(&mut self, layout: &Layout, net: &Net<'_>) -> Result<(), StreamError> {
        let form = many::delete_form(layout, net).filter(|_| net.deletes.len() >= SET_ROWS_MIN);
        if let Some(form) = form {
            let parameters = many::delete_parameters(layout, net, form);
            let shape = Shape::Many(Many::Delete { form });
            self.rows.send_many(layout, shape, parameters, net.deletes.len()).await?;
        } else {
            for find in &net.deletes {
                let parameters = key(layout, find)?;
                let planned = Planned { shape: Shape::Delete, parameters, otherwise: None };
                self.rows.send_planned(layout, planned).await?;
            }
        }
        for group in &net.updates {
            self.updates(layout, group).await?;
        }
        Ok(())
    }

    async fn updates(&mut self, layout: &Layout, group: &UpdateGroup<'_>) -> Result<(), StreamError> {
        let form = many::update_form(layout, group).filter(|_| group.rows.len() >= SET_ROWS_MIN);
        if let Some(form) = form {
            let parameters = many::update_parameters(layout, group, form);
            let shape = Shape::Many(Many::Update { set: group.set.clone(), form });
            return self.rows.send_many(layout, shape, parameters, group.rows.len()).await;
        }
        for (find, row) in &group.rows {
            let mut parameters = values(layout, row, &group.set)?;
            parameters.extend(key(layout, find)?);
            let shape = Shape::Update { set: group.set.clone(), expect: Vec::new() };
            self.rows.send_planned(layout, Planned { shape, parameters, otherwise: None }).await?;
        }
        Ok(())
    }

    async fn inserts(&mut self, layout: &Layout, rows: &[Row<'_>]) -> Result<(), Failure> {
        let form = many::insert_form(layout, rows).filter(|_| rows.len() >= SET_ROWS_MIN);
        if let Some(form) = form {
            return self.copy(layout, rows, form).await;
        }
        let all: Vec<usize> = (0..layout.columns.len()).collect();
        for row in rows {
            let parameters = values(layout, row, &all)?;
            let planned = Planned { shape: Shape::Insert, parameters, otherwise: None };
            let sent = self.rows.send_planned(layout, planned).await;
            sent.map_err(|error| refusal(layout, error))?;
        }
        Ok(())
    }

    /// The driver loses count of the server's answers when a COPY fails before it takes its data: so everything before
    /// it must have succeeded, and a session in which it failed otherwise than by a row is given up.
    async fn copy(&mut self, layout: &Layout, rows: &[Row<'_>], form: Form) -> Result<(), Failure> {
        self.rows.flush().await.map_err(|error| refusal(layout, error))?;
        let table = &layout.table.name;
        let failed = |source| refused(table.clone(), Operation::Insert, source);
        let statement = self.copy_statement(layout, form).await.map_err(failed)?;
        let sink = self.session.copy_in(&statement).await.during(COPYING).map_err(failed)?;
        let mut sink = pin!(sink);
        for piece in many::pieces(layout, rows, form) {
            sink.feed(piece.freeze()).await.during(COPYING).map_err(failed)?;
        }
        match sink.finish().await.during(COPYING) {
            Ok(copied) if copied == rows.len() as u64 => Ok(()),
            Ok(copied) => {
                let (table, operation) = (table.clone(), Operation::Insert);
                Err(StreamError::RowMissing { table, operation, rows: copied }.into())
            }
            Err(error) if is_about_a_row(&error) => Err(Failure::Refused(layout.table.route.target_oid)),
            Err(error) => Err(failed(error).into()),
        }
    }

    async fn copy_statement(&mut self, layout: &Layout, form: Form) -> Result<Statement, PgError> {
        let key = (layout.serial, form);
        if let Some(statement) = self.copies.get(&key) {
            return Ok(statement.clone());
        }
        let sql = many::copy_sql(layout, form);
        let statement = self.session.prepare(&sql).await.during(COPYING)?;
        self.copies.insert(key, statement.clone());
        Ok(statement)
    }
}

/// A statement's error. One that may pass is for the next connection.
fn refusal(layout: &Layout, error: StreamError) -> Failure {
    if error.is_retryable() { Failure::Final(error) } else { Failure::Refused(layout.table.route.target_oid) }
}

/// A value or a constraint, which is seen only when the data is read (SQLSTATE classes 22 and 23).
fn is_about_a_row(error: &PgError) -> bool {
    error.sqlstate().is_some_and(|code| code.starts_with("22") || code.starts_with("23"))
}

impl Writer for SetWriter {
    async fn write(&mut self, layout: &Arc<Layout>, change: Change) -> Result<(), StreamError> {
        self.segment.push(layout, change);
        if self.segment.bytes() < SEGMENT_BYTES_MAX { Ok(()) } else { self.submit().await }
    }

    async fn truncate(
        &mut self,
        tables: &[Arc<TargetTable>],
        restart_identity: bool,
    ) -> Result<(), StreamError> {
        self.submit().await?;
        self.rows.truncate(tables, restart_identity).await
    }

    async fn submit(&mut self) -> Result<(), StreamError> {
        let segment = std::mem::take(&mut self.segment);
        if segment.changes.len() < SEGMENT_ROWS_MIN {
            self.one_by_one(&segment).await
        } else {
            self.many_at_once(&segment).await
        }
    }

    async fn flush(&mut self) -> Result<(), StreamError> {
        self.submit().await?;
        self.rows.flush().await
    }

    fn forget(&mut self) {
        self.rows.forget();
        self.copies.clear();
        self.cautious.clear();
    }
}

fn key(layout: &Layout, find: &Tuple) -> Result<Vec<Parameter>, StreamError> {
    values(layout, &Row::Sent(find), &layout.key)
}

fn values(layout: &Layout, row: &Row<'_>, places: &[usize]) -> Result<Vec<Parameter>, StreamError> {
    places.iter().map(|place| Parameter::new(&layout.table.name, row.cell(layout, *place))).collect()
}
