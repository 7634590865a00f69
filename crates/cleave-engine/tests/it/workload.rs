//! What applications do, read from servers that write it down.

mod functions;
mod layers;

use crate::places::Places;
use cleave_engine::{EngineError, WorkloadOptions, WorkloadReading, plan_workload, read_workload};
use cleave_model::QualifiedName;
use cleave_model::workload::{StatementTrait, Workload};
use cleave_pg::catalog::read_catalog;
use cleave_pg::{Endpoint, connect};
use cleave_sandbox::{Cluster, Options, Version};
use cleave_testkit::TestDatabase;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

const SCHEMA: &str = "
    create schema films; create schema stats;
    create extension pg_stat_statements schema stats;
    create table public.film (id int primary key, title text);
    create table films.actor (id int primary key, name text);
    create table public.pay (id int, at date) partition by range (at);
    create table public.pay_26 partition of public.pay for values from ('2026-01-01') to ('2027-01-01');
    create role app login password 'app';
    grant usage on schema films, stats to app;
    grant all on all tables in schema public, films to app;
    create function public.rename(wanted int) returns void language plpgsql as
        'begin update public.film set title = $$secret$$ where id = wanted; end';
    create function public.rename_all() returns void language sql as
        'select public.rename(id) from films.actor';
    alter role app set search_path = films, public;";

/// A server that writes every statement into logs of every form, and into `pg_stat_statements`.
async fn talkative(version: Version) -> Cluster {
    let forms = if version >= Version::V15 { "stderr,csvlog,jsonlog" } else { "stderr,csvlog" };
    let options = Options::new()
        .setting("shared_preload_libraries", "pg_stat_statements")
        .setting("logging_collector", "on")
        .setting("log_destination", forms)
        .setting("log_filename", "server.log")
        .setting("log_line_prefix", "%m [%p] %q%u@%d %v ")
        .setting("log_statement", "all");
    let cluster = Cluster::start(version, &options).await.unwrap();
    cluster.create_database("shop").await.unwrap();
    cluster.create_database("elsewhere").await.unwrap();
    let client = cleave_sandbox::connect(&cluster.url("shop")).await.unwrap();
    client.batch_execute(SCHEMA).await.unwrap();
    cluster
}

/// What applications do: every way to send a statement, in and outside transactions, with and without success.
async fn use_the_shop(cluster: &Cluster) {
    let app = cleave_sandbox::connect(&cluster.url_as("app", "app", "shop")).await.unwrap();
    app.batch_execute("begin").await.unwrap();
    for id in 1..4 {
        app.execute("insert into film values ($1, 'secret')", &[&id]).await.unwrap();
    }
    app.batch_execute("insert into actor\n  values (1, 'secret'); commit").await.unwrap();
    app.batch_execute("begin; delete from film; rollback").await.unwrap();
    app.batch_execute("insert into film values (1, 'taken')").await.unwrap_err();
    app.batch_execute("insert into pay values (1, '2026-02-03')").await.unwrap();
    app.query("select title from public.film where id = $1 for update", &[&1]).await.unwrap();
    app.batch_execute(
        "create temp table actor_new as select * from actor; insert into actor_new values (2, 'x')",
    )
    .await
    .unwrap();
    app.query("select rename_all()", &[]).await.unwrap();
    // The same server writes how long statements took, where it is asked to.
    let timed = cleave_sandbox::connect(&cluster.url("shop")).await.unwrap();
    timed.batch_execute("set log_statement = none; set log_min_duration_statement = 0").await.unwrap();
    timed.batch_execute("begin").await.unwrap();
    timed.execute("update film set title = $1", &[&"secret"]).await.unwrap();
    timed.batch_execute("truncate films.actor").await.unwrap();
    timed.batch_execute("commit").await.unwrap();
    timed.batch_execute("select 1 from film; ").await.unwrap();
    let other = cleave_sandbox::connect(&cluster.url("elsewhere")).await.unwrap();
    other.batch_execute("create table film (id int); insert into film values (1)").await.unwrap();
}

