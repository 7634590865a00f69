//! The triggers: on the table, on its parts, on the tables that reach its rows; and users' own triggers, which must not
//! fire a second time when a row is passed on.

use super::settle::{ASK, FUNCTION, PATH, WRITE};
use super::{Reference, Split};
use crate::text::dollar;
use cleave_model::catalog::{Trigger, TriggerFiring};
use cleave_model::{Ident, QualifiedName, labels, quote_literal};

/// A trigger's text with a condition in front of its own: a row that a split passes on has fired the other table's.
/// `setting` holds `k` and the key while a row of that key is passed on, and `*` while many are.
pub(super) fn guarded(trigger: &Trigger, key: &Ident, setting: &str) -> String {
    let text = &trigger.definition;
    let Some(at) = text.rfind(" EXECUTE FUNCTION ") else { return text.clone() };
    let (head, tail) = text.split_at(at);
    let events = head.split(" ON ").next().unwrap_or_default();
    let names = |event: &str| events.contains(&format!(" {event}"));
    let row = head.contains(" FOR EACH ROW");
    let alias = match (row, names("INSERT"), names("DELETE")) {
        (true, false, _) => Some("old"),
        (true, true, false) => Some("new"),
        _ => None,
    };
    let value = format!("coalesce(pg_catalog.current_setting({}, true), '')", quote_literal(setting));
    let condition = match alias {
        Some(alias) => format!("{value} not in ('*', 'k' || {alias}.{}::text)", key.quoted()),
        None => format!("{value} = ''"),
    };
    match head.rfind(" WHEN (") {
        Some(when) => {
            let (before, own) = head.split_at(when);
            let own = own.trim_start_matches(" WHEN ");
            format!("{before} WHEN ({condition} and {own}){tail}")
        }
        None => format!("{head} WHEN ({condition}){tail}"),
    }
}

fn replace_user_trigger(split: &Split<'_>, trigger: &Trigger, definition: &str) -> Vec<String> {
    let table = split.table.name.quoted();
    let text = definition.strip_prefix("CREATE TRIGGER ").unwrap_or(definition);
    let mut statements = vec![format!("create or replace trigger {text}")];
    let state = match trigger.firing {
        TriggerFiring::Origin => None,
        TriggerFiring::Disabled => Some("disable"),
        TriggerFiring::Replica => Some("enable replica"),
        TriggerFiring::Always => Some("enable always"),
    };
    // A trigger that is replaced is enabled as a new one is.
    statements
        .extend(state.map(|state| format!("alter table {table} {state} trigger {}", trigger.name.quoted())));
    statements
}

fn user_triggers<'a>(split: &Split<'a>) -> impl Iterator<Item = &'a Trigger> {
    split.table.triggers.iter().filter(|trigger| !crate::carry::text_is_ours(&trigger.name))
}

/// Users' triggers on the table do not fire for rows that come from a part.
pub fn guard_user_triggers(split: &Split<'_>) -> Vec<String> {
    let setting = labels::split_up(split.name);
    in_table_schema(
        split,
        user_triggers(split)
            .flat_map(|trigger| replace_user_trigger(split, trigger, &guarded(trigger, split.key, &setting)))
            .collect(),
    )
}

/// Takes back [`guard_user_triggers`].
pub fn restore_user_triggers(split: &Split<'_>) -> Vec<String> {
    in_table_schema(
        split,
        user_triggers(split)
            .flat_map(|trigger| replace_user_trigger(split, trigger, &trigger.definition))
            .collect(),
    )
}

fn in_table_schema(split: &Split<'_>, statements: Vec<String>) -> Vec<String> {
    if statements.is_empty() {
        return statements;
    }
    let enter = format!("set local search_path = {}", split.table.name.schema.quoted());
    [enter].into_iter().chain(statements).chain(["set local search_path = ''".to_owned()]).collect()
}

fn function(split: &Split<'_>, name: &str, body: &str) -> String {
    format!(
        "create or replace function {}() returns trigger {FUNCTION} {}",
        split.own(name).quoted(),
        dollar(body)
    )
}

/// Triggers fire for whoever writes, appliers of logical replication included.
fn trigger(table: &str, name: &Ident, when: &str, function: &QualifiedName) -> Vec<String> {
    let name = name.quoted();
    vec![
        format!("create or replace trigger {name} {when} execute function {}()", function.quoted()),
        format!("alter table {table} enable always trigger {name}"),
    ]
}

