//! A hot standby of a cluster.

use cleave_sandbox::{Cluster, Options, StopMode, Version};
use std::time::Duration;
use tokio::time::timeout;

/// A primary that has a standby.
pub(crate) async fn with_standby(
    version: Version,
    primary: &[(&str, &str)],
    standby: &[(&str, &str)],
) -> (Cluster, Cluster) {
    let first = Cluster::start(version, &Options::new()).await.unwrap();
    first.configure(primary).unwrap();
    first.create_database("m").await.unwrap();
    let second = Cluster::start(version, &Options::new()).await.unwrap();
    let own_sockets = second.socket_folder().display().to_string();
    first.stop(StopMode::Fast).await.unwrap();
    second.stop(StopMode::Fast).await.unwrap();
    // A copy of a server that is shut down is a base backup.
    std::fs::remove_dir_all(second.data_dir()).unwrap();
    let copied =
        std::process::Command::new("cp").arg("-a").arg(first.data_dir()).arg(second.data_dir()).status();
    assert!(copied.unwrap().success());
    std::fs::write(second.data_dir().join("standby.signal"), "").unwrap();
    let from = format!(
        "host=127.0.0.1 port={} user=postgres dbname=postgres application_name=standby",
        first.port()
    );
    second.configure(&[("unix_socket_directories", &own_sockets), ("primary_conninfo", &from)]).unwrap();
    second.configure(standby).unwrap();
    first.restart().await.unwrap();
    (first, second)
}

/// Waits until a query says true.
pub(crate) async fn until(client: &tokio_postgres::Client, sql: &str) {
    let seen = timeout(crate::pair::PATIENCE, async {
        while !client.query_one(sql, &[]).await.unwrap().get::<_, bool>(0) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    seen.await.unwrap_or_else(|_| panic!("never: {sql}"));
}
