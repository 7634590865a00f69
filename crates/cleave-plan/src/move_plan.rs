//! The plan of a live move as a value: what `plan` shows, `-o` saves, `apply` runs and the journal keeps.

use crate::Finding;
use cleave_model::{Ident, Oid, QualifiedName};
use serde::{Deserialize, Serialize};

/// Version of the stored form; raised when a field changes its meaning.
pub const PLAN_VERSION: u32 = 1;

/// `schema` and `name`, as stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Name {
    /// Schema.
    pub schema: String,
    /// Name in it.
    pub name: String,
}

impl Name {
    /// As the model has it.
    pub fn qualified(&self) -> QualifiedName {
        QualifiedName::new(self.schema.as_str(), self.name.as_str())
    }
}

impl From<&QualifiedName> for Name {
    fn from(name: &QualifiedName) -> Self {
        Self { schema: name.schema.as_str().to_owned(), name: name.name.as_str().to_owned() }
    }
}

/// What an old name leads to after the switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BridgeKind {
    /// Reads and writes at the new home.
    Forward,
    /// Reads from the copy, writes at the new home.
    Local,
    /// Reads from the copy, writes refused.
    None,
}

/// How updates and deletes find a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RowIdentity {
    /// By these columns, unique and NOT NULL.
    Key(Vec<String>),
    /// By all columns (`REPLICA IDENTITY FULL`).
    Full,
}

/// A column that is copied and followed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedColumn {
    /// `attnum` on the source, which stays when the column is renamed; 0 in plans of earlier versions.
    #[serde(default)]
    pub number: i16,
    /// Name, the same on both sides.
    pub name: String,
    /// `GENERATED ALWAYS AS IDENTITY` on the source.
    pub identity_always: bool,
}

/// A table of the move: claimed, or a partition of a claimed one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedTable {
    /// OID on the source; tables are known by it, as their names change at the switch.
    pub source_oid: u32,
    /// Name on the source when the plan was made.
    pub source: Name,
    /// Name at the new home.
    pub target: Name,
    /// Columns whose values travel (generated ones are computed on each side); empty for a partitioned parent.
    pub columns: Vec<PlannedColumn>,
    /// How rows are found; `None` for a partitioned parent.
    pub identity: Option<RowIdentity>,
    /// Set by `apply` before the publication is made, as cleave.toml allows: `REPLICA IDENTITY ...`.
    pub set_identity: Option<String>,
    /// True for a partition: it is not named in publications' lists of roots and bridges.
    pub is_partition: bool,
    /// Estimated rows.
    pub rows: u64,
    /// Heap and index bytes.
    pub bytes: u64,
    /// True if binary COPY is the same on both sides.
    pub binary: bool,
    /// Set for a giant that is copied in ranges of its key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ranges: Option<PlannedRanges>,
}

/// By what a giant is divided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedRanges {
    /// The first column of its primary key.
    pub column: String,
    /// Its type: [`RangeType::as_str`](cleave_model::RangeType::as_str).
    pub kind: String,
    /// About so many bytes are in a range.
    pub bytes: u64,
}

impl PlannedTable {
    /// True for a table that holds rows itself.
    pub fn holds_rows(&self) -> bool {
        self.identity.is_some()
    }

    /// The same table with these columns, as number and name: those that it knows under another name are renamed, also where
    /// they tell rows apart.
    ///
    /// Returns the names that are others now, the old one first.
    pub fn take_columns<'c>(
        &mut self,
        columns: impl Iterator<Item = (i16, &'c str)>,
    ) -> Vec<(String, String)> {
        let before = std::mem::take(&mut self.columns);
        let known = |number| before.iter().find(|column: &&PlannedColumn| column.number == number);
        let mut renamed = Vec::new();
        self.columns = columns
            .map(|(number, name)| {
                let known = known(number);
                renamed.extend(known.map(|known| (known.name.clone(), name.to_owned())));
                let identity_always = known.is_some_and(|known| known.identity_always);
                PlannedColumn { number, name: name.to_owned(), identity_always }
            })
            .collect();
        if let Some(RowIdentity::Key(key)) = &mut self.identity {
            for own in key {
                if let Some((_, name)) = renamed.iter().find(|(from, _)| from == own) {
                    own.clone_from(name);
                }
            }
        }
        renamed.retain(|(from, to)| from != to);
        renamed
    }

