//! What stands against a move, found before the first byte: refusals and warnings about tables, servers and target.

mod published;

#[cfg(test)]
mod tests;

pub(crate) use self::published::findings as published;
use crate::{Finding, Scope};
use cleave_assess::text::Body;
use cleave_config::{Bridge, IdentityChoice, Service};
use cleave_model::catalog::{
    Catalog, Persistence, ReplicaIdentity, Table, TableKind, Trigger, TriggerFiring,
};
use cleave_model::labels::{FENCE_TRIGGER, TRIGGER_PREFIX};
use cleave_model::{Ident, quote_ident};

/// Everything that can be said from the two catalogs and the config.
pub(crate) fn check(scope: &Scope<'_>, target: &Catalog, service: &Service) -> Vec<Finding> {
    let mut findings = servers(scope.catalog, target);
    findings.extend(table_findings(scope, service, Some(target)));
    findings.extend(target_is_free(target, &service.home.value.schema));
    findings.extend(roles(scope, target, service));
    findings.extend(extensions(scope, target));
    findings
}

/// What can be said of the moved tables, and of what is bound to them, from the source's catalog alone; a little more where
/// the target's is known.
pub fn table_findings(scope: &Scope<'_>, service: &Service, target: Option<&Catalog>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for table in &scope.tables {
        findings.extend(kind(table));
        findings.extend(partition(table, scope));
        findings.extend(identity(table, service));
        findings.extend(triggers(table, scope));
    }
    findings.extend(subscriptions(scope));
    findings.extend(sequences(scope));
    findings.extend(references(scope, service));
    findings.extend(views(scope, service));
    findings.extend(published::findings(scope, target, service));
    findings
}

pub(crate) fn servers(source: &Catalog, target: &Catalog) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (catalog, side) in [(source, "source"), (target, "target")] {
        let object = format!("{side} database {}", catalog.facts.database);
        let major = catalog.facts.major();
        if !(14..=18).contains(&major) {
            findings.push(Finding::refusal(
                "C0201",
                &object,
                format!("PostgreSQL {major} is not supported; 14 to 18 are"),
            ));
        }
        if catalog.facts.wal_level != "logical" {
            let message = format!("wal_level is {}, and changes cannot be decoded", catalog.facts.wal_level);
            let fix = "alter system set wal_level = logical; -- then restart the server";
            findings.push(Finding::refusal("C0202", &object, message).fix(fix));
        }
        if catalog.facts.in_recovery {
            findings.push(Finding::refusal(
                "C0203",
                &object,
                "it is a standby: Cleave writes its journal on both sides",
            ));
        }
    }
    if source.facts.encoding != target.facts.encoding {
        let message =
            format!("the encodings differ: {} and {}", source.facts.encoding, target.facts.encoding);
        findings.push(Finding::refusal("C0204", format!("database {}", target.facts.database), message));
    }
    if source.facts.collation != target.facts.collation {
        let message = format!(
            "collations differ ({} and {}): text sorts differently at the new home",
            source.facts.collation, target.facts.collation
        );
        findings.push(Finding::warning("C0205", format!("database {}", target.facts.database), message));
    }
    findings
}

fn kind(table: &Table) -> Option<Finding> {
    let message = if table.kind == TableKind::Foreign {
        "it is a foreign table: its rows are not in this database"
    } else if table.persistence == Persistence::Unlogged {
        "it is unlogged: its changes are not in the WAL and cannot be followed"
    } else if !table.inherits.is_empty() {
        "it inherits from another table (not as a partition)"
    } else if !table.rules.is_empty() {
        "it has rewrite rules, which cannot be carried"
    } else {
        return None;
    };
    Some(Finding::refusal("C0206", &table.name, message))
}

fn partition(table: &Table, scope: &Scope<'_>) -> Option<Finding> {
    let parent = &table.partition_of.as_ref()?.parent;
    if scope.has(parent) {
        return None;
    }
    let message = format!("it is a partition of {parent}, which stays; a partitioned table moves as a whole");
    Some(Finding::refusal("C0207", &table.name, message))
}

