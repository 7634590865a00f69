//! Writes changes many at once, and one by one where that is not possible or was refused.
//!
//! A segment is written under a savepoint. If anything in it fails, everything of it is rolled back and its changes
//! are written one by one in their order, as the source made them; only what fails then is an error, and it names the
//! table of the one change that failed. While the target works on one segment, the next is gathered and made ready.

use super::{
    layout::Layout,
    many::{self, Form},
    segment::Segment,
    steps::{Step, steps},
    table::TargetTable,
    writer::{StatementWriter, Writer, refused},
};
use crate::{Operation, Side, StreamError, error::On};
use bytes::Bytes;
use cleave_model::Oid;
use cleave_pg::{During, PgError, Session};
use cleave_proto::pgoutput::{Change, Relation};
use futures_util::SinkExt;
use std::{collections::HashMap, pin::pin, sync::Arc};
use tokio::task::JoinSet;
use tokio_postgres::Statement;

/// Fewer changes than this go one by one: a savepoint and its answers cost more than they save.
const SEGMENT_ROWS_MIN: usize = 50;
/// Memory of the changes that are written together.
const SEGMENT_BYTES_MAX: usize = 8 << 20;
/// So many segments of a table are written one by one after one of them was refused as a whole: where rows often take
/// unique values from each other, trying costs twice.
const CAUTIOUS_SEGMENTS: u32 = 50;

const COPYING: &str = "copying new rows";
const SAVEPOINT: &str = "savepoint cleave_segment";
const RELEASE: &str = "release savepoint cleave_segment";
const ROLL_BACK: &str = "rollback to savepoint cleave_segment; release savepoint cleave_segment";

/// The writer of every stream.
pub(super) struct SetWriter {
    segment: Segment,
    /// Segments still to be written one by one, by the table's OID on the target.
    cautious: HashMap<Oid, u32>,
    /// Not here while a segment is being written.
    sender: Option<Sender>,
    /// The segment that is being written, and perhaps the end of its transaction. Dropped with the writer, it ends in the
    /// middle, and the session with it.
    writing: JoinSet<(Sender, Result<Outcome, StreamError>)>,
}

/// Who sends.
struct Sender {
    session: Arc<Session>,
    rows: StatementWriter,
    copies: HashMap<(u64, Form), Statement>,
}

/// How a segment was written.
enum Outcome {
    AtOnce,
    /// One by one, as a statement on this table was refused.
    OneByOne(Oid),
}

/// Why a segment was not written at once.
enum Failure {
    /// Its changes may be possible one by one. The table that was being written.
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
        let rows = StatementWriter::new(Arc::clone(&session));
        Self {
            segment: Segment::default(),
            cautious: HashMap::new(),
            sender: Some(Sender { session, rows, copies: HashMap::new() }),
            writing: JoinSet::new(),
        }
    }

    /// What to send for a segment that was gathered; none if its changes go one by one.
    fn steps(&mut self, segment: &Segment) -> Option<Vec<Step>> {
        let many = segment.changes.len() >= SEGMENT_ROWS_MIN;
        many.then(|| steps(segment, |table| may_fold(&mut self.cautious, table)))
    }

    /// The sender, once nothing is being written.
    async fn idle_sender(&mut self) -> Result<&mut Sender, StreamError> {
        if let Some(written) = self.writing.join_next().await {
            let (sender, written) = written.map_err(|error| StreamError::Task(error.to_string()))?;
            self.sender = Some(sender);
            if let Outcome::OneByOne(table) = written? {
                self.cautious.insert(table, CAUTIOUS_SEGMENTS);
            }
        }
        self.sender.as_mut().ok_or_else(gone)
    }
}

fn gone() -> StreamError {
    StreamError::Task("the target's session is in use after an error".into())
}

fn may_fold(cautious: &mut HashMap<Oid, u32>, table: Oid) -> bool {
    let Some(left) = cautious.get_mut(&table) else { return true };
    *left -= 1;
    if *left == 0 {
        cautious.remove(&table);
    }
    false
}

impl Writer for SetWriter {
    fn gather(&mut self, layout: &Arc<Layout>, change: Change) {
        self.segment.push(layout, change);
    }

    fn is_full(&self) -> bool {
        self.segment.bytes() >= SEGMENT_BYTES_MAX
    }

    async fn start(&mut self) -> Result<(), StreamError> {
        let segment = std::mem::take(&mut self.segment);
        if segment.changes.is_empty() {
            return Ok(());
        }
        let Some(steps) = self.steps(&segment) else {
            return self.idle_sender().await?.one_by_one(&segment).await;
        };
        self.idle_sender().await?;
        let Some(mut sender) = self.sender.take() else { return Err(gone()) };
        self.writing.spawn(async move {
            let written = sender.at_once(&segment, steps).await;
            (sender, written)
        });
        Ok(())
    }

    async fn start_and<F>(&mut self, last: F) -> Result<(), StreamError>
    where
        F: Future<Output = Result<(), StreamError>> + Send + 'static,
    {
        let segment = std::mem::take(&mut self.segment);
        let steps = self.steps(&segment);
        self.idle_sender().await?;
        let Some(mut sender) = self.sender.take() else { return Err(gone()) };
        self.writing.spawn(async move {
            let written = sender.all(&segment, steps, last).await;
            (sender, written)
        });
        Ok(())
    }

