//! The catalog reader on all versions.

use crate::carrying::read;
use crate::normal::Rename;
use crate::servers::Database;
use cleave_model::QualifiedName;
use cleave_model::catalog::{Catalog, ObjectRef, Table};
use cleave_sandbox::Version;

fn tables(catalog: &Catalog) -> Vec<Table> {
    let same = Rename { from: "shop", to: "shop" };
    catalog.tables.iter().map(|table| same.table(table)).collect()
}

#[tokio::test]
async fn the_same_tables_are_read_alike_on_every_version() {
    let oldest = read(&Database::zoo(Version::V14).await).await;
    assert_eq!(oldest.tables.len(), 12);
    for version in [Version::V15, Version::V16, Version::V17, Version::V18] {
        let catalog = read(&Database::zoo(version).await).await;
        assert_eq!(tables(&catalog), tables(&oldest), "{version:?}");
        assert_eq!(catalog.facts.major(), version.major());
        assert_eq!(catalog.dependencies.len(), oldest.dependencies.len(), "{version:?}");
    }
}

#[tokio::test]
async fn a_view_says_what_it_reads_and_whether_it_stands_on_a_key() {
    let catalog = read(&Database::zoo(Version::V14).await).await;
    let shop = |name: &str| QualifiedName::new("shop", name);
    let table = |name: &str| catalog.table(&shop(name)).unwrap().oid;
    let view = |name: &str| catalog.view(&shop(name)).unwrap();
    let mut reads = view("order_list").reads.clone();
    reads.sort_unstable();
    assert_eq!(reads, [table("Order"), table("line")]);
    assert_eq!(view("order_list_list").reads, [view("order_list").oid]);
    assert_eq!(view("order_keyed").keyed_by, [table("Order")]);
    assert!(view("order_totals").materialized);
    let readers: Vec<_> = catalog.dependents_of(ObjectRef::Relation(view("order_list").oid)).collect();
    assert_eq!(readers, [ObjectRef::Relation(view("order_list_list").oid)]);
}

#[tokio::test]
async fn members_of_extensions_and_cleaves_own_schema_are_left_out() {
    let database = Database::new(Version::V18).await;
    database
        .run(
            "create schema cleave; create table cleave.owner (a int); create extension postgres_fdw;
              create table public.own (a int)",
        )
        .await;
    let catalog = read(&database).await;
    assert_eq!(catalog.tables.iter().map(|t| t.name.to_string()).collect::<Vec<_>>(), ["public.own"]);
    assert_eq!(catalog.functions, []);
    assert!(catalog.extensions.iter().any(|e| e.name.as_str() == "postgres_fdw"));
}