/// What cleave.toml allows Cleave to set as replica identity of a table, or of the table that it is a partition of.
pub(crate) fn identity_choice<'s>(table: &Table, service: &'s Service) -> Option<&'s IdentityChoice> {
    let root = table.partition_of.as_ref().map_or(&table.name, |partition| &partition.parent);
    let choice = service.identity.get(&table.name).or_else(|| service.identity.get(root));
    choice.map(|choice| &choice.value)
}

/// A publication makes updates and deletes of a table without identity fail at once, so this comes before it is made.
pub(crate) fn identity(table: &Table, service: &Service) -> Option<Finding> {
    if !table.holds_rows()
        || table.identity_columns().is_some()
        || table.replica_identity == ReplicaIdentity::Full
    {
        return None;
    }
    if let Some(choice) = identity_choice(table, service) {
        return Some(match allowed_identity(table, choice) {
            Ok(setting) => {
                let message = format!("apply sets {setting}, as cleave.toml allows");
                Finding::note("C0208", &table.name, message)
            }
            Err(reason) => Finding::refusal("C0208", &table.name, reason),
        });
    }
    let (message, usable) = if table.replica_identity == ReplicaIdentity::Nothing {
        ("its replica identity is NOTHING: updates and deletes could not be followed", None)
    } else if table.primary_key().is_some() {
        let usable = table.indexes.iter().find(|index| index.identifies_rows);
        (
            "its primary key is deferrable and identifies no row: updates and deletes could not be followed",
            usable,
        )
    } else {
        let usable = table.indexes.iter().find(|index| index.identifies_rows);
        ("it has no key that identifies a row: updates and deletes could not be followed", usable)
    };
    let name = table.name.quoted();
    let fix = match usable {
        Some(index) => format!("alter table {name} replica identity using index {};", index.name.quoted()),
        None if table.immediate_primary_key().is_some() => {
            format!("alter table {name} replica identity default;")
        }
        None if table.primary_key().is_some() => format!("alter table {name} replica identity full;"),
        None => format!("alter table {name} replica identity full; -- or add a primary key"),
    };
    Some(Finding::refusal("C0208", &table.name, message).fix(fix))
}

/// What `apply` will set on a table, or why it cannot.
fn allowed_identity(table: &Table, choice: &IdentityChoice) -> Result<String, String> {
    let wanted = match choice {
        IdentityChoice::Full => return Ok("REPLICA IDENTITY FULL".to_owned()),
        IdentityChoice::Index(index) => index,
    };
    match table.indexes.iter().find(|index| index.name == *wanted) {
        Some(index) if index.identifies_rows => {
            Ok(format!("REPLICA IDENTITY USING INDEX {}", index.name.quoted()))
        }
        Some(_) => Err(format!(
            "index {wanted} cannot identify rows: it must be unique, complete, not deferrable, and its columns NOT NULL"
        )),
        None if table.partition_of.is_some() => {
            Err(format!("it has no index {wanted}: name this partition and its own index in cleave.toml"))
        }
        None => Err(format!("it has no index {wanted}, which cleave.toml names as its identity")),
    }
}

pub(crate) fn triggers(table: &Table, scope: &Scope<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for trigger in
        table.triggers.iter().filter(|trigger| !is_ours(trigger) && !is_said_above(trigger, table, scope))
    {
        let object = format!("trigger {} of {}", trigger.name, table.name);
        if matches!(trigger.firing, TriggerFiring::Always | TriggerFiring::Replica) {
            let message =
                "it fires for replicated changes too (ENABLE ALWAYS or REPLICA), and would run twice";
            let fix =
                format!("alter table {} enable trigger {};", table.name.quoted(), trigger.name.quoted());
            findings.push(Finding::refusal("C0209", &object, message).fix(fix));
        }
        let body = scope.catalog.function_by_oid(trigger.function).and_then(|f| f.body.as_deref());
        let body = Body::new(body.unwrap_or_default());
        let written: Vec<String> =
            scope.staying().filter(|t| body.writes_to(&t.name)).map(|t| t.name.to_string()).collect();
        if written.is_empty() {
            continue;
        }
        findings.push(if trigger.firing == TriggerFiring::Disabled {
            let message = format!(
                "it is disabled; its function writes to {}, which stays: enabled at the new home it would fail",
                written.join(", ")
            );
            Finding::warning("C0210", &object, message)
        } else {
            let message = format!("its function writes to {}, which stays", written.join(", "));
            Finding::refusal("C0210", &object, message)
        });
    }
    findings
}

