//! What leaves the boundary of a service: keys, views, functions, sequences. Told in the plan, object by object.

use crate::{Crossing, Scope, readiness};
use cleave_config::Bridge;
use cleave_model::catalog::{ForeignKey, ReferentialAction, Table};

#[cfg(test)]
mod tests;

/// Lists the crossings in a fixed order.
pub(crate) fn list(scope: &Scope<'_>, bridge: Bridge) -> Vec<Crossing> {
    let mut crossings = Vec::new();
    crossings.extend(scope.inbound_keys().into_iter().map(|(table, key)| inbound(table, key)));
    crossings.extend(scope.outbound_keys().into_iter().map(|(table, key)| outbound(table, key)));
    crossings.extend(views(scope, bridge));
    crossings.extend(functions(scope, bridge));
    crossings.extend(sequences(scope));
    crossings
}

fn crossing(kind: &str, object: String, outcome: impl Into<String>) -> Crossing {
    Crossing { kind: kind.to_owned(), object, outcome: outcome.into() }
}

fn key_text(table: &Table, key: &ForeignKey) -> String {
    let columns: Vec<String> = key.columns.iter().map(ToString::to_string).collect();
    format!("{} ({}) → {} [{}]", table.name, columns.join(", "), key.referenced, key.name)
}

fn inbound(table: &Table, key: &ForeignKey) -> Crossing {
    let deleted = match key.on_delete {
        ReferentialAction::NoAction | ReferentialAction::Restrict => {
            "a delete at the new home that leaves it dangling is reported"
        }
        ReferentialAction::Cascade => "deletes at the new home are cascaded",
        ReferentialAction::SetNull => "deletes at the new home set it null",
        ReferentialAction::SetDefault => "deletes at the new home set its default",
    };
    let outcome =
        format!("becomes a watched reference: checked in the copy, then at the new home; {deleted}");
    crossing("foreign key in", key_text(table, key), outcome)
}

fn outbound(table: &Table, key: &ForeignKey) -> Crossing {
    let outcome = match key.on_delete {
        ReferentialAction::NoAction | ReferentialAction::Restrict => {
            "stays on the copy, where it stops deletes; new rows at the new home are not checked"
        }
        _ => {
            "its action on delete cannot reach the new home: it is dropped at the switch and the rows are left as they are"
        }
    };
    crossing("foreign key out", key_text(table, key), outcome)
}

fn views(scope: &Scope<'_>, bridge: Bridge) -> Vec<Crossing> {
    let reading = scope.catalog.views.iter().filter(|view| view.reads.iter().any(|oid| scope.has_oid(*oid)));
    reading
        .map(|view| {
            if view.materialized {
                return crossing("materialized view", view.name.to_string(), "reads the copy");
            }
            let outcome = match bridge {
                Bridge::Forward => "is re-created at the switch and reads the new home",
                Bridge::Local | Bridge::None => "reads the copy",
            };
            crossing("view", view.name.to_string(), outcome)
        })
        .collect()
}

fn functions(scope: &Scope<'_>, bridge: Bridge) -> Vec<Crossing> {
    let named = readiness::functions_that_name(scope);
    named
        .into_iter()
        .map(|(function, writes)| {
            let outcome = match (bridge, writes) {
                (Bridge::Forward, _) => "goes on through the bridge (its text names a moved table)",
                (Bridge::Local, false) | (Bridge::None, false) => {
                    "reads the copy (its text names a moved table)"
                }
                (Bridge::Local, true) => {
                    "reads the copy and writes through the bridge (its text names a moved table)"
                }
                (Bridge::None, true) => {
                    "its writes to a moved table will fail with an error that names the new home"
                }
            };
            crossing("function", function, outcome)
        })
        .collect()
}

/// No bridge leads to a sequence. An identity's has no name that people use.
fn sequences(scope: &Scope<'_>) -> Vec<Crossing> {
    const OUTCOME: &str = "leaves with its tables: nextval and currval of its old name fail after the switch; \
                           leave the column out and read the number with RETURNING";
    let named = scope.sequences().into_iter().filter(|s| s.owner_column.as_ref().is_none_or(|o| !o.identity));
    named.map(|sequence| crossing("sequence", sequence.name.to_string(), OUTCOME)).collect()
}
