//! Pagila and the sample monolith with a writer: over, back, over again, done.

use super::stage::Upgrade;
use crate::pagila::source;
use cleave_engine::Verb;
use cleave_sandbox::{Endpoint, Kind, Pace, SqlScript, Version, Workload};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);
const STOREFRONT: [&str; 2] = [
    include_str!("../../../../../examples/storefront/schema.sql"),
    include_str!("../../../../../examples/storefront/data.sql"),
];

#[tokio::test]
async fn the_sample_monolith_goes_from_14_to_16_and_back_under_writers() {
    storefront(Version::V14, Version::V16).await;
}

#[tokio::test]
async fn the_sample_monolith_goes_from_14_to_18_and_back_under_writers() {
    storefront(Version::V14, Version::V18).await;
}

#[tokio::test]
async fn the_sample_monolith_goes_from_16_to_18_and_back_under_writers() {
    storefront(Version::V16, Version::V18).await;
}

#[tokio::test]
async fn pagila_goes_from_14_to_16_and_back_under_writers() {
    pagila("pagila from 14 to 16", Version::V14, Version::V16).await;
}

#[tokio::test]
async fn pagila_goes_from_14_to_18_and_back_under_writers() {
    pagila("pagila from 14 to 18", Version::V14, Version::V18).await;
}

#[tokio::test]
async fn pagila_goes_from_16_to_18_and_back_under_writers() {
    pagila("pagila from 16 to 18", Version::V16, Version::V18).await;
}

/// What writers do, and where their tokens are found.
struct Writers {
    script: SqlScript,
    tokens: &'static str,
    kinds: &'static [&'static str],
}

async fn storefront(from: Version, to: Version) {
    let upgrade = Upgrade::between(from, to, "shop").await;
    let [schema, data] = STOREFRONT;
    upgrade.on_old(&format!("set storefront.scale = '0.002'; begin; {schema};\n{data};\ncommit")).await;
    let script = SqlScript::new()
        .transaction(
            3,
            Kind::new("customer"),
            &["insert into customer (email, full_name) values ('c' || $token || '@example.org', $token::text)"],
        )
        .and_then(|script| {
            script.transaction(
                3,
                Kind::new("supplier"),
                &[
                    "insert into supplier (name, country) values ($token::text, 'NL')",
                    "update product set list_price = $random(1,900) / 10.0 where id = $random(1,50)::bigint",
                    "insert into order_event (order_id, status, created_at)
                     select id, 'paid', timestamptz '2024-02-01' + $random(1,600) * interval '1 day' from orders
                     order by id limit 1",
                ],
            )
        })
        .unwrap();
    let tokens = "select full_name::bigint from customer where full_name ~ '^-?[0-9]+$'
                  union all select name::bigint from supplier where name ~ '^-?[0-9]+$'";
    journey(&upgrade, Writers { script, tokens, kinds: &["customer", "supplier"] }).await;
}

async fn pagila(test: &str, from: Version, to: Version) {
    let Some(folder) = source::folder(test) else { return };
    let mut upgrade = Upgrade::between(from, to, "pagila").await;
    upgrade.lines = "identity = { \"public.payment\" = \"full\" }".to_owned();
    source::load_all(&upgrade.old, &folder).await;
    let script = SqlScript::new()
        .transaction(
            3,
            Kind::new("film"),
            &[
                "insert into film (title, description, language_id) values ('new', $token::text, $random(1,6)::int)",
                "update film set rental_rate = $random(1,9)::numeric where film_id = $random(1,1000)::int",
            ],
        )
        .and_then(|script| {
            script.transaction(
                3,
                Kind::new("customer"),
                &[
                    "insert into customer (store_id, first_name, last_name, email, address_id)
                     values (1, 'new', 'new', $token::text, 1)",
                    "insert into inventory (film_id, store_id) values ($random(1,1000)::int, 2)",
                ],
            )
        })
        .unwrap();
    let tokens = "select description::bigint from film where title = 'new'
                  union all select email::bigint from customer where first_name = 'new'";
    journey(&upgrade, Writers { script, tokens, kinds: &["film", "customer"] }).await;
}

/// The application repoints its connections by itself, as one without a pooler does; the fence keeps those out that are late.
async fn journey(upgrade: &Upgrade, writers: Writers) {
    let old = Endpoint::new("old", upgrade.old.url());
    let new = Endpoint::new("new", upgrade.new.url());
    let pace = Pace { connections: 4, rate: Some(100), ..Pace::default() };
    let workload = Workload::start(&old, writers.script, &pace).await.unwrap();
    upgrade.apply().await;
    upgrade.verify().await;
    upgrade.same_schema();
    upgrade.cutover().await;
    workload.repoint_all(&new);
    assert!(workload.wait_for(50, LIMIT).await, "writers stand still after the cutover");
    upgrade.verify().await;
    upgrade.rollback().await;
    workload.repoint_all(&old);
    assert!(workload.wait_for(50, LIMIT).await, "writers stand still after the rollback");
    upgrade.verify().await;
    upgrade.cutover().await;
    workload.repoint_all(&new);
    assert!(workload.wait_for(50, LIMIT).await, "writers stand still after the second cutover");
    upgrade.verify().await;
    upgrade.same_schema();
    let record = workload.stop().await.unwrap();
    // Whoever came to the wrong side was refused by the fence, and by nothing else.
    let others: Vec<&String> = record.errors.keys().filter(|code| *code != "25006").collect();
    assert!(others.is_empty(), "{:?}", record.errors);
    upgrade.check(&record, writers.tokens, writers.kinds).await;
    upgrade.end(Verb::Complete).await;
    upgrade.same_schema();
    nothing_is_left_on(&upgrade.old, &upgrade.name).await;
    nothing_is_left_on(&upgrade.new, &upgrade.name).await;
    let refused = upgrade
        .on_old("")
        .await
        .batch_execute("update pg_catalog.pg_class set relname = relname where false")
        .await;
    assert!(refused.is_ok(), "catalogs are not fenced");
}

/// Slots, publications and origins carry the upgrade's name.
async fn nothing_is_left_on(database: &cleave_testkit::TestDatabase, name: &str) {
    let client = database.connect().await.unwrap();
    let left = client
        .query(
            "select slot_name::text from pg_replication_slots where slot_name like $1
             union all select pubname::text from pg_publication where pubname like $1
             union all select roname from pg_replication_origin where roname like $1",
            &[&format!("cleave\\_{}\\_%", name.replace('_', "\\_"))],
        )
        .await
        .unwrap();
    let left: Vec<String> = left.iter().map(|row| row.get(0)).collect();
    assert!(left.is_empty(), "{left:?}");
}
