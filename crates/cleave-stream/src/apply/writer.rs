//! Turning routed changes into work on the target: the seam behind which another way of writing can stand.

use super::{
    blame::{Blame, blamed},
    layout::Layout,
    many::Many,
    parameter::Parameter,
    statement::{Planned, Shape, plan, sql},
    table::TargetTable,
};
use crate::{Operation, StreamError};
use cleave_model::QualifiedName;
use cleave_pg::{During, PgError, Session};
use cleave_proto::pgoutput::{Change, Relation};
use std::{
    collections::{HashMap, VecDeque},
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::Poll,
};
use tokio_postgres::Statement;

/// Writes changes into the target transaction that the applier has opened, as if in their order. An error may come
/// late: a change is written only once [`Writer::flush`] or [`Writer::started`] has said so.
pub(super) trait Writer: Send {
    /// Takes one row. Nothing is sent yet.
    fn gather(&mut self, layout: &Arc<Layout>, change: Change);

    /// True if enough was gathered to be written.
    fn is_full(&self) -> bool;

    /// Starts to write what was gathered, once what was started before is done.
    fn start(&mut self) -> impl Future<Output = Result<(), StreamError>> + Send;

    /// Starts to write what was gathered and then to do what ends the transaction. What is gathered from here on is of
    /// the next, and may be started only once [`Writer::started`] has said that all of this is done.
    fn start_and<F>(&mut self, last: F) -> impl Future<Output = Result<(), StreamError>> + Send
    where
        F: Future<Output = Result<(), StreamError>> + Send + 'static;

    /// What was started is done. Dropping the future changes nothing.
    fn started(&mut self) -> impl Future<Output = Result<(), StreamError>> + Send;

    /// Empties tables with one statement.
    fn truncate(
        &mut self,
        tables: &[Arc<TargetTable>],
        restart_identity: bool,
    ) -> impl Future<Output = Result<(), StreamError>> + Send;

    /// Everything given so far has been sent: what the session sends from here on comes after it.
    fn submit(&mut self) -> impl Future<Output = Result<(), StreamError>> + Send;

    /// Everything given so far is written.
    fn flush(&mut self) -> impl Future<Output = Result<(), StreamError>> + Send;

    /// Tables may have other names from here on. What was gathered is still as it was.
    fn forget(&mut self);

    /// Lays what was gathered over the tables as they are now.
    fn lay_anew(
        &mut self,
        layout: impl FnMut(&Arc<Relation>) -> Result<Arc<Layout>, StreamError>,
    ) -> Result<(), StreamError>;
}

/// Statements sent but not answered: more of them would only fill buffers.
const IN_FLIGHT_MAX: usize = 256;
/// Bytes of their parameters.
const IN_FLIGHT_BYTES_MAX: usize = 1 << 20;
/// Prepared statements kept; past it all are prepared anew.
const STATEMENTS_MAX: usize = 1000;

/// Writes one statement per row, prepared once per table and shape, without waiting for each answer.
pub(super) struct StatementWriter {
    session: Arc<Session>,
    statements: HashMap<(u64, Shape), Statement>,
    in_flight: VecDeque<InFlight>,
    in_flight_bytes: usize,
}

type Answer = Pin<Box<dyn Future<Output = Result<u64, tokio_postgres::Error>> + Send>>;

/// A statement whose answer has not been looked at.
struct InFlight {
    table: QualifiedName,
    operation: Operation,
    bytes: usize,
    /// Rows that it must meet.
    expected: u64,
    /// The row, if it is one change's.
    blame: Option<Blame>,
    answer: Answer,
}

impl StatementWriter {
    pub(super) fn new(session: Arc<Session>) -> Self {
        Self { session, statements: HashMap::new(), in_flight: VecDeque::new(), in_flight_bytes: 0 }
    }

    async fn prepared(&mut self, layout: &Layout, shape: &Shape) -> Result<Statement, StreamError> {
        let key = (layout.serial, shape.clone());
        if let Some(statement) = self.statements.get(&key) {
            return Ok(statement.clone());
        }
        if self.statements.len() >= STATEMENTS_MAX {
            self.statements.clear();
        }
        // The driver hands answers on in their order, and waits for whoever does not take one: this one would never come
        // while earlier ones lie there. And an earlier statement's error is the one to be told.
        self.flush().await?;
        let prepared = self.session.prepare(&sql(layout, shape)).await;
        let statement = prepared.map_err(|error| StreamError::ChangeRefused {
            table: layout.table.name.clone(),
            operation: operation(shape),
            row: None,
            source: Box::new(PgError::from_driver("preparing a statement", &error)),
        })?;
        self.statements.insert(key, statement.clone());
        Ok(statement)
    }

