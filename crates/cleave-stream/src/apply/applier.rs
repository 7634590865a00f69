//! Target transactions: each reads the owner row, checks the lease, applies whole source transactions and moves the
//! position, all or nothing.

use super::{
    Input, Look,
    batch::Batch,
    closing::Flushing,
    giant::{Emptied, Giants, RowKey, Verdict},
    router::Router,
    segment::value_bytes,
    sets::SetWriter,
    writer::Writer,
};
use crate::{
    Cancelled, FollowSpec, FollowState, Side, StreamError,
    error::On,
    follow::{
        Reporter,
        item::{Item, ItemReceiver},
    },
};
use cleave_journal::{ApplierStatements, record_rows, set_owner};
use cleave_model::{Epoch, Lsn, Oid, QualifiedName};
use cleave_pg::{During, Session};
use cleave_proto::pgoutput::{Change, Relation};
use std::{
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{join, sync::watch, time::sleep};
use tokio_postgres::Client;

/// Between two looks at the owner row while a change is held.
const HELD_INTERVAL: Duration = Duration::from_millis(20);

/// While changes keep coming, commits are waited for on the target's disk this often.
const FLUSH_INTERVAL: Duration = Duration::from_secs(1);
/// And when no change has come for so long.
const QUIET_INTERVAL: Duration = Duration::from_millis(50);

/// Whether to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    On,
    Stop,
}

/// Applies what the reader hands over.
pub(super) struct Applier<W> {
    pub(super) spec: Arc<FollowSpec>,
    pub(super) stream: String,
    pub(super) session: Arc<Session>,
    pub(super) journal: ApplierStatements,
    items: ItemReceiver,
    pub(super) reporter: Reporter,
    pub(super) flushed: watch::Sender<Lsn>,
    pub(super) router: Router,
    giants: Giants,
    pub(super) writer: W,
    /// As it stands in `cleave.position`.
    pub(super) position: Lsn,
    /// What is being committed, while the next batch is gathered, and whether its commit waits for the disk.
    pub(super) closing: Option<(Batch, Flushing)>,
    /// Committed up to `position`, but not known to be on the disk.
    pub(super) unflushed: bool,
    pub(super) flushed_since: Instant,
    pub(super) batch: Batch,
    /// Of the open target transaction, if there is one.
    pub(super) armed: Option<bool>,
    /// Names of the target's tables were read under this epoch. They change only in a transaction that raises it, and
    /// the owner row, once read, keeps that transaction from committing.
    names_of: Option<Epoch>,
    /// The source's columns as its catalog has them.
    pub(super) looks: watch::Receiver<Option<Arc<Look>>>,
    /// The look that was last taken in.
    pub(super) looked_at: Lsn,
    /// Tables of which looks have told what is not recorded yet.
    pub(super) unrecorded: Vec<Oid>,
    /// The open target transaction has changed columns of this table.
    pub(super) altered: Option<QualifiedName>,
}

impl Applier<SetWriter> {
    pub(super) fn new(input: Input, journal: ApplierStatements, giants: Giants) -> Self {
        let Input { spec, session, items, position, flushed, reporter, memory, binary, shapes, looks } =
            input;
        let session = Arc::new(session);
        Self {
            stream: spec.stream(),
            router: Router::new(Arc::clone(&spec), memory, binary, shapes),
            giants,
            writer: SetWriter::new(Arc::clone(&session)),
            spec,
            session,
            journal,
            items,
            reporter,
            flushed,
            position,
            closing: None,
            unflushed: false,
            flushed_since: Instant::now(),
            batch: Batch::default(),
            armed: None,
            names_of: None,
            looks,
            looked_at: Lsn::default(),
            unrecorded: Vec::new(),
            altered: None,
        }
    }
}

impl<W: Writer> Applier<W> {
    /// Runs until told to stop, which it does after the source transaction it is at, or until something fails. When the
    /// reader is gone it waits to be dropped: the reader has the reason.
    pub(super) async fn run(mut self, stop: &Cancelled) -> Result<(), StreamError> {
        loop {
            let whole = self.batch.is_whole();
            let item = if whole || !self.items.has_next() {
                let behind = self.closing.is_some() || (self.unflushed && self.armed.is_none());
                tokio::select! {
                    biased;
                    () = stop.cancelled(), if whole => return self.finish(stop).await,
                    item = self.items.next() => item,
                    () = sleep(QUIET_INTERVAL), if behind => {
                        self.settle().await?;
                        continue;
                    }
                }
            } else {
                self.items.next().await
            };
            let Some(item) = item else { std::future::pending().await };
            if self.take(item, stop).await? == Flow::Stop {
                return Ok(());
            }
        }
    }

