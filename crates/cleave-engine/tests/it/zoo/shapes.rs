//! Every shape of table that can be moved.

use super::journey::{Exhibit, pairs, travel};
use cleave_sandbox::Version;

/// As many columns as a table may have, 32 columns as a key, columns dropped in the middle and added again.
fn sizes() -> Vec<String> {
    let columns: Vec<String> = (2..=1600).map(|at| format!("c{at} boolean")).collect();
    let some: Vec<String> =
        (2..=1600).map(|at| if at % 3 == 0 { "true" } else { "null" }.to_owned()).collect();
    let keys: Vec<String> = (1..=32).map(|at| format!("k{at} smallint")).collect();
    let names: Vec<String> = (1..=32).map(|at| format!("k{at}")).collect();
    let values = |last: &str| {
        let values: Vec<String> = (1..32).map(|at| format!("{}", at % 3)).collect();
        format!("{}, {last}", values.join(", "))
    };
    vec![
        format!("create table widest (c1 int primary key, {})", columns.join(", ")),
        format!("insert into widest select n, {} from generate_series(1, 5) n", some.join(", ")),
        format!("create table keys32 ({}, note text, primary key ({}))", keys.join(", "), names.join(", ")),
        format!("insert into keys32 select {}, 'first' from generate_series(1, 9) n", values("n")),
        "create table holes (a int, gone int, id int primary key, b text default 'b', \"gone too\" text, c int);
         insert into holes select n, n, n, 'b' || n, 'x', n from generate_series(1, 9) n;
         alter table holes drop gone, drop \"gone too\";
         alter table holes add d int default 7;
         alter table holes drop a;
         alter table holes add a int;
         insert into holes select 10, 'b', 1, 2, 3"
            .to_owned(),
    ]
}

fn sizes_changed(round: usize) -> Vec<String> {
    vec![
        format!("update widest set c2 = true, c1600 = false, c800 = null where c1 = {}", round + 1),
        format!("insert into widest (c1, c1599) values ({}, false)", 10 + round),
        format!("update widest set c1 = c1 + 100 where c1 = {}", 10 + round),
        format!("delete from widest where c1 = {}", 5 - round),
        format!("update keys32 set note = 'changed' where k32 = {}", round + 1),
        format!("update keys32 set k1 = 9, k32 = {} where k32 = {}", 50 + round, round + 2),
        format!("delete from keys32 where k32 = {}", 9 - round),
        format!("update holes set a = {round}, c = null where id = {}", round + 1),
        format!("insert into holes (id, a, d) values ({}, {round}, null)", 20 + round),
        format!("delete from holes where id = {}", 9 - round),
    ]
}

