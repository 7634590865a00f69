//! One value of every kind reads the same on 14 and 18, and a change of any is seen.

use crate::sides::{Sides, described, table};
use cleave_sandbox::{Version, connect};
use cleave_testkit::server;

const TYPES: &str = "
    create type mood as enum ('zeal', 'awe', 'it''s');
    create type point3 as (x float8, y text, z mood);
    create domain short as varchar(10) check (length(value) > 0);
    create domain shorter as short;
    create domain padded as char(6);";

/// Type and values, as SQL. Enum labels are added in another order on the follower, so that their OIDs differ.
pub(crate) const ZOO: &[(&str, &str)] = &[
    ("boolean", "true, false, null"),
    ("smallint", "-32768, 0, null"),
    ("bigint", "-9223372036854775808, 9223372036854775807"),
    ("real", "'NaN', '-Infinity', 1.1, 16777217, '1e-45'"),
    ("double precision", "'NaN', 'Infinity', 0.1, 1e308, '5e-324', 123456789012345678"),
    (
        "numeric",
        "'NaN', 'Infinity', '-Infinity', 1e-1000, -1.10, 1.10, 1.1, 0, -12345678901234567890.000000000001, null",
    ),
    ("numeric(10,3)", "1, 1.5, null"),
    ("money", "'1234.56', '-0.01'"),
    ("text", "'', null, 'NULL', '{a,\"b\"}', 'ä', U&'a\\0308', E'tab\\tnew\\nline\\\\', '😀', 'trailing  '"),
    ("varchar(5)", "'', 'a ', null"),
    ("char(5)", "'', 'a', 'abcde', null"),
    ("bpchar", "'', 'a', 'a  '"),
    ("\"char\"", "'a', ''"),
    ("name", "'n', ''"),
    ("bytea", "'', '\\x00ff5c', null"),
    ("date", "'infinity', '-infinity', '0044-03-15 BC', '5874897-12-31'"),
    ("time", "'00:00', '24:00', '12:34:56.789012'"),
    ("timetz", "'12:34:56+15:59', '00:00-08'"),
    ("timestamp", "'infinity', '0001-01-01 BC', '2024-02-29 23:59:59.999999'"),
    ("timestamptz", "'-infinity', '2024-02-29 12:00+13', '1883-11-18 12:00 America/New_York'"),
    ("interval", "'0', '-1 year 2 mons -3 days 04:05:06.7', '178000000 years', '1 day -1 sec'"),
    ("uuid", "'00000000-0000-0000-0000-000000000000', 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'"),
    ("json", "'{\"b\": 1, \"a\":  [1.0, null]}', 'null', '\"\\u00e4\"'"),
    ("jsonb", "'{\"b\": 1, \"a\":  [1.0, null, 1e2]}', 'null', '\"\\u00e4\"', '{}'"),
    ("jsonpath", "'$.a[*] ? (@.b > 1)'"),
    ("xml", "'<a b=\"c\">d</a>', 'e'"),
    ("bit(3)", "'101'"),
    ("bit varying", "'', '1', '10'"),
    ("inet", "'10.0.0.1', '10.0.0.1/8', '::1'"),
    ("cidr", "'10.0.0.0/8', '2001:db8::/32'"),
    ("macaddr", "'08:00:2b:01:02:03'"),
    ("macaddr8", "'08:00:2b:01:02:03:04:05'"),
    ("point", "'(1.1,-0.5)'"),
    ("line", "'{1,-1,0.3}'"),
    ("lseg", "'[(0,0),(1,1e-9)]'"),
    ("box", "'(2,2),(0,0)'"),
    ("path", "'[(0,0),(1,1)]', '((0,0),(1,1))'"),
    ("polygon", "'((0,0),(1,1),(1,0))'"),
    ("circle", "'<(0,0),1.5>'"),
    ("tsvector", "'a:1A fat:2B,4C cat:5D', ''"),
    ("tsquery", "'fat & (rat | !cat:*)', ''"),
    ("pg_lsn", "'16/B374D848'"),
    ("oid", "'0', '4294967295'"),
    ("xid8", "'4294967296'"),
    ("real[]", "'{-Infinity,NaN,1.1}'"),
    ("numeric[]", "'{1.0,1.00,NULL,NaN}'"),
    ("jsonb[]", "'{\"{\\\"a\\\": [1.0]}\",NULL}'"),
    ("daterange", "'[2024-01-01,2024-02-01)'"),
    ("datemultirange", "'{[2024-01-01,2024-02-01),[infinity,)}'"),
    ("txid_snapshot", "'10:20:10,14,15'"),
    ("int4range", "'[1,10)', '(,)', 'empty'"),
    ("numrange", "'[1.0,1.00]', '(1.5,)'"),
    ("tstzrange", "'[2024-01-01 00:00+02,infinity)'"),
    ("int4multirange", "'{[1,3),[5,7)}', '{}'"),
    ("int[]", "'{}', '{1,NULL,3}', '{{1,2},{3,4}}', '[0:1]={1,2}', null"),
    ("text[]", "'{\"\",NULL,\"NULL\",\"a b\",\"\\\"\",\"\\\\\"}'"),
    ("mood", "'zeal', 'awe', 'it''s', null"),
    ("mood[]", "'{awe,zeal}'"),
    ("point3", "row(0.1, null, 'awe')::point3, row('NaN', ' ', null)::point3, row(null, null, null)::point3"),
    ("point3[]", "'{\"(1,\\\"x y\\\",zeal)\"}'"),
    ("shorter", "'x', null"),
    ("padded", "'x', 'abcdef'"),
    ("hstore", "'b=>1, a=>NULL, \"c d\"=>\"\"'"),
    ("citext", "'CaSe', 'case'"),
    ("ltree", "'Top.Science.Astronomy'"),
];

