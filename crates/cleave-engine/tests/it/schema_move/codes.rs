//! Followers, broken views, functions that would fail, budgets, and what others have made: each is said by its code.

use super::shop::{CUTOVER, Shop, customers};
use crate::cinema::{number, text};
use cleave_api::{CleanupFate, CutoverOutcome, ServiceState};
use cleave_engine::{Answer, EngineError, Events, Verb};
use cleave_plan::Weight;
use cleave_sandbox::Version;
use cleave_testkit::TestDatabase;

/// Objects of the plan's findings with this code.
async fn found(shop: &Shop, code: &str) -> Vec<(Weight, String)> {
    let plan = shop.plan(&shop.first()).await;
    let findings = plan.findings.into_iter().filter(|finding| finding.code == code);
    findings
        .map(|finding| {
            assert!(finding.fix.is_some(), "no way out: {finding:?}");
            (finding.weight, format!("{}: {}", finding.object, finding.message))
        })
        .collect()
}

fn gate<T: std::fmt::Debug>(result: Result<T, EngineError>, code: &str) -> String {
    let error = result.unwrap_err();
    assert_eq!(error.code(), code, "{error:?}");
    error.to_string()
}

#[tokio::test]
async fn a_table_that_a_subscription_writes_to_is_refused_until_the_subscription_is_gone() {
    let shop = Shop::new(Version::V16, &customers("")).await;
    let publisher = TestDatabase::create(Version::V16, "publisher").await.unwrap();
    let there = publisher.connect().await.unwrap();
    let name = shop.owner.replace("own_", "feed_");
    there
        .batch_execute("create table public.note (id int primary key, customer_id bigint, body text); create publication feed for table note")
        .await
        .unwrap();
    let slot = format!("select pg_create_logical_replication_slot('{name}', 'pgoutput')");
    there.batch_execute(&slot).await.unwrap();
    let client = shop.client().await;
    client
        .batch_execute(&format!(
            "create subscription {name} connection '{}' publication feed with (create_slot = false, copy_data = false, enabled = false)",
            publisher.url()
        ))
        .await
        .unwrap();
    let said = found(&shop, "C1106").await;
    let refused = shop.apply(&shop.first()).await;
    client.batch_execute(&format!("drop subscription {name}")).await.unwrap();
    assert_eq!(
        said,
        [(
            Weight::Refusal,
            format!(
                "public.note: subscription {name} writes to it under its old name and would stop at the next change"
            )
        )]
    );
    assert!(matches!(refused, Err(EngineError::Refused { count: 1, .. })), "{refused:?}");
    assert_eq!(found(&shop, "C1106").await, []);
}

#[tokio::test]
async fn a_publication_keeps_the_tables_that_it_had_by_name_and_by_schema() {
    let shop = Shop::new(Version::V16, &customers("")).await;
    let client = shop.client().await;
    client
        .batch_execute(
            "create publication named for table customer; create publication whole for tables in schema public",
        )
        .await
        .unwrap();
    let said = found(&shop, "C1107").await;
    assert!(said.iter().all(|(weight, _)| *weight == Weight::Warning), "{said:?}");
    let says = |start: &str| said.iter().any(|(_, text)| text.starts_with(start));
    assert!(says("public.customer: publication named keeps it"), "{said:?}");
    assert!(says("public.customer: publication whole is given it by name"), "{said:?}");
    shop.apply(&shop.first()).await.unwrap();
    shop.switch(&shop.first(), CUTOVER).await;
    let members = "select string_agg(pubname || ' ' || schemaname, ', ' order by pubname) from pg_publication_tables where tablename = 'customer'";
    assert_eq!(text(&client, members).await, "named customers, whole customers");
}

#[tokio::test]
async fn a_view_on_a_dropped_column_is_named() {
    let shop = Shop::new(Version::V14, &customers("bridge = \"view\"")).await;
    let client = shop.client().await;
    client
        .batch_execute(
            "create function all_notes() returns setof note language sql as 'select * from note';
             create view latest as select a.*, n.id as other from all_notes() a join note n on n.id = a.id;
             create view sound as select id from note;
             alter table note drop column body",
        )
        .await
        .unwrap();
    let said = found(&shop, "C1114").await;
    assert_eq!(
        said,
        [(
            Weight::Warning,
            "public.latest: it stands on a column that was dropped: it goes on, but cannot be made again from its text"
                .to_owned()
        )]
    );
}