    /// Sends a statement: the first poll puts it into the connection's queue, so the order of sending is the order
    /// of calls.
    async fn send(
        &mut self,
        InFlight { table, operation, bytes, expected, blame, mut answer }: InFlight,
    ) -> Result<(), StreamError> {
        while self.in_flight.len() >= IN_FLIGHT_MAX || self.in_flight_bytes > IN_FLIGHT_BYTES_MAX {
            if let Some(rows) = self.oldest().await? {
                rows.check()?;
            }
        }
        let at_once = poll_fn(|context| match answer.as_mut().poll(context) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            Poll::Pending => Poll::Ready(None),
        })
        .await;
        let answer: Answer = match at_once {
            Some(done) => Box::pin(std::future::ready(done)),
            None => answer,
        };
        self.in_flight_bytes += bytes;
        self.in_flight.push_back(InFlight { table, operation, bytes, expected, blame, answer });
        Ok(())
    }

    fn answer(&self, statement: Statement, parameters: Vec<Parameter>) -> Answer {
        let session = Arc::clone(&self.session);
        Box::pin(async move { session.execute_raw(&statement, parameters).await })
    }

    async fn oldest(&mut self) -> Result<Option<Met>, StreamError> {
        let Some(sent) = self.in_flight.pop_front() else { return Ok(None) };
        let InFlight { table, operation, bytes, expected, blame, answer } = sent;
        self.in_flight_bytes -= bytes;
        match answer.await.during("applying a change") {
            Ok(rows) => Ok(Some(Met { table, operation, expected, rows, blame })),
            Err(source) => Err(blamed(refused(table, operation, source), blame.as_ref())),
        }
    }

    /// Sends a change as the statement that it is.
    pub(super) async fn write_one(
        &mut self,
        layout: &Arc<Layout>,
        change: &Change,
    ) -> Result<(), StreamError> {
        let planned = plan(layout, change)?;
        self.send_planned(layout, planned, Blame::new(layout, change)).await
    }

    /// Sends a statement that must meet so many rows.
    pub(super) async fn send_rows(
        &mut self,
        layout: &Layout,
        shape: Shape,
        parameters: Vec<Parameter>,
        rows: u64,
    ) -> Result<(), StreamError> {
        let statement = self.prepared(layout, &shape).await?;
        let bytes = parameters.iter().map(Parameter::bytes).sum();
        let answer = self.answer(statement, parameters);
        let (table, operation) = (layout.table.name.clone(), operation(&shape));
        self.send(InFlight { table, operation, bytes, expected: rows, blame: None, answer }).await
    }

    /// Forgets what was sent: its transaction is rolled back.
    pub(super) fn give_up(&mut self) {
        self.in_flight.clear();
        self.in_flight_bytes = 0;
    }

    async fn send_planned(
        &mut self,
        layout: &Layout,
        planned: Planned,
        blame: Option<Blame>,
    ) -> Result<(), StreamError> {
        let Planned { shape, parameters, otherwise } = planned;
        let statement = self.prepared(layout, &shape).await?;
        let bytes = parameters.iter().map(Parameter::bytes).sum();
        let (table, operation) = (layout.table.name.clone(), operation(&shape));
        let Some(otherwise) = otherwise else {
            let answer = self.answer(statement, parameters);
            return self.send(InFlight { table, operation, bytes, expected: 1, blame, answer }).await;
        };
        self.flush().await?;
        let rows = self.session.execute_raw(&statement, parameters).await.during("applying a change");
        let rows = rows.map_err(|source| blamed(refused(table, operation, source), blame.as_ref()))?;
        if rows == 0 { Box::pin(self.send_planned(layout, *otherwise, blame)).await } else { Ok(()) }
    }
}

impl StatementWriter {
    /// See [`Writer::truncate`].
    pub(super) async fn truncate(
        &mut self,
        tables: &[Arc<TargetTable>],
        restart_identity: bool,
    ) -> Result<(), StreamError> {
        let Some(first) = tables.first() else { return Ok(()) };
        let names: Vec<String> = tables.iter().map(|table| format!("only {}", table.name.quoted())).collect();
        let identity = if restart_identity { " restart identity" } else { "" };
        let sql = format!("truncate {}{identity}", names.join(", "));
        self.flush().await?;
        let done = self.session.batch_execute(&sql).await.during("emptying tables");
        done.map_err(|source| refused(first.name.clone(), Operation::Truncate, source))
    }

    /// See [`Writer::flush`].
    pub(super) async fn flush(&mut self) -> Result<(), StreamError> {
        while let Some(met) = self.oldest().await? {
            met.check()?;
        }
        Ok(())
    }

    /// See [`Writer::forget`].
    pub(super) fn forget(&mut self) {
        self.statements.clear();
    }
}

/// How many rows a statement has met.
struct Met {
    table: QualifiedName,
    operation: Operation,
    expected: u64,
    rows: u64,
    blame: Option<Blame>,
}

impl Met {
    /// Each change is about one row: fewer mean that the sides differ.
    fn check(self) -> Result<(), StreamError> {
        let Self { table, operation, expected, rows, blame } = self;
        if rows == expected {
            return Ok(());
        }
        let row = blame.as_ref().map(Blame::row);
        Err(StreamError::RowMissing { table, operation, rows, row })
    }
}

/// The error of a change that the target did not take.
pub(super) fn refused(table: QualifiedName, operation: Operation, source: PgError) -> StreamError {
    StreamError::ChangeRefused { table, operation, row: None, source: Box::new(source) }
}

fn operation(shape: &Shape) -> Operation {
    match shape {
        Shape::Insert => Operation::Insert,
        Shape::Update { .. } | Shape::Replace { .. } => Operation::Update,
        Shape::Delete => Operation::Delete,
        Shape::Many(Many::Update { .. }) => Operation::Update,
        Shape::Many(Many::Delete { .. }) => Operation::Delete,
    }
}
