//! What must hold before a round of cutover or rollback begins. A gate that refuses has changed nothing.

use crate::{EngineError, context::MoveContext, runner::Runner};
use cleave_journal::{MoveRow, Verification, VerificationOutcome};
use cleave_model::{DatabaseName, Direction, Epoch, Oid};
use cleave_pg::{During, Session};
use cleave_plan::BridgeKind;
use cleave_plan::cutover::Round;
use std::time::Duration;

/// How long a stream that was just started may take to catch up before a round.
const CATCH_UP_LIMIT: Duration = Duration::from_secs(60);

/// Rows that a round compares while writers wait, at most: some milliseconds of their pause.
const UNPROVEN_MAX: usize = 1_000;

/// A row by its table's title and the texts of its key.
pub(super) type UnprovenRow = (String, Vec<String>);

/// What gates that hold leave to the round.
#[derive(Default)]
pub(super) struct Held {
    /// Rows that it has to compare itself, while writers wait.
    pub(super) unproven: Vec<UnprovenRow>,
    /// What the new home lacks, and the operator accepts.
    pub(super) accepted: Vec<String>,
}

/// Sessions of applications in the old home's database. What kind of process another role's session is, only its own
/// and monitoring roles are told.
const CLIENTS_OF_M: &str = "
    select count(*) from pg_catalog.pg_stat_activity
    where datname = pg_catalog.current_database() and coalesce(backend_type, 'client backend') = 'client backend'
      and coalesce(application_name, '') not like 'cleave %'";

/// Connections that a role without privileges can still open: the least of what server and database leave.
const FREE_AT_N: &str = "
    with setting as (
        select pg_catalog.sum(case name when 'max_connections' then setting::bigint else -setting::bigint end) as open
        from pg_catalog.pg_settings
        where name in ('max_connections', 'superuser_reserved_connections', 'reserved_connections')),
    used as (
        select pg_catalog.sum(numbackends) as everywhere,
               pg_catalog.sum(numbackends) filter (where datname = pg_catalog.current_database()) as here
        from pg_catalog.pg_stat_database)
    select least(setting.open - used.everywhere,
                 case when d.datconnlimit < 0 then setting.open else d.datconnlimit - used.here end)::bigint
    from setting, used, pg_catalog.pg_database d where d.datname = pg_catalog.current_database()";

impl Runner {
    /// Gates about the move's state; the round itself checks those about the moment.
    pub(super) async fn state_gates(
        &self,
        round: Round,
        row: &MoveRow,
        move_: &MoveContext,
        epoch: Epoch,
    ) -> Result<Held, EngineError> {
        if row.paused {
            return Err(self.wrong_state("paused", round.as_str(), Some("resume")));
        }
        for direction in [Direction::Forward, Direction::Back] {
            self.stream_gate(direction)?;
        }
        self.detached_gate(move_).await?;
        if let Some(pooler) = &move_.pooler {
            pooler.gate(move_, round).await?;
        }
        self.caught_up(move_).await?;
        if round == Round::Cutover && move_.plan.whole.is_some() {
            let m = move_.m.connect("gates").await?;
            crate::upgrade::strays::refuse(&m, &move_.m.name, &move_.plan).await?;
        }
        self.connections_gate(round, move_).await?;
        self.locks_gate(round, move_).await?;
        let accepted = self.protection_gate(round, move_).await?;
        let unproven = match round {
            Round::Cutover => {
                self.partitions_of_m_gate(move_).await?;
                self.verification_gate(row, move_, epoch).await
            }
            Round::Rollback => {
                self.difference_gate(row, epoch)?;
                self.partitions_gate(move_).await.map(|()| Vec::new())
            }
        }?;
        Ok(Held { unproven, accepted })
    }

    /// A source that was restored from a backup does not know of switches that the target has seen.
    pub(super) async fn epoch_gate(&self, epoch: Epoch) -> Result<(), EngineError> {
        let n = self.n.connect("gates").await?;
        let there = cleave_journal::owner(&*n, &self.service).await?.map_or(Epoch(0), |owner| owner.epoch);
        if there <= epoch {
            return Ok(());
        }
        let message = format!(
            "{} has seen epoch {there}, but {} knows only epoch {epoch}: it is older than its last switch",
            self.n.name, self.m.name
        );
        Err(EngineError::gate("C0706", message)
            .hint("restore it to a later point, or settle by hand which is right"))
    }