#[tokio::test]
async fn a_function_that_would_no_longer_find_its_names_stops_the_cutover_and_nothing_has_moved() {
    let shop = Shop::new(Version::V16, &customers("bridge = \"path\"")).await;
    let client = shop.client().await;
    client
        .batch_execute(
            "create function its_number() returns oid language sql as
                 $f$ select ('{public.customer}'::regclass[])[1]::oid from public.customer limit 1 $f$",
        )
        .await
        .unwrap();
    drop(client);
    shop.apply(&shop.first()).await.unwrap();
    shop.until_alone().await;
    let said = gate(shop.verb(&shop.first(), CUTOVER).await, "C1117");
    assert!(said.contains("its_number") && said.contains("public.customer"), "{said}");
    let client = shop.client().await;
    assert_eq!(text(&client, "select ('public.customer'::regclass::oid = its_number())::text").await, "true");
    assert_eq!(shop.status(&shop.first()).await.state, ServiceState::Prepared);
}

#[tokio::test]
async fn a_switch_that_takes_longer_than_write_pause_is_taken_back_and_says_so() {
    let mut shop = Shop::new(Version::V17, &customers("bridge = \"view\"")).await;
    shop.text = shop.text.replace("write_pause = \"3s\"", "write_pause = \"500ms\"");
    let client = shop.client().await;
    client
        .batch_execute(
            "create function slow() returns event_trigger language plpgsql as
                 'begin perform pg_catalog.pg_sleep(600); end';
             create event trigger slow on ddl_command_end when tag in ('ALTER TABLE') execute function slow()",
        )
        .await
        .unwrap();
    shop.apply(&shop.first()).await.unwrap();
    let answer = shop.verb(&shop.first(), CUTOVER).await.unwrap();
    let Answer::Switch(report) = answer else { panic!("{answer:?}") };
    assert_eq!(report.outcome, CutoverOutcome::Aborted, "{report:?}");
    let reason = report.reason.unwrap_or_default();
    assert!(reason.starts_with("write_pause was not enough"), "{reason}");
    assert_eq!(number(&client, "select count(*) from public.customer").await, 200);
    client.batch_execute("drop event trigger slow").await.unwrap();
    shop.text = shop.text.replace("write_pause = \"500ms\"", "write_pause = \"3s\"");
    shop.switch(&shop.first(), CUTOVER).await;
}

/// Each statement is short enough; all of them together are not.
#[tokio::test]
async fn a_switch_whose_statements_add_up_to_more_than_write_pause_is_taken_back() {
    let mut shop = Shop::new(Version::V16, &customers("bridge = \"view\"")).await;
    shop.text = shop.text.replace("write_pause = \"3s\"", "write_pause = \"600ms\"");
    let client = shop.client().await;
    client
        .batch_execute(
            "create function slow() returns event_trigger language plpgsql as
                 'begin perform pg_catalog.pg_sleep(0.2); end';
             create event trigger slow on ddl_command_end when tag in ('ALTER TABLE') execute function slow()",
        )
        .await
        .unwrap();
    shop.apply(&shop.first()).await.unwrap();
    let answer = shop.verb(&shop.first(), CUTOVER).await.unwrap();
    let Answer::Switch(report) = answer else { panic!("{answer:?}") };
    assert_eq!(report.outcome, CutoverOutcome::Aborted, "{report:?}");
    let reason = report.reason.unwrap_or_default();
    assert!(reason.contains("writers would have waited longer than write_pause (600 ms)"), "{reason}");
    assert_eq!(number(&client, "select count(*) from public.customer").await, 200);
}

#[tokio::test]
async fn what_moves_of_names_leave_is_nothing_and_open_ones_are_left_alone_by_cleanup() {
    let shop = Shop::new(Version::V17, &customers("owner = \"OWNER\"\nreader = \"READER\"")).await;
    let service = shop.first();
    let clean = async || {
        let report = cleave_engine::cleanup(&shop.topology(), true, &Events::silent()).await.unwrap();
        let mut ours = report.items.iter().filter(|item| item.fate != CleanupFate::ForAPerson);
        assert!(ours.next().is_none() && report.unseen.is_empty(), "{report:?}");
    };
    clean().await;
    shop.apply(&service).await.unwrap();
    clean().await;
    shop.switch(&service, CUTOVER).await;
    clean().await;
    shop.switch(&service, super::shop::ROLLBACK).await;
    shop.verb(&service, Verb::Cancel).await.unwrap();
    clean().await;
    shop.apply(&service).await.unwrap();
    shop.switch(&service, CUTOVER).await;
    shop.verb(&service, Verb::Complete).await.unwrap();
    clean().await;
    assert_eq!(number(&shop.client().await, "select count(*) from customers.customer").await, 200);
}

