//! Policies and functions that read a setting of the session.

use crate::readiness::form::{Check, Example, Found, Rule, Severity, Side};
use crate::readiness::ground::Ground;
use crate::readiness::ground::function_name;

pub(super) const RULE: Rule = Rule {
    code: "C0864",
    title: "Code reads a setting of the application's session",
    severity: Severity::Warning,
    side: Side::Source,
    in_plan: false,
    nouns: ("object reads a setting of the session", "objects read settings of the session"),
    why: "through a bridge the session at the new home is another one, in which nobody has set it",
    cause: "Applications often say who they act for by a setting of their own, as in `set app.tenant = '7'`, and \
        policies, defaults and triggers read it with `current_setting`. The bridge's session at the new home \
        does not have it: with `current_setting(name)` the statement fails, with `current_setting(name, \
        true)` it sees null, and a policy then shows nothing.",
    fix: "Repoint the applications that depend on it before the switch, or pass the value as a column of the \
        statement. For tables with such policies prefer `bridge = \"none\"`.",
    bad: Example::Sql(
        r"create table invoice (id int primary key, tenant int);
alter table invoice enable row level security;
create policy own on invoice using (tenant = current_setting('app.tenant')::int);",
    ),
    good: Example::Sql(
        r"create table invoice (id int primary key, tenant int);
create function days() returns text language sql as $$ select current_setting('datestyle') $$;",
    ),
    check: Check::One(check),
};

fn check(ground: &Ground<'_>, found: &mut Found) {
    for table in ground.tables() {
        for policy in &table.policies {
            let texts = [policy.using.as_deref(), policy.check.as_deref()];
            if let Some(name) = texts.into_iter().flatten().find_map(custom_setting) {
                found.object(format!("policy {} of {}", policy.name, table.name)).detail(name);
            }
        }
        for column in &table.columns {
            if let Some(name) = column.default.as_deref().and_then(custom_setting) {
                found.object(format!("default of {}.{}", table.name, column.name)).detail(name);
            }
        }
    }
    for (function, body) in ground.functions() {
        if let Some(name) = custom_setting(body.text()) {
            found.object(function_name(function)).detail(name);
        }
    }
}

/// The setting that a text reads, if it is not one of the server's: those of applications have a dot in their name.
fn custom_setting(text: &str) -> Option<String> {
    let mut rest = text;
    while let Some(at) = rest.find("current_setting") {
        rest = &rest[at + "current_setting".len()..];
        let argument = rest.trim_start().strip_prefix('(')?.trim_start();
        let name = argument.strip_prefix('\'').and_then(|name| name.split('\'').next());
        if let Some(name) = name.filter(|name| name.contains('.')) {
            return Some(name.to_owned());
        }
    }
    None
}
