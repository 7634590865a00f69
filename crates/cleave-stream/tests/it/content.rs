//! What is on the target is what is on the source, whatever happens to rows.

use crate::pair::{Pair, on_pairs};
use cleave_model::Direction;
use cleave_sandbox::Version;

on_pairs!(
    every_kind_of_row_change_arrives,
    every_type_arrives_as_it_was,
    rows_without_a_key_are_told_apart_by_all_their_values,
    partitions_follow_leaf_by_leaf,
    emptied_tables_are_emptied,
    identities_and_generated_columns_keep_their_values,
);

const FILMS: &str = "
    create table film (id int primary key, title text not null, price numeric(8,2), note text);
    create table actor (id int primary key, name text);";

async fn every_kind_of_row_change_arrives(source: Version, target: Version) {
    let pair = Pair::new(source, target, "changes", FILMS).await;
    pair.m.run("alter table film alter note set storage external").await;
    pair.m
        .run("insert into film select i, 'film ' || i, i, repeat('x', 5000) from generate_series(1, 100) i")
        .await;
    let stream = pair.forward().await;
    pair.assert_same().await;
    pair.m
        .run(
            "insert into film values (1000, 'new', null, null);
             update film set price = price + 1 where id <= 50;
             update film set id = id + 5000 where id between 20 and 30;
             update film set note = null, title = E'tab\\t\\\\N\\n' where id between 40 and 45;
             update film set note = repeat('y', 9000) where id = 46;
             delete from film where id between 60 and 70;
             insert into actor values (1, 'A'), (2, null);",
        )
        .await;
    pair.m.run("begin; insert into actor values (3, 'C'); delete from actor where id = 3; commit").await;
    pair.m.run("begin; insert into actor values (4, 'never'); rollback").await;
    pair.drain(Direction::Forward, &stream).await;
    pair.assert_same().await;
    assert_eq!(pair.n.count("select count(*) from film where length(note) = 5000").await, 82);
    stream.stop().await;
}

const TYPES: &str = r#"
    create type mood as enum ('sad', 'ok', 'happy ''quoted''');
    create domain year as int check (value > 1900);
    create type pair as (a int, "B" text);
    create table "Odd ""Name""" (
      id bigint primary key, "Col" mood, y year, p pair, i int[], t text[], m mood[], j json, jb jsonb, b bytea,
      n numeric, f float8, r real, ts timestamp, tz timestamptz, d date, tm time, iv interval, u uuid, c char(6),
      v varchar(20), bl boolean, net inet, rng int4range, bits bit(5), vb bit varying, mon money, pt point, x xml,
      oidv oid, nested year[], bp bpchar);"#;

async fn every_type_arrives_as_it_was(source: Version, target: Version) {
    let pair = Pair::new(source, target, "types", TYPES).await;
    let row = |id: i32| {
        format!(
            r#"insert into "Odd ""Name""" values ({id}, 'happy ''quoted''', 1999, row(1, 'x "y" \ z'), '{{1,null,3}}',
            array['a,b', null, '', 'NULL', E'\\ "'], '{{sad,ok}}', '{{"a" : 1,  "a":2}}', '{{"k": [1, 2.50]}}',
            '\x00ff10', 123456789012345678901234567890.1234567890, 0.1::float8 + 0.2, 1e-30,
            '2024-02-29 23:59:59.999999', '2024-02-29 23:59:59.5+05:30', '0044-03-15 BC', '24:00',
            '1 year -2 mons +3 days 04:05:06.7', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'ab', E'ä\n€𝄞', true,
            '10.1.2.3/24', '[1,5)', B'10101', B'1', '12.34', '(1.5,-2)', '<a>&amp;</a>', 4000000000,
            '{{1950,1960}}', 'pad  '),
            ({id} + 1, null, null, null, null, null, null, null, null, null, 'NaN', '-Infinity', '-0', 'infinity',
            '-infinity', 'infinity', null, null, null, null, '', false, null, 'empty', null, B'', null, null, null,
            null, '{{}}', '')"#
        )
    };
    pair.m.run(&row(1)).await;
    let stream = pair.forward().await;
    pair.assert_same().await;
    pair.m.run(&row(11)).await;
    pair.m.run(r#"update "Odd ""Name""" set n = n, jb = '{"z": null}', p = row(null, ''), c = 'abcdef' where id = 11"#).await;
    pair.drain(Direction::Forward, &stream).await;
    pair.assert_same().await;
    stream.stop().await;
}

