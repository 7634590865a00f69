//! The switch of an upgrade: the old side is fenced instead of renamed.
//!
//! The fence's triggers stand on the old side, open, before the pause; in it every table is locked against writers in one
//! statement, and closing the fence is a replaced function. Readers of the old side are never kept waiting.

use super::findings::unplanned;
use crate::switch::{columns_are_planned, rename, retired};
use crate::{BackScript, Finding, MovePlan, Name, SwitchScript, fence_script};
use cleave_ddl::fence;
use cleave_model::catalog::Catalog;
use cleave_model::{Ident, QualifiedName, ServiceName};
use std::collections::{BTreeMap, BTreeSet};

/// A closed fence of an upgrade.
pub(crate) fn closed(home: &str, since: &str, applier: &str) -> fence::Fence {
    fence::Fence::Closed(fence::Notice {
        home: home.to_owned(),
        since: since.to_owned(),
        applier_role: Ident::new(applier),
        way: fence::Way::Connect,
    })
}

/// The open fence of the old side, before a cutover: its function, then the triggers of each table.
pub fn old_fence(plan: &MovePlan, service: &ServiceName) -> (String, Vec<(QualifiedName, Vec<String>)>) {
    let triggers = fenced(plan).into_iter().map(|table| {
        let statements = fence::triggers(service, std::slice::from_ref(&table));
        (table, statements)
    });
    (fence::function(service, &fence::Fence::Open), triggers.collect())
}

/// Planned and unlogged tables under their one name.
fn fenced(plan: &MovePlan) -> Vec<QualifiedName> {
    let unlogged = plan.whole.iter().flat_map(|whole| &whole.unlogged);
    plan.tables.iter().map(|table| &table.source).chain(unlogged).map(Name::qualified).collect()
}

/// The statements of the cutover that is about to run, and of its rollback, from the catalogs before the round.
///
/// # Errors
/// A finding when a table is not there as planned, or one is there that was not.
pub fn upgrade_script(
    plan: &MovePlan,
    (source, target): (&Catalog, &Catalog),
    service: &ServiceName,
    since: &str,
) -> Result<SwitchScript, Box<Finding>> {
    if let Some(name) = unplanned_tables(plan, source).first() {
        let message =
            format!("table {name} was made in {} after the plan: its rows are not carried", plan.source);
        return Err(Box::new(Finding::refusal("C1210", name, message)));
    }
    columns_are_planned(plan, (source, target), service)?;
    let closed = closed(&plan.target, since, &plan.applier_roles[0]);
    let ordered = parents_first(plan, source);
    let turned: Vec<QualifiedName> = ordered.iter().rev().cloned().collect();
    let renames = |back: bool| {
        plan.sequences.iter().map(move |sequence| {
            let (own, held) = (sequence.source.qualified(), retired(sequence.source_oid));
            let held_name = QualifiedName { schema: own.schema.clone(), name: held.clone() };
            if back { rename(&held_name, &own.name) } else { rename(&own, &held) }
        })
    };
    let objects = source.facts.superuser.then(lock_large_objects);
    let mut switch = vec![fence::function(service, &closed)];
    switch.extend(renames(true));
    let locks = |tables: &[QualifiedName]| {
        lock_writers(tables).into_iter().chain(objects.clone()).chain(renames(false)).collect::<Vec<String>>()
    };
    let home_objects = target.facts.superuser.then(lock_large_objects);
    Ok(SwitchScript {
        fingerprint_oids: plan.source_oids(),
        bridge_role: Vec::new(),
        bridge: Vec::new(),
        locks: locks(&ordered),
        locks_turned: locks(&turned),
        switch,
        target_fence: fence_script(plan, service, since),
        back: BackScript {
            home_locks: lock_writers(&ordered)
                .into_iter()
                .chain(home_objects)
                .chain(renames(false))
                .collect(),
            switch: vec![fence::function(service, &fence::Fence::Open)],
            ..BackScript::default()
        },
    })
}

/// One statement, one round trip, whatever the number of tables.
fn lock_writers(tables: &[QualifiedName]) -> Option<String> {
    let names: Vec<String> = tables.iter().map(|table| format!("only {}", table.quoted())).collect();
    (!names.is_empty()).then(|| format!("lock table {} in share row exclusive mode", names.join(", ")))
}

fn lock_large_objects() -> String {
    "lock table pg_catalog.pg_largeobject, pg_catalog.pg_largeobject_metadata in share row exclusive mode"
        .to_owned()
}

/// Tables in the order in which rows are made: referenced ones first.
fn parents_first(plan: &MovePlan, source: &Catalog) -> Vec<QualifiedName> {
    let keys: BTreeMap<&QualifiedName, Vec<&QualifiedName>> = source
        .tables
        .iter()
        .map(|table| (&table.name, table.foreign_keys.iter().map(|key| &key.referenced).collect()))
        .collect();
    let names = fenced(plan);
    let ours: BTreeSet<&QualifiedName> = names.iter().collect();
    let mut ordered: Vec<QualifiedName> = Vec::with_capacity(names.len());
    let mut seen: BTreeSet<&QualifiedName> = BTreeSet::new();
    for name in &names {
        // What a table refers to is put before it; a circle is cut where it is met.
        let mut stack = vec![(name, false)];
        while let Some((name, is_left)) = stack.pop() {
            if is_left {
                ordered.push(name.clone());
            } else if seen.insert(name) {
                stack.push((name, true));
                let referenced = keys.get(name).into_iter().flatten().copied();
                stack.extend(referenced.filter(|name| ours.contains(name)).map(|name| (name, false)));
            }
        }
    }
    ordered
}

/// Tables of a side that are not in the plan: made after it.
pub fn unplanned_tables(plan: &MovePlan, catalog: &Catalog) -> Vec<QualifiedName> {
    let planned: BTreeSet<QualifiedName> = fenced(plan).into_iter().collect();
    unplanned(catalog, &planned).into_iter().cloned().collect()
}

/// What differs between the two sides' tables, a line each: columns and their types.
pub fn table_differences(source: &Catalog, target: &Catalog) -> Vec<String> {
    let mut differences = Vec::new();
    for ours in &source.tables {
        let Some(theirs) = target.table(&ours.name) else {
            differences.push(format!("table {} is on the source alone", ours.name));
            continue;
        };
        for column in &ours.columns {
            match theirs.column(&column.name) {
                None => differences.push(format!(
                    "column {} {} of {} is on the source alone",
                    column.name, column.type_name, ours.name
                )),
                Some(other) if other.type_name != column.type_name => differences.push(format!(
                    "column {} of {} is {} on the source and {} on the target",
                    column.name, ours.name, column.type_name, other.type_name
                )),
                Some(_) => {}
            }
        }
        let gone = theirs.columns.iter().filter(|column| ours.column(&column.name).is_none());
        differences.extend(
            gone.map(|column| format!("column {} of {} is on the target alone", column.name, ours.name)),
        );
    }
    let missing = target.tables.iter().filter(|table| source.table(&table.name).is_none());
    differences.extend(missing.map(|table| format!("table {} is on the target alone", table.name)));
    differences
}
