//! What applications do with a database, as values: statements with the tables they touch, and transactions.
//!
//! Filled from `pg_stat_statements`, from server logs or from the write-ahead log; no value of a row stands in it.

use crate::QualifiedName;
use std::collections::BTreeSet;

/// Everything that was seen, from all sources together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Workload {
    /// Where it was seen, as a phrase for people: `pg_stat_statements since 2026-11-01`, `2 log files`.
    pub sources: Vec<String>,
    /// Statements, each text once per role.
    pub statements: Vec<Statement>,
    /// Transactions that touched tables, equal ones counted together.
    pub transactions: Vec<Transaction>,
    /// Statements that could not be read: the text without its constants, and how often it was seen.
    pub unread: Vec<(String, u64)>,
}

/// A statement as it was seen, its constants replaced.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Statement {
    /// `pg_stat_statements.queryid`, or a hash of the text where the source has none.
    pub id: String,
    /// The text, constants as `$1`, `$2`.
    pub text: String,
    /// Who sent it, where the source says so.
    pub role: Option<String>,
    /// How often it was executed.
    pub calls: u64,
    /// Time spent in it altogether, in milliseconds; 0 where the source does not say.
    pub total_ms: f64,
    /// Tables that it touches, partitions as their root, names resolved for the role's `search_path`.
    pub tables: Vec<TableUse>,
    /// Functions that it calls by name.
    pub functions: BTreeSet<QualifiedName>,
    /// Sequences that it names (`nextval('s')`).
    pub sequences: BTreeSet<QualifiedName>,
    /// Features that not every layer of compatibility carries.
    pub traits: BTreeSet<StatementTrait>,
}

/// How a statement touches a table or view.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TableUse {
    /// The table or view.
    pub table: QualifiedName,
    /// True if the text named the schema.
    pub qualified: bool,
    /// True if rows of it are read.
    pub reads: bool,
    /// True if rows of it are inserted, updated or deleted.
    pub writes: bool,
}

/// What a statement does that a view or a foreign table may not carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StatementTrait {
    /// `INSERT ... ON CONFLICT (columns)`.
    OnConflictColumns,
    /// `INSERT ... ON CONFLICT ON CONSTRAINT name`.
    OnConflictConstraint,
    /// `INSERT ... ON CONFLICT DO NOTHING`, whatever the conflict.
    OnConflictWithoutTarget,
    /// `MERGE`.
    Merge,
    /// `SELECT ... FOR UPDATE` or `FOR SHARE` and their weaker forms.
    RowLock,
    /// `SKIP LOCKED`.
    SkipLocked,
    /// `TRUNCATE`.
    Truncate,
    /// `COPY table FROM`.
    CopyFrom,
    /// `COPY table TO`.
    CopyTo,
    /// `LOCK TABLE`.
    LockTable,
    /// `RETURNING`.
    Returning,
    /// `WHERE CURRENT OF`.
    CurrentOf,
    /// `ctid`, `xmin`, `tableoid` and other system columns.
    SystemColumn,
    /// DDL on the table: `ALTER`, `CREATE INDEX`, `DROP`, `COMMENT`, `GRANT`.
    Ddl,
    /// `VACUUM`, `ANALYZE`, `CLUSTER`, `REINDEX`.
    Maintenance,
}

/// Transactions that touched the same tables in the same way.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Transaction {
    /// Tables read but not written; empty where the source sees writes only.
    pub read: BTreeSet<QualifiedName>,
    /// Tables written.
    pub written: BTreeSet<QualifiedName>,
    /// How many of them were seen.
    pub count: u64,
}