#[tokio::test]
async fn commands_run_around_a_switch_of_names_and_one_that_fails_undoes_it() {
    let mut shop = Shop::new(Version::V16, &customers("bridge = \"view\"")).await;
    let (service, plain) = (shop.first(), shop.text.clone());
    shop.apply(&service).await.unwrap();
    let told = tempfile::NamedTempFile::new().unwrap();
    let tell = |when: &str| format!("echo {when} $CLEAVE_SWITCH $CLEAVE_EPOCH >> {}", told.path().display());
    let with = |pause: &str| {
        format!(
            "{plain}[hooks]\nbefore_switch = [{:?}]\nin_pause = [{pause:?}]\nafter_switch = [{:?}]\n",
            tell("before"),
            tell("after")
        )
    };
    shop.text = with("exit 3");
    gate(shop.verb(&service, CUTOVER).await, "C0425");
    assert_eq!(number(&shop.client().await, "select count(*) from public.customer").await, 200);
    assert_eq!(shop.status(&service).await.state, ServiceState::Prepared);
    shop.text = with(&tell("pause"));
    shop.switch(&service, CUTOVER).await;
    shop.switch(&service, super::shop::ROLLBACK).await;
    let expected = "before cutover 1\nbefore cutover 1\npause cutover 1\nafter cutover 1\nbefore rollback 2\npause rollback 2\nafter rollback 2\n";
    assert_eq!(std::fs::read_to_string(told.path()).unwrap(), expected);
}

#[tokio::test]
async fn a_switch_whose_commands_outlast_write_pause_is_taken_back() {
    let mut shop = Shop::new(Version::V16, &customers("bridge = \"view\"")).await;
    let service = shop.first();
    shop.apply(&service).await.unwrap();
    shop.text = format!(
        "{}[hooks]\nin_pause = [\"sleep 600\"]\n",
        shop.text.replace("write_pause = \"3s\"", "write_pause = \"400ms\"")
    );
    gate(shop.verb(&service, CUTOVER).await, "C0425");
    assert_eq!(number(&shop.client().await, "select count(*) from public.customer").await, 200);
    assert_eq!(shop.status(&service).await.state, ServiceState::Prepared);
}

#[tokio::test]
async fn a_home_in_another_database_does_not_fit_an_open_move_into_a_schema() {
    let shop = Shop::new(Version::V15, &customers("bridge = \"view\"")).await;
    shop.apply(&shop.first()).await.unwrap();
    let original = shop.text.clone();
    let own = TestDatabase::create(Version::V15, "own").await.unwrap();
    let text = shop
        .text
        .replace("home = \"monolith/customers\"", "home = \"own/customers\"")
        .replace("bridge = \"view\"", "bridge = \"forward\"")
        .replace("[databases]\n", &format!("[databases]\nown = {{ url = {:?} }}\n", own.url()))
        .replace("own/customers\"", "own/customers\"\nfrom = \"monolith\"");
    let changed = Shop { text, ..shop };
    let said = gate(changed.verb(&changed.first(), CUTOVER).await, "C1119");
    assert!(said.contains("service customers has an open move"), "{said}");
    let again = Shop { text: original, ..changed };
    again.switch(&again.first(), CUTOVER).await;
}

#[tokio::test]
async fn cancel_drops_nothing_of_others() {
    let shop = Shop::new(Version::V18, &customers("owner = \"OWNER\"")).await;
    shop.apply(&shop.first()).await.unwrap();
    let client = shop.client().await;
    client.batch_execute("create table customers.draft (id int)").await.unwrap();
    let said = gate(shop.verb(&shop.first(), Verb::Cancel).await, "C1123");
    assert!(said.contains("customers.draft"), "{said}");
    let owner = format!("{}_customers", shop.owner);
    client
        .batch_execute(&format!("drop table customers.draft; grant select on city to {owner}"))
        .await
        .unwrap();
    let said = gate(shop.verb(&shop.first(), Verb::Cancel).await, "C1123");
    assert!(said.contains("used by others"), "{said}");
    client.batch_execute(&format!("revoke select on city from {owner}")).await.unwrap();
    shop.verb(&shop.first(), Verb::Cancel).await.unwrap();
    assert_eq!(number(&client, "select count(*) from pg_namespace where nspname = 'customers'").await, 0);
}
