//! Two databases with the same tables, the journal in both, and streams between them.

use cleave_journal::{Lease, insert_owner, install};
use cleave_model::{
    DatabaseName, Direction, Epoch, Ident, Lsn, Oid, QualifiedName, ServiceName, labels, quote_ident,
};
use cleave_pg::{Endpoint, replication::SlotLifetime};
use cleave_sandbox::Version;
use cleave_stream::{
    Cancelled, ColumnRoute, CopyFormat, CopySpec, CopyTable, Follow, FollowHandle, FollowOptions, FollowSpec,
    FollowState, FollowStatus, Identity, LoadLimits, Route, SnapshotSource, StreamError, cancellation,
    copy_tables, create_slot_with_snapshot, write_first_position,
};
use cleave_testkit::TestDatabase;
use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::time::timeout;
use tokio_postgres::Client;

/// How long a condition may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Makes one test per pair of versions of a function that takes the source's and the target's.
macro_rules! on_pairs {
    ($($behaviour:ident),+ $(,)?) => {$(
        mod $behaviour {
            use cleave_sandbox::Version;

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn v14_to_v18() {
                super::$behaviour(Version::V14, Version::V18).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn v18_to_v14() {
                super::$behaviour(Version::V18, Version::V14).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn v16_to_v16() {
                super::$behaviour(Version::V16, Version::V16).await;
            }
        }
    )+};
}

pub(crate) use on_pairs;

/// The same for what hardly depends on versions and takes long: one pair, and with `CLEAVE_TEST_FULL=1` the others.
macro_rules! on_one_pair {
    ($($behaviour:ident),+ $(,)?) => {$(
        mod $behaviour {
            use cleave_sandbox::Version;

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn v14_to_v18() {
                super::$behaviour(Version::V14, Version::V18).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn other_pairs() {
                if std::env::var("CLEAVE_TEST_FULL").is_ok_and(|full| full == "1") {
                    super::$behaviour(Version::V18, Version::V14).await;
                    super::$behaviour(Version::V16, Version::V16).await;
                }
            }
        }
    )+};
}

pub(crate) use on_one_pair;

/// One side: the name in `cleave.toml`, the database, a session.
pub(crate) struct Place {
    pub(crate) name: DatabaseName,
    pub(crate) url: String,
    pub(crate) client: Client,
    _database: Option<TestDatabase>,
}

impl Place {
    /// A database of its own on the shared cluster.
    async fn new(name: &str, version: Version, hint: &str) -> Self {
        let database = TestDatabase::create(version, hint).await.unwrap();
        let url = database.url();
        Self { _database: Some(database), ..Self::at(name, &url).await }
    }

    /// A database that somebody else takes care of.
    pub(crate) async fn at(name: &str, url: &str) -> Self {
        let client = cleave_sandbox::connect(url).await.unwrap();
        let name = DatabaseName::parse(name).unwrap();
        Self { name, url: url.to_owned(), client, _database: None }
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        Endpoint::parse(&self.url).unwrap()
    }

    pub(crate) async fn run(&self, sql: &str) {
        self.client.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }

    pub(crate) async fn count(&self, sql: &str) -> i64 {
        self.client.query_one(sql, &[]).await.unwrap_or_else(|error| panic!("{sql}: {error:?}")).get(0)
    }

    pub(crate) async fn text(&self, sql: &str) -> String {
        self.client.query_one(sql, &[]).await.unwrap_or_else(|error| panic!("{sql}: {error:?}")).get(0)
    }

    /// Waits until a query counts something.
    pub(crate) async fn until(&self, sql: &str) {
        let counted = async {
            while self.count(sql).await == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, counted).await.unwrap_or_else(|_| panic!("nothing came of {sql}"));
    }

    /// All rows of a table as text, in order.
    pub(crate) async fn rows(&self, table: &str) -> Vec<String> {
        let sql = format!("select whole::text from only {table} whole order by whole::text collate \"C\"");
        let rows = self.client.query(&sql, &[]).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }

    /// Plain tables of schema public.
    pub(crate) async fn tables(&self) -> Vec<(Oid, String)> {
        let sql = "select c.oid, c.relname from pg_class c
                   where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' order by 2";
        let rows = self.client.query(sql, &[]).await.unwrap();
        rows.iter().map(|row| (Oid(row.get(0)), row.get(1))).collect()
    }

    /// Columns that are not generated: name, identity always.
    async fn columns(&self, table: Oid) -> Vec<(Ident, bool)> {
        let sql = "select attname, attidentity = 'a' from pg_attribute
                   where attrelid = $1 and attnum > 0 and not attisdropped and attgenerated = '' order by attnum";
        let rows = self.client.query(sql, &[&table.0]).await.unwrap();
        rows.iter().map(|row| (Ident::new(row.get::<_, String>(0)), row.get(1))).collect()
    }

    async fn numbers(&self, table: Oid) -> HashMap<Ident, i16> {
        let sql = "select attname, attnum from pg_attribute where attrelid = $1 and attnum > 0 and not attisdropped";
        let rows = self.client.query(sql, &[&table.0]).await.unwrap();
        rows.iter().map(|row| (Ident::new(row.get::<_, String>(0)), row.get(1))).collect()
    }

    async fn identity(&self, table: Oid) -> Identity {
        let sql = "select a.attname from pg_class c
                   join pg_index i on i.indrelid = c.oid
                     and case c.relreplident when 'i' then i.indisreplident else i.indisprimary end
                   join pg_attribute a on a.attrelid = c.oid and a.attnum = any(i.indkey)
                   where c.oid = $1 and c.relreplident <> 'f'";
        let rows = self.client.query(sql, &[&table.0]).await.unwrap();
        let key: Vec<Ident> = rows.iter().map(|row| Ident::new(row.get::<_, String>(0))).collect();
        if key.is_empty() { Identity::Full } else { Identity::Key(key) }
    }
}

/// M and N, and a service that moves from the one to the other.
pub(crate) struct Pair {
    pub(crate) service: ServiceName,
    pub(crate) m: Place,
    pub(crate) n: Place,
    pub(crate) options: FollowOptions,
    pub(crate) follows_columns: bool,
}

impl Pair {
    /// Runs `schema` in both databases.
    pub(crate) async fn new(source: Version, target: Version, hint: &str, schema: &str) -> Self {
        let m = Place::new("m", source, &format!("m_{hint}")).await;
        let n = Place::new("n", target, &format!("n_{hint}")).await;
        Self::of(m, n, schema).await
    }

    pub(crate) async fn of(mut m: Place, mut n: Place, schema: &str) -> Self {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let service = ServiceName::parse(&format!("films{number}")).unwrap();
        let home = m.name.clone();
        for place in [&mut m, &mut n] {
            place.run(schema).await;
            install(&mut place.client).await.unwrap();
            insert_owner(&place.client, &service, &home, Epoch(1)).await.unwrap();
        }
        Self { service, m, n, options: FollowOptions::default(), follows_columns: false }
    }

    pub(crate) fn ends(&self, direction: Direction) -> (&Place, &Place) {
        match direction {
            Direction::Forward => (&self.m, &self.n),
            Direction::Back => (&self.n, &self.m),
        }
    }

    pub(crate) fn slot(&self, direction: Direction) -> String {
        labels::slot(&self.service, direction, 1)
    }

    pub(crate) fn stream(&self, direction: Direction) -> String {
        labels::stream(&self.service, direction)
    }

    /// Publishes every plain table of the source.
    pub(crate) async fn publish(&self, direction: Direction) {
        let (source, _) = self.ends(direction);
        let tables = source.tables().await;
        let list: Vec<String> =
            tables.iter().map(|(_, name)| format!("only public.{}", quote_ident(name))).collect();
        let publication = labels::publication(&self.service, direction).quoted();
        source.run(&format!("create publication {publication} for table {}", list.join(", "))).await;
    }

    pub(crate) async fn routes(&self, direction: Direction, start: Lsn) -> Vec<Route> {
        let (source, target) = self.ends(direction);
        let (theirs, ours) = (source.tables().await, target.tables().await);
        let mut routes = Vec::new();
        for (source_oid, name) in theirs {
            let target_oid = ours.iter().find(|(_, ours)| *ours == name).unwrap().0;
            let columns = target.columns(target_oid).await.into_iter();
            let numbers = source.numbers(source_oid).await;
            let columns = columns.map(|(name, identity_always)| ColumnRoute {
                number: numbers.get(&name).copied().unwrap_or_default(),
                source_name: name.clone(),
                target_name: name,
                identity_always,
            });
            let identity = source.identity(source_oid).await;
            routes.push(Route { source_oid, target_oid, columns: columns.collect(), identity, start });
        }
        routes
    }

    pub(crate) async fn lease(&self, direction: Direction) -> Lease {
        Lease::acquire(&self.ends(direction).1.client, "test", "the test").await.unwrap()
    }

    pub(crate) async fn copy_spec(&self, snapshot: SnapshotSource, cancelled: Cancelled) -> CopySpec {
        let mut tables = Vec::new();
        for (source_oid, name) in self.m.tables().await {
            let columns = self.m.columns(source_oid).await;
            tables.push(CopyTable {
                source_oid,
                source_name: QualifiedName::new("public", name.as_str()),
                target_name: QualifiedName::new("public", name.as_str()),
                columns: columns.into_iter().map(|(name, _)| (name.clone(), name)).collect(),
                format: CopyFormat::Text,
                bytes_estimate: 1000,
                ranges: None,
                search_path: "public".to_owned(),
                indexes: Vec::new(),
            });
        }
        CopySpec {
            service: self.service.clone(),
            stream: self.stream(Direction::Forward),
            source: self.m.endpoint(),
            target: self.n.endpoint(),
            tables,
            snapshot,
            jobs: 2,
            chunk_bytes: 1 << 30,
            bytes_per_second_max: None,
            load: LoadLimits::default(),
            renewal: None,
            lease: self.lease(Direction::Forward).await,
            cancelled,
        }
    }

    pub(crate) async fn follow_spec(&self, direction: Direction, start: Lsn) -> FollowSpec {
        let (source, target) = self.ends(direction);
        FollowSpec {
            service: self.service.clone(),
            direction,
            source_name: source.name.clone(),
            target_name: target.name.clone(),
            source: source.endpoint(),
            target: target.endpoint(),
            slot: self.slot(direction),
            part: None,
            publication: labels::publication(&self.service, direction),
            routes: self.routes(direction, start).await,
            left_out: HashSet::new(),
            follows_columns: self.follows_columns,
            lease: self.lease(direction).await,
            options: self.options.clone(),
        }
    }

    /// The forward slot and its position, without a copy. Returns the consistent point.
    pub(crate) async fn slot_and_position(&self) -> Lsn {
        let name = self.slot(Direction::Forward);
        let source = self.m.endpoint();
        let slot =
            create_slot_with_snapshot(&source, &name, SlotLifetime::Permanent, PATIENCE).await.unwrap();
        let stream = self.stream(Direction::Forward);
        write_first_position(&self.n.client, &stream, &name, slot.position).await.unwrap();
        slot.consistent_point()
    }

    /// Publication, slot, position; copies everything in the slot's snapshot. Returns the consistent point.
    pub(crate) async fn copied(&self) -> Lsn {
        self.publish(Direction::Forward).await;
        let (name, limit) = (self.slot(Direction::Forward), PATIENCE);
        let source = self.m.endpoint();
        let slot = create_slot_with_snapshot(&source, &name, SlotLifetime::Permanent, limit);
        let slot = slot.await.unwrap();
        let stream = self.stream(Direction::Forward);
        write_first_position(&self.n.client, &stream, &name, slot.position).await.unwrap();
        let consistent_point = slot.consistent_point();
        let snapshot = SnapshotSource::Given { name: slot.snapshot.clone(), consistent_point };
        let (_keep, cancelled) = cancellation();
        copy_tables(self.copy_spec(snapshot, cancelled).await, |_| {}).await.unwrap();
        consistent_point
    }

    /// Copies everything and follows.
    pub(crate) async fn forward(&self) -> Stream {
        let start = self.copied().await;
        Stream::new(Follow::start(self.follow_spec(Direction::Forward, start).await))
    }

    /// Makes the slot of the way back and follows it.
    pub(crate) async fn back(&self) -> Stream {
        self.publish(Direction::Back).await;
        let name = self.slot(Direction::Back);
        let source = self.n.endpoint();
        let slot = create_slot_with_snapshot(&source, &name, SlotLifetime::Permanent, PATIENCE);
        let slot = slot.await.unwrap();
        let stream = self.stream(Direction::Back);
        write_first_position(&self.m.client, &stream, &name, slot.position).await.unwrap();
        Stream::new(Follow::start(self.follow_spec(Direction::Back, slot.consistent_point()).await))
    }

    /// Waits until everything committed on the source so far is on the target.
    pub(crate) async fn drain(&self, direction: Direction, stream: &Stream) {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let marker = format!("marker-{}", COUNTER.fetch_add(1, Ordering::Relaxed));
        let sql = "select pg_logical_emit_message(true, 'cleave.marker', $1::text)";
        self.ends(direction).0.client.execute(sql, &[&marker]).await.unwrap();
        let applied = timeout(PATIENCE, stream.handle.marker_applied(&marker)).await;
        let status = stream.now();
        applied.unwrap_or_else(|_| panic!("the marker did not come: {status:?}")).unwrap();
    }

    /// Compares every table.
    pub(crate) async fn assert_same(&self) {
        for (_, name) in self.m.tables().await {
            let table = format!("public.{}", quote_ident(&name));
            assert_eq!(self.m.rows(&table).await, self.n.rows(&table).await, "{table}");
        }
    }

    /// What a switch says and stores on M.
    pub(crate) fn switch_message(&self, home: &DatabaseName, epoch: i64) -> String {
        format!(
            "select pg_logical_emit_message(true, 'cleave.switch',
               '{{\"service\":\"{}\",\"epoch\":{epoch},\"home\":\"{home}\"}}');
             update cleave.owner set home = '{home}', epoch = {epoch} where service = '{}'",
            self.service, self.service
        )
    }
}

impl Drop for Pair {
    /// Origins belong to the whole cluster, which has room for few.
    fn drop(&mut self) {
        let (service, urls) = (self.service.to_string(), [self.m.url.clone(), self.n.url.clone()]);
        // The test's own runtime may be the thread that waits here.
        let work = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                for url in urls {
                    // A test that failed may have left its server stopped.
                    if let Ok(client) = cleave_sandbox::connect(&url).await {
                        let _cleaned = timeout(PATIENCE, drop_origins(&client, &service)).await;
                    }
                }
            });
        });
        let _ended = work.join();
    }
}

