//! Bad input: a finding with object, reason and a way out, before anything is touched.

use super::shop::{Shop, customers};
use cleave_engine::EngineError;
use cleave_plan::Weight;
use cleave_sandbox::Version;

/// Runs statements, then plans; every refusal has a way out, and `apply` says no and leaves nothing.
async fn refusals(shop: &Shop, sql: &str) -> Vec<String> {
    let client = shop.client().await;
    client.batch_execute(sql).await.unwrap();
    let plan = shop.plan(&shop.first()).await;
    let refusals = plan.findings.iter().filter(|finding| finding.weight == Weight::Refusal);
    let said: Vec<String> = refusals
        .map(|finding| {
            assert!(finding.fix.is_some(), "no way out: {finding:?}");
            format!("{} {}: {}", finding.code, finding.object, finding.message)
        })
        .collect();
    if !said.is_empty() {
        let refused = shop.apply(&shop.first()).await.unwrap_err();
        assert!(
            matches!(&refused, EngineError::Refused { count, .. } if *count == said.len()),
            "{refused:?}"
        );
        let made = client.query("select from pg_namespace where nspname = 'customers' and not exists (select from pg_class where relnamespace = pg_namespace.oid)", &[]).await.unwrap();
        assert!(made.is_empty(), "a schema was made");
    }
    said
}

#[tokio::test]
async fn names_that_are_taken_are_named_with_what_takes_them() {
    let shop = Shop::new(Version::V17, &customers("")).await;
    let said = refusals(
        &shop,
        "create schema customers;
         create view customers.customer as select 1;
         create type customers._note as (a int);
         create sequence customers.note_id_seq;
         create table customers.other (id int constraint customer_pkey2 primary key);
         create index customer_name on customers.other (id);
         create table customers.event_old (id int);
         create statistics customers.customer_words on (id % 2), (id % 3) from customers.other",
    )
    .await;
    assert_eq!(
        said,
        [
            "C1100 table public.customer: the name is taken in schema customers: view customers.customer",
            "C1100 index public.customer_name: the name is taken in schema customers: index customers.customer_name",
            "C1100 statistics object public.customer_words: the name is taken in schema customers: statistics object customers.customer_words",
            "C1100 table public.event_old: the name is taken in schema customers: table customers.event_old",
            "C1100 array type of table public._note: the name is taken in schema customers: type customers._note",
            "C1100 sequence public.note_id_seq: the name is taken in schema customers: sequence customers.note_id_seq",
        ]
    );
}

#[tokio::test]
async fn a_constraint_of_the_same_name_is_no_collision() {
    let shop = Shop::new(Version::V14, &customers("bridge = \"view\"")).await;
    let sql = "create schema customers;
               create table customers.other (id int constraint note_customer_id_fkey check (id > 0))";
    assert_eq!(refusals(&shop, sql).await, Vec::<String>::new());
    shop.apply(&shop.first()).await.unwrap();
    shop.switch(&shop.first(), super::shop::CUTOVER).await;
}

#[tokio::test]
async fn tables_that_cannot_be_taken_apart_are_refused() {
    let shop = Shop::new(Version::V15, &customers("")).await;
    let said = refusals(&shop, "create table old_customer (left_at date) inherits (customer)").await;
    assert_eq!(
        said,
        [
            "C1102 public.customer: it inherits outside partitions (public.old_customer): its rows are not its own"
        ]
    );
}

#[tokio::test]
async fn a_view_before_15_is_no_place_for_policies() {
    let keys = customers("bridge = \"view\"\nowner = \"OWNER\"");
    for (version, expected) in [(Version::V14, vec!["C1103", "C1109"]), (Version::V16, vec!["C1109"])] {
        let shop = Shop::new(version, &keys).await;
        let said = refusals(&shop, "alter table customer enable row level security").await;
        let codes: Vec<&str> = said.iter().map(|line| &line[..5]).collect();
        assert_eq!(codes, expected, "{version:?}: {said:?}");
    }
}

#[tokio::test]
async fn a_table_of_an_extension_is_refused_by_name_and_not_meant_by_a_pattern() {
    let shop = Shop::new(Version::V16, "tables = [\"public.customer\", \"public.owned\"]").await;
    let sql = "create extension pg_trgm;
               create table owned (id int);
               alter extension pg_trgm add table owned";
    let said = refusals(&shop, sql).await;
    assert_eq!(said, ["C1101 public.owned: it belongs to extension pg_trgm, which would not find it again"]);
    let shop = Shop::new(Version::V16, "tables = [\"public.*\"]").await;
    assert_eq!(refusals(&shop, sql).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_partition_that_another_service_claims_is_named_with_it() {
    let shop = Shop::new(Version::V18, &customers("")).await;
    let shop = Shop::over(
        shop.database,
        &[("customers", &customers("")), ("archive", "tables = [\"public.event_old\"]")],
    );
    assert_eq!(
        refusals(&shop, "select 1").await,
        [
            "C1104 public.event_old: it comes with the table it is a part of, and service archive claims it too"
        ]
    );
}

#[tokio::test]
async fn a_function_that_names_the_old_schema_at_run_time_needs_a_person_where_nothing_will_stand_there() {
    let sql = "create function report(wanted text) returns bigint language plpgsql as
               $f$ declare n bigint; begin execute 'select count(*) from public.customer where name = ' || quote_literal(wanted) into n; return n; end $f$";
    let shop = Shop::new(Version::V16, &customers("bridge = \"path\"")).await;
    let said = refusals(&shop, sql).await;
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(
        said[0].starts_with(
            "C1112 function public.report(wanted text): a statement is put together at run time in line"
        ),
        "{said:?}"
    );
    let shop = Shop::new(Version::V16, &customers("bridge = \"view\"")).await;
    assert_eq!(refusals(&shop, sql).await, Vec::<String>::new(), "a view answers it");
    let plan = shop.plan(&shop.first()).await;
    assert!(plan.findings.iter().any(|finding| finding.code == "C1112" && finding.weight == Weight::Warning));
}

#[tokio::test]
async fn a_role_that_may_not_is_told_which_right_it_lacks() {
    let shop = Shop::new(Version::V16, &customers("owner = \"OWNER\"\nbridge = \"path\"")).await;
    let weak = format!("weak_{}", shop.app);
    let client = shop.client().await;
    client
        .batch_execute(&format!(
            "create role {weak} login password 'weak'; create schema cleave authorization {weak}; grant pg_monitor to {weak}"
        ))
        .await
        .unwrap();
    let url = shop.database.url_as(&weak, "weak");
    let text = shop.text.replace(&format!("{:?}", shop.database.url()), &format!("{url:?}"));
    let shop = Shop { text, ..shop };
    let plan = shop.plan(&shop.first()).await;
    let said: Vec<String> = plan
        .findings
        .iter()
        .filter(|finding| finding.weight == Weight::Refusal)
        .map(|finding| format!("{} {}", finding.code, finding.object.replace(shop.owner.as_str(), "OWNER")))
        .collect();
    let database = text_of(&client, "select current_database()").await;
    assert_eq!(
        said,
        [
            "C1108 public.customer".to_owned(),
            "C1108 public.event".to_owned(),
            "C1108 public.event_new".to_owned(),
            "C1108 public.event_old".to_owned(),
            "C1108 public.note".to_owned(),
            "C1108 role OWNER_customers".to_owned(),
            "C1108 schema customers".to_owned(),
            format!("C1110 search_path of database {database}"),
        ]
    );
}

async fn text_of(client: &tokio_postgres::Client, sql: &str) -> String {
    crate::cinema::text(client, sql).await
}
