//! Schemas, types, functions, roles and the edges between objects.

use crate::{Ident, Oid, QualifiedName};

/// One privilege to one grantee.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grant {
    /// `None` for PUBLIC.
    pub grantee: Option<Ident>,
    /// `SELECT`, `INSERT`, `USAGE`, ...
    pub privilege: String,
    /// `WITH GRANT OPTION`.
    pub grantable: bool,
}

/// A schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema {
    /// Name.
    pub name: Ident,
    /// Owner role.
    pub owner: Ident,
    /// Privileges.
    pub grants: Vec<Grant>,
    /// Comment.
    pub comment: Option<String>,
}

/// What a user-defined type is; texts as the module says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TypeKind {
    /// Labels in order.
    Enum(Vec<String>),
    /// A domain.
    Domain {
        /// The type under it.
        base: String,
        /// `NOT NULL`.
        not_null: bool,
        /// Default expression.
        default: Option<String>,
        /// Collation other than the base type's, quoted and qualified.
        collation: Option<String>,
        /// Name and `pg_get_constraintdef` of each CHECK.
        checks: Vec<(Ident, String)>,
    },
    /// A stand-alone composite type: name, type and collation of each attribute.
    Composite(Vec<(Ident, String, Option<String>)>),
    /// A range type: what stands in the parentheses of its `CREATE TYPE`, from `subtype = ...` on.
    Range(String),
    /// A base type, shell type or other kind that cleave-ddl does not write.
    Other(String),
}

/// A user-defined type (row types of tables and array types left out).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserType {
    /// OID in this database.
    pub oid: Oid,
    /// Name.
    pub name: QualifiedName,
    /// Kind and definition.
    pub kind: TypeKind,
    /// Owner role.
    pub owner: Ident,
    /// Privileges.
    pub grants: Vec<Grant>,
    /// Comment.
    pub comment: Option<String>,
}

/// `pg_proc.prokind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FunctionKind {
    /// A plain function.
    Function,
    /// A procedure.
    Procedure,
    /// An aggregate: has no `pg_get_functiondef`.
    Aggregate,
    /// A window function.
    Window,
}

/// A function or procedure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// OID in this database.
    pub oid: Oid,
    /// Name.
    pub name: QualifiedName,
    /// `pg_get_function_identity_arguments`.
    pub identity_arguments: String,
    /// Kind.
    pub kind: FunctionKind,
    /// `plpgsql`, `sql`, `c`, ...
    pub language: String,
    /// `pg_get_functiondef`, whose name is qualified with its schema; for an aggregate, a `CREATE AGGREGATE`.
    pub definition: String,
    /// `prosrc` for functions whose body is a string; `None` for `BEGIN ATOMIC`.
    pub body: Option<String>,
    /// Result type, as `pg_get_function_result` says it (`trigger` for trigger functions).
    pub result: String,
    /// `SECURITY DEFINER`.
    pub security_definer: bool,
    /// `proconfig`, as `name=value`.
    pub settings: Vec<String>,
    /// Owner role.
    pub owner: Ident,
    /// Privileges; empty when they are the default (EXECUTE to PUBLIC).
    pub grants: Vec<Grant>,
    /// Comment.
    pub comment: Option<String>,
}

/// An installed extension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extension {
    /// Name.
    pub name: Ident,
    /// Installed version.
    pub version: String,
    /// Schema of its objects.
    pub schema: Ident,
}

/// An event trigger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventTrigger {
    /// Name.
    pub name: Ident,
    /// `ddl_command_start`, `ddl_command_end`, `sql_drop`, `table_rewrite`, `login`.
    pub event: String,
}

/// A publication.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publication {
    /// Name.
    pub name: Ident,
    /// `FOR ALL TABLES`.
    pub all_tables: bool,
    /// Its tables, those through schemas included.
    pub tables: Vec<QualifiedName>,
}

/// A native subscription and the tables it writes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// Name.
    pub name: Ident,
    /// Tables of `pg_subscription_rel`.
    pub tables: Vec<QualifiedName>,
}

/// A role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// Name.
    pub name: Ident,
    /// `rolsuper`.
    pub superuser: bool,
    /// `rolcanlogin`.
    pub login: bool,
    /// `rolreplication`.
    pub replication: bool,
    /// `rolbypassrls`.
    pub bypass_rls: bool,
}

/// What an object uses that is no object of the [`Catalog`](super::Catalog).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outside {
    /// A member of an extension, by the extension's name.
    Extension(Ident),
    /// An object of a kind that has no place in the model (an operator, a collation, a text search configuration,
    /// ...), as `pg_describe_object` calls it.
    Other(String),
}

/// An object and what it uses outside the model.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OutsideNeed {
    /// The user.
    pub dependent: ObjectRef,
    /// What it uses.
    pub what: Outside,
}

/// An object that others can depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectRef {
    /// Table, view or sequence.
    Relation(Oid),
    /// Function or procedure.
    Function(Oid),
    /// User-defined type.
    Type(Oid),
}

/// An edge of the dependency graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dependency {
    /// What would break.
    pub dependent: ObjectRef,
    /// What it stands on.
    pub referenced: ObjectRef,
}
