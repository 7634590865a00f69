//! Slots that standbys keep copies of: a stream goes on after a promotion, or says why it cannot.

use crate::{
    pair::{PATIENCE, Pair, Place, Stream},
    standby::{until, with_standby},
};
use cleave_model::{Direction, Lsn};
use cleave_pg::replication::SlotLifetime;
use cleave_sandbox::{Cluster, StopMode, Version, connect};
use cleave_stream::{Follow, FollowSpec, FollowState, create_slot_with_snapshot, write_first_position};
use cleave_testkit::TestDatabase;
use tokio_postgres::Client;

const FILM: &str = "create table film (id int primary key, title text)";
const STANDBY: &[(&str, &str)] =
    &[("hot_standby_feedback", "on"), ("primary_slot_name", "standby"), ("sync_replication_slots", "on")];

struct House {
    primary: Cluster,
    standby: Cluster,
    pair: Pair,
    spec: FollowSpec,
    _target: TestDatabase,
}

impl House {
    /// A source with a standby, and a slot of this kind.
    async fn new(hint: &str, lifetime: SlotLifetime, waits_for_standby: bool) -> Self {
        let waits = if waits_for_standby { "standby" } else { "" };
        let settings = [("synchronized_standby_slots", waits)];
        let (primary, standby) = with_standby(Version::V17, &settings, STANDBY).await;
        // Only the primary waits for its standby.
        standby.configure(&[("synchronized_standby_slots", "")]).unwrap();
        let m = Place::at("m", &primary.url("m")).await;
        m.run("select pg_create_physical_replication_slot('standby', true)").await;
        standby.restart().await.unwrap();
        let target = TestDatabase::create(Version::V18, hint).await.unwrap();
        let pair = Pair::of(m, Place::at("n", &target.url()).await, FILM).await;
        pair.publish(Direction::Forward).await;
        let name = pair.slot(Direction::Forward);
        let slot = create_slot_with_snapshot(&pair.m.endpoint(), &name, lifetime, PATIENCE).await.unwrap();
        let stream = pair.stream(Direction::Forward);
        write_first_position(&pair.n.client, &stream, &name, slot.position).await.unwrap();
        let spec = pair.follow_spec(Direction::Forward, slot.consistent_point()).await;
        Self { primary, standby, pair, spec, _target: target }
    }

    fn follow(&self) -> Stream {
        Stream::new(Follow::start(self.spec.clone()))
    }

    /// Follows what the standby has become.
    fn follow_standby(&self) -> Stream {
        let source = cleave_pg::Endpoint::parse(&self.standby.url("m")).unwrap();
        Stream::new(Follow::start(FollowSpec { source, ..self.spec.clone() }))
    }

    async fn on_standby(&self) -> Client {
        connect(&self.standby.url("m")).await.unwrap()
    }

    /// The standby has a copy of the slot that outlives a promotion.
    async fn until_synchronized(&self) {
        let standby = self.on_standby().await;
        let slot = self.pair.slot(Direction::Forward);
        until(
            &standby,
            &format!(
                "select exists (select from pg_replication_slots where slot_name = '{slot}' and synced and not temporary)"
            ),
        )
        .await;
    }

    async fn promote(&self) -> Client {
        let standby = self.on_standby().await;
        standby.batch_execute("select pg_promote()").await.unwrap();
        until(&standby, "select not pg_is_in_recovery()").await;
        standby
    }
}

