//! `cleave status`.

use crate::{Problem, Report};
use serde::{Deserialize, Serialize};

/// Where every service stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct StatusReport {
    /// The services, in the order of the file.
    pub services: Vec<ServiceStatus>,
    /// Who holds the lease; null if nobody runs the streams.
    pub engine: Option<String>,
}

impl Report for StatusReport {
    const KIND: &'static str = "status";
}

/// Where one service stands.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ServiceStatus {
    /// The service.
    pub name: String,
    /// What kind of move cleave.toml wants, or is under way.
    pub kind: MoveKind,
    /// How far its move is.
    pub state: ServiceState,
    /// True if its streams were told to stand still.
    pub paused: bool,
    /// The database that accepts its writes now; with the schema once a move inside the database has switched.
    pub home: String,
    /// The database and schema that cleave.toml wants: `products/films`.
    pub wanted: String,
    /// Raised by one at each switch.
    pub epoch: i64,
    /// Its streams.
    pub streams: Vec<StreamStatus>,
    /// The copy; null before it begins.
    pub copy: Option<CopyProgress>,
    /// Who uses the bridge; null where there is none, or before the switch.
    pub bridge: Option<BridgeStatus>,
    /// What is known about the equality of the two sides.
    pub verification: VerificationStatus,
    /// What stands in the way.
    pub problems: Vec<Problem>,
}

/// What kind of move a service makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MoveKind {
    /// Into another database: rows are copied and followed.
    Live,
    /// Into another schema of the same database: names change, rows stay.
    Schema,
    /// One table becomes several inside its database, kept equal by triggers.
    Split,
}

/// The life of a move.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ServiceState {
    /// In cleave.toml, nothing done yet.
    Planned,
    /// Schema, slot and publication are made.
    Prepared,
    /// Rows are being read.
    Copying,
    /// Changes are applied as they commit.
    Following,
    /// The new home accepts writes; the way back is open.
    Switched,
    /// The way back is being removed.
    Completing,
    /// Nothing is left to do.
    Done,
    /// A problem stopped it.
    Stopped,
}

impl ServiceState {
    /// The word in JSON and text.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Prepared => "prepared",
            Self::Copying => "copying",
            Self::Following => "following",
            Self::Switched => "switched",
            Self::Completing => "completing",
            Self::Done => "done",
            Self::Stopped => "stopped",
        }
    }
}

/// Who uses the bridge of a service that has switched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BridgeStatus {
    /// For how long an engine has looked, since the last switch; null if none has.
    pub watched_ms: Option<u64>,
    /// Since it last did.
    pub looked_ago_ms: Option<u64>,
    /// Who has sessions over it now, or had when somebody looked; the latest first.
    pub users: Vec<BridgeUserStatus>,
}

/// One role and application that reach the new home over the bridge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BridgeUserStatus {
    /// The role at the old home; `unknown` where its server is older than 15.
    pub role: String,
    /// The application, as it calls itself.
    pub application: String,
    /// Its sessions over the bridge now.
    pub sessions: u64,
    /// Since it was seen last; 0 if it is there.
    pub seen_ago_ms: u64,
}

/// One slot and what is done with its changes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StreamStatus {
    /// Which way it flows.
    pub direction: StreamDirection,
    /// The database it reads.
    pub source: String,
    /// The database it writes.
    pub target: String,
    /// True if its source is the service's home.
    pub armed: bool,
    /// True if a process runs it now.
    pub running: bool,
    /// The replication slot.
    pub slot: String,
    /// What the source says of the slot's log.
    pub wal_status: WalStatus,
    /// Log that the slot keeps on the source.
    pub retained_bytes: Option<u64>,
    /// Log between the source's end and the position.
    pub lag_bytes: Option<u64>,
    /// Age of the oldest change not yet applied; null if unknown.
    pub lag_ms: Option<u64>,
    /// End of the last applied transaction: `16/B374D848`.
    pub position: Option<String>,
    /// What both servers' monitoring views say of it; null where the slot is missing or could not be asked for.
    pub replication: Option<ReplicationStatus>,
}

/// One stream as the servers see it: `pg_replication_slots` and `pg_stat_replication` on its source (manual, sections 53.20
/// and 27.2.4), `pg_replication_origin` on its target. What `pg_stat_subscription` shows of a subscription stands in
/// [`StreamStatus`]: the position and how long ago it moved.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ReplicationStatus {
    /// The source's process that reads the slot; null if nobody does.
    pub pid: Option<i32>,
    /// `startup`, `catchup` or `streaming`; null while the backlog is read with SQL, or where the role may not see it.
    pub state: Option<String>,
    /// The last position that the source has sent.
    pub sent: Option<String>,
    /// Everything before it is stored on the target, and the source need not keep it.
    pub confirmed: Option<String>,
    /// Since the reader last answered the source.
    pub last_answer_ms: Option<u64>,
    /// Log that may still be written before the slot is lost; null without `max_slot_wal_keep_size`.
    pub safe_wal_bytes: Option<i64>,
    /// The origin that marks on the target what the stream writes.
    pub origin: String,
}

/// Which way a stream flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum StreamDirection {
    /// From the old home to the new one.
    Forward,
    /// From the new home to the old one.
    Back,
}

impl From<cleave_model::Direction> for StreamDirection {
    fn from(direction: cleave_model::Direction) -> Self {
        match direction {
            cleave_model::Direction::Forward => Self::Forward,
            cleave_model::Direction::Back => Self::Back,
        }
    }
}

/// `wal_status` of `pg_replication_slots` (manual, section 53.20), and what is not in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum WalStatus {
    /// Within `max_wal_size`.
    Reserved,
    /// Beyond it, but kept for the slot.
    Extended,
    /// May be removed at the next checkpoint.
    Unreserved,
    /// Removed: the slot is of no use any more.
    Lost,
    /// The slot does not exist.
    Missing,
    /// The source could not be asked.
    Unknown,
}

/// How much of a copy is done.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct CopyProgress {
    /// Tables done.
    pub tables_done: u64,
    /// Tables in all.
    pub tables: u64,
    /// Rows copied so far.
    pub rows: u64,
    /// Bytes copied so far.
    pub bytes: u64,
    /// Bytes expected in all, estimated from the sizes of the tables.
    pub bytes_total: Option<u64>,
    /// Bytes per second, lately.
    pub rate_bytes: Option<u64>,
    /// Time left at this rate.
    pub eta_ms: Option<u64>,
    /// Time since the copy began.
    pub elapsed_ms: Option<u64>,
    /// Why it pauses, if it does: a limit is exceeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waits: Option<String>,
}

/// What is known about the equality of the two sides.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct VerificationStatus {
    /// In one word.
    pub state: VerificationState,
    /// When the last one ended.
    pub at: Option<String>,
    /// How long ago that was.
    pub age_ms: Option<u64>,
    /// Rows compared.
    pub rows: u64,
    /// Differences found.
    pub differences: u64,
}

/// The state of a verification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VerificationState {
    /// Never done.
    None,
    /// Equal, and recent enough.
    Clean,
    /// Some rows changed too often to be compared.
    Unproven,
    /// Equal once, but older than `verify_max_age`, or of another structure, slot or timeline.
    Stale,
    /// The sides differ.
    Different,
}

impl VerificationState {
    /// The word in JSON and text.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Clean => "clean",
            Self::Unproven => "unproven",
            Self::Stale => "stale",
            Self::Different => "different",
        }
    }
}
