//! A subscription of the server's own.

use super::{Cost, LIMIT, same};
use crate::arena::{Arena, Failure};
use std::time::{Duration, Instant};
use tokio_postgres::Client;

/// Makes publication and slot.
pub(super) async fn prepare(source: &Client, database: &str) -> Result<(), Failure> {
    source
        .batch_execute("create table done (id int primary key); create publication p for table ev, done")
        .await?;
    source.execute("select pg_create_logical_replication_slot($1, 'pgoutput')", &[&database]).await?;
    Ok(())
}

/// Follows to the end of what is there.
pub(super) async fn follow(
    arena: &Arena,
    source: &Client,
    database: &str,
) -> Result<(Duration, Cost), Failure> {
    let (began, before) = (Instant::now(), Cost::now(arena)?);
    let target = subscribe(arena, source, database).await?;
    let (took, cost) = (began.elapsed(), Cost::now(arena)?.since(before));
    same(source, &target).await?;
    unsubscribe(&target, database).await?;
    Ok((took, cost))
}

/// Subscribes and waits for everything that is there.
pub(super) async fn subscribe(arena: &Arena, source: &Client, database: &str) -> Result<Client, Failure> {
    let target = cleave_sandbox::connect(&arena.target.url(database)).await?;
    target.batch_execute("create table done (id int primary key)").await?;
    source.batch_execute("insert into done values (1)").await?;
    let began = Instant::now();
    let subscribe = format!(
        "create subscription {database} connection '{}' publication p
         with (create_slot = false, slot_name = '{database}', copy_data = false)",
        arena.source.url(database)
    );
    target.batch_execute(&subscribe).await?;
    while target.query_opt("select from done", &[]).await?.is_none() {
        if began.elapsed() > LIMIT {
            return Err("the subscription did not catch up in time".into());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(target)
}

/// Ends the subscription and its slot.
pub(super) async fn unsubscribe(target: &Client, database: &str) -> Result<(), Failure> {
    Ok(target.batch_execute(&format!("drop subscription {database}")).await?)
}