    /// A partition that came to the home later has no fence and no route.
    async fn partitions_gate(&self, move_: &MoveContext) -> Result<(), EngineError> {
        let n = move_.n.connect("gates").await?;
        if move_.plan.whole.is_some() {
            return crate::upgrade::strays::refuse(&n, &move_.n.name, &move_.plan).await;
        }
        let oids: Vec<u32> =
            crate::streams::oids_at_target(&n, move_).await?.into_values().map(|oid| oid.0).collect();
        refuse_partitions(&n, &move_.n.name, &oids).await
    }

    /// The round itself looks under its locks whether there are as many tables as in the plan; here they get their names.
    async fn partitions_of_m_gate(&self, move_: &MoveContext) -> Result<(), EngineError> {
        if move_.plan.whole.is_some() {
            return Ok(());
        }
        let m = move_.m.connect("gates").await?;
        refuse_partitions(&m, &move_.m.name, &move_.plan.source_oids()).await
    }

    pub(super) fn stream_gate(&self, direction: Direction) -> Result<(), EngineError> {
        let Some(stream) = self.streams.get(direction) else {
            return Err(EngineError::gate("C0708", format!("the {direction} stream is not running"))
                .next(&["resume", self.service.as_str()]));
        };
        match stream.failure() {
            Some(error) => match crate::help::lease_lost(&error) {
                Some(lost) => Err(lost),
                None => {
                    Err(EngineError::gate("C0708", format!("the {direction} stream has stopped: {error}"))
                        .hint(crate::help::for_stopped(&error, direction, &self.service))
                        .next(&["explain", error.code()]))
                }
            },
            None => Ok(()),
        }
    }

    /// A stream that was just started first has to catch up; the round's own gate then measures the round trip. The one
    /// that fills the old home has nothing to bring, but may be about to meet a write to a copy: not having read that
    /// far is no proof that there was none.
    async fn caught_up(&self, move_: &MoveContext) -> Result<(), EngineError> {
        for direction in [Direction::Forward, Direction::Back] {
            let session = move_.source_of(direction).connect("gates").await?;
            let (service, lease) = (&self.service, self.m_lease.epoch);
            let marker = format!("{service}/catch_up/{direction}/{lease}/{}", session.backend_pid());
            cleave_pg::wal::emit_message(&session, cleave_model::labels::MESSAGE_MARKER, &marker).await?;
            self.stream_gate(direction)?;
            let Some(stream) = self.streams.get(direction) else { continue };
            if stream.wait_for_marker(&marker, CATCH_UP_LIMIT).await {
                continue;
            }
            self.stream_gate(direction)?;
            let why = stream.problem().unwrap_or_else(|| "it is behind".to_owned());
            let limit = CATCH_UP_LIMIT.as_secs();
            let message = format!("the {direction} stream did not catch up within {limit} s: {why}");
            return Err(EngineError::gate("C0702", message).next(&["status", self.service.as_str()]));
        }
        Ok(())
    }

    /// Each session of M that uses an old name after a cutover opens a connection to N. Where those are not to be had,
    /// applications would be told so at their next statement.
    async fn connections_gate(&self, round: Round, move_: &MoveContext) -> Result<(), EngineError> {
        if round == Round::Rollback || move_.plan.bridge == BridgeKind::None {
            return Ok(());
        }
        let (m, n) = (move_.m.connect("gates").await?, move_.n.connect("gates").await?);
        let sessions: i64 = m.query_one(CLIENTS_OF_M, &[]).await.during("counting sessions")?.get(0);
        let free: i64 = n.query_one(FREE_AT_N, &[]).await.during("counting free connections")?.get(0);
        if free >= sessions {
            return Ok(());
        }
        let message = format!(
            "{} has {} connections free, but {} has {sessions} sessions, each of which opens one when it uses an old name",
            move_.n.name,
            free.max(0),
            move_.m.name
        );
        Err(EngineError::gate("C0716", message)
            .hint("raise max_connections there, close sessions that nobody uses, or put a pooler before the applications"))
    }

