//! Backup, standbys and warm-up of the new home.

use super::servers::{held_at, verified};
use super::stage::{House, SCHEMA, Stage, switched};
use cleave_engine::{EngineError, Events, Verb, Wishes};
use cleave_sandbox::{Cluster, Options, Version};
use cleave_stream::cancellation;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;
use tokio_postgres::Client;

/// Two servers that archive by a command each, and a move between them that follows and is compared.
async fn archiving(old: &str, new: &str) -> (Cluster, Cluster, Stage) {
    let start = async |version, command: &str| {
        let options = match command {
            "" => Options::new(),
            command => Options::new().setting("archive_mode", "on").setting("archive_command", command),
        };
        let cluster = Cluster::start(version, &options).await.unwrap();
        cluster.create_database("shop").await.unwrap();
        cluster
    };
    let (m, n) = (start(Version::V14, old).await, start(Version::V18, new).await);
    let stage = Stage::new(&m.url("shop"), &n.url("shop"));
    stage.on_m(SCHEMA).await;
    stage.apply().await.unwrap();
    verified(&stage).await;
    (m, n, stage)
}

/// A cutover or rollback of an operator with wishes, and what was told beside it.
async fn wishing(
    stage: &Stage,
    verb: Verb,
    wishes: Wishes,
) -> (Result<cleave_engine::Answer, EngineError>, Vec<String>) {
    let told: std::sync::Arc<std::sync::Mutex<Vec<String>>> = std::sync::Arc::default();
    let heard = std::sync::Arc::clone(&told);
    let events = Events::new(move |event| match event {
        cleave_api::Event::Note { message, .. } => heard.lock().unwrap().push(message),
        cleave_api::Event::StepFinished { step, summary, .. } => {
            heard.lock().unwrap().push(format!("{step}: {summary}"));
        }
        _ => {}
    });
    let (_canceller, cancelled) = cancellation();
    let topology = stage.topology().wishing(wishes);
    let result = cleave_engine::execute(&topology, &stage.service(), verb, &events, &cancelled).await;
    let told = told.lock().unwrap().clone();
    (result, told)
}

#[tokio::test]
async fn a_new_home_without_the_old_ones_archive_is_refused_unless_the_operator_accepts_it() {
    let (_m, _n, stage) = archiving("/bin/true", "").await;
    let expected = "C0732 exit 4: products archives no log, so it cannot be restored to a point in time as the old home can
hint: see to it there; or, if it is meant to be so, say --accept-less-protection";
    assert_eq!(stage.said(stage.cutover().await), expected);
    assert_eq!(stage.said(stage.verb(Verb::Cutover { dry_run: true }).await), expected);
    let wishes = Wishes { accept_less_protection: true, ..Wishes::default() };
    let (result, told) = wishing(&stage, Verb::Cutover { dry_run: false }, wishes).await;
    switched(result);
    assert!(told.iter().any(|note| note.starts_with("products archives no log")), "{told:?}");
    let accepted = "select exists (select from cleave.journal where step = 'cutover' and event = 'begin'
                    and detail->'accepted'->>0 like 'archives no log%')";
    stage.until(&stage.m, accepted).await;
}

/// Its log is archived, it is the better home, and who goes back all the same is not kept from it.
#[tokio::test]
async fn a_rollback_to_a_home_that_is_protected_less_is_told_and_not_refused() {
    let (_m, _n, stage) = archiving("", "/bin/true").await;
    switched(stage.cutover().await);
    let (result, told) = wishing(&stage, Verb::Rollback { dry_run: false }, Wishes::default()).await;
    switched(result);
    assert!(told.iter().any(|note| note.starts_with("monolith archives no log")), "{told:?}");
}

#[tokio::test]
async fn a_new_home_whose_archiver_fails_is_refused_until_it_archives() {
    let (_m, n, stage) = archiving("", "/bin/false").await;
    stage.on_n("select pg_switch_wal()").await;
    stage.until(&stage.n, "select failed_count > 0 from pg_stat_archiver").await;
    let said = stage.said(stage.cutover().await);
    assert!(said.starts_with("C0732 exit 4: products fails to archive its log since 0000"), "{said}");
    n.configure(&[("archive_command", "/bin/true")]).unwrap();
    n.reload().unwrap();
    // A new file wakes an archiver that has given up for a minute.
    stage.on_n("create table t (id int); select pg_switch_wal()").await;
    stage
        .until(
            &stage.n,
            "select coalesce(last_archived_time > last_failed_time, false) from pg_stat_archiver",
        )
        .await;
    switched(stage.cutover().await);
}

/// The server's end of a physical standby, which it cannot tell from another: a connection that streams its log.
fn standby(cluster: &Cluster) -> TcpStream {
    let mut socket = TcpStream::connect(("127.0.0.1", cluster.port())).unwrap();
    let parameters = "user\0postgres\0replication\0true\0application_name\0standby_1\0\0";
    let mut startup = u32::try_from(8 + parameters.len()).unwrap().to_be_bytes().to_vec();
    startup.extend(196_608_u32.to_be_bytes());
    startup.extend(parameters.as_bytes());
    socket.write_all(&startup).unwrap();
    until_ready(&mut socket);
    let query = "START_REPLICATION PHYSICAL 0/1000000\0";
    let mut message = vec![b'Q'];
    message.extend(u32::try_from(4 + query.len()).unwrap().to_be_bytes());
    message.extend(query.as_bytes());
    socket.write_all(&message).unwrap();
    socket
}

