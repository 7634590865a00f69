//! What stands against moving a whole database, from both catalogs and what surrounds them.

use crate::readiness;
use crate::{Finding, Scope};
use cleave_config::{Service, WholeDatabase};
use cleave_model::catalog::{Catalog, Persistence, TableKind};
use cleave_model::{Ident, QualifiedName};
use std::collections::{BTreeMap, BTreeSet};

/// What is to be known of the two servers beside the catalogs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// Extensions that the target's server has, with their versions.
    pub available_extensions: BTreeMap<Ident, Vec<String>>,
    /// Tablespaces that the source database uses, but the default ones.
    pub tablespaces_used: Vec<Ident>,
    /// Tablespaces of the target.
    pub tablespaces_there: BTreeSet<Ident>,
    /// Settings of roles and of the database that the target does not know: `role app: setting`.
    pub unknown_settings: Vec<String>,
    /// Logical slots of others in the source database.
    pub consumers: Vec<String>,
    /// Foreign servers of the source database.
    pub foreign_servers: Vec<Ident>,
    /// Tables of extensions that hold rows of users: `spatial_ref_sys of postgis`.
    pub extension_tables: Vec<String>,
    /// Open moves in either database: `films in old`.
    pub open_moves: Vec<String>,
    /// Large objects of the source.
    pub large_objects: u64,
    /// What transactions can lock on each side, by the database's name in cleave.toml.
    pub lock_room: Vec<LockRoom>,
    /// Owners in the source that the target's role cannot act as.
    pub owners_out_of_reach: Vec<Ident>,
    /// Roles of the source that the target lacks and that its role may not make.
    pub roles_out_of_reach: Vec<Ident>,
    /// True if pg_dump is newer than the target.
    pub newer_dump: Option<String>,
}

/// How many objects transactions of a server can lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockRoom {
    /// The database, as cleave.toml names it.
    pub database: String,
    /// `max_locks_per_transaction`.
    pub per_transaction: u64,
    /// `max_connections` and `max_prepared_transactions` together.
    pub transactions: u64,
}

/// Everything that can be said before the copy.
pub fn upgrade_findings(
    service: &Service,
    whole: &WholeDatabase,
    (source, target): (&Catalog, &Catalog),
    around: &Surroundings,
) -> Vec<Finding> {
    let scope = Scope::whole(source);
    let mut findings = readiness::servers(source, target);
    findings.extend(older(source, target));
    for table in &scope.tables {
        findings.extend(readiness::identity(table, service));
        findings.extend(readiness::triggers(table, &scope));
    }
    findings.extend(crate::readiness::published(&scope, Some(target), service));
    findings.extend(kinds(source));
    findings.extend(occupied(target));
    findings.extend(replication(source, around));
    findings.extend(extensions(source, around));
    findings.extend(tablespaces(whole, around));
    findings.extend(roles(around, target));
    findings.extend(outside(source, around));
    findings.extend(large_objects((source, target), around));
    findings.extend(locks(&scope, around));
    findings
}

fn older(source: &Catalog, target: &Catalog) -> Option<Finding> {
    let (from, to) = (source.facts.major(), target.facts.major());
    let message = format!(
        "it is PostgreSQL {to}, and the source is {from}: the schema of a newer version is not promised to \
                           load into an older one"
    );
    (to < from).then(|| Finding::refusal("C1220", format!("database {}", target.facts.database), message))
}

/// Tables that pg_dump carries, but whose rows no stream brings.
fn kinds(source: &Catalog) -> Vec<Finding> {
    let mut findings = Vec::new();
    for table in &source.tables {
        if table.persistence == Persistence::Unlogged {
            let message = "it is unlogged: its definition is carried, its rows are not, as their changes are not in the log";
            let fix = format!("alter table {} set logged; -- if its rows matter", table.name.quoted());
            findings.push(Finding::warning("C1208", &table.name, message).fix(fix));
        }
        if table.kind == TableKind::Foreign && table.partition_of.is_some() {
            let message =
                "it is a foreign table and a partition: rows that go to it are not in this database's log";
            findings.push(
                Finding::refusal("C0206", &table.name, message).fix("detach it for the time of the upgrade"),
            );
        }
    }
    findings
}

