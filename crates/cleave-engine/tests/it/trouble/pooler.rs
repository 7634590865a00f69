//! Clients behind a PgBouncer follow the service to its home, and nothing that happens to a switch leaves them held.

use super::stage::{House, LIMIT, Stage, aborted, on, switched};
use cleave_engine::Verb;
use cleave_sandbox::Pooler;
use cleave_testkit::Proxy;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;
use tokio::task::JoinHandle;
use tokio_postgres::SimpleQueryMessage;

/// A service that is verified, and the pooler before it.
struct Front {
    /// Keeps its databases.
    _house: House,
    pooler: Pooler,
    stage: Stage,
}

impl Front {
    /// `None`, and counted, where there is no PgBouncer.
    async fn new(test: &str, hint: &str, pool_mode: &str) -> Option<Self> {
        if !Pooler::is_there() {
            skipped(test);
            return None;
        }
        let house = House::new(hint).await;
        // What clients of a service rely on: its tables are found under the same names at its home.
        for url in [&house.stage.n, &house.stage.m] {
            on(url, "do $$ begin execute format('alter database %I set search_path = films, public', current_database()); end $$").await;
        }
        let line = format!("our-shop = {} pool_size=4", settings_of(&house.stage.m));
        let pooler = Pooler::start(&[line], pool_mode).await.unwrap();
        let key = format!(
            "bridge = \"forward\"\npgbouncer = {{ admin = {:?}, databases = [\"our-shop\"], config = {:?} }}",
            pooler.console_url(),
            pooler.databases_file()
        );
        let stage = house.stage.with("bridge = \"forward\"", &key);
        stage.apply().await.unwrap();
        stage.verb(Verb::Verify).await.unwrap();
        Some(Self { _house: house, pooler, stage })
    }

    fn url(&self) -> String {
        self.pooler.url("our-shop")
    }

    /// The database that a new client of the pooler comes to.
    async fn leads_to(&self) -> String {
        answer(&self.url(), "select current_database()").await
    }

    async fn is_held(&self) -> bool {
        let client = cleave_sandbox::connect(&self.pooler.console_url()).await.unwrap();
        client.simple_query("show databases").await.unwrap().iter().any(|message| match message {
            SimpleQueryMessage::Row(row) => {
                row.get("name") == Some("our-shop") && row.get("paused") == Some("1")
            }
            _ => false,
        })
    }
}

pub(crate) fn skipped(test: &str) {
    if let Some(list) = std::env::var_os("CLEAVE_SKIPPED_FILE") {
        use std::io::Write;
        let mut file = std::fs::File::options().append(true).create(true).open(list).unwrap();
        writeln!(file, "{test}: there is no PgBouncer").unwrap();
    }
}

pub(crate) async fn answer(url: &str, sql: &str) -> String {
    let client = cleave_sandbox::connect(url).await.unwrap();
    let messages = client.simple_query(sql).await.unwrap();
    let value = messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    });
    value.unwrap()
}

/// `host=.. port=.. dbname=.. user=postgres` of a URL.
pub(crate) fn settings_of(url: &str) -> String {
    let config: tokio_postgres::Config = url.parse().unwrap();
    let [tokio_postgres::config::Host::Tcp(host)] = config.get_hosts() else { panic!("{url}") };
    format!(
        "host={host} port={} dbname={} user=postgres",
        config.get_ports()[0],
        config.get_dbname().unwrap()
    )
}

/// Clients that write through the pooler, in transactions of two statements.
pub(crate) struct Clients {
    stop: Arc<AtomicBool>,
    written: Arc<Mutex<BTreeSet<i64>>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Clients {
    /// Every error ends its client, and [`Self::stop`] tells it.
    pub(crate) async fn start(url: &str, count: usize) -> Self {
        let next = Arc::new(AtomicI64::new(1_000_000));
        let (stop, written): (Arc<AtomicBool>, Arc<Mutex<BTreeSet<i64>>>) = Default::default();
        let mut tasks = Vec::new();
        for _ in 0..count {
            let client = cleave_sandbox::connect(url).await.unwrap();
            let (next, stop, written) = (Arc::clone(&next), Arc::clone(&stop), Arc::clone(&written));
            tasks.push(tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let token = next.fetch_add(1, Ordering::Relaxed);
                    let transaction = [
                        "begin".to_owned(),
                        format!("insert into film (title, token) values ('pooled', {token})"),
                        format!("update film set title = 'changed' where token = {token}"),
                        "commit".to_owned(),
                    ];
                    for statement in transaction {
                        if let Err(error) = client.simple_query(&statement).await {
                            panic!("a client was refused `{statement}`: {error:?}");
                        }
                    }
                    written.lock().unwrap().insert(token);
                    // Clients that think: a machine that is kept busy passes no gate.
                    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                }
            }));
        }
        Self { stop, written, tasks }
    }

    /// Waits until some more commits were acknowledged.
    pub(crate) async fn go_on(&self, pooler: &Pooler) {
        let (before, began) = (self.written.lock().unwrap().len(), Instant::now());
        while self.written.lock().unwrap().len() < before + 40 {
            assert!(began.elapsed() < LIMIT, "the clients do not go on");
            let refused = self.tasks.iter().any(JoinHandle::is_finished);
            assert!(!refused, "a client was refused; PgBouncer's log:\n{}", pooler.log_tail());
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }

    /// Every acknowledged row is in this table, once, and there is none that nobody wrote.
    pub(crate) async fn stop(self, url: &str, table: &str) {
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.unwrap();
        }
        let client = cleave_sandbox::connect(url).await.unwrap();
        let sql = format!("select token from {table} where token is not null order by token");
        let found: Vec<i64> = client.query(&sql, &[]).await.unwrap().iter().map(|row| row.get(0)).collect();
        let written: Vec<i64> = self.written.lock().unwrap().iter().copied().collect();
        assert_eq!(found, written);
    }
}