/// Reads messages up to ReadyForQuery.
fn until_ready(socket: &mut TcpStream) {
    loop {
        let mut head = [0; 5];
        socket.read_exact(&mut head).unwrap();
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]);
        let mut body = vec![0; usize::try_from(length - 4).unwrap()];
        socket.read_exact(&mut body).unwrap();
        assert_ne!(head[0], b'E', "{}", String::from_utf8_lossy(&body));
        if head[0] == b'Z' {
            return;
        }
    }
}

#[tokio::test]
async fn a_new_home_without_a_standby_is_refused_where_the_old_one_has_one() {
    let (m, n, stage) = archiving("", "").await;
    let streams = "select exists (select from pg_stat_replication where application_name = 'standby_1')";
    let _of_m = standby(&m);
    stage.until(&stage.m, streams).await;
    let said = stage.said(stage.cutover().await);
    assert!(said.starts_with("C0732 exit 4: products has no standby, and the old home has 1\n"), "{said}");
    let _of_n = standby(&n);
    stage.until(&stage.n, streams).await;
    switched(stage.cutover().await);
}

async fn warmed(client: &Client, sql: &str) -> i64 {
    client.query_one(sql, &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn a_new_home_is_warmed_up_with_pg_prewarm_or_by_reading_its_tables() {
    let house = House::verified("warm").await;
    let stage = &house.stage;
    let wishes = Wishes { warm_up: Some(Duration::from_secs(30)), ..Wishes::default() };
    let (result, told) = wishing(stage, Verb::Cutover { dry_run: false }, wishes.clone()).await;
    switched(result);
    let expected = "; without the extension pg_prewarm there, indexes are not read";
    let said = told
        .iter()
        .find(|said| said.starts_with("warm_up: read 1 of "))
        .unwrap_or_else(|| panic!("{told:?}"));
    assert!(said.ends_with(expected), "{said}");
    // The way back warms the copies.
    let m = stage.on_m("create extension pg_prewarm schema public").await;
    let (result, told) = wishing(stage, Verb::Rollback { dry_run: false }, wishes).await;
    switched(result);
    let all = "select 1 + count(*) + (select count(*) from pg_class where oid = 'film'::regclass and reltoastrelid <> 0)
                 + (select count(*) from pg_index i join pg_class c on c.reltoastrelid = i.indrelid where false)
               from pg_index where indrelid = 'film'::regclass";
    let all = warmed(&m, all).await;
    let said = format!("warm_up: read {all} of {all} tables and indexes, ");
    assert!(told.iter().any(|told| told.starts_with(&said)), "{said}: {told:?}");
    let journaled = "select exists (select from cleave.journal where step = 'rollback.warm_up' and detail->>'by' = 'pg_prewarm')";
    stage.until(&stage.m, journaled).await;
}

/// Somebody locks a table that is about to be read: nobody but the reading waits for it.
#[tokio::test]
async fn a_warm_up_ends_with_its_time_or_when_it_is_cancelled() {
    let house = House::verified("cold").await;
    let wishes = |limit| Wishes { warm_up: Some(limit), ..Wishes::default() };
    let (stage, verb) = (&house.stage, Verb::Cutover { dry_run: false });
    let blocker = stage.on_n("").await;
    let lock = async || {
        blocker.batch_execute("begin; lock table films.film in access exclusive mode").await.unwrap()
    };
    // The switch itself comes after the time is up, and needs the table.
    let cutover = async {
        let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
        let events = Events::new(move |event| {
            if let cleave_api::Event::StepFinished { summary, .. } = event {
                // Nobody listens any more once the warm-up was heard of.
                let _ = told.send(summary);
            }
        });
        let (_canceller, cancelled) = cancellation();
        let topology = stage.topology().wishing(wishes(Duration::from_secs(1)));
        let service = stage.service();
        let cutover = cleave_engine::execute(&topology, &service, verb.clone(), &events, &cancelled);
        let free = async {
            while !heard.recv().await.unwrap().ends_with(
                "; then the time was up; without the extension pg_prewarm there, indexes are not read",
            ) {}
            blocker.batch_execute("commit").await.unwrap();
        };
        tokio::join!(cutover, free).0
    };
    switched(held_at("warm_up.relation", cutover, lock()).await);
    switched(stage.rollback().await);
    verified(stage).await;

    let (canceller, cancelled) = cancellation();
    let topology = stage.topology().wishing(wishes(Duration::from_secs(3600)));
    let (service, events) = (stage.service(), Events::silent());
    let cutover = cleave_engine::execute(&topology, &service, verb, &events, &cancelled);
    let lock_and_cancel = async {
        lock().await;
        canceller.cancel();
    };
    let result = held_at("warm_up.relation", cutover, lock_and_cancel).await;
    assert!(matches!(result, Err(EngineError::Interrupted)), "{result:?}");
    assert_eq!(stage.home().await, "monolith");
}
