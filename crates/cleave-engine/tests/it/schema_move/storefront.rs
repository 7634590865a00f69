//! The sample monolith goes to four schemas, with row-level security and dynamic SQL added to what it has.

use super::shop::{CUTOVER, ROLLBACK, Shop};
use crate::cinema::text;
use cleave_engine::Verb;
use cleave_sandbox::{Endpoint, Kind, Pace, SqlScript, Version, Workload};
use cleave_testkit::TestDatabase;
use std::collections::BTreeMap;
use std::time::Duration;

const SCHEMA: &str = include_str!("../../../../../examples/storefront/schema.sql");
const DATA: &str = include_str!("../../../../../examples/storefront/data.sql");

const MORE: &str = "
    alter table cart enable row level security;
    create policy young on cart using (customer_id % 2 = 0);
    create function rows_of(wanted text) returns bigint language plpgsql as
        $f$ declare n bigint; begin execute format('select count(*) from %I', wanted) into n; return n; end $f$;
    analyze";

const LIMIT: Duration = Duration::from_secs(120);

const SERVICES: [(&str, &[&str]); 4] = [
    (
        "catalog",
        &[
            "brand",
            "category",
            "product",
            "product_variant",
            "product_category",
            "price",
            "product_image",
            "product_review",
        ],
    ),
    ("customers", &["customer", "address", "customer_login"]),
    ("orders", &["coupon", "orders", "order_line", "order_event", "payment", "refund", "cart", "cart_line"]),
    (
        "stock",
        &["supplier", "warehouse", "stock_level", "stock_movement", "purchase_order", "purchase_order_line"],
    ),
];

/// Queries and calls whose answers do not depend on when they are asked; views are added from the catalog.
const CALLS: [&str; 9] = [
    "select rows_of('product')",
    "select count(*) from cart",
    "select price_at(id, '2025-06-01') from product_variant order by id limit 50",
    "select id, name from search_products((select split_part(name, ' ', 1) from product order by id limit 1)) order by id limit 20",
    "select category_path(id) from category order by id",
    "select order_total(id) from orders order by id limit 50",
    "select available_stock(id) from product_variant order by id limit 50",
    "select similar_products(id) from product order by id limit 10",
    "select margin, sku, size from product_variant order by id limit 20",
];

async fn answers(shop: &Shop, path: Option<&str>) -> BTreeMap<String, Result<String, String>> {
    let client = shop.client_as(&shop.app).await;
    if let Some(path) = path {
        client.batch_execute(&format!("set search_path = {path}")).await.unwrap();
    }
    let views = "select v.oid::regclass::text from pg_class v where v.relkind in ('v', 'm') and v.relnamespace = 'public'::regnamespace
                 and coalesce(obj_description(v.oid), '') not like 'Stands in for%' order by 1";
    let mut queries: Vec<String> = CALLS.iter().map(|call| (*call).to_owned()).collect();
    for row in client.query(views, &[]).await.unwrap() {
        let view: String = row.get(0);
        queries.push(format!("select * from public.{}", view.trim_start_matches("public.")));
    }
    let mut answers = BTreeMap::new();
    for query in queries {
        let sql = format!(
            "select count(*) || ' ' || coalesce(md5(string_agg(q::text, ';' order by q::text collate \"C\")), '') from ({query}) q"
        );
        let answer = match client.query_one(&sql, &[]).await {
            Ok(row) => Ok(row.get(0)),
            Err(error) => Err(error.code().map_or_else(|| error.to_string(), |code| code.code().to_owned())),
        };
        answers.insert(query, answer);
    }
    answers
}

async fn goes_to_four_schemas(version: Version, layer: &str) {
    let database = TestDatabase::create(version, "storefront").await.unwrap();
    let client = database.connect().await.unwrap();
    let sql = format!("set storefront.scale = '0.005'; begin; {SCHEMA};\n{DATA};\n{MORE};\ncommit");
    client.batch_execute(&sql).await.unwrap();
    let keys = SERVICES.map(|(service, tables)| {
        let tables: Vec<String> = tables.iter().map(|table| format!("public.{table}")).collect();
        (service, format!("tables = {tables:?}\nbridge = \"{layer}\""))
    });
    let keys: Vec<(&str, &str)> = keys.iter().map(|(service, keys)| (*service, keys.as_str())).collect();
    let mut shop = Shop::over(database, &keys);
    shop.app = format!("app_{}", shop.owner);
    client
        .batch_execute(&format!(
            "create role {0} login password 'shop'; grant select, insert, update, delete on all tables in schema public to {0};
             grant usage on all sequences in schema public to {0}",
            shop.app
        ))
        .await
        .unwrap();
    drop(client);
    let before = answers(&shop, None).await;
    assert!(before.values().all(Result::is_ok), "{before:?}");
    assert!(before.values().flatten().all(|rows| !rows.starts_with("0 ")), "{before:?}");

    for round in 1..=2 {
        for service in &shop.services {
            shop.apply(service).await.unwrap();
        }
        // Later than the search paths: with the path layer older sessions would hold the cutovers up.
        let workload = writer(&shop, if layer == "view" { "public." } else { "" }).await;
        all_switch(&shop, &workload, CUTOVER).await;
        assert_eq!(answers(&shop, None).await, before, "round {round}, by the path of the database");
        assert_eq!(answers(&shop, Some("catalog, customers, orders, stock, public")).await, before);
        if layer == "view" {
            assert_eq!(answers(&shop, Some("public")).await, before, "by the old schema alone");
        }
        what_an_application_does_is_done(&shop).await;
        for service in &shop.services {
            assert_eq!(shop.status(service).await.problems, [], "{service}");
        }
        if round == 1 {
            all_switch(&shop, &workload, ROLLBACK).await;
        }
        let record = workload.stop().await.unwrap();
        assert!(record.errors.is_empty() && record.refused.is_empty(), "{:?}", record.errors);
        if round == 1 {
            for service in &shop.services {
                shop.verb(service, Verb::Cancel).await.unwrap();
            }
            assert_eq!(answers(&shop, Some("public")).await, before, "after all was taken back");
        }
    }
}

