//! What the row hash stands on: the servers' own hashes of a type are alike on every version, and no two values that
//! differ are lost in them.

use crate::sides::{Sides, table};
use cleave_sandbox::Version;
use cleave_testkit::TestDatabase;

/// The types whose values are hashed by their own functions (`Canonical::Value` and `Canonical::Characters`), and
/// `bytea`, which carries what others send. An expression over `n` from -1000 to 1000, beside values of note.
const HASHED: &[(&str, &str, &str)] = &[
    ("bool", "n % 2 = 0", "true, false"),
    ("int2", "n * 32", "'-32768', '32767'"),
    ("int4", "n * 1000003", "'-2147483648', '2147483647'"),
    ("oid", "(n + 1000) * 2000003::int8", "'4294967295'"),
    ("date", "'2024-02-29'::date + n * 1009", "'infinity', '-infinity', '4713-01-01 BC', '5874897-12-31'"),
    ("uuid", "md5(n::text)", "'00000000-0000-0000-0000-000000000000'"),
    ("bytea", "decode(repeat(md5(n::text), (n + 1000) / 40), 'hex')", "'', '\\x00'"),
    ("inet", "('10.0.0.0'::inet + (n + 1000) * 65537)::text", "'::1', '10.0.0.1/8', 'fe80::1/64'"),
    ("cidr", "set_masklen('10.0.0.0'::cidr + (n + 1000) * 256, 24)::text", "'::/0', '10.0.0.0/8'"),
    ("macaddr", "'08:00:2b:01:0' || abs(n) % 10 || ':ff'", "'00:00:00:00:00:00'"),
    ("macaddr8", "'08:00:2b:01:0' || abs(n) % 10 || ':ff:00:01'", "'ff:ff:ff:ff:ff:ff:ff:ff'"),
    ("float4", "n / 7.0", "'NaN', '-NaN', 'Infinity', '-Infinity', '-0', '1e-45'"),
    ("float8", "n / 7.0", "'NaN', '-NaN', 'Infinity', '-Infinity', '-0', '5e-324'"),
    ("text collate \"C\"", "repeat('ä' || n, (n + 1000) / 40)", "'', ' ', 'a ', U&'a\\0308'"),
    ("char(12) collate \"C\"", "'ä' || n", "'', 'a'"),
];

/// One line per type, of the hashes of all its values under three seeds.
async fn hashes(version: Version) -> Vec<String> {
    let database = TestDatabase::create(version, "hashes").await.unwrap();
    let client = database.connect().await.unwrap();
    let mut lines = Vec::new();
    for (kind, series, values) in HASHED {
        let typed: Vec<String> =
            values.split(", ").map(|value| format!("({value}::{})", bare(kind))).collect();
        client
            .batch_execute(&format!(
                "create table v (n serial, v {kind}); \
                 insert into v (v) select ({series})::text::{} from generate_series(-1000, 1000) n; \
                 insert into v (v) values {}",
                bare(kind),
                typed.join(", ")
            ))
            .await
            .unwrap();
        let sql = "select md5(string_agg(hash_record_extended(row(v), 0) || ' ' || hash_record_extended(row(v), 7) \
                   || ' ' || hash_record_extended(row(v, v), -7000000000), ' ' order by n)) from v";
        lines.push(format!("{kind} {}", client.query_one(sql, &[]).await.unwrap().get::<_, String>(0)));
        client.batch_execute("drop table v").await.unwrap();
    }
    lines
}

fn bare(kind: &str) -> &str {
    kind.trim_end_matches(" collate \"C\"")
}

#[tokio::test]
async fn a_type_that_is_hashed_by_its_value_has_one_hash_on_every_version() {
    let first = hashes(Version::V14).await;
    for version in [Version::V15, Version::V16, Version::V17, Version::V18] {
        assert_eq!(hashes(version).await, first, "{version:?}");
    }
}

