//! Tables, columns and rows that do not stand in the target as they stand in the source.

use crate::sides::{Sides, described};
use cleave_model::{Ident, QualifiedName};
use cleave_pg::{Endpoint, catalog::read_catalog, connect};
use cleave_sandbox::Version;
use cleave_verify::{Mapping, TableMapping, VerifyError, VerifyTable};
use std::collections::BTreeMap;

async fn matched(sides: &Sides, mapping: &Mapping) -> Result<Vec<VerifyTable>, VerifyError> {
    let read = async |url: &str| {
        read_catalog(&connect(&Endpoint::parse(url).unwrap(), "test").await.unwrap()).await.unwrap()
    };
    mapping.match_tables(&read(&sides.home_url).await, &read(&sides.follower_url).await, |_| true)
}

/// What is said about each table, by its title.
async fn check(sides: &Sides, mapping: &Mapping) -> BTreeMap<String, Vec<String>> {
    let tables = matched(sides, mapping).await.unwrap();
    let outcome = sides.verify(tables).await;
    outcome.tables.iter().map(|table| (table.title.clone(), described(table))).collect()
}

fn plain(source: (&str, &str), target: (&str, &str)) -> TableMapping {
    TableMapping::plain(&QualifiedName::new(source.0, source.1), &QualifiedName::new(target.0, target.1))
}

#[tokio::test]
async fn renamed_schemas_tables_and_columns_and_filtered_copies_are_compared_row_by_row() {
    let sides = Sides::create(Version::V14, Version::V18, "mapped").await;
    sides
        .home
        .batch_execute(
            "create table film (id int primary key, title text, year int, \"key 1\" int); \
             insert into film select n, 'film ' || n, 1900 + n % 100, n from generate_series(1, 1000) n; \
             create table actor (id int primary key); insert into actor select generate_series(1, 10)",
        )
        .await
        .unwrap();
    sides
        .on_follower(
            "create schema films; create table films.actor (id int primary key); insert into films.actor select generate_series(1, 10); \
             create table films.movie (id int primary key, name text, year int, copied_at timestamptz default now(), local bool default false); \
             insert into films.movie (id, name, year) select n, 'film ' || n, 1900 + n % 100 from generate_series(1, 1000) n where n % 100 < 50; \
             insert into films.movie (id, name, year, local) values (5000, 'of its own', 2020, true)",
        )
        .await;
    let film = TableMapping {
        columns: BTreeMap::from([(Ident::from("title"), Ident::from("name"))]),
        without: vec![Ident::from("copied_at"), Ident::from("local"), Ident::from("key 1")],
        source_where: Some("year < 1950".into()),
        target_where: Some("not local".into()),
        ..plain(("public", "film"), ("films", "movie"))
    };
    let mapping = Mapping {
        schemas: BTreeMap::from([(Ident::from("public"), Ident::from("films"))]),
        tables: vec![film],
    };
    let clean = check(&sides, &mapping).await;
    assert_eq!(clean["public.film"], ["500 rows: 500 equal, 0 missing, 0 extra, 0 different, 0 unproven"]);
    assert_eq!(clean["public.actor"], ["10 rows: 10 equal, 0 missing, 0 extra, 0 different, 0 unproven"]);
    // A row that should not be there, one that is not there any more, and one that the filter no longer means.
    sides
        .on_follower(
            "insert into films.movie (id, name, year) values (60, 'film 60', 1960); delete from films.movie where id = 1; \
             update films.movie set name = 'x' where id = 2; update films.movie set year = 1999 where id = 3",
        )
        .await;
    let broken = check(&sides, &mapping).await;
    assert_eq!(
        broken["public.film"],
        [
            "500 rows: 497 equal, 1 missing, 1 extra, 2 different, 0 unproven",
            "different in title (2)",
            "different in year (3)",
            "extra (60)",
            "missing (1)",
        ]
    );
}

const ORDERS: &str = "create table orders (id int primary key, region text, amount int); \
    insert into orders select n, (array['eu', 'us'])[n % 2 + 1], n from generate_series(1, 1000) n";

fn split() -> Mapping {
    let part = |target: &str, region: &str| TableMapping {
        source_where: Some(format!("region = '{region}'")),
        ..plain(("public", "orders"), (target, "orders"))
    };
    Mapping { schemas: BTreeMap::new(), tables: vec![part("europe", "eu"), part("america", "us")] }
}

