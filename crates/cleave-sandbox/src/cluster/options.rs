//! What may be chosen for a cluster, and the configuration files that follow from it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::Version;

/// How a cluster is set up. The default suits tests: `wal_level = logical`, no fsync, the superuser `postgres`
/// without a password, every other role by SCRAM over TCP.
#[derive(Clone, Debug, Default)]
pub struct Options {
    settings: BTreeMap<String, String>,
    access_rules: Vec<String>,
    durable: bool,
    pub(crate) superuser_password: bool,
    pub(crate) tls: Option<Tls>,
    pub(crate) folder: Option<PathBuf>,
}

/// The server's certificate and key, both as PEM text.
#[derive(Clone, Debug)]
pub(crate) struct Tls {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Options {
    /// The default set-up.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a parameter of `postgresql.conf`; it wins over the sandbox's own choice.
    #[must_use]
    pub fn setting(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.insert(name.into(), value.into());
        self
    }

    /// Puts a line before all others of `pg_hba.conf` (manual, section 21.1), such as
    /// `host all all 127.0.0.1/32 reject`.
    #[must_use]
    pub fn access_rule(mut self, line: impl Into<String>) -> Self {
        self.access_rules.push(line.into());
        self
    }

    /// Leaves `fsync` on.
    #[must_use]
    pub fn durable(mut self) -> Self {
        self.durable = true;
        self
    }

    /// Gives the superuser a random password, which [`Cluster::url`](crate::Cluster::url) then contains. Without it,
    /// every user of this machine can be superuser over TCP: good enough for tests only.
    #[must_use]
    pub fn superuser_password(mut self) -> Self {
        self.superuser_password = true;
        self
    }

    /// Offers TLS with this certificate and key, both as PEM text.
    #[must_use]
    pub fn tls(mut self, certificate: impl Into<String>, key: impl Into<String>) -> Self {
        self.tls = Some(Tls { certificate: certificate.into(), key: key.into() });
        self
    }

    /// Puts the cluster's own folder below this one instead of the system's folder for temporary files.
    #[must_use]
    pub fn folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// The lines to append to `postgresql.conf`; the port is given when the server is started.
    pub(crate) fn configuration(&self, version: Version, sockets: &Path) -> String {
        let mut settings: BTreeMap<&str, String> = [
            ("listen_addresses", "127.0.0.1"),
            ("log_line_prefix", "%m [%p] %q%u@%d %a "),
            ("log_timezone", "UTC"),
            ("max_connections", "200"),
            ("max_prepared_transactions", "10"),
            ("max_replication_slots", "120"),
            ("max_wal_senders", "40"),
            ("password_encryption", "scram-sha-256"),
            ("shared_buffers", "32MB"),
            ("timezone", "UTC"),
            ("wal_level", "logical"),
        ]
        .map(|(name, value)| (name, value.to_owned()))
        .into();
        settings.insert("unix_socket_directories", sockets.display().to_string());
        if version >= Version::V18 {
            settings.insert("max_active_replication_origins", "120".to_owned());
        }
        if !self.durable {
            settings.insert("fsync", "off".to_owned());
        }
        if self.tls.is_some() {
            settings.insert("ssl", "on".to_owned());
            settings.insert("ssl_cert_file", "server.crt".to_owned());
            settings.insert("ssl_key_file", "server.key".to_owned());
        }
        for (name, value) in &self.settings {
            settings.insert(name, value.clone());
        }
        lines(settings.iter().map(|(name, value)| (*name, value.as_str())))
    }

    /// The whole of `pg_hba.conf`. The socket's folder is closed to other users, so trust suffices there; over TCP,
    /// only the superuser may come without a password, because `postgres_fdw` lets nobody else use a connection that
    /// did not ask for one.
    pub(crate) fn access(&self) -> String {
        let superuser = if self.superuser_password { "scram-sha-256" } else { "trust" };
        let mut text = self.access_rules.iter().fold(String::new(), |text, line| text + line + "\n");
        for database in ["all", "replication"] {
            text += &format!("local {database} all trust\n");
            text += &format!("host {database} postgres 127.0.0.1/32 {superuser}\n");
            text += &format!("host {database} all 127.0.0.1/32 scram-sha-256\n");
        }
        text
    }
}

/// Lines of `postgresql.conf`; manual, section 20.1.2.
pub(super) fn lines<'a>(settings: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    settings.fold(String::from("\n"), |text, (name, value)| {
        let value = value.replace('\\', "\\\\").replace('\'', "''");
        text + name + " = '" + &value + "'\n"
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chosen_setting_wins_and_is_quoted() {
        let options =
            Options::new().setting("wal_level", "replica").setting("cluster_name", r"it's a \ name");
        let text = options.configuration(Version::V14, Path::new("/tmp/s"));
        assert!(text.contains("wal_level = 'replica'\n"), "{text}");
        assert!(!text.contains("logical"), "{text}");
        assert!(text.contains(r"cluster_name = 'it''s a \\ name'"), "{text}");
    }

    #[test]
    fn origins_have_a_setting_of_their_own_from_18_on() {
        let text = |version| Options::new().configuration(version, Path::new("/tmp/s"));
        assert!(text(Version::V18).contains("max_active_replication_origins = '120'"));
        assert!(!text(Version::V17).contains("max_active_replication_origins"));
    }
}