    async fn truncate(
        &mut self,
        tables: &[Arc<TargetTable>],
        restart_identity: bool,
    ) -> Result<(), StreamError> {
        self.start().await?;
        self.idle_sender().await?.rows.truncate(tables, restart_identity).await
    }

    async fn submit(&mut self) -> Result<(), StreamError> {
        self.start().await?;
        self.started().await
    }

    async fn started(&mut self) -> Result<(), StreamError> {
        self.idle_sender().await.map(drop)
    }

    async fn flush(&mut self) -> Result<(), StreamError> {
        self.start().await?;
        self.idle_sender().await?.rows.flush().await
    }

    fn lay_anew(
        &mut self,
        mut layout: impl FnMut(&Arc<Relation>) -> Result<Arc<Layout>, StreamError>,
    ) -> Result<(), StreamError> {
        for (old, _) in &mut self.segment.changes {
            *old = layout(&old.relation)?;
        }
        Ok(())
    }

    fn forget(&mut self) {
        self.cautious.clear();
        if let Some(sender) = &mut self.sender {
            sender.rows.forget();
            sender.copies.clear();
        }
    }
}

impl Sender {
    async fn control(&mut self, sql: &str) -> Result<(), StreamError> {
        self.session.batch_execute(sql).await.during("writing many changes at once").on(Side::Target)
    }

    async fn one_by_one(&mut self, segment: &Segment) -> Result<(), StreamError> {
        for (layout, change) in &segment.changes {
            self.rows.write_one(layout, change).await?;
        }
        Ok(())
    }

    /// A segment, and then what ends its transaction.
    async fn all(
        &mut self,
        segment: &Segment,
        steps: Option<Vec<Step>>,
        last: impl Future<Output = Result<(), StreamError>>,
    ) -> Result<Outcome, StreamError> {
        let outcome = match steps {
            Some(steps) => self.at_once(segment, steps).await?,
            None => self.one_by_one(segment).await.map(|()| Outcome::AtOnce)?,
        };
        self.rows.flush().await?;
        last.await.map(|()| outcome)
    }

    async fn at_once(&mut self, segment: &Segment, steps: Vec<Step>) -> Result<Outcome, StreamError> {
        // What was sent before is not this segment's to roll back.
        self.rows.flush().await?;
        self.control(SAVEPOINT).await?;
        match self.take(segment, steps).await {
            Ok(()) => self.control(RELEASE).await.map(|()| Outcome::AtOnce),
            Err(Failure::Final(error)) => Err(error),
            Err(Failure::Refused(table)) => {
                self.rows.give_up();
                self.control(ROLL_BACK).await?;
                self.one_by_one(segment).await?;
                Ok(Outcome::OneByOne(table))
            }
        }
    }

    async fn take(&mut self, segment: &Segment, steps: Vec<Step>) -> Result<(), Failure> {
        let mut table = Oid::default();
        for step in steps {
            if let Some(layout) = step.table(segment) {
                table = layout.table.route.target_oid;
            }
            let sent = match step {
                Step::Copy { layout, form, data, rows } => {
                    self.copy(&layout, form, data, rows as u64).await?;
                    continue;
                }
                Step::Change(place) => match segment.changes.get(place) {
                    Some((layout, change)) => self.rows.write_one(layout, change).await,
                    None => Ok(()),
                },
                Step::Statement { layout, shape, parameters, rows } => {
                    self.rows.send_rows(&layout, shape, parameters, rows as u64).await
                }
            };
            sent.map_err(|error| refusal(table, error))?;
        }
        self.rows.flush().await.map_err(|error| refusal(table, error))
    }

    /// The driver loses count of the server's answers when a COPY fails before it takes its data: so everything before
    /// it must have succeeded, and a session in which it failed otherwise than by a row is given up.
    async fn copy(
        &mut self,
        layout: &Layout,
        form: Form,
        data: Vec<Bytes>,
        rows: u64,
    ) -> Result<(), Failure> {
        let oid = layout.table.route.target_oid;
        self.rows.flush().await.map_err(|error| refusal(oid, error))?;
        let table = &layout.table.name;
        let failed = |source| refused(table.clone(), Operation::Insert, source);
        let statement = self.copy_statement(layout, form).await.map_err(failed)?;
        let sink = self.session.copy_in(&statement).await.during(COPYING).map_err(failed)?;
        let mut sink = pin!(sink);
        for piece in data {
            sink.feed(piece).await.during(COPYING).map_err(failed)?;
        }
        match sink.finish().await.during(COPYING) {
            Ok(copied) if copied == rows => Ok(()),
            Ok(copied) => {
                let (table, operation) = (table.clone(), Operation::Insert);
                Err(StreamError::RowMissing { table, operation, rows: copied, row: None }.into())
            }
            Err(error) if is_about_a_row(&error) => Err(Failure::Refused(oid)),
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
fn refusal(table: Oid, error: StreamError) -> Failure {
    if error.is_retryable() { Failure::Final(error) } else { Failure::Refused(table) }
}

/// A value or a constraint, which is seen only when the data is read (SQLSTATE classes 22 and 23).
fn is_about_a_row(error: &PgError) -> bool {
    error.sqlstate().is_some_and(|code| code.starts_with("22") || code.starts_with("23"))
}
