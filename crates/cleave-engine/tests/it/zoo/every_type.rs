//! Every type, each with values to its limits.

use super::journey::{Exhibit, pairs, travel};
use super::values::{Kind, Wide, built_in, changes, in_text_only, kind, newer};
use crate::binary_types::{VALUES, travels};
use cleave_sandbox::Version;

/// Types of users: labels put in the middle, composites in composites, domains over everything, a range.
const USER_TYPES: [&str; 3] = [
    "create type mood as enum ('zeal', 'it''s')",
    "alter type mood add value 'awe' before 'it''s'",
    r#"create type point3 as (x float8, "Y ""y""" text, z mood);
     create type nest as (p point3, list int[], day date, deep point3[]);
     create domain short as varchar(10) check (length(value) > 0);
     create domain shorter as short not null default 'x';
     create domain never as shorter check (value <> 'never');
     create domain ints as int[] check (array_length(value, 1) < 9);
     create domain moods as mood[];
     create domain point3_known as point3 check (value is null or (value).x is not null);
     create domain amount as numeric(10,2);
     create domain letter as "char";
     create domain lapse as interval;
     create domain blob as bytea;
     create domain days as daterange check (not isempty(value));
     create domain some_days as datemultirange;
     create domain ids as ints;
     create domain feeling as mood check (value <> 'zeal');
     create type floats as range (subtype = float8, subtype_diff = float8mi, multirange_type_name = multi_floats);
     create type "Odd ""Type" as enum ('', 'ä', 'a,b"c\d', '{}');
     create domain doc as jsonb check (value ? 'a')"#,
];

fn of_users() -> Vec<Kind> {
    vec![
        kind("mood", &["zeal", "awe", "it's"]),
        kind("point3", &["(0.1,,zeal)", "(NaN,\" \",)", "(,,)", "(1e308,\"a\"\"b\\\\c,(d)\",it's)"]),
        kind("nest", &["(\"(1,x,awe)\",\"{1,NULL}\",infinity,\"{\"\"(2,y,zeal)\"\",NULL}\")", "(,,,)"]),
        kind("short", &["x", "0123456789"]),
        kind("ints", &["{1,NULL,3}", "{}", "[0:1]={1,2}"]),
        kind("moods", &["{awe,NULL,\"it's\"}"]),
        kind("point3_known", &["(1,b,awe)"]),
        kind("amount", &["-99999999.99", "0.00", "NaN"]),
        kind("letter", &["a", ""]),
        kind("lapse", &["1 day -1 sec", "178000000 years"]),
        kind("blob", &["\\x", "\\x00ff"]),
        kind("days", &["[2024-01-01,2024-02-01)", "(,)"]),
        kind("some_days", &["{}", "{[2024-01-01,2024-02-01),[infinity,)}"]),
        kind("ids", &["{7}"]),
        kind("feeling", &["awe", "it's"]),
        kind("floats", &["[-Infinity,0.1)", "(,)", "empty"]),
        kind("multi_floats", &["{}", "{[1,2),[3.5,NaN)}"]),
        kind("\"Odd \"\"Type\"", &["", "ä", "a,b\"c\\d", "{}"]),
        kind("doc", &["{\"a\": 1.50}"]),
        kind("hstore", &["\"a\"=>NULL, \"b\"=>\"1\", \"c d\"=>\"\"", ""]),
        kind("citext", &["CaSe", "case", ""]),
        kind("ltree", &["Top.Science.Astronomy", ""]),
        kind("lquery", &["Top.*{1,2}.!a|b@%*"]),
        kind("ltxtquery", &["a & b* | !c@"]),
        kind("cube", &["(1, 2, 3)", "(0, 0),(1, 1e-300)"]),
        kind("isbn13", &["978-0-393-04002-9"]),
        kind("seg", &["1.5", "1.0 .. 2.00", "~5"]),
    ]
}

/// Values of some MB in each storage in the first row, and smaller ones that are still kept out of line.
const BIG: &str = "
create table big (
    id int primary key, note text,
    plain text, external text, extended text, main text, packed text, digits numeric, tiny numeric, doc jsonb, raw json,
    bytes bytea, list text[], page xml, words tsvector, bits bit varying, area polygon, spans int4multirange
);
alter table big alter plain set storage plain, alter external set storage external, alter main set storage main,
    alter bytes set storage external;
insert into big
select n, 'first', repeat('p', 2000 + n), repeat('e' || n, 20000 * size), repeat('x' || n, 30000 * size), repeat('m' || n, 9000),
    (select string_agg(md5(n::text || i), '') from generate_series(1, 3000) i),
    (repeat('9', 1310 * size + 72 * (size / 100) - n) || '.' || repeat('7', 163 * size - n))::numeric, ('-1e-' || 163 * size - n)::numeric,
    (select jsonb_object_agg('k' || i, md5(i::text)) from generate_series(1, 30 * size + n) i),
    (select json_agg(md5(i::text)) from generate_series(1, 30 * size + n) i),
    decode(repeat('00ff5c0a' || lpad(n::text, 2, '0'), 5000 * size), 'hex'),
    (select array_agg(nullif(md5(i::text), md5('3'))) from generate_series(1, 50 * size) i),
    ('<p>' || repeat('ä', 1000 * size + n) || '</p>')::xml,
    (select string_agg('w' || i || ':' || i, ' ') from generate_series(1, 50 * size) i)::tsvector,
    repeat('10', 50000 + n)::varbit,
    (select ('(' || string_agg('(' || i || ',' || -i || ')', ',') || ')') from generate_series(1, 50 * size) i)::polygon,
    (select range_agg(int4range(2 * i, 2 * i + 1)) from generate_series(1, 50 * size + n) i)
