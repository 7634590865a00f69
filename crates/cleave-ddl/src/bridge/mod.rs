//! At the old home: what leads old names to the new one.
//!
//! Foreign tables for every moved table and partition, made ready in a schema of their own and only renamed into
//! place by the switch; for bridges that read the copy also views with `INSTEAD OF` triggers (module `view`).

mod view;

use crate::carry::Carried;
use crate::create::{Target, grant_statement};
use crate::text::list;
use cleave_model::catalog::{Column, Generated, Grant, Table};
use cleave_model::{Ident, QualifiedName, ServiceName, labels, quote_literal};

/// What an old name leads to (DESIGN: `bridge`), as far as other databases are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Reads and writes go to the new home.
    Forward,
    /// Reads go to the copy, writes to the new home.
    Local,
    /// Reads go to the copy, writes are refused with the name of the new home.
    None,
}

/// The server entry; `options` are libpq's and postgres_fdw's (`host`, `port`, `dbname`, ...), without a password.
pub fn server(service: &ServiceName, options: &[(&str, &str)]) -> String {
    let options: Vec<String> = options.iter().map(|(name, value)| option(name, value)).collect();
    let server = labels::foreign_server(service).quoted();
    format!("create server {server} foreign data wrapper postgres_fdw options ({})", options.join(", "))
}

/// How everybody logs in at the new home. **Holds the password**: execute it, never store or show it.
pub fn user_mapping(service: &ServiceName, password: &str) -> String {
    format!(
        "create user mapping for public server {} options ({}, {})",
        labels::foreign_server(service).quoted(),
        option("user", labels::bridge_role(service).as_str()),
        option("password", password),
    )
}

fn option(name: &str, value: &str) -> String {
    format!("{} {}", Ident::new(name).quoted(), quote_literal(value))
}

/// The bridge's role at the new home. **Holds the password**: execute it, never store or show it.
pub fn create_role(service: &ServiceName, password: &str) -> String {
    format!(
        "create role {} login password {}",
        labels::bridge_role(service).quoted(),
        quote_literal(password)
    )
}

/// What that role may do at the new home.
pub fn role_grants(service: &ServiceName, carried: &Carried<'_>, target: &Target<'_>) -> Vec<String> {
    let role = labels::bridge_role(service).quoted();
    let schema = target.schema.quoted();
    let mut grants = vec![format!("grant usage on schema {schema} to {role}")];
    for table in &carried.tables {
        let table = target.place(&table.name).quoted();
        grants.push(format!("grant select, insert, update, delete, truncate on {table} to {role}"));
    }
    for sequence in &carried.sequences {
        grants.push(format!(
            "grant usage, select on sequence {} to {role}",
            target.place(&sequence.name).quoted()
        ));
    }
    grants
}

/// The foreign tables, and for [`Mode::Local`] and [`Mode::None`] the views, under the names they will have, in
/// [`labels::bridge_schema`] and [`labels::bridge_view_schema`]. Reads the old tables where they stand before the
/// switch; views follow them into the copy's schema. `home` is the name of the new home for messages.
/// Each list sets `search_path` and leaves it changed.
pub fn prepare(
    service: &ServiceName,
    mode: Mode,
    home: &str,
    carried: &Carried<'_>,
    target: &Target<'_>,
) -> Vec<String> {
    let schema = labels::bridge_schema(service);
    let mut statements = vec![format!("create schema if not exists {}", schema.quoted())];
    for table in &carried.tables {
        statements.push(format!("set search_path = {}", table.name.schema.quoted()));
        statements.extend(foreign_table(service, table, target));
    }
    if mode != Mode::Forward {
        statements
            .push(format!("create schema if not exists {}", labels::bridge_view_schema(service).quoted()));
        for table in &carried.tables {
            statements.push(format!("set search_path = {}", table.name.schema.quoted()));
            statements.extend(view::create(service, mode, home, table));
        }
    }
    statements
}

/// Where a foreign table of a mode stands after the switch.
pub fn home_relation(service: &ServiceName, mode: Mode, table: &QualifiedName) -> QualifiedName {
    match mode {
        Mode::Forward => table.clone(),
        Mode::Local | Mode::None => table.in_schema(&labels::bridge_schema(service)),
    }
}

/// Renames the bridge into the place of the old names, which are free by then.
pub fn enter(service: &ServiceName, mode: Mode, carried: &Carried<'_>) -> Vec<String> {
    let (kind, schema) = moving(service, mode);
    let rename = |table: &&Table| {
        let prepared = table.name.in_schema(&schema).quoted();
        format!("alter {kind} {prepared} set schema {}", table.name.schema.quoted())
    };
    carried.tables.iter().map(rename).collect()
}

/// The way back of [`enter`].
pub fn leave(service: &ServiceName, mode: Mode, carried: &Carried<'_>) -> Vec<String> {
    let (kind, schema) = moving(service, mode);
    let rename =
        |table: &&Table| format!("alter {kind} {} set schema {}", table.name.quoted(), schema.quoted());
    carried.tables.iter().map(rename).collect()
}

