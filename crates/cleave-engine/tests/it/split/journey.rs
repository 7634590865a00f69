//! The whole way of a split, every step taken back once, while clients write through the old name.

use super::stage::Stage;
use crate::cinema::{number, text};
use cleave_engine::Verb;
use cleave_sandbox::Version;

/// What stands on the table and who leads to it, as the catalog says it.
const SURROUNDINGS: &str = "
    select string_agg(line, E'\\n' order by line) from (
        select pg_get_triggerdef(oid) from pg_trigger where tgrelid = 'public.spot'::regclass and not tgisinternal
        union all select conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) from pg_constraint
            where conrelid in ('public.spot'::regclass, 'public.person'::regclass, 'public.shop'::regclass) and contype <> 'n'
        union all select viewname || definition from pg_views where schemaname = 'public'
        union all select prosrc from pg_proc where pronamespace = 'public'::regnamespace
        union all select tgname || tgrelid::regclass from pg_trigger where not tgisinternal
            and tgrelid in ('public.person'::regclass, 'public.shop'::regclass)) l(line)";

async fn whole_way(version: Version) {
    let stage = Stage::new(version).await;
    let client = stage.client().await;
    let before = text(&client, SURROUNDINGS).await;
    let writer = stage.writer().await;

    stage.apply().await.unwrap();
    assert_eq!(stage.state().await, "following");
    stage.rows_are_where_they_belong().await;
    stage.verb(Verb::Cancel).await.unwrap();
    assert_eq!(text(&client, SURROUNDINGS).await, before, "cancel leaves everything as it was");
    let left = "select count(*) from pg_class c join pg_namespace n on n.oid = c.relnamespace
                where n.nspname in ('people', 'shops') or n.nspname like 'cleave_split%'";
    assert_eq!(number(&client, left).await, 0);

    stage.apply().await.unwrap();
    let report = stage.cutover().await;
    assert_eq!(report.epoch, 1);
    stage.rows_are_where_they_belong().await;
    let leads = "select count(*) from pg_constraint where contype = 'f' and convalidated and conname in
                     ('person_spot_id_fkey', 'shop_spot_id_fkey', 'shop_billing_id_fkey')
                 and confrelid in ('people.spot'::regclass, 'shops.spot'::regclass)";
    assert_eq!(number(&client, leads).await, 3);
    new_names_are_the_same_rows(&client).await;

    stage.rollback().await;
    stage.rows_are_where_they_belong().await;
    assert_eq!(number(&client, "select count(*) from spot where street = 'by its new name'").await, 1);
    let restored = "select count(*) from pg_constraint where contype = 'f' and convalidated and confrelid = 'public.spot'::regclass";
    assert_eq!(number(&client, restored).await, 3);

    stage.verified().await;
    assert_eq!(stage.cutover().await.epoch, 3);
    stage.verified().await;
    let record = writer.stop().await.unwrap();
    stage.nothing_lost(&record, "select token from spot").await;
    stage.rows_are_where_they_belong().await;
    complete(&stage, &client).await;
    stage
        .nothing_lost(
            &record,
            "select token from people.spot union select token from shops.spot union select token from spot",
        )
        .await;
}

/// Between the switch and `complete` a row is one row, whatever name it is written by.
async fn new_names_are_the_same_rows(client: &tokio_postgres::Client) {
    let id = number(
        client,
        "insert into people.spot (street, town_id) values ('by its new name', 3) returning id",
    )
    .await;
    let shown = format!("select street || ' ' || words from public.spot where id = {id}");
    assert_eq!(text(client, &shown).await, "by its new name 15");
    client.batch_execute(&format!("insert into person (spot_id) values ({id})")).await.unwrap();
    client.batch_execute(&format!("update people.spot set town_id = 4 where id = {id}")).await.unwrap();
    assert_eq!(number(client, &format!("select town_id::bigint from public.spot where id = {id}")).await, 4);
    client.batch_execute(&format!("update public.spot set town_id = 5 where id = {id}")).await.unwrap();
    assert_eq!(number(client, &format!("select town_id::bigint from people.spot where id = {id}")).await, 5);
    let logged = format!(
        "select string_agg(what || ' ' || schema, ', ' order by id) from spot_log where spot_id = {id}"
    );
    assert_eq!(
        text(client, &logged).await,
        "INSERT people, UPDATE people, UPDATE public",
        "each change once"
    );
    let refused =
        client.batch_execute(&format!("delete from public.spot where id = {id}")).await.unwrap_err();
    // PostgreSQL 18 tells RESTRICT from NO ACTION.
    assert!(["23503", "23001"].contains(&refused.code().unwrap().code()), "{refused:?}");
}

async fn complete(stage: &Stage, client: &tokio_postgres::Client) {
    let refused = stage.verb(Verb::Complete).await.unwrap_err();
    assert_eq!(refused.code(), "C1162", "{refused}");
    assert!(refused.to_string().contains("every_spot"), "{refused}");
    client.batch_execute("drop view every_spot").await.unwrap();
    let (people, shops, waiting) = (
        number(client, "select count(*) from people.spot").await,
        number(client, "select count(*) from shops.spot").await,
        number(client, &format!("select count(*) from cleave_split_{}.spot", stage.split)).await,
    );
    stage.verb(Verb::Complete).await.unwrap();
    assert_eq!(stage.state().await, "done");
    assert_eq!(number(client, "select count(*) from people.spot").await, people);
    assert_eq!(number(client, "select count(*) from shops.spot").await, shops);
    assert_eq!(
        number(client, "select count(*) from public.spot").await,
        waiting,
        "the rest keeps the old name"
    );
    let ours = "select (select count(*) from pg_trigger where tgname like '%cleave%')
                     + (select count(*) from pg_namespace where nspname like 'cleave_split%')
                     + (select count(*) from pg_constraint where conname like '%cleave%')";
    assert_eq!(number(client, ours).await, 0);
    let alike = "select count(distinct l) from (
            select string_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod) || a.attnotnull || a.attidentity::text || a.attgenerated::text
                || coalesce(case when a.attidentity = '' then pg_get_expr(d.adbin, d.adrelid) end, ''), ',' order by attnum) as l
            from pg_attribute a left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
            where a.attnum > 0 and a.attrelid in ('people.spot'::regclass, 'shops.spot'::regclass, 'public.spot'::regclass)
            group by a.attrelid) x";
    assert_eq!(number(client, alike).await, 1, "the parts have the table's columns");
    let id = number(client, "insert into shops.spot (street, town_id) values ('own', 1) returning id").await;
    assert!(id > 2000, "each part goes on where the keys were: {id}");
    client.batch_execute("update shops.spot set street = 'changed' where id < 2000").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_split_goes_all_the_way_and_back_under_a_writer_on_14() {
    whole_way(Version::V14).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_split_goes_all_the_way_and_back_under_a_writer_on_15() {
    whole_way(Version::V15).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_split_goes_all_the_way_and_back_under_a_writer_on_16() {
    whole_way(Version::V16).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_split_goes_all_the_way_and_back_under_a_writer_on_17() {
    whole_way(Version::V17).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_split_goes_all_the_way_and_back_under_a_writer_on_18() {
    whole_way(Version::V18).await;
}
