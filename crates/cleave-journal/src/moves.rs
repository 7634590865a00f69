//! The state of a service's open move, on the source of the move.

use crate::{JournalError, error::During};
use cleave_model::{DatabaseName, ServiceName};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio_postgres::{GenericClient, Row};

/// Where a move stands (DESIGN section 5). All states are durable; verification is a property of `Following`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MoveState {
    /// A plan is stored, nothing was made.
    Planned,
    /// Target schema, fence, publication, slot and owner rows exist.
    Prepared,
    /// Tables are being read.
    Copying,
    /// The home is the source; the target follows.
    Following,
    /// The home is the target; the source follows.
    Switched,
    /// The way back is being removed.
    Completing,
    /// Nothing is left to do.
    Done,
    /// Taken back by `cancel`.
    Cancelled,
}

impl MoveState {
    /// As it stands in the database and in output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Prepared => "prepared",
            Self::Copying => "copying",
            Self::Following => "following",
            Self::Switched => "switched",
            Self::Completing => "completing",
            Self::Done => "done",
            Self::Cancelled => "cancelled",
        }
    }

    fn parse(text: &str) -> Result<Self, JournalError> {
        let all = [
            Self::Planned,
            Self::Prepared,
            Self::Copying,
            Self::Following,
            Self::Switched,
            Self::Completing,
            Self::Done,
            Self::Cancelled,
        ];
        all.into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| JournalError::Inconsistent { what: format!("a move's state is `{text}`") })
    }

    /// True while the move holds slots or waits for a command.
    pub fn is_open(self) -> bool {
        !matches!(self, Self::Done | Self::Cancelled)
    }
}

/// What a verification found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VerificationOutcome {
    /// Every row is equal on both sides.
    Clean,
    /// Rows that changed faster than they could be compared remain.
    Unproven,
    /// Rows differ.
    Different,
}

/// The last verification of a move and what it is bound to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verification {
    /// Result.
    pub outcome: VerificationOutcome,
    /// Rows compared on the home.
    pub rows: u64,
    /// Rows that differ.
    pub differences: u64,
    /// When its oldest part was read, seconds since 1970.
    pub at_epoch_s: u64,
    /// The owner's epoch then: which side was the home.
    #[serde(default)]
    pub epoch: i64,
    /// Rows that were left unproven, if all of them are listed here: by table, the texts of their keys.
    #[serde(default)]
    pub unproven: Vec<(String, Vec<String>)>,
    /// Fingerprint of the tables on the source and on the target.
    pub fingerprints: [String; 2],
    /// Slot of the direction that was verified.
    pub slot: String,
    /// System identifier and timeline of source and target.
    pub clusters: [(u64, u32); 2],
}

/// A row of `cleave.move`.
#[derive(Clone, Debug, PartialEq)]
pub struct MoveRow {
    /// The service.
    pub service: ServiceName,
    /// Incarnation: raised by one for each new move of the service.
    pub id: i64,
    /// Database of the old home.
    pub source: DatabaseName,
    /// Database of the new home.
    pub target: DatabaseName,
    /// State.
    pub state: MoveState,
    /// Streams stand still on purpose.
    pub paused: bool,
    /// The plan as it is being executed.
    pub plan: Value,
    /// Fingerprint of the moved tables on the source when the plan was made.
    pub fingerprint: String,
    /// Last verification, if not withdrawn.
    pub verification: Option<Verification>,
    /// What stopped the service, as a problem of cleave-api.
    pub problem: Option<Value>,
}

const COLUMNS: &str = "service, id, source, target, state, paused, plan, fingerprint, verification, problem";

fn parse(row: &Row) -> Result<MoveRow, JournalError> {
    let database = |text: String| {
        DatabaseName::parse(&text)
            .map_err(|_| JournalError::Inconsistent { what: format!("a move names database `{text}`") })
    };
    let service: String = row.get(0);
    let service = ServiceName::parse(&service)
        .map_err(|_| JournalError::Inconsistent { what: format!("a move names service `{service}`") })?;
    let verification: Option<Value> = row.get(8);
    let verification = verification.map(serde_json::from_value).transpose().map_err(|error| {
        JournalError::Inconsistent { what: format!("the verification of {service} cannot be read: {error}") }
    })?;
    Ok(MoveRow {
        service,
        id: row.get(1),
        source: database(row.get(2))?,
        target: database(row.get(3))?,
        state: MoveState::parse(row.get(4))?,
        paused: row.get(5),
        plan: row.get(6),
        fingerprint: row.get(7),
        verification,
        problem: row.get(9),
    })
}

impl MoveRow {
    /// True for a split of a table: its plan is of another kind than that of a move, and says so.
    pub fn is_split(&self) -> bool {
        self.plan.get("split").is_some()
    }

