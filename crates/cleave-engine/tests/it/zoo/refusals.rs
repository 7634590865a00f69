//! What cannot be moved is refused by name, before anything is made.

use crate::trouble::stage::House;
use cleave_sandbox::Version;

/// Makes `public.odd` beside the small monolith's tables and asks for a move of it from 14 to 18.
async fn check(hint: &str, sql: &str, lines: &str, expected: &str) {
    let house = House::between(Version::V14, Version::V18, hint).await;
    house.stage.on_m(sql).await;
    let stage = house
        .stage
        .with(r#"["public.film"]"#, r#"["public.odd"]"#)
        .with("[limits]", &format!("{lines}\n[limits]"));
    let said = stage.said(stage.apply().await);
    assert_eq!(
        said,
        format!(
            "C0220 exit 4: the plan of service SERVICE is refused: 1 finding stands against it\n\
             cause: {expected}\nnext: cleave plan SERVICE"
        )
    );
    let nothing =
        "select not exists (select from pg_replication_slots where slot_name like 'cleave_SERVICE%')
                   and not exists (select from pg_publication)";
    stage.until(&stage.m, nothing).await;
    stage.until(&stage.n, "select to_regnamespace('films') is null").await;
}

#[tokio::test]
async fn a_whole_row_with_a_generated_column_is_refused_where_a_server_would_refuse_its_updates() {
    check(
        "full_generated",
        "create table odd (a int, b int generated always as (a * 2) stored); alter table odd replica identity full",
        "",
        "C0232 public.odd: its replica identity is FULL and column b is generated: PostgreSQL 18 refuses updates and \
         deletes of such a table once it is published; to settle it: alter table \"public\".\"odd\" replica identity \
         default; -- with a primary key",
    )
    .await;
}

#[tokio::test]
async fn a_key_with_a_generated_column_is_refused() {
    check(
        "generated_key",
        "create table odd (a int, b int generated always as (a * 2) stored, primary key (a, b))",
        "",
        "C0232 public.odd: column b of its identity is generated, and generated columns are not published: updates and \
         deletes could not be followed",
    )
    .await;
}

#[tokio::test]
async fn a_table_of_a_row_type_is_refused() {
    check(
        "row_type",
        "create table odd (id int primary key, film film)",
        "",
        "C0230 column public.odd.film: has the row type film",
    )
    .await;
}

/// PostgreSQL takes it for none: in a publication, every update and delete would fail.
#[tokio::test]
async fn a_deferrable_key_alone_is_refused() {
    check(
        "deferrable_key",
        "create table odd (id int primary key deferrable initially deferred)",
        "",
        "C0208 public.odd: its primary key is deferrable and identifies no row: updates and deletes could not be \
         followed; to settle it: alter table \"public\".\"odd\" replica identity full;",
    )
    .await;
}
