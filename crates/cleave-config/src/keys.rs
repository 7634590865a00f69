//! The one table of keys: what exists, of which kind, with which default, and whether this version can carry it out.

/// A table of the file: `[limits]`, or a kind of named tables: `[services.NAME]`.
pub(crate) struct Section {
    /// The key at the top of the file.
    pub(crate) name: &'static str,
    /// True for `[name.ENTRY]`: each entry has the keys below.
    pub(crate) named: bool,
    pub(crate) required: bool,
    pub(crate) available: bool,
    pub(crate) doc: &'static str,
    pub(crate) keys: &'static [Key],
}

/// A key of a section.
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) presence: Presence,
    pub(crate) doc: &'static str,
}

pub(crate) enum Presence {
    Required,
    Optional,
    /// Absent means this value, written as it would stand in the file.
    Default(&'static str),
}

/// What a key's value looks like.
pub(crate) enum Kind {
    Url,
    /// Database name to URL.
    UrlMap,
    /// A name of `[databases]`.
    Database,
    /// `database/schema`.
    Home,
    Homes,
    Patterns,
    Table,
    Role,
    Choice(&'static [Choice]),
    /// Table to replica identity.
    IdentityMap,
    /// A name by the rule of services' names.
    Name,
    /// Name of the old server to name of the new one.
    NameMap,
    /// A folder's path.
    Folder,
    Duration,
    Size,
    Count {
        min: i64,
        max: i64,
    },
    Commands,
    /// `{ admin, databases, config }` of a PgBouncer.
    Pooler,
    /// `ADDRESS:PORT`, or `off`.
    Listen,
    /// `{ service, reached_by }` of a split.
    SplitTargets,
    /// One of the choices, or the name of a service.
    ChoiceOrService(&'static [Choice]),
}

pub(crate) struct Choice {
    pub(crate) value: &'static str,
    pub(crate) doc: &'static str,
}

const fn now(value: &'static str, doc: &'static str) -> Choice {
    Choice { value, doc }
}

const fn key(name: &'static str, kind: Kind, presence: Presence, doc: &'static str) -> Key {
    Key { name, kind, presence, doc }
}

pub(crate) const BRIDGES: &[Choice] = &[
    now("forward", "reads and writes go to the new home through `postgres_fdw`"),
    now("local", "reads come from the copy, writes go to the new home; needs `copies`"),
    now(
        "none",
        "reads come from the copy, writes fail with an error that names the new home; needs `copies`",
    ),
    now("view", "home in the same database: `search_path`, and an updatable view under the old name"),
    now("path", "home in the same database: `search_path` alone"),
];

pub(crate) const GUARDS: &[Choice] = &[
    now(
        "auto",
        "made where Cleave connects as a superuser, which event triggers need; removed by `complete`",
    ),
    now("off", "never made"),
];

pub(crate) const FAILOVER_SLOTS: &[Choice] = &[
    now("off", "slots end with the server: after a promotion the copy is made anew"),
    now(
        "on",
        "standbys that synchronize slots keep copies, and streams go on after a promotion; needs PostgreSQL 17",
    ),
];

pub(crate) const ON_DDL: &[Choice] = &[
    now("stop", "the stream stops with a problem that names the change"),
    now(
        "follow",
        "columns that are added, dropped, renamed or widened before the switch are so at the new home too; any other change stops \
         the stream",
    ),
];

use Presence::{Default, Optional, Required};

pub(crate) const SECTIONS: &[Section] = &[
    Section {
        name: "databases",
        named: true,
        required: true,
        available: true,
        doc: "The databases and how to reach them. The name is this file's own, not the one on the server: a \
              lower-case letter, then letters, digits and `_`, at most 24 characters.",
        keys: DATABASE_KEYS,
    },
    Section {
        name: "services",
        named: true,
        required: true,
        available: true,
        doc: "A service: the tables it owns and where they shall live. The name follows the same rule as a \
              database's: it becomes part of slot, publication and role names.",
        keys: SERVICE_KEYS,
    },
    Section {
        name: "splits",
        named: true,
        required: false,
        available: true,
        doc: "One table becomes several inside its database; a row goes to the service that owns it. Verbs take a split's \
              name as they take a service's, so it follows the same rule, and no service may have it.",
        keys: SPLIT_KEYS,
    },
    Section {
        name: "upgrade",
        named: false,
        required: false,
        available: true,
        doc: "A whole database goes to a new server or version, with unchanged names. The verbs take it by its `name`, as they \
              take a service.",
        keys: UPGRADE_KEYS,
    },
    Section {
        name: "limits",
        named: false,
        required: false,
        available: true,
        doc: "What Cleave may take of time, locks, connections and memory.",
        keys: LIMIT_KEYS,
    },
    Section {
        name: "hooks",
        named: false,
        required: false,
        available: true,
        doc: "Shell commands around a cutover or rollback, run in order in the folder of the file.",
        keys: HOOK_KEYS,
    },
    Section {
        name: "server",
        named: false,
        required: false,
        available: true,
        doc: "What `cleave run` answers to probes and to a collector of metrics.",
        keys: SERVER_KEYS,
    },
];

const DATABASE_KEYS: &[Key] = &[
    key(
        "url",
        Kind::Url,
        Required,
        "Connection string, or where it comes from: `env:NAME` (environment variable), `file:PATH` (first line of a \
         file), `cmd:COMMAND` (first line that a shell command prints). These keep passwords out of the file.",
    ),
    key(
        "url_from",
        Kind::UrlMap,
        Optional,
        "How another database's *server* reaches this one, by that database's name; for bridges, where it differs \
         from `url`.",
    ),
    key(
        "failover_slots",
        Kind::Choice(FAILOVER_SLOTS),
        Default("\"off\""),
        "Whether slots made in this database from now on survive the promotion of a standby.",
    ),
];

const SERVICE_KEYS: &[Key] = &[
    key("home", Kind::Home, Required, "Where the tables shall live: the only place that accepts writes."),
    key(
        "tables",
        Kind::Patterns,
        Required,
        "The tables, as `schema.table`; `*` stands for any run of characters. Two services may not claim one table.",
    ),
    key(
        "from",
        Kind::Database,
        Optional,
        "The database that has the tables now. Default: the first of `[databases]`.",
    ),
    key(
        "owner",
        Kind::Role,
        Optional,
        "Role that owns the schema at the home and its tables. Default: the role Cleave connects as; with a home in the \
         same database tables keep their owners then.",
    ),
    key(
        "copies",
        Kind::Homes,
        Optional,
        "Where a read-only copy stays, kept current by a stream: joins, views and references keep working. In this \
         version: one schema of the database that the tables come from.",
    ),
    key(
        "bridge",
        Kind::Choice(BRIDGES),
        Default("\"forward\""),
        "What the old names lead to after the switch. Default where the home is in the same database: `view`.",
    ),
    key(
        "reader",
        Kind::Role,
        Optional,
        "Home in the same database: a role that may read the service's tables, those of later too. Made where it does \
         not exist.",
    ),
    key(
        "guard",
        Kind::Choice(GUARDS),
        Default("\"auto\""),
        "Home in the same database: an event trigger that answers `ALTER TABLE` and the like under an old name with the \
         new name.",
    ),
    key(
        "on_ddl",
        Kind::Choice(ON_DDL),
        Default("\"stop\""),
        "What a change of structure does between prepare and complete.",
    ),
    key(
        "identity",
        Kind::IdentityMap,
        Optional,
        "What Cleave may set as replica identity, by table: `full`, or `index:NAME` for a unique index over columns \
         that are not null.",
    ),
    key(
        "pgbouncer",
        Kind::Pooler,
        Optional,
        "A PgBouncer whose clients follow the service to its home. `admin`: connection string of its admin console. \
         `databases`: names in its `[databases]`, each with a line of its own. `config`: the file with these lines. A \
         switch holds their clients back (PAUSE), points the lines at the new home, reloads and lets them go on.",
    ),
];

pub(crate) const SHARED: &[Choice] = &[
    now(
        "copy",
        "each of them gets the row; until `complete` the copies are one row, written in all places at once",
    ),
    now(
        "refuse",
        "the split is refused, and after the switch a reference that would share a row is an error",
    ),
];

pub(crate) const ORPHANS: &[Choice] = &[
    now(
        "refuse",
        "`apply` is refused while there are such rows, and `complete` while rows wait for a first reference",
    ),
    now("keep", "they stay under the old name, in a table that holds nothing else after `complete`"),
];

pub(crate) const SPLIT_BRIDGES: &[Choice] = &[
    now("none", "`complete` removes the old name; what cannot do without it is named first"),
    now(
        "view",
        "`complete` leaves a view over the parts under the old name, which can also be written through",
    ),
];

const SPLIT_KEYS: &[Key] = &[
    key("table", Kind::Table, Required, "The table that is split."),
    key(
        "from",
        Kind::Database,
        Optional,
        "The database that has the table. Default: the first of `[databases]`.",
    ),
    key(
        "into",
        Kind::SplitTargets,
        Required,
        "The services, and the columns through which each reaches its rows: foreign keys to the table. A part stands in \
         the schema of its service's `home`, which is in the same database, under the table's name.",
    ),
    key("shared", Kind::Choice(SHARED), Default("\"refuse\""), "A row that several services reach."),
    key(
        "orphans",
        Kind::ChoiceOrService(ORPHANS),
        Default("\"refuse\""),
        "A row that no service reaches; or the name of the service that takes it.",
    ),
    key(
        "bridge",
        Kind::Choice(SPLIT_BRIDGES),
        Default("\"none\""),
        "What `complete` leaves under the old name.",
    ),
];

const UPGRADE_KEYS: &[Key] = &[
    key("from", Kind::Database, Required, "The database to upgrade."),
    key("to", Kind::Database, Required, "The database on the new server; it has to be empty."),
    key(
        "name",
        Kind::Name,
        Default("\"upgrade\""),
        "What verbs, slots, publications and origins call it. Databases of one server that are upgraded at the same time need \
         different names.",
    ),
    key(
        "identity",
        Kind::IdentityMap,
        Optional,
        "What Cleave may set as replica identity, by table, as for a service.",
    ),
    key(
        "tablespaces",
        Kind::NameMap,
        Optional,
        "Tablespaces of the old server that the new one lacks, and what takes their place there: \
         `{ fast = \"pg_default\" }`.",
    ),
    key(
        "pgbouncer",
        Kind::Pooler,
        Optional,
        "The pooler whose clients follow the database to its home, as for a service.",
    ),
    key(
        "client_tools",
        Kind::Folder,
        Optional,
        "Folder with the `pg_dump` to use. Default: the newest of `PATH` and the places of Debian and Red Hat that fits both \
         servers.",
    ),
];

const LIMIT_KEYS: &[Key] = &[
    key(
        "write_pause",
        Kind::Duration,
        Default("\"500ms\""),
        "How long writers may wait in a cutover or rollback; past it, it undoes itself.",
    ),
    key(
        "lock_timeout",
        Kind::Duration,
        Default("\"100ms\""),
        "How long one attempt at a lock may stand in a queue.",
    ),
    key("lock_budget", Kind::Duration, Default("\"10min\""), "How long attempts at a lock go on altogether."),
    key(
        "snapshot_age",
        Kind::Duration,
        Default("\"1h\""),
        "How old the snapshot of a copy may get, as it holds back vacuum, before a new one is taken.",
    ),
    key(
        "chunk",
        Kind::Size,
        Default("\"256MB\""),
        "A table of at least four times this size is copied in parts of about this size, several at once.",
    ),
    key(
        "giant",
        Kind::Size,
        Default("\"100GB\""),
        "A table of at least this size is copied in ranges of its key, about eight for each such size. A range that is copied \
         stays, whatever happens; the others may be read in later snapshots.",
    ),
    key(
        "copy_rate",
        Kind::Size,
        Optional,
        "How much the workers of a copy may read per second, all together. Default: as fast as it goes. `apply --max-rate` \
         goes before it.",
    ),
    key(
        "warm_up",
        Kind::Duration,
        Optional,
        "How long tables and indexes of the new home are read before a switch, so that its first statements find them in \
         memory. Nobody waits for it. Default: not at all. `cutover --warm-up` goes before it.",
    ),
    key(
        "copy_max_lag",
        Kind::Size,
        Optional,
        "A copy between databases pauses while a standby, or a slot that somebody else reads, is further behind the source \
         than this. `apply --max-lag` goes before it. Default: never.",
    ),
    key(
        "copy_max_sessions",
        Kind::Count { min: 1, max: 100_000 },
        Optional,
        "A copy between databases pauses while more sessions than this execute a statement on the source. `apply \
         --max-sessions` goes before it. Default: never.",
    ),
    key(
        "copy_max_target_log",
        Kind::Size,
        Optional,
        "A copy between databases pauses while the target keeps more log than this for its slots or its archive, so that \
         they do not fill its disk. `apply --max-target-log` goes before it. Default: never.",
    ),
    key("verify_max_age", Kind::Duration, Default("\"24h\""), "How old a verification may be at a cutover."),
    key(
        "verify_every",
        Kind::Duration,
        Optional,
        "From the first clean verification on, `cleave run` compares again so long after each one, and closes the gate of \
         the cutover when rows differ. Default: only when asked.",
    ),
    key(
        "verify_max_lag",
        Kind::Size,
        Optional,
        "A comparison pauses while a standby or a slot in use is further behind the home than this. Default: never.",
    ),
    key(
        "verify_max_sessions",
        Kind::Count { min: 1, max: 100_000 },
        Optional,
        "A comparison pauses while more sessions than this execute a statement at the home. Default: never.",
    ),
    key(
        "jobs",
        Kind::Count { min: 1, max: 64 },
        Default("4"),
        "Connections that copy or verify at once, for each service.",
    ),
    key("memory", Kind::Size, Default("\"256MB\""), "How much of the changes Cleave holds in memory."),
    key(
        "spool",
        Kind::Size,
        Default("\"8GB\""),
        "How much disk, in the folder for temporary files, each stream may take for large transactions that are still in \
         progress at its source. Past it, or with `\"0\"`, the source keeps them until they commit.",
    ),
];

const HOOK_KEYS: &[Key] = &[
    key(
        "before_switch",
        Kind::Commands,
        Optional,
        "Run before the first lock of a cutover or rollback; a command that fails stops it and nothing has changed.",
    ),
    key(
        "in_pause",
        Kind::Commands,
        Optional,
        "Run while writers wait, before the switch is decided: `write_pause` covers them too, and one that fails undoes \
         the switch.",
    ),
    key("after_switch", Kind::Commands, Optional, "Run after a cutover or rollback is done."),
    key(
        "limit",
        Kind::Duration,
        Default("\"60s\""),
        "How long the commands of one of these lists may take together; past it they are killed, and have failed.",
    ),
];

const SERVER_KEYS: &[Key] = &[key(
    "listen",
    Kind::Listen,
    Default("\"127.0.0.1:9732\""),
    "Address and port for `/healthz`, `/readyz` and `/metrics`, or `off`. It is not encrypted and asks nobody who they \
     are, so it names no row and no password; give it an address that others reach only where they may read this.",
)];

/// The section of that name.
pub(crate) fn section(name: &str) -> Option<&'static Section> {
    SECTIONS.iter().find(|section| section.name == name)
}

impl Section {
    /// `[services.NAME]` or `[limits]`.
    pub(crate) fn header(&self) -> String {
        if self.named { format!("[{}.NAME]", self.name) } else { format!("[{}]", self.name) }
    }
}
