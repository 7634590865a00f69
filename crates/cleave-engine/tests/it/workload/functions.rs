//! Functions of whole applications: each is read, or says why it is not; rewritten, they do what they did.

use crate::pagila;
use cleave_model::catalog::{Catalog, FunctionKind};
use cleave_model::{Ident, QualifiedName};
use cleave_pg::catalog::read_catalog;
use cleave_pg::{Endpoint, connect};
use cleave_sandbox::Version;
use cleave_sql::{Moved, Names, Resolver, read_function, rewrite_function};
use cleave_testkit::TestDatabase;

async fn catalog(database: &TestDatabase) -> Catalog {
    let session = connect(&Endpoint::parse(&database.url()).unwrap(), "test").await.unwrap();
    read_catalog(&session).await.unwrap()
}

fn resolver(catalog: &Catalog) -> Resolver {
    Resolver::new(catalog, &[Ident::new("public")])
}

/// Every text is read; what is left open are statements that are put together at run time, and each of them is told.
fn assert_all_are_read(catalog: &Catalog) {
    let resolver = resolver(catalog);
    let functions = catalog.functions.iter().filter(|function| function.kind != FunctionKind::Aggregate);
    for function in functions.filter(|function| matches!(function.language.as_str(), "sql" | "plpgsql")) {
        let read = read_function(function, catalog, &resolver);
        assert!(read.unread.is_empty() && read.opaque.is_none(), "{}: {read:#?}", function.name);
        assert!(read.read.unknown.is_empty(), "{}: {:?}", function.name, read.read.unknown);
        let executes = function.body.as_deref().unwrap_or("").to_lowercase().contains("execute ");
        assert_eq!(read.dynamic.is_empty(), !executes, "{}: {read:#?}", function.name);
    }
}

/// Moves every table and sequence of `public` into another schema and makes the functions anew with new names. The
/// server checks bodies in SQL for names that lead nowhere; those in plpgsql are asked for `calls`.
async fn still_work_elsewhere(database: &TestDatabase, calls: &[&str]) {
    let client = database.connect().await.unwrap();
    let mut before = Vec::new();
    for call in calls {
        let answer = answer(&client, call).await;
        assert!(answer.is_ok(), "{call}: {answer:?}");
        before.push(answer);
    }
    let catalog = catalog(database).await;
    let moves = |name: &QualifiedName| name.schema == Ident::new("public");
    let to = |name: &QualifiedName| (name.clone(), name.in_schema(&Ident::new("Moved")));
    let tables = catalog.tables.iter().map(|table| &table.name).filter(|name| moves(name));
    let views = catalog.views.iter().map(|view| &view.name).filter(|name| moves(name));
    let free = catalog.sequences.iter().filter(|sequence| sequence.owner_column.is_none());
    let free: Vec<&QualifiedName> = free.map(|sequence| &sequence.name).filter(|name| moves(name)).collect();
    let owned = catalog.sequences.iter().map(|sequence| &sequence.name).filter(|name| moves(name));
    let moved = Moved {
        relations: tables.clone().chain(views.clone()).chain(owned).map(to).collect(),
        ..Moved::default()
    };
    let mut script = "create schema \"Moved\";".to_owned();
    for name in tables {
        script += &format!("alter table {} set schema \"Moved\";", name.quoted());
    }
    for view in catalog.views.iter().filter(|view| moves(&view.name)) {
        let kind = if view.materialized { "materialized view" } else { "view" };
        script += &format!("alter {kind} {} set schema \"Moved\";", view.name.quoted());
    }
    for name in free {
        script += &format!("alter sequence {} set schema \"Moved\";", name.quoted());
    }
    script += "set search_path = public; set check_function_bodies = on;";
    let resolver = resolver(&catalog);
    let written = catalog.functions.iter().filter(|f| matches!(f.language.as_str(), "sql" | "plpgsql"));
    for function in written.filter(|f| f.kind != FunctionKind::Aggregate) {
        let new = rewrite_function(function, &catalog, &moved, Names::All, &resolver);
        script += &format!("{};", new.text);
    }
    client.batch_execute(&script).await.unwrap_or_else(|error| panic!("{error:?}\n{script}"));
    for (call, before) in calls.iter().zip(before) {
        assert_eq!(answer(&client, call).await, before, "{call}");
    }
}

/// What a query answers, as the server writes it; errors count as an answer.
async fn answer(client: &tokio_postgres::Client, query: &str) -> Result<String, String> {
    let all = client.simple_query(query).await;
    all.map(|rows| format!("{rows:?}"))
        .map_err(|error| format!("{:?}", error.as_db_error().map(|e| e.message().to_owned())))
}

#[tokio::test]
async fn every_function_of_the_storefront_is_read_and_works_elsewhere() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/storefront");
    let database = TestDatabase::create(Version::V18, "storefront").await.unwrap();
    let client = database.connect().await.unwrap();
    for file in ["schema.sql", "data.sql"] {
        client.batch_execute(&std::fs::read_to_string(folder.join(file)).unwrap()).await.unwrap();
    }
    assert_all_are_read(&catalog(&database).await);
    let calls = [
        "select order_total(n) from generate_series(1, 20) n",
        "select category_path(n::integer) from generate_series(1, 20) n",
        "select price_at(n) from generate_series(1, 20) n",
        "select available_stock(n) from generate_series(1, 20) n",
        "select * from similar_products(1)",
        "call expire_carts(now() - interval '100 years')",
    ];
    still_work_elsewhere(&database, &calls).await;
}

#[tokio::test]
async fn every_function_of_pagila_is_read_or_says_why_not_and_works_elsewhere() {
    let test = "every_function_of_pagila_is_read_or_says_why_not_and_works_elsewhere";
    for version in [Version::V14, Version::V18] {
        let database = TestDatabase::create(version, "pagila_functions").await.unwrap();
        if pagila::source::fill(&database, test, &["pagila-schema.sql", "pagila-data.sql"]).await.is_none() {
            return;
        }
        assert_all_are_read(&catalog(&database).await);
        let calls = [
            "select public.film_in_stock(1, 1)",
            "select public.film_not_in_stock(2, 2)",
            "select public.inventory_in_stock(10)",
            "select public.inventory_held_by_customer(4)",
            "select public.last_day('2022-02-03')",
        ];
        still_work_elsewhere(&database, &calls).await;
    }
}
