//! The fence: what stops writes on a side that is not the home.
//!
//! A statement-level trigger on every table and partition, `ENABLE ALWAYS` so that it also stops sessions in replica
//! mode, calls one function per service. Opening and closing replace the function: no lock on a table is needed.

use crate::text::dollar;
use cleave_model::labels::{CLEAVE_SCHEMA, FENCE_TRIGGER, fence_function};
use cleave_model::{Ident, QualifiedName, ServiceName, quote_ident, quote_literal};

/// Whom the fence lets through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fence {
    /// Everybody: this is the home.
    Open,
    /// The applier, and the bridge of a switch that is about to be decided elsewhere.
    HalfOpen {
        /// The role that bridges log in as.
        bridge_role: Ident,
        /// What everybody else is told.
        notice: Notice,
    },
    /// The applier alone.
    Closed(Notice),
}

/// What a refused writer is told, and who is not refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The database that is the home, as `cleave.toml` names it.
    pub home: String,
    /// Since when, as text for people.
    pub since: String,
    /// The role that Cleave's applier logs in as. It passes only while a replication origin is set up, so that a
    /// person who logs in as that role is stopped too.
    pub applier_role: Ident,
    /// How the home is reached.
    pub way: Way,
}

/// What a refused writer can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Connect to the home, or write through the bridge.
    Bridge,
    /// Connect to the home: the whole database has moved.
    Connect,
}

/// Creates or replaces the fence function.
///
/// `session_user` is tested first and in an `if` of its own: an expression that calls
/// `pg_replication_origin_session_is_setup` asks for the right to execute it, which only the applier has, even if
/// the call would be skipped.
pub fn function(service: &ServiceName, fence: &Fence) -> String {
    let body = match fence {
        Fence::Open => "begin\n    return null;\nend".to_owned(),
        Fence::HalfOpen { bridge_role, notice } => {
            let role = quote_literal(bridge_role.as_str());
            let bridge = format!("    if session_user = {role} then\n        return null;\n    end if;\n");
            refusing(service, notice, &bridge)
        }
        Fence::Closed(notice) => refusing(service, notice, ""),
    };
    let name = name(service);
    format!(
        "create or replace function {name}() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as {}",
        dollar(&format!("\n{body}\n"))
    )
}

fn refusing(service: &ServiceName, notice: &Notice, bridge: &str) -> String {
    let Notice { home, since, applier_role, way } = notice;
    let (message, hint) = match way {
        Way::Bridge => (
            format!("this table belongs to service {service}, whose home is {home} since {since}"),
            format!("Connect to {home} to write, or write through the bridge under the old name."),
        ),
        Way::Connect => (
            format!("the home of this database is {home} since {since} ({service})"),
            format!("Connect to {home} to write."),
        ),
    };
    format!(
        "begin
    if session_user = {applier} then
        if pg_catalog.pg_replication_origin_session_is_setup() then
            return null;
        end if;
    end if;
{bridge}    raise exception using errcode = '25006',
        message = pg_catalog.format('cannot write to %I.%I: ', tg_table_schema, tg_table_name) || {message},
        hint = {hint},
        schema = tg_table_schema, table = tg_table_name;
end",
        applier = quote_literal(applier_role.as_str()),
        message = quote_literal(&message),
        hint = quote_literal(&hint),
    )
}

/// Puts the fence on these tables. Name every partition: a trigger on a partitioned table does not see a statement
/// that names a partition. SHARE ROW EXCLUSIVE on each.
pub fn triggers(service: &ServiceName, tables: &[QualifiedName]) -> Vec<String> {
    let (trigger, function) = (quote_ident(FENCE_TRIGGER), name(service));
    let both = |table: &QualifiedName| {
        let table = table.quoted();
        [
            format!(
                "create or replace trigger {trigger} before insert or update or delete or truncate on {table} \
                 for each statement execute function {function}()"
            ),
            format!("alter table only {table} enable always trigger {trigger}"),
        ]
    };
    tables.iter().flat_map(both).collect()
}

/// Waits until no statement that began before the fence was closed still writes: run each and end the transaction.
pub fn barrier(tables: &[QualifiedName]) -> Vec<String> {
    let lock =
        |table: &QualifiedName| format!("lock table only {} in share row exclusive mode", table.quoted());
    tables.iter().map(lock).collect()
}

/// Takes the fence off these tables. ACCESS EXCLUSIVE on each.
pub fn drop_triggers(tables: &[QualifiedName]) -> Vec<String> {
    let trigger = quote_ident(FENCE_TRIGGER);
    tables.iter().map(|table| format!("drop trigger if exists {trigger} on {}", table.quoted())).collect()
}

/// Drops the function, once no table has its trigger.
pub fn drop_function(service: &ServiceName) -> String {
    format!("drop function if exists {}()", name(service))
}

fn name(service: &ServiceName) -> String {
    QualifiedName::new(CLEAVE_SCHEMA, fence_function(service)).quoted()
}
