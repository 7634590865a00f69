//! The typed form of `cleave.toml`.

use crate::{ConfigError, DatabaseName, ServiceName, Source, Spanned, TablePattern, UrlSource};
use cleave_model::{Ident, QualifiedName};
use core::net::SocketAddr;
use std::{collections::BTreeMap, fmt, path::PathBuf, time::Duration};

/// A whole, checked file: every name in it resolves, no exact table name is claimed twice.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file's name in messages.
    pub file: String,
    /// The databases, in the order of the file.
    pub databases: Vec<Database>,
    /// The services, in the order of the file; last, if there is one, `[upgrade]`.
    pub services: Vec<Service>,
    /// The splits, in the order of the file.
    pub splits: Vec<Split>,
    /// What a run may take.
    pub limits: Limits,
    /// Commands around a switch.
    pub hooks: Hooks,
    /// What `cleave run` answers to.
    pub server: Server,
    /// What should be changed but stops nothing.
    pub warnings: Vec<ConfigError>,
}

/// An entry of `[databases]`.
#[derive(Clone, Debug)]
pub struct Database {
    /// Its name in the file, not on the server.
    pub name: DatabaseName,
    /// How Cleave reaches it.
    pub url: UrlSource,
    /// How the servers of other databases reach it, where that differs; for bridges.
    pub url_from: BTreeMap<DatabaseName, UrlSource>,
    /// Slots in it are made so that standbys keep copies of them.
    pub failover_slots: bool,
    /// Where the name stands.
    pub span: crate::Span,
}

/// An entry of `[services]`: a move's wish.
#[derive(Clone, Debug)]
pub struct Service {
    /// The service.
    pub name: ServiceName,
    /// Where the tables shall live.
    pub home: Spanned<Home>,
    /// The database that the tables come from (`from`, or the first of `[databases]`).
    pub from: DatabaseName,
    /// What it claims; resolve with [`crate::match_tables`].
    pub tables: Vec<Spanned<TablePattern>>,
    /// Role that owns the schema at the home; none: the role that Cleave connects as.
    pub owner: Option<Spanned<Ident>>,
    /// Schema in `from` for a read-only copy; none: no copy is kept.
    pub copy: Option<Spanned<Home>>,
    /// What the old names lead to after the switch of a live move.
    pub bridge: Spanned<Bridge>,
    /// Set when the home is a schema of the same database: nothing is copied then.
    pub schema_move: Option<SchemaMove>,
    /// What a change of structure between prepare and complete does.
    pub on_ddl: OnDdl,
    /// What Cleave may set as replica identity, by table.
    pub identity: BTreeMap<QualifiedName, Spanned<IdentityChoice>>,
    /// The pooler whose clients follow the service to its home.
    pub pooler: Option<Pooler>,
    /// Set for `[upgrade]`: it is no service but everything in `from`, under unchanged names.
    pub whole: Option<WholeDatabase>,
    /// Where the service's name stands.
    pub span: crate::Span,
}

/// A PgBouncer, as a service names it.
#[derive(Clone, Debug)]
pub struct Pooler {
    /// How its admin console is reached.
    pub admin: UrlSource,
    /// Names in its `[databases]` section, at least one.
    pub databases: Vec<String>,
    /// The file with the lines of these databases; a relative path starts at the folder of `cleave.toml`.
    pub config: PathBuf,
}

/// What `[upgrade]` says beside its two databases.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WholeDatabase {
    /// Tablespaces of the old server by name, and what takes their place.
    pub tablespaces: BTreeMap<Ident, Ident>,
    /// Folder with the `pg_dump` to use.
    pub client_tools: Option<PathBuf>,
}

/// An entry of `[splits]`: one table that becomes several, all in its own database.
#[derive(Clone, Debug)]
pub struct Split {
    /// Its name, from the same space as those of services.
    pub name: ServiceName,
    /// The table.
    pub table: Spanned<QualifiedName>,
    /// The database that has it.
    pub from: DatabaseName,
    /// The parts, in the order of the file.
    pub into: Vec<SplitTarget>,
    /// What becomes of a row that several services reach.
    pub shared: Shared,
    /// What becomes of a row that no service reaches.
    pub orphans: Orphans,
    /// What `complete` leaves under the old name.
    pub bridge: SplitBridge,
    /// Where the split's name stands.
    pub span: crate::Span,
}