    async fn finish(&mut self, stop: &Cancelled) -> Result<(), StreamError> {
        if self.batch.end.is_some() && self.reopened(stop).await? == Flow::On {
            self.commit(Flushing::Waits).await?;
        }
        self.settle().await
    }

    async fn take(&mut self, item: Item, stop: &Cancelled) -> Result<Flow, StreamError> {
        match item {
            Item::Begin { commit_lsn, xid } => {
                self.giants.begin(commit_lsn, xid);
                self.batch.begin(commit_lsn);
            }
            Item::Change { relation, change } => return self.change(&relation, change, stop).await,
            Item::Truncate { relations, restart_identity } => {
                return self.truncate(relations, restart_identity, stop).await;
            }
            Item::Marker(id) => self.batch.markers.push(id),
            Item::Switch(switch) => self.batch.switch = Some(switch),
            Item::Commit { end_lsn, commit_time } => {
                self.batch.end_transaction(end_lsn, commit_time);
                return self.end_of_transaction(stop).await;
            }
            Item::Idle { lsn } => {
                if self.reopened(stop).await? == Flow::Stop {
                    return Ok(Flow::Stop);
                }
                self.batch.end = Some(lsn);
                self.commit(Flushing::Waits).await?;
            }
        }
        Ok(Flow::On)
    }

    /// Commits if the batch is due, or if nothing more is waiting.
    async fn end_of_transaction(&mut self, stop: &Cancelled) -> Result<Flow, StreamError> {
        let waiting = self.items.has_next();
        if waiting && !self.batch.is_due(&self.spec.options) {
            return Ok(Flow::On);
        }
        if self.reopened(stop).await? == Flow::Stop {
            return Ok(Flow::Stop);
        }
        let awaited = !self.batch.markers.is_empty() || self.batch.switch.is_some();
        let flushing = match awaited || self.flushed_since.elapsed() >= FLUSH_INTERVAL {
            true => Flushing::Waits,
            false => Flushing::IsLeft,
        };
        let alone = awaited
            || !self.giants.is_empty()
            || self.altered.is_some()
            || !self.unrecorded.is_empty()
            || self.look_waits();
        if waiting && !alone && self.armed.is_some() {
            self.close(flushing).await?;
        } else {
            self.commit(flushing).await?;
        }
        Ok(Flow::On)
    }

    /// Opens the transaction that the batch is to be written in, if the one before was still being committed when the
    /// batch began. Until here nothing of the batch was sent.
    async fn reopened(&mut self, stop: &Cancelled) -> Result<Flow, StreamError> {
        self.closed().await?;
        let table = self.batch.first_table.clone().filter(|_| self.armed.is_none());
        let Some(table) = table else { return Ok(Flow::On) };
        let names = self.names_of;
        if self.arm(&table, stop).await? == Flow::Stop {
            return Ok(Flow::Stop);
        }
        if self.names_of != names {
            let router = &mut self.router;
            self.writer.lay_anew(|relation| router.layout(relation))?;
        }
        Ok(Flow::On)
    }

    async fn change(
        &mut self,
        relation: &Arc<Relation>,
        change: Change,
        stop: &Cancelled,
    ) -> Result<Flow, StreamError> {
        let commit_lsn = self.batch.current.unwrap_or_default();
        let change = match self.giants.judge(relation, change)? {
            Verdict::Plain(change) if self.router.wants(relation, commit_lsn)? => change,
            Verdict::Plain(_) | Verdict::Drop => return Ok(Flow::On),
            Verdict::Apply(change) => change,
            Verdict::Missing(key) => return self.missing(relation, &key, stop).await,
        };
        self.write(relation, change, stop).await
    }

    async fn write(
        &mut self,
        relation: &Arc<Relation>,
        change: Change,
        stop: &Cancelled,
    ) -> Result<Flow, StreamError> {
        if self.closing.is_none() && self.armed.is_none() {
            let flow = self.reopened(stop).await?;
            if flow == Flow::Stop || self.arm(&relation.name, stop).await? == Flow::Stop {
                return Ok(Flow::Stop);
            }
        }
        self.batch.first_table.get_or_insert_with(|| relation.name.clone());
        if self.router.outdated(relation).is_some() {
            // It is met behind everything that came before, in a transaction of this batch.
            if self.reopened(stop).await? == Flow::Stop {
                return Ok(Flow::Stop);
            }
            Box::pin(self.meet(relation)).await?;
        }
        let layout = match self.router.layout(relation) {
            // It may fit under the names that the tables have by now.
            Err(_) if self.closing.is_some() => {
                if self.reopened(stop).await? == Flow::Stop {
                    return Ok(Flow::Stop);
                }
                self.router.layout(relation)?
            }
            layout => layout?,
        };
        self.batch.rows += 1;
        self.batch.bytes += value_bytes(&change);
        self.writer.gather(&layout, change);
        if self.writer.is_full() {
            if self.reopened(stop).await? == Flow::Stop {
                return Ok(Flow::Stop);
            }
            self.writer.start().await?;
        }
        Ok(Flow::On)
    }

