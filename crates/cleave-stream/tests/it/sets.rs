//! Many changes at once: what is on the target is what is on the source, however changes depend on each other, and a
//! change that cannot be written is named as if it had come alone.

use crate::pair::{Pair, Stream, on_pairs};
use cleave_model::Direction;
use cleave_sandbox::Version;
use cleave_stream::Follow;

on_pairs!(
    random_changes_end_as_on_the_source,
    unique_values_that_move_between_rows_arrive,
    many_changes_take_few_statements,
    every_type_arrives_in_sets,
    values_that_were_not_sent_stay_in_sets_too,
    a_trigger_that_sees_rows_sees_every_one,
    a_poison_row_in_a_big_transaction_is_named_and_nothing_stays,
    a_row_that_is_missing_in_a_big_transaction_is_named_and_nothing_stays,
    emptied_and_filled_tables_keep_the_order,
    a_stream_dropped_in_the_middle_of_a_huge_transaction_leaves_nothing,
);

const FILMS: &str = "
    create table film (id int primary key, code int unique, price numeric, note text);
    alter table film alter note set storage external;
    create table pass (name text, day date, at int unique deferrable initially deferred, primary key (day, name));";

/// Random changes; what a constraint refuses is left out, with its subtransaction.
const CHANGE: &str = "
    create sequence tick;
    create function change(rounds int) returns void language plpgsql as $$
    declare k int; o int; text_of_k text;
    begin
        for i in 1..rounds loop
            k := random() * 60; o := random() * 60;
            text_of_k := case (random() * 3)::int when 0 then null when 1 then '' when 2 then 'n' || k
                    else repeat('long ', 800 + k) end;
            begin
                case (random() * 7)::int
                    when 0, 1 then insert into film values (k, o, random()::numeric(6,3), text_of_k);
                    when 2 then delete from film where id = k;
                    when 3 then update film set price = price + 1 where id = k;
                    when 4 then update film set id = o where id = k;
                    when 5 then update film set code = o, note = text_of_k where id = k;
                    when 6 then delete from film where id = k; insert into film values (k, o, null, text_of_k);
                    else update film set code = -code where code between k and k + 5;
                end case;
                insert into pass values ('p' || k, date '2024-01-01' + o, nextval('public.tick'))
                    on conflict (day, name) do update set at = excluded.at;
                update pass set day = day + 1 where name = 'p' || o;
            exception when unique_violation then null;
            end;
        end loop;
    end $$;";

async fn random_changes_end_as_on_the_source(source: Version, target: Version) {
    let pair = Pair::new(source, target, "random", FILMS).await;
    pair.m.run(CHANGE).await;
    pair.m.run("insert into film select i, i, i, 'x' from generate_series(1, 40) i").await;
    let stream = pair.forward().await;
    for round in 1..=12 {
        // In a subtransaction per change, and many transactions that may become one on the target.
        pair.m.run(&format!("select setseed(0.0{round}); select change(400)")).await;
        pair.m.run("do $$ begin for i in 1..40 loop perform change(3); commit; end loop; end $$").await;
        pair.drain(Direction::Forward, &stream).await;
        pair.assert_same().await;
    }
    assert_eq!(stream.now().counters.reconnects, 0);
    stream.stop().await;
}

async fn unique_values_that_move_between_rows_arrive(source: Version, target: Version) {
    let pair = Pair::new(source, target, "moving", FILMS).await;
    pair.m.run("insert into film select i, i, i, 'x' from generate_series(1, 500) i").await;
    pair.m.run("insert into pass select 'p', date '2024-01-01' + i, i from generate_series(1, 300) i").await;
    let stream = pair.forward().await;
    for sql in [
        // Two rows change their keys with each other.
        "update film set id = -1 where id = 1; update film set id = 1 where id = 2; update film set id = 2 where id = -1",
        // A unique value goes from one row to the next, in an order that no set of updates has.
        "update film set code = -code; update film set code = 1 - code",
        // Deleted and inserted again under the same key; values pass to new rows.
        "delete from film where id > 400; insert into film select i, 902 - i, 0, null from generate_series(401, 500) i",
        // A key that is taken by a row whose own key went on.
        "update film set id = id + 1000 where id < 100; insert into film select i, -i, 1, '' from generate_series(1, 50) i",
        "update pass set at = 301 - at; update pass set day = day + 1000; update pass set day = day - 999",
    ] {
        pair.m.run(&format!("begin; {sql}; update film set price = price + 1; commit")).await;
        pair.drain(Direction::Forward, &stream).await;
        pair.assert_same().await;
    }
    stream.stop().await;
}

/// Counts the statements that write films on the target, as the fence would see them.
const COUNT_STATEMENTS: &str = "
    create table seen (what text);
    create function see() returns trigger language plpgsql as $$
        begin insert into public.seen values (tg_op || ' ' || tg_level); return null; end $$;
    create trigger cleave_fence after insert or update or delete on film for each statement execute function see();
    alter table film enable always trigger cleave_fence;";