pub(crate) fn name_of(url: &str) -> String {
    let config: tokio_postgres::Config = url.parse().unwrap();
    config.get_dbname().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_of_a_transaction_pool_follow_the_home_there_and_back_and_none_is_refused() {
    let test = "clients_of_a_transaction_pool_follow_the_home_there_and_back_and_none_is_refused";
    let Some(front) = Front::new(test, "pool_transaction", "transaction").await else { return };
    let (stage, file) = (&front.stage, front.pooler.databases_file());
    let before = std::fs::read_to_string(&file).unwrap();
    let clients = Clients::start(&front.url(), 6).await;
    clients.go_on(&front.pooler).await;
    for _ in 0..2 {
        switched(stage.cutover().await);
        assert_eq!(front.leads_to().await, name_of(&stage.n));
        clients.go_on(&front.pooler).await;
        switched(stage.rollback().await);
        assert_eq!(front.leads_to().await, name_of(&stage.m));
        assert_eq!(std::fs::read_to_string(&file).unwrap(), before);
        clients.go_on(&front.pooler).await;
        stage.verb(Verb::Verify).await.unwrap();
    }
    switched(stage.cutover().await);
    clients.go_on(&front.pooler).await;
    stage.verb(Verb::Complete).await.unwrap();
    clients.go_on(&front.pooler).await;
    clients.stop(&stage.n, "films.film").await;
    let after = std::fs::read_to_string(&file).unwrap();
    assert!(!after.contains(";cleave") && after.contains("pool_size=4"), "{after}");
    assert_eq!(front.leads_to().await, name_of(&stage.n));
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_of_a_session_pool_go_on_over_the_bridge_and_new_ones_come_to_the_new_home() {
    let test = "clients_of_a_session_pool_go_on_over_the_bridge_and_new_ones_come_to_the_new_home";
    let Some(front) = Front::new(test, "pool_session", "session").await else { return };
    let stage = &front.stage;
    let clients = Clients::start(&front.url(), 2).await;
    clients.go_on(&front.pooler).await;
    switched(stage.cutover().await);
    clients.go_on(&front.pooler).await;
    assert_eq!(front.leads_to().await, name_of(&stage.n));
    switched(stage.rollback().await);
    clients.go_on(&front.pooler).await;
    assert_eq!(front.leads_to().await, name_of(&stage.m));
    clients.stop(&stage.m, "public.film").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_does_not_end_keeps_no_other_client_held() {
    let test = "a_transaction_that_does_not_end_keeps_no_other_client_held";
    let Some(front) = Front::new(test, "pool_busy", "transaction").await else { return };
    let stage = front
        .stage
        .with("write_pause = \"3s\"", "write_pause = \"600ms\"")
        .with("lock_budget = \"20s\"", "lock_budget = \"2s\"");
    let long = cleave_sandbox::connect(&front.url()).await.unwrap();
    long.simple_query("begin").await.unwrap();
    long.simple_query("select 1").await.unwrap();
    let clients = Clients::start(&front.url(), 2).await;
    assert_eq!(
        aborted(stage.cutover().await),
        "the locks could not be had within lock_budget: transactions of PgBouncer's clients did not end within 300 ms"
    );
    clients.go_on(&front.pooler).await;
    assert!(!front.is_held().await);
    long.simple_query("commit").await.unwrap();
    switched(front.stage.cutover().await);
    clients.go_on(&front.pooler).await;
    clients.stop(&stage.n, "films.film").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_a_dead_switch_left_held_go_on_with_the_next_command() {
    let test = "clients_that_a_dead_switch_left_held_go_on_with_the_next_command";
    let Some(front) = Front::new(test, "pool_dead", "transaction").await else { return };
    let clients = Clients::start(&front.url(), 2).await;
    clients.go_on(&front.pooler).await;
    // What a process leaves that is killed once the clients are held.
    let begun = format!(
        "insert into cleave.journal (service, move, lease_epoch, step, event, detail)
         select service, id, 1, 'cutover', 'begin', '{{\"epoch\": 1}}' from cleave.move where service = '{}'",
        front.stage.service()
    );
    front.stage.on_m(&begun).await;
    let console = cleave_sandbox::connect(&front.pooler.console_url()).await.unwrap();
    console.simple_query("pause \"our-shop\"").await.unwrap();
    assert!(front.is_held().await);
    switched(front.stage.cutover().await);
    assert!(!front.is_held().await);
    assert_eq!(front.leads_to().await, name_of(&front.stage.n));
    clients.go_on(&front.pooler).await;
    clients.stop(&front.stage.n, "films.film").await;
}

/// The console behind a network that can fall silent.
async fn behind_a_proxy(front: &Front) -> (Proxy, Stage) {
    let url = front.pooler.console_url();
    let config: tokio_postgres::Config = url.parse().unwrap();
    let proxy = Proxy::start((std::net::Ipv4Addr::LOCALHOST, config.get_ports()[0]).into()).await.unwrap();
    let stage = front.stage.with(&url, &proxy.url(&url).unwrap());
    (proxy, stage)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_console_that_does_not_answer_refuses_the_switch_and_no_client_waits() {
    let test = "a_console_that_does_not_answer_refuses_the_switch_and_no_client_waits";
    let Some(front) = Front::new(test, "pool_silent", "transaction").await else { return };
    let (proxy, stage) = behind_a_proxy(&front).await;
    let clients = Clients::start(&front.url(), 2).await;
    proxy.black_hole();
    let refused = stage.said(stage.cutover().await);
    assert!(refused.starts_with("C0718 exit 4: PgBouncer's console does not answer"), "{refused}");
    assert!(!front.is_held().await);
    clients.go_on(&front.pooler).await;
    proxy.heal();
    switched(stage.cutover().await);
    clients.go_on(&front.pooler).await;
    clients.stop(&stage.n, "films.film").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_a_silent_console_left_held_go_on_once_it_answers_and_none_is_refused() {
    let test = "clients_that_a_silent_console_left_held_go_on_once_it_answers_and_none_is_refused";
    let Some(front) = Front::new(test, "pool_mute", "transaction").await else { return };
    let (proxy, stage) = behind_a_proxy(&front).await;
    let folder = tempfile::tempdir().unwrap();
    let (reached, go_on) = (folder.path().join("reached"), folder.path().join("go_on"));
    let wait = format!("touch {}; until [ -e {} ]; do sleep 0.02; done", reached.display(), go_on.display());
    let hooked = stage.with("[limits]", &format!("[hooks]\nin_pause = [{wait:?}]\n[limits]"));
    let clients = Clients::start(&front.url(), 2).await;
    clients.go_on(&front.pooler).await;
    let silence = async {
        while !reached.exists() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        proxy.black_hole();
        std::fs::write(&go_on, "").unwrap();
        while stage.home().await != "products" {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        assert!(front.is_held().await, "nobody could let the clients go on");
        proxy.heal();
    };
    let (ended, ()) = tokio::join!(hooked.cutover(), silence);
    switched(ended);
    assert!(!front.is_held().await);
    assert_eq!(front.leads_to().await, name_of(&stage.n));
    clients.go_on(&front.pooler).await;
    clients.stop(&stage.n, "films.film").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pooler_that_does_not_fit_is_refused_before_anything_is_touched() {
    let test = "a_pooler_that_does_not_fit_is_refused_before_anything_is_touched";
    let Some(front) = Front::new(test, "pool_gate", "transaction").await else { return };
    let file = front.pooler.databases_file();
    let shown = file.display().to_string();
    let said = |stage: Stage| {
        let shown = shown.clone();
        async move { stage.said(stage.cutover().await).replace(&shown, "FILE") }
    };
    let other = front.stage.with("[\"our-shop\"]", "[\"theirs\"]");
    assert_eq!(
        said(other).await,
        "C0718 exit 4: PgBouncer has no database theirs\nhint: it has our-shop, pgbouncer"
    );
    let gone = front.stage.with(&front.pooler.console_url(), "postgres://postgres@127.0.0.1:1/pgbouncer");
    let told = said(gone).await;
    assert!(told.starts_with("C0718 exit 4: PgBouncer's console does not answer: "), "{told}");
    let before = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, before.replace("dbname=", "dbname=x")).unwrap();
    let told = said(front.stage.clone()).await;
    assert!(told.contains("and its line in FILE says something else\nhint: "), "{told}");
    std::fs::write(&file, before.replace("our-shop", "shop")).unwrap();
    assert_eq!(
        said(front.stage.clone()).await,
        "C0718 exit 4: FILE does not fit: it has no line for database our-shop\n\
         hint: each name in `databases` has one line of its own in the file that `config` names"
    );
    std::fs::write(&file, before).unwrap();
    assert_eq!(front.stage.home().await, "monolith");
    switched(front.stage.cutover().await);
}
