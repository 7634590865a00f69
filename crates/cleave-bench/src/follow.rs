//! A backlog of small and middling transactions: Cleave's follower against a native subscription.

use crate::RUNS;
use crate::arena::{Arena, Entry, Failure, Metric};
use cleave_journal::Lease;
use cleave_model::{DatabaseName, Direction, Epoch, Ident, Oid, ServiceName, labels};
use cleave_pg::{Endpoint, replication::SlotLifetime};
use cleave_stream::{
    ColumnRoute, Follow, FollowOptions, FollowSpec, Identity, Route, create_slot_with_snapshot,
    write_first_position,
};
use std::collections::HashSet;
use std::time::{Duration, Instant};
use tokio_postgres::Client;

/// 200 transactions of 250 inserts, 100 of 250 updates, 5,000 of one row.
const CHANGES: f64 = 200.0 * 250.0 + 100.0 * 250.0 + 5_000.0;
const LIMIT: Duration = Duration::from_secs(300);

/// Changes per second of both.
pub(crate) async fn entry(arena: &Arena) -> Result<Vec<Entry>, Failure> {
    let mut runs = Vec::new();
    for run in 1..=RUNS {
        let ours = ours(arena, &format!("follow_ours_{run}")).await?;
        let theirs = theirs(arena, &format!("follow_theirs_{run}")).await?;
        runs.push((CHANGES / ours.as_secs_f64(), CHANGES / theirs.as_secs_f64()));
    }
    Ok(vec![Entry::new("follow", "native logical replication", (Metric::Rate, "changes/s"), &runs)])
}

async fn backlog(source: &Client) -> Result<(), Failure> {
    let sql = "
        do $$ begin
            for t in 1..200 loop
                insert into ev (n, label) select g, md5(g::text) from generate_series(1, 250) g;
                commit;
            end loop;
            for t in 1..100 loop
                update ev set label = md5(t::text) where id between t * 250 and t * 250 + 249;
                commit;
            end loop;
            for t in 1..5000 loop
                insert into ev (n, label) values (t, 'one');
                commit;
            end loop;
        end $$";
    Ok(source.batch_execute(sql).await?)
}

async fn ours(arena: &Arena, database: &str) -> Result<Duration, Failure> {
    let (source, mut target) = arena.databases(database).await?;
    cleave_journal::install(&mut target).await?;
    let lease = Lease::acquire(&target, "bench", "bench").await?;
    let service = ServiceName::parse("bench")?;
    let (home, follower) = (DatabaseName::parse("source")?, DatabaseName::parse("target")?);
    cleave_journal::insert_owner(&target, &service, &home, Epoch(0)).await?;
    let publication = labels::publication(&service, Direction::Forward);
    source.batch_execute(&format!("create publication {} for table ev", publication.quoted())).await?;
    let from = Endpoint::parse(&arena.source.url(database))?;
    let slot = format!("cleave_{database}");
    let made = create_slot_with_snapshot(&from, &slot, SlotLifetime::Permanent, LIMIT).await?;
    write_first_position(&target, &labels::stream(&service, Direction::Forward), &slot, made.position)
        .await?;
    drop(made);
    backlog(&source).await?;
    let oid = |row: tokio_postgres::Row| Oid(row.get(0));
    let find = "select 'ev'::regclass::oid";
    let columns = ["id", "n", "label", "at"].map(|name| ColumnRoute {
        source_name: Ident::new(name),
        target_name: Ident::new(name),
        identity_always: false,
    });
    let route = Route {
        source_oid: oid(source.query_one(find, &[]).await?),
        target_oid: oid(target.query_one(find, &[]).await?),
        columns: columns.to_vec(),
        identity: Identity::Key(vec![Ident::new("id")]),
        start: cleave_model::Lsn(0),
    };
    let began = Instant::now();
    let stream = Follow::start(FollowSpec {
        service,
        direction: Direction::Forward,
        source_name: home,
        target_name: follower,
        source: from,
        target: Endpoint::parse(&arena.target.url(database))?,
        slot,
        publication,
        routes: vec![route],
        left_out: HashSet::new(),
        lease,
        options: FollowOptions::default(),
    });
    let emit = "select pg_logical_emit_message(true, $1, 'bench')";
    source.execute(emit, &[&labels::MESSAGE_MARKER]).await?;
    tokio::time::timeout(LIMIT, stream.marker_applied("bench")).await??;
    let took = began.elapsed();
    stream.stop().await;
    same(&source, &target).await?;
    Ok(took)
}

async fn theirs(arena: &Arena, database: &str) -> Result<Duration, Failure> {
    let (source, target) = arena.databases(database).await?;
    source
        .batch_execute("create table done (id int primary key); create publication p for table ev, done")
        .await?;
    target.batch_execute("create table done (id int primary key)").await?;
    let create = "select pg_create_logical_replication_slot($1, 'pgoutput')";
    source.execute(create, &[&database]).await?;
    backlog(&source).await?;
    source.batch_execute("insert into done values (1)").await?;
    let began = Instant::now();
    let subscribe = format!(
        "create subscription {database} connection '{}' publication p
         with (create_slot = false, slot_name = '{database}', copy_data = false)",
        arena.source.url(database)
    );
    target.batch_execute(&subscribe).await?;
    loop {
        if target.query_opt("select from done", &[]).await?.is_some() {
            break;
        }
        if began.elapsed() > LIMIT {
            return Err("the subscription did not catch up in time".into());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let took = began.elapsed();
    same(&source, &target).await?;
    target.batch_execute(&format!("drop subscription {database}")).await?;
    Ok(took)
}

async fn same(source: &Client, target: &Client) -> Result<(), Failure> {
    let sum = "select count(*), sum(hashtext(id::text || label))::text from ev";
    let (ours, theirs) = (source.query_one(sum, &[]).await?, target.query_one(sum, &[]).await?);
    let read = |row: tokio_postgres::Row| -> (i64, Option<String>) { (row.get(0), row.get(1)) };
    if read(ours) == read(theirs) { Ok(()) } else { Err("the target is not what the source is".into()) }
}
