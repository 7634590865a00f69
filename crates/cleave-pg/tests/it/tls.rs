//! Every `sslmode`, for both kinds of connection, against a server with a certificate of our own authority.

use crate::{
    refusals,
    secure_server::{HOST, PASSWORD, SecureServer},
};
use cleave_pg::Endpoint;
use cleave_sandbox::Version;
use std::{pin::pin, time::Duration};

/// Whether both kinds of connection are encrypted.
async fn encrypted(endpoint: &Endpoint) -> bool {
    let session = cleave_pg::connect(endpoint, "test").await.unwrap();
    let sql = "select ssl from pg_stat_ssl where pid = pg_backend_pid()";
    let sql: bool = session.query_one(sql, &[]).await.unwrap().get(0);
    let replication = cleave_pg::connect_replication(endpoint, "test").await.unwrap();
    assert_eq!(replication.is_encrypted(), sql);
    sql
}

async fn on_every_secure_server<F: Future<Output = ()>>(test: impl Fn(&'static SecureServer) -> F) {
    let runs = Version::ALL.map(|version| {
        let test = &test;
        async move { test(SecureServer::of(version).await).await }
    });
    futures_util::future::join_all(runs).await;
}

#[tokio::test]
async fn every_sslmode_keeps_its_promise() {
    on_every_secure_server(async |server| {
        for (mode, roots, expected) in [
            ("disable", None, false),
            ("allow", None, true),
            ("prefer", None, true),
            ("prefer", Some("wrong.pem"), true),
            ("require", None, true),
            ("require", Some("right.pem"), true),
            ("verify-ca", Some("right.pem"), true),
            ("verify-ca", Some("self.pem"), true),
            ("verify-full", Some("right.pem"), true),
        ] {
            let host = if mode == "verify-full" { HOST } else { "other.example" };
            assert_eq!(encrypted(&server.verifying(host, mode, roots)).await, expected, "{mode} {roots:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_server_that_cannot_prove_who_it_is_is_refused() {
    on_every_secure_server(async |server| {
        for (host, mode, roots, part) in [
            (HOST, "require", "wrong.pem", "does not come from an authority in sslrootcert"),
            (HOST, "verify-ca", "wrong.pem", "does not come from an authority in sslrootcert"),
            (HOST, "verify-full", "wrong.pem", "does not come from an authority in sslrootcert"),
            ("other.example", "verify-full", "right.pem", "does not carry the name other.example"),
            ("127.0.0.1", "verify-full", "right.pem", "does not carry the name 127.0.0.1"),
            (HOST, "verify-ca", "missing.pem", "cannot read"),
            (HOST, "verify-ca", "empty.pem", "no certificate in PEM form"),
        ] {
            for error in refusals(&server.verifying(host, mode, Some(roots))).await {
                assert_eq!(error.code(), "C0105", "{mode} {roots}: {error}");
                assert!(error.to_string().contains(part), "{mode} {roots}: {error}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn scram_binds_to_the_channel_where_that_is_required() {
    on_every_secure_server(async |server| {
        let endpoint = |role: &str, mode: &str| {
            server.endpoint(role, &format!("password='{PASSWORD}' sslmode={mode} channel_binding=require"))
        };
        assert!(encrypted(&endpoint("by_scram", "require")).await);
        // Without TLS there is no channel, and the other ways do not bind.
        for (role, mode) in [("by_scram", "disable"), ("by_md5", "require"), ("by_password", "require")] {
            for error in refusals(&endpoint(role, mode)).await {
                assert_eq!(error.code(), "C0110", "{role} {mode}: {error}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn the_server_may_insist_on_tls_or_on_its_absence() {
    on_every_secure_server(async |server| {
        for (role, expected, refused) in
            [("only_encrypted", true, "disable"), ("never_encrypted", false, "require")]
        {
            let endpoint =
                |mode: &str| server.endpoint(role, &format!("password='{PASSWORD}' sslmode={mode}"));
            assert_eq!(encrypted(&endpoint("prefer")).await, expected, "{role}");
            for error in refusals(&endpoint(refused)).await {
                assert_eq!(error.code(), "C0104", "{role}: {error}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_server_without_tls_is_refused_unless_tls_is_only_preferred() {
    let cluster = cleave_testkit::server(Version::V14).await.unwrap();
    let endpoint =
        |mode: &str| Endpoint::parse(&format!("{}?sslmode={mode}", cluster.url("postgres"))).unwrap();
    assert!(!encrypted(&endpoint("prefer")).await);
    for error in refusals(&endpoint("require")).await {
        assert_eq!(error.code(), "C0105");
        assert!(error.to_string().contains("switched off"), "{error}");
    }
}

#[tokio::test]
async fn tls_without_negotiation_works_from_17_on() {
    for version in [Version::V17, Version::V18] {
        let options = format!("password='{PASSWORD}' sslmode=require sslnegotiation=direct");
        assert!(encrypted(&SecureServer::of(version).await.endpoint("by_scram", &options)).await);
    }
}

#[tokio::test]
async fn a_statement_is_cancelled_over_tls() {
    let endpoint = SecureServer::of(Version::V16).await.verifying(HOST, "verify-full", Some("right.pem"));
    let session = cleave_pg::connect(&endpoint, "test").await.unwrap();
    let canceller = session.canceller();
    let mut sleep = pin!(session.batch_execute("select pg_sleep(60)"));
    let outcome = loop {
        // A request that comes before the statement cancels nothing: ask again.
        match tokio::time::timeout(Duration::from_millis(50), &mut sleep).await {
            Ok(outcome) => break outcome,
            Err(_) => canceller.cancel().await.unwrap(),
        }
    };
    assert_eq!(outcome.unwrap_err().code().unwrap().code(), "57014");
}
