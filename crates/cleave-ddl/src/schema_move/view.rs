//! The updatable view that stands under an old name: it reads and writes the table where it is now.

use crate::create::grant_statement;
use crate::text::list;
use cleave_model::catalog::{Grant, Table};
use cleave_model::{Ident, QualifiedName, quote_literal};

/// First version whose views can run with the rights of who reads them.
const SECURITY_INVOKER_SINCE: u32 = 15;

/// The view under the table's old name. From 15 on it runs with its reader's rights, so that row-level security holds;
/// before, with its maker's. A default on every column that has one: `update ... set c = default` through a view
/// without it writes NULL. The view belongs to the role that makes it: what applications could change on it, and on it
/// alone, would go unnoticed. `search_path` must name the old schema and then the new one.
pub fn create(table: &Table, schema: &Ident, major: u32, service: &str) -> Vec<String> {
    let (old, new) = (table.name.quoted(), table.name.in_schema(schema));
    let invoker = if major >= SECURITY_INVOKER_SINCE { " with (security_invoker = true)" } else { "" };
    let columns = list(table.columns.iter().map(|column| &column.name));
    let mut statements =
        vec![format!("create view {old}{invoker} as select {columns} from {}", new.quoted())];
    for column in &table.columns {
        if let Some(default) = &column.default {
            let name = column.name.quoted();
            statements.push(format!("alter view {old} alter column {name} set default {default}"));
        }
    }
    let comment = format!("Stands in for {new} since it moved (Cleave, service {service}).");
    statements.push(format!("comment on view {old} is {}", quote_literal(&comment)));
    statements.extend(access(table, &old));
    statements
}

/// The table's privileges on the view, column by column too. Its owner's are written out: the view is another's.
fn access(table: &Table, view: &str) -> Vec<String> {
    let object = format!("table {view}");
    let mut statements = vec![format!("grant all on {object} to {}", table.owner.quoted())];
    let others = |grants: &[Grant]| -> Vec<Grant> {
        grants.iter().filter(|grant| grant.grantee.as_ref() != Some(&table.owner)).cloned().collect()
    };
    // MAINTAIN (17) has no meaning for a view.
    for grant in others(&table.grants).iter().filter(|grant| grant.privilege != "MAINTAIN") {
        statements.push(grant_statement(grant, None, &object));
    }
    for column in &table.columns {
        for grant in others(&column.grants) {
            statements.push(grant_statement(&grant, Some(&column.name), &object));
        }
    }
    statements
}

/// Removes it. Fails if a view of somebody else reads it.
pub fn drop(old: &QualifiedName) -> String {
    format!("drop view if exists {}", old.quoted())
}

/// Locks the view alone, by an `alter` that changes nothing: `LOCK TABLE` would go down to the table, and who writes
/// through the view takes the view first.
pub fn lock(old: &QualifiedName) -> String {
    format!("alter view if exists {} owner to current_user", old.quoted())
}
