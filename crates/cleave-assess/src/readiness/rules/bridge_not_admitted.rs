//! `pg_hba.conf` of the new home and the bridge.

use crate::readiness::form::{Check, Example, Found, Rule, Severity, Side};
use crate::readiness::ground::Ground;
use cleave_model::instance::HostRule;
use cleave_model::quote_ident;

pub(super) const RULE: Rule = Rule {
    code: "C0890",
    title: "No line of `pg_hba.conf` admits a new role over the network",
    severity: Severity::Warning,
    side: Side::Target,
    in_plan: false,
    nouns: ("", ""),
    why: "the old home's server logs in here as the bridge's role, and would be turned away",
    cause: "The bridge is a connection from the old home's server to the new home's, as a role that Cleave makes \
        (`cleave_<service>_bridge`) with a password of its own. `pg_hba.conf` of the new home has no line \
        over the network that takes a role it does not know by name and lets it in with a password. The \
        first line that fits decides, so the new one must stand above any that rejects.",
    fix: "Add a line with the address of the old home's server, then reload:\n\n\
        ```text\n\
        hostssl films cleave_films_bridge 10.0.0.7/32 scram-sha-256\n\
        ```",
    bad: Example::Observed(
        "host all shop_app 10.0.0.0/8 scram-sha-256 is the only line for the network",
        "",
        |observed| {
            let rule = HostRule {
                kind: "host".into(),
                databases: vec!["all".into()],
                roles: vec!["shop_app".into()],
                method: "scram-sha-256".into(),
                ..HostRule::default()
            };
            observed.instance.host_rules = Some(vec![rule]);
        },
    ),
    good: Example::Observed("host all all 10.0.0.0/8 scram-sha-256", "", |observed| {
        let rule = HostRule {
            kind: "host".into(),
            databases: vec!["all".into()],
            roles: vec!["all".into()],
            method: "scram-sha-256".into(),
            ..HostRule::default()
        };
        observed.instance.host_rules = Some(vec![rule]);
    }),
    check: Check::One(check),
};

fn check(ground: &Ground<'_>, found: &mut Found) {
    let Some(rules) = ground.instance().host_rules.as_ref() else { return };
    let database = ground.catalog().facts.database.as_str();
    let admits = |rule: &HostRule| {
        let role = |role: &String| {
            role == "all" || role.starts_with("cleave_") || role.starts_with('/') || role.starts_with('+')
        };
        rule.kind.starts_with("host")
            && rule.databases.iter().any(|name| name == "all" || name == database || name.starts_with('/'))
            && rule.roles.iter().any(role)
            && !matches!(rule.method.as_str(), "reject" | "cert" | "peer" | "ident")
    };
    if !rules.iter().any(admits) {
        let database = quote_ident(database);
        let fix = format!(
            "-- in pg_hba.conf: hostssl {database} all ADDRESS/32 scram-sha-256\nselect pg_reload_conf();"
        );
        found
            .sentence("no line of pg_hba.conf lets a role that it does not name in over the network")
            .fix(fix);
    }
}
