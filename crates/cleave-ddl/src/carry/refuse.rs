//! The object kinds that a move refuses, each by name.

use super::{Carried, Prelude, Unsupported, function_name, objects, text_is_ours};
use cleave_model::catalog::{
    Catalog, Function, FunctionKind, ObjectRef, Outside, Persistence, Sequence, Table, TableKind,
    TriggerFiring, TypeKind,
};
use std::collections::BTreeSet;

pub(super) fn refuse(catalog: &Catalog, carried: &mut Carried<'_>) {
    let mut found = BTreeSet::new();
    for table in &carried.tables {
        refuse_table(catalog, carried, table, &mut found);
    }
    for prelude in &carried.prelude {
        match prelude {
            Prelude::Type(user_type) => {
                if let TypeKind::Other(kind) = &user_type.kind {
                    found.insert(unsupported(format!("type {}", user_type.name), format!("is a {kind}")));
                }
            }
            Prelude::Function(function) => refuse_function(catalog, function, &mut found),
        }
    }
    for function in &carried.late_functions {
        refuse_function(catalog, function, &mut found);
        refuse_early_use(catalog, carried, function, &mut found);
    }
    for sequence in &carried.sequences {
        refuse_shared(catalog, carried, sequence, &mut found);
    }
    refuse_outside(catalog, carried, &mut found);
    carried.unsupported.extend(found);
}

fn unsupported(object: impl Into<String>, reason: impl Into<String>) -> Unsupported {
    Unsupported { object: object.into(), reason: reason.into() }
}

fn refuse_table(catalog: &Catalog, carried: &Carried<'_>, table: &Table, found: &mut BTreeSet<Unsupported>) {
    let name = format!("table {}", table.name);
    let mut no = |reason: String| {
        found.insert(unsupported(name.clone(), reason));
    };
    if table.kind == TableKind::Foreign {
        no("is a foreign table".to_owned());
    }
    if table.persistence == Persistence::Unlogged {
        no("is unlogged: its changes are not in the log that a move follows".to_owned());
    }
    if let Some(of_type) = &table.of_type {
        no(format!("is a typed table (of {of_type})"));
    }
    if let Some(method) = &table.access_method {
        no(format!("uses the access method {method}"));
    }
    for parent in &table.inherits {
        no(format!("inherits from {parent}"));
    }
    let heirs = catalog.tables.iter().filter(|other| other.inherits.contains(&table.name));
    for heir in heirs {
        no(format!("is inherited by {}", heir.name));
    }
    if let Some(partition) = &table.partition_of
        && !carried.has_table(&partition.parent)
    {
        no(format!("is a partition of {}, which is not part of the move", partition.parent));
    }
    for rule in &table.rules {
        found.insert(unsupported(format!("rule {} on {}", rule.name, table.name), "cannot be carried"));
    }
    refuse_columns(catalog, table, found);
    let triggers = table.triggers.iter().filter(|trigger| !text_is_ours(&trigger.name));
    for trigger in triggers {
        if matches!(trigger.firing, TriggerFiring::Always | TriggerFiring::Replica) {
            let object = format!("trigger {} of {}", trigger.name, table.name);
            found.insert(unsupported(object, "also fires for replicated changes, so it would act twice"));
        }
    }
}

fn refuse_columns(catalog: &Catalog, table: &Table, found: &mut BTreeSet<Unsupported>) {
    for column in &table.columns {
        let object = format!("column {}.{}", table.name, column.name);
        if column.user_type.is_some_and(|oid| catalog.type_by_oid(oid).is_none()) {
            found.insert(unsupported(&object, format!("has the row type {}", column.type_name)));
        }
        if column.default.as_ref().is_some_and(|default| default.contains("::text)::regclass")) {
            let reason = "has a default that names a relation by text, which will not be found elsewhere";
            found.insert(unsupported(&object, reason));
        }
    }
}

fn refuse_function(catalog: &Catalog, function: &Function, found: &mut BTreeSet<Unsupported>) {
    let name = function_name(function);
    match function.language.as_str() {
        "sql" | "plpgsql" | "internal" => {}
        "c" => {
            found.insert(unsupported(&name, "is written in C"));
        }
        // Languages are extensions: the target must have it.
        other if catalog.extensions.iter().any(|e| e.name.as_str() == other) => {}
        other => {
            found.insert(unsupported(&name, format!("is written in the language {other}")));
        }
    }
    if function.kind == FunctionKind::Aggregate && function.definition.is_empty() {
        found.insert(unsupported(&name, "is an ordered-set, moving, parallel or sorted aggregate"));
    }
}

/// A late function is made after the tables, so a table that needs it could not be made.
fn refuse_early_use(
    catalog: &Catalog,
    carried: &Carried<'_>,
    function: &Function,
    found: &mut BTreeSet<Unsupported>,
) {
    let needed_by =
        catalog.dependents_of(ObjectRef::Function(function.oid)).find_map(|dependent| match dependent {
            ObjectRef::Relation(oid) => carried.tables.iter().find(|table| {
                table.oid == oid && !table.triggers.iter().any(|trigger| trigger.function == function.oid)
            }),
            _ => None,
        });
    if let Some(table) = needed_by {
        let reason = format!("and table {} need each other", table.name);
        found.insert(unsupported(function_name(function), reason));
    }
}

fn refuse_shared(
    catalog: &Catalog,
    carried: &Carried<'_>,
    sequence: &Sequence,
    found: &mut BTreeSet<Unsupported>,
) {
    let users = catalog.dependents_of(ObjectRef::Relation(sequence.oid));
    let tables = users.filter_map(|user| match user {
        ObjectRef::Relation(oid) => catalog.table_by_oid(oid),
        _ => None,
    });
    let owner = sequence.owner_column.as_ref().and_then(|owner| catalog.table_by_oid(owner.table));
    for table in tables.chain(owner).filter(|table| !carried.has_table(&table.name)) {
        let reason = format!("is shared with table {}, which stays", table.name);
        found.insert(unsupported(format!("sequence {}", sequence.name), reason));
    }
}

fn refuse_outside(catalog: &Catalog, carried: &Carried<'_>, found: &mut BTreeSet<Unsupported>) {
    let users: BTreeSet<ObjectRef> = objects(carried).collect();
    for need in catalog.outside_needs.iter().filter(|need| users.contains(&need.dependent)) {
        if let Outside::Other(what) = &need.what {
            let user = match need.dependent {
                ObjectRef::Relation(oid) => {
                    catalog.table_by_oid(oid).map(|table| format!("table {}", table.name))
                }
                ObjectRef::Function(oid) => catalog.function_by_oid(oid).map(function_name),
                ObjectRef::Type(oid) => catalog.type_by_oid(oid).map(|t| format!("type {}", t.name)),
            };
            found.insert(unsupported(what, format!("is needed by {}", user.unwrap_or_default())));
        }
    }
}
