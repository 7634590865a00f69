//! The switch on schemas that people wrote: Pagila, and the project's own storefront.

use crate::ddl::carrying::{film_roots, pagila, read, replay};
use crate::ddl::servers::Database;
use cleave_ddl::bridge::{self, Mode};
use cleave_ddl::switch::{LockOrder, Switch, stays_bound};
use cleave_ddl::{Carried, Target, carry, fill};
use cleave_model::catalog::Catalog;
use cleave_model::{Ident, QualifiedName, ServiceName, labels};
use cleave_sandbox::Version;

/// Moves `roots` from schema public to `home` with a forwarding bridge, runs `check` on the old side, and moves back.
/// `calls`: functions that must answer as before; `bound`: what is said to stay bound to the copy.
async fn there_and_back(old: &Database, roots: &[QualifiedName], home: &str, calls: &[&str], bound: &[&str]) {
    let new = Database::new(Version::V18).await;
    let catalog = read(old).await;
    let carried = carry(&catalog, roots);
    assert_eq!(carried.unsupported, []);
    let (public, home, copy) = (Ident::new("public"), Ident::new(home), Ident::new("the_copy"));
    let target = Target { source_schema: &public, schema: &home, extra_path: &[] };
    assert_eq!(target.refuse(&carried), []);
    let service = ServiceName::parse(&new.name).unwrap();
    prepare(old, &new, &service, &carried, &target).await;

    let before = answers(old, &catalog, calls).await;
    let switch = Switch {
        service: &service,
        catalog: &catalog,
        carried: &carried,
        copy_schema: &copy,
        mode: Mode::Forward,
    };
    let found: Vec<String> = stays_bound(&switch).into_iter().map(|bound| bound.object).collect();
    assert_eq!(found, bound);
    old.all(&switch.reference_functions()).await;
    old.run("begin").await;
    old.all(&switch.lock(LockOrder::MovedFirst)).await;
    old.all(&switch.forward()).await;
    old.run("commit").await;
    assert_eq!(answers(old, &catalog, calls).await, before);
    old.run("begin").await;
    old.all(&switch.lock_bridge(LockOrder::MovedFirst)).await;
    old.all(&switch.lock_copies()).await;
    old.all(&switch.back()).await;
    old.run("commit").await;
    old.all(&switch.validate()).await;
    assert_eq!(answers(old, &catalog, calls).await, before);
    let names = |catalog: &Catalog| catalog.tables.iter().map(|t| t.name.to_string()).collect::<Vec<_>>();
    let after = read(old).await;
    let left =
        names(&after).into_iter().filter(|name| !name.starts_with("cleave_bridge")).collect::<Vec<_>>();
    assert_eq!(left, names(&catalog));
    for table in &catalog.tables {
        let keys = &after.table(&table.name).unwrap().foreign_keys;
        assert_eq!(keys, &table.foreign_keys, "{}", table.name);
    }
}

async fn prepare(
    old: &Database,
    new: &Database,
    service: &ServiceName,
    carried: &Carried<'_>,
    target: &Target<'_>,
) {
    replay(carried, new, target, &"postgres".into()).await;
    for side in [old, new] {
        side.run("create schema cleave").await;
    }
    new.run(&bridge::create_role(service, "secret")).await;
    new.all(&bridge::role_grants(service, carried, target)).await;
    new.all(&fill::create(service, carried, target, &labels::bridge_role(service))).await;
    old.run("create schema the_copy; create extension if not exists postgres_fdw").await;
    let port = new.port.to_string();
    let options = [("host", "127.0.0.1"), ("port", port.as_str()), ("dbname", new.name.as_str())];
    old.run(&bridge::server(service, &options)).await;
    old.run(&bridge::user_mapping(service, "secret")).await;
    old.all(&bridge::prepare(service, Mode::Forward, "products", carried, target)).await;
    // The rows go through the bridge's foreign tables, with triggers and keys off at the new home.
    new.run(&format!(
        "alter role {} set session_replication_role = replica",
        labels::bridge_role(service).quoted()
    ))
    .await;
    for table in carried.tables.iter().filter(|table| table.holds_rows()) {
        let foreign = table.name.in_schema(&labels::bridge_schema(service)).quoted();
        let columns: Vec<String> =
            table.columns.iter().filter(|c| c.is_written()).map(|c| c.name.quoted()).collect();
        let columns = columns.join(", ");
        old.run(&format!("insert into {foreign} ({columns}) select {columns} from {}", table.name.quoted()))
            .await;
    }
    new.run(&format!("alter role {} reset session_replication_role", labels::bridge_role(service).quoted()))
        .await;
    old.run("set search_path = public").await;
}

/// The number of rows of every view, and of calls of functions, and the length of their texts.
async fn answers(database: &Database, catalog: &Catalog, calls: &[&str]) -> Vec<String> {
    let mut answers = Vec::new();
    let read = catalog.views.iter().filter(|view| !view.materialized).map(|view| view.name.quoted());
    for view in read.chain(calls.iter().map(|view| (*view).to_owned())) {
        // Lengths, not texts: aggregates without an order (Pagila's group_concat) may print another one.
        answers.push(
            database
                .text(&format!("select concat_ws(' ', count(*), sum(length(v::text))) from {view} v"))
                .await,
        );
    }
    answers
}

#[tokio::test]
async fn pagilas_views_answer_the_same_before_the_switch_after_it_and_after_the_way_back() {
    let Some(folder) = pagila() else { return };
    let old = Database::new(Version::V14).await;
    for file in ["pagila-schema.sql", "pagila-data.sql"] {
        let sql = std::fs::read_to_string(folder.join(file)).unwrap();
        if file.contains("schema") {
            old.run(&sql).await;
        } else {
            old.load(&sql).await;
        }
    }
    old.run("reset all; set search_path = public").await;
    let functions = ["film_in_stock(1, 1)", "inventory_in_stock(1)", "last_day('2020-02-02')"];
    there_and_back(&old, &film_roots(), "films", &functions, &[]).await;
}

#[tokio::test]
async fn the_storefronts_catalog_goes_there_and_back() {
    let old = Database::new(Version::V14).await;
    let schema = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/storefront/schema.sql");
    old.run(&std::fs::read_to_string(schema).unwrap()).await;
    old.run("reset all; set search_path = public").await;
    let names = [
        "brand",
        "category",
        "product",
        "product_variant",
        "product_category",
        "price",
        "product_image",
        "product_review",
    ];
    let roots: Vec<_> = names.iter().map(|name| QualifiedName::new("public", *name)).collect();
    there_and_back(
        &old,
        &roots,
        "catalog",
        &["search_products('a')"],
        &["function public.search_products(query text)"],
    )
    .await;
}