/// One part of a split.
#[derive(Clone, Debug)]
pub struct SplitTarget {
    /// The service that owns the part.
    pub service: Spanned<ServiceName>,
    /// The schema of its home, where the part stands.
    pub schema: Ident,
    /// The role that owns the part; none: the table's owner.
    pub owner: Option<Ident>,
    /// Columns of other tables whose foreign keys reach the service's rows.
    pub reached_by: Vec<Spanned<ReachedBy>>,
}

/// A column with a foreign key to the table of a split: `public.customer.address_id`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReachedBy {
    /// The referencing table.
    pub table: QualifiedName,
    /// Its column.
    pub column: Ident,
}

impl fmt::Display for ReachedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.table, self.column)
    }
}

/// A row of a split that several services reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shared {
    /// Each gets it.
    Copy,
    /// None may be there.
    Refuse,
}

/// A row of a split that no service reaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Orphans {
    /// None may be there.
    Refuse,
    /// It stays under the old name.
    Keep,
    /// This service takes it.
    Service(ServiceName),
}

/// What is left under the old name of a split table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SplitBridge {
    /// Nothing.
    None,
    /// A view over the parts.
    View,
}

/// `database/schema`: the system of record of a service's tables, or the place of a copy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Home {
    /// A name of `[databases]`.
    pub database: DatabaseName,
    /// A schema in it, case kept.
    pub schema: Ident,
}

impl fmt::Display for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.database, self.schema.as_str())
    }
}

/// What an old name leads to after a switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bridge {
    /// Reads and writes go to the new home through `postgres_fdw`.
    Forward,
    /// Reads come from the copy, writes go to the new home.
    Local,
    /// Reads come from the copy, writes fail with an error that names the new home.
    None,
}

impl Bridge {
    /// As it stands in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Local => "local",
            Self::None => "none",
        }
    }
}

impl fmt::Display for Bridge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The wishes that only a move inside one database has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaMove {
    /// What keeps the old names alive.
    pub layer: Layer,
    /// A role that may read the service's tables; made where it does not exist.
    pub reader: Option<Spanned<Ident>>,
    /// True if statements that change the structure under an old name are answered by an event trigger.
    pub guard: bool,
}

/// What keeps the old names of a schema move alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Layer {
    /// `search_path`, and an updatable view under each old name.
    View,
    /// `search_path` alone.
    Path,
}

impl Layer {
    /// As it stands in the file, under `bridge`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::View => "view",
            Self::Path => "path",
        }
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What happens when the structure of a moving table changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OnDdl {
    /// The stream stops with a problem that names the change.
    #[default]
    Stop,
    /// Before the switch, a column that is added, dropped, renamed or widened is so on the target too; whatever else changes
    /// stops the stream.
    Follow,
}

/// A replica identity that Cleave may set on a table without a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdentityChoice {
    /// `REPLICA IDENTITY FULL`.
    Full,
    /// `REPLICA IDENTITY USING INDEX` with this unique index.
    Index(Ident),
}

