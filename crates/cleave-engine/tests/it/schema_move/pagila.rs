//! Pagila, a monolith that other people made, goes to six schemas: everything answers, or fails, as before, under the
//! old names and the new ones.

use super::shop::{CUTOVER, ROLLBACK, Shop};
use crate::cinema::text;
use crate::pagila::answers::{Answers, answers, assert_all_are_asked, assert_same};
use crate::pagila::source;
use cleave_engine::Verb;
use cleave_sandbox::{Endpoint, Kind, Pace, SqlScript, Version, Workload};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(120);

/// As the articles that split Pagila by hand have it; the addresses, which three services use, stay together here.
const SERVICES: [(&str, &str); 6] = [
    ("common", r#"tables = ["public.city", "public.country", "public.address"]"#),
    ("customers", r#"tables = ["public.customer"]"#),
    (
        "films",
        r#"tables = ["public.actor", "public.category", "public.film", "public.film_*", "public.language"]"#,
    ),
    ("sales", r#"tables = ["public.payment", "public.rental"]"#),
    ("staff", r#"tables = ["public.staff"]"#),
    ("stores", r#"tables = ["public.inventory", "public.store"]"#),
];

pub(super) const LAYOUT: &str = "
    select string_agg(line, '; ' order by line) from (
        select n.nspname || ': ' || string_agg(c.relname, ', ' order by c.relname) as line
        from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where c.relkind in ('r', 'p') and not c.relispartition and n.nspname <> 'information_schema' and n.nspname not like 'cleave%' and n.nspname not like 'pg\\_%'
        group by n.nspname) lines";

async fn shop(test: &str, version: Version, layer: &str) -> Option<Shop> {
    let database = source::database(test, version).await?;
    let keys = SERVICES.map(|(service, tables)| (service, format!("{tables}\nbridge = \"{layer}\"")));
    let keys: Vec<(&str, &str)> = keys.iter().map(|(service, keys)| (*service, keys.as_str())).collect();
    Some(Shop::over(database, &keys))
}

/// What a session answers whose search path is this, or the database's.
pub(super) async fn asked(shop: &Shop, path: Option<&str>) -> Answers {
    let client = shop.client().await;
    if let Some(path) = path {
        client.batch_execute(&format!("set search_path = {path}")).await.unwrap();
    }
    answers(&client).await
}

async fn goes_to_six_schemas(test: &str, version: Version, layer: &str) {
    let Some(shop) = shop(test, version, layer).await else { return };
    let client = shop.client().await;
    assert_all_are_asked(&client).await;
    let before = asked(&shop, Some("public")).await;
    assert_eq!(before.values().filter(|answer| answer.is_err()).count(), 4, "all else answers");
    drop(client);
    for service in &shop.services {
        shop.apply(service).await.unwrap();
        shop.until_alone().await;
        shop.switch(service, CUTOVER).await;
    }
    let client = shop.client().await;
    assert_eq!(
        text(&client, LAYOUT).await,
        "common: address, city, country; customers: customer; films: actor, category, film, film_actor, film_category, \
         language; sales: payment, rental; staff: staff; stores: inventory, store"
    );
    assert_eq!(
        text(&client, "select string_agg(distinct relnamespace::regnamespace::text, ',') from pg_class where relkind in ('r', 'p') and relname like 'payment%'").await,
        "sales"
    );
    drop(client);
    let new = "common, customers, films, sales, staff, stores, public";
    assert_same(&asked(&shop, Some(new)).await, &before, "by the new schemas");
    assert_same(&asked(&shop, None).await, &before, "by the path of the database");
    if layer == "view" {
        assert_same(&asked(&shop, Some("public")).await, &before, "by the old schema alone");
    }
    for service in &shop.services {
        assert_eq!(shop.status(service).await.problems, [], "{service}");
    }
    for service in shop.services.iter().rev() {
        shop.switch(service, ROLLBACK).await;
        shop.verb(service, Verb::Cancel).await.unwrap();
    }
    assert_same(&asked(&shop, Some("public")).await, &before, "after all was taken back");
    for service in &shop.services {
        shop.apply(service).await.unwrap();
        shop.until_alone().await;
        shop.switch(service, CUTOVER).await;
        shop.verb(service, Verb::Complete).await.unwrap();
    }
    assert_same(&asked(&shop, Some(new)).await, &before, "complete");
}

#[tokio::test]
async fn pagila_goes_to_six_schemas_behind_views_on_14_and_everything_answers_as_before() {
    goes_to_six_schemas("Pagila to six schemas behind views on 14", Version::V14, "view").await;
}

#[tokio::test]
async fn pagila_goes_to_six_schemas_behind_views_on_18_and_everything_answers_as_before() {
    goes_to_six_schemas("Pagila to six schemas behind views on 18", Version::V18, "view").await;
}

#[tokio::test]
async fn pagila_goes_to_six_schemas_by_the_search_path_and_everything_answers_as_before() {
    goes_to_six_schemas("Pagila to six schemas by the search path", Version::V16, "path").await;
}

async fn writer(shop: &Shop) -> Workload {
    let script = SqlScript::new()
        .transaction(3, Kind::new("film"), &[
            "insert into public.film (title, description, language_id) values ('new', $token::text, $random(1,6)::int)",
            "update film set rental_rate = default where film_id = $random(1,1000)",
        ])
        .and_then(|s| s.transaction(3, Kind::new("rent"), &[
            "insert into public.rental (rental_date, inventory_id, customer_id, staff_id) values (clock_timestamp(), $random(1,4000), $random(1,599), $random(1,2))",
            "insert into payment (customer_id, staff_id, rental_id, amount, payment_date) values ($random(1,599), 1, $random(1,1000), 1, '2020-03-03')",
            "update public.payment set amount = amount + 1 where payment_id = $random(16050,20000)",
        ]))
        .and_then(|s| s.transaction(2, Kind::new("customer"), &[
            "insert into address (address, district, city_id, phone) values ('x', 'y', $random(1,600), '1')",
            "update public.customer set email = $token::text where customer_id = $random(1,599)",
            "update public.inventory set store_id = store_id where inventory_id = $random(1,4000)",
            "select count(*) from customer_list where id < 10",
            "select film_in_stock($random(1,100)::int, 1)",
        ]))
        .unwrap();
    let pace = Pace { connections: 4, rate: Some(80), ..Pace::default() };
    Workload::start(&Endpoint::new("monolith", shop.database.url()), script, &pace).await.unwrap()
}

/// Payments and rentals of random pairs meet Pagila's own unique key now and then; nothing else may fail.
async fn a_writer_meets_no_error(test: &str, version: Version) {
    let Some(shop) = shop(test, version, "view").await else { return };
    let workload = writer(&shop).await;
    for service in &shop.services {
        shop.apply(service).await.unwrap();
    }
    for verb in [CUTOVER, ROLLBACK, CUTOVER] {
        for service in &shop.services {
            shop.switch(service, verb.clone()).await;
        }
        assert!(workload.wait_for(50, LIMIT).await, "writers stand still");
    }
    let record = workload.stop().await.unwrap();
    assert!(record.refused.is_empty(), "{:?}", record.errors);
}

#[tokio::test]
async fn a_writer_through_the_old_names_of_pagila_meets_no_error_on_14() {
    a_writer_meets_no_error("a writer through the old names of Pagila on 14", Version::V14).await;
}

#[tokio::test]
async fn a_writer_through_the_old_names_of_pagila_meets_no_error_on_18() {
    a_writer_meets_no_error("a writer through the old names of Pagila on 18", Version::V18).await;
}
