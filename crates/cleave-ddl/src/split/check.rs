//! The functions that fill the parts and compare them with the table, a range of keys at a time.

use super::Split;
use crate::text::dollar;
use cleave_model::{labels, quote_literal};

/// `cleave_fill(rows)`: places the next so many keys, in the order of keys, and returns how many it looked at, 0 at the
/// end. It remembers in `cleave_progress` how far it is.
///
/// A key that has a row in `cleave_place` has been placed by a trigger. One that has none is placed here under that row's
/// lock, so that whoever changes the key next waits, and then finds it placed.
pub fn fill(split: &Split<'_>) -> String {
    let (table, key) = (split.table.name.quoted(), split.key.quoted());
    let progress = split.own("cleave_progress").quoted();
    let down = quote_literal(&labels::split_down(split.name));
    let columns = split.columns();
    let reached =
        |n: usize| format!("exists (select from {} r where r.{key} = t.{key})", split.reach_view(n).quoted());
    let places = split.places();
    let nobody: Vec<String> = (0..split.parts.len()).map(|n| format!("not {}", reached(n))).collect();
    let waits = split.orphans.unwrap_or(split.parts.len());
    let targets = (0..split.parts.len()).map(|n| (n, reached(n))).chain([(waits, nobody.join(" and "))]);
    let inserts: String = targets
        .map(|(n, condition)| {
            let insert = format!(
                "insert into {} ({columns}) overriding system value
        select {columns} from {table} t where t.{key} = any ($1::<<type>>[]) and {condition} on conflict ({key}) do nothing",
                places[n].quoted()
            );
            format!("    execute replace({}, '<<type>>', kind) using fresh;\n", dollar(&insert))
        })
        .collect();
    // Before 17 no variable can be an array of `%type`, so the keys travel as text.
    let body = format!(
        "
declare
    after {table}.{key}%type := (select p.last from {progress} p);
    final {table}.{key}%type;
    kind text := (select format_type(a.atttypid, null) from pg_attribute a
        where a.attrelid = {regclass}::regclass and a.attname = {name});
    fresh text[];
    looked bigint;
begin
    if after is null then
        {first}
    else
        {next}
    end if;
    if looked = 0 then
        update {progress} set done = true;
        return 0;
    end if;
    perform set_config({down}, '*', true);
{inserts}    perform set_config({down}, '', true);
    update {progress} p set last = final, rows = p.rows + looked;
    return looked;
end
",
        regclass = quote_literal(&table),
        name = quote_literal(split.key.as_str()),
        first = place_next(split, ""),
        next = place_next(split, &format!(" where t.{key} > after")),
    );
    format!(
        "create function {}(rows integer) returns bigint {} {}",
        split.own("cleave_fill").quoted(),
        own_function(split),
        dollar(&body)
    )
}

/// Only Cleave calls these. A check may call a function that finds its tables by the table's own schema.
fn own_function(split: &Split<'_>) -> String {
    format!("language plpgsql set search_path = pg_catalog, {}, pg_temp as", split.table.name.schema.quoted())
}

fn place_next(split: &Split<'_>, beyond: &str) -> String {
    let (table, key, place) = (split.table.name.quoted(), split.key.quoted(), split.place());
    format!(
        "with keys as (select t.{key} from {table} t{beyond} order by t.{key} limit rows),
        placed as (
            insert into {place} ({key}) select k.{key} from keys k order by k.{key} on conflict do nothing returning {key}
        )
        select (select count(*) from keys), (select k.{key} from keys k order by k.{key} desc limit 1),
               (select array_agg(p.{key}::text) from placed p)
        into looked, final, fresh;"
    )
}

