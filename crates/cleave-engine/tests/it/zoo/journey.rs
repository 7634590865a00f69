//! The journey that each exhibit makes: copied, changed while it is followed, moved, changed at the new home, moved
//! back, changed again. At each stop the two sides are compared twice: by `verify`, and by the text of all rows.

use crate::trouble::stage::{Stage, on, switched};
use cleave_api::VerificationState;
use cleave_engine::{Answer, Verb};
use cleave_model::Ident;
use cleave_sandbox::Version;
use cleave_testkit::TestDatabase;
use tokio_postgres::Client;

/// Tables and what is done to them. Names are found through `search_path`, wherever the home is.
#[derive(Default)]
pub(super) struct Exhibit {
    /// What stands on both sides before: extensions.
    pub(super) both: Vec<String>,
    /// Tables and first rows, in statements that commit on their own.
    pub(super) schema: Vec<String>,
    /// More lines for the service in cleave.toml.
    pub(super) lines: String,
    /// Changes while the old home is followed, at the new home, and after the way back.
    pub(super) rounds: [Vec<String>; 3],
}

/// Which pairs of versions are tried: a few, or with `CLEAVE_TEST_FULL=1` each.
pub(super) fn pairs(quick: &[(Version, Version)]) -> Vec<(Version, Version)> {
    if std::env::var("CLEAVE_TEST_FULL").is_ok_and(|full| full == "1") {
        let all = Version::ALL.into_iter().flat_map(|from| Version::ALL.map(|to| (from, to)));
        return all.filter(|(from, to)| from != to).collect();
    }
    quick.to_vec()
}

struct Table {
    name: String,
    is_root: bool,
    /// The whole row, and each column for the message.
    columns: Vec<String>,
}

struct Journey {
    stage: Stage,
    tables: Vec<Table>,
    _m: TestDatabase,
    _n: TestDatabase,
}

/// The whole journey between two versions.
pub(super) async fn travel(from: Version, to: Version, hint: &str, exhibit: &Exhibit) {
    let journey = Journey::begin(from, to, hint, exhibit).await;
    let stage = &journey.stage;
    let at = |stop: &str| format!("{from:?} to {to:?}, {stop}");
    stage.apply().await.unwrap_or_else(|error| panic!("{}: {}", at("apply"), stage.say(&error.problem())));
    journey.change(&stage.m, "public", &exhibit.rounds[0]).await;
    journey.verify(&at("followed")).await;
    journey.equal("public", "films", &at("followed")).await;
    switched(stage.cutover().await);
    journey.reads_through(&at("bridge")).await;
    journey.change(&stage.n, "films", &exhibit.rounds[1]).await;
    journey.verify(&at("at the new home")).await;
    journey.equal("films_copy", "films", &at("at the new home")).await;
    switched(stage.rollback().await);
    journey.change(&stage.m, "public", &exhibit.rounds[2]).await;
    journey.verify(&at("back")).await;
    journey.equal("public", "films", &at("back")).await;
    // Origins belong to the server, which all journeys share.
    let cancelled = stage.verb(Verb::Cancel).await;
    cancelled.unwrap_or_else(|error| panic!("{}: {}", at("cancel"), stage.say(&error.problem())));
}