/// Values that PostgreSQL's own hash of the type does not tell apart, under any seed.
#[tokio::test]
async fn values_that_share_their_types_hash_are_told_apart() {
    let sides = Sides::create(Version::V14, Version::V18, "collide").await;
    let pairs = [
        ("bigint", "1", "4294967296"),
        ("bigint", "5 * 4294967296 + 9", "9 * 4294967296 + 5"),
        ("timestamptz", "'2000-01-01 00:00:00.000001+00'", "'2000-01-01 01:11:34.967296+00'"),
        ("timestamp", "'2000-01-01 00:00:00.000001'", "'2000-01-01 01:11:34.967296'"),
        ("time", "'00:00:00.000001'", "'01:11:34.967296'"),
        ("money", "'0.01'", "'42949672.96'"),
        ("pg_lsn", "'0/1'", "'1/0'"),
        ("interval", "'1 mon'", "'30 days'"),
        ("interval", "'1 day'", "'24 hours'"),
        ("numeric", "1", "-1"),
        ("numeric", "1", "1.0"),
        ("numeric", "'NaN'", "'Infinity'"),
        ("numeric", "'Infinity'", "'-Infinity'"),
        ("jsonb", "'{\"a\": 1}'", "'{\"a\": -1}'"),
        ("jsonb", "'[1]'", "'[1.0]'"),
        ("bpchar", "'a'", "'a '"),
        ("text", "null", "''"),
    ];
    let mut tables = Vec::new();
    for (at, (kind, here, there)) in pairs.iter().enumerate() {
        let create =
            format!("create table pair_{at} (id int primary key, v {kind}); insert into pair_{at} values");
        sides.home.batch_execute(&format!("{create} (1, {here}), (2, {here})")).await.unwrap();
        sides.on_follower(&format!("{create} (1, {there}), (2, {here})")).await;
        tables.push(table(&format!("pair_{at}"), &["id", "v"], 1));
    }
    for (outcome, pair) in sides.verify(tables).await.tables.iter().zip(pairs) {
        assert_eq!(crate::sides::described(outcome)[1..], ["different in v (1)"], "{pair:?}");
    }
}

/// A record's hash is a sum over its columns and a bucket's a sum over its rows: with one seed for all, the order of
/// summation would not matter. These tables have two rows, and their sums are taken over both.
#[tokio::test]
async fn rows_that_swap_a_value_are_found_though_they_are_added_up_together() {
    let sides = Sides::create(Version::V14, Version::V18, "swapped").await;
    for (name, key) in [("keyed", "primary key"), ("keyless", "")] {
        sides.both(&format!("create table {name} (id int {key}, a text, b uuid)")).await;
        let rows = |[one, two]: [&str; 2]| {
            format!("insert into {name} values (1, '{one}', null), (2, '{two}', null)")
        };
        sides.home.batch_execute(&rows(["x", "y"])).await.unwrap();
        sides.on_follower(&rows(["y", "x"])).await;
    }
    let keyed = sides.compare(table("keyed", &["id", "a", "b"], 1)).await;
    assert_eq!(
        keyed,
        [
            "2 rows: 0 equal, 0 missing, 0 extra, 2 different, 0 unproven",
            "different in a (1)",
            "different in a (2)"
        ]
    );
    let keyless = sides.compare(table("keyless", &["id", "a", "b"], 0)).await;
    assert_eq!(keyless[0], "2 rows: 0 equal, 2 missing, 2 extra, 0 different, 0 unproven");
}

/// A column may have one type here and another there, as long as the values read the same.
#[tokio::test]
async fn columns_of_two_types_are_compared_by_their_text() {
    let sides = Sides::create(Version::V14, Version::V18, "types").await;
    let create = |types: [&str; 5]| {
        let [a, b, c, d, e] = types;
        format!(
            "create table t (id int primary key, a {a}, b {b}, c {c}, d {d}, e {e}); \
             insert into t values (1, 7, 'x', 1.5, 'ab', 3), (2, null, '', null, 'cd', 4)"
        )
    };
    sides.home.batch_execute(&create(["int", "text", "float8", "char(4)", "int8"])).await.unwrap();
    sides.on_follower(&create(["int8", "varchar(3)", "numeric", "char(4)", "int2"])).await;
    let lines = sides.compare(table("t", &["id", "a", "b", "c", "d", "e"], 1)).await;
    assert_eq!(lines, ["2 rows: 2 equal, 0 missing, 0 extra, 0 different, 0 unproven"]);
    sides.on_follower("update t set a = 8, c = 1.50, d = 'ab ' where id = 1").await;
    let lines = sides.compare(table("t", &["id", "a", "b", "c", "d", "e"], 1)).await;
    assert_eq!(lines[1..], ["different in a, c (1)"]);
}
