//! Views and functions that read the table: which part they read where a join says so, and which need a person.

mod reading;
mod tokens;

use crate::{Crossing, Finding};
use cleave_ddl::split::Split;
use cleave_model::catalog::{Catalog, Function, FunctionKind, ObjectRef, View};
use cleave_model::{Ident, QualifiedName};
pub(super) use reading::{Meeting, Repointed, repoint};

/// What is bound to the table, and the statements that bind it to the parts and back.
#[derive(Debug, Default)]
pub(super) struct Bound {
    pub(super) crossings: Vec<Crossing>,
    pub(super) findings: Vec<Finding>,
    pub(super) repoint: Vec<String>,
    pub(super) restore: Vec<String>,
}

/// Goes through all views and functions that read the table.
pub(super) fn bound(split: &Split<'_>, catalog: &Catalog) -> Bound {
    let mut bound = Bound::default();
    let meetings: Vec<Meeting> = split
        .references()
        .map(|(part, reference)| Meeting {
            table: reference.table.clone(),
            column: reference.column.clone(),
            part: split.part(&split.parts[part]),
        })
        .collect();
    for view in catalog.views.iter().filter(|view| view.reads.contains(&split.table.oid)) {
        one_view(split, view, &meetings, &mut bound);
    }
    for function in &catalog.functions {
        one_function(split, function, catalog, &meetings, &mut bound);
    }
    if !bound.repoint.is_empty() {
        bound.repoint.push("set local search_path = ''".to_owned());
        bound.restore.push("set local search_path = ''".to_owned());
    }
    bound
}

fn enter(schema: &Ident) -> String {
    format!("set local search_path = {}", schema.quoted())
}

fn one_view(split: &Split<'_>, view: &View, meetings: &[Meeting], bound: &mut Bound) {
    let kind = if view.materialized { "materialized view" } else { "view" };
    let read = repoint(&view.definition, &split.table.name, split.key, &view.name.schema, meetings);
    let read = match read {
        Repointed::To(..) if view.materialized => {
            Repointed::Unclear("a materialized view cannot be replaced, only made anew".to_owned())
        }
        other => other,
    };
    match read {
        Repointed::To(text, parts) => {
            let options = if view.options.is_empty() {
                String::new()
            } else {
                format!(" with ({})", view.options.join(", "))
            };
            let replace = |text: &str| {
                vec![
                    enter(&view.name.schema),
                    format!("create or replace view {}{options} as {text}", view.name.quoted()),
                ]
            };
            bound.repoint.extend(replace(&text));
            bound.restore.extend(replace(&view.definition));
            bound.crossings.push(follows(kind, view.name.to_string(), &parts));
        }
        Repointed::Untouched => {}
        Repointed::Unclear(reason) => stays(split, kind, view.name.to_string(), &reason, bound),
    }
}

fn follows(kind: &str, object: String, parts: &[QualifiedName]) -> Crossing {
    let parts: Vec<String> = parts.iter().map(ToString::to_string).collect();
    let outcome = format!("reads {} from the switch on", parts.join(" and "));
    Crossing { kind: kind.to_owned(), object, outcome }
}

fn stays(split: &Split<'_>, kind: &str, object: String, reason: &str, bound: &mut Bound) {
    let outcome = format!("goes on with {}, which holds every row until `complete`", split.table.name);
    bound.crossings.push(Crossing { kind: kind.to_owned(), object: object.clone(), outcome });
    let message = format!("it needs a person before `complete`: {reason}");
    bound.findings.push(Finding::warning("C1156", format!("{kind} {object}"), message));
}

fn one_function(
    split: &Split<'_>,
    function: &Function,
    catalog: &Catalog,
    meetings: &[Meeting],
    bound: &mut Bound,
) {
    let object = format!("{}({})", function.name, function.identity_arguments);
    let kind = if function.kind == FunctionKind::Procedure { "procedure" } else { "function" };
    let Some(body) = function.body.as_deref() else {
        let bound_by_oid = catalog
            .needs_of(ObjectRef::Function(function.oid))
            .any(|need| need == ObjectRef::Relation(split.table.oid));
        if bound_by_oid {
            stays(split, kind, object, "its body is bound to the table itself", bound);
        }
        return;
    };
    if !matches!(function.language.as_str(), "sql" | "plpgsql") {
        return;
    }
    match repoint(body, &split.table.name, split.key, &split.table.name.schema, meetings) {
        Repointed::Untouched => {}
        Repointed::Unclear(reason) => stays(split, kind, object, &reason, bound),
        Repointed::To(text, parts) => {
            if function.definition.matches(body).count() != 1 {
                stays(split, kind, object, "its text cannot be put together again", bound);
                return;
            }
            bound.repoint.push(enter(&function.name.schema));
            bound.repoint.push(function.definition.replacen(body, &text, 1));
            bound.restore.push(enter(&function.name.schema));
            bound.restore.push(function.definition.clone());
            bound.crossings.push(follows(kind, object, &parts));
        }
    }
}