async fn many_changes_take_few_statements(source: Version, target: Version) {
    let pair = Pair::new(source, target, "few", FILMS).await;
    pair.m.run("insert into film select i, i, i, 'x' from generate_series(1, 1000) i").await;
    let stream = pair.forward().await;
    pair.n.run(COUNT_STATEMENTS).await;
    pair.m
        .run(
            "begin; insert into film select i, i, i, 'new' from generate_series(2001, 3000) i;
             update film set price = 0 where id <= 500; update film set id = -id where id > 900 and id < 1000;
             update film set price = 1 where id <= 500; delete from film where id between 600 and 700; commit",
        )
        .await;
    pair.drain(Direction::Forward, &stream).await;
    assert_eq!(pair.n.rows("film").await, pair.m.rows("film").await);
    // Updates in two shapes: with the key and without.
    let seen = [
        "(\"DELETE STATEMENT\")",
        "(\"INSERT STATEMENT\")",
        "(\"UPDATE STATEMENT\")",
        "(\"UPDATE STATEMENT\")",
    ];
    assert_eq!(pair.n.rows("seen").await, seen);
    stream.stop().await;
}

async fn a_trigger_that_sees_rows_sees_every_one(source: Version, target: Version) {
    let pair = Pair::new(source, target, "trigger", FILMS).await;
    let stream = pair.forward().await;
    pair.n
        .run(&COUNT_STATEMENTS.replace("for each statement", "for each row").replace("cleave_fence", "audit"))
        .await;
    pair.m.run("insert into film select i, i, i, 'new' from generate_series(1, 200) i").await;
    pair.drain(Direction::Forward, &stream).await;
    assert_eq!(pair.n.count("select count(*) from seen where what = 'INSERT ROW'").await, 200);
    stream.stop().await;
}

const TYPES: &str = r#"
    create type mood as enum ('sad', 'ok', 'happy ''quoted''');
    create domain year as int check (value > 1900);
    create domain short as varchar(8);
    create type pair as (a int, "B" text);
    create table "Odd ""Name""" (
      "the id" bigint primary key, "Col" mood, y year, s short, p pair, i int[], t text[], m mood[], j json, jb jsonb,
      b bytea, n numeric(40,12), f float8, r real, ts timestamp, tz timestamptz(3), d date, tm time, tt timetz,
      iv interval, u uuid, c char(6), v varchar(20), bl boolean, net inet, rng int4range, bits bit(5), vb bit varying,
      mon money, pt point, bx box, x xml, oidv oid, nested year[], bp bpchar, ch "char", nm name, ls pg_lsn,
      tv tsvector, reg regclass);
    create table plain (
      id uuid primary key, i2 int2, i4 int4 not null, i8 int8, tx text, js jsonb, by bytea, nu numeric, fl float8,
      ts timestamptz, da date, bo boolean, it interval, ar int[], vc varchar(9), bc char(4));"#;

