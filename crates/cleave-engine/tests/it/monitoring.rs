//! `status` beside the servers' own monitoring views.

use crate::cinema::Cinema;
use cleave_api::{ReplicationStatus, StreamDirection, StreamStatus};
use cleave_engine::Verb;
use cleave_sandbox::Version;

#[tokio::test(flavor = "multi_thread")]
async fn status_shows_of_each_stream_what_the_monitoring_views_show() {
    let cinema = Cinema::new(Version::V14, Version::V18, "forward").await;
    let (mut engine, _canceller) = cinema.engine();
    let films = cinema.films();
    engine.execute(&films, Verb::Apply(None)).await.unwrap();
    let seen = async || -> (StreamStatus, ReplicationStatus) {
        let status = cleave_engine::status(&cinema.topology(), Some(&films)).await.unwrap();
        let streams = status.services.into_iter().next().unwrap().streams;
        let forward =
            streams.into_iter().find(|stream| stream.direction == StreamDirection::Forward).unwrap();
        let replication = forward.replication.clone().unwrap();
        (forward, replication)
    };
    let (mut stream, mut replication) = seen().await;
    while replication.state.as_deref() != Some("streaming") {
        (stream, replication) = seen().await;
    }
    let m = cinema.on_m().await;
    let sql = "select s.active_pid, s.confirmed_flush_lsn >= $2::text::pg_lsn, r.sent_lsn >= $3::text::pg_lsn
               from pg_replication_slots s join pg_stat_replication r on r.pid = s.active_pid
               where s.slot_name = $1 and r.state = 'streaming'";
    let row = m.query_one(sql, &[&stream.slot, &replication.confirmed, &replication.sent]).await.unwrap();
    assert_eq!(Some(row.get::<_, i32>(0)), replication.pid);
    assert!(row.get::<_, bool>(1) && row.get::<_, bool>(2), "{replication:?}");
    assert!(replication.last_answer_ms.is_some_and(|ago| ago < 3_600_000), "{replication:?}");
    assert_eq!(replication.safe_wal_bytes, None);
    let n = cinema.on_n().await;
    let sql = "select count(*) from pg_replication_origin where roname = $1";
    assert_eq!(n.query_one(sql, &[&replication.origin]).await.unwrap().get::<_, i64>(0), 1);

    engine.execute(&films, Verb::Pause).await.unwrap();
    let (stream, replication) = seen().await;
    assert!(!stream.running);
    assert_eq!((replication.pid, replication.state, replication.sent), (None, None, None));
    assert!(replication.confirmed.is_some());
    engine.close().await;
}
