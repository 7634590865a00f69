//! What goes wrong before or during a move, as the user reads it: message, cause, hint, next command, exit code.

use crate::store::{FILMS, Store};
use cleave_sandbox::{Cluster, Options, Version};
use serde_json::json;

/// The problem that a command ends with, as JSON has it.
async fn problem(store: &Store, exit: i32, arguments: &[&str]) -> serde_json::Value {
    let document = store.json(exit, arguments).await;
    assert_eq!((&document["kind"], &document["data"]), (&json!("error"), &json!(null)), "{document}");
    document["problems"][0].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_not_there_is_named_with_those_that_are() {
    let store = Store::with(FILMS).await;
    insta::assert_snapshot!("no_such_service", store.run(&["plan", "flims"]).await);
    for verb in [
        "apply", "verify", "cutover", "rollback", "complete", "cancel", "pause", "resume", "status",
        "history",
    ] {
        assert_eq!(problem(&store, 2, &[verb, "flims",]).await["code"], "C0420", "{verb}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_several_services_must_be_named() {
    let other = "[services.stock]\nhome = \"products/stock\"\ntables = [\"public.inventory\"]\n";
    let store = Store::with(&format!("{FILMS}{other}")).await;
    insta::assert_snapshot!("several_services", store.run(&["cutover", "--yes"]).await);
    store.expect(2, &["plan", "-o", "plan.json"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_variable_that_is_not_set_is_named() {
    let mut store = Store::with(FILMS).await;
    store.unset("PRODUCTS_URL");
    insta::assert_snapshot!("variable_not_set", store.run(&["plan"]).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_told_without_the_password() {
    let mut store = Store::with(FILMS).await;
    let role = format!("{}_role", store.m.name());
    store.on_m(&format!("create role {role} login superuser password 'right'")).await;
    let url = store.m.url_as(&role, "hunter2");
    store.set("MONOLITH_URL", &url);
    let said = store.run(&["plan"]).await;
    store.on_m(&format!("drop role {role}")).await;
    assert!(!said.contains("hunter2"), "{said}");
    insta::assert_snapshot!("wrong_password", said);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_does_not_answer_is_told_with_its_address() {
    let mut store = Store::new().await;
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    store.set("PRODUCTS_URL", &format!("postgres://postgres@127.0.0.1:{closed}/products"));
    let said = store.run(&["plan"]).await.replace(&closed.to_string(), "[closed]");
    insta::assert_snapshot!("target_unreachable", said);
    store.expect(1, &["apply", "--until", "following"]).await;
    store.expect(4, &["doctor"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_not_there_is_shown_in_its_line() {
    let store =
        Store::with("[services.films]\nhome = \"products/films\"\ntables = [\"public.flim\"]\n").await;
    store.on_m("create table film (id int primary key)").await;
    insta::assert_snapshot!("no_such_table", store.run(&["plan"]).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_without_a_key_is_refused_with_the_statement_that_helps() {
    let store = Store::new().await;
    store.on_m("alter table film_part drop constraint film_part_pkey").await;
    insta::assert_snapshot!("table_without_key", store.run(&["plan"]).await);
    insta::assert_snapshot!("apply_refused", store.run(&["apply", "--until", "following"]).await);
    assert_eq!(store.json(4, &["plan"]).await["data"][0]["findings"][0]["code"], "C0208");
    store.expect(4, &["plan", "-o", "plan.json"]).await;
    assert!(!store.runner.path().join("plan.json").exists(), "a plan that is refused is not saved");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_does_not_decode_is_refused() {
    let cluster =
        Cluster::start(Version::V14, &Options::new().setting("wal_level", "replica")).await.unwrap();
    cluster.create_database("plain").await.unwrap();
    let mut store =
        Store::with("[services.films]\nhome = \"products/films\"\ntables = [\"public.film\"]\n").await;
    let client = cleave_sandbox::connect(&cluster.url("plain")).await.unwrap();
    client.batch_execute("create table film (id int primary key)").await.unwrap();
    drop(client);
    store.set("MONOLITH_URL", &cluster.url("plain"));
    let document = store.json(4, &["plan"]).await;
    let findings = document["data"][0]["findings"].as_array().unwrap();
    let finding = findings.iter().find(|finding| finding["code"] == "C0202").unwrap();
    assert_eq!(
        finding["message"],
        "source database plain: wal_level is replica, and changes cannot be decoded"
    );
    assert_eq!(finding["hint"], "alter system set wal_level = logical; -- then restart the server");
    store.expect(4, &["doctor"]).await;
    drop(cluster);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_is_not_empty_is_refused_by_name() {
    let store = Store::new().await;
    store.on_n("create schema films; create table films.film (id int)").await;
    let document = store.json(4, &["plan"]).await;
    let finding = &document["data"][0]["findings"][0];
    assert_eq!((&finding["code"], &finding["severity"]), (&json!("C0216"), &json!("error")), "{finding}");
    assert!(finding["message"].as_str().unwrap().contains("table film"), "{finding}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_has_drifted_is_not_carried_out() {
    let store = Store::new().await;
    store.expect(0, &["plan", "-o", "films.json"]).await;
    store.on_m("alter table film add column more int").await;
    insta::assert_snapshot!("drifted", store.run(&["apply", "films.json", "--until", "following"]).await);
    store.expect(7, &["apply", "films.json", "--dry-run"]).await;
    assert_eq!(store.json(0, &["status"]).await["data"]["services"][0]["state"], "planned");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_no_plan_is_refused() {
    let store = Store::with(FILMS).await;
    std::fs::write(store.runner.path().join("films.json"), "{}").unwrap();
    insta::assert_snapshot!("no_plan", store.run(&["apply", "films.json"]).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn verbs_that_a_state_does_not_allow_name_the_one_that_it_does() {
    let store = Store::new().await;
    for verb in ["verify", "cutover", "rollback", "complete", "cancel", "pause", "resume"] {
        let found = problem(&store, 4, &[verb, "--yes"]).await;
        assert_eq!(found["code"], "C0421", "{verb}");
        assert_eq!(found["next"]["argv"][1], "apply", "{verb}: {found}");
    }
    for verb in ["complete", "pause", "resume"] {
        assert_eq!(problem(&store, 4, &[verb, "--dry-run"]).await["code"], "C0421", "{verb}");
    }
    insta::assert_snapshot!("no_terminal", store.run(&["cutover"]).await);
}
