//! What a bridge needs of two servers: that the old one reaches the new one, and that the new one has room for it.

use super::capacity::free_connections;
use super::observe::Observed;
use super::sheet::{Noted, Sheet};
use crate::Site;
use cleave_config::Service;
use std::net::IpAddr;

/// Says which address the old home's server will use. Only that server could try it, and it does when the bridge is
/// prepared, before anything is switched.
pub(super) fn endpoint(service: &Service, source: &Site, target: &Site, sheet: &mut Sheet) {
    let endpoint = target.endpoint_seen_from(&source.name);
    let place = format!("{}:{}", endpoint.host(), endpoint.port());
    let object = format!("service {}", service.name);
    let seen = format!("the server of {} will reach {} at {place}", source.name, sheet.database());
    let key = format!("url_from = {{ {} = \"env:...\" }}", source.name);
    sheet.check([match near(&endpoint.host()) && !near(&source.endpoint.host()) {
        true => {
            let why =
                "seen from that server this is its own machine, and the bridge would not find the new home";
            let fix = format!("-- in cleave.toml, [databases] {}: {key}", target.name);
            Noted::error("C0826", seen, why).about(object).fix(fix)
        }
        false => {
            let why = format!("if it needs another address there, say so in cleave.toml with {key}");
            Noted::note("C0826", seen, why).about(object)
        }
    }]);
}

/// True for an address that means the machine itself.
fn near(host: &str) -> bool {
    let loopback = || host.parse().is_ok_and(|address: IpAddr| address.is_loopback());
    host.starts_with('/') || host == "localhost" || loopback()
}

/// Each session of the old home that uses an old name takes a connection at the new one.
pub(super) fn sessions(service: &Service, source: &Observed, target: &Observed, sheet: &mut Sheet) {
    let (sessions, free) = (source.usage.database_sessions, free_connections(target));
    sheet.check((free < sessions).then(|| {
        let seen = format!(
            "{} has {sessions} sessions, and {} connections are free here",
            service.from,
            free.max(0)
        );
        let why = "after the switch every session that uses an old name takes a connection at the new home";
        let max = target.base.instance.number("max_connections").unwrap_or_default();
        let fix = format!(
            "alter system set max_connections = {}; -- then restart the server",
            max + sessions - free.max(0)
        );
        Noted::warning("C0828", seen, why).about(format!("service {}", service.name)).fix(fix)
    }));
}

#[cfg(test)]
mod tests {
    use super::near;

    #[test]
    fn addresses_of_the_machine_itself_are_told_from_others() {
        for host in ["localhost", "127.0.0.1", "127.0.1.1", "::1", "/var/run/postgresql"] {
            assert!(near(host), "{host}");
        }
        for host in ["db1", "10.0.0.7", "localhost.example.com"] {
            assert!(!near(host), "{host}");
        }
    }
}
