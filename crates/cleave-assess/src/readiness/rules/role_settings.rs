//! Settings of roles and databases.

use crate::readiness::form::{Check, Example, Found, Rule, Severity, Side};
use crate::readiness::ground::Ground;
use std::collections::{BTreeMap, BTreeSet};

pub(super) const RULE: Rule = Rule {
    code: "C0884",
    title: "Roles have settings of their own here",
    severity: Severity::Note,
    side: Side::Source,
    in_plan: false,
    nouns: ("role or database has settings of its own", "roles and databases have settings of their own"),
    why: "they belong to this server and are not carried: sessions at the new home start without them",
    cause: "`alter role ... set` and `alter database ... set` change how sessions begin: which schemas they \
        search, their time zone, their limits. A service's applications that come to the new home have \
        whatever is set there. The names of settings are shown, not their values.",
    fix: "Set at the new home what the applications rely on:\n\n\
        ```sql\n\
        alter role shop_app in database films set timezone = 'Europe/Vienna';\n\
        ```",
    bad: Example::Sql(
        r"do $$ begin execute format('alter database %I set timezone = %L', current_database(), 'Europe/Vienna'); end $$;",
    ),
    good: Example::Sql(r"create table film (id int primary key);"),
    check: Check::One(check),
};

fn check(ground: &Ground<'_>, found: &mut Found) {
    let own = ground.catalog().facts.role.as_str();
    let mut settings = BTreeMap::<&str, BTreeSet<&str>>::new();
    for setting in
        ground.instance().role_settings.iter().filter(|setting| setting.role.as_deref() != Some(own))
    {
        // What a role has everywhere, on a server with many databases, says nothing about this one.
        if setting.in_database || setting.role.is_some() {
            settings
                .entry(setting.role.as_deref().unwrap_or("this database"))
                .or_default()
                .insert(&setting.name);
        }
    }
    for (whose, names) in settings {
        found.object(whose).detail(names.into_iter().collect::<Vec<_>>().join(", "));
    }
}