/// Names that need quotes, that are long, or that look like something else.
const NAMES: &str = r#"
create table "Weird ""Name""" (
    "Id" int primary key, "sp ace" text, "a.b" text, "select" int, "$1" int, "back\slash" text, "per%cent{}" text,
    "line
break" text, "'" text, "日本語の列" text, "ctid_" int, "xmin2" int, "new" int, "old" int, "excluded" int, "t" int,
    "ääääääääääääääääääääääääääääääx" text
);
create unique index "Index ""of""" on "Weird ""Name""" ("sp ace", "a.b");
insert into "Weird ""Name""" select n, 's' || n, 'a' || n, n, n, E'\\', '%', 'l', '''', '語', 1, 2, 3, 4, 5, 6, 'x'
from generate_series(1, 9) n;
create table "a_table_whose_name_is_as_long_as_a_name_may_be_which_is_63_byte" (
    id bigint generated always as identity primary key,
    "a_column_whose_name_is_as_long_as_a_name_can_be_which_is_63_byt" text unique,
    serial bigserial
);
insert into "a_table_whose_name_is_as_long_as_a_name_may_be_which_is_63_byte"
    ("a_column_whose_name_is_as_long_as_a_name_can_be_which_is_63_byt") select 'v' || n from generate_series(1, 9) n;
create table "ääääääääääääääääääääääääääääääx" (id serial primary key, "user" text);
insert into "ääääääääääääääääääääääääääääääx" ("user") select 'u' || n from generate_series(1, 9) n;
create table "Parent" (id int, "Key" text, primary key (id, "Key")) partition by list ("Key");
create table "Parent ""a""" partition of "Parent" for values in ('a', E'it''s', '"');
create table "order" partition of "Parent" default;
insert into "Parent" select n, (array['a', 'it''s', '"', 'z'])[n % 4 + 1] from generate_series(1, 9) n"#;

fn names_changed(round: usize) -> Vec<String> {
    let long = "\"a_table_whose_name_is_as_long_as_a_name_may_be_which_is_63_byte\"";
    let column = "\"a_column_whose_name_is_as_long_as_a_name_can_be_which_is_63_byt\"";
    vec![
        format!(
            r#"update "Weird ""Name""" set "sp ace" = 'new {round}', "line
break" = 'n', "日本語の列" = '列', "ääääääääääääääääääääääääääääääx" = 'y', "$1" = null where "Id" = {}"#,
            round + 1
        ),
        format!(
            r#"insert into "Weird ""Name""" ("Id", "select", "back\slash") values ({}, 1, E'\\{round}')"#,
            20 + round
        ),
        format!(r#"delete from "Weird ""Name""" where "Id" = {}"#, 9 - round),
        format!("insert into {long} ({column}) values ('new {round}')"),
        format!(
            "update {long} set {column} = {column} || {round}, serial = -serial where id = {}",
            round + 1
        ),
        format!(r#"insert into "ääääääääääääääääääääääääääääääx" ("user") values ('new {round}')"#),
        format!(r#"delete from "ääääääääääääääääääääääääääääääx" where id = {}"#, round + 1),
        format!(
            r#"update "Parent" set "Key" = case "Key" when 'a' then 'zz' else 'a' end where id = {}"#,
            round + 1
        ),
        format!(
            r#"insert into "Parent" values ({}, '"'); delete from "Parent" where id = {}"#,
            20 + round,
            9 - round
        ),
    ]
}

/// Partitions of each kind; one has its columns in another order than its parent, one lacks what was dropped.
const PARTITIONS: &str = "
create table by_list (id int, kind text, body text, primary key (id, kind)) partition by list (kind);
create table by_list_a partition of by_list for values in ('a', 'b');
create table by_list_null (body text, gone int, kind text not null, id int not null);
alter table by_list_null drop gone;
alter table by_list attach partition by_list_null for values in ('c');
create table by_list_rest partition of by_list default;
create table by_range (at timestamptz, id bigint generated by default as identity, gone int, body text)
    partition by range (at);
alter table by_range drop gone, add primary key (id, at);
create table by_range_old partition of by_range for values from (minvalue) to ('2024-01-01 00:00Z');
create table by_range_new partition of by_range for values from ('2024-01-01 00:00Z') to (maxvalue)
    partition by hash (id);
create table by_range_new_0 partition of by_range_new for values with (modulus 2, remainder 0);
create table by_range_new_1 partition of by_range_new for values with (modulus 2, remainder 1)
    partition by list (id);
create table by_range_new_1_rest partition of by_range_new_1 default;
create table by_hash (id int primary key, body text) partition by hash (id);
create table by_hash_0 partition of by_hash for values with (modulus 3, remainder 0);
create table by_hash_1 partition of by_hash for values with (modulus 3, remainder 1);
create table by_hash_2 partition of by_hash for values with (modulus 3, remainder 2);
create table childless (id int primary key) partition by list (id);
insert into by_list select n, (array['a', 'b', 'c', 'd'])[n % 4 + 1], 'first' from generate_series(1, 40) n;
insert into by_range (at, body) select timestamptz '2023-06-01 00:00Z' + n * interval '30 days', 'first'
    from generate_series(1, 40) n;
insert into by_hash select n, 'first' from generate_series(1, 40) n";

fn partitions_changed(round: usize) -> Vec<String> {
    vec![
        format!("update by_list set kind = chr(ascii('a') + (ascii(kind) - 96) % 4) where id % 5 = {round}"),
        format!("update by_list set body = 'r{round}' where id % 7 = {round}"),
        format!("insert into by_list select n, 'c', 'new' from generate_series({0}, {0} + 5) n", 100 * (round + 1)),
        format!("delete from by_list where id % 11 = {round}"),
        format!("update by_range set at = at - interval '200 days' where id % 5 = {round}"),
        "insert into by_range (at, body) values ('infinity', 'new'), ('-infinity', 'new'), ('2024-01-01 00:00Z', 'x')"
            .to_owned(),
        format!("update by_range set id = id + 1000, body = 'r{round}' where id % 7 = {round} and id < 900"),
        format!("update by_hash set id = id + 1000 where id % 7 = {round} and id < 900"),
        format!("delete from by_hash where id % 11 = {round}"),
    ]
}

/// No key, with rows that are the same; what has no equality; identity by an index; order matters between rows.
const KEYS: &str = "
create table same (a int, b text, c float8);
insert into same select n % 3, nullif('b' || n % 2, 'b0'), (array['NaN', '-0', '0', null]::float8[])[n % 4 + 1]
    from generate_series(1, 40) n;
create table unequal (doc json, at point, page xml, area polygon, n numeric, t char(5), blanks bpchar);
alter table unequal replica identity full;
insert into unequal select '{\"a\":  1}', '(1,2)', '<a/>', '((0,0),(1,1),(1,0))', 1.0, 'x', 'b' from generate_series(1, 6);
insert into unequal select '{\"a\": 1}', '(1,2.0000000001)', '<b/>', null, 1.00, 'x ', 'b ' from generate_series(1, 6);
create table by_index (id int, code text not null, part int not null, body text);
create unique index by_index_code on by_index (part, code) include (body);
alter table by_index replica identity using index by_index_code;
insert into by_index select n, 'c' || n, n % 3, 'first' from generate_series(1, 20) n;
create table full_keyed (id int primary key, body text);
alter table full_keyed replica identity full;
alter table full_keyed alter body set storage external;
insert into full_keyed select n, repeat('b' || n, 5000) from generate_series(1, 20) n;
create table swap (
    id int primary key, pos int, other int, third int, unique (pos) deferrable initially deferred,
    unique (other) deferrable initially immediate
);
insert into swap select n, n, n, n from generate_series(20, 1, -1) n;
create unique index swap_third on swap (third);
create table booking (
    id int primary key, room int4range, during tsrange, exclude using gist (during with &&, room with &&)
        deferrable initially deferred,
    exclude using btree (id with =) where (room is null)
);
insert into booking select n, int4range(n, n + 1), tsrange('2024-01-01'::timestamp + n * interval '1 day',
    '2024-01-02'::timestamp + n * interval '1 day') from generate_series(1, 20) n;
create table parent_of (id int primary key, parent int references parent_of deferrable initially deferred);
insert into parent_of select n, 21 - n from generate_series(1, 20) n;
create table expressions (id int primary key, body text, gone boolean default false);
create unique index expressions_body on expressions (lower(body)) where not gone;
insert into expressions select n, 'B' || n from generate_series(1, 20) n;
create table guarded (id int primary key, body text);
alter table guarded enable row level security, force row level security;
create policy everything on guarded using (body is not null);
insert into guarded select n, 'first' from generate_series(1, 9) n;
create table nothing_in (id int primary key, body text);
create table emptied (id int primary key, body text);
insert into emptied select n, 'first' from generate_series(1, 9) n;
create table fired (id int primary key, body text, times int not null default 0);
create function fire() returns trigger language plpgsql as
    'begin new.times := new.times + 1; return new; end';
create trigger fired before insert or update on fired for each row execute function fire();
insert into fired select n, 'first' from generate_series(1, 9) n";

fn keys_changed(round: usize) -> Vec<String> {
    vec![
        "insert into same select * from same where a = 1".to_owned(),
        "update same set b = 'one of them' where ctid = (select min(ctid) from same where a = 1)".to_owned(),
        "delete from same where ctid = (select max(ctid) from same where a = 2)".to_owned(),
        format!("update same set c = 'NaN' where a = {round}; delete from same where b is null and c = '-0' and a = 0"),
        "update unequal set n = n + 1 where ctid = (select min(ctid) from unequal)".to_owned(),
        "update unequal set doc = '[]', page = '<?xml version=\"1.0\" encoding=\"UTF-8\"?><p/>', blanks = blanks || '  ' where ctid = (select max(ctid) from unequal)".to_owned(),
        "delete from unequal where ctid = (select min(ctid) from unequal where at ~= '(1,2)')".to_owned(),
        "update unequal set n = n + 1 where page::text like '%UTF-8%'".to_owned(),
        "update unequal set at = null where ctid = (select max(ctid) from unequal where blanks = 'b')".to_owned(),
        "insert into unequal (doc, n) values (null, 3), ('{}', null)".to_owned(),
        format!("update by_index set code = code || 'x' where part = {round}"),
        format!("update by_index set body = null where part = {}; delete from by_index where id = {}", (round + 1) % 3, 20 - round),
        format!("insert into by_index values (null, 'new {round}', 0, 'new')"),
        format!("update full_keyed set id = id + 100 where id = {}", round + 1),
        format!("update full_keyed set body = 'short' where id = {}; delete from full_keyed where id = {}", round + 5, round + 10),
        "update swap set pos = 21 - pos, other = 21 - other".to_owned(),
        "update swap set third = third + 1".to_owned(),
        "begin; update swap set pos = 1; update swap set pos = id; commit".to_owned(),
        "update swap set third = -third; update swap set third = 1 - third".to_owned(),
        format!("delete from swap where id = {0}; insert into swap values ({0}, 500 + {0}, 500 + {0}, 500 + {0})", round + 3),
        "update booking set during = tsrange(lower(during) + interval '1 day', upper(during) + interval '1 day'),
            room = int4range(lower(room) + 1, upper(room) + 1)"
            .to_owned(),
        format!(
            "begin; insert into booking select id + 100 * {0}, room, during from booking where id = {0};
             delete from booking where id = {0}; commit",
            round + 1
        ),
        format!("begin; insert into parent_of values ({0}, {0} + 1); insert into parent_of values ({0} + 1, {0}); commit", 100 + 2 * round),
        "update parent_of set parent = case when parent = 1 then 20 else parent - 1 end where id <= 20".to_owned(),
        "begin; update expressions set gone = true where id = 1; insert into expressions values (100 + (select count(*) from expressions), 'b1');
         delete from expressions where id >= 100; update expressions set gone = false where id = 1; commit"
            .to_owned(),
        "update expressions set body = 'B' || (21 - id) || 'x'".to_owned(),
        format!("update guarded set body = 'r{round}' where id = {}; delete from guarded where id = {}", round + 1, 9 - round),
        format!("insert into guarded values ({}, 'new')", 20 + round),
        format!("insert into nothing_in values ({round}, 'x'); delete from nothing_in"),
        format!("update fired set body = 'r{round}' where id < 4; insert into fired values ({}, 'new', 5)", 20 + round),
    ]
}

fn exhibit() -> Exhibit {
    let mut schema = sizes();
    schema.extend([NAMES, PARTITIONS, KEYS].map(str::to_owned));
    let round = |round: usize| {
        let mut changes = sizes_changed(round);
        changes.extend(names_changed(round));
        changes.extend(partitions_changed(round));
        changes.extend(keys_changed(round));
        changes
    };
    let mut rounds = [round(0), round(1), round(2)];
    rounds[0].extend(
        [
            "truncate emptied",
            "insert into emptied values (1, 'again')",
            "truncate by_hash; insert into by_hash values (1)",
        ]
        .map(str::to_owned),
    );
    rounds[1].extend([
        "truncate by_list_a, emptied".to_owned(),
        "insert into emptied values (2, 'home')".to_owned(),
    ]);
    Exhibit {
        schema,
        lines: "identity = { \"public.same\" = \"full\" }".to_owned(),
        rounds,
        ..Exhibit::default()
    }
}

#[tokio::test]
async fn every_shape_of_table_goes_there_and_back() {
    let quick = [(Version::V14, Version::V18), (Version::V18, Version::V14), (Version::V17, Version::V15)];
    for (from, to) in pairs(&quick) {
        travel(from, to, "shapes", &exhibit()).await;
    }
}

#[tokio::test]
async fn a_table_without_columns_goes_there_and_back() {
    let round = || {
        vec![
            "insert into void default values".to_owned(),
            "delete from void where ctid = (select min(ctid) from void)".to_owned(),
        ]
    };
    let exhibit = Exhibit {
        schema: vec![
            "create table void ()".to_owned(),
            "insert into void select from generate_series(1, 5)".to_owned(),
        ],
        lines: "identity = { \"public.void\" = \"full\" }".to_owned(),
        rounds: [round(), round(), round()],
        ..Exhibit::default()
    };
    travel(Version::V14, Version::V18, "void", &exhibit).await;
}
