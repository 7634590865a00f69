//! One worker: a session in the snapshot on the source, a tagged session on the target, job after job.

use super::{
    CopySpec,
    board::{Job, Piece},
    brake::Brake,
    giant::Divisions,
    progress::Meter,
    rate::Rate,
};
use crate::{
    CopyProgress, Side, StreamError,
    apply::{CatalogTable, look},
    error::On,
    session::connect_writer,
};
use cleave_journal::{Copied, Shape, record_shapes};
use cleave_model::{Lsn, Oid, labels, quote_literal};
use cleave_pg::{During, Session, connect};
use std::{
    collections::HashMap,
    time::{Duration, Instant},
};
use tokio::time::{sleep, timeout};

/// A worker that was stopped inside a transaction gives its locks back after this time.
const IDLE_LIMIT: Duration = Duration::from_secs(20);

/// How long to wait for the server to take a stopped table back, before the session is dropped.
const ROLLBACK_LIMIT: Duration = Duration::from_secs(2);

/// How long an origin may stay in use by a session that was told to end, and how often it is tried.
const ORIGIN_LIMIT: Duration = Duration::from_secs(10);
const GLANCE: Duration = Duration::from_millis(20);

/// What all workers of a run share.
pub(super) struct Run<F> {
    pub(super) spec: CopySpec,
    pub(super) meter: Meter<F>,
    pub(super) rate: Option<Rate>,
    pub(super) brake: Brake,
    /// Tables on the target that hold rows of ours without being copied, by their OID on the source.
    pub(super) unfinished: HashMap<Oid, Oid>,
    /// Ranges of the giants that are being read.
    pub(super) divisions: Divisions,
}

/// Its two sessions.
pub(super) struct Worker {
    /// Until nothing is left to be read.
    pub(super) source: Option<Session>,
    pub(super) target: Session,
    pub(super) start: Lsn,
}

/// Opens a session in the snapshot, which afterwards lives in the session's own transaction.
pub(super) async fn in_snapshot(spec: &CopySpec, snapshot: &str) -> Result<Session, StreamError> {
    let source = connect(&spec.source, &super::purpose(&spec.service)).await.on(Side::Source)?;
    // Where policies would hide rows the copy must fail, not be incomplete.
    let sql = format!(
        "set row_security = off;
         begin isolation level repeatable read read only;
         set transaction snapshot {}",
        quote_literal(snapshot)
    );
    let giants = spec.tables.iter().any(|table| table.ranges.is_some());
    let sql = if giants { format!("{}{sql}", super::giant::PLANS) } else { sql };
    source.batch_execute(&sql).await.during("taking the snapshot").map_err(|error| {
        let gone = error.sqlstate().is_some_and(|code| matches!(code, "42704" | "22023" | "55000"));
        if gone {
            StreamError::SnapshotGone { snapshot: snapshot.to_owned() }
        } else {
            StreamError::Server { side: Side::Source, source: error }
        }
    })?;
    Ok(source)
}

/// Connects to the target; an earlier worker's session may be on its way out and still hold the origin.
async fn connect_tagged(spec: &CopySpec, origin: &str) -> Result<Session, StreamError> {
    let deadline = Instant::now() + ORIGIN_LIMIT;
    loop {
        match connect_writer(&spec.target, &super::purpose(&spec.service), origin, IDLE_LIMIT).await {
            Err(StreamError::Server { source, .. })
                if source.sqlstate() == Some("55006") && Instant::now() < deadline =>
            {
                sleep(GLANCE).await;
            }
            connected => return connected,
        }
    }
}

impl Worker {
    /// Connects both sides; the source only if there is a snapshot to read.
    pub(super) async fn start(
        spec: &CopySpec,
        number: usize,
        snapshot: Option<(&str, Lsn)>,
    ) -> Result<Self, StreamError> {
        let source = match snapshot {
            Some((name, _)) => Some(in_snapshot(spec, name).await?),
            None => None,
        };
        let origin = labels::copy_origin(&spec.service, number);
        let target = connect_tagged(spec, &origin).await?;
        super::build::make_room(&target, spec.jobs).await?;
        Ok(Self { source, target, start: snapshot.map_or(Lsn(0), |(_, start)| start) })
    }

    /// Does a job; returns the record of a table that is copied with it. If stopped, what it has begun is rolled back.
    pub(super) async fn perform<F: Fn(CopyProgress)>(
        &self,
        run: &Run<F>,
        job: Job,
    ) -> Result<Option<Copied>, StreamError> {
        let work = async {
            // Before anything is locked.
            run.brake.rested().await;
            match job {
                Job::Copy { table, piece } => {
                    let Some(source) = &self.source else {
                        return Err(StreamError::Task(
                            "a worker without a snapshot was given a table".into(),
                        ));
                    };
                    let what = (source, &run.spec.tables[table]);
                    match piece {
                        Piece::Whole => self.copy_whole(run, what).await.map(Some),
                        Piece::Blocks(blocks) => self.copy_chunk(run, what, blocks).await,
                        Piece::Range(number) => self.copy_range(run, what, number).await,
                    }
                }
                Job::Build { table, build, helpers } => {
                    let table = &run.spec.tables[table];
                    self.build(&run.spec, table, &table.indexes[build], helpers).await?;
                    run.meter.index_done();
                    Ok(None)
                }
                Job::Settle { table } => self.settle(&run.spec, &run.spec.tables[table]).await.map(|()| None),
            }
        };
        let done = tokio::select! {
            biased;
            () = run.spec.cancelled.cancelled() => Err(StreamError::Cancelled),
            done = Box::pin(work) => done,
        };
        if done.is_err() {
            // Best effort: the session is given up, and the error that ended the copy matters more.
            let _gone = timeout(ROLLBACK_LIMIT, self.target.batch_execute("rollback")).await;
        }
        done
    }
}

impl Worker {
    /// Records which columns the tables have in the snapshot, before their rows are read in it. What was recorded in an
    /// earlier snapshot is of rows that are gone.
    pub(super) async fn record_shapes(
        &self,
        spec: &CopySpec,
        tables: impl Iterator<Item = Oid>,
    ) -> Result<(), StreamError> {
        let tables: Vec<Oid> = tables.collect();
        let Some(source) = self.source.as_ref().filter(|_| !tables.is_empty()) else { return Ok(()) };
        let seen = look(&**source, &tables).await?;
        let shapes: Vec<Shape> = seen.tables.iter().map(CatalogTable::shape).collect();
        let what = "recording what the tables look like";
        self.target.batch_execute("begin").await.during(what).on(Side::Target)?;
        spec.lease.check(&*self.target).await?;
        record_shapes(&*self.target, &spec.stream, &shapes).await?;
        self.target.batch_execute("commit").await.during(what).on(Side::Target)
    }
}
