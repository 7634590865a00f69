//! The move of a service's tables into a schema of their own, in the same database: the plan as a value.
//!
//! Nothing is copied and nothing streams: rows, keys and OIDs stay, names change. [`draft`] makes the plan, [`refuse`]
//! says what stands against it, [`paths`] decides about `search_path`, [`script`] writes the statements.

mod crossings;
mod draft;
mod functions;
mod paths;
mod refuse;
mod script;

pub use draft::{Observation, plan_schema_move};
pub use functions::{FunctionBack, FunctionChange, functions_back};
pub use paths::{PathChange, lacking_paths, restored_paths};

use crate::{Crossing, Finding, Name, Weight};
use cleave_model::{Ident, QualifiedName};
use serde::{Deserialize, Serialize};

/// What keeps the old names alive until `complete`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NameLayer {
    /// `search_path`, and an updatable view under each old name.
    View,
    /// `search_path` alone.
    Path,
}

impl NameLayer {
    /// As in cleave.toml.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::View => "view",
            Self::Path => "path",
        }
    }
}

/// A table of the move.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelocatedTable {
    /// It stays the same.
    pub oid: u32,
    /// The old name.
    pub from: Name,
    /// The new name.
    pub to: Name,
    /// Its owner before the move.
    pub owner: String,
    /// True for a partition of another table of the move.
    pub is_partition: bool,
    /// The primary key's columns.
    pub key: Vec<String>,
    /// Estimated rows.
    pub rows: u64,
    /// Heap and index bytes.
    pub bytes: u64,
}

/// A sequence of the move.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelocatedSequence {
    /// The old name.
    pub from: Name,
    /// The new name.
    pub to: Name,
    /// True if a column owns it: it moves with its table. Others keep their name until `complete`.
    pub owned: bool,
}

/// SQL in the order of use. Each list is one transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchemaScript {
    /// `apply`: roles, schema, privileges, search paths.
    pub prepare: Vec<String>,
    /// `cutover`, after the locks.
    pub cutover: Vec<String>,
    /// `rollback`, after the locks.
    pub rollback: Vec<String>,
    /// `complete`.
    pub complete: Vec<String>,
    /// `cancel`, after the search paths.
    pub cancel: Vec<String>,
}

/// The plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchemaPlan {
    /// [`SchemaPlan::KIND`]: tells it from a live move's.
    pub kind: String,
    /// [`crate::PLAN_VERSION`].
    pub version: u32,
    /// The service.
    pub service: String,
    /// The database, as named in cleave.toml.
    pub database: String,
    /// The schema that the tables move to.
    pub schema: String,
    /// What keeps the old names alive.
    pub layer: NameLayer,
    /// Who owns schema and tables afterwards.
    pub owner_role: Option<String>,
    /// Who may read them.
    pub reader_role: Option<String>,
    /// Roles that `apply` makes.
    pub made_roles: Vec<String>,
    /// True if event triggers guard the old names.
    pub guarded: bool,
    /// Tables, parents before partitions.
    pub tables: Vec<RelocatedTable>,
    /// Sequences that the tables read.
    pub sequences: Vec<RelocatedSequence>,
    /// Search paths that `apply` changes.
    pub paths: Vec<PathChange>,
    /// Functions that are made anew at the cutover.
    pub functions: Vec<FunctionChange>,
    /// What leaves the boundary.
    pub crossings: Vec<Crossing>,
    /// Findings, refusals first.
    pub findings: Vec<Finding>,
    /// SQL.
    pub script: SchemaScript,
    /// `cleave_pg::fingerprint` of the tables when the plan was made; filled in by the caller that reads the catalogs.
    pub fingerprint: String,
}

impl SchemaPlan {
    /// The kind, as stored.
    pub const KIND: &'static str = "schema";

    /// True if `apply` will not start.
    pub fn is_refused(&self) -> bool {
        self.findings.iter().any(|finding| finding.weight == Weight::Refusal)
    }

    /// True if both do the same to the same objects; sizes and findings are about the moment.
    pub fn does_the_same_as(&self, other: &Self) -> bool {
        let lasting = |plan: &Self| {
            let mut plan = Self { findings: Vec::new(), ..plan.clone() };
            plan.tables.iter_mut().for_each(|table| (table.rows, table.bytes) = (0, 0));
            plan
        };
        lasting(self) == lasting(other)
    }

    /// OIDs of the tables, sorted: what the fingerprint is taken of.
    pub fn oids(&self) -> Vec<u32> {
        let mut oids: Vec<u32> = self.tables.iter().map(|table| table.oid).collect();
        oids.sort_unstable();
        oids
    }

    /// The new schema as an identifier.
    pub fn new_schema(&self) -> Ident {
        Ident::new(self.schema.as_str())
    }

    /// The schemas that the tables come from.
    pub fn old_schemas(&self) -> Vec<Ident> {
        let mut schemas: Vec<Ident> =
            self.tables.iter().map(|table| Ident::new(table.from.schema.as_str())).collect();
        schemas.sort();
        schemas.dedup();
        schemas
    }

    /// Old names of the tables.
    pub fn old_names(&self) -> Vec<QualifiedName> {
        self.tables.iter().map(|table| table.from.qualified()).collect()
    }

    /// New names of the tables.
    pub fn new_names(&self) -> Vec<QualifiedName> {
        self.tables.iter().map(|table| table.to.qualified()).collect()
    }
}