/// Locks the bridge alone, without the tables below its views (`LOCK TABLE` on a view goes down to them, and knows no
/// foreign tables): an `alter` that changes nothing.
pub fn lock(mode: Mode, tables: &[&Table]) -> Vec<String> {
    let kind = if mode == Mode::Forward { "foreign table" } else { "view" };
    let lock =
        |table: &&Table| format!("alter {kind} {} owner to {}", table.name.quoted(), table.owner.quoted());
    tables.iter().map(lock).collect()
}

fn moving(service: &ServiceName, mode: Mode) -> (&'static str, Ident) {
    match mode {
        Mode::Forward => ("foreign table", labels::bridge_schema(service)),
        Mode::Local | Mode::None => ("view", labels::bridge_view_schema(service)),
    }
}

/// Removes a bridge that is not in place, with server and user mapping. What stands under an old name after the
/// switch is not in these schemas and is removed by [`drop_entered`] before this.
pub fn drop(service: &ServiceName, mode: Mode, carried: &Carried<'_>) -> Vec<String> {
    let views = labels::bridge_view_schema(service);
    let mut statements = Vec::new();
    if mode != Mode::Forward {
        for table in &carried.tables {
            let name = table.name.in_schema(&views).quoted();
            statements.push(format!("drop view if exists {name}"));
            statements.push(format!("drop function if exists {name}()"));
        }
        statements.push(format!("drop schema if exists {}", views.quoted()));
    }
    for table in &carried.tables {
        let name = table.name.in_schema(&labels::bridge_schema(service)).quoted();
        statements.push(format!("drop foreign table if exists {name}"));
    }
    statements.push(format!("drop schema if exists {}", labels::bridge_schema(service).quoted()));
    statements.push(format!("drop server if exists {} cascade", labels::foreign_server(service).quoted()));
    statements
}

/// Removes what stands under the old names after the switch. Fails if a view still reads it.
pub fn drop_entered(mode: Mode, carried: &Carried<'_>) -> Vec<String> {
    let kind = if mode == Mode::Forward { "foreign table" } else { "view" };
    carried.tables.iter().map(|table| format!("drop {kind} if exists {}", table.name.quoted())).collect()
}

/// Same columns in the same order and types: a prepared `select *` goes on with it (0A000 otherwise).
fn foreign_table(service: &ServiceName, table: &Table, target: &Target<'_>) -> Vec<String> {
    let place = table.name.in_schema(&labels::bridge_schema(service)).quoted();
    let remote = target.place(&table.name);
    let columns: Vec<String> =
        table.columns.iter().map(|column| format!("\n    {}", foreign_column(column))).collect();
    let mut statements = vec![format!(
        "create foreign table {place} ({}\n) server {} options ({}, {})",
        columns.join(","),
        labels::foreign_server(service).quoted(),
        option("schema_name", remote.schema.as_str()),
        option("table_name", remote.name.as_str()),
    )];
    statements.extend(access(table, &labels::bridge_schema(service), &place, "foreign table"));
    statements
}

fn foreign_column(column: &Column) -> String {
    let mut sql = format!("{} {}", column.name.quoted(), column.type_name);
    sql += &format!(" options ({})", option("column_name", column.name.as_str()));
    if let Some(collation) = &column.collation {
        sql += &format!(" collate {collation}");
    }
    match &column.generated {
        Some(Generated::Stored(expression)) => sql += &format!(" generated always as ({expression}) stored"),
        Some(Generated::Virtual(expression)) => {
            sql += &format!(" generated always as ({expression}) virtual")
        }
        None => {}
    }
    if let Some(default) = portable_default(column) {
        sql += &format!(" default {default}");
    }
    sql
}

/// A default that means the same on both sides. Those from sequences are filled in at the new home.
fn portable_default(column: &Column) -> Option<&str> {
    if column.default_sequence.is_some() { None } else { column.default.as_deref() }
}

/// The old table's owner and privileges, as they are when the bridge is prepared. Who gives an object away without
/// being a superuser needs the new owner to have CREATE on its schema.
fn access(table: &Table, schema: &Ident, place: &str, kind: &str) -> Vec<String> {
    let owner = table.owner.quoted();
    let mut statements = vec![
        format!("grant create on schema {} to {owner}", schema.quoted()),
        format!("alter {kind} {place} owner to {owner}"),
    ];
    let others = |grants: &[Grant]| -> Vec<Grant> {
        grants.iter().filter(|grant| grant.grantee.as_ref() != Some(&table.owner)).cloned().collect()
    };
    // MAINTAIN (17) has no meaning for them.
    for grant in others(&table.grants).iter().filter(|grant| grant.privilege != "MAINTAIN") {
        statements.push(grant_statement(grant, None, &format!("table {place}")));
    }
    for column in &table.columns {
        for grant in others(&column.grants) {
            statements.push(grant_statement(&grant, Some(&column.name), &format!("table {place}")));
        }
    }
    statements
}

/// `"a", "b"` of all columns.
fn column_list(table: &Table) -> String {
    list(table.columns.iter().map(|column| &column.name))
}
