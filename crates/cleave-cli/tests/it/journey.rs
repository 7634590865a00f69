//! The whole journey of a service by the binary alone: what each verb prints, and that the next one goes on from it.

use crate::store::Store;

#[tokio::test(flavor = "multi_thread")]
async fn a_service_moves_and_comes_back_and_moves_for_good() {
    let store = Store::to_move().await;
    insta::assert_snapshot!("doctor", without_rates(&store.run(&["doctor"]).await));
    insta::assert_snapshot!("plan", store.run(&["plan", "-o", "films.plan.json"]).await);
    insta::assert_snapshot!("apply", store.run(&["apply", "films.plan.json", "--until", "following"]).await);
    insta::assert_snapshot!("status_following", store.run(&["status"]).await);
    insta::assert_snapshot!("cutover_unverified", store.run(&["cutover", "--yes"]).await);
    insta::assert_snapshot!("verify", store.run(&["verify"]).await);
    insta::assert_snapshot!("cutover_rehearsed", store.run(&["cutover", "--dry-run"]).await);
    insta::assert_snapshot!("cutover", store.run(&["cutover", "--yes"]).await);
    store.on_m("insert into film (title, year) values ('by the old name', 2001)").await;
    let count = "select count(*)::text from films.film where title = 'by the old name'";
    assert_eq!(Store::text_of(&store.n, count).await, "1");
    insta::assert_snapshot!("status_switched", store.run(&["status"]).await);
    insta::assert_snapshot!("rollback", store.run(&["rollback", "films", "--yes"]).await);
    let count = "select count(*)::text from public.film where title = 'by the old name'";
    assert_eq!(Store::text_of(&store.m, count).await, "1");
    store.expect(0, &["verify", "films"]).await;
    store.expect(0, &["cutover", "films", "--yes"]).await;
    insta::assert_snapshot!("complete_rehearsed", store.run(&["complete", "--dry-run"]).await);
    insta::assert_snapshot!("complete", store.run(&["complete", "--yes"]).await);
    insta::assert_snapshot!("status_done", store.run(&["status"]).await);
    insta::assert_snapshot!("plan_done", store.run(&["plan"]).await);
    assert_eq!(Store::text_of(&store.n, "select count(*)::text from films.film").await, "201");
}

/// How fast the log of a server grows is another number each time.
fn without_rates(text: &str) -> String {
    let line = |line: &str| match line.split_once("; the server writes ") {
        Some((before, _)) => format!("{before}\n"),
        None => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_configuration_is_written_once_and_can_be_planned() {
    let mut store = Store::new().await;
    std::fs::remove_file(store.runner.path().join("cleave.toml")).unwrap();
    insta::assert_snapshot!("init", store.run(&["init", "env:MONOLITH_URL"]).await);
    insta::assert_snapshot!("init_again", store.run(&["init", "env:MONOLITH_URL"]).await);
    store.set("NEW_HOME_URL", &store.n.url());
    let planned = store.json(3, &["plan", "--detailed-exit-code"]).await;
    assert!(planned["data"][0]["tables"].as_array().is_some_and(|tables| !tables.is_empty()), "{planned}");
    let sql = String::from_utf8(store.expect(0, &["plan", "--sql"]).await.stdout).unwrap();
    assert!(sql.contains("create publication"), "{sql}");
    let script = String::from_utf8(store.expect(0, &["doctor", "--script"]).await.stdout).unwrap();
    assert!(script.contains("-- Database monolith of cleave.toml"), "{script}");
}