fn statements() -> String {
    let mut sql = String::new();
    for (at, (kind, values)) in ZOO.iter().enumerate() {
        sql.push_str(&format!("create table zoo_{at} (id serial primary key, v {kind}, w text);"));
        let typed = values.contains("::point3") && *kind == "point3";
        if typed {
            sql.push_str(&format!("insert into zoo_{at} (v) select unnest(array[{values}]);"));
        } else {
            for value in split(values) {
                sql.push_str(&format!("insert into zoo_{at} (v) values ({value});"));
            }
        }
    }
    sql
}

/// Splits at commas outside of quotes.
fn split(values: &str) -> Vec<&str> {
    let (mut parts, mut start, mut quoted) = (Vec::new(), 0, false);
    for (at, c) in values.char_indices() {
        match c {
            '\'' => quoted = !quoted,
            ',' if !quoted => {
                parts.push(values[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(values[start..].trim());
    parts
}

pub(crate) async fn zoo(home: Version, follower: Version, hint: &str) -> Sides {
    let sides = Sides::create(home, follower, hint).await;
    sides.on_follower("create type other as enum ('a', 'b', 'c'); create table filler (id serial)").await;
    sides.both("create extension hstore; create extension citext; create extension ltree").await;
    sides.both(TYPES).await;
    sides.both("set timezone = 'Europe/Vienna'").await;
    sides.on_follower("set timezone = 'Asia/Tokyo'").await;
    // The offset of a value without one would depend on the session; the values name theirs.
    sides.both(&statements()).await;
    sides
}

#[tokio::test]
async fn every_type_compares_equal_between_14_and_18_and_a_null_is_seen() {
    check(Version::V14, Version::V18).await;
}

#[tokio::test]
async fn every_type_compares_equal_between_18_and_15_and_a_null_is_seen() {
    check(Version::V18, Version::V15).await;
}

#[tokio::test]
async fn every_type_compares_equal_between_16_and_17_and_a_null_is_seen() {
    check(Version::V16, Version::V17).await;
}

async fn check(home: Version, follower: Version) {
    let sides = zoo(home, follower, "zoo").await;
    let tables = || (0..ZOO.len()).map(|at| table(&format!("zoo_{at}"), &["id", "v", "w"], 1)).collect();
    let outcome = sides.verify(tables()).await;
    for (table, (kind, _)) in outcome.tables.iter().zip(ZOO) {
        let rows = table.rows;
        let expected = format!("{rows} rows: {rows} equal, 0 missing, 0 extra, 0 different, 0 unproven");
        assert!(rows > 0);
        assert_eq!(described(table), [expected], "{kind}");
    }

    for at in 0..ZOO.len() {
        sides.on_follower(&format!("update zoo_{at} set v = null where id = 1")).await;
    }
    for (table, (kind, _)) in sides.verify(tables()).await.tables.iter().zip(ZOO) {
        assert_eq!(described(table)[1..], ["different in v (1)"], "{kind}");
    }
}

#[tokio::test]
async fn every_type_with_an_order_serves_as_a_key() {
    let sides = zoo(Version::V18, Version::V14, "keys").await;
    let without_order = [
        "json",
        "jsonpath",
        "xml",
        "point",
        "line",
        "lseg",
        "box",
        "path",
        "polygon",
        "circle",
        "txid_snapshot",
        "hstore",
    ];
    let (mut tables, mut kinds) = (Vec::new(), Vec::new());
    for (at, (kind, _)) in ZOO.iter().enumerate().filter(|(_, (kind, _))| !without_order.contains(kind)) {
        let sql = format!(
            "delete from zoo_{at} a using zoo_{at} b where a.v = b.v and a.id > b.id; \
             delete from zoo_{at} where v is null; alter table zoo_{at} drop id, add primary key (v)"
        );
        sides.both(&sql).await;
        sides.on_follower(&format!("update zoo_{at} set w = 'other'")).await;
        tables.push(table(&format!("zoo_{at}"), &["v", "w"], 1));
        kinds.push(kind);
    }
    for (table, kind) in sides.verify(tables).await.tables.iter().zip(kinds) {
        assert!(table.different == table.rows && table.rows > 0, "{kind}: {:?}", described(table));
    }
}

#[tokio::test]
async fn zero_equals_minus_zero_but_a_scale_and_a_blank_count() {
    let sides = Sides::create(Version::V14, Version::V18, "zero").await;
    sides
        .both("create domain weight as float4; create table v (id int primary key, a float8, b weight, c numeric, d bpchar)")
        .await;
    sides.both("insert into v values (1, 0, 0, 1, 'x'), (2, 0, 0, 1.0, 'x'), (3, 0, 0, 1, 'x')").await;
    sides
        .on_follower("update v set a = '-0', b = '-0' where id = 1; update v set c = 1.00 where id = 2")
        .await;
    sides.on_follower("update v set d = 'x ' where id = 3").await;
    assert_eq!(
        sides.compare(table("v", &["id", "a", "b", "c", "d"], 1)).await,
        [
            "3 rows: 1 equal, 0 missing, 0 extra, 2 different, 0 unproven",
            "different in c (2)",
            "different in d (3)",
        ]
    );
}

#[tokio::test]
async fn databases_of_two_encodings_and_locales_are_compared_by_their_characters() {
    let mut sides = Sides::create(Version::V14, Version::V18, "encodings").await;
    let cluster = server(Version::V14).await.unwrap();
    let name = format!("latin_{}", std::process::id());
    let admin = connect(&cluster.url("postgres")).await.unwrap();
    let create =
        format!("create database {name} template template0 encoding 'LATIN1' lc_collate 'C' lc_ctype 'C'");
    admin.batch_execute(&create).await.unwrap();
    let utf8 = std::mem::replace(&mut sides.home, connect(&cluster.url(&name)).await.unwrap());
    sides.home_url = cluster.url(&name);
    for (keyed, kind) in [(1, "primary key"), (0, "")] {
        sides.both(&format!("drop table if exists t; create table t (k text {kind}, v text)")).await;
        sides.both("insert into t values ('ä', 'größe'), ('ÿ', null), ('a', '')").await;
        let lines = sides.compare(table("t", &["k", "v"], keyed)).await;
        assert_eq!(lines, ["3 rows: 3 equal, 0 missing, 0 extra, 0 different, 0 unproven"]);
    }
    drop((std::mem::replace(&mut sides.home, utf8), sides));
    cluster.drop_database(&name).await.unwrap();
}
