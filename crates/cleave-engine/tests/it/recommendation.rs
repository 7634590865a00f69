//! Services of two real schemas, read from real servers.

use crate::pagila;
use cleave_api::ServicesReport;
use cleave_assess::communities::adjusted_rand_index;
use cleave_assess::services::{Grain, Recommendation, Wishes};
use cleave_engine::{Events, Look, Looked, look, services_report};
use cleave_model::QualifiedName;
use cleave_model::workload::Workload;
use cleave_pg::Endpoint;
use cleave_sandbox::{Mask, Version, read_script};
use cleave_testkit::TestDatabase;
use std::collections::{BTreeMap, BTreeSet};

async fn looked(database: &TestDatabase) -> Looked {
    let endpoint = Endpoint::parse(&database.url()).unwrap();
    look(&endpoint, &Look::default(), &Events::new(|_| ())).await.unwrap()
}

/// The services of the balanced alternative, by the names of their tables.
fn balanced(found: &Recommendation) -> BTreeMap<String, BTreeSet<String>> {
    let alternative = found.alternative(Grain::Balanced).unwrap();
    let services = alternative.services.iter().map(|service| {
        let tables =
            service.tables.iter().map(|placed| found.tables[placed.table].name.name.as_str().to_owned());
        (service.name.to_string(), tables.collect())
    });
    services.collect()
}

fn report(looked: &Looked, found: &Recommendation) -> ServicesReport {
    services_report(looked, found, &Wishes::default(), Grain::Balanced)
}

/// Services as people split Pagila by hand; `address` belongs to three of them.
const PAGILA: [&[&str]; 6] = [
    &["city", "country"],
    &["customer"],
    &["actor", "category", "film", "film_actor", "film_category", "language"],
    &["staff"],
    &["inventory", "store"],
    &["payment", "rental"],
];

#[tokio::test]
async fn pagilas_services_are_unions_of_those_that_people_chose_and_address_is_to_be_split() {
    let test = "pagilas_services_are_unions_of_those_that_people_chose_and_address_is_to_be_split";
    let database = TestDatabase::create(Version::V14, "pagila").await.unwrap();
    let files = ["pagila-schema.sql", "pagila-data.sql"];
    let Some(()) = pagila::source::fill(&database, test, &files).await else { return };
    let looked = looked(&database).await;
    let found = looked.recommend(&Wishes::default()).unwrap();
    // Whatever chance does.
    for seed in 0..8 {
        let services = balanced(&looked.recommend(&Wishes { seed, ..Wishes::default() }).unwrap());
        assert!(services.len() >= 4, "{services:?}");
        for (name, tables) in &services {
            for known in PAGILA {
                let inside = known.iter().filter(|table| tables.contains(**table)).count();
                assert!(inside == 0 || inside == known.len(), "{name} takes {known:?} apart: {services:?}");
            }
        }
    }
    let report = report(&looked, &found);
    let shown = report.alternatives.iter().find(|alternative| alternative.grain == report.shown).unwrap();
    let splits: Vec<(&str, Vec<&str>)> = shown
        .splits
        .iter()
        .map(|split| {
            (split.table.as_str(), split.owners.iter().map(|owner| owner.reached_by.as_str()).collect())
        })
        .collect();
    let owners = ["public.customer.address_id", "public.staff.address_id", "public.store.address_id"];
    assert_eq!(splits, [("public.address", owners.to_vec())]);
    let payment = found.number(&QualifiedName::new("public", "payment")).unwrap();
    assert!(found.tables[payment].partitions > 0);
    assert_eq!(found.tables.len(), 15, "{:?}", found.tables);
    let stamped = found.tables.iter().enumerate().flat_map(|(number, _)| found.ties_of(number));
    assert!(stamped.flat_map(|(_, ties)| ties).all(|tie| !tie.seen.contains("last_updated")));
}

