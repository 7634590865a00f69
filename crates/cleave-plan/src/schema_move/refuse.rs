//! What stands against a schema move, found before anything is touched: each with the object, the reason and a way out.

use super::{NameLayer, Observation, PathChange, paths};
use crate::{Finding, Scope};
use cleave_model::catalog::{Catalog, Publication, Table, TableKind};
use cleave_model::surroundings::Surroundings;
use cleave_model::{Ident, QualifiedName, quote_ident};
use std::collections::BTreeMap;

/// What is wanted, as far as it can be refused.
#[derive(Clone, Copy)]
pub(super) struct Wish<'a> {
    pub(super) schema: &'a Ident,
    pub(super) layer: NameLayer,
    pub(super) owner: Option<&'a Ident>,
    pub(super) reader: Option<&'a Ident>,
}

/// Takes tables that belong to an extension out of the claimed ones.
pub(super) fn extension_members(
    claimed: &[QualifiedName],
    around: &Surroundings,
) -> (Vec<Finding>, Vec<QualifiedName>) {
    let member = |name: &QualifiedName| around.extension_tables.iter().find(|(table, _)| table == name);
    let refused = claimed.iter().filter_map(|name| {
        let (_, extension) = member(name)?;
        let message = format!("it belongs to extension {extension}, which would not find it again");
        let fix = format!(
            "take it out of `tables`; `alter extension {} drop table {}` makes it yours",
            extension.quoted(),
            name.quoted()
        );
        Some(Finding::refusal("C1101", name, message).fix(fix))
    });
    (refused.collect(), claimed.iter().filter(|name| member(name).is_none()).cloned().collect())
}

pub(super) fn check(scope: &Scope<'_>, wish: &Wish<'_>, seen: &Observation<'_>) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    findings.extend(collisions(scope, wish.schema));
    findings.extend(elsewhere(scope, seen));
    for table in &scope.tables {
        findings.extend(kind(scope, table, wish));
        findings.extend(row_security(table, wish, scope.catalog.facts.major()));
        findings.extend(may_alter(table, seen));
    }
    findings.extend(followers(scope, seen.around));
    findings.extend(roles(wish, seen));
    findings.extend(broken_views(scope));
    findings
}

/// Names that the schema has already, or that two moved objects would both have there. Constraints do not collide.
fn collisions(scope: &Scope<'_>, schema: &Ident) -> Vec<Finding> {
    let taken = names_in(scope.catalog, schema);
    let mut coming: BTreeMap<Ident, String> = BTreeMap::new();
    let mut findings = Vec::new();
    let mut meet = |kind: &str, name: &Ident, owner: &QualifiedName| {
        let object = format!("{kind} {}", beside(owner, name));
        let place = QualifiedName { schema: schema.clone(), name: name.clone() };
        let other =
            taken.get(name).map(|kind| format!("{kind} {place}")).or_else(|| coming.get(name).cloned());
        if let Some(other) = other {
            let message = format!("the name is taken in schema {schema}: {other}");
            findings.push(Finding::refusal("C1100", &object, message).fix("rename or drop one of the two"));
        }
        coming.insert(name.clone(), object);
    };
    for table in scope.tables.iter().filter(|table| table.name.schema != *schema) {
        meet("table", &table.name.name, &table.name);
        meet("array type of table", &Ident::new(format!("_{}", table.name.name.as_str())), &table.name);
        for index in &table.indexes {
            meet("index", &index.name, &table.name);
        }
        for statistics in table.statistics.iter().filter(|object| object.name.schema != *schema) {
            meet("statistics object", &statistics.name.name, &table.name);
        }
    }
    for sequence in scope.sequences().into_iter().filter(|sequence| sequence.name.schema != *schema) {
        meet("sequence", &sequence.name.name, &sequence.name);
    }
    findings
}

/// A name in the schema of another.
fn beside(name: &QualifiedName, other: &Ident) -> QualifiedName {
    QualifiedName { schema: name.schema.clone(), name: other.clone() }
}

/// Relations, types and statistics objects of a schema.
fn names_in(catalog: &Catalog, schema: &Ident) -> BTreeMap<Ident, &'static str> {
    let mut names = BTreeMap::new();
    let mut add = |name: &QualifiedName, kind| {
        if name.schema == *schema {
            names.insert(name.name.clone(), kind);
        }
    };
    catalog.types.iter().for_each(|user_type| add(&user_type.name, "type"));
    catalog.sequences.iter().for_each(|sequence| add(&sequence.name, "sequence"));
    catalog.views.iter().for_each(|view| add(&view.name, "view"));
    for table in &catalog.tables {
        add(&table.name, "table");
        table.indexes.iter().for_each(|index| add(&beside(&table.name, &index.name), "index"));
        table.statistics.iter().for_each(|object| add(&object.name, "statistics object"));
    }
    names
}

