//! What to follow.

use cleave_journal::{Lease, Shape, ShapeColumn};
use cleave_model::{DatabaseName, Direction, Ident, Lsn, Oid, ServiceName, labels};
use cleave_pg::Endpoint;
use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

/// One stream: one slot on one source database, applied to one target.
#[derive(Clone, Debug)]
pub struct FollowSpec {
    /// Whose tables.
    pub service: ServiceName,
    /// Which way; names the origin and the position.
    pub direction: Direction,
    /// The source's name in `cleave.toml`: the stream is armed while the target's owner row names it as home.
    pub source_name: DatabaseName,
    /// The target's name in `cleave.toml`.
    pub target_name: DatabaseName,
    /// Where changes come from.
    pub source: Endpoint,
    /// Where they are applied.
    pub target: Endpoint,
    /// Set for a group of tables that was detached from the stream of this direction, and has its own position and origin.
    pub part: Option<u32>,
    /// The slot to read; its position row must be on the target.
    pub slot: String,
    /// The publication to read.
    pub publication: Ident,
    /// One per table of the stream.
    pub routes: Vec<Route>,
    /// Tables of the publication that this stream leaves to others. Changes of any other table without a route stop
    /// the stream.
    pub left_out: HashSet<Oid>,
    /// Columns that are added, dropped, renamed or widened on the source are so on the target too. Else the stream stops.
    pub follows_columns: bool,
    /// The target's lease, checked in every transaction.
    pub lease: Lease,
    /// Limits and intervals.
    pub options: FollowOptions,
}

impl FollowSpec {
    /// Key in `cleave.position`.
    pub fn stream(&self) -> String {
        let whole = self.whole_stream();
        self.part.map(|part| labels::part_of(&whole, part)).unwrap_or(whole)
    }

    /// Key of what is recorded of the tables, whichever stream follows them.
    pub fn whole_stream(&self) -> String {
        labels::stream(&self.service, self.direction)
    }

    /// Origin of what it writes.
    pub fn origin(&self) -> String {
        let whole = labels::origin(&self.service, self.direction);
        self.part.map(|part| labels::of_part(&whole, part)).unwrap_or(whole)
    }
}

/// Where the changes of one table go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The table on the source, a leaf if partitioned.
    pub source_oid: Oid,
    /// The table on the target. Its name is looked up, as it changes schema at a switch.
    pub target_oid: Oid,
    /// Every published column of the source.
    pub columns: Vec<ColumnRoute>,
    /// What tells one row from another.
    pub identity: Identity,
    /// Changes committed before it are in the copy.
    pub start: Lsn,
}

/// Where the values of one column go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnRoute {
    /// `attnum` on the source, which stays when it is renamed; 0 where it is not known.
    pub number: i16,
    /// Name on the source.
    pub source_name: Ident,
    /// Name on the target.
    pub target_name: Ident,
    /// `generated always as identity` on the target: inserts override, updates leave it alone.
    pub identity_always: bool,
}

impl Route {
    /// The same route when the table's columns on the source have become these; their counterparts are called as they are,
    /// unless they were called otherwise before.
    pub fn reshaped(&self, shape: &Shape) -> Self {
        let before = |column: &ShapeColumn| {
            self.columns.iter().find(|before| {
                before.number == column.number
                    || before.number == 0 && before.source_name.as_str() == column.name
            })
        };
        let mut renamed = HashMap::new();
        let mut columns = Vec::with_capacity(shape.columns.len());
        for column in &shape.columns {
            let (name, before) = (Ident::new(column.name.as_str()), before(column));
            let own = before.filter(|before| before.source_name != before.target_name);
            let target_name = own.map_or_else(|| name.clone(), |before| before.target_name.clone());
            if let Some(before) = before {
                renamed.insert(before.target_name.clone(), target_name.clone());
            }
            columns.push(ColumnRoute {
                number: column.number,
                source_name: name,
                target_name,
                identity_always: before.is_some_and(|before| before.identity_always),
            });
        }
        let identity = match &self.identity {
            Identity::Key(key) => {
                Identity::Key(key.iter().map(|name| renamed.get(name).unwrap_or(name).clone()).collect())
            }
            Identity::Full => Identity::Full,
        };
        Self { columns, identity, ..self.clone() }
    }
}

/// How the row that a change is about is found on the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// By these columns of the target, which a unique index covers and none of which may be null.
    Key(Vec<Ident>),
    /// By all its values (replica identity full): one of the rows that have them.
    Full,
}

/// Limits and intervals of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FollowOptions {
    /// Source transactions in one target transaction, while behind.
    pub batch_transactions_max: usize,
    /// Bytes of changes after which a target transaction takes no further source transaction.
    pub batch_bytes_max: usize,
    /// Age after which a target transaction takes no further source transaction.
    pub batch_age_max: Duration,
    /// Between two heartbeats on the source.
    pub heartbeat_interval: Duration,
    /// Bytes of changes kept between the two sides.
    pub memory_bytes: usize,
    /// Bytes of disk that transactions in progress may take; as much again as `memory_bytes` is kept of them in memory. 0:
    /// the server keeps them and sends them whole.
    pub spool_bytes: u64,
    /// Bytes of one backlog's changes that the source may keep in memory while it decodes them; it writes to disk what
    /// is more. Takes no more than twice the backlog's log.
    pub source_memory_bytes: u64,
    /// A target session that is silent inside a transaction for so long is ended by the server.
    pub idle_limit: Duration,
    /// The longest pause between two attempts to reconnect.
    pub retry_pause_max: Duration,
    /// Values may come in their types' binary forms.
    pub binary: bool,
}

impl Default for FollowOptions {
    fn default() -> Self {
        Self {
            batch_transactions_max: 20_000,
            batch_bytes_max: 16 << 20,
            batch_age_max: Duration::from_millis(500),
            heartbeat_interval: Duration::from_secs(1),
            memory_bytes: 32 << 20,
            spool_bytes: 8 << 30,
            source_memory_bytes: 1 << 30,
            idle_limit: Duration::from_secs(20),
            retry_pause_max: Duration::from_secs(5),
            binary: true,
        }
    }
}