    async fn truncate(
        &mut self,
        relations: Vec<Arc<Relation>>,
        restart_identity: bool,
        stop: &Cancelled,
    ) -> Result<Flow, StreamError> {
        let commit_lsn = self.batch.current.unwrap_or_default();
        let mut wanted = Vec::with_capacity(relations.len());
        for relation in relations {
            if let Some(emptied) = self.giants.truncated(&relation) {
                if self.empty(&relation, emptied, stop).await? == Flow::Stop {
                    return Ok(Flow::Stop);
                }
            } else if self.router.wants(&relation, commit_lsn)? {
                wanted.push(relation);
            }
        }
        let Some(first) = wanted.first() else { return Ok(Flow::On) };
        if self.reopened(stop).await? == Flow::Stop {
            return Ok(Flow::Stop);
        }
        if self.arm(&first.name, stop).await? == Flow::Stop {
            return Ok(Flow::Stop);
        }
        let tables = wanted
            .iter()
            .map(|relation| self.router.table(relation).cloned())
            .collect::<Result<Vec<_>, _>>()?;
        self.batch.rows += 1;
        self.writer.truncate(&tables, restart_identity).await?;
        Ok(Flow::On)
    }

    /// Writes the row that the source has under a key of a giant, if there is one. The source may take its time to say
    /// so; the server would end a transaction without a word for that long.
    async fn missing(
        &mut self,
        relation: &Arc<Relation>,
        key: &RowKey,
        stop: &Cancelled,
    ) -> Result<Flow, StreamError> {
        if self.armed.is_some() {
            self.writer.flush().await?;
        }
        let row = {
            let mut reading = pin!(self.giants.read(relation, self.router.shape(relation.oid), key));
            loop {
                tokio::select! {
                    biased;
                    row = &mut reading => break row?,
                    () = stop.cancelled() => return Ok(Flow::Stop),
                    () = sleep(self.spec.options.idle_limit / 4) => {
                        self.session.batch_execute("select").await.during("waiting for a row").on(Side::Target)?;
                    }
                }
            }
        };
        match row {
            Some(new) => self.write(relation, Change::Insert { new }, stop).await,
            None => Ok(Flow::On),
        }
    }

    /// Empties ranges of a giant that a truncate is behind of.
    async fn empty(
        &mut self,
        relation: &Arc<Relation>,
        emptied: Emptied,
        stop: &Cancelled,
    ) -> Result<Flow, StreamError> {
        if self.arm(&relation.name, stop).await? == Flow::Stop {
            return Ok(Flow::Stop);
        }
        self.writer.flush().await?;
        let statements = emptied.statements(relation, self.router.table(relation)?)?;
        self.batch.rows += 1;
        self.session
            .batch_execute(&statements)
            .await
            .during("emptying ranges of a table")
            .on(Side::Target)?;
        for key in &emptied.kept {
            if self.missing(relation, key, stop).await? == Flow::Stop {
                return Ok(Flow::Stop);
            }
        }
        Ok(Flow::On)
    }

    /// Makes sure that a target transaction is open whose owner row names the source as home. While it is not known
    /// which side is, waits; stops the stream if the source is not the home.
    async fn arm(&mut self, table: &QualifiedName, stop: &Cancelled) -> Result<Flow, StreamError> {
        loop {
            if self.armed.is_none() {
                self.open().await?;
            }
            if self.armed == Some(true) {
                return Ok(Flow::On);
            }
            // Nothing was written in it: what the batch holds so far is kept in memory.
            self.armed = None;
            self.session
                .batch_execute("rollback")
                .await
                .during("giving up a transaction")
                .on(Side::Target)?;
            self.settle().await?;
            if self.hold(table, stop).await? == Flow::Stop {
                return Ok(Flow::Stop);
            }
        }
    }