    /// The OID as the model has it.
    pub fn oid(&self) -> Oid {
        Oid(self.source_oid)
    }
}

/// A sequence of the move.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedSequence {
    /// OID on the source.
    pub source_oid: u32,
    /// Name on the source when the plan was made.
    pub source: Name,
    /// Name at the new home.
    pub target: Name,
    /// False for a sequence that counts down.
    pub ascending: bool,
    /// True if a table's column owns it: it follows its table into another schema.
    pub owned: bool,
}

/// A key from a staying table into a moved one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedReference {
    /// As work rows name it: `KEY on SCHEMA.TABLE`.
    pub name: String,
    /// The staying table.
    pub table: Name,
    /// The moved table, under its old name.
    pub referenced: Name,
    /// Referencing column, its type, referenced column.
    pub columns: Vec<(String, String, String)>,
}

/// What leaves the boundary, and what becomes of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Crossing {
    /// `foreign key in`, `foreign key out`, `view`, `materialized view`, `function`, `sequence`.
    pub kind: String,
    /// The object.
    pub object: String,
    /// What becomes of it, in one sentence without a full stop.
    pub outcome: String,
}

/// The indexes of one table at the new home, built when its rows are there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedIndexes {
    /// OID of the table on the source.
    pub source_oid: u32,
    /// `search_path` that the statements need.
    pub search_path: String,
    /// The biggest first; they can be built at the same time.
    pub indexes: Vec<PlannedIndex>,
}

/// How one index is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedIndex {
    /// Its name, and its constraint's.
    pub name: String,
    /// `create index`, or `alter table ... add constraint` where it cannot be had otherwise.
    pub create: String,
    /// Makes the built index a constraint.
    pub constraint: Option<String>,
    /// It keeps rows of a giant apart that may be of different ages: built when the stream has passed all start positions.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub late: bool,
}

/// SQL for the new home, in the order of use. Each list sets `search_path` where it needs to, and leaves it changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetScript {
    /// One transaction: schema, types, sequences, functions, tables without indexes, the closed fence.
    pub prepare: Vec<String>,
    /// With the copy: primary keys and indexes of each table, as soon as its rows are there.
    #[serde(default)]
    pub tables: Vec<PlannedIndexes>,
    /// After the copy, in this order: indexes of partitioned tables and what is attached to them, checks that were never
    /// validated.
    pub indexes: Vec<String>,
    /// Keys inside the set, `NOT VALID`.
    pub foreign_keys: Vec<String>,
    /// Their `VALIDATE`; in any order, and each table's own take turns.
    pub validate: Vec<String>,
    /// After that: keys of partitioned tables, which take over the partitions' keys unread.
    #[serde(default)]
    pub adopt: Vec<String>,
    /// One transaction: triggers, fill triggers, statistics objects, policies, comments, grants, owners.
    pub finish: Vec<String>,
    /// `cancel`, after the tables and their schema: functions in schema `cleave`, and what stands in schemas that the
    /// service's types and functions brought with them.
    #[serde(default)]
    pub cancel: Vec<String>,
}

/// What the plan of an upgrade has beside tables and sequences. Names are the same on both sides, the old side is fenced
/// and stays as it is, and there is neither bridge nor copy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WholeDatabase {
    /// Who wrote the schema: `pg_dump 18.1`.
    pub dumped_by: String,
    /// Unlogged tables: carried without rows, and fenced.
    pub unlogged: Vec<Name>,
    /// Materialized views in the order in which they can be refreshed.
    pub materialized_views: Vec<Name>,
    /// Objects of the target that `cancel` drops, in this order, after tables.
    pub dropped: Vec<String>,
}

