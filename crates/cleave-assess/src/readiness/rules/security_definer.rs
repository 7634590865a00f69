//! SECURITY DEFINER functions.

use crate::readiness::form::{Check, Example, Found, Rule, Severity, Side};
use crate::readiness::ground::Ground;
use crate::readiness::ground::{function_name, routine};

pub(super) const RULE: Rule = Rule {
    code: "C0859",
    title: "A function runs with its owner's rights",
    severity: Severity::Warning,
    side: Side::Source,
    in_plan: false,
    nouns: ("function runs with its owner's rights", "functions run with their owners' rights"),
    why: "its owner has to have the same rights at the new home, and a bridge sees the owner instead of the \
        caller",
    cause: "A SECURITY DEFINER function acts as its owner. When it is carried to a new home the owner has to \
        exist there and to have rights on what the function touches. When it stays and reaches moved tables \
        through a bridge, the user mapping that counts is the owner's. Without a `search_path` of its own a \
        caller can also make it use tables of the caller's: that one weighs as a warning, the others as a \
        note.",
    fix: "Make the owner a role that exists on both sides with the rights it needs, and pin the path:\n\n\
        ```sql\n\
        alter function public.close_account(integer) set search_path = public, pg_temp;\n\
        ```",
    bad: Example::Sql(
        r"create table account (id int primary key, closed bool);
create function close_account(account_id int) returns void language sql security definer
as 'update account set closed = true where id = account_id';",
    ),
    good: Example::Sql(
        r"create table account (id int primary key, closed bool);
create function close_account(account_id int) returns void language sql
as 'update account set closed = true where id = account_id';",
    ),
    check: Check::One(check),
};

fn check(ground: &Ground<'_>, found: &mut Found) {
    for (function, _) in ground.functions().filter(|(function, _)| function.security_definer) {
        let pinned = function.settings.iter().any(|setting| setting.starts_with("search_path="));
        let hit = found.object(function_name(function));
        if pinned {
            hit.weighs(Severity::Note);
        } else {
            let schema = function.name.schema.quoted();
            hit.fix(format!("alter routine {} set search_path = {schema}, pg_temp;", routine(function)));
        }
    }
}
