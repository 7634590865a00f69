//! `cleave assess`, its boundary, and `cleave doctor` at one database, by the binary.

use crate::store::Store;
use serde_json::Value;

fn codes(report: &Value) -> Vec<&str> {
    let findings = report["data"]["findings"].as_array().unwrap();
    findings.iter().map(|finding| finding["code"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_assessment_counts_what_is_there_and_finds_what_blocks_a_move() {
    let store = Store::new().await;
    store.on_m("create unlogged table basket (id int primary key)").await;
    let report = store.json(0, &["assess"]).await;
    assert_eq!(report["kind"], "readiness");
    let size = &report["data"]["size"];
    let counted =
        ["tables", "foreign_keys", "views", "functions", "sequences"].map(|key| size[key].as_u64().unwrap());
    assert_eq!(counted, [4, 2, 1, 1, 2], "{size}");
    assert_eq!(report["data"]["blockers"], 1, "{report}");
    assert!(codes(&report).contains(&"C0830"), "{report}");
    assert_eq!(report["next_steps"][0]["argv"], serde_json::json!(["cleave", "explain", "C0830"]));

    // The same by its URL alone, without a configuration file.
    std::fs::remove_file(store.runner.path().join("cleave.toml")).unwrap();
    let by_url = store.json(0, &["assess", "--database", "env:MONOLITH_URL"]).await;
    assert_eq!(by_url["data"]["size"]["tables"], 4);
    assert_eq!(codes(&by_url), codes(&report));
    // What is proposed next can be typed as it stands, and looks at the same database.
    for at in [1, 2] {
        let argv = by_url["next_steps"][at]["argv"].as_array().unwrap();
        let words: Vec<&str> = argv.iter().skip(1).map(|word| word.as_str().unwrap()).collect();
        assert_eq!(words[words.len() - 2..], ["--database", "env:MONOLITH_URL"]);
        store.json(0, &words).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_boundary_of_a_service_is_what_its_plan_says_and_more() {
    let store = Store::new().await;
    insta::assert_snapshot!("assess_boundary", store.run(&["assess", "boundary", "-v"]).await);
    let report = store.json(0, &["assess", "boundary", "films"]).await;
    let kinds: Vec<&str> =
        report["data"]["crossings"].as_array().unwrap().iter().map(|c| c["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["foreign_key", "view", "function"]);
    store.expect(2, &["assess", "boundary", "film"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_looks_at_one_database_where_one_is_named() {
    let store = Store::new().await;
    let report = store.json(0, &["doctor", "products"]).await;
    let databases =
        report["data"]["findings"].as_array().unwrap().iter().map(|f| f["database"].as_str().unwrap());
    assert!(databases.clone().count() > 0 && databases.clone().all(|name| name == "products"), "{report}");
}