async fn all_switch(shop: &Shop, workload: &Workload, verb: Verb) {
    for service in &shop.services {
        shop.switch(service, verb.clone()).await;
    }
    assert!(workload.wait_for(50, LIMIT).await, "writers stand still");
}

/// Each statement has to succeed, as the role of the application or, where only an owner may, as the owner.
async fn what_an_application_does_is_done(shop: &Shop) {
    let admin = shop.client().await;
    admin.batch_execute("refresh materialized view daily_sales").await.unwrap();
    let client = shop.client_as(&shop.app).await;
    for statement in [
        "call expire_carts('2020-01-01')",
        "begin",
        "insert into brand (name, slug) values ('b', 'b-' || random())",
        "update product set status = default, channels = default where id = 1",
        "insert into coupon (code, discount, usable) values ('new', 1, '[2030-01-01,2031-01-01)')",
        "insert into stock_movement (variant_id, warehouse_id, quantity, reason)
             select variant_id, warehouse_id, quantity, reason from stock_movement limit 1",
        "rollback",
    ] {
        client.batch_execute(statement).await.unwrap_or_else(|error| panic!("{statement}: {error:?}"));
    }
    let seen = text(&client, "select count(*) || ' ' || bool_and(customer_id % 2 = 0) from cart").await;
    assert!(seen.ends_with(" true") && !seen.starts_with("0 "), "the policy holds: {seen}");
    let refused = client.batch_execute("insert into cart (customer_id) values (1)").await.unwrap_err();
    assert_eq!(refused.code().unwrap().code(), "42501", "the policy holds for what is written");
    assert_eq!(
        text(&client, "select count(*)::text from customers.customer").await,
        text(&client, "select rows_of('customer')::text").await
    );
}

/// The role of the application, by the old names with this before them; nothing that the queries show is changed.
async fn writer(shop: &Shop, schema: &str) -> Workload {
    let with_schema = |statements: &[&str]| -> Vec<String> {
        statements.iter().map(|statement| statement.replace("SCHEMA.", schema)).collect()
    };
    let kinds = [
        with_schema(&[
            "insert into SCHEMA.brand (name, slug) values ('w' || $token, 'w-' || $token)",
            "update SCHEMA.product set status = status, tags = tags where id = $random(1,50)",
            "delete from SCHEMA.brand where slug = 'w-' || $token",
        ]),
        with_schema(&[
            "update SCHEMA.orders set shipping_fee = shipping_fee where id = $random(1,100)",
            "update SCHEMA.order_event set detail = detail where order_id = $random(1,100)",
            "insert into SCHEMA.cart (customer_id, expires_at) values (2, '2019-01-01')",
            "delete from SCHEMA.cart where customer_id = 2 and expires_at = '2019-01-01'",
            "select order_total($random(1,50))",
        ]),
        with_schema(&[
            "update SCHEMA.customer set updated_at = updated_at where id = $random(1,50)",
            "update SCHEMA.stock_level set on_hand = on_hand where variant_id = $random(1,50)",
            "select count(*) from product_page where id < 10",
            "select rows_of('customer_login')",
        ]),
    ];
    let names = ["catalog", "orders", "stock"];
    let mut script = SqlScript::new();
    for (name, statements) in names.into_iter().zip(&kinds) {
        let statements: Vec<&str> = statements.iter().map(String::as_str).collect();
        script = script.transaction(1, Kind::new(name), &statements).unwrap();
    }
    let url = shop.database.url_as(&shop.app, "shop");
    let pace = Pace { connections: 3, rate: Some(60), ..Pace::default() };
    Workload::start(&Endpoint::new("monolith", url), script, &pace).await.unwrap()
}

#[tokio::test]
async fn the_storefront_goes_to_four_schemas_behind_views_on_15() {
    goes_to_four_schemas(Version::V15, "view").await;
}

#[tokio::test]
async fn the_storefront_goes_to_four_schemas_behind_views_on_18() {
    goes_to_four_schemas(Version::V18, "view").await;
}

#[tokio::test]
async fn the_storefront_goes_to_four_schemas_by_the_search_path_on_14() {
    goes_to_four_schemas(Version::V14, "path").await;
}