async fn every_type_arrives_in_sets(source: Version, target: Version) {
    let pair = Pair::new(source, target, "typesets", TYPES).await;
    let stream = pair.forward().await;
    pair.m
        .run(
            r#"insert into "Odd ""Name""" select i, 'happy ''quoted''', 1990 + i, 'short' || i, row(i, 'x "y" \ z')::pair,
                 array[1, null, i], array['a,b', null, '', 'NULL', E'\\ "{}'], '{sad,ok}', '{"a" : 1,  "a":2}',
                 '{"k": [1, 2.50]}', '\x00ff10', 1234567890123456789012345678.1234567890 / i, 0.1::float8 / i, 1e-30,
                 '2024-02-29 23:59:59.999999', '2024-02-29 23:59:59.5+05:30', '0044-03-15 BC', '24:00', '01:02:03+04',
                 '1 year -2 mons +3 days 04:05:06.7', gen_random_uuid(), 'ab', E'ä\n€𝄞\t\\', true, '10.1.2.3/24',
                 '[1,5)', B'10101', B'1', '12.34', '(1.5,-2)', '((1,2),(3,4))', '<a>&amp;</a>', 4000000000,
                 '{1950,1960}', 'pad  ', 'x', 'name', '16/B374D848', 'a:1 b', 'pg_catalog.pg_class'
               from generate_series(1, 80) i;
               insert into "Odd ""Name""" ("the id", f, r, n, d, ts, c, tx) select i, '-Infinity', '-0', 'NaN', 'infinity',
                 '-infinity', '', '' from generate_series(101, 180) i"#
                .replace("c, tx)", "c, v)")
                .as_str(),
        )
        .await;
    pair.m
        .run(
            "insert into plain select gen_random_uuid(), i, i, -i, case when i % 3 > 0 then E'tab\\t\\\\N' end, '{\"a\": 1.0}',
               '\\x00', i / 7.0, i / 7.0, now(), 'infinity', i % 2 = 0, '1 mon', array[i, null], '', 'a'
             from generate_series(1, 200) i",
        )
        .await;
    pair.drain(Direction::Forward, &stream).await;
    pair.assert_same().await;
    pair.m.run(r#"update "Odd ""Name""" set v = 'changed', p = row(null, ''), i = '{}', y = null"#).await;
    pair.m.run("update plain set tx = nullif(tx, ''), nu = -nu, ar = ar || 7, bc = 'abcd'").await;
    pair.m.run("delete from plain where i4 % 2 = 0").await;
    pair.drain(Direction::Forward, &stream).await;
    pair.assert_same().await;
    stream.stop().await;
}

async fn values_that_were_not_sent_stay_in_sets_too(source: Version, target: Version) {
    let pair = Pair::new(source, target, "unsent", FILMS).await;
    pair.m.run("insert into film select i, i, i, repeat('x', 5000) from generate_series(1, 300) i").await;
    let stream = pair.forward().await;
    pair.m
        .run(
            "begin; update film set price = price + 1; update film set note = repeat('y', 6000) where id % 3 = 0;
             update film set code = -code where id % 2 = 0; update film set note = null where id % 5 = 0;
             update film set note = '' where id % 7 = 0; commit",
        )
        .await;
    pair.drain(Direction::Forward, &stream).await;
    pair.assert_same().await;
    assert!(pair.n.count("select count(*) from film where length(note) = 5000").await > 100);
    stream.stop().await;
}

async fn a_poison_row_in_a_big_transaction_is_named_and_nothing_stays(source: Version, target: Version) {
    let pair = Pair::new(source, target, "poison", FILMS).await;
    let stream = pair.forward().await;
    pair.n.run("alter table film add check (price <> 4321)").await;
    pair.m
        .run(
            "begin; insert into pass select 'p', date '2024-01-01' + i, i from generate_series(1, 500) i;
             insert into film select i, i, i, 'secret' from generate_series(1, 9000) i; commit",
        )
        .await;
    let error = stream.failure().await;
    assert_eq!(error.code(), "C0509", "{error}");
    assert_eq!(error.to_string(), "could not insert a row of public.film");
    assert!(!format!("{error:?}").contains("secret"));
    assert_eq!(pair.n.count("select (select count(*) from film) + (select count(*) from pass)").await, 0);
    stream.stop().await;
}

async fn a_row_that_is_missing_in_a_big_transaction_is_named_and_nothing_stays(
    source: Version,
    target: Version,
) {
    let pair = Pair::new(source, target, "gone", FILMS).await;
    pair.m.run("insert into film select i, i, i, 'x' from generate_series(1, 500) i").await;
    let stream = pair.forward().await;
    pair.n.run("delete from film where id = 250").await;
    pair.m.run("begin; insert into film values (501, 501); update film set price = 0; commit").await;
    let error = stream.failure().await;
    assert_eq!(
        (error.code(), error.to_string()),
        ("C0508", "update of public.film met 0 rows instead of 1".into())
    );
    assert_eq!(pair.n.count("select count(*) from film where price = 0 or id = 501").await, 0);
    stream.stop().await;
}

async fn emptied_and_filled_tables_keep_the_order(source: Version, target: Version) {
    let pair = Pair::new(source, target, "refill", FILMS).await;
    let stream = pair.forward().await;
    pair.m
        .run(
            "begin; insert into film select i, i, i, 'old' from generate_series(1, 300) i;
             update film set price = 0; truncate film;
             insert into film select i, i, i, 'new' from generate_series(200, 400) i;
             update film set price = 1 where id = 300; commit",
        )
        .await;
    pair.drain(Direction::Forward, &stream).await;
    pair.assert_same().await;
    stream.stop().await;
}

async fn a_stream_dropped_in_the_middle_of_a_huge_transaction_leaves_nothing(
    source: Version,
    target: Version,
) {
    let pair = Pair::new(source, target, "cut", FILMS).await;
    let start = pair.copied().await;
    pair.m.run("insert into film select i, i, i, repeat('x', 1500) from generate_series(1, 60000) i").await;
    let spec = pair.follow_spec(Direction::Forward, start).await;
    for _ in 0..3 {
        let stream = Stream::new(Follow::start(spec.clone()));
        // Uncommitted rows are seen by nobody, but they take room.
        while pair.n.count("select pg_relation_size('film')").await == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
        assert_eq!(stream.now().counters.transactions, 0);
        drop(stream);
        assert_eq!(pair.n.count("select count(*) from film").await, 0);
        // Its session is gone once the table can be locked.
        pair.n.run("begin; lock table film; truncate film; commit").await;
    }
    let stream = Stream::new(Follow::start(spec));
    pair.drain(Direction::Forward, &stream).await;
    pair.assert_same().await;
    assert_eq!(pair.n.count("select count(*) from film").await, 60000);
    stream.stop().await;
}