    /// Waits, without a transaction, until the owner row names the source as home.
    async fn hold(&mut self, table: &QualifiedName, stop: &Cancelled) -> Result<Flow, StreamError> {
        let mut held = false;
        loop {
            let client: &Client = &self.session;
            let owner = cleave_journal::owner(client, &self.spec.service).await?;
            if owner.as_ref().is_some_and(|owner| owner.home == self.spec.source_name) {
                self.reporter.change(|status| status.state = FollowState::Following);
                return Ok(Flow::On);
            }
            if owner.is_none_or(|owner| owner.pending.is_none()) {
                return Err(StreamError::StrayWrite {
                    service: self.spec.service.to_string(),
                    direction: self.spec.direction.to_string(),
                    table: table.clone(),
                });
            }
            if !std::mem::replace(&mut held, true) {
                self.reporter.change(|status| status.state = FollowState::Held);
            }
            tokio::select! {
                () = stop.cancelled() => return Ok(Flow::Stop),
                () = sleep(HELD_INTERVAL) => {}
            }
        }
    }

    /// Opens a target transaction: the owner row is read and held, the lease is checked and held.
    async fn open(&mut self) -> Result<(), StreamError> {
        cleave_failpoint::hit_async("apply.arm.before").await;
        let client: &Client = &self.session;
        // Sent in this order, answered in this order.
        let (begun, owner, lease) = join!(
            client.batch_execute("begin"),
            self.journal.owner_for_share(client, &self.spec.service),
            self.journal.check_lease(client, &self.spec.lease),
        );
        begun.during("beginning to apply").on(Side::Target)?;
        let owner = owner?;
        lease?;
        cleave_failpoint::hit_async("apply.arm.after").await;
        let armed = owner.home == self.spec.source_name;
        self.armed = Some(armed);
        self.reporter.change(|status| status.armed = Some(armed));
        if armed && self.names_of != Some(owner.epoch) {
            self.writer.forget();
            self.router.reload(&self.session).await?;
            self.names_of = Some(owner.epoch);
        }
        Ok(())
    }

    /// Commits the batch with its position, and tells.
    async fn commit(&mut self, flushing: Flushing) -> Result<(), StreamError> {
        self.closed().await?;
        let Some(end) = self.batch.end else { return Ok(()) };
        if self.armed.is_none() {
            self.open().await?;
        }
        let batch = std::mem::take(&mut self.batch);
        self.writer.submit().await?;
        if let Some(switch) = &batch.switch {
            self.writer.flush().await?;
            set_owner(&**self.session, &self.spec.service, &switch.home, switch.epoch).await?;
            cleave_failpoint::hit_async("apply.switch.stored").await;
        }
        let rows = self.giants.take_unrecorded();
        if !rows.is_empty() {
            self.writer.flush().await?;
            record_rows(&**self.session, &self.spec.whole_stream(), &rows, end).await?;
        }
        let closing = self.closing(&batch, end, flushing);
        let (written, advanced) = join!(self.writer.flush(), closing.advance());
        // The first error is the reason of the second.
        written?;
        advanced?;
        self.record_looks().await?;
        closing.commit().await?;
        self.armed = None;
        self.position = end;
        self.giants.passed(end);
        self.committed(batch, flushing);
        self.altered_now()?;
        Box::pin(self.meet_look()).await
    }

    /// Opens a target transaction if the source is the home.
    pub(super) async fn armed_now(&mut self) -> Result<bool, StreamError> {
        self.open().await?;
        if self.armed == Some(true) {
            return Ok(true);
        }
        self.armed = None;
        self.session.batch_execute("rollback").await.during("giving up a transaction").on(Side::Target)?;
        Ok(false)
    }

    /// Commits what was done beside the source's transactions.
    pub(super) async fn end_alone(&mut self) -> Result<(), StreamError> {
        self.armed = None;
        self.session.batch_execute("commit").await.during("committing a change of columns").on(Side::Target)
    }

    pub(super) fn report(&self, batch: Batch) {
        let home = batch.switch.map(|switch| switch.home == self.spec.source_name);
        let waiting = self.items.has_next();
        self.reporter.change(|status| {
            status.armed = home.or(status.armed);
            status.counters.transactions += batch.transactions as u64;
            status.counters.batches += 1;
            status.counters.rows += batch.rows;
            status.counters.bytes += batch.bytes as u64;
            status.lag_ms = if waiting { age_ms(batch.commit_time) } else { 0 };
            batch.markers.into_iter().for_each(|marker| status.marker_applied(marker));
        });
    }
}

/// Milliseconds since a commit; the two hosts' clocks may differ.
fn age_ms(commit_time: cleave_proto::Timestamp) -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let commit_us = u64::try_from(commit_time.unix_micros()).unwrap_or(0);
    (now.as_micros() as u64).saturating_sub(commit_us) / 1000
}
