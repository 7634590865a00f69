//! `verify --source --target`: two databases that no move connects, and no configuration.

use crate::store::Store;
use serde_json::{Value, json};

const TABLES: &str = "
create table film (id int primary key, title text, year int);
create table visit (page text, n int);
create table event (day date, n int, primary key (day, n)) partition by range (day);
create table event_old partition of event for values from ('2020-01-01') to ('2021-01-01');
insert into film select n, 'film ' || n, 1900 + n % 100 from generate_series(1, 300) n;
insert into visit select 'p' || n % 5, n % 3 from generate_series(1, 60) n;
insert into event select '2020-01-01'::date + n, n from generate_series(1, 100) n;
analyze;
";

const BROKEN: &str = "
update film set title = 'Film 7 ' where id = 7;
update film set year = null where id = 8;
delete from film where id = 11;
insert into film values (-3, 'secret title', null);
insert into visit values ('p1', 1);
";

/// `verify` of both databases, as wide as a test needs it; there is no configuration file of that name.
const BOTH: [&str; 9] = [
    "verify",
    "--source",
    "env:MONOLITH_URL",
    "--target",
    "env:PRODUCTS_URL",
    "--lag",
    "0",
    "-C",
    "nowhere.toml",
];

async fn two(source: &str, target: &str) -> Store {
    let store = Store::with("").await;
    store.on_m(source).await;
    store.on_n(target).await;
    store
}

