//! `cleave graph` on a real database.

use crate::store::Store;

#[tokio::test(flavor = "multi_thread")]
async fn a_graph_goes_to_standard_output_or_into_a_file_of_its_kind() {
    let store = Store::new().await;
    let svg = String::from_utf8(store.expect(0, &["graph"]).await.stdout).unwrap();
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"), "{svg}");
    assert!(svg.contains("no service and films: 1 key, 1 view"), "{svg}");
    let tables = String::from_utf8(store.expect(0, &["graph", "--service", "films"]).await.stdout).unwrap();
    assert!(tables.contains("film_part") && tables.contains("public.inventory"), "{tables}");
    insta::assert_snapshot!("graph_file", store.run(&["graph", "-o", "services.dot"]).await);
    let dot = std::fs::read_to_string(store.runner.path().join("services.dot")).unwrap();
    assert!(dot.starts_with("digraph ") && dot.contains("\"no service\" -> \"films\""), "{dot}");
    let dot = String::from_utf8(store.expect(0, &["graph", "--as", "dot"]).await.stdout).unwrap();
    assert!(dot.starts_with("digraph "), "{dot}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_graph_shows_can_be_read_by_programs() {
    let store = Store::new().await;
    let document = store.json(0, &["graph"]).await;
    let data = &document["data"];
    assert_eq!((&document["kind"], &data["groups"][0]["name"]), (&"graph".into(), &"films".into()));
    assert_eq!(data["groups"][0]["tables"], serde_json::json!(["public.film", "public.film_part"]));
    assert_eq!(data["groups"][1]["tables"], serde_json::json!(["public.inventory"]));
    assert_eq!(data["ties"][0]["counts"], serde_json::json!({ "key": 1, "view": 1 }));
    assert_eq!((&data["ties"][0]["from"], &data["ties"][0]["to"]), (&"no service".into(), &"films".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_by_its_url_is_drawn_without_a_configuration_file() {
    let store = Store::new().await;
    std::fs::remove_file(store.runner.path().join("cleave.toml")).unwrap();
    let document = store.json(0, &["graph", "--database", "env:MONOLITH_URL"]).await;
    assert_eq!(document["data"]["groups"][0]["name"], "public");
    assert_eq!(document["data"]["groups"][0]["kind"], "schema");
    assert_eq!(document["data"]["groups"][0]["tables"].as_array().unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_or_database_that_is_not_there_is_named_with_those_that_are() {
    let store = Store::new().await;
    insta::assert_snapshot!("graph_no_group", store.run(&["graph", "--service", "film"]).await);
    insta::assert_snapshot!("graph_no_database", store.run(&["graph", "--database", "archive"]).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_whose_tables_have_moved_is_still_drawn() {
    let store = Store::to_move().await;
    store.expect(0, &["apply", "films", "--until", "following"]).await;
    store.expect(0, &["verify", "films"]).await;
    store.expect(0, &["cutover", "films", "--yes"]).await;
    let document = store.json(0, &["graph"]).await;
    let films = &document["data"]["groups"][0];
    assert_eq!(films["tables"], serde_json::json!(["public.film", "public.film_part"]));
    store.expect(0, &["rollback", "films", "--yes"]).await;
    store.expect(0, &["cancel", "films", "--yes"]).await;
}