/// The plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MovePlan {
    /// [`PLAN_VERSION`].
    pub version: u32,
    /// The service.
    pub service: String,
    /// Database of the old home, as named in cleave.toml.
    pub source: String,
    /// Database of the new home.
    pub target: String,
    /// Schema at the new home.
    pub target_schema: String,
    /// Schema on the source that the old tables move to at the switch.
    pub copy_schema: String,
    /// True if cleave.toml asks for the copy: it stays after `complete`.
    pub copy_kept: bool,
    /// Role that owns the tables at the new home.
    pub owner_role: Option<String>,
    /// What the old names lead to.
    pub bridge: BridgeKind,
    /// Tables, parents before partitions.
    pub tables: Vec<PlannedTable>,
    /// Sequences.
    pub sequences: Vec<PlannedSequence>,
    /// What leaves the boundary.
    pub crossings: Vec<Crossing>,
    /// Findings, refusals first.
    pub findings: Vec<Finding>,
    /// Keys from staying tables into moved ones: watched references after the switch.
    pub references: Vec<PlannedReference>,
    /// Roles that Cleave logs in as at the source and at the target: the appliers that the fences let through.
    pub applier_roles: [String; 2],
    /// SQL for the new home.
    pub script: TargetScript,
    /// SQL for the source before the copy: replica identities and the publication.
    pub publication: Vec<String>,
    /// SQL for the new home before the way back is made: its publication.
    pub way_back: Vec<String>,
    /// Set for an upgrade: everything moves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whole: Option<WholeDatabase>,
    /// `cleave_pg::fingerprint` of the moved tables on the source when the plan was made; filled in by the caller
    /// that reads the catalogs.
    pub fingerprint: String,
}

impl MovePlan {
    /// True if `apply` will not start.
    pub fn is_refused(&self) -> bool {
        self.findings.iter().any(|finding| finding.weight == crate::Weight::Refusal)
    }

    /// True if both do the same to the same objects. Sizes and findings are about the moment a plan was made in: while
    /// applications write, they differ from one look to the next.
    pub fn does_the_same_as(&self, other: &Self) -> bool {
        let lasting = |plan: &Self| {
            let mut plan = Self { findings: Vec::new(), ..plan.clone() };
            for table in &mut plan.tables {
                (table.rows, table.bytes) = (0, 0);
                // So is which tables are giants.
                table.ranges = None;
            }
            // They stand in the order of their sizes.
            for table in &mut plan.script.tables {
                table.indexes.sort_by(|a, b| a.name.cmp(&b.name));
                table.indexes.iter_mut().for_each(|index| index.late = false);
            }
            plan
        };
        lasting(self) == lasting(other)
    }

    /// Tables that hold rows.
    pub fn row_tables(&self) -> impl Iterator<Item = &PlannedTable> {
        self.tables.iter().filter(|table| table.holds_rows())
    }

    /// Source OIDs of all moved tables, sorted: what the fingerprint is taken of.
    pub fn source_oids(&self) -> Vec<u32> {
        let mut oids: Vec<u32> = self.tables.iter().map(|table| table.source_oid).collect();
        oids.sort_unstable();
        oids
    }

    /// The name of a table or sequence of the old home while the new one is the home.
    pub fn left_behind(&self, source: &Name) -> QualifiedName {
        match self.whole {
            Some(_) => source.qualified(),
            None => source.qualified().in_schema(&self.copy_schema()),
        }
    }

    /// Target schema as an identifier.
    pub fn target_schema(&self) -> Ident {
        Ident::new(self.target_schema.as_str())
    }

    /// Copy schema as an identifier.
    pub fn copy_schema(&self) -> Ident {
        Ident::new(self.copy_schema.as_str())
    }
}