/// The functions and triggers that pass the table's changes on to the parts. One transaction; SHARE ROW EXCLUSIVE.
pub fn table_triggers(split: &Split<'_>) -> Vec<String> {
    let table = split.table.name.quoted();
    let mut statements = vec![pass_down(split), truncate(split)];
    let after = format!("after insert or update or delete on {table} for each row");
    let name = labels::split_trigger(split.name);
    statements.extend(trigger(&table, &name, &after, &split.own("cleave_table")));
    let after = format!("after truncate on {table} for each statement");
    let name = labels::split_truncate_trigger(split.name);
    statements.extend(trigger(&table, &name, &after, &split.own("cleave_table_truncated")));
    statements
}

/// Takes back [`table_triggers`].
pub fn drop_table_triggers(split: &Split<'_>) -> Vec<String> {
    let table = split.table.name.quoted();
    [labels::split_trigger(split.name), labels::split_truncate_trigger(split.name)]
        .iter()
        .map(|name| format!("drop trigger if exists {} on {table}", name.quoted()))
        .collect()
}

/// Reads the row as it stands in the table, not `new`: another trigger may have changed it again since.
fn pass_down(split: &Split<'_>) -> String {
    let (table, key, place) = (split.table.name.quoted(), split.key.quoted(), split.place());
    let (up, down) = settings(split);
    let settle = split.own("cleave_settle").quoted();
    let updates: String = split
        .places()
        .iter()
        .map(|to| {
            format!(
                "        update {} p set {} from {table} t
            where t.{key} operator(pg_catalog.=) new.{key} and p.{key} operator(pg_catalog.=) k;\n",
                to.quoted(),
                assignments(split, "t", true)
            )
        })
        .collect();
    let body = format!(
        "
declare
{PATH}    k {table}.{key}%type;
    before text := pg_catalog.current_setting({down}, true);
    seen integer;
begin
{ASK}    if tg_op = 'INSERT' then k := new.{key}; else k := old.{key}; end if;
    if coalesce(current_setting({up}, true), '') = 'k' || k::text then
    {WRITE}        return null;
    end if;
    if tg_op = 'UPDATE' then
        insert into {place} as p ({key}) values (k)
            on conflict ({key}) do update set version = p.version + 1 returning version into seen;
        perform set_config({down}, 'k' || k::text, true);
    {WRITE}{updates}    {ASK}        perform set_config({down}, coalesce(before, ''), true);
        if new.{key} is not distinct from old.{key} then
            if seen = 0 then
                perform {settle}(k, path);
            end if;
        {WRITE}            return null;
        end if;
        perform {settle}(new.{key}, path);
    end if;
    perform {settle}(k, path);
{WRITE}    return null;
end
"
    );
    function(split, "cleave_table", &body)
}

fn settings(split: &Split<'_>) -> (String, String) {
    (quote_literal(&labels::split_up(split.name)), quote_literal(&labels::split_down(split.name)))
}

fn assignments(split: &Split<'_>, alias: &str, all: bool) -> String {
    let columns =
        split.written().filter(|column| all || !split.fixed().any(|fixed| fixed.name == column.name));
    columns.map(|column| format!("{0} = {alias}.{0}", column.name.quoted())).collect::<Vec<_>>().join(", ")
}

/// Rows are deleted, not truncated: a part may have keys to it by now, which `TRUNCATE` does not look into.
fn truncate(split: &Split<'_>) -> String {
    let (_, down) = settings(split);
    let deletes: String =
        split.places().iter().map(|place| format!("    delete from {};\n", place.quoted())).collect();
    let body = format!(
        "
begin
    perform pg_catalog.set_config({down}, '*', true);
    delete from {};
{deletes}    perform pg_catalog.set_config({down}, '', true);
    return null;
end
",
        split.place()
    );
    function(split, "cleave_table_truncated", &body)
}

/// Every place's function while the table is the home: nobody writes to a part. Triggers with it; run this before rows
/// come. Replacing a function takes no lock that a writer would meet.
pub fn close_parts(split: &Split<'_>) -> Vec<String> {
    let (_, down) = settings(split);
    let key = split.key.quoted();
    let mut statements = Vec::new();
    for (n, place) in split.places().iter().enumerate() {
        let message = quote_literal(&format!(
            "cannot write to {place}: it is a part of {} until the split {} has switched",
            split.table.name, split.name
        ));
        let hint = quote_literal(&format!("Write to {}.", split.table.name));
        let body = format!(
            "
declare
{PATH}    k text;
begin
{ASK}    if tg_op = 'INSERT' then k := new.{key}::text; else k := old.{key}::text; end if;
    if coalesce(current_setting({down}, true), '') in ('*', 'k' || k) then
    {WRITE}        return null;
    end if;
    raise exception using errcode = '25006', message = {message}, hint = {hint};
end
"
        );
        statements.push(function(split, &format!("cleave_part_{}", n + 1), &body));
    }
    if split.exclusive {
        statements
            .extend(split.references().map(|(_, reference)| reference_function(split, reference, false)));
    }
    statements
}