async fn drop_origins(client: &Client, service: &str) {
    let end = "select count(pg_terminate_backend(pid)) from pg_stat_activity
               where datname = current_database() and application_name like 'cleave %'";
    let drop = "select count(pg_replication_origin_drop(roname)) from pg_replication_origin
                where starts_with(roname, $1)";
    let prefix = format!("cleave_{service}_");
    while client.query(end, &[]).await.is_ok() && client.query(drop, &[&prefix]).await.is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A stream under test.
pub(crate) struct Stream {
    pub(crate) handle: FollowHandle,
}

impl Stream {
    pub(crate) fn new(handle: FollowHandle) -> Self {
        Self { handle }
    }

    pub(crate) fn now(&self) -> FollowStatus {
        self.handle.status().borrow().clone()
    }

    /// Waits for something to show in the status.
    pub(crate) async fn until(&self, what: &str, condition: impl Fn(&FollowStatus) -> bool) -> FollowStatus {
        let mut status = self.handle.status();
        let met = timeout(PATIENCE, status.wait_for(|status| condition(status))).await;
        let Ok(met) = met else { panic!("not {what}: {:?}", self.now()) };
        met.map(|status| status.clone()).unwrap_or_else(|_| panic!("not {what}: {:?}", self.now()))
    }

    /// Waits until it has stopped by itself, and returns why.
    pub(crate) async fn failure(&self) -> Arc<StreamError> {
        self.until("failed", |status| status.state == FollowState::Failed).await.last_error.unwrap()
    }

    pub(crate) async fn stop(self) -> FollowStatus {
        timeout(PATIENCE, self.handle.stop()).await.unwrap()
    }
}
