//! A cluster's life: start, databases, roles, stop, restart, end.

use cleave_sandbox::{Cluster, Error, Options, StopMode, Version, connect};
use futures_util::future::join_all;

async fn shown(cluster: &Cluster, setting: &str) -> String {
    let client = connect(&cluster.url("postgres")).await.unwrap();
    client.query_one(&format!("show {setting}"), &[]).await.unwrap().get(0)
}

async fn start_all() -> Vec<Cluster> {
    let starts = Version::ALL.map(|version| async move {
        Cluster::start(version, &Options::new()).await.unwrap_or_else(|error| panic!("{error}"))
    });
    join_all(starts).await
}

#[tokio::test]
async fn every_version_starts_ready_for_logical_replication() {
    for cluster in start_all().await {
        let number: u32 = shown(&cluster, "server_version_num").await.parse().unwrap();
        assert_eq!(number / 10_000, cluster.version().major());
        assert_eq!(shown(&cluster, "wal_level").await, "logical");
        assert_eq!(shown(&cluster, "max_replication_slots").await, "120");
        assert_eq!(shown(&cluster, "max_wal_senders").await, "40");
        assert_eq!(shown(&cluster, "server_encoding").await, "UTF8");
        assert_eq!(shown(&cluster, "fsync").await, "off");

        cluster.create_database("a \"quoted\" name").await.unwrap();
        for url in [cluster.url("a \"quoted\" name"), cluster.socket_url("a \"quoted\" name")] {
            let client = connect(&url).await.unwrap();
            let name: String = client.query_one("select current_database()", &[]).await.unwrap().get(0);
            assert_eq!(name, "a \"quoted\" name");
        }
    }
}

#[tokio::test]
async fn two_clusters_of_a_version_are_different_systems() {
    let options = Options::new();
    let (one, two) =
        tokio::join!(Cluster::start(Version::V16, &options), Cluster::start(Version::V16, &options));
    let mut identifiers = Vec::new();
    for cluster in [one.unwrap(), two.unwrap()] {
        let client = connect(&cluster.url("postgres")).await.unwrap();
        let sql = "select system_identifier from pg_control_system()";
        identifiers.push(client.query_one(sql, &[]).await.unwrap().get::<_, i64>(0));
    }
    assert_ne!(identifiers[0], identifiers[1]);
}

#[tokio::test]
async fn a_role_is_asked_for_its_password_over_tcp() {
    let cluster = Cluster::start(Version::V14, &Options::new()).await.unwrap();
    let client = connect(&cluster.url("postgres")).await.unwrap();
    client.batch_execute("create role films_svc login password 'right'").await.unwrap();
    connect(&cluster.url_as("films_svc", "right", "postgres")).await.unwrap();
    let Err(Error::Connect { place, source }) =
        connect(&cluster.url_as("films_svc", "wrong", "postgres")).await
    else {
        panic!("the wrong password was accepted");
    };
    assert_eq!(source.code().unwrap().code(), "28P01");
    assert!(!place.contains("wrong"), "{place}");
}

#[tokio::test]
async fn the_superuser_can_have_a_password_too() {
    let cluster = Cluster::start(Version::V18, &Options::new().superuser_password()).await.unwrap();
    connect(&cluster.url("postgres")).await.unwrap();
    connect(&cluster.socket_url("postgres")).await.unwrap();
    let without = format!("postgres://postgres@127.0.0.1:{}/postgres", cluster.port());
    assert!(matches!(connect(&without).await, Err(Error::Connect { .. })));
}

#[tokio::test]
async fn data_and_port_survive_every_way_to_stop() {
    for cluster in start_all().await {
        let port = cluster.port();
        let client = connect(&cluster.url("postgres")).await.unwrap();
        client.batch_execute("create table kept (id int)").await.unwrap();
        drop(client);
        for mode in [StopMode::Smart, StopMode::Fast, StopMode::Immediate] {
            cluster.stop(mode).await.unwrap();
            assert_eq!(cluster.server_pid(), None);
            assert!(matches!(connect(&cluster.url("postgres")).await, Err(Error::Connect { .. })));
            cluster.restart().await.unwrap();
            let client = connect(&cluster.url("postgres")).await.unwrap();
            client.execute("insert into kept values (1)", &[]).await.unwrap();
        }
        assert_eq!(cluster.port(), port);
        let client = connect(&cluster.url("postgres")).await.unwrap();
        let rows: i64 = client.query_one("select count(*) from kept", &[]).await.unwrap().get(0);
        assert_eq!(rows, 3);
    }
}

#[tokio::test]
async fn settings_can_be_chosen_and_changed() {
    let options = Options::new().setting("wal_level", "replica").setting("max_connections", "30").durable();
    let cluster = Cluster::start(Version::V17, &options).await.unwrap();
    assert_eq!(shown(&cluster, "wal_level").await, "replica");
    assert_eq!(shown(&cluster, "fsync").await, "on");
    cluster.configure(&[("max_connections", "40"), ("application_name", "it's \\ here")]).unwrap();
    cluster.restart().await.unwrap();
    assert_eq!(shown(&cluster, "max_connections").await, "40");
    assert_eq!(shown(&cluster, "application_name").await, "it's \\ here");
}

#[tokio::test]
async fn an_access_rule_comes_before_the_others() {
    let options = Options::new().access_rule("host replication all 127.0.0.1/32 reject");
    let cluster = Cluster::start(Version::V15, &options).await.unwrap();
    let client = connect(&cluster.url("postgres")).await.unwrap();
    let sql = "select auth_method from pg_hba_file_rules order by line_number limit 1";
    assert_eq!(client.query_one(sql, &[]).await.unwrap().get::<_, String>(0), "reject");
}

#[tokio::test]
async fn a_server_that_cannot_start_says_why() {
    let options = Options::new().setting("shared_buffers", "nonsense");
    let error = Cluster::start(Version::V16, &options).await.unwrap_err();
    assert!(matches!(error, Error::Ended { .. }), "{error:?}");
    assert!(error.to_string().contains("invalid value for parameter \"shared_buffers\""), "{error}");
}

#[tokio::test]
async fn a_database_in_use_by_a_session_and_a_slot_can_be_dropped() {
    for cluster in start_all().await {
        cluster.create_database("films").await.unwrap();
        let client = connect(&cluster.url("films")).await.unwrap();
        let slot = "select pg_create_logical_replication_slot('films_slot', 'pgoutput')";
        client.query_one(slot, &[]).await.unwrap();
        cluster.drop_database("films").await.unwrap();
        cluster.drop_database("films").await.unwrap();
        assert!(matches!(connect(&cluster.url("films")).await, Err(Error::Connect { .. })));
    }
}

#[tokio::test]
async fn nothing_is_left_of_a_dropped_cluster() {
    for cluster in start_all().await {
        let folder = cluster.data_dir().parent().unwrap().to_path_buf();
        let pid = cluster.server_pid().unwrap();
        assert!(folder.exists());
        drop(cluster);
        assert!(!folder.exists());
        assert!(!folder.with_extension("gone").exists());
        assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    }
}
