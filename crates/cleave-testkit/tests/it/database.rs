//! Shared clusters and databases of one's own.

use cleave_sandbox::{Version, connect};
use cleave_testkit::{TestDatabase, server, servers};

#[tokio::test]
async fn tests_share_the_cluster_of_a_version() {
    let clusters = servers(&Version::ALL).await.unwrap();
    for (cluster, version) in clusters.into_iter().zip(Version::ALL) {
        assert_eq!(cluster.version(), version);
        assert!(std::ptr::eq(cluster, server(version).await.unwrap()));
    }
}

/// Two tests with runtimes of their own use one cluster, and each has a database of its own.
async fn check_database_is_empty_and_dropped(version: Version) {
    let database =
        TestDatabase::create(version, "A hint: with (odd) characters, and far too long for a name").await;
    let database = database.unwrap();
    let (name, cluster) = (database.name().to_owned(), database.cluster());
    assert!(name.starts_with("a_hint__with__odd__characters"), "{name}");
    let client = database.connect().await.unwrap();
    client.batch_execute("create table film (id int primary key)").await.unwrap();
    let slot = format!("select pg_create_logical_replication_slot('{name}', 'pgoutput')");
    client.query_one(&slot, &[]).await.unwrap();

    drop(database);
    let observer = connect(&cluster.url("postgres")).await.unwrap();
    let left = "select (select count(*) from pg_database where datname = $1) \
                     + (select count(*) from pg_replication_slots where database = $1)";
    assert_eq!(observer.query_one(left, &[&name]).await.unwrap().get::<_, i64>(0), 0);
    assert!(client.query_one("select 1", &[]).await.is_err());
}

#[tokio::test]
async fn a_database_is_dropped_with_its_sessions_and_slots_on_14() {
    check_database_is_empty_and_dropped(Version::V14).await;
}

#[tokio::test]
async fn a_database_is_dropped_with_its_sessions_and_slots_on_15() {
    check_database_is_empty_and_dropped(Version::V15).await;
}

#[tokio::test]
async fn a_database_is_dropped_with_its_sessions_and_slots_on_16() {
    check_database_is_empty_and_dropped(Version::V16).await;
}

#[tokio::test]
async fn a_database_is_dropped_with_its_sessions_and_slots_on_17() {
    check_database_is_empty_and_dropped(Version::V17).await;
}

#[tokio::test]
async fn a_database_is_dropped_with_its_sessions_and_slots_on_18() {
    check_database_is_empty_and_dropped(Version::V18).await;
}
