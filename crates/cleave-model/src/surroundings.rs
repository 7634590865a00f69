//! What a move inside one database has to know besides the catalog: search paths, default privileges, what the role
//! that Cleave connects as may do. Values only.

use crate::catalog::Grant;
use crate::{Ident, QualifiedName};

/// A `search_path` that is set for a role, a database, or a role in this database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathSetting {
    /// The role; `None` for a setting of the database.
    pub role: Option<Ident>,
    /// True if it holds in this database only. A setting of the database always does.
    pub here_only: bool,
    /// As stored: `"$user", public`.
    pub path: String,
}

/// An entry of `pg_default_acl` for one schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefaultPrivilege {
    /// The role whose new objects get it.
    pub role: Ident,
    /// The schema.
    pub schema: Ident,
    /// `tables`, `sequences`, `functions` or `types`.
    pub objects: String,
    /// What is granted.
    pub grant: Grant,
}

/// Everything of one database that stands in no catalog value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// The path of a session for which nothing is set.
    pub default_path: String,
    /// What is set.
    pub paths: Vec<PathSetting>,
    /// Default privileges by schema.
    pub default_privileges: Vec<DefaultPrivilege>,
    /// Tables that belong to an extension, and the extension.
    pub extension_tables: Vec<(QualifiedName, Ident)>,
    /// Publications of whole schemas: their name and the schema.
    pub schema_publications: Vec<(Ident, Ident)>,
    /// Publications that name a table, and the table.
    pub published_tables: Vec<(Ident, QualifiedName)>,
    /// Roles that the connected role is a member of, itself among them.
    pub member_of: Vec<Ident>,
    /// The connected role may make roles.
    pub creates_roles: bool,
    /// The connected role may make schemas in the database.
    pub creates_schemas: bool,
    /// The connected role may change settings of the database.
    pub owns_database: bool,
}