/// `cleave_check(after, size)`: looks at the keys beyond `after` (null: from the first), about `size` of them, in one
/// statement, so that what it sees is of one moment. `last` is null after the last range.
///
/// - `missing`: a service reaches the row, and its part does not have it.
/// - `different`: a part has it with another value.
/// - `misplaced`: a part has a row that it should not have.
/// - `lost`: nobody reaches the row, and it is not in exactly one place.
/// - `shared`, `waiting`: rows that several services reach; rows in the pending part.
pub fn check(split: &Split<'_>) -> String {
    let (table, key) = (split.table.name.quoted(), split.key.quoted());
    let body = format!(
        "
declare
    low {table}.{key}%type := after;
    high {table}.{key}%type;
    seen bigint;
    bounds text := 'true';
begin
    if low is null then
        select count(*) into seen from (select from {table} t limit size + 1) t;
        if seen > size then
            high := (select t.{key} from {table} t order by t.{key} offset size - 1 limit 1);
        end if;
    else
        bounds := format('{key} > %L', low::text);
        high := (select t.{key} from {table} t where t.{key} > low order by t.{key} offset size - 1 limit 1);
    end if;
    if high is not null then
        bounds := bounds || format(' and {key} <= %L', high::text);
    end if;
    last := high::text;
    execute replace({query}, '<<bounds>>', bounds)
        into rows, missing, different, misplaced, lost, shared, waiting;
    return next;
end
",
        key = key.replace('\'', "''"),
        query = dollar(&question(split)),
    );
    format!(
        "create function {}(after text, size integer) returns table (last text, rows bigint, missing bigint, \
         different bigint, misplaced bigint, lost bigint, shared bigint, waiting bigint) {} {}",
        split.own("cleave_check").quoted(),
        own_function(split),
        dollar(&body)
    )
}

fn question(split: &Split<'_>) -> String {
    let (table, key) = (split.table.name.quoted(), split.key.quoted());
    let within = |relation: &str, alias: &str| format!("(select * from {relation} where <<bounds>>) {alias}");
    let t = within(&table, "t");
    let n = split.parts.len();
    let reached = |n: usize, of: &str| {
        format!("exists (select from {} r where r.{key} = {of}.{key})", split.reach_view(n).quoted())
    };
    let any = |of: &str| (0..n).map(|n| reached(n, of)).collect::<Vec<_>>().join(" or ");
    let how_many =
        |of: &str| (0..n).map(|n| format!("({})::integer", reached(n, of))).collect::<Vec<_>>().join(" + ");
    let places: Vec<String> = split.places().iter().map(|place| place.quoted()).collect();
    let holds = |of: &str| {
        let one =
            |place: &String| format!("(exists (select from {place} p where p.{key} = {of}.{key}))::integer");
        places.iter().map(one).collect::<Vec<_>>().join(" + ")
    };
    let sum = |terms: Vec<String>| terms.join("\n     + ");
    let missing = (0..n).map(|n| {
        let part = &places[n];
        format!(
            "(select count(*) from {t} where {} and not exists (select from {part} p where p.{key} = t.{key}))",
            reached(n, "t")
        )
    });
    let different = places.iter().map(|place| {
        let p = within(place, "p");
        format!(
            "(select count(*) from {t} join {p} on p.{key} = t.{key} where {} *<> {})",
            split.image("t"),
            split.image("p")
        )
    });
    let misplaced = places.iter().enumerate().map(|(at, place)| {
        let p = within(place, "p");
        let own = if at < n { format!("not {} and ", reached(at, "p")) } else { String::new() };
        format!(
            "(select count(*) from {p} where not exists (select from {table} t where t.{key} = p.{key}) \
             or ({own}({})))",
            any("p")
        )
    });
    format!(
        "select (select count(*) from {t}),
       {}::bigint,
       {}::bigint,
       {}::bigint,
       (select count(*) from {t} where not ({}) and {} <> 1),
       (select count(*) from {t} where {} > 1),
       (select count(*) from {})",
        sum(missing.collect()),
        sum(different.collect()),
        sum(misplaced.collect()),
        any("t"),
        holds("t"),
        how_many("t"),
        within(&places[n], "p"),
    )
}