async fn rows_without_a_key_are_told_apart_by_all_their_values(source: Version, target: Version) {
    let schema = "
        create table log (at timestamptz, price numeric, doc json, note text, place point, gap interval, pad char(4));
        alter table log replica identity full;";
    let pair = Pair::new(source, target, "full", schema).await;
    let row = |price: &str, gap: &str| {
        format!("('2024-01-01', {price}, '{{\"a\": 1}}', null, '(1,2)', '{gap}', 'a')")
    };
    let rows =
        [row("1.0", "24:00"), row("1.00", "1 day"), row("1.0", "24:00"), row("null", "1 day")].join(", ");
    pair.m.run(&format!("insert into log values {rows}")).await;
    let stream = pair.forward().await;
    pair.m.run("update log set note = 'one of two' where ctid = (select min(ctid) from log where price::text = '1.0')").await;
    pair.m.run("delete from log where price::text = '1.00'").await;
    pair.m.run("update log set price = 7, pad = 'bbbb' where price is null").await;
    pair.m.run("delete from log where ctid = (select min(ctid) from log where note is null and price::text = '1.0')").await;
    pair.drain(Direction::Forward, &stream).await;
    pair.assert_same().await;
    assert_eq!(pair.n.count("select count(*) from log").await, 2);
    stream.stop().await;
}

async fn partitions_follow_leaf_by_leaf(source: Version, target: Version) {
    let schema = "
        create table payment (id int, day date, primary key (id, day)) partition by range (day);
        create table payment_1 partition of payment for values from ('2024-01-01') to ('2024-02-01');
        create table payment_2 partition of payment for values from ('2024-02-01') to ('2024-03-01');";
    let pair = Pair::new(source, target, "parts", schema).await;
    pair.m.run("insert into payment select i, '2024-01-01'::date + i from generate_series(1, 50) i").await;
    let stream = pair.forward().await;
    pair.m.run("update payment set day = '2024-02-20' where id = 1; delete from payment where id = 2").await;
    pair.m.run("insert into payment values (100, '2024-01-15')").await;
    pair.drain(Direction::Forward, &stream).await;
    pair.assert_same().await;
    pair.m.run("truncate payment").await;
    pair.drain(Direction::Forward, &stream).await;
    assert_eq!(pair.n.count("select count(*) from payment").await, 0);
    stream.stop().await;
}

async fn emptied_tables_are_emptied(source: Version, target: Version) {
    let schema = "
        create table film (id serial primary key, title text);
        create table scene (id int primary key, film int references film);
        create table actor (id int primary key);";
    let pair = Pair::new(source, target, "truncate", schema).await;
    pair.m.run("insert into film (title) select 'x' from generate_series(1, 5)").await;
    pair.m.run("insert into scene values (1, 1); insert into actor values (1)").await;
    let stream = pair.forward().await;
    pair.n.run("select setval('film_id_seq', 77)").await;
    pair.m.run("begin; insert into actor values (2); truncate film restart identity cascade; commit").await;
    pair.m.run("insert into film (id, title) values (1, 'after')").await;
    pair.drain(Direction::Forward, &stream).await;
    pair.assert_same().await;
    assert_eq!(pair.n.count("select last_value from film_id_seq").await, 1);
    stream.stop().await;
}

async fn identities_and_generated_columns_keep_their_values(source: Version, target: Version) {
    let schema = "
        create table film (
          id int generated always as identity primary key, title text, note text,
          slug text generated always as (lower(title)) stored);
        create table tag (
          name text primary key, number int generated always as identity, at int generated by default as identity);
        alter table film alter note set storage external;";
    let pair = Pair::new(source, target, "identity", schema).await;
    pair.m
        .run("insert into film (title, note) select 'Film', repeat('n', 5000) from generate_series(1, 5)")
        .await;
    let stream = pair.forward().await;
    pair.m
        .run("insert into film (title) values ('NEW'); insert into tag (name) values ('a'), ('b'), ('c')")
        .await;
    pair.m.run("update film set title = 'Other' where id < 3; update tag set at = 50 where name = 'a'").await;
    pair.m
        .run("update film set id = default where id = 4; update tag set number = default where name = 'b'")
        .await;
    pair.m.run("update tag set name = 'd', at = 8 where name = 'b'; delete from tag where name = 'c'").await;
    pair.drain(Direction::Forward, &stream).await;
    pair.assert_same().await;
    assert_eq!(pair.n.count("select count(*) from film where length(note) = 5000").await, 5);
    stream.stop().await;
}
