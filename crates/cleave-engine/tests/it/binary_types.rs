//! The types that travel in binary, on real servers: each is what the list says, and its values arrive as they left.

use cleave_pg::copy::{Pump, copy_in, copy_out};
use cleave_pg::{Endpoint, Session};
use cleave_plan::STABLE_TYPES;
use cleave_sandbox::Version;
use cleave_testkit::TestDatabase;

/// Extremes of each type, as text.
pub(crate) const VALUES: [(&str, &[&str]); 53] = [
    ("bool", &["t", "f"]),
    ("bytea", &["\\x", "\\x00ff5c"]),
    ("char", &["a", ""]),
    ("name", &["", "Ä name"]),
    ("int8", &["-9223372036854775808", "9223372036854775807"]),
    ("int2", &["-32768", "32767"]),
    ("int4", &["-2147483648", "2147483647"]),
    ("text", &["", "\\N", "ä\t\n"]),
    ("oid", &["0", "4294967295"]),
    ("json", &["{\"a\" :  1}", "null"]),
    ("point", &["(1e308,-0)", "(NaN,Infinity)"]),
    ("lseg", &["[(0,1),(2,3)]"]),
    ("path", &["[(0,1),(2,3)]", "((0,1),(2,3))"]),
    ("box", &["(2,3),(0,1)"]),
    ("polygon", &["((0,1),(2,3),(4,5))"]),
    ("line", &["{1,-1,0.5}"]),
    ("cidr", &["10.0.0.0/8", "2001:db8::/32"]),
    ("float4", &["3.4028235e+38", "NaN", "-Infinity", "-0", "1e-45"]),
    ("float8", &["1.7976931348623157e+308", "NaN", "-Infinity", "0.1", "5e-324"]),
    ("circle", &["<(1,2),3>"]),
    ("macaddr8", &["08:00:2b:01:02:03:04:05"]),
    ("money", &["-$92,233,720,368,547,758.08", "$1.05"]),
    ("macaddr", &["08:00:2b:01:02:03"]),
    ("inet", &["10.0.0.1/8", "::1"]),
    ("bpchar", &["", "a  "]),
    ("varchar", &["", "x"]),
    ("date", &["infinity", "-infinity", "4714-11-24 BC", "5874897-12-31"]),
    ("time", &["00:00", "24:00", "23:59:59.999999"]),
    ("timestamp", &["infinity", "4714-11-24 00:00 BC", "294276-12-31 23:59:59.999999"]),
    ("timestamptz", &["-infinity", "2026-03-29 02:30+01", "294276-12-31 23:59:59.999999Z"]),
    ("interval", &["178000000 years", "-1 mon 2 days -00:00:00.000001", "0"]),
    ("timetz", &["00:00+15:59", "24:00-15:59"]),
    ("bit", &["1"]),
    ("varbit", &["", "10101010101"]),
    (
        "numeric",
        &["NaN", "Infinity", "-Infinity", "0.00", "-1e-1000", "1e5000", "12345678901234567890.0987654321"],
    ),
    ("uuid", &["00000000-0000-0000-0000-000000000000", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"]),
    ("pg_lsn", &["0/0", "FFFFFFFF/FFFFFFFF"]),
    ("tsvector", &["", "'a':1A,2 'b c':3B 'ä'"]),
    ("jsonb", &["{\"a\": [1.50, null, \"\\u00e4\"]}", "0", "[]"]),
    ("int4range", &["empty", "[1,5)", "(,)"]),
    ("numrange", &["[1.50,2]", "(,NaN]"]),
    ("tsrange", &["[2026-01-01,infinity]", "(,2026-01-01)"]),
    ("tstzrange", &["[2026-01-01 00:00Z,)", "empty"]),
    ("daterange", &["[2026-01-01,2026-01-02)", "[,infinity]"]),
    ("int8range", &["[-9223372036854775808,0)"]),
    ("jsonpath", &["$.\"a\"[*]?(@ > 1)", "strict $"]),
    ("int4multirange", &["{}", "{[1,2),[5,)}"]),
    ("nummultirange", &["{(,1.5],[2,3)}"]),
    ("tsmultirange", &["{[2026-01-01,2026-01-02)}"]),
    ("tstzmultirange", &["{[2026-01-01 00:00Z,)}"]),
    ("datemultirange", &["{[2026-01-01,2026-01-03),(2027-01-01,)}"]),
    ("int8multirange", &["{[1,2)}"]),
    ("xid8", &["0", "18446744073709551615"]),
];

async fn session(database: &TestDatabase) -> Session {
    cleave_pg::connect(&Endpoint::parse(&database.url()).unwrap(), "test").await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_stable_type_has_the_same_name_and_array_on_every_version() {
    for version in Version::ALL {
        let database = TestDatabase::create(version, "stable_types").await.unwrap();
        let client = session(&database).await;
        for (name, oid, array) in STABLE_TYPES {
            let sql = "select typname::text, typarray, typsend <> 0 and typreceive <> 0 from pg_type where oid = $1";
            let row = client.query_one(sql, &[&oid]).await.unwrap();
            let found: (String, u32, bool) = (row.get(0), row.get(1), row.get(2));
            assert_eq!(found, (name.to_owned(), array, true), "{version:?}");
        }
    }
}

/// Intervals keep their bytes, but not their meaning, between 16 and 17.
pub(crate) fn travels(name: &str, from: Version, to: Version) -> bool {
    let infinite = |version| version >= Version::V17;
    name != "interval" || infinite(from) == infinite(to)
}

async fn values(client: &Session) -> Vec<String> {
    let rows =
        client.query("select id || ': ' || v::text || ' ' || a::text from public.t order by id", &[]).await;
    rows.unwrap().iter().map(|row| row.get(0)).collect()
}

async fn check(from: Version, to: Version) {
    let source = TestDatabase::create(from, "types_from").await.unwrap();
    let target = TestDatabase::create(to, "types_to").await.unwrap();
    let (source, target) = (session(&source).await, session(&target).await);
    for (name, values_of) in VALUES.iter().filter(|(name, _)| travels(name, from, to)) {
        let of_type = format!("pg_catalog.\"{name}\"");
        let create = format!(
            "drop table if exists public.t; create table public.t (id int, v {of_type}, a {of_type}[])"
        );
        source.batch_execute(&create).await.unwrap();
        target.batch_execute(&create).await.unwrap();
        for (id, value) in values_of.iter().enumerate() {
            let insert = format!(
                "insert into public.t values ({id}, $literal${value}$literal$,
                 array[[$literal${value}$literal$, null]]::{of_type}[])"
            );
            source.batch_execute(&insert).await.unwrap_or_else(|error| panic!("{name} {value}: {error:?}"));
        }
        let from = copy_out(&source, "copy public.t to stdout (format binary)", "reading t").await.unwrap();
        let into = copy_in(&target, "copy public.t from stdin (format binary)", "writing t").await.unwrap();
        let mut pump = Pump::new(from, into);
        while pump.step().await.unwrap().is_some() {}
        pump.finish().await.unwrap_or_else(|error| panic!("{name}: {error:?}"));
        let arrived = values(&target).await;
        assert_eq!(arrived.len(), values_of.len(), "{name}");
        assert_eq!(arrived, values(&source).await, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_stable_type_arrives_in_binary_as_it_left() {
    let listed: Vec<&str> = STABLE_TYPES.iter().map(|(name, ..)| *name).collect();
    assert_eq!(listed, VALUES.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    check(Version::V14, Version::V18).await;
    check(Version::V18, Version::V14).await;
    check(Version::V16, Version::V17).await;
    check(Version::V17, Version::V15).await;
}