    /// The move of a service, open or not.
    pub async fn read(
        client: &impl GenericClient,
        service: &ServiceName,
    ) -> Result<Option<Self>, JournalError> {
        let sql = format!("select {COLUMNS} from cleave.move where service = $1");
        let row = client.query_opt(&sql, &[&service.as_str()]).await.during("read the move")?;
        row.as_ref().map(parse).transpose()
    }

    /// All moves whose source this database is.
    pub async fn read_all(client: &impl GenericClient) -> Result<Vec<Self>, JournalError> {
        let sql = format!("select {COLUMNS} from cleave.move order by service");
        client.query(&sql, &[]).await.during("read the moves")?.iter().map(parse).collect()
    }

    /// Starts a move in state `planned`, in place of an earlier one that has ended. Returns its incarnation.
    pub async fn start(
        client: &impl GenericClient,
        service: &ServiceName,
        (source, target): (&DatabaseName, &DatabaseName),
        plan: &Value,
        fingerprint: &str,
    ) -> Result<i64, JournalError> {
        let row = client
            .query_opt(
                "insert into cleave.move as m (service, id, source, target, state, plan, fingerprint)
                 values ($1, 1, $2, $3, 'planned', $4, $5)
                 on conflict (service) do update
                 set id = m.id + 1, source = excluded.source, target = excluded.target, state = 'planned',
                     paused = false, plan = excluded.plan, fingerprint = excluded.fingerprint, verification = null,
                     problem = null, updated_at = pg_catalog.clock_timestamp()
                 where m.state in ('done', 'cancelled')
                 returning id",
                &[&service.as_str(), &source.as_str(), &target.as_str(), plan, &fingerprint],
            )
            .await
            .during("start the move")?;
        row.map(|row| row.get(0)).ok_or_else(|| JournalError::Inconsistent {
            what: format!("service {service} has an open move already"),
        })
    }

    /// Goes from one of `from` to `to`; an error if the move is in none of them (nor in `to` already).
    pub async fn transition(
        client: &impl GenericClient,
        service: &ServiceName,
        from: &[MoveState],
        to: MoveState,
    ) -> Result<(), JournalError> {
        let mut allowed: Vec<&str> = from.iter().map(|state| state.as_str()).collect();
        allowed.push(to.as_str());
        let changed = client
            .execute(
                "update cleave.move set state = $2, updated_at = pg_catalog.clock_timestamp()
                 where service = $1 and state = any($3)",
                &[&service.as_str(), &to.as_str(), &allowed],
            )
            .await
            .during("change the move's state")?;
        if changed == 1 {
            return Ok(());
        }
        let what = match Self::read(client, service).await? {
            Some(row) => {
                format!("service {service} is {} and cannot become {}", row.state.as_str(), to.as_str())
            }
            None => format!("service {service} has no move that could become {}", to.as_str()),
        };
        Err(JournalError::Inconsistent { what })
    }

    /// Replaces the plan by the one that is carried out now.
    pub async fn set_plan(
        client: &impl GenericClient,
        service: &ServiceName,
        plan: &Value,
        fingerprint: &str,
    ) -> Result<(), JournalError> {
        client
            .execute(
                "update cleave.move set plan = $2, fingerprint = $3 where service = $1",
                &[&service.as_str(), &plan, &fingerprint],
            )
            .await
            .during("store the plan")?;
        Ok(())
    }

    /// Stores or withdraws the verification.
    pub async fn set_verification(
        client: &impl GenericClient,
        service: &ServiceName,
        verification: Option<&Verification>,
    ) -> Result<(), JournalError> {
        let value = verification.map(serde_json::to_value).transpose().map_err(|error| {
            JournalError::Inconsistent {
                what: format!("the verification of {service} cannot be written: {error}"),
            }
        })?;
        client
            .execute(
                "update cleave.move set verification = $2 where service = $1",
                &[&service.as_str(), &value],
            )
            .await
            .during("store the verification")?;
        Ok(())
    }

    /// Stores what stopped the service, or clears it.
    pub async fn set_problem(
        client: &impl GenericClient,
        service: &ServiceName,
        problem: Option<&Value>,
    ) -> Result<(), JournalError> {
        client
            .execute("update cleave.move set problem = $2 where service = $1", &[&service.as_str(), &problem])
            .await
            .during("store the problem")?;
        Ok(())
    }

    /// Pauses or resumes the streams of a service.
    pub async fn set_paused(
        client: &impl GenericClient,
        service: &ServiceName,
        paused: bool,
    ) -> Result<(), JournalError> {
        client
            .execute("update cleave.move set paused = $2 where service = $1", &[&service.as_str(), &paused])
            .await
            .during("pause or resume the move")?;
        Ok(())
    }
}
