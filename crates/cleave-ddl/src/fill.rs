//! At the new home: gives columns that a bridge left out their defaults. postgres_fdw sends NULL for every omitted
//! column (measured on 14 to 18), so a NULL from the bridge in a NOT NULL column can only mean "left out".

use crate::carry::Carried;
use crate::create::Target;
use crate::text::dollar;
use cleave_model::catalog::{Column, Table};
use cleave_model::labels::{CLEAVE_SCHEMA, FILL_TRIGGER, fill_function};
use cleave_model::{Ident, QualifiedName, ServiceName, quote_ident, quote_literal};

/// Function and trigger for every carried table that has something to fill. The trigger asks for the session's role
/// in its WHEN clause, so that direct clients never call the function. It runs with the rights of the bridge's role,
/// which needs USAGE on the sequences ([`bridge::role_grants`](crate::bridge::role_grants) gives it).
pub fn create(
    service: &ServiceName,
    carried: &Carried<'_>,
    target: &Target<'_>,
    bridge_role: &Ident,
) -> Vec<String> {
    let mut statements = Vec::new();
    for table in roots(carried) {
        let assignments: Vec<String> =
            table.columns.iter().filter_map(|column| assignment(carried, target, table, column)).collect();
        if assignments.is_empty() {
            continue;
        }
        let body = format!("\nbegin\n{}\n    return new;\nend\n", assignments.join("\n"));
        let function = name(service, table);
        let path = target.function_path(&table.name.schema);
        statements.push(format!(
            "create or replace function {function}() returns trigger language plpgsql set search_path = {path} as {}",
            dollar(&body)
        ));
        statements.push(format!(
            "create or replace trigger {} before insert on {} for each row when (session_user = {}) \
             execute function {function}()",
            quote_ident(FILL_TRIGGER),
            target.place(&table.name).quoted(),
            quote_literal(bridge_role.as_str()),
        ));
    }
    statements
}

/// Takes all of it away.
pub fn drop(service: &ServiceName, carried: &Carried<'_>, target: &Target<'_>) -> Vec<String> {
    let both = |table: &Table| {
        let place = target.place(&table.name).quoted();
        [
            format!("drop trigger if exists {} on {place}", quote_ident(FILL_TRIGGER)),
            format!("drop function if exists {}()", name(service, table)),
        ]
    };
    roots(carried).flat_map(both).collect()
}

/// A trigger on a partitioned table is cloned to its partitions.
fn roots<'a>(carried: &Carried<'a>) -> impl Iterator<Item = &'a Table> {
    carried.tables.iter().copied().filter(|table| table.partition_of.is_none())
}

fn name(service: &ServiceName, table: &Table) -> String {
    QualifiedName::new(CLEAVE_SCHEMA, fill_function(service, table.oid)).quoted()
}

fn assignment(carried: &Carried<'_>, target: &Target<'_>, table: &Table, column: &Column) -> Option<String> {
    if !column.not_null || !column.is_written() {
        return None;
    }
    let value = match (&column.default, column.identity) {
        (Some(default), _) => default.clone(),
        (None, Some(_)) => {
            let own = carried.sequences.iter().find(|sequence| {
                let owner = sequence.owner_column.as_ref();
                owner.is_some_and(|o| o.identity && o.table == table.oid && o.column == column.name)
            })?;
            format!(
                "pg_catalog.nextval({}::pg_catalog.regclass)",
                quote_literal(&target.place(&own.name).quoted())
            )
        }
        (None, None) => return None,
    };
    let name = column.name.quoted();
    Some(format!("    if new.{name} is null then\n        new.{name} := {value};\n    end if;"))
}