async fn services(hint: &str) -> Sides {
    let sides = Sides::create(Version::V18, Version::V14, hint).await;
    sides.home.batch_execute(ORDERS).await.unwrap();
    sides
        .on_follower(&format!(
            "{ORDERS}; create schema europe; create schema america; \
             create table europe.orders (like orders including all); insert into europe.orders select * from orders where region = 'eu'; \
             create table america.orders (like orders including all); insert into america.orders select * from orders where region = 'us'; \
             drop table orders"
        ))
        .await;
    sides
}

#[tokio::test]
async fn each_row_of_a_table_that_became_several_must_be_at_exactly_the_service_it_belongs_to() {
    let sides = services("split").await;
    let clean = check(&sides, &split()).await;
    let all: Vec<&str> = clean.keys().map(String::as_str).collect();
    assert_eq!(
        all,
        [
            "public.orders in america.orders",
            "public.orders in europe.orders",
            "public.orders in none of its targets",
            "public.orders in several of its targets",
        ]
    );
    assert!(clean.values().all(|lines| lines.len() == 1), "{clean:?}");
    // Row 4 goes to the wrong service, row 6 is at both, row 8 at none; row 10 belongs to nobody.
    sides
        .on_follower(
            "with gone as (delete from america.orders where id = 5 returning *) insert into europe.orders select * from gone; \
             insert into america.orders select * from europe.orders where id = 6; delete from europe.orders where id = 8",
        )
        .await;
    sides.home.batch_execute("update orders set region = null where id = 10").await.unwrap();
    let broken = check(&sides, &split()).await;
    assert_eq!(broken["public.orders in europe.orders"][1..], ["extra (10)", "extra (5)", "missing (8)"]);
    assert_eq!(broken["public.orders in america.orders"][1..], ["extra (6)", "missing (5)"]);
    assert_eq!(broken["public.orders in none of its targets"][1..], ["missing (10)"]);
}

#[tokio::test]
async fn rows_that_two_services_claim_are_named() {
    let sides = services("claimed").await;
    let mut mapping = split();
    mapping.tables[1].source_where = Some("region = 'us' or id = 6".into());
    sides.on_follower("insert into america.orders select * from europe.orders where id = 6").await;
    let said = check(&sides, &mapping).await;
    assert_eq!(said["public.orders in several of its targets"][1..], ["missing (6)"]);
    assert_eq!(said["public.orders in america.orders"].len(), 1);
}

/// Each database of a split is compared by itself; where the other rows are is known to each.
#[tokio::test]
async fn parts_in_another_database_count_for_where_a_row_belongs() {
    let sides = services("elsewhere").await;
    sides.on_follower("drop schema america cascade").await;
    let mut mapping = split();
    mapping.tables[1].target = None;
    let clean = check(&sides, &mapping).await;
    assert_eq!(clean.len(), 3, "{clean:?}");
    assert!(clean.values().all(|lines| lines.len() == 1), "{clean:?}");
    sides.home.batch_execute("update orders set region = 'asia' where id = 3").await.unwrap();
    let stray = check(&sides, &mapping).await;
    assert_eq!(stray["public.orders in none of its targets"][1..], ["missing (3)"]);
    let nowhere = Mapping { tables: mapping.tables.split_off(1), ..mapping };
    sides.on_follower("drop schema europe cascade").await;
    assert_eq!(matched(&sides, &nowhere).await.unwrap_err().code(), "C0617");
}

#[tokio::test]
async fn a_mapping_that_names_what_is_not_there_is_refused() {
    let sides = services("unfit").await;
    let refused = async |mapping: Mapping| {
        let error = matched(&sides, &mapping).await.unwrap_err();
        (error.code(), error.to_string())
    };
    let mut column = split();
    column.tables[0].columns = BTreeMap::from([(Ident::from("amount"), Ident::from("total"))]);
    let unknown = "the mapping does not fit: europe.orders has no column total";
    assert_eq!(refused(column).await, ("C0617", unknown.to_owned()));
    let mut source = split();
    source.tables.push(plain(("public", "invoice"), ("europe", "orders")));
    let unknown = "the mapping does not fit: the source has no table public.invoice";
    assert_eq!(refused(source).await, ("C0617", unknown.to_owned()));
    let mut target = split();
    target.tables.pop();
    assert_eq!(refused(target).await.0, "C0609", "a table of the target that nothing is mapped to");
}