/// The fence of an earlier round stays on the old tables and is no trigger of theirs.
fn is_ours(trigger: &Trigger) -> bool {
    trigger.name.as_str() == FENCE_TRIGGER || trigger.name.as_str().starts_with(TRIGGER_PREFIX)
}

/// True for a partition's part of a moved parent's trigger that fires as the parent's does.
fn is_said_above(trigger: &Trigger, table: &Table, scope: &Scope<'_>) -> bool {
    let parent = table.partition_of.as_ref().map(|partition| &partition.parent);
    let Some(parent) = parent.filter(|_| trigger.inherited).and_then(|name| scope.catalog.table(name)) else {
        return false;
    };
    scope.has_oid(parent.oid)
        && parent.triggers.iter().any(|above| above.name == trigger.name && above.firing == trigger.firing)
}

fn subscriptions(scope: &Scope<'_>) -> Vec<Finding> {
    let subscriptions = scope.catalog.subscriptions.iter();
    subscriptions
        .flat_map(|subscription| subscription.tables.iter().map(move |table| (subscription, table)))
        .filter(|(_, table)| scope.has(table))
        .map(|(subscription, table)| {
            let message = format!("native subscription {} writes to it", subscription.name);
            Finding::refusal("C0211", table, message)
        })
        .collect()
}

fn sequences(scope: &Scope<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for sequence in scope.sequences() {
        let sharing = scope.staying().find(|table| {
            let owns = sequence.owner_column.as_ref().is_some_and(|owner| owner.table == table.oid);
            owns || table.columns.iter().any(|column| column.default_sequence == Some(sequence.oid))
        });
        if let Some(table) = sharing {
            let message = format!("it is shared with {}, which stays", table.name);
            findings.push(Finding::refusal("C0212", format!("sequence {}", sequence.name), message));
        }
    }
    findings
}

fn references(scope: &Scope<'_>, service: &Service) -> Vec<Finding> {
    if service.copy.is_some() {
        return Vec::new();
    }
    let keys = scope.inbound_keys();
    keys.iter()
        .map(|(table, key)| {
            let message = format!(
                "key {} refers to {}, which moves: the check needs a read-only copy",
                key.name, key.referenced
            );
            let fix = format!("copies = [\"{}/{}_copy\"]", service.from, service.name);
            Finding::refusal("C0213", &table.name, message).fix(fix)
        })
        .collect()
}

fn views(scope: &Scope<'_>, service: &Service) -> Vec<Finding> {
    let mut findings = Vec::new();
    let forward = service.bridge.value == Bridge::Forward;
    for view in scope.catalog.views.iter().filter(|view| view.reads.iter().any(|oid| scope.has_oid(*oid))) {
        let keyed = view.keyed_by.iter().any(|oid| scope.has_oid(*oid));
        if forward && !view.materialized && keyed {
            let message =
                "it groups by a moved table's key and shows other columns, which no foreign table allows";
            let fix = "name every column in GROUP BY, or use bridge = \"local\"";
            findings.push(Finding::refusal("C0214", &view.name, message).fix(fix));
        }
        if view.materialized && service.copy.is_none() {
            let message = "it is a materialized view over moved tables: it needs a read-only copy";
            let fix = format!("copies = [\"{}/{}_copy\"]", service.from, service.name);
            findings.push(Finding::refusal("C0213", &view.name, message).fix(fix));
        }
    }
    if service.bridge.value == Bridge::Local {
        let keyless =
            scope.tables.iter().filter(|table| table.partition_of.is_none() && table.primary_key().is_none());
        findings.extend(keyless.map(|table| {
            Finding::refusal(
                "C0215",
                &table.name,
                "bridge = \"local\" updates rows by primary key, and it has none",
            )
        }));
    }
    findings
}