    /// A prepared transaction holds its locks until somebody ends it: no ladder gets past it.
    async fn locks_gate(&self, round: Round, move_: &MoveContext) -> Result<(), EngineError> {
        let (site, oids) = match round {
            Round::Cutover => (&move_.m, move_.plan.source_oids()),
            Round::Rollback => {
                let n = move_.n.connect("gates").await?;
                let oids = crate::streams::oids_at_target(&n, move_).await?;
                (&move_.n, oids.into_values().map(|oid| oid.0).collect())
            }
        };
        let session = site.connect("gates").await?;
        let oids: Vec<Oid> = oids.into_iter().map(Oid).collect();
        let blockers = cleave_pg::locks::blockers_of_relations(&session, &oids).await?;
        let Some(prepared) = blockers.iter().find_map(|blocker| blocker.prepared.clone()) else {
            return Ok(());
        };
        let message = format!("prepared transaction {prepared:?} in {} holds locks on the tables", site.name);
        Err(EngineError::gate("C0703", message).hint("commit or roll it back: `commit prepared '...'`"))
    }

    /// A copy that is known to lack something must not become the home. That nothing is known does not keep anybody from
    /// going back.
    fn difference_gate(&self, row: &MoveRow, epoch: Epoch) -> Result<(), EngineError> {
        let found = row.verification.as_ref();
        let different =
            |last: &&Verification| last.epoch == epoch.0 && last.outcome == VerificationOutcome::Different;
        let Some(last) = found.filter(different) else { return Ok(()) };
        let message = format!(
            "{} rows of {} differ: the old home does not have what the new one has",
            last.differences, self.service
        );
        Err(EngineError::gate("C0710", message).next(&["verify", self.service.as_str(), "--repair"]))
    }

    /// Verified clean, lately, and for what is there now. Rows that are unproven are given back, if they are few.
    async fn verification_gate(
        &self,
        row: &MoveRow,
        move_: &MoveContext,
        epoch: Epoch,
    ) -> Result<Vec<UnprovenRow>, EngineError> {
        let refuse = |message: String| {
            Err(EngineError::gate("C0710", message).next(&["verify", self.service.as_str()]))
        };
        let Some(verification) = &row.verification else {
            return refuse(format!("service {} is not verified", self.service));
        };
        if verification.epoch != epoch.0 {
            return refuse(format!("service {} is not verified since its home changed", self.service));
        }
        let few = (1..=UNPROVEN_MAX).contains(&verification.unproven.len());
        match verification.outcome {
            VerificationOutcome::Clean => {}
            VerificationOutcome::Unproven if few => {}
            VerificationOutcome::Unproven => {
                return refuse(format!(
                    "the last verification left rows unproven: more than {UNPROVEN_MAX}, or of tables without a key, so that \
                     they cannot be compared while writers wait"
                ));
            }
            VerificationOutcome::Different => {
                return refuse("the last verification found differences".to_owned());
            }
        }
        let now = super::verify::bound_to(move_).await?;
        if verification.at_epoch_s + move_.limits.verify_max_age.as_secs() < now.at_epoch_s {
            return refuse("the verification is older than verify_max_age".to_owned());
        }
        if verification.fingerprints != now.fingerprints {
            let names = super::verify::altered(&verification.fingerprints, &now.fingerprints);
            return refuse(format!("altered since the verification: {}", names.join(", ")));
        }
        if (&verification.slot, verification.clusters) != (&now.slot, now.clusters) {
            return refuse("the verification was made with another slot or another server".to_owned());
        }
        Ok(super::watch::rows_to_compare(verification))
    }
}

/// Refuses partitions of the tables `oids` that are not among them.
async fn refuse_partitions(
    session: &Session,
    database: &DatabaseName,
    oids: &[u32],
) -> Result<(), EngineError> {
    let other = session
        .query_opt(
            "select inhrelid::regclass::text from pg_catalog.pg_inherits
             where inhparent = any ($1) and inhrelid <> all ($1) order by 1 limit 1",
            &[&oids],
        )
        .await
        .during("looking for partitions that are not in the plan")?;
    let Some(other) = other else { return Ok(()) };
    let other: String = other.get(0);
    let message = format!("partition {other} was added in {database} after the plan was made");
    Err(EngineError::gate("C0711", message).hint("move its rows to a planned partition and detach it"))
}
