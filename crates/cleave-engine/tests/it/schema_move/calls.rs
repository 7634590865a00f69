//! Functions whose text a move changes, called while it does.

use super::shop::{CUTOVER, ROLLBACK, Shop, customers};
use crate::cinema::text;
use cleave_api::ServiceState;
use cleave_sandbox::Version;
use futures_util::FutureExt as _;
use std::time::Duration;

/// Reads its text when it is called, then waits for a lock of the test's own, and only then comes to the table.
const SLOW: &str = "
    create function rename_late(wanted bigint) returns void language plpgsql as $f$ begin
        perform pg_catalog.pg_advisory_xact_lock(4711);
        update public.customer set name = 'late' where id = wanted;
    end $f$;
    create function emptied() returns void language plpgsql as
        $f$ begin truncate public.event_old; end $f$;";

async fn body(shop: &Shop, function: &str) -> String {
    text(&shop.client().await, &format!("select prosrc from pg_proc where proname = '{function}'")).await
}

async fn moved(version: Version) -> Shop {
    let shop = Shop::new(version, &customers("bridge = \"view\"")).await;
    shop.client().await.batch_execute(SLOW).await.unwrap();
    shop.apply(&shop.first()).await.unwrap();
    shop.switch(&shop.first(), CUTOVER).await;
    assert!(body(&shop, "rename_late").await.contains("customers.customer"));
    shop
}

async fn waits_for_a_call(version: Version) {
    let shop = moved(version).await;
    let holder = shop.client().await;
    holder.batch_execute("select pg_advisory_lock(4711)").await.unwrap();
    let caller = shop.client().await;
    let mut call = Box::pin(caller.batch_execute("select rename_late(7)"));
    assert!((&mut call).now_or_never().is_none());
    let service = shop.first();
    let mut rollback = Box::pin(shop.switch(&service, ROLLBACK));
    // The functions have gone back and the tables have not.
    while !body(&shop, "rename_late").await.contains("public.customer") {
        assert!((&mut rollback).now_or_never().is_none(), "the tables went before the call had ended");
        assert!((&mut call).now_or_never().is_none());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // A call that begins now goes through the view.
    let late = shop.client().await;
    late.batch_execute("select rename_customer(8, 'meanwhile')").await.unwrap();
    holder.batch_execute("select pg_advisory_unlock(4711)").await.unwrap();
    let (called, _) = tokio::join!(call, rollback);
    called.unwrap();
    let names = "select string_agg(name, ' ' order by id) from public.customer where id in (7, 8)";
    assert_eq!(text(&late, names).await, "late meanwhile");
}

#[tokio::test]
async fn a_rollback_waits_for_a_call_that_has_read_the_new_names_on_14() {
    waits_for_a_call(Version::V14).await;
}

#[tokio::test]
async fn a_rollback_waits_for_a_call_that_has_read_the_new_names_on_18() {
    waits_for_a_call(Version::V18).await;
}

#[tokio::test]
async fn a_function_that_does_what_a_view_cannot_goes_back_with_the_tables() {
    let mut shop = moved(Version::V16).await;
    shop.text = shop.text.replace("lock_budget = \"30s\"", "lock_budget = \"300ms\"");
    let reader = shop.client().await;
    reader.batch_execute("begin; select * from customers.customer limit 1").await.unwrap();
    let refused = shop.verb(&shop.first(), ROLLBACK).await.unwrap_err();
    assert_eq!(refused.code(), "C0703", "{refused:?}");
    assert!(body(&shop, "emptied").await.contains("customers.event_old"));
    reader.batch_execute("rollback").await.unwrap();
    shop.switch(&shop.first(), ROLLBACK).await;
    assert!(body(&shop, "emptied").await.contains("public.event_old"));
}

#[tokio::test]
async fn a_rollback_that_gives_up_leaves_the_new_names_in_functions_and_complete_goes_on_from_there() {
    let mut shop = moved(Version::V17).await;
    let before = body(&shop, "rename_late").await;
    shop.text = shop.text.replace("lock_budget = \"30s\"", "lock_budget = \"300ms\"");
    let reader = shop.client().await;
    reader.batch_execute("begin; select * from customers.customer limit 1").await.unwrap();
    let refused = shop.verb(&shop.first(), ROLLBACK).await.unwrap_err();
    assert_eq!(refused.code(), "C0703", "{refused:?}");
    assert_eq!(body(&shop, "rename_late").await, before);
    assert_eq!(shop.status(&shop.first()).await.state, ServiceState::Switched);
    reader.batch_execute("rollback").await.unwrap();
    drop(reader);
    shop.verb(&shop.first(), cleave_engine::Verb::Complete).await.unwrap();
    let client = shop.client().await;
    client.batch_execute("select rename_late(9)").await.unwrap();
    assert_eq!(text(&client, "select name from customers.customer where id = 9").await, "late");
}