fn target_is_free(target: &Catalog, schema: &Ident) -> Vec<Finding> {
    let tables = target.tables.iter().map(|table| (&table.name, "table"));
    let views = target.views.iter().map(|view| (&view.name, "view"));
    let sequences = target.sequences.iter().map(|sequence| (&sequence.name, "sequence"));
    let types = target.types.iter().map(|user_type| (&user_type.name, "type"));
    let functions = target.functions.iter().map(|function| (&function.name, "function"));
    let taken = tables.chain(views).chain(sequences).chain(types).chain(functions);
    let mut names: Vec<String> = taken
        .filter(|(name, _)| name.schema == *schema)
        .map(|(name, what)| format!("{what} {}", name.name))
        .collect();
    if names.is_empty() {
        return Vec::new();
    }
    names.sort();
    let more = names.len().saturating_sub(5);
    names.truncate(5);
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    let message = format!("it is not empty: {}{rest}", names.join(", "));
    vec![Finding::refusal("C0216", format!("target schema {schema}"), message)]
}

fn roles(scope: &Scope<'_>, target: &Catalog, service: &Service) -> Vec<Finding> {
    let mut findings = Vec::new();
    let has = |name: &Ident| target.roles.iter().any(|role| role.name == *name);
    if let Some(owner) = service.owner.as_ref().filter(|owner| !has(&owner.value)) {
        let fix = format!("create role {} login;", quote_ident(owner.value.as_str()));
        let message = format!("owner role {} is missing in {}", owner.value, target.facts.database);
        findings.push(Finding::refusal("C0217", format!("service {}", service.name), message).fix(fix));
    }
    let tables = scope.tables.iter().flat_map(|table| &table.grants);
    let columns = scope.tables.iter().flat_map(|table| &table.columns).flat_map(|column| &column.grants);
    let mut grantees: Vec<&Ident> = tables.chain(columns).filter_map(|g| g.grantee.as_ref()).collect();
    grantees.sort();
    grantees.dedup();
    for role in grantees.into_iter().filter(|role| !has(role)) {
        let owner = scope.tables.iter().any(|table| table.owner == *role);
        if !owner {
            let fix = format!("create role {};", role.quoted());
            let message = format!(
                "it has rights on moved tables and is missing in {}; its grants are left out",
                target.facts.database
            );
            findings.push(Finding::warning("C0218", format!("role {role}"), message).fix(fix));
        }
    }
    findings
}

fn extensions(scope: &Scope<'_>, target: &Catalog) -> Vec<Finding> {
    use cleave_model::catalog::{ObjectRef, Outside};
    let moved = |object: &ObjectRef| matches!(object, ObjectRef::Relation(oid) if scope.has_oid(*oid));
    let mut names: Vec<&Ident> = scope
        .catalog
        .outside_needs
        .iter()
        .filter(|need| moved(&need.dependent))
        .filter_map(|need| match &need.what {
            Outside::Extension(name) => Some(name),
            Outside::Other(_) => None,
        })
        .collect();
    names.sort();
    names.dedup();
    let missing = names.into_iter().filter(|name| !target.extensions.iter().any(|e| e.name == **name));
    missing
        .map(|name| {
            let schema = scope
                .catalog
                .extensions
                .iter()
                .find(|e| e.name == *name)
                .map_or("public", |e| e.schema.as_str());
            let fix = format!("create extension {} schema {};", name.quoted(), quote_ident(schema));
            let message = format!("moved tables use it and it is missing in {}", target.facts.database);
            Finding::refusal("C0219", format!("extension {name}"), message).fix(fix)
        })
        .collect()
}