/// `[limits]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long writers may wait in a cutover; past it the cutover undoes itself.
    pub write_pause: Duration,
    /// How long one attempt at a lock may stand in a queue.
    pub lock_timeout: Duration,
    /// How long attempts at one lock go on altogether.
    pub lock_budget: Duration,
    /// How old the snapshot of a copy may get before a new one is taken.
    pub snapshot_age: Duration,
    /// A table of at least four times this size is copied in parts of about this size.
    pub chunk_bytes: u64,
    /// A table of at least this size is copied in ranges of its key.
    pub giant_bytes: u64,
    /// Bytes per second that the workers of a copy may read, all together.
    pub copy_bytes_per_second: Option<u64>,
    /// How long tables and indexes of the new home are read before a switch; not at all without it.
    pub warm_up: Option<Duration>,
    /// Bytes that a standby or a read slot of the source may be behind while tables are copied.
    pub copy_lag_bytes_max: Option<u64>,
    /// Sessions that may work at the source while tables are copied.
    pub copy_sessions_max: Option<u32>,
    /// Bytes of log that the target may keep for its slots or its archive while tables are copied.
    pub copy_target_log_bytes_max: Option<u64>,
    /// How old a verification may be at a cutover.
    pub verify_max_age: Duration,
    /// How long after a verification `run` makes the next one; never without it.
    pub verify_every: Option<Duration>,
    /// Bytes that a standby or slot of the home may be behind while it is compared.
    pub verify_lag_bytes_max: Option<u64>,
    /// Sessions that may work at the home while it is compared.
    pub verify_sessions_max: Option<u32>,
    /// Connections that copy or verify at once, per service.
    pub jobs: usize,
    /// Bytes of changes that Cleave holds in memory, per process.
    pub memory_bytes: u64,
    /// Bytes of disk that a stream may take for transactions in progress.
    pub spool_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            write_pause: Duration::from_millis(500),
            lock_timeout: Duration::from_millis(100),
            lock_budget: Duration::from_secs(600),
            snapshot_age: Duration::from_secs(3600),
            chunk_bytes: 256 << 20,
            giant_bytes: 100 << 30,
            copy_bytes_per_second: None,
            warm_up: None,
            copy_lag_bytes_max: None,
            copy_sessions_max: None,
            copy_target_log_bytes_max: None,
            verify_max_age: Duration::from_secs(24 * 3600),
            verify_every: None,
            verify_lag_bytes_max: None,
            verify_sessions_max: None,
            jobs: 4,
            memory_bytes: 256 << 20,
            spool_bytes: 8 << 30,
        }
    }
}

/// `[hooks]`: shell commands, run in order; one that fails before a switch is decided stops it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hooks {
    /// Before a cutover or rollback takes its first lock.
    pub before_switch: Vec<String>,
    /// While writers wait, within `write_pause`.
    pub in_pause: Vec<String>,
    /// After a cutover or rollback is done.
    pub after_switch: Vec<String>,
    /// How long the commands of one of these lists may take together.
    pub limit: Duration,
}

impl Default for Hooks {
    fn default() -> Self {
        let (before_switch, in_pause, after_switch) = (Vec::new(), Vec::new(), Vec::new());
        Self { before_switch, in_pause, after_switch, limit: Duration::from_secs(60) }
    }
}

/// `[server]`: what `cleave run` answers to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Server {
    /// Where it listens; `None` where the file does not say.
    pub listen: Option<Listen>,
}

/// Where something listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listen {
    /// At this address and port.
    At(SocketAddr),
    /// Nowhere.
    Off,
}

impl Listen {
    /// Reads `127.0.0.1:9732`, `[::1]:9732` or `off`. Names are not looked up: which interface is meant must be plain.
    ///
    /// # Errors
    /// What would be one.
    pub fn parse(text: &str) -> Result<Self, crate::InvalidQuantity> {
        let expected = "an address and a port, such as 127.0.0.1:9732, or off";
        match text {
            "off" => Ok(Self::Off),
            address => address.parse().map(Self::At).map_err(|_| crate::InvalidQuantity { expected }),
        }
    }
}

impl Config {
    /// Reads a file's text. `file` is its name in messages. Returns every error found, not only the first.
    pub fn parse(text: &str, file: &str) -> Result<Self, crate::ConfigErrors> {
        crate::read::read(Source { file, text })
    }

    /// The service of that name.
    pub fn service(&self, name: &str) -> Option<&Service> {
        self.services.iter().find(|service| service.name.as_str() == name)
    }

    /// The split of that name.
    pub fn split(&self, name: &str) -> Option<&Split> {
        self.splits.iter().find(|split| split.name.as_str() == name)
    }

    /// The database of that name.
    pub fn database(&self, name: &DatabaseName) -> Option<&Database> {
        self.databases.iter().find(|database| database.name == *name)
    }
}

impl Service {
    /// The schema that holds the old tables at the source after a switch: the copy's, or the retired one.
    pub fn copy_schema(&self) -> Ident {
        match &self.copy {
            Some(copy) => copy.value.schema.clone(),
            None => cleave_model::labels::retired_schema(&self.name),
        }
    }
}