fn with<'a>(more: &[&'a str]) -> Vec<&'a str> {
    BOTH.into_iter().chain(more.iter().copied()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_equal_databases_are_compared_without_a_move_and_it_is_said_what_that_means() {
    let store = two(TABLES, TABLES).await;
    insta::assert_snapshot!("two_equal_databases", store.run(&BOTH).await);
    let document = store.json(0, &BOTH).await;
    assert_eq!((&document["data"]["aligned"], &document["data"]["rows"]), (&json!(false), &json!(460)));
    let some = store.json(0, &with(&["--tables", "public.film", "public.event_*"])).await;
    let names: Vec<&str> =
        some["data"]["tables"].as_array().unwrap().iter().map(|one| one["table"].as_str().unwrap()).collect();
    assert_eq!(names, ["public.event_old", "public.film"], "a partition by itself where it alone is named");
}

#[tokio::test(flavor = "multi_thread")]
async fn differences_are_listed_by_key_and_values_only_where_they_are_asked_for() {
    let store = two(TABLES, &format!("{TABLES}{BROKEN}")).await;
    let file = store.runner.path().join("diff.jsonl");
    let said = store.run(&with(&["-o", "diff.jsonl"])).await;
    assert!(said.contains("5 different") || said.contains("4 different"), "{said}");
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(!said.contains("secret title") && !text.contains("secret title"), "{said}{text}");
    let mut lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    lines.sort_by_key(ToString::to_string);
    let film = |key: &str, kind: &str| json!({ "table": "public.film", "key": [["id", key]], "kind": kind });
    let changed = |key: &str, column: &str| json!({ "table": "public.film", "key": [["id", key]], "kind": "changed", "columns": [column] });
    let keyless = lines.iter().position(|line| line["table"] == "public.visit").unwrap();
    let row = lines.remove(keyless);
    assert!(
        row["key"][0][1].as_str().unwrap().ends_with("4 times on the home, 5 times on the follower"),
        "{row}"
    );
    let mut expected =
        vec![film("-3", "extra"), film("11", "missing"), changed("7", "title"), changed("8", "year")];
    expected.sort_by_key(ToString::to_string);
    assert_eq!(lines, expected);

    insta::assert_snapshot!(
        "differences_with_values",
        store.run(&with(&["--show-values", "--tables", "public.film"])).await
    );
    let document = store.json(5, &with(&["--show-values", "--tables", "public.film"])).await;
    let differences = document["data"]["differences"].as_array().unwrap();
    let of = |key: &str| differences.iter().find(|one| one["key"][0][1] == key).unwrap()["values"].clone();
    assert_eq!(of("7"), json!([{ "column": "title", "home": "film 7", "other": "Film 7 " }]));
    assert_eq!(of("8"), json!([{ "column": "year", "home": "1908", "other": null }]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_has_every_difference_and_the_terminal_the_first() {
    let store = two(TABLES, &format!("{TABLES} truncate film")).await;
    let said = store.run(&with(&["-o", "diff.jsonl"])).await;
    assert!(said.contains("and 280 more (-o FILE writes them all)"), "{said}");
    let text = std::fs::read_to_string(store.runner.path().join("diff.jsonl")).unwrap();
    assert_eq!(text.lines().count(), 300);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_compared_is_told_before_anything_is_read() {
    let store =
        two(TABLES, &format!("{TABLES} create table draft (id int); alter table film drop year")).await;
    let mut said = Vec::new();
    for more in [
        vec!["--tables", "public.flim"],
        vec!["--tables", "flim"],
        vec![],
        vec!["--tables", "public.film"],
        vec!["--tables", "public.draft", "public.visit"],
    ] {
        said.push(store.run(&with(&more)).await);
    }
    said.push(store.run(&["verify", "--source", "elsewhere", "--target", "env:PRODUCTS_URL"]).await);
    said.push(
        store.run(&["verify", "films", "--source", "env:MONOLITH_URL", "--target", "env:PRODUCTS_URL"]).await,
    );
    said.push(store.run(&["verify", "--source", "env:MONOLITH_URL"]).await);
    insta::assert_snapshot!("cannot_be_compared", said.join("\n"));
    let empty = two("", "").await;
    assert_eq!(empty.json(2, &BOTH).await["problems"][0]["code"], "C0611");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repair_asks_for_a_yes_and_a_rehearsal_names_the_command() {
    let store = Store::to_move().await;
    store.expect(0, &["apply", "--until", "following"]).await;
    assert_eq!(store.json(2, &["verify", "--repair"]).await["problems"][0]["code"], "C0904");
    store.on_n(&vandal("update films.film set year = 1999 where id in (1, 2)")).await;
    insta::assert_snapshot!(
        "repair_rehearsed",
        store.run(&["verify", "films", "--repair", "--dry-run"]).await
    );
    insta::assert_snapshot!("repaired", store.run(&["verify", "films", "--repair", "--yes"]).await);
    store.expect(2, &["verify", "--dry-run"]).await;
    tidy(&store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_comparison_that_goes_on_ends_with_the_first_difference_and_closes_the_gate() {
    let store = Store::to_move().await;
    store.expect(0, &["apply", "--until", "following"]).await;
    let running = store.output(&["verify", "--every", "0", "--format", "json"]);
    let breaks = async {
        // Not before the first result stands: a clean one, so that there is something to withdraw.
        let m = store.m.connect().await.unwrap();
        let clean = "select count(*) from cleave.journal where step = 'verify' and event = 'done'";
        while m.query_one(clean, &[]).await.unwrap().get::<_, i64>(0) == 0 {
            tokio::task::yield_now().await;
        }
        store.on_n(&vandal("update films.film set year = 1999 where id = 1")).await;
    };
    let (output, ()) = tokio::join!(running, breaks);
    assert_eq!(output.status.code(), Some(5), "{output:?}");
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["data"]["differences"][0]["columns"], json!(["year"]));
    assert_eq!(store.json(4, &["cutover", "--yes"]).await["problems"][0]["code"], "C0710");
    tidy(&store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_comparison_through_a_mapping_names_rows_by_the_sources_names() {
    let target = "
        create schema films;
        create table films.movie (id int primary key, name text, year int, copied_at timestamptz default now());
        insert into films.movie (id, name, year) select n, 'film ' || n, 1900 + n % 100 from generate_series(1, 300) n where n % 100 < 50;
        create table films.visit (page text, n int);
        insert into films.visit select 'p' || n % 5, n % 3 from generate_series(1, 60) n;
        analyze;";
    let store = two(TABLES, target).await;
    let file = store.runner.path().join("map.toml");
    let map = "[schemas]\npublic = \"films\"\n[[table]]\nsource = \"public.film\"\ntarget = \"films.movie\"\n\
         columns = { title = \"name\" }\nwithout = [\"copied_at\"]\nsource_where = \"year < 1950\"\n";
    std::fs::write(&file, map).unwrap();
    let mapped = with(&["--map", "map.toml", "--tables", "public.film", "public.visit"]);
    let clean = store.json(0, &mapped).await;
    assert_eq!(clean["data"]["rows"], 150 + 60, "{clean}");
    store.on_n("update films.movie set name = 'x' where id = 1; insert into films.movie (id, name, year) values (60, 'film 60', 1960)").await;
    let broken = store.json(5, &mapped).await;
    let mut named: Vec<(String, String, Value)> = broken["data"]["differences"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            (
                one["kind"].as_str().unwrap().into(),
                one["key"][0][1].as_str().unwrap().into(),
                one["columns"].clone(),
            )
        })
        .collect();
    named.sort_by_key(|(kind, ..)| kind.clone());
    assert_eq!(
        named,
        [("changed".into(), "1".into(), json!(["title"])), ("extra".into(), "60".into(), Value::Null)]
    );
    std::fs::write(&file, format!("{map}where = 1\n")).unwrap();
    let refused = store.json(2, &mapped).await;
    assert_eq!(refused["problems"][0]["code"], "C0617", "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_comparison_of_two_databases_that_is_killed_goes_on_with_its_state_file() {
    let store = two(TABLES, TABLES).await;
    let file = store.runner.path().join("state.json");
    let kept = with(&["--state", "state.json"]);
    let mut command = store.command(&kept);
    command.env("CLEAVE_FAILPOINTS", "verify.kept=exit");
    let killed = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    assert_eq!(killed.status.code(), None, "{killed:?}");
    assert!(file.exists());
    let before = std::fs::read(&file).unwrap();
    let resumed = store.json(0, &kept).await;
    let rows = |document: &Value| document["data"]["resumed"].as_u64().unwrap();
    assert!(rows(&resumed) > 0 && resumed["data"]["since"].is_string(), "{resumed}");
    assert!(!file.exists(), "a comparison that has ended leaves nothing to go on with");
    // Whoever wants all of it anew gets it, and so does one of other tables.
    std::fs::write(&file, &before).unwrap();
    assert_eq!(rows(&store.json(0, &with(&["--state", "state.json", "--restart"])).await), 0);
    std::fs::write(&file, &before).unwrap();
    store.on_m("alter table film rename year to y; alter table event rename n to m; alter table visit rename n to m").await;
    store.on_n("alter table film rename year to y; alter table event rename n to m; alter table visit rename n to m").await;
    assert_eq!(rows(&store.json(0, &kept).await), 0);
}

/// Who the fence takes for Cleave, and the stream of the way back for its peer.
const ORIGIN: &str = "'cleave_films_copy_9'";

/// A statement that gets past the fence, as only something of Cleave's own that is broken could make it.
fn vandal(sql: &str) -> String {
    format!(
        "select pg_replication_origin_create({ORIGIN}); select pg_replication_origin_session_setup({ORIGIN}); \
         set session_replication_role = replica; {sql}"
    )
}

/// Origins belong to the cluster; readers look up their names, so this comes last.
async fn tidy(store: &Store) {
    store.on_n(&format!("select pg_replication_origin_drop({ORIGIN})")).await;
}
