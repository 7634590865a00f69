//! A database with the journal in it, and the macro that runs a behaviour on every version.

use cleave_journal::{Lease, install, uninstall};
use cleave_model::{DatabaseName, ServiceName};
use cleave_sandbox::Version;
use cleave_testkit::TestDatabase;
use std::{sync::Mutex, time::Duration};
use tokio_postgres::{Client, GenericClient};

/// Makes one test per server version, `behaviour::v14` to `behaviour::v18`, of a function that takes a [`Journal`].
macro_rules! on_every_version {
    ($($behaviour:ident),+ $(,)?) => {$(
        mod $behaviour {
            use crate::journal::{Journal, each_version};

            each_version!(|version| super::$behaviour(Journal::installed(version).await).await);
        }
    )+};
}

/// The five tests of [`on_every_version`].
macro_rules! each_version {
    (|$version:ident| $run:expr) => {
        crate::journal::each_version!(|$version| $run, v14 V14, v15 V15, v16 V16, v17 V17, v18 V18);
    };
    (|$version:ident| $run:expr, $($name:ident $variant:ident),+) => {$(
        #[tokio::test]
        async fn $name() {
            let $version = cleave_sandbox::Version::$variant;
            $run;
        }
    )+};
}

pub(crate) use {each_version, on_every_version};

/// How long a condition may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Databases that tests of this process have given back. Making and dropping one takes the server longer than most
/// tests do.
static SPARE: Mutex<Vec<TestDatabase>> = Mutex::new(Vec::new());

/// A database of the test's own and a session in it.
pub(crate) struct Journal {
    /// The test's first session.
    pub(crate) client: Client,
    /// Always there until dropped.
    database: Option<TestDatabase>,
}

impl Journal {
    /// A database without schema `cleave`.
    pub(crate) async fn absent(version: Version) -> Self {
        let spare = {
            let mut spare = SPARE.lock().unwrap();
            let found = spare.iter().position(|database| database.version() == version);
            found.map(|at| spare.swap_remove(at))
        };
        let database = match spare {
            Some(database) => database,
            None => TestDatabase::create(version, "journal").await.unwrap(),
        };
        let client = database.connect().await.unwrap();
        uninstall(&client).await.unwrap();
        Self { client, database: Some(database) }
    }

    /// A database with a fresh schema `cleave`.
    pub(crate) async fn installed(version: Version) -> Self {
        let mut journal = Self::absent(version).await;
        install(&mut journal.client).await.unwrap();
        journal
    }

    fn database(&self) -> &TestDatabase {
        self.database.as_ref().unwrap()
    }

    /// One more session.
    pub(crate) async fn connect(&self) -> Client {
        self.database().connect().await.unwrap()
    }

    /// The database's URL.
    pub(crate) fn url(&self) -> String {
        self.database().url()
    }

    /// Waits until a session stands in a lock queue.
    pub(crate) async fn wait_until_blocked(&self, pid: i32) {
        let queued = async {
            let sql = "select cardinality(pg_catalog.pg_blocking_pids($1)) > 0";
            while !self.client.query_one(sql, &[&pid]).await.unwrap().get::<_, bool>(0) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, queued).await.expect("the session is not blocked");
    }

    /// Lets the lease run out, as if its holder had stopped renewing it.
    pub(crate) async fn let_the_lease_run_out(&self) {
        let sql = "update cleave.lease set expires_at = pg_catalog.clock_timestamp() - interval '1 ms'";
        assert_eq!(self.client.execute(sql, &[]).await.unwrap(), 1);
    }

    /// The lease of an engine called `holder`.
    pub(crate) async fn lease(&self, holder: &str) -> Lease {
        Lease::acquire(&self.client, holder, holder).await.unwrap()
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        // After a failure the database goes, with whatever still holds locks in it.
        if !std::thread::panicking()
            && let Some(database) = self.database.take()
        {
            SPARE.lock().unwrap().push(database);
        }
    }
}

/// The backend's process id.
pub(crate) async fn pid(client: &impl GenericClient) -> i32 {
    client.query_one("select pg_catalog.pg_backend_pid()", &[]).await.unwrap().get(0)
}

/// The service of most tests.
pub(crate) fn films() -> ServiceName {
    ServiceName::parse("films").unwrap()
}

/// A database of cleave.toml.
pub(crate) fn database(name: &str) -> DatabaseName {
    DatabaseName::parse(name).unwrap()
}
