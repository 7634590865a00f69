//! The catalog reader on all versions.

use crate::ddl::carrying::read;
use crate::ddl::normal::Rename;
use crate::ddl::servers::Database;
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

#[tokio::test]
async fn a_fingerprint_sees_every_change_of_definitions_but_no_change_of_schema_and_nothing_of_ours() {
    for version in [Version::V14, Version::V18] {
        let zoo = Database::zoo(version).await;
        let catalog = read(&zoo).await;
        let oids: Vec<u32> = catalog.tables.iter().map(|table| table.oid.0).collect();
        let now = async || cleave_pg::fingerprint(&zoo.client, &oids).await.unwrap();
        let first = now().await;
        for same in [
            "create schema moved; alter table shop.line set schema moved; alter sequence shop.loose set schema moved",
            "create trigger cleave_fence before insert on moved.line for each statement execute function shop.touch()",
            "create trigger _cleave_x before insert on moved.line for each row execute function shop.touch()",
            "insert into moved.line values (1, 1) on conflict do nothing; analyze moved.line",
        ] {
            zoo.run("set session_replication_role = replica").await;
            zoo.run(same).await;
            assert_eq!(now().await, first, "{version:?} {same}");
        }
        let mut seen = vec![first];
        for change in [
            "drop view shop.order_list cascade; alter table moved.line add column more integer",
            "alter table moved.line alter column what set default 'x'",
            "alter table moved.line alter column what type varchar(10)",
            "alter table moved.line rename column what to which",
            "create index on moved.line (which)",
            "create trigger another before insert on moved.line for each row execute function shop.touch()",
            "alter table moved.line disable trigger another",
            "alter table moved.line drop constraint line_parent",
            "alter table moved.line add check (number > 0) not valid",
            "alter table moved.line validate constraint line_number_check",
            "alter table moved.line replica identity full",
            "create table elsewhere (o bigint references shop.\"Order\")",
            "create table shop.payment_2026 partition of shop.payment for values from ('2026-01-01') to ('2027-01-01')",
            "alter table shop.secret disable row level security",
            "drop policy mine on shop.secret",
            "drop table moved.line cascade",
        ] {
            zoo.run(change).await;
            let after = now().await;
            assert!(!seen.contains(&after), "{version:?} {change}");
            seen.push(after);
        }
    }
}