async fn rows(client: &Client) -> Vec<(i32, String)> {
    let rows = client.query("select id, title from film order by id", &[]).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_goes_on_from_the_standby_that_was_promoted() {
    let house = House::new("promoted", SlotLifetime::Failover, true).await;
    let stream = house.follow();
    house.pair.m.run("insert into film select i, 'before' from generate_series(1, 500) i").await;
    house.pair.drain(Direction::Forward, &stream).await;
    house.until_synchronized().await;
    // The copy of the slot stays behind these: they come a second time, and are left out.
    for id in 1..=50 {
        house.pair.m.run(&format!("update film set title = 'last words' where id = {id}")).await;
    }
    house.pair.m.run("insert into film values (501, 'last')").await;
    house.pair.drain(Direction::Forward, &stream).await;
    stream.stop().await;
    house.primary.stop(StopMode::Immediate).await.unwrap();
    // Not promoted yet: it is waited for.
    let stream = house.follow_standby();
    let waiting = stream.until("waiting", |status| status.state == FollowState::Retrying).await;
    assert_eq!(waiting.last_error.unwrap().code(), "C0533");
    let standby = house.promote().await;
    standby
        .batch_execute("insert into film values (1000, 'new'); delete from film where id = 2")
        .await
        .unwrap();
    stream.until("following", |status| status.state == FollowState::Following).await;
    let marker = "select pg_logical_emit_message(true, 'cleave.marker', 'promoted')";
    standby.batch_execute(marker).await.unwrap();
    tokio::time::timeout(PATIENCE, stream.handle.marker_applied("promoted")).await.unwrap().unwrap();
    assert_eq!(rows(&house.pair.n.client).await, rows(&standby).await);
    assert_eq!(house.pair.n.count("select timeline::bigint from cleave.position").await, 2);
    stream.stop().await;
    // What the position says now is enough to begin again.
    let stream = house.follow_standby();
    standby.batch_execute("insert into film values (1001, 'newer')").await.unwrap();
    standby.batch_execute("select pg_logical_emit_message(true, 'cleave.marker', 'again')").await.unwrap();
    tokio::time::timeout(PATIENCE, stream.handle.marker_applied("again")).await.unwrap().unwrap();
    assert_eq!(rows(&house.pair.n.client).await, rows(&standby).await);
    stream.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_has_more_than_the_promoted_standby_is_not_followed_on() {
    let house = House::new("ahead", SlotLifetime::Failover, false).await;
    let stream = house.follow();
    house.pair.m.run("insert into film values (1, 'everywhere')").await;
    house.pair.drain(Direction::Forward, &stream).await;
    house.until_synchronized().await;
    // From here on the standby gets nothing, and the primary does not wait for it.
    let end = "select pg_terminate_backend(pid) from pg_stat_replication where application_name = 'standby'";
    house.standby.configure(&[("primary_conninfo", "")]).unwrap();
    house.standby.reload().unwrap();
    let standby = house.on_standby().await;
    until(&standby, "select current_setting('primary_conninfo') = ''").await;
    house.pair.m.run(end).await;
    until(
        &house.pair.m.client,
        "select not exists (select from pg_stat_replication where application_name = 'standby')",
    )
    .await;
    house.pair.m.run("insert into film values (2, 'lost')").await;
    house.pair.drain(Direction::Forward, &stream).await;
    stream.stop().await;
    house.primary.stop(StopMode::Immediate).await.unwrap();
    let standby = house.promote().await;
    standby
        .batch_execute("insert into film select i, 'another' from generate_series(2, 2000) i")
        .await
        .unwrap();
    let stream = house.follow_standby();
    let error = stream.failure().await;
    assert_eq!(error.code(), "C0532");
    assert!(error.to_string().contains("but the promoted standby has it only up to"), "{error}");
    assert_eq!(house.pair.n.count("select count(*) from film").await, 2);
    assert_eq!(house.pair.n.count("select timeline::bigint from cleave.position").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_was_copied_where_the_promoted_standby_is_not_is_not_followed_on() {
    let mut house = House::new("copied_ahead", SlotLifetime::Failover, true).await;
    let stream = house.follow();
    house.pair.m.run("insert into film values (1, 'a')").await;
    house.pair.drain(Direction::Forward, &stream).await;
    house.until_synchronized().await;
    stream.stop().await;
    house.primary.stop(StopMode::Immediate).await.unwrap();
    house.promote().await;
    // The stream's own position is in both logs.
    for route in &mut house.spec.routes {
        route.start = Lsn(u64::from(u32::MAX));
    }
    let error = house.follow_standby().failure().await;
    assert_eq!(error.code(), "C0532");
    assert!(error.to_string().contains("the target has what timeline 1 had at 0/FFFFFFFF"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_that_no_standby_keeps_is_lost_with_its_server() {
    let house = House::new("unkept", SlotLifetime::Permanent, true).await;
    let stream = house.follow();
    house.pair.m.run("insert into film values (1, 'a')").await;
    house.pair.drain(Direction::Forward, &stream).await;
    stream.stop().await;
    let standby = house.on_standby().await;
    until(&standby, "select pg_last_wal_replay_lsn() >= pg_last_wal_receive_lsn()").await;
    house.primary.stop(StopMode::Immediate).await.unwrap();
    house.promote().await;
    let stream = house.follow_standby();
    assert_eq!(stream.failure().await.code(), "C0501");
}