/// What the upgrade makes must be all there is, or its end could not be told from its beginning.
fn occupied(target: &Catalog) -> Option<Finding> {
    let tables = target.tables.iter().map(|table| format!("table {}", table.name));
    let views = target.views.iter().map(|view| format!("view {}", view.name));
    let sequences = target.sequences.iter().map(|sequence| format!("sequence {}", sequence.name));
    let types = target.types.iter().map(|user_type| format!("type {}", user_type.name));
    let functions = target.functions.iter().map(|function| format!("function {}", function.name));
    let mut names: Vec<String> = tables.chain(views).chain(sequences).chain(types).chain(functions).collect();
    if names.is_empty() {
        return None;
    }
    names.sort();
    let more = names.len().saturating_sub(5);
    names.truncate(5);
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    let message = format!("it is not empty: {}{rest}", names.join(", "));
    Some(Finding::refusal("C0216", format!("database {}", target.facts.database), message))
}

/// Moves, subscriptions and readers that depend on where the database is.
fn replication(source: &Catalog, around: &Surroundings) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    for open in &around.open_moves {
        let message = "its move is open or its copy is kept current: end it before the database itself moves";
        findings.push(Finding::refusal("C1206", format!("service {open}"), message));
    }
    for subscription in &source.subscriptions {
        let name = subscription.name.quoted();
        let message = "its publisher would go on writing to the old server after the cutover";
        let fix = format!(
            "alter subscription {name} disable; alter subscription {name} set (slot_name = none); drop subscription {name};"
        );
        findings.push(Finding::refusal("C1200", format!("subscription {name}"), message).fix(fix));
    }
    for slot in &around.consumers {
        let message = "somebody reads changes through it; a slot does not move: after the cutover its reader needs one on the \
                       new server";
        findings.push(Finding::warning("C1209", format!("replication slot {slot}"), message));
    }
    findings
}

fn extensions(source: &Catalog, around: &Surroundings) -> Vec<Finding> {
    let mut findings = Vec::new();
    for extension in source.extensions.iter().filter(|extension| extension.name.as_str() != "plpgsql") {
        let object = format!("extension {}", extension.name);
        match around.available_extensions.get(&extension.name) {
            None => {
                let message = "the target's server does not have it";
                let fix = format!("install the package of {} on the target's host", extension.name);
                findings.push(Finding::refusal("C1203", object, message).fix(fix));
            }
            Some(versions) if !versions.contains(&extension.version) => {
                let message = format!(
                    "the source has version {}, the target's server has {}: its default version is installed",
                    extension.version,
                    versions.join(", ")
                );
                findings.push(Finding::warning("C1203", object, message));
            }
            Some(_) => {}
        }
    }
    findings
}

fn tablespaces(whole: &WholeDatabase, around: &Surroundings) -> Vec<Finding> {
    let used = around.tablespaces_used.iter();
    let missing = used.filter(|name| {
        let there = whole.tablespaces.get(*name).unwrap_or(name);
        there.as_str() != "pg_default" && !around.tablespaces_there.contains(there)
    });
    missing
        .map(|name| {
            let message = match whole.tablespaces.get(name) {
                Some(there) => {
                    format!("cleave.toml puts {there} in its place, which the target does not have either")
                }
                None => "the target does not have it".to_owned(),
            };
            let fix = format!("[upgrade] tablespaces = {{ {:?} = \"pg_default\" }}", name.as_str());
            Finding::refusal("C1205", format!("tablespace {name}"), message).fix(fix)
        })
        .collect()
}