/// The triggers of the parts, on empty tables.
pub(super) fn part_triggers(split: &Split<'_>) -> Vec<String> {
    let mut statements = close_parts(split);
    let body = format!(
        "
begin
    raise exception using errcode = '0A000',
        message = {};
end
",
        quote_literal(&format!(
            "cannot truncate a part of {} before the split {} is complete",
            split.table.name, split.name
        ))
    );
    statements.push(function(split, "cleave_part_truncated", &body));
    for (n, place) in split.places().iter().enumerate() {
        let place = place.quoted();
        let after = format!("after insert or update or delete on {place} for each row");
        let own = split.own(format!("cleave_part_{}", n + 1));
        statements.extend(trigger(&place, &labels::split_trigger(split.name), &after, &own));
        let before = format!("before truncate on {place} for each statement");
        let name = labels::split_truncate_trigger(split.name);
        statements.extend(trigger(&place, &name, &before, &split.own("cleave_part_truncated")));
    }
    statements
}

/// Every part's function after the switch: a change goes to the table, and to other parts that hold the row.
pub fn open_parts(split: &Split<'_>) -> Vec<String> {
    let mut statements: Vec<String> = (0..split.parts.len()).map(|part| pass_up(split, part)).collect();
    if split.exclusive {
        statements
            .extend(split.references().map(|(_, reference)| reference_function(split, reference, true)));
    }
    statements
}

/// Other places that hold the row get it too.
fn pass_on(split: &Split<'_>, part: usize, places: &[QualifiedName]) -> String {
    let (key, own) = (split.key.quoted(), places[part].quoted());
    (0..places.len())
        .filter(|n| *n != part)
        .map(|n| {
            format!(
                "        update {} q set {} from {own} p
            where p.{key} operator(pg_catalog.=) new.{key} and q.{key} operator(pg_catalog.=) k;\n",
                places[n].quoted(),
                assignments(split, "p", true)
            )
        })
        .collect()
}

fn pass_up(split: &Split<'_>, part: usize) -> String {
    let (table, key, columns) = (split.table.name.quoted(), split.key.quoted(), split.columns());
    let (up, down) = settings(split);
    let settle = split.own("cleave_settle").quoted();
    let places = split.places();
    let own = places[part].quoted();
    let others = pass_on(split, part, &places);
    let fixed: String = split
        .fixed()
        .map(|column| {
            let name = column.name.quoted();
            let message = quote_literal(&format!("column {name} can only be updated to DEFAULT"));
            format!(
                "        if new.{name} is distinct from old.{name} then
            raise exception using errcode = '428C9', message = {message};
        end if;\n"
            )
        })
        .collect();
    let body = format!(
        "
declare
{PATH}    k {table}.{key}%type;
    mark text;
    before_up text := pg_catalog.current_setting({up}, true);
    before_down text := pg_catalog.current_setting({down}, true);
    inserts boolean;
    updates boolean;
begin
{ASK}    inserts := tg_op = 'INSERT';
    updates := tg_op = 'UPDATE';
    if inserts then k := new.{key}; else k := old.{key}; end if;
    mark := 'k' || k::text;
    if before_down in ('*', mark) then
    {WRITE}        return null;
    end if;
    if updates then
        null;
{fixed}    end if;
    perform set_config({up}, mark, true);
{WRITE}    if inserts then
        insert into {table} ({columns}) overriding system value
            select {columns} from {own} p where p.{key} operator(pg_catalog.=) k;
    elsif updates then
        update {table} t set {set} from {own} p
            where p.{key} operator(pg_catalog.=) new.{key} and t.{key} operator(pg_catalog.=) k;
    else
        delete from {table} t where t.{key} operator(pg_catalog.=) k;
    end if;
{ASK}    if updates then
        insert into {place} as p ({key}) values (k) on conflict ({key}) do update set version = p.version + 1;
        perform set_config({down}, mark, true);
    {WRITE}{others}    {ASK}        perform set_config({down}, coalesce(before_down, ''), true);
    end if;
    perform set_config({up}, coalesce(before_up, ''), true);
    perform {settle}(k, path);
    if updates and new.{key} is distinct from old.{key} then
        perform {settle}(new.{key}, path);
    end if;
{WRITE}    return null;
end
",
        set = assignments(split, "p", false),
        place = split.place(),
    );
    function(split, &format!("cleave_part_{}", part + 1), &body)
}

