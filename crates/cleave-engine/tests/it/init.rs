//! `cleave init` on real databases: what it writes parses, claims tables that are there, and keeps the URL to itself.

use crate::places::run;
use cleave_config::{Config, match_tables};
use cleave_engine::init;
use cleave_model::QualifiedName;
use cleave_pg::{Endpoint, catalog::read_catalog};
use cleave_plan::{Scope, Weight, table_findings};
use cleave_sandbox::Version;
use cleave_testkit::TestDatabase;

const STOREFRONT: &str = include_str!("../../../../examples/storefront/schema.sql");

/// The file for a database, once it has been checked; with the tables that its example takes.
async fn checked(database: &TestDatabase) -> (String, Vec<QualifiedName>) {
    let role = format!("{}_reader", database.name());
    run(&database.url(), &format!("create role {role} login password 'hush'")).await;
    let endpoint = Endpoint::parse(&database.url_as(&role, "hush")).unwrap();
    let text = init(&endpoint).await.unwrap();
    assert_eq!(text, init(&endpoint).await.unwrap(), "the same database gives the same file");
    assert!(!text.contains("hush") && !text.contains("127.0.0.1"), "{text}");

    let config = Config::parse(&text, "cleave.toml").unwrap_or_else(|errors| panic!("{errors:?}\n{text}"));
    let session = cleave_pg::connect(&endpoint, "test").await.unwrap();
    let catalog = read_catalog(&session).await.unwrap();
    let names: Vec<QualifiedName> = catalog.tables.iter().map(|table| table.name.clone()).collect();
    if catalog.tables.is_empty() {
        return (text, Vec::new());
    }
    let service = &config.services[0];
    let claimed = match_tables(&config, &service.from, &names, &text).unwrap();
    let claimed = claimed[&service.name].clone();
    let (scope, _) = Scope::new(&catalog, &claimed);
    let refused: Vec<_> =
        table_findings(&scope, service, None).into_iter().filter(|f| f.weight == Weight::Refusal).collect();
    assert!(refused.is_empty(), "{refused:#?}\n{text}");
    let roots = catalog.tables.iter().filter(|table| table.partition_of.is_none()).count();
    assert_eq!(text.matches(" rows\n").count(), roots, "every table has its line\n{text}");
    (text, claimed)
}

async fn check_storefront(version: Version) {
    let database = TestDatabase::create(version, "init_storefront").await.unwrap();
    run(&database.url(), STOREFRONT).await;
    let (text, claimed) = checked(&database).await;
    assert!(claimed.len() > 2, "{text}");
}

#[tokio::test]
async fn the_storefront_gets_a_file_that_can_be_planned_on_14() {
    check_storefront(Version::V14).await;
}

#[tokio::test]
async fn the_storefront_gets_a_file_that_can_be_planned_on_18() {
    check_storefront(Version::V18).await;
}

#[tokio::test]
async fn names_that_need_quotes_are_quoted_for_patterns_and_for_toml() {
    let database = TestDatabase::create(Version::V16, "init_weird").await.unwrap();
    let sql = r#"
        create schema "Odd.Schema";
        create table "Odd.Schema"."Weird ""Name""" ("Key Column" int primary key);
        create table "Odd.Schema"."a*b" (id int primary key references "Odd.Schema"."Weird ""Name""");
        create table "Odd.Schema"."back\slash" (id int primary key references "Odd.Schema"."a*b");"#;
    run(&database.url(), sql).await;
    let (text, claimed) = checked(&database).await;
    let names: Vec<&str> = claimed.iter().map(|name| name.name.as_str()).collect();
    assert_eq!(names, [r#"Weird "Name""#, "a*b", r"back\slash"], "{text}");
}

#[tokio::test]
async fn tables_that_cannot_be_followed_are_not_taken_as_the_example() {
    let database = TestDatabase::create(Version::V17, "init_keyless").await.unwrap();
    let sql = "
        create table good (id int primary key);
        create table better (id int primary key references good);
        create table bad (id int unique);
        create table worse (a int references bad (id));
        create table worst (a int references bad (id));";
    run(&database.url(), sql).await;
    let (text, claimed) = checked(&database).await;
    assert_eq!(
        claimed,
        [QualifiedName::new("public", "better"), QualifiedName::new("public", "good")],
        "{text}"
    );
}

#[tokio::test]
async fn an_empty_database_gets_a_file_without_a_service() {
    let database = TestDatabase::create(Version::V15, "init_empty").await.unwrap();
    let (text, claimed) = checked(&database).await;
    assert!(claimed.is_empty() && text.contains("No table of this database"), "{text}");
}