impl Journey {
    async fn begin(from: Version, to: Version, hint: &str, exhibit: &Exhibit) -> Self {
        let m = TestDatabase::create(from, &format!("{hint}_m")).await.unwrap();
        let n = TestDatabase::create(to, &format!("{hint}_n")).await.unwrap();
        let stage = Stage::new(&m.url(), &n.url())
            .with(r#"["public.film"]"#, r#"["public.*"]"#)
            .with("write_pause = \"3s\"", "write_pause = \"20s\"")
            .with("[limits]", &format!("{}\n[limits]", exhibit.lines));
        for sql in &exhibit.both {
            on(&stage.m, sql).await;
            on(&stage.n, sql).await;
        }
        let client = on(&stage.m, "").await;
        for sql in &exhibit.schema {
            run(&client, sql).await;
        }
        let tables = tables(&client).await;
        Self { stage, tables, _m: m, _n: n }
    }

    async fn change(&self, url: &str, schema: &str, round: &[String]) {
        let client = on(url, &format!("set search_path = {schema}, public")).await;
        for sql in round {
            run(&client, sql).await;
        }
    }

    async fn verify(&self, at: &str) {
        match self.stage.verb(Verb::Verify).await {
            Ok(Answer::Verification(report)) => {
                assert_eq!(report.state, VerificationState::Clean, "{at}: {report:?}");
            }
            Ok(other) => panic!("{at}: {other:?}"),
            Err(error) => panic!("{at}: {}\n{}", self.stage.say(&error.problem()), self.told().await),
        }
    }

    /// What the streams have stopped at.
    async fn told(&self) -> String {
        let status =
            cleave_engine::status(&self.stage.topology(), Some(&self.stage.service())).await.unwrap();
        let problems = status.services.iter().flat_map(|service| &service.problems);
        problems.map(|problem| self.stage.say(problem)).collect::<Vec<_>>().join("\n")
    }

    /// Each table has the same rows on both sides, as text.
    async fn equal(&self, on_m: &str, on_n: &str, at: &str) {
        let (m, n) = (reader(&self.stage.m).await, reader(&self.stage.n).await);
        for table in &self.tables {
            self.same(table, (&m, on_m), (&n, on_n), at).await;
        }
    }

    /// What the old names show is what stands at the new home.
    async fn reads_through(&self, at: &str) {
        let (m, n) = (reader(&self.stage.m).await, reader(&self.stage.n).await);
        for table in self.tables.iter().filter(|table| table.is_root) {
            self.same(table, (&m, "public"), (&n, "films"), at).await;
        }
    }

    async fn same(&self, table: &Table, left: (&Client, &str), right: (&Client, &str), at: &str) {
        let whole = digest(left, table, "t").await == digest(right, table, "t").await;
        let mut differ = Vec::new();
        for column in table.columns.iter().filter(|_| !whole) {
            let value = format!("t.{column}");
            let (one, other) = (digest(left, table, &value).await, digest(right, table, &value).await);
            if one != other {
                differ.push(format!("{column}: {one} and {other}"));
            }
        }
        assert!(whole, "{at}: {} differs: {}", table.name, differ.join("; "));
    }
}

/// A session that prints values as every other does.
async fn reader(url: &str) -> Client {
    on(
        url,
        "set timezone = 'UTC'; set datestyle = 'ISO, YMD'; set intervalstyle = 'postgres'; set extra_float_digits = 1",
    )
    .await
}

/// The number of rows and a sum over the text of this of all of them, in an order of its own.
async fn digest((client, schema): (&Client, &str), table: &Table, of: &str) -> String {
    let sql = format!(
        "select count(*) || ' rows ' || coalesce(md5(string_agg(md5(v), '' order by md5(v) collate \"C\")), '-')
         from (select coalesce(({of})::text, 'null') as v from {schema}.{} t) s",
        table.name
    );
    match client.query_one(&sql, &[]).await {
        Ok(row) => row.get(0),
        Err(error) => panic!("{error:?}\n{sql}"),
    }
}

async fn tables(client: &Client) -> Vec<Table> {
    let sql = "
        select c.relname::text, not c.relispartition,
               array(select a.attname::text from pg_attribute a
                     where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped order by a.attnum)
        from pg_class c where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') order by 1";
    let rows = client.query(sql, &[]).await.unwrap();
    let quoted = |name: String| Ident::new(name).quoted();
    rows.iter()
        .map(|row| Table {
            name: quoted(row.get(0)),
            is_root: row.get(1),
            columns: row.get::<_, Vec<String>>(2).into_iter().map(quoted).collect(),
        })
        .collect()
}

pub(super) async fn run(client: &Client, sql: &str) {
    if let Err(error) = client.batch_execute(sql).await {
        let shown: String = sql.chars().take(2_000).collect();
        panic!("{error:?}\n{shown}");
    }
}
