//! Cleave's follower.

use super::LIMIT;
use crate::arena::{Arena, Failure, TABLE};
use cleave_journal::Lease;
use cleave_model::{DatabaseName, Direction, Epoch, Ident, Lsn, Oid, ServiceName, labels};
use cleave_pg::{Endpoint, replication::SlotLifetime};
use cleave_stream::{
    ColumnRoute, Follow, FollowHandle, FollowOptions, FollowSpec, Identity, Route, create_slot_with_snapshot,
    write_first_position,
};
use std::{
    collections::HashSet,
    time::{Duration, Instant},
};
use tokio_postgres::Client;

/// A stream that is ready to start.
pub(super) struct Follower {
    spec: FollowSpec,
    target: Client,
}

/// Makes publication, slot and position; the target is a database of its own.
pub(super) async fn prepare(arena: &Arena, source: &Client, database: &str) -> Result<Follower, Failure> {
    let mine = format!("{database}_ours");
    arena.target.create_database(&mine).await?;
    let mut target = cleave_sandbox::connect(&arena.target.url(&mine)).await?;
    target.batch_execute(TABLE).await?;
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
    let stream = labels::stream(&service, Direction::Forward);
    write_first_position(&target, &stream, &slot, made.position).await?;
    let oid = |row: tokio_postgres::Row| Oid(row.get(0));
    let find = "select 'ev'::regclass::oid";
    let columns = ["id", "n", "label", "at"].map(|name| ColumnRoute {
        number: 0,
        source_name: Ident::new(name),
        target_name: Ident::new(name),
        identity_always: false,
    });
    let route = Route {
        source_oid: oid(source.query_one(find, &[]).await?),
        target_oid: oid(target.query_one(find, &[]).await?),
        columns: columns.to_vec(),
        identity: Identity::Key(vec![Ident::new("id")]),
        start: Lsn(0),
    };
    let spec = FollowSpec {
        service,
        direction: Direction::Forward,
        source_name: home,
        target_name: follower,
        source: from,
        target: Endpoint::parse(&arena.target.url(&mine))?,
        slot,
        part: None,
        publication,
        routes: vec![route],
        follows_columns: false,
        left_out: HashSet::new(),
        lease,
        options: FollowOptions::default(),
    };
    Ok(Follower { spec, target })
}

impl Follower {
    /// Follows to the end of what is there. Returns how long it took and the target.
    pub(super) async fn catch_up(self, source: &Client) -> Result<(Duration, Client), Failure> {
        let began = Instant::now();
        let stream = Follow::start(self.spec);
        wait(source, &stream).await?;
        let took = began.elapsed();
        stream.stop().await;
        Ok((took, self.target))
    }

    /// Follows until the handle is stopped.
    pub(super) async fn start(self, source: &Client) -> Result<(FollowHandle, Client), Failure> {
        let stream = Follow::start(self.spec);
        wait(source, &stream).await?;
        Ok((stream, self.target))
    }
}

async fn wait(source: &Client, stream: &FollowHandle) -> Result<(), Failure> {
    let emit = "select pg_logical_emit_message(true, $1, 'bench')";
    source.execute(emit, &[&labels::MESSAGE_MARKER]).await?;
    tokio::time::timeout(LIMIT, stream.marker_applied("bench")).await??;
    Ok(())
}