/// A partition comes with its parent, but another service may claim it.
fn elsewhere(scope: &Scope<'_>, seen: &Observation<'_>) -> Vec<Finding> {
    let claimed = seen.claimed_elsewhere.iter().filter(|(table, _)| scope.has(table));
    claimed
        .map(|(table, other)| {
            let message =
                format!("it comes with the table it is a part of, and service {other} claims it too");
            Finding::refusal("C1104", table, message)
                .fix("a table has one owner: take it out of one of the two")
        })
        .collect()
}

fn kind(scope: &Scope<'_>, table: &Table, wish: &Wish<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut refuse = |code: &str, message: String, fix: &str| {
        findings.push(Finding::refusal(code, &table.name, message).fix(fix));
    };
    if table.name.schema == *wish.schema {
        refuse(
            "C1105",
            format!("it stands in schema {} already", wish.schema),
            "take it out of `tables`, or name another schema in `home`",
        );
    }
    if table.kind == TableKind::Foreign {
        refuse(
            "C1105",
            "it is a foreign table: its rows are in another database".to_owned(),
            "take it out of `tables`",
        );
    }
    if table.columns.is_empty() && wish.layer == NameLayer::View {
        refuse(
            "C1105",
            "it has no columns, and a view must have one".to_owned(),
            "write `bridge = \"path\"`, or drop the table",
        );
    }
    let children: Vec<String> = scope
        .catalog
        .tables
        .iter()
        .filter(|other| other.inherits.contains(&table.name))
        .map(|other| other.name.to_string())
        .collect();
    let parents: Vec<String> = table.inherits.iter().map(ToString::to_string).collect();
    if !parents.is_empty() || !children.is_empty() {
        let relatives = [parents, children].concat().join(", ");
        refuse(
            "C1102",
            format!("it inherits outside partitions ({relatives}): its rows are not its own"),
            "take the inheritance apart (`alter table ... no inherit ...`), or leave these tables out",
        );
    }
    findings
}

fn row_security(table: &Table, wish: &Wish<'_>, major: u32) -> Vec<Finding> {
    let (enabled, forced) = table.row_security;
    let mut findings = Vec::new();
    if enabled && wish.layer == NameLayer::View && major < 15 {
        let message = "it has row-level security, and on PostgreSQL 14 a view is read with its owner's rights: policies would be passed by";
        findings.push(
            Finding::refusal("C1103", &table.name, message).fix("write `bridge = \"path\"` for this service"),
        );
    }
    if let Some(owner) = wish.owner.filter(|owner| enabled && !forced && **owner != table.owner) {
        let message =
            format!("its policies do not hold for its owner {}, and would once {owner} owns it", table.owner);
        let fix = "leave `owner` out, let the policies hold for the owner now (`alter table ... force row level security`), or \
                   make services of tables with and without policies";
        findings.push(Finding::refusal("C1109", &table.name, message).fix(fix));
    }
    findings
}

fn may_alter(table: &Table, seen: &Observation<'_>) -> Option<Finding> {
    let facts = &seen.catalog.facts;
    if facts.superuser || seen.around.member_of.contains(&table.owner) {
        return None;
    }
    let message = format!("it belongs to {}, and role {} may not change its schema", table.owner, facts.role);
    let fix = format!("grant {} to {}", table.owner.quoted(), quote_ident(&facts.role));
    Some(Finding::refusal("C1108", &table.name, message).fix(fix))
}

/// Readers that know a table by its name.
fn followers(scope: &Scope<'_>, around: &Surroundings) -> Vec<Finding> {
    let mut findings = Vec::new();
    for subscription in &scope.catalog.subscriptions {
        for table in subscription.tables.iter().filter(|table| scope.has(table)) {
            let message = format!(
                "subscription {} writes to it under its old name and would stop at the next change",
                subscription.name
            );
            let fix = format!(
                "drop subscription {}, or move the table when it has ended",
                subscription.name.quoted()
            );
            findings.push(Finding::refusal("C1106", table, message).fix(fix));
        }
    }
    // Cleave's own streams know tables by their OIDs.
    let ours = |name: &Ident| name.as_str().starts_with("cleave_");
    for publication in scope.catalog.publications.iter().filter(|publication| !ours(&publication.name)) {
        for table in publication.tables.iter().filter(|table| scope.has(table)) {
            let lost = through_schema(publication, table, around);
            let kept = if lost {
                "is given it by name, as it has it through its schema only, and"
            } else {
                "keeps it, and"
            };
            let message = format!(
                "publication {} {kept} sends it under its new name: a native subscription stops at the next change until its \
                 own table has moved too, and goes on by itself then; no row is lost",
                publication.name
            );
            let fix = "run the same `alter table ... set schema` on the subscriber";
            findings.push(Finding::warning("C1107", table, message).fix(fix));
        }
    }
    findings
}

