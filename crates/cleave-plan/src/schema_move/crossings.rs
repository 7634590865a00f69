//! What leaves the boundary of a service inside one database, and what becomes of it: now, and when one side goes to
//! another database.

use crate::{Crossing, Scope};
use cleave_assess::text::Body;
use cleave_model::Oid;
use cleave_model::catalog::{ForeignKey, Function, FunctionKind, ReferentialAction, Table};

pub(super) fn list(scope: &Scope<'_>) -> Vec<Crossing> {
    let mut crossings: Vec<Crossing> = Vec::new();
    crossings.extend(
        scope.inbound_keys().into_iter().map(|(table, key)| key_crossing("foreign key in", table, key)),
    );
    crossings.extend(
        scope.outbound_keys().into_iter().map(|(table, key)| key_crossing("foreign key out", table, key)),
    );
    let reading = scope.catalog.views.iter().filter(|view| view.reads.iter().any(|oid| scope.has_oid(*oid)));
    crossings.extend(reading.map(|view| {
        let kind = if view.materialized { "materialized view" } else { "view" };
        crossing(kind, view.name.to_string(), "follows its tables: it knows them by their OIDs")
    }));
    crossings.extend(functions_that_name(scope).into_iter().map(|function| {
        let outcome = "its text names a moved table: it is written anew, or named for a person";
        crossing("function", function, outcome)
    }));
    crossings.extend(sequences(scope));
    crossings
}

/// Functions whose text names a moved table and that do not go with it: one that only moved tables' triggers call does.
fn functions_that_name(scope: &Scope<'_>) -> Vec<String> {
    let calls = |table: &Table, function: Oid| table.triggers.iter().any(|t| t.function == function);
    let is_carried = |function: &Function| {
        scope.tables.iter().any(|table| calls(table, function.oid))
            && !scope.staying().any(|table| calls(table, function.oid))
    };
    let plain =
        scope.catalog.functions.iter().filter(|f| f.kind != FunctionKind::Aggregate && !is_carried(f));
    let names = |function: &&Function| {
        let body = function.body.as_deref().map(Body::new);
        body.is_some_and(|body| scope.tables.iter().any(|table| body.mentions(&table.name)))
    };
    plain.filter(names).map(|f| format!("{}({})", f.name, f.identity_arguments)).collect()
}

fn crossing(kind: &str, object: String, outcome: impl Into<String>) -> Crossing {
    Crossing { kind: kind.to_owned(), object, outcome: outcome.into() }
}

/// The key stays as long as both tables share a database; the remedy for later is told now.
fn key_crossing(kind: &str, table: &Table, key: &ForeignKey) -> Crossing {
    let columns: Vec<String> = key.columns.iter().map(ToString::to_string).collect();
    let object = format!("{} ({}) → {} [{}]", table.name, columns.join(", "), key.referenced, key.name);
    let later = match key.on_delete {
        ReferentialAction::NoAction | ReferentialAction::Restrict => {
            "it refuses deletes, which needs a protocol between the services once a database lies between them: a copy and \
             a report of what dangles do not refuse"
        }
        ReferentialAction::Cascade => {
            "once a database lies between them a watched reference follows deletes by deleting"
        }
        ReferentialAction::SetNull => {
            "once a database lies between them a watched reference follows deletes by setting null"
        }
        ReferentialAction::SetDefault => {
            "once a database lies between them a watched reference follows deletes by setting the default"
        }
    };
    crossing(kind, object, format!("kept, as both tables share the database; {later}"))
}

fn sequences(scope: &Scope<'_>) -> Vec<Crossing> {
    let named = scope.sequences().into_iter().filter(|s| s.owner_column.as_ref().is_none_or(|o| !o.identity));
    let outcome = |owned: bool| {
        if owned {
            "moves with the table whose column owns it: nextval finds it by the search path, not by its old qualified name"
        } else {
            "keeps its name until complete, and moves then"
        }
    };
    named
        .map(|sequence| {
            crossing("sequence", sequence.name.to_string(), outcome(sequence.owner_column.is_some()))
        })
        .collect()
}