/// The services of examples/storefront, as its README has them.
const STOREFRONT: [(&str, &[&str]); 4] = [
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

/// How far the balanced services agree with those of the README; `name` gives the name that a table has here.
fn agreement(found: &Recommendation, name: impl Fn(&QualifiedName) -> QualifiedName) -> f64 {
    let alternative = found.alternative(Grain::Balanced).unwrap();
    let (mut known, mut proposed) = (Vec::new(), Vec::new());
    for (service, tables) in STOREFRONT {
        for table in tables {
            let number = found.number(&name(&QualifiedName::new("public", *table))).unwrap();
            known.push(service);
            proposed.push(alternative.service_of(number));
        }
    }
    adjusted_rand_index(&known, &proposed)
}

async fn storefront() -> Looked {
    let database = TestDatabase::create(Version::V16, "storefront").await.unwrap();
    let client = database.connect().await.unwrap();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/storefront");
    let schema = std::fs::read_to_string(format!("{folder}/schema.sql")).unwrap();
    client.batch_execute(&schema).await.unwrap();
    client.batch_execute("set storefront.scale = '0.002'").await.unwrap();
    let data = std::fs::read_to_string(format!("{folder}/data.sql")).unwrap();
    client.batch_execute(&data).await.unwrap();
    looked(&database).await
}

fn workload(looked: &Looked) -> Workload {
    let script = include_str!("../../../../examples/storefront/workload.sql");
    read_script(script, &looked.catalog).unwrap()
}

#[tokio::test]
async fn the_storefronts_services_are_found_with_and_without_workload_and_without_names() {
    let silent = storefront().await;
    let workload = workload(&silent);
    let busy = Looked { workload: workload.clone(), ..silent.clone() };
    let mask = Mask::new(&silent.catalog, 1);
    let masked = Looked::new(mask.catalog(&silent.catalog), mask.workload(&workload));
    let alone = silent.recommend(&Wishes::default()).unwrap();
    let both = busy.recommend(&Wishes::default()).unwrap();
    let nameless = masked.recommend(&Wishes::default()).unwrap();
    let four = silent.recommend(&Wishes { services: Some(4), ..Wishes::default() }).unwrap();
    assert!(agreement(&four, QualifiedName::clone) >= 0.999, "{:#?}", balanced(&four));
    let scores = [
        agreement(&alone, QualifiedName::clone),
        agreement(&both, QualifiedName::clone),
        agreement(&nameless, |name| mask.name(name)),
    ];
    let shown: Vec<_> = [&alone, &both, &nameless].map(balanced).to_vec();
    assert!(scores[0] >= 0.9 && scores[1] >= 0.999 && scores[2] >= 0.8, "{scores:?} {shown:#?}");
}

/// Two tables with a key that nobody declared, one whose values are elsewhere, and one that may not be read.
const UNDECLARED: &str = "
    create table customer (id bigint primary key, name text);
    create table invoice (id bigint primary key, customer_id bigint, sent_on date not null);
    create table ticket (id bigint primary key, customer_id bigint, text text);
    create table secret (id bigint primary key, customer_id bigint);
    insert into customer select n, 'c' from generate_series(1, 400) n;
    insert into invoice select n, n % 400 + 1, current_date from generate_series(1, 3000) n;
    insert into ticket select n, n + 100000 from generate_series(1, 300) n;
    analyze";

#[tokio::test]
async fn a_key_that_nobody_declared_is_proven_by_a_sample_refuted_or_left_unproven() {
    let database = TestDatabase::create(Version::V18, "undeclared").await.unwrap();
    let client = database.connect().await.unwrap();
    client.batch_execute(UNDECLARED).await.unwrap();
    let role = format!("reader_{}", database.name());
    let rights = format!(
        "create role {role} login password 'pw'; grant select on customer, invoice, ticket to {role}"
    );
    client.batch_execute(&rights).await.unwrap();
    let endpoint = Endpoint::parse(&database.url_as(&role, "pw")).unwrap();
    let looked = look(&endpoint, &Look::default(), &Events::new(|_| ())).await.unwrap();
    let tried: BTreeMap<&str, Option<f64>> =
        looked.implied.iter().map(|key| (key.candidate.table.name.as_str(), key.included)).collect();
    assert_eq!(tried, BTreeMap::from([("invoice", Some(1.0)), ("secret", None), ("ticket", Some(0.0))]));
    let found = looked.recommend(&Wishes::default()).unwrap();
    let evidence = report(&looked, &found).evidence;
    let counts = (evidence.implied_keys, evidence.implied_keys_unproven, evidence.implied_keys_refuted);
    assert_eq!((evidence.keys, counts), (0, (1, 1, 1)));
    let untouched = Look { without_samples: true, ..Look::default() };
    let looked = look(&endpoint, &untouched, &Events::new(|_| ())).await.unwrap();
    assert!(looked.implied.iter().all(|key| key.included.is_none()));
    client.batch_execute(&format!("drop owned by {role}; drop role {role}")).await.unwrap();
}