fn roles(around: &Surroundings, target: &Catalog) -> Vec<Finding> {
    let me = Ident::new(target.facts.role.as_str());
    let make = around.roles_out_of_reach.iter().map(|role| {
        let message = format!("the target lacks it, and role {me} may not make it there");
        Finding::refusal("C1204", format!("role {role}"), message)
            .fix(format!("create role {};", role.quoted()))
    });
    let act = around.owners_out_of_reach.iter().map(|role| {
        let message = format!("it owns objects, and role {me} cannot act as it on the target");
        let fix = format!("grant {} to {};", role.quoted(), me.quoted());
        Finding::refusal("C1204", format!("role {role}"), message).fix(fix)
    });
    let settings = around.unknown_settings.iter().map(|setting| {
        Finding::warning("C1213", setting, "the target does not know this setting; it is left out")
    });
    make.chain(act).chain(settings).collect()
}

/// What is carried as it stands, and depends on something outside.
fn outside(source: &Catalog, around: &Surroundings) -> Vec<Finding> {
    let mut findings = Vec::new();
    for server in &around.foreign_servers {
        let message =
            "it is carried with its options and user mappings; see that the new host reaches what it names";
        findings.push(Finding::warning("C1214", format!("foreign server {server}"), message));
    }
    for table in &around.extension_tables {
        let message =
            "it belongs to an extension, which fills it on the target; rows of yours in it are not carried";
        findings.push(Finding::warning("C1215", format!("table {table}"), message));
    }
    for trigger in &source.event_triggers {
        let message = "it is carried last; on the source it fires for what Cleave makes there";
        findings.push(Finding::note("C1216", format!("event trigger {}", trigger.name), message));
    }
    for view in source.views.iter().filter(|view| view.materialized) {
        let message =
            "it is refreshed on the target after the copy, and again before each cutover and rollback";
        findings.push(Finding::note("C1217", format!("materialized view {}", view.name), message));
    }
    if let Some(version) = &around.newer_dump {
        let message = "it is newer than the target; settings that the target does not know are left out of what it writes";
        findings.push(Finding::note("C1219", version, message));
    }
    findings
}

fn large_objects((source, target): (&Catalog, &Catalog), around: &Surroundings) -> Option<Finding> {
    if around.large_objects == 0 {
        return None;
    }
    let object = format!("database {}", source.facts.database);
    let count = around.large_objects;
    let objects = if count == 1 { "1 large object".to_owned() } else { format!("{count} large objects") };
    Some(if source.facts.superuser && target.facts.superuser {
        let message = format!(
            "it has {objects}: they are not in the stream, and are compared and copied again while writers wait"
        );
        Finding::warning("C1207", object, message)
    } else {
        let message = format!("it has {objects}, which only superusers can compare on both sides");
        Finding::refusal("C1207", object, message)
            .fix("connect as superusers, or move the data into bytea columns")
    })
}

/// The switch locks every table and sequence in one transaction.
fn locks(scope: &Scope<'_>, around: &Surroundings) -> Vec<Finding> {
    let need = (scope.tables.len() + scope.catalog.sequences.len()) as u64;
    let short =
        around.lock_room.iter().filter(|room| room.per_transaction * room.transactions < need * 5 / 4);
    short
        .map(|room| {
            let per = (need * 5 / 4).div_ceil(room.transactions.max(1));
            let message = format!(
                "the switch locks {need} tables and sequences at once; {} are possible",
                room.per_transaction * room.transactions
            );
            let fix =
                format!("alter system set max_locks_per_transaction = {per}; -- then restart the server");
            Finding::refusal("C1212", format!("database {}", room.database), message).fix(fix)
        })
        .collect()
}

/// Tables of the catalog that the plan does not have: named, so that none is missed.
pub(super) fn unplanned<'c>(
    catalog: &'c Catalog,
    planned: &BTreeSet<QualifiedName>,
) -> Vec<&'c QualifiedName> {
    let tables = catalog.tables.iter().filter(|table| table.kind != TableKind::Foreign);
    tables.map(|table| &table.name).filter(|name| !planned.contains(*name)).collect()
}
