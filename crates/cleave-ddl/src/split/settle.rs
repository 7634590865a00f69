//! Where a row belongs, and the function that puts it there.

use super::Split;
use crate::text::dollar;
use cleave_model::{labels, quote_literal};

/// Functions of a split run with their maker's rights.
///
/// What they ask, they ask with a `search_path` of their own, so that nobody can put another operator in the place of one
/// that they use. What they write, they write with the client's: a row that is passed on may set off users' triggers, by a
/// key's cascade for one, and these find what they name as they always have. In such statements every operator is named
/// with its schema. A setting clause of the function would hide the client's path from it.
pub(super) const FUNCTION: &str = "language plpgsql security definer as";

/// The variable that keeps the client's path.
pub(super) const PATH: &str = "    path text := pg_catalog.current_setting('search_path');\n";

/// The first statement of a function, and what follows a write.
pub(super) const ASK: &str =
    "    perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);\n";

/// In front of a write, and of each return.
pub(super) const WRITE: &str = "    perform pg_catalog.set_config('search_path', path, true);\n";

/// `key` values by which a part's service reaches rows: plain SQL, for use in `from`.
pub fn reach(split: &Split<'_>, part: usize) -> String {
    let references = split.parts.get(part).map(|part| part.references.as_slice()).unwrap_or_default();
    let columns = references.iter().map(|reference| {
        let column = reference.column.quoted();
        let (key, table) = (split.key.quoted(), reference.table.quoted());
        format!("select {column} as {key} from {table} where {column} is not null")
    });
    columns.collect::<Vec<_>>().join(" union all ")
}

/// The views, tables and functions that table and parts are kept equal by; they do nothing before the triggers are there.
pub fn keep_in_step(split: &Split<'_>) -> Vec<String> {
    let (place, key, table) = (split.place(), split.key.quoted(), split.table.name.quoted());
    let mut statements = vec![
        format!("create table {place} as select {key} from {table} with no data"),
        format!("alter table {place} add primary key ({key})"),
        format!("alter table {place} add column version integer not null default 0"),
        format!("alter table {place} set (fillfactor = 80)"),
        format!(
            "create table {} as select {key} as last, 0::bigint as rows, false as done from {table} with no data",
            split.own("cleave_progress").quoted()
        ),
        format!("insert into {} values (null, 0, false)", split.own("cleave_progress").quoted()),
    ];
    for part in 0..split.parts.len() {
        let view = split.reach_view(part).quoted();
        statements.push(format!("create view {view} as {}", reach(split, part)));
    }
    statements.push(settle(split));
    statements.extend(super::triggers::part_triggers(split));
    statements.push(super::fill(split));
    statements.push(super::check(split));
    statements
}

/// The function `cleave_settle(key, path)`: holds the key's row in `cleave_place`, then looks and acts.
///
/// Whoever changes a row, or what reaches it, has written that row of `cleave_place` first. So under READ COMMITTED the
/// looks that follow see all that has happened to the key, and above it the second of two transactions fails with 40001
/// instead of deciding on an old picture.
fn settle(split: &Split<'_>) -> String {
    let (name, table, key) =
        (split.own("cleave_settle").quoted(), split.table.name.quoted(), split.key.quoted());
    let down = quote_literal(&labels::split_down(split.name));
    let reached = |n: usize| format!("reached_{}", n + 1);
    let n = split.parts.len();
    let declare: String = (0..n).map(|n| format!("    {} boolean;\n", reached(n))).collect();
    let look: String = (0..n)
        .map(|n| {
            let view = split.reach_view(n).quoted();
            format!("        {} := exists (select from {view} r where r.{key} = k);\n", reached(n))
        })
        .collect();
    let nobody = (0..n).map(|n| format!("not {}", reached(n))).collect::<Vec<_>>().join(" and ");
    let places: Vec<String> = split.places().iter().map(|place| place.quoted()).collect();
    let delete_all: String =
        places.iter().map(|place| format!("        {};\n", delete(split, place))).collect();
    let body = format!(
        "
declare
    before text := pg_catalog.current_setting({down}, true);
    kept boolean := false;
{declare}begin
    insert into {place} as p ({key}) values (k) on conflict ({key}) do update set version = p.version + 1;
    perform set_config({down}, 'k' || k::text, true);
    if not exists (select from {table} t where t.{key} = k) then
        delete from {place} p where p.{key} = k;
    {WRITE}{delete_all}    {ASK}    else
{look}        if {nobody} then
{stay}        else
        {WRITE}{divide}        {ASK}        end if;
    end if;
    perform set_config({down}, coalesce(before, ''), true);
end
",
        place = split.place(),
        stay = stay(split, &places),
        divide = divide(split, &places, reached),
    );
    format!(
        "create function {name}(k {table}.{key}%type, path text) returns void {FUNCTION} {}",
        dollar(&body)
    )
}

/// A row that nobody reaches stays where it is, in one place; a new one waits.
fn stay(split: &Split<'_>, places: &[String]) -> String {
    let key = split.key.quoted();
    let mut text: String = places
        .iter()
        .map(|place| {
            format!(
                "            if kept then
            {WRITE}                {};
            {ASK}            else
                kept := exists (select from {place} p where p.{key} = k);
            end if;\n",
                delete(split, place)
            )
        })
        .collect();
    let waits = split.orphans.unwrap_or(split.parts.len());
    text += &format!(
        "            if not kept then
            {WRITE}                {};
            {ASK}            end if;\n",
        insert(split, &places[waits])
    );
    text
}

/// A row that is reached is where its services are, and nowhere else.
fn divide(split: &Split<'_>, places: &[String], reached: impl Fn(usize) -> String) -> String {
    let mut text = String::new();
    for (n, place) in places.iter().enumerate() {
        let delete = delete(split, place);
        if n == split.parts.len() {
            text += &format!("            {delete};\n");
        } else {
            text += &format!(
                "            if {} then
                {};
            else
                {delete};
            end if;\n",
                reached(n),
                insert(split, place)
            );
        }
    }
    text
}

fn delete(split: &Split<'_>, place: &str) -> String {
    format!("delete from {place} p where p.{} operator(pg_catalog.=) k", split.key.quoted())
}

fn insert(split: &Split<'_>, place: &str) -> String {
    let (columns, key, table) = (split.columns(), split.key.quoted(), split.table.name.quoted());
    format!(
        "insert into {place} ({columns}) overriding system value
                    select {columns} from {table} t where t.{key} operator(pg_catalog.=) k
                    on conflict ({key}) do nothing"
    )
}
