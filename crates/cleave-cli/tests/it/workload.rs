//! What a plan says of the statements that applications send.

use crate::store::Store;

/// A log of the store's database, as a server writes it.
fn log(database: &str) -> String {
    let lines = [
        "[7] app@DB LOG:  statement: begin",
        "[7] app@DB LOG:  execute s1: insert into film (title, year) values ($1, $2)\n\ton conflict (title) do update set year = excluded.year",
        "[7] app@DB LOG:  statement: insert into inventory (film_id) values (17)",
        "[7] app@DB LOG:  statement: commit",
        "[9] job@DB LOG:  statement: select id from public.film where year = 1999 for update skip locked",
        "[9] job@DB LOG:  statement: select title from film where title = 'secret'",
        "[9] job@DB LOG:  statement: selec title from film where title = 'secret'",
        "[8] app@elsewhere LOG:  statement: lock table film",
    ];
    lines.map(|line| format!("2026-11-27 06:24:06.123 UTC {}\n", line.replace("DB", database))).concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_names_the_statements_of_a_log_that_the_bridge_does_not_carry() {
    let store = Store::new().await;
    std::fs::write(store.runner.path().join("server.log"), log(store.m.name())).unwrap();
    let said = store.run(&["plan", "films", "--workload", "server.log"]).await;
    assert!(!said.contains("secret"), "{said}");
    let section = said.split_once("What applications do").unwrap().1;
    let section = section.split_once("\nFindings").unwrap();
    insta::assert_snapshot!("known_statements", section.0);
    let document = store.json(0, &["plan", "films", "--workload", "server.log"]).await;
    let workload = &document["data"][0]["workload"];
    assert_eq!((&workload["statements"], &workload["unread"]), (&3.into(), &1.into()), "{workload}");
    assert_eq!(workload["spanning"][0]["staying"], serde_json::json!(["public.inventory"]));
    let findings = document["data"][0]["findings"].as_array().unwrap();
    let codes: Vec<&str> = findings.iter().filter_map(|finding| finding["code"].as_str()).collect();
    assert!(codes.contains(&"C1008") && codes.contains(&"C1010"), "{codes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_no_log_ends_a_plan_with_what_would_help() {
    let store = Store::new().await;
    std::fs::write(store.runner.path().join("poem.txt"), "roses are red\n").unwrap();
    insta::assert_snapshot!("no_log", store.run(&["plan", "films", "--workload", "poem.txt"]).await);
    store.expect(2, &["plan", "films", "--workload", "nowhere.log"]).await;
    let prefix = ["plan", "films", "--workload", "poem.txt", "--log-line-prefix", "<%p> "];
    store.expect(2, &prefix).await;
}
