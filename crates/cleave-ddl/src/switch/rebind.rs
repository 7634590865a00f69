//! What is bound to a moved table by its OID and should follow the name instead: views and `BEGIN ATOMIC` functions.

use super::Switch;
use crate::bridge::Mode;
use crate::carry::function_name;
use crate::text;
use cleave_model::QualifiedName;
use cleave_model::catalog::{Function, FunctionKind, ObjectRef, View};
use std::collections::BTreeSet;

/// An object that keeps reading the copy after the switch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaysBound {
    /// What it is and its name.
    pub object: String,
    /// Why, as a sentence's end.
    pub reason: &'static str,
}

/// What will read the copy although names lead elsewhere; the plan says so.
pub fn stays_bound(switch: &Switch<'_>) -> Vec<StaysBound> {
    let follows = |view: &&View| switch.mode == Mode::Forward && can_follow(switch, view);
    let views = readers(switch).into_iter().filter(|view| !follows(view)).map(|view| {
        let kind = if view.materialized { "materialized view" } else { "view" };
        let reason = if switch.mode != Mode::Forward {
            "reads the copy, as everything under the old names does"
        } else if view.materialized {
            "is filled from the copy"
        } else {
            "groups by a primary key and shows other columns, which a foreign table cannot serve"
        };
        StaysBound { object: format!("{kind} {}", view.name), reason }
    });
    let functions = users(switch)
        .into_iter()
        .filter(|function| switch.mode != Mode::Forward || !is_replaceable(switch, function));
    let functions = functions.map(|function| StaysBound {
        object: function_name(function),
        reason: if switch.mode == Mode::Forward {
            "has a moved table's row type in its signature, which stays the copy's"
        } else {
            "reads the copy, as everything under the old names does"
        },
    });
    views.chain(functions).collect()
}

/// Views that read a moved table themselves. Views over views need nothing: a view keeps its OID when it is replaced.
fn readers<'a>(switch: &Switch<'a>) -> Vec<&'a View> {
    let moved: BTreeSet<_> = switch.carried.tables.iter().map(|table| table.oid).collect();
    let reads = |view: &&View| view.reads.iter().any(|oid| moved.contains(oid));
    in_order(switch.catalog.views.iter().filter(reads).collect())
}

/// What is read before what reads it.
fn in_order(mut views: Vec<&View>) -> Vec<&View> {
    let mut ordered: Vec<&View> = Vec::new();
    while !views.is_empty() {
        let waits = |view: &View, left: &[&View]| {
            left.iter().any(|l| l.oid != view.oid && view.reads.contains(&l.oid))
        };
        // Views cannot read each other in a circle, so one is always free; the first stands in for it if they did.
        let next = views.iter().position(|view| !waits(view, &views)).unwrap_or(0);
        ordered.push(views.remove(next));
    }
    ordered
}

fn can_follow(switch: &Switch<'_>, view: &View) -> bool {
    let keyed = switch.carried.tables.iter().any(|table| view.keyed_by.contains(&table.oid));
    !view.materialized && !keyed
}

/// `BEGIN ATOMIC` functions and others that depend on a moved table.
fn users<'a>(switch: &Switch<'a>) -> Vec<&'a Function> {
    let moved: BTreeSet<_> = switch.carried.tables.iter().map(|t| ObjectRef::Relation(t.oid)).collect();
    let uses = |function: &&Function| {
        let mut needs = switch.catalog.needs_of(ObjectRef::Function(function.oid));
        needs.any(|need| moved.contains(&need))
    };
    switch.catalog.functions.iter().filter(uses).collect()
}

/// A body that is parsed once can be made anew, unless a moved table's row type stands in the signature.
fn is_replaceable(switch: &Switch<'_>, function: &Function) -> bool {
    let signature = format!("{} {}", function.identity_arguments, function.result);
    let mut words = signature.split(|c: char| !(c.is_alphanumeric() || c == '_'));
    let names_type = words.any(|word| switch.carried.tables.iter().any(|t| t.name.name.as_str() == word));
    function.body.is_none() && function.kind != FunctionKind::Aggregate && !names_type
}

/// `LOCK TABLE` on a view would go down to its tables, out of order: an `alter` that changes nothing locks it alone.
pub(super) fn lock_views(switch: &Switch<'_>) -> Vec<String> {
    if switch.mode != Mode::Forward {
        return Vec::new();
    }
    let views = readers(switch).into_iter().rev().filter(|view| can_follow(switch, view));
    views.map(|view| format!("alter view {} owner to {}", view.name.quoted(), view.owner.quoted())).collect()
}

/// Makes them anew from the text they had before the first switch; its names now lead to whatever bears them.
/// Options are said again: a replaced view loses those that are not.
pub(super) fn rebind(switch: &Switch<'_>) -> Vec<String> {
    let mut statements = Vec::new();
    for view in readers(switch).into_iter().filter(|view| can_follow(switch, view)) {
        statements.push(enter(&view.name));
        let options = if view.options.is_empty() {
            String::new()
        } else {
            format!(" with ({})", text::options(&view.options))
        };
        statements.push(format!(
            "create or replace view {}{options} as {}",
            view.name.quoted(),
            view.definition
        ));
    }
    for function in users(switch).into_iter().filter(|function| is_replaceable(switch, function)) {
        statements.push(enter(&function.name));
        statements.push(function.definition.clone());
    }
    if !statements.is_empty() {
        statements.push("set local search_path = ''".to_owned());
    }
    statements
}

fn enter(name: &QualifiedName) -> String {
    format!("set local search_path = {}", name.schema.quoted())
}
