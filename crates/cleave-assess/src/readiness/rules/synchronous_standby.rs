//! Commits that wait for standbys.

use crate::readiness::form::{Check, Example, Found, Rule, Severity, Side};
use crate::readiness::ground::Ground;

pub(super) const RULE: Rule = Rule {
    code: "C0876",
    title: "Commits wait for a standby",
    severity: Severity::Blocker,
    side: Side::Either,
    in_plan: false,
    nouns: ("", ""),
    why: "each transaction of a stream and of the switch waits for it; without a standby they wait for ever",
    cause: "With `synchronous_standby_names` a commit is acknowledged when standbys have it. That costs every \
        transaction a round trip: streams put many source transactions into one of their own, so they keep \
        up, but the pause of a switch is longer by it. If no synchronous standby is connected, commits hang \
        until one is; that is the blocker, the other is a note.",
    fix: "See that the standby is connected (`pg_stat_replication`), or do not wait for one:\n\n\
        ```sql\n\
        alter system set synchronous_standby_names = ''; select pg_reload_conf();\n\
        ```",
    bad: Example::Observed(
        "synchronous_standby_names = 'standby_1', and no synchronous standby is connected",
        "",
        |observed| {
            observed.instance.settings.insert("synchronous_standby_names".into(), "standby_1".into());
            observed.instance.standbys.clear();
        },
    ),
    good: Example::Observed("synchronous_standby_names = ''", "", |observed| {
        observed.instance.settings.insert("synchronous_standby_names".into(), "".into());
    }),
    check: Check::One(check),
};

fn check(ground: &Ground<'_>, found: &mut Found) {
    let Some(names) =
        ground.instance().setting("synchronous_standby_names").filter(|names| !names.is_empty())
    else {
        return;
    };
    let connected =
        ground.instance().standbys.iter().any(|s| matches!(s.sync_state.as_str(), "sync" | "quorum"));
    if connected {
        let seen = format!("commits wait for {names}");
        found.sentence(seen).about("synchronous_standby_names").weighs(Severity::Note);
    } else {
        let seen = format!("commits wait for {names}, and no synchronous standby is to be seen");
        let fix = "alter system set synchronous_standby_names = ''; select pg_reload_conf();";
        found.sentence(seen).about("synchronous_standby_names").fix(fix);
    }
}