from generate_series(0, 7) n, lateral (select case when n = 0 then 100 else 4 end as size) s";

const BIG_COLUMNS: [&str; 16] = [
    "plain", "external", "extended", "main", "packed", "digits", "tiny", "doc", "raw", "bytes", "list",
    "page", "words", "bits", "area", "spans",
];

/// Keys that are long, and a whole row as identity that holds long values.
const LONG: &str = "
create table long_key (key text, part numeric, note text, primary key (key, part));
insert into long_key select repeat('k', 8000) || n, ('1e' || 5000 + n)::numeric, 'first' from generate_series(1, 9) n;
create table long_row (id int, note text, body text, doc json);
alter table long_row replica identity full;
alter table long_row alter body set storage external;
insert into long_row select n % 4, 'first', repeat('r' || n % 4, 100000), '{\"a\":  1}' from generate_series(0, 7) n;
create table computed (
    id int generated always as identity (start 10 increment 5) primary key, note text, a int, body text,
    twice bigint generated always as (a * 2) stored,
    words tsvector generated always as (to_tsvector('pg_catalog.english', body)) stored, z text default 'z'
);
insert into computed (note, a, body) select 'first', n, 'the cats of ' || n from generate_series(1, 8) n;
create table by_default (id bigint generated by default as identity (minvalue -5 start -5) primary key, note text);
insert into by_default (note) select 'first' from generate_series(1, 8);
create table strict (id int primary key, note text, f feeling not null, n never default 'n', i ids default '{1}');
insert into strict values (1, 'first', 'awe', 'x', '{}'), (2, 'first', 'it''s', 'y', '{2}')";

fn long_changes(round: usize) -> Vec<String> {
    vec![
        format!("update long_key set note = 'r{round}' where key like '%1'"),
        format!("update long_key set key = key || {round} where key like '%2'"),
        format!("update long_key set part = part + 1 where key like '%3'"),
        format!("insert into long_key select key || 'n', part, 'new {round}' from long_key where note = 'first' on conflict do nothing"),
        format!("delete from long_key where key like '%{}'", 4 + round),
        format!("update long_row set note = 'r{round}' where ctid = (select min(ctid) from long_row where id = 1)"),
        "update long_row set body = body || 'x' where id = 2".to_owned(),
        format!("insert into long_row select id, 'n{round}', body, doc from long_row where id = {round}"),
        format!("delete from long_row where ctid = (select max(ctid) from long_row where id = {round})"),
        "update long_row set body = null, doc = null where ctid = (select max(ctid) from long_row where id = 3)"
            .to_owned(),
        "insert into computed (note, a, body) values ('new', 2147483647 / 2, 'dogs'), ('new', null, null)".to_owned(),
        "update computed set a = a + 1 where a < 5; update computed set body = body || ' mice' where a > 5".to_owned(),
        "update computed set note = 'unchanged' where a = 3; delete from computed where a = 4".to_owned(),
        "insert into by_default (note) values ('new'), ('newer')".to_owned(),
        format!("insert into by_default values ({}, 'given')", 1000 + round),
        format!("insert into strict (id, f) values ({}, 'awe')", 10 + round),
        format!("update strict set id = id + 100, f = 'it''s' where id = {}", 10 + round),
    ]
}

fn exhibit(from: Version, to: Version) -> Exhibit {
    let binary: Vec<Kind> = VALUES
        .iter()
        .filter(|(name, _)| travels(name, from, to))
        .map(|(name, values)| built_in(name, values))
        .collect();
    let other: Vec<Kind> = in_text_only().into_iter().chain(newer(from.min(to))).collect();
    let wide = [("in_binary", binary), ("in_text", other), ("of_users", of_users())]
        .map(|(name, kinds)| Wide { name: name.to_owned(), kinds });
    let extensions = ["hstore", "citext", "ltree", "cube", "isn", "seg"];
    let big: Vec<String> = BIG_COLUMNS.map(str::to_owned).into();
    let round = |round: usize| {
        let wide = wide.iter().flat_map(|table| changes(&table.name, &table.columns(), round));
        wide.chain(changes("big", &big, round)).chain(long_changes(round)).collect()
    };
    let mut schema: Vec<String> = USER_TYPES.map(str::to_owned).into();
    schema.extend(wide.iter().flat_map(Wide::schema));
    schema.extend([BIG.to_owned(), LONG.to_owned()]);
    Exhibit {
        both: extensions.iter().map(|name| format!("create extension {name}")).collect(),
        schema,
        rounds: [round(0), round(1), round(2)],
        lines: String::new(),
    }
}

#[tokio::test]
async fn every_type_goes_there_and_back() {
    let quick = [(Version::V14, Version::V18), (Version::V18, Version::V14), (Version::V16, Version::V17)];
    for (from, to) in pairs(&quick) {
        travel(from, to, "types", &exhibit(from, to)).await;
    }
}