/// True if a publication has the table because it has all of its schema.
pub(super) fn through_schema(
    publication: &Publication,
    table: &QualifiedName,
    around: &Surroundings,
) -> bool {
    let named =
        around.published_tables.iter().any(|(name, known)| *name == publication.name && known == table);
    let mut schemas = around.schema_publications.iter();
    !named && schemas.any(|(name, schema)| *name == publication.name && *schema == table.schema)
}

/// Owner and reader: there, or to be made, and the connected role may give objects to the owner.
fn roles(wish: &Wish<'_>, seen: &Observation<'_>) -> Vec<Finding> {
    let facts = &seen.catalog.facts;
    let exists = |role: &Ident| seen.catalog.roles.iter().any(|known| known.name == *role);
    let mut findings = Vec::new();
    for role in [wish.owner, wish.reader].into_iter().flatten().filter(|role| !exists(role)) {
        if !seen.around.creates_roles {
            let message = format!("it does not exist, and role {} may not make roles", facts.role);
            let fix = format!("create role {} nologin", role.quoted());
            findings.push(Finding::refusal("C1108", format!("role {role}"), message).fix(fix));
        }
    }
    if let Some(owner) =
        wish.owner.filter(|owner| exists(owner) && !facts.superuser && !seen.around.member_of.contains(owner))
    {
        let message = format!("role {} is not a member of it and cannot give it anything", facts.role);
        let fix = format!("grant {} to {}", owner.quoted(), quote_ident(&facts.role));
        findings.push(Finding::refusal("C1108", format!("role {owner}"), message).fix(fix));
    }
    let schema_exists = seen.catalog.schemas.iter().any(|schema| schema.name == *wish.schema);
    if !schema_exists && !seen.around.creates_schemas {
        let message = format!("role {} may not make a schema in the database", facts.role);
        let fix = format!(
            "grant create on database {} to {}",
            quote_ident(&facts.database),
            quote_ident(&facts.role)
        );
        findings.push(Finding::refusal("C1108", format!("schema {}", wish.schema), message).fix(fix));
    }
    findings
}

/// A view over a function's row or a whole row whose column was dropped shows it as `?dropped?column?`: it stands, but its
/// text cannot be used to make it again.
fn broken_views(scope: &Scope<'_>) -> Vec<Finding> {
    let reading = scope.catalog.views.iter().filter(|view| view.reads.iter().any(|oid| scope.has_oid(*oid)));
    reading
        .filter(|view| view.definition.contains("?dropped?column?"))
        .map(|view| {
            let message =
                "it stands on a column that was dropped: it goes on, but cannot be made again from its text";
            Finding::warning("C1114", &view.name, message)
                .fix("make it anew without that column, before it has to be")
        })
        .collect()
}

/// Keeps the changes that the connected role may make.
pub(super) fn paths(
    changes: Vec<PathChange>,
    layer: NameLayer,
    seen: &Observation<'_>,
) -> (Vec<PathChange>, Vec<Finding>) {
    let facts = &seen.catalog.facts;
    let may = |change: &PathChange| match &change.role {
        None => seen.around.owns_database,
        Some(role) => facts.superuser || seen.around.creates_roles || *role == facts.role,
    };
    let (allowed, refused): (Vec<_>, Vec<_>) = changes.into_iter().partition(may);
    let findings = refused.iter().map(|change| {
        let object = match &change.role {
            Some(role) => format!("search_path of role {role}"),
            None => format!("search_path of database {}", facts.database),
        };
        let fix = paths::statements(std::slice::from_ref(change), &facts.database).join("; ");
        match layer {
            NameLayer::Path => {
                let message =
                    format!("role {} may not set it, and unqualified names would find no table", facts.role);
                Finding::refusal("C1110", object, message).fix(fix)
            }
            NameLayer::View => {
                let message =
                    format!("role {} may not set it: unqualified names go through the views", facts.role);
                Finding::warning("C1110", object, message).fix(fix)
            }
        }
    });
    let findings = findings.collect();
    (allowed, findings)
}
