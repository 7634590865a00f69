//! One cluster per version for the whole test binary, a database per test.

use cleave_sandbox::{Cluster, Options, Version};
use futures_util::SinkExt;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::sync::Mutex;
use tokio_postgres::Client;

static CLUSTERS: Mutex<Option<HashMap<Version, Arc<Cluster>>>> = Mutex::const_new(None);
static NEXT: AtomicU32 = AtomicU32::new(1);

/// A new database of a running server.
pub(crate) struct Database {
    pub(crate) client: Client,
    pub(crate) name: String,
    pub(crate) port: u16,
}

impl Database {
    pub(crate) async fn new(version: Version) -> Self {
        let cluster = {
            let mut clusters = CLUSTERS.lock().await;
            let clusters = clusters.get_or_insert_with(HashMap::new);
            match clusters.get(&version).cloned() {
                Some(cluster) => cluster,
                None => {
                    let cluster = Arc::new(Cluster::start(version, &Options::new()).await.unwrap());
                    let admin = cleave_sandbox::connect(&cluster.url("postgres")).await.unwrap();
                    admin
                        .batch_execute(
                            "create role zoo_reader; create role zoo_writer; create role zoo_app login",
                        )
                        .await
                        .unwrap();
                    clusters.insert(version, Arc::clone(&cluster));
                    cluster
                }
            }
        };
        let name = format!("ddl_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        cluster.create_database(&name).await.unwrap();
        let client = cleave_sandbox::connect(&cluster.url(&name)).await.unwrap();
        Self { client, name, port: cluster.port() }
    }

    pub(crate) async fn zoo(version: Version) -> Self {
        let database = Self::new(version).await;
        database.run(include_str!("zoo.sql")).await;
        database.run("reset search_path").await;
        database
    }

    /// Runs statements one by one and says which one failed.
    pub(crate) async fn all(&self, statements: &[String]) {
        for statement in statements {
            if let Err(error) = self.client.batch_execute(statement).await {
                panic!("{}\n{statement}", describe(&error));
            }
        }
    }

    pub(crate) async fn run(&self, sql: &str) {
        self.all(&[sql.to_owned()]).await;
    }

    /// Runs a file of pg_dump, `COPY ... FROM stdin` with its rows included.
    pub(crate) async fn load(&self, dump: &str) {
        let mut rest = dump;
        while let Some(at) = rest.find(" FROM stdin;\n") {
            let start = rest[..at].rfind('\n').map_or(0, |newline| newline + 1);
            self.run(&rest[..start]).await;
            let end_of_rows = rest.find("\n\\.\n").unwrap();
            let sink = self.client.copy_in(&rest[start..at + " FROM stdin".len()]).await.unwrap();
            let mut sink = std::pin::pin!(sink);
            let rows = &rest[at + " FROM stdin;\n".len()..=end_of_rows];
            sink.send(bytes::Bytes::copy_from_slice(rows.as_bytes())).await.unwrap();
            sink.finish().await.unwrap();
            rest = &rest[end_of_rows + "\n\\.\n".len()..];
        }
        self.run(rest).await;
    }

    /// The SQLSTATE and message of a statement that must fail.
    pub(crate) async fn fails(&self, sql: &str) -> String {
        describe(&self.client.batch_execute(sql).await.unwrap_err())
    }

    pub(crate) async fn text(&self, sql: &str) -> String {
        match self.client.query_one(sql, &[]).await {
            Ok(row) => row.get::<_, Option<String>>(0).unwrap_or_default(),
            Err(error) => panic!("{}\n{sql}", describe(&error)),
        }
    }
}

fn describe(error: &tokio_postgres::Error) -> String {
    error.as_db_error().map_or_else(|| error.to_string(), |e| format!("{} {}", e.code().code(), e.message()))
}
