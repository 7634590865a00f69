//! What leaves the boundary of a service, object by object: what `cleave_assess::boundary` says becomes of it.

use crate::{Crossing, Scope};
use cleave_assess::boundary::{Member, report};
use cleave_config::Bridge;
use cleave_model::workload::Workload;

#[cfg(test)]
mod tests;

/// Kinds in the order in which the plan tells them.
const ORDER: [&str; 6] = ["foreign key in", "foreign key out", "view", "function", "trigger", "sequence"];

/// Lists the crossings in a fixed order.
pub(crate) fn list(scope: &Scope<'_>, bridge: Bridge) -> Vec<Crossing> {
    let tables = scope.tables.iter().map(|table| table.oid).collect();
    let member = Member { name: String::new(), bridge: Some(bridge), tables };
    let boundary = report(scope.catalog, &[member], &Workload::default());
    let mut crossings: Vec<Crossing> = boundary
        .crossings
        .into_iter()
        .flat_map(|crossing| {
            let object = crossing.object;
            crossing.outcomes.into_iter().map(move |outcome| Crossing {
                kind: outcome.label.to_owned(),
                object: object.clone(),
                outcome: outcome.text,
            })
        })
        .collect();
    crossings.sort_by_key(|crossing| ORDER.iter().position(|kind| crossing.kind.ends_with(kind)));
    crossings
}
