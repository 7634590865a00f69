//! What views, functions and triggers say: tables that one of them touches are used together.

use super::tables::Tables;
use super::{Evidence, FunctionTables, Hub, TieKind};
use cleave_model::catalog::{Catalog, ObjectRef, View};
use cleave_model::{Oid, QualifiedName};
use std::collections::{BTreeMap, BTreeSet};

const VIEW: f64 = 0.1;
const FUNCTION_READS: f64 = 0.1;
const FUNCTION_WRITES: f64 = 2.0;
const FUNCTION_MIXED: f64 = 0.5;
const TRIGGER: f64 = 2.0;
/// What is left of a sign that a hub has a part in.
const HUB: f64 = 0.25;

/// A view and the tables under it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ViewTables {
    pub(crate) name: QualifiedName,
    pub(crate) tables: BTreeSet<usize>,
}

/// A function and what it touches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FunctionTouches {
    pub(crate) name: QualifiedName,
    pub(crate) arguments: String,
    pub(crate) reads: BTreeSet<usize>,
    pub(crate) writes: BTreeSet<usize>,
}

/// A trigger on one table whose function touches others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TriggerTouches {
    pub(crate) name: String,
    pub(crate) table: usize,
    pub(crate) reads: BTreeSet<usize>,
    pub(crate) writes: BTreeSet<usize>,
    /// Tables whose triggers call this function.
    pub(crate) shared_by: usize,
}

/// Objects that touch tables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Objects {
    pub(crate) views: Vec<ViewTables>,
    pub(crate) functions: Vec<FunctionTouches>,
    pub(crate) triggers: Vec<TriggerTouches>,
}

/// The tables under each view, views on views resolved.
pub(crate) fn tables_of_views(catalog: &Catalog, tables: &Tables<'_>) -> BTreeMap<Oid, BTreeSet<usize>> {
    let views: BTreeMap<Oid, &View> = catalog.views.iter().map(|view| (view.oid, view)).collect();
    let mut under = BTreeMap::new();
    for view in &catalog.views {
        let (mut found, mut seen, mut waiting) = (BTreeSet::new(), BTreeSet::new(), vec![view.oid]);
        while let Some(oid) = waiting.pop() {
            if let Some(number) = tables.number_of(oid) {
                found.insert(number);
            } else if let Some(view) = views.get(&oid).filter(|_| seen.insert(oid)) {
                waiting.extend(&view.reads);
            }
        }
        under.insert(view.oid, found);
    }
    under
}

impl Objects {
    pub(crate) fn read(catalog: &Catalog, tables: &Tables<'_>, functions: &[FunctionTables]) -> Self {
        let under = tables_of_views(catalog, tables);
        let view_names: BTreeMap<&QualifiedName, &BTreeSet<usize>> =
            catalog.views.iter().filter_map(|view| Some((&view.name, under.get(&view.oid)?))).collect();
        let numbers = |names: &BTreeSet<QualifiedName>| {
            let mut found: BTreeSet<usize> = names.iter().filter_map(|name| tables.number(name)).collect();
            found.extend(names.iter().filter_map(|name| view_names.get(name)).copied().flatten());
            found
        };
        let mut touches: BTreeMap<Oid, (BTreeSet<usize>, BTreeSet<usize>)> = BTreeMap::new();
        for function in functions {
            let entry = touches.entry(function.function).or_default();
            entry.0.extend(numbers(&function.reads));
            entry.1.extend(numbers(&function.writes));
        }
        for edge in &catalog.dependencies {
            let (ObjectRef::Function(function), ObjectRef::Relation(relation)) =
                (edge.dependent, edge.referenced)
            else {
                continue;
            };
            let reads = &mut touches.entry(function).or_default().0;
            reads.extend(tables.number_of(relation));
            reads.extend(under.get(&relation).into_iter().flatten());
        }
        let views = catalog.views.iter().filter_map(|view| {
            Some(ViewTables { name: view.name.clone(), tables: under.get(&view.oid)?.clone() })
        });
        let plain = catalog.functions.iter().filter(|function| function.result != "trigger");
        let functions = plain.filter_map(|function| {
            let (reads, writes) = touches.get(&function.oid)?.clone();
            let arguments = function.identity_arguments.clone();
            Some(FunctionTouches { name: function.name.clone(), arguments, reads, writes })
        });
        let (views, functions) = (views.collect(), functions.collect());
        Self { views, functions, triggers: triggers(tables, &touches) }
    }

    /// `hubs` are looked up by everybody: that says less.
    pub(super) fn weigh(&self, hubs: &[Hub], into: &mut Evidence) {
        let is_hub = |table: usize| hubs.iter().any(|hub| hub.table == table);
        let lessened = |a: usize, b: usize| if is_hub(a) || is_hub(b) { HUB } else { 1.0 };
        for view in &self.views {
            among(&view.tables, |a, b, share| {
                into.add(a, b, TieKind::View, VIEW * share * lessened(a, b), format!("view {}", view.name));
            });
        }
        for function in &self.functions {
            let note = || format!("function {}", function.name);
            let touched: BTreeSet<usize> = function.reads.union(&function.writes).copied().collect();
            among(&touched, |a, b, share| {
                let weight = match (function.writes.contains(&a), function.writes.contains(&b)) {
                    (true, true) => FUNCTION_WRITES,
                    (false, false) => FUNCTION_READS * lessened(a, b),
                    _ => FUNCTION_MIXED * lessened(a, b),
                };
                into.add(a, b, TieKind::Function, weight * share, note());
            });
        }
        for trigger in &self.triggers {
            let shared = trigger.shared_by.max(1) as f64;
            let others = trigger.writes.union(&trigger.reads).filter(|other| **other != trigger.table);
            for other in others {
                let weight = if trigger.writes.contains(other) { TRIGGER } else { FUNCTION_MIXED };
                let note = format!("trigger {}", trigger.name);
                into.add(trigger.table, *other, TieKind::Trigger, weight / shared, note);
            }
        }
    }
}

fn triggers(
    tables: &Tables<'_>,
    touches: &BTreeMap<Oid, (BTreeSet<usize>, BTreeSet<usize>)>,
) -> Vec<TriggerTouches> {
    let mut users: BTreeMap<Oid, usize> = BTreeMap::new();
    for trigger in tables.roots.iter().flat_map(|table| &table.triggers) {
        *users.entry(trigger.function).or_default() += 1;
    }
    let mut found = Vec::new();
    for (table, root) in tables.roots.iter().enumerate() {
        for trigger in &root.triggers {
            let Some((reads, writes)) = touches.get(&trigger.function) else { continue };
            // A function that touches no other table couples nothing, however many tables share it.
            if reads.union(writes).all(|other| *other == table) {
                continue;
            }
            found.push(TriggerTouches {
                name: format!("{} on {}", trigger.name, root.name),
                table,
                reads: reads.clone(),
                writes: writes.clone(),
                shared_by: users.get(&trigger.function).copied().unwrap_or(1),
            });
        }
    }
    found
}

/// All pairs of a set, each with the share that falls to it: the more tables, the less a pair means.
fn among(tables: &BTreeSet<usize>, mut tie: impl FnMut(usize, usize, f64)) {
    let share = 1.0 / tables.len().saturating_sub(1).max(1) as f64;
    for (at, high) in tables.iter().enumerate() {
        for low in tables.iter().take(at) {
            tie(*low, *high, share);
        }
    }
}