async fn reading(url: &str, options: &WorkloadOptions) -> Result<WorkloadReading, EngineError> {
    let mut session = connect(&Endpoint::parse(url).unwrap(), "test").await.unwrap();
    let catalog = read_catalog(&session).await.unwrap();
    read_workload(&mut session, &catalog, options).await
}

fn codes(reading: &WorkloadReading) -> Vec<&str> {
    reading.problems.iter().map(|problem| problem.code.as_str()).collect()
}

fn names(set: &BTreeSet<QualifiedName>) -> String {
    set.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

fn transactions(workload: &Workload) -> Vec<String> {
    let all = workload.transactions.iter();
    all.map(|t| format!("{} > {} x{}", names(&t.read), names(&t.written), t.count)).collect()
}

async fn every_version<F: Future<Output = ()>>(test: impl Fn(Version) -> F) {
    for version in Version::ALL {
        test(version).await;
    }
}

#[tokio::test]
async fn every_form_of_a_real_servers_log_gives_the_same_transactions() {
    every_version(|version| async move {
        let cluster = talkative(version).await;
        use_the_shop(&cluster).await;
        for form in ["log", "csv", "json"] {
            if form == "json" && version < Version::V15 {
                continue;
            }
            let files = vec![cluster.data_dir().join(format!("log/server.{form}"))];
            let read = reading(&cluster.url("shop"), &WorkloadOptions { files, ..Default::default() })
                .await
                .unwrap();
            let found = transactions(&read.workload);
            let expected = [
                " > films.actor public.film x2",
                " > public.pay x1",
                "films.actor >  x1",
                "films.actor > public.film x1",
                "public.film >  x2",
            ];
            assert_eq!(found, expected, "{version:?} {form}");
            assert!(
                read.workload.sources[0].contains(&format!("server.{form}")),
                "{:?}",
                read.workload.sources
            );
            let shown = format!("{:?}", read.workload);
            assert!(!shown.contains("secret"), "{shown}");
            let insert = read
                .workload
                .statements
                .iter()
                .find(|s| s.text == "insert into film values ($1, $2)")
                .unwrap();
            // The one that failed was sent, too.
            assert_eq!((insert.calls, insert.role.as_deref()), (4, Some("app")), "{version:?} {form}");
        }
    })
    .await;
}

#[tokio::test]
async fn statements_that_the_server_counted_are_read_with_the_path_of_their_role() {
    every_version(|version| async move {
        let cluster = talkative(version).await;
        use_the_shop(&cluster).await;
        let read = reading(&cluster.url("shop"), &WorkloadOptions::statements_only()).await.unwrap();
        assert!(codes(&read).is_empty(), "{:?}", read.problems);
        assert!(read.workload.sources[0].starts_with("pg_stat_statements"), "{:?}", read.workload.sources);
        let of = |part: &str| {
            let found = read.workload.statements.iter().find(|statement| statement.text.contains(part));
            found.unwrap_or_else(|| panic!("{version:?}: no {part}: {:#?}", read.workload.statements))
        };
        let actor = of("insert into actor");
        assert_eq!(actor.tables[0].table, QualifiedName::new("films", "actor"));
        assert!(actor.tables[0].writes && !actor.tables[0].qualified);
        let locks = of("for update");
        assert!(locks.traits.contains(&StatementTrait::RowLock) && locks.tables[0].qualified);
        assert_eq!(of("insert into pay").tables[0].table, QualifiedName::new("public", "pay"));
        assert!(of("truncate films.actor").traits.contains(&StatementTrait::Truncate));
        assert!(locks.id.parse::<i64>().is_ok(), "{}", locks.id);
    })
    .await;
}

#[tokio::test]
async fn who_may_not_see_other_roles_statements_is_told() {
    let cluster = talkative(Version::V18).await;
    use_the_shop(&cluster).await;
    let app =
        reading(&cluster.url_as("app", "app", "shop"), &WorkloadOptions::statements_only()).await.unwrap();
    assert_eq!(codes(&app), ["C1001"]);
    let client = cleave_sandbox::connect(&cluster.url("shop")).await.unwrap();
    client.batch_execute("grant pg_read_all_stats to app").await.unwrap();
    let app =
        reading(&cluster.url_as("app", "app", "shop"), &WorkloadOptions::statements_only()).await.unwrap();
    assert!(codes(&app).is_empty(), "{:?}", app.problems);
    let elsewhere = reading(&cluster.url("elsewhere"), &WorkloadOptions::statements_only()).await.unwrap();
    assert_eq!(codes(&elsewhere), ["C1000"]);
}

#[tokio::test]
async fn an_extension_without_its_library_is_named() {
    let database = TestDatabase::create(Version::V16, "workload").await.unwrap();
    database.connect().await.unwrap().batch_execute("create extension pg_stat_statements").await.unwrap();
    let read = reading(&database.url(), &WorkloadOptions::statements_only()).await.unwrap();
    assert_eq!(codes(&read), ["C1000"]);
    assert!(read.problems[0].message.contains("does not load"), "{:?}", read.problems);
}

#[tokio::test]
async fn a_plan_says_which_known_statements_the_bridge_breaks_and_who_carries_them() {
    let cluster = talkative(Version::V18).await;
    let app = cleave_sandbox::connect(&cluster.url_as("app", "app", "shop")).await.unwrap();
    for id in 0..3 {
        app.execute("insert into film values ($1, 'x') on conflict (id) do nothing", &[&id]).await.unwrap();
    }
    app.batch_execute("select id from film for update skip locked").await.unwrap();
    app.batch_execute("select title from film").await.unwrap();
    app.batch_execute("begin; delete from film; delete from actor; commit").await.unwrap();
    let target = TestDatabase::create(Version::V18, "workload_n").await.unwrap();
    let places = Places::new(
        &cluster.url("shop"),
        &target.url(),
        "from = \"monolith\"\nhome = \"products/films\"\ntables = [\"public.film\"]\nbridge = \"forward\"\n",
    );
    let (topology, service) = (places.topology(), places.films().name.clone());
    let plan = cleave_engine::plan(&topology, &service).await.unwrap();
    let files = vec![cluster.data_dir().join("log/server.json")];
    let options = WorkloadOptions { statements: true, files, ..Default::default() };
    let (workload, problems) = plan_workload(&topology, &service, &plan, &options).await.unwrap();
    let workload = workload.unwrap();
    assert_eq!(workload.sources.len(), 2, "{:?}", workload.sources);
    let risks: Vec<(&str, usize, usize)> = workload
        .at_risk
        .iter()
        .map(|risk| (risk.text.split(' ').next().unwrap(), risk.breaks.len(), risk.differs.len()))
        .collect();
    assert_eq!(risks, [("insert", 1, 0), ("select", 0, 1)], "{:#?}", workload.at_risk);
    let upsert = &workload.at_risk[0];
    assert_eq!((upsert.calls, upsert.role.as_deref()), (3, Some("app")));
    assert!(upsert.breaks[0].contains("42P10") && upsert.carried_by.is_empty(), "{upsert:?}");
    assert!(upsert.id.parse::<i64>().is_ok(), "{upsert:?}");
    assert_eq!(workload.spanning.len(), 1);
    assert_eq!(
        (workload.spanning[0].moved.as_slice(), workload.spanning[0].count),
        (["public.film".to_owned()].as_slice(), 1)
    );
    assert_eq!(problems.iter().map(|problem| problem.code.as_str()).collect::<Vec<_>>(), ["C1010"]);
}

/// Writes until it is dropped.
async fn keep_writing(database: &TestDatabase) {
    let client = database.connect().await.unwrap();
    for id in 0_i32.. {
        for sql in [
            format!(
                "insert into film values ({id}, E'a: INSERT:\\n'); insert into \"Odd, \"\"Name\" values ({id})"
            ),
            format!("insert into pay values ({id}, '2026-02-03')"),
            format!("insert into cleave.note values ({id})"),
            "begin; delete from keyless; insert into film values (-1); rollback".to_owned(),
            "insert into keyless values (1); update keyless set id = 2".to_owned(),
            "truncate film, keyless".to_owned(),
        ] {
            client.batch_execute(&sql).await.unwrap();
        }
    }
}

#[tokio::test]
async fn listening_sees_which_tables_are_written_together_and_leaves_nothing() {
    for version in [Version::V14, Version::V18] {
        let database = TestDatabase::create(version, "listening").await.unwrap();
        let client = database.connect().await.unwrap();
        let schema = "
            create schema cleave; create table cleave.note (id int);
            create table film (id int primary key, title text); create table \"Odd, \"\"Name\" (id int);
            create table keyless (id int);
            create table pay (id int, at date) partition by range (at);
            create table pay_26 partition of pay for values from ('2026-01-01') to ('2027-01-01')";
        client.batch_execute(schema).await.unwrap();
        let listen = WorkloadOptions { listen: Some(Duration::from_secs(2)), ..Default::default() };
        let url = database.url();
        let read = tokio::select! {
            read = reading(&url, &listen) => read.unwrap(),
            () = keep_writing(&database) => unreachable!("it writes until it is dropped"),
        };
        let sets: Vec<String> = read.workload.transactions.iter().map(|t| names(&t.written)).collect();
        let mut expected = vec![
            "public.\"Odd, \"\"Name\" public.film",
            "public.film public.keyless",
            "public.keyless",
            "public.pay",
        ];
        expected.sort_unstable();
        let mut found: Vec<&str> = sets.iter().map(String::as_str).collect();
        found.sort_unstable();
        assert_eq!(found, expected, "{version:?}");
        assert!(read.workload.sources[0].contains("write-ahead log"), "{:?}", read.workload.sources);
        let left = "select (select count(*) from pg_publication)
                         + (select count(*) from pg_replication_slots where database = current_database())";
        assert_eq!(client.query_one(left, &[]).await.unwrap().get::<_, i64>(0), 0);
    }
}

#[tokio::test]
async fn listening_says_what_it_lacks() {
    let code = |read: Result<WorkloadReading, EngineError>| read.unwrap_err().problem().code;
    let listen = WorkloadOptions { listen: Some(Duration::from_millis(10)), ..Default::default() };
    let replica =
        Cluster::start(Version::V17, &Options::new().setting("wal_level", "replica")).await.unwrap();
    assert_eq!(code(reading(&replica.url("postgres"), &listen).await), "C1005");

    let database = TestDatabase::create(Version::V17, "listening").await.unwrap();
    let client = database.connect().await.unwrap();
    let role = format!("{}_reader", database.name());
    client.batch_execute(&format!("create role {role} login password 'x'")).await.unwrap();
    assert_eq!(code(reading(&database.url_as(&role, "x"), &listen).await), "C1006");
    client.batch_execute(&format!("drop role {role}")).await.unwrap();
}

#[tokio::test]
async fn a_file_that_is_no_log_is_refused_by_name() {
    let database = TestDatabase::create(Version::V15, "workload").await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| -> PathBuf {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let read = async |file: PathBuf| {
        reading(&database.url(), &WorkloadOptions { files: vec![file], ..Default::default() }).await
    };
    let refusals = [
        (folder.path().join("nowhere.log"), "C1002"),
        (write("packed.log.gz", &[0x1f, 0x8b, 8, 0]), "C1002"),
        (write("poem.txt", b"roses are red\nviolets are blue\n"), "C1003"),
        (write("empty.log", b""), "C1003"),
    ];
    for (file, code) in refusals {
        let problem = read(file.clone()).await.unwrap_err().problem();
        assert_eq!(problem.code, code, "{problem:?}");
        assert!(problem.message.contains(&file.display().to_string()), "{problem:?}");
    }
    let bare = write("bare.log", b"LOG:  statement: select 1\nLOG:  statement: create table x (a int)\n");
    assert_eq!(codes(&read(bare).await.unwrap()), ["C1004"]);
    let silent = write("silent.log", b"2026-11-27 06:24:06 UTC [1] LOG:  checkpoint starting: time\n");
    assert_eq!(codes(&read(silent).await.unwrap()), ["C1009"]);
}
