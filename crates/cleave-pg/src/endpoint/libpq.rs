//! An endpoint for programs of PostgreSQL, which read it from their environment (manual 34.15): a password is then in no
//! list of processes.

use super::{Endpoint, RootCertificates, Server, SslMode};
use std::ffi::OsString;

impl Endpoint {
    /// The variables that make libpq connect as [`connect`](crate::connect) does. The password is among them.
    pub fn libpq_variables(&self) -> Vec<(&'static str, OsString)> {
        let port = |server: &Server| match server {
            Server::Tcp { port, .. } => port.to_string(),
            Server::Unix { socket } => {
                socket.extension().map_or_else(String::new, |port| port.display().to_string())
            }
        };
        let host = |server: &Server| match server {
            Server::Tcp { name, .. } => name.clone(),
            Server::Unix { socket } => {
                socket.parent().map(|folder| folder.display().to_string()).unwrap_or_default()
            }
        };
        let address = |server: &Server| match server {
            Server::Tcp { address: Some(address), .. } => address.to_string(),
            _ => String::new(),
        };
        let listed =
            |of: &dyn Fn(&Server) -> String| self.servers.iter().map(of).collect::<Vec<_>>().join(",");
        let mode = match self.tls.mode {
            SslMode::Disable => "disable",
            SslMode::Prefer => "prefer",
            SslMode::Require => "require",
            SslMode::VerifyCa => "verify-ca",
            SslMode::VerifyFull => "verify-full",
        };
        let mut variables: Vec<(&'static str, OsString)> = vec![
            ("PGHOST", listed(&host).into()),
            ("PGPORT", listed(&port).into()),
            ("PGUSER", self.user.clone().into()),
            ("PGDATABASE", self.database.clone().into()),
            ("PGSSLMODE", mode.into()),
            ("PGCONNECT_TIMEOUT", self.connect_timeout().as_secs().to_string().into()),
            ("PGAPPNAME", "cleave pg_dump".into()),
        ];
        if self.servers.iter().any(|server| !address(server).is_empty()) {
            variables.push(("PGHOSTADDR", listed(&address).into()));
        }
        if let Some(password) = self.password() {
            variables.push(("PGPASSWORD", String::from_utf8_lossy(password).into_owned().into()));
        }
        match &self.tls.roots {
            RootCertificates::Default => {}
            RootCertificates::System => variables.push(("PGSSLROOTCERT", "system".into())),
            RootCertificates::File(path) => variables.push(("PGSSLROOTCERT", path.into())),
        }
        if let Some((certificate, key)) = &self.tls.client {
            variables.push(("PGSSLCERT", certificate.into()));
            variables.push(("PGSSLKEY", key.into()));
        }
        variables
    }
}

#[cfg(test)]
mod tests {
    use crate::Endpoint;

    #[test]
    fn programs_of_postgresql_connect_as_cleave_does() {
        let check = |url: &str, expected: &[(&str, &str)]| {
            let variables = Endpoint::parse(url).unwrap().libpq_variables();
            for (name, value) in expected {
                let found = variables
                    .iter()
                    .find(|(known, _)| known == name)
                    .map(|(_, value)| value.to_str().unwrap());
                assert_eq!(found, Some(*value), "{name} of {url}");
            }
        };
        check(
            "postgres://app:s%40cret@one:5433,two:5434/shop?sslmode=verify-ca&sslrootcert=/etc/root.pem",
            &[
                ("PGHOST", "one,two"),
                ("PGPORT", "5433,5434"),
                ("PGUSER", "app"),
                ("PGPASSWORD", "s@cret"),
                ("PGDATABASE", "shop"),
                ("PGSSLMODE", "verify-ca"),
                ("PGSSLROOTCERT", "/etc/root.pem"),
            ],
        );
        check(
            "host=/run/postgresql port=5499 user=app",
            &[("PGHOST", "/run/postgresql"), ("PGPORT", "5499")],
        );
    }
}
