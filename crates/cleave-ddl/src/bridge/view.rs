//! Views over the copy whose writes go to the new home, or are refused.

use super::{Mode, access, column_list, portable_default};
use crate::text::dollar;
use cleave_model::catalog::{Column, Table};
use cleave_model::{Ident, QualifiedName, ServiceName, labels, quote_ident, quote_literal};

/// Name of the trigger on the views.
const TRIGGER: &str = "_cleave_bridge";

/// The view runs with its owner's rights, who owns the copy too, so that nobody needs rights on the copy's schema.
/// The trigger function runs with the rights of its maker: nobody needs rights on the foreign tables.
pub(super) fn create(service: &ServiceName, mode: Mode, home: &str, table: &Table) -> Vec<String> {
    let place = table.name.in_schema(&labels::bridge_view_schema(service));
    let view = place.quoted();
    let mut statements =
        vec![format!("create view {view} as select {} from {}", column_list(table), table.name.quoted())];
    for column in &table.columns {
        if let Some(default) = portable_default(column) {
            statements.push(format!(
                "alter view {view} alter column {} set default {default}",
                column.name.quoted()
            ));
        }
    }
    statements.push(function(service, mode, home, table, &place));
    statements.push(format!(
        "create trigger {} instead of insert or update or delete on {view} for each row execute function {view}()",
        quote_ident(TRIGGER)
    ));
    statements.extend(access(table, &labels::bridge_view_schema(service), &view, "view"));
    statements
}

fn function(service: &ServiceName, mode: Mode, home: &str, table: &Table, place: &QualifiedName) -> String {
    let body = match mode {
        Mode::None => refusing(service, home, table),
        Mode::Local | Mode::Forward => writing(service, home, table),
    };
    format!(
        "create function {}() returns trigger language plpgsql security definer \
         set search_path = pg_catalog, pg_temp as {}",
        place.quoted(),
        dollar(&format!("\nbegin\n{body}end\n"))
    )
}

fn raise(indent: &str, message: &str, hint: &str) -> String {
    format!(
        "{indent}raise exception using errcode = '25006', message = {},\n{indent}    hint = {};\n",
        quote_literal(message),
        quote_literal(hint)
    )
}

fn refusing(service: &ServiceName, home: &str, table: &Table) -> String {
    let message =
        format!("cannot write to {}: it belongs to service {service}, whose home is {home}", table.name);
    raise("    ", &message, &format!("Connect to {home} to write."))
}

/// Only changed columns are set (compared as stored: not every type has `=`; without the casts `row(a) *<> row(b)` asks
/// for an operator of the columns' types): the others were read from the copy, which may be milliseconds old.
fn writing(service: &ServiceName, home: &str, table: &Table) -> String {
    let foreign = table.name.in_schema(&labels::bridge_schema(service)).quoted();
    let written: Vec<&Column> = table.columns.iter().filter(|column| column.is_written()).collect();
    let names: Vec<String> = written.iter().map(|column| column.name.quoted()).collect();
    let values: Vec<String> = names.iter().map(|name| format!("new.{name}")).collect();
    let all = column_list(table);
    let insert = format!(
        "    if tg_op = 'INSERT' then
        insert into {foreign} ({}) values ({})
            returning {all} into new;
        return new;
    end if;\n",
        names.join(", "),
        values.join(", ")
    );
    let Some(key) = table.identity_columns() else {
        let message = format!("cannot change rows of {} through its view: the table has no key", table.name);
        return insert + &raise("    ", &message, &format!("Connect to {home} to change them."));
    };
    let sets: Vec<String> = names
        .iter()
        .map(|name| {
            format!(
                "{name} = case when row(new.{name})::record *<> row(old.{name})::record then new.{name} else t.{name} end"
            )
        })
        .collect();
    let by_key = key.iter().map(Ident::quoted).map(|name| format!("t.{name} = old.{name}"));
    let by_key = by_key.collect::<Vec<_>>().join(" and ");
    insert
        + &format!(
            "    if tg_op = 'UPDATE' then
        update {foreign} t set {}
            where {by_key} returning {all} into new;
        if not found then
            return null;
        end if;
        return new;
    end if;
    delete from {foreign} t where {by_key};
    if not found then
        return null;
    end if;
    return old;\n",
            sets.join(",\n            ")
        )
}