/// The function and triggers on one table that reaches rows. One transaction; SHARE ROW EXCLUSIVE.
pub fn reference_triggers(split: &Split<'_>, reference: &Reference<'_>) -> Vec<String> {
    let (table, column) = (reference.table.quoted(), reference.column.quoted());
    let own = split.own(format!("cleave_reference_{}", reference.number));
    let mut statements =
        vec![reference_function(split, reference, false), reference_truncated(split, reference)];
    let events = [
        ("insert", format!("new.{column} is not null")),
        ("update", format!("old.{column} is distinct from new.{column}")),
        ("delete", format!("old.{column} is not null")),
    ];
    for (event, condition) in events {
        let when = format!("after {event} on {table} for each row when ({condition})");
        let name = labels::split_reference_trigger(split.name, reference.number, event);
        statements.extend(trigger(&table, &name, &when, &own));
    }
    let when = format!("after truncate on {table} for each statement");
    let name = truncate_name(split, reference);
    let truncated = split.own(format!("cleave_reference_{}_truncated", reference.number));
    statements.extend(trigger(&table, &name, &when, &truncated));
    statements
}

fn truncate_name(split: &Split<'_>, reference: &Reference<'_>) -> Ident {
    labels::split_reference_trigger(split.name, reference.number, "truncate")
}

/// The table's row is held before `cleave_place`, as everybody else does who needs both.
fn reference_function(split: &Split<'_>, reference: &Reference<'_>, exclusive: bool) -> String {
    let (table, key, column) = (split.table.name.quoted(), split.key.quoted(), reference.column.quoted());
    let settle = split.own("cleave_settle").quoted();
    let refuse = if exclusive { refuse_shared(split) } else { String::new() };
    let body = format!(
        "
declare
{PATH}    k {table}.{key}%type;
begin
{ASK}    if tg_op <> 'INSERT' and old.{column} is not null then
        perform from {table} t where t.{key} = old.{column} for key share;
        perform {settle}(old.{column}, path);
    end if;
    if tg_op <> 'DELETE' and new.{column} is not null then
        k := new.{column};
        perform from {table} t where t.{key} = k for key share;
        perform {settle}(k, path);
{refuse}    end if;
{WRITE}    return null;
end
"
    );
    function(split, &format!("cleave_reference_{}", reference.number), &body)
}

fn refuse_shared(split: &Split<'_>) -> String {
    let key = split.key.quoted();
    let reached: Vec<String> = (0..split.parts.len())
        .map(|n| {
            format!("(exists (select from {} r where r.{key} = k))::integer", split.reach_view(n).quoted())
        })
        .collect();
    let message = quote_literal(&format!(
        "the row of {} belongs to another service already, and split {} lets none be shared",
        split.table.name, split.name
    ));
    format!(
        "        if {} > 1 then
            raise exception using errcode = '23503', message = {message},
                hint = 'Refer to a row of its own, or set shared = \"copy\" for the split.';
        end if;\n",
        reached.join(" + ")
    )
}

/// Row triggers do not see a `TRUNCATE`: what was reached through the table is looked at again.
fn reference_truncated(split: &Split<'_>, reference: &Reference<'_>) -> String {
    let key = split.key.quoted();
    let settle = split.own("cleave_settle").quoted();
    let part =
        split.references().find(|(_, other)| other.number == reference.number).map_or(0, |(part, _)| part);
    let body = format!(
        "
declare
{PATH}begin
{ASK}    perform {settle}(p.{key}, path) from {} p;
{WRITE}    return null;
end
",
        split.places()[part].quoted()
    );
    function(split, &format!("cleave_reference_{}_truncated", reference.number), &body)
}

/// Drops the triggers on one table that reaches rows.
pub fn drop_triggers(split: &Split<'_>, reference: &Reference<'_>) -> Vec<String> {
    let table = reference.table.quoted();
    ["insert", "update", "delete", "truncate"]
        .iter()
        .map(|event| {
            let name = labels::split_reference_trigger(split.name, reference.number, event);
            format!("drop trigger if exists {} on {table}", name.quoted())
        })
        .collect()
}
