//! Every `sslmode`, for both kinds of connection, against a server with a certificate of our own authority.

use crate::refusals;
use cleave_pg::Endpoint;
use cleave_sandbox::{Cluster, Options, Version};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

const HOST: &str = "db.example";

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// Certificate and key, as PEM.
    fn issue(&self, host: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([host.to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }
}

/// A server with TLS, the file with its authority, and one with another authority of the same name.
struct Server {
    cluster: Cluster,
    folder: TempDir,
}

impl Server {
    async fn start(version: Version, options: Options) -> Self {
        let authority = Authority::new();
        let (certificate, key) = authority.issue(HOST);
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("right.pem"), &authority.pem).unwrap();
        std::fs::write(folder.path().join("wrong.pem"), Authority::new().pem).unwrap();
        std::fs::write(folder.path().join("self.pem"), &certificate).unwrap();
        std::fs::write(folder.path().join("empty.pem"), "").unwrap();
        let cluster = Cluster::start(version, &options.tls(certificate, key)).await.unwrap();
        Self { cluster, folder }
    }

    /// As role `films_svc`, whose password SCRAM checks.
    fn endpoint(&self, host: &str, mode: &str, roots: Option<&str>) -> Endpoint {
        let roots = roots.map(|file| format!("sslrootcert='{}'", self.folder.path().join(file).display()));
        let text = format!(
            "host={host} hostaddr=127.0.0.1 port={} dbname=postgres user=films_svc password=secret sslmode={mode} {}",
            self.cluster.port(),
            roots.unwrap_or_default()
        );
        Endpoint::parse(&text).unwrap()
    }

    async fn create_role(&self) {
        let endpoint = Endpoint::parse(&self.cluster.socket_url("postgres")).unwrap();
        let admin = cleave_pg::connect(&endpoint, "test").await.unwrap();
        let sql = "create role films_svc login replication password 'secret'";
        admin.batch_execute(sql).await.unwrap();
    }
}

/// Whether both kinds of connection are encrypted.
async fn encrypted(endpoint: &Endpoint) -> bool {
    let session = cleave_pg::connect(endpoint, "test").await.unwrap();
    let sql = "select ssl from pg_stat_ssl where pid = pg_backend_pid()";
    let sql: bool = session.query_one(sql, &[]).await.unwrap().get(0);
    let replication = cleave_pg::connect_replication(endpoint, "test").await.unwrap();
    assert_eq!(replication.is_encrypted(), sql);
    sql
}

async fn all<F: Future<Output = ()>>(run: impl Fn(Version) -> F) {
    futures_util::future::join_all(Version::ALL.map(run)).await;
}

#[tokio::test]
async fn every_sslmode_keeps_its_promise() {
    all(async |version| {
        let server = Server::start(version, Options::new()).await;
        server.create_role().await;
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
            assert_eq!(encrypted(&server.endpoint(host, mode, roots)).await, expected, "{mode} {roots:?}");
        }
        for (host, mode, roots, part) in [
            (HOST, "require", "wrong.pem", "does not come from an authority in sslrootcert"),
            (HOST, "verify-ca", "wrong.pem", "does not come from an authority in sslrootcert"),
            (HOST, "verify-full", "wrong.pem", "does not come from an authority in sslrootcert"),
            ("other.example", "verify-full", "right.pem", "does not carry the name other.example"),
            ("127.0.0.1", "verify-full", "right.pem", "does not carry the name 127.0.0.1"),
            (HOST, "verify-ca", "missing.pem", "cannot read"),
            (HOST, "verify-ca", "empty.pem", "no certificate in PEM form"),
        ] {
            for error in refusals(&server.endpoint(host, mode, Some(roots))).await {
                assert_eq!(error.code(), "C0105", "{mode} {roots}: {error}");
                assert!(error.to_string().contains(part), "{mode} {roots}: {error}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn scram_binds_to_the_channel_where_that_is_required() {
    all(async |version| {
        let server = Server::start(version, Options::new()).await;
        server.create_role().await;
        let endpoint = |mode: &str| {
            let text = format!(
                "host=127.0.0.1 port={} dbname=postgres user=films_svc password=secret sslmode={mode} \
                 channel_binding=require",
                server.cluster.port()
            );
            Endpoint::parse(&text).unwrap()
        };
        assert!(encrypted(&endpoint("require")).await);
        for error in refusals(&endpoint("disable")).await {
            assert_eq!(error.code(), "C0110", "{error}");
        }
    })
    .await;
}

#[tokio::test]
async fn the_server_may_insist_on_tls_or_on_its_absence() {
    all(async |version| {
        let only_tls = Options::new().access_rule("hostnossl all films_svc 127.0.0.1/32 reject");
        let server = Server::start(version, only_tls).await;
        server.create_role().await;
        assert!(encrypted(&server.endpoint(HOST, "prefer", None)).await);
        for error in refusals(&server.endpoint(HOST, "disable", None)).await {
            assert_eq!(error.code(), "C0104", "{error}");
        }
        let no_tls = Options::new().access_rule("hostssl all films_svc 127.0.0.1/32 reject");
        let server = Server::start(version, no_tls).await;
        server.create_role().await;
        assert!(!encrypted(&server.endpoint(HOST, "prefer", None)).await);
        for error in refusals(&server.endpoint(HOST, "require", None)).await {
            assert_eq!(error.code(), "C0104", "{error}");
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
        let server = Server::start(version, Options::new()).await;
        server.create_role().await;
        let text = format!(
            "host=127.0.0.1 port={} dbname=postgres user=films_svc password=secret sslmode=require \
             sslnegotiation=direct",
            server.cluster.port()
        );
        assert!(encrypted(&Endpoint::parse(&text).unwrap()).await);
    }
}

#[tokio::test]
async fn a_statement_is_cancelled_over_tls() {
    let server = Server::start(Version::V16, Options::new()).await;
    server.create_role().await;
    let endpoint = server.endpoint(HOST, "verify-full", Some("right.pem"));
    let session = cleave_pg::connect(&endpoint, "test").await.unwrap();
    let canceller = session.canceller();
    let mut sleep = std::pin::pin!(session.batch_execute("select pg_sleep(60)"));
    let outcome = loop {
        // A request that comes before the statement cancels nothing: ask again.
        match tokio::time::timeout(std::time::Duration::from_millis(50), &mut sleep).await {
            Ok(outcome) => break outcome,
            Err(_) => canceller.cancel().await.unwrap(),
        }
    };
    assert_eq!(outcome.unwrap_err().code().unwrap().code(), "57014");
}
