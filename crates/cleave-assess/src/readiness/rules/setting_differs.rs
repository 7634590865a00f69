//! Settings that change what statements mean.

use crate::readiness::form::{Check, Example, Found, Rule, Severity, Side};
use crate::readiness::ground::Ground;
use cleave_model::{quote_ident, quote_literal};

pub(super) const RULE: Rule = Rule {
    code: "C0898",
    title: "Settings that change what statements mean differ",
    severity: Severity::Warning,
    side: Side::Pair,
    in_plan: false,
    nouns: ("setting differs", "settings differ"),
    why: "the same statement may mean or print something else at the new home",
    cause: "Some settings decide how a text is read as a date, which zone a time without one is in, whether a \
        backslash is special, how money is read. Applications that send the same statements to the new home \
        get other answers there. Cleave's own sessions pin what matters to them, and so does a bridge. \
        Settings of roles count too: the finding compares what a new session of Cleave's role has.",
    fix: "Set the same at the new home, for the database:\n\n\
        ```sql\n\
        alter database films set timezone = 'Europe/Vienna';\n\
        ```",
    bad: Example::Pair("timezone is Europe/Vienna here and UTC there", "", |source, target| {
        source.instance.settings.insert("TimeZone".into(), "Europe/Vienna".into());
        target.instance.settings.insert("TimeZone".into(), "UTC".into());
    }),
    good: Example::Pair("timezone is UTC on both", "", |source, target| {
        target.instance.settings = source.instance.settings.clone();
    }),
    check: Check::Two(check),
};

fn check(source: &Ground<'_>, target: &Ground<'_>, found: &mut Found) {
    const MEANING: [&str; 12] = [
        "TimeZone",
        "DateStyle",
        "IntervalStyle",
        "standard_conforming_strings",
        "backslash_quote",
        "lc_monetary",
        "lc_numeric",
        "default_text_search_config",
        "xmloption",
        "array_nulls",
        "transform_null_equals",
        "row_security",
    ];
    let database = quote_ident(&target.catalog().facts.database);
    for name in MEANING {
        let (here, there) = (source.instance().setting(name), target.instance().setting(name));
        if let (Some(here), Some(there)) = (here, there)
            && here != there
        {
            let fix = format!("alter database {database} set {name} = {};", quote_literal(here));
            found.object(name).detail(format!("{here} here, {there} there")).fix(fix);
        }
    }
}
