//! One cluster per version with TLS and with roles that the server lets in by different ways.

use cleave_pg::Endpoint;
use cleave_sandbox::{Cluster, Options, Version};
use cleave_testkit::Certificates;
use tokio::sync::OnceCell;

/// The name in the server's certificate.
pub(crate) const HOST: &str = "db.example";
pub(crate) const PASSWORD: &str = "pä ss";

/// Lines of `pg_hba.conf`, each for a role of its own.
const RULES: [&str; 4] = [
    "host all by_md5 127.0.0.1/32 md5",
    "host all by_password 127.0.0.1/32 password",
    "hostnossl all only_encrypted 127.0.0.1/32 reject",
    "hostssl all never_encrypted 127.0.0.1/32 reject",
];
const ROLES: [&str; 5] = ["by_scram", "by_md5", "by_password", "only_encrypted", "never_encrypted"];

/// The cluster, and in its data folder the certificates that a client may be told to trust.
pub(crate) struct SecureServer {
    cluster: Cluster,
}

impl SecureServer {
    /// Never dropped, as statics are not: the cluster's watchdog cleans up when the process has ended.
    pub(crate) async fn of(version: Version) -> &'static Self {
        static SERVERS: [OnceCell<SecureServer>; Version::ALL.len()] =
            [const { OnceCell::const_new() }; Version::ALL.len()];
        let at = Version::ALL.iter().position(|known| *known == version).unwrap();
        SERVERS[at].get_or_init(|| Self::start(version)).await
    }

    async fn start(version: Version) -> Self {
        let right = Certificates::for_hosts(&[HOST]).unwrap();
        let wrong = Certificates::for_hosts(&[HOST]).unwrap();
        let options = RULES.into_iter().fold(Options::new(), Options::access_rule);
        let options = options.tls(right.certificate.as_str(), right.key.as_str());
        let server = Self { cluster: Cluster::start(version, &options).await.unwrap() };
        let files = [
            ("right.pem", right.authority.as_str()),
            ("wrong.pem", wrong.authority.as_str()),
            ("self.pem", right.certificate.as_str()),
            ("empty.pem", ""),
        ];
        for (name, text) in files {
            std::fs::write(server.cluster.data_dir().join(name), text).unwrap();
        }
        let admin = cleave_pg::connect(&server.superuser(), "test").await.unwrap();
        for role in ROLES {
            let encryption = if role == "by_md5" { "md5" } else { "scram-sha-256" };
            let sql = format!(
                "set password_encryption = '{encryption}';
                 create role {role} login replication password '{PASSWORD}'"
            );
            admin.batch_execute(&sql).await.unwrap();
        }
        server
    }

    pub(crate) fn superuser(&self) -> Endpoint {
        Endpoint::parse(&self.cluster.socket_url("postgres")).unwrap()
    }

    /// A role's endpoint, with more options.
    pub(crate) fn endpoint(&self, role: &str, options: &str) -> Endpoint {
        let port = self.cluster.port();
        let text = format!("hostaddr=127.0.0.1 port={port} dbname=postgres user={role} {options}");
        Endpoint::parse(&text).unwrap()
    }

    /// Role `by_scram` at a host of that name.
    pub(crate) fn verifying(&self, host: &str, mode: &str, roots: Option<&str>) -> Endpoint {
        let file = |name: &str| format!("sslrootcert='{}'", self.cluster.data_dir().join(name).display());
        let roots = roots.map(file).unwrap_or_default();
        self.endpoint("by_scram", &format!("host={host} password='{PASSWORD}' sslmode={mode} {roots}"))
    }
}
