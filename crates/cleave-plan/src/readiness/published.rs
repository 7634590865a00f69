//! What stands against publishing a table, on either side: the way back publishes it at the new home.

use super::identity_choice;
use crate::{Finding, Scope};
use cleave_config::{Bridge, IdentityChoice, Service};
use cleave_model::catalog::{Catalog, Column, ReplicaIdentity, Table};
use cleave_model::labels;

/// First version that refuses updates and deletes of a table whose whole row is its identity, if it is published
/// without its generated columns ("Replica identity must not contain unpublished generated columns").
const WHOLE_ROWS_WITHOUT_GENERATED_SINCE: u32 = 18;

pub(crate) fn findings(scope: &Scope<'_>, target: Option<&Catalog>, service: &Service) -> Vec<Finding> {
    let newest = scope.catalog.facts.major().max(target.map_or(0, |target| target.facts.major()));
    let holding = scope.tables.iter().filter(|table| table.holds_rows());
    let mut findings: Vec<Finding> =
        holding.filter_map(|table| generated_identity(table, service, newest)).collect();
    findings.extend(scope.tables.iter().filter_map(|table| row_security(table, service)));
    findings
}

/// Generated columns are not published: neither can they tell rows apart, nor be part of a whole row from 18 on.
fn generated_identity(table: &Table, service: &Service, newest: u32) -> Option<Finding> {
    let generated = |column: &&Column| column.generated.is_some();
    let chosen = identity_choice(table, service)
        .filter(|_| table.identity_columns().is_none() && table.replica_identity != ReplicaIdentity::Full);
    let full = table.replica_identity == ReplicaIdentity::Full || chosen == Some(&IdentityChoice::Full);
    let by_index = match chosen {
        Some(IdentityChoice::Index(name)) => {
            table.indexes.iter().find(|index| index.name == *name).map(|index| index.columns.as_slice())
        }
        _ => table.identity_columns(),
    };
    if full {
        let column = table.columns.iter().find(generated)?;
        if newest < WHOLE_ROWS_WITHOUT_GENERATED_SINCE {
            return None;
        }
        let message = format!(
            "its replica identity is FULL and column {} is generated: PostgreSQL 18 refuses updates and deletes of \
             such a table once it is published",
            column.name
        );
        let fix =
            format!("alter table {} replica identity default; -- with a primary key", table.name.quoted());
        return Some(Finding::refusal("C0232", &table.name, message).fix(fix));
    }
    let columns = by_index?.iter().filter_map(|name| table.column(name));
    let column = columns.into_iter().find(generated)?;
    let message = format!(
        "column {} of its identity is generated, and generated columns are not published: updates and deletes could \
         not be followed",
        column.name
    );
    Some(Finding::refusal("C0232", &table.name, message))
}

/// Through the bridge everybody is one role.
fn row_security(table: &Table, service: &Service) -> Option<Finding> {
    if !table.row_security.0 || service.bridge.value == Bridge::None {
        return None;
    }
    let message = format!(
        "it has row level security: for all who come through the bridge its policies see the role {}, and hide what \
         they hide from it",
        labels::bridge_role(&service.name)
    );
    Some(Finding::warning("C0233", &table.name, message))
}
