//! What a server is doing and how it is set, as far as somebody who thinks of a move has to know it. Values only:
//! `cleave-pg` reads them, `cleave-assess` judges them.
//!
//! What the role may not read is `None` or empty, and named in [`Instance::unread`].

use crate::QualifiedName;
use std::collections::BTreeMap;

/// A look at one server, through one of its databases.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Instance {
    /// `pg_settings`: name to what a new session of this role has (`reset_val`), in the setting's own unit.
    pub settings: BTreeMap<String, String>,
    /// What `alter role ... set` and `alter database ... set` say for this database.
    pub role_settings: Vec<RoleSetting>,
    /// All databases of the server that take connections.
    pub databases: Vec<DatabaseSize>,
    /// Replication slots of the server.
    pub slots: Vec<SlotUse>,
    /// Transactions that have been open for longer than [`Instance::LONG_MS`], the oldest first.
    pub transactions: Vec<OpenTransaction>,
    /// Prepared transactions of the server, the oldest first.
    pub prepared: Vec<PreparedTransaction>,
    /// How fast the write-ahead log grows.
    pub log_rate: Option<LogRate>,
    /// What sessions of this database have done since its statistics were reset.
    pub activity: Option<Activity>,
    /// Servers that stream this one's log.
    pub standbys: Vec<Standby>,
    /// Base backups that run.
    pub backups: u64,
    /// The archiver's state; `None` where nothing is archived.
    pub archive: Option<Archive>,
    /// Lines of `pg_hba.conf`; `None` where the role may not read them.
    pub host_rules: Option<Vec<HostRule>>,
    /// Extensions that could be created here, with their default version.
    pub available_extensions: BTreeMap<String, String>,
    /// Collations that a column or an index uses, and the database's own.
    pub collations: Vec<Collation>,
    /// Large objects of this database.
    pub large_objects: LargeObjects,
    /// The tables of this database that a vacuum against wraparound will meet first, the oldest first.
    pub table_ages: Vec<TableAge>,
    /// Partitions whose `detach ... concurrently` was never finished.
    pub detaching: Vec<QualifiedName>,
    /// Tables that lie in another tablespace than the database's.
    pub tablespaces: Vec<(QualifiedName, String)>,
    /// How the server was reached.
    pub connection: Connection,
    /// What could not be read, and why.
    pub unread: Vec<Unread>,
}

impl Instance {
    /// A transaction that is open for longer holds up the creation of a slot for longer than anybody wants to wait.
    pub const LONG_MS: u64 = 300_000;

    /// A setting that is a number; `None` where the server has no such setting or hides it.
    pub fn number(&self, name: &str) -> Option<i64> {
        self.settings.get(name).and_then(|value| value.parse().ok())
    }

    /// A setting as text.
    pub fn setting(&self, name: &str) -> Option<&str> {
        self.settings.get(name).map(String::as_str)
    }
}

/// One line of `pg_db_role_setting`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoleSetting {
    /// The role; `None` for all roles.
    pub role: Option<String>,
    /// True if it holds in this database only.
    pub in_database: bool,
    /// The setting.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// A database and its size.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DatabaseSize {
    /// Name.
    pub name: String,
    /// `pg_database_size`; `None` without the right to connect to it.
    pub bytes: Option<u64>,
    /// Rows inserted, updated and deleted since its statistics were reset.
    pub rows_written: u64,
}

/// A replication slot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SlotUse {
    /// Name.
    pub name: String,
    /// Its database; `None` for a physical slot.
    pub database: Option<String>,
    /// Somebody reads it.
    pub active: bool,
    /// Bytes of log that the server keeps for it.
    pub retained_bytes: u64,
    /// `reserved`, `extended`, `unreserved`, `lost`.
    pub wal_status: Option<String>,
}

/// A transaction of a process that has been open for long.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenTransaction {
    /// The process.
    pub pid: i32,
    /// Its database.
    pub database: Option<String>,
    /// Role.
    pub role: Option<String>,
    /// `application_name`.
    pub application: Option<String>,
    /// `active`, `idle in transaction`, ...
    pub state: Option<String>,
    /// Since it began.
    pub age_ms: u64,
    /// It has an id, so that the creation of a slot waits for it.
    pub has_xid: bool,
}

/// A transaction between `prepare transaction` and its end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PreparedTransaction {
    /// Its name.
    pub name: String,
    /// Role.
    pub owner: String,
    /// Database.
    pub database: String,
    /// Since it was prepared.
    pub age_ms: u64,
}

/// Two readings of the log's position.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogRate {
    /// Bytes written between them.
    pub bytes: u64,
    /// Time between them.
    pub over_ms: u64,
}

impl LogRate {
    /// Bytes per second; 0 for two readings at one instant.
    pub fn bytes_per_second(self) -> u64 {
        self.bytes.saturating_mul(1000).checked_div(self.over_ms).unwrap_or_default()
    }
}

/// `pg_stat_database`, this database's line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Activity {
    /// Time that sessions have spent in a transaction without a running statement.
    pub idle_in_transaction_ms: u64,
    /// Time that they have spent in statements.
    pub active_ms: u64,
    /// Transactions committed.
    pub commits: u64,
    /// Deadlocks.
    pub deadlocks: u64,
    /// Since the statistics were reset; `None` if they never were.
    pub since_ms: Option<u64>,
}

/// A server that streams this one's log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standby {
    /// `application_name`.
    pub name: String,
    /// `sync`, `quorum`, `potential` or `async`.
    pub sync_state: String,
}

/// `pg_stat_archiver`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Archive {
    /// The last attempt failed.
    pub failing: bool,
    /// Failed attempts.
    pub failures: u64,
}

/// A line of `pg_hba.conf`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostRule {
    /// Line in the file.
    pub line: u32,
    /// `local`, `host`, `hostssl`, ...; empty for a line that cannot be read.
    pub kind: String,
    /// Databases.
    pub databases: Vec<String>,
    /// Roles.
    pub roles: Vec<String>,
    /// Address or name.
    pub address: String,
    /// `scram-sha-256`, `trust`, `reject`, ...
    pub method: String,
    /// Why the server cannot read the line.
    pub error: Option<String>,
}

/// A collation that orders something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Collation {
    /// Quoted and qualified, as in `Column::collation`; `None` for the database's own.
    pub name: Option<String>,
    /// `libc`, `icu` or `builtin`.
    pub provider: String,
    /// Texts of different bytes are never equal under it.
    pub deterministic: bool,
    /// The version it had when it was made; `None` where the provider has none.
    pub version: Option<String>,
    /// The version that the operating system's library has now.
    pub actual_version: Option<String>,
}

/// Large objects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LargeObjects {
    /// How many, counted up to a limit.
    pub count: u64,
    /// Size of `pg_largeobject`.
    pub bytes: u64,
}

/// A table and how long ago it was frozen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableAge {
    /// The table.
    pub table: QualifiedName,
    /// `age(relfrozenxid)`.
    pub age: u64,
}

/// How the server was reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Connection {
    /// The connection is encrypted.
    pub encrypted: bool,
    /// It does not leave the machine.
    pub local: bool,
    /// One session was served by different server processes: something shares connections between transactions.
    pub process_changes: bool,
    /// The server process was there before the connection: something keeps connections for others. How long before.
    pub process_older_ms: u64,
}

/// Something that could not be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unread {
    /// What.
    pub what: String,
    /// What the server said.
    pub reason: String,
}
