//! Functions in other languages than SQL and PL/pgSQL.

use crate::readiness::form::{Check, Example, Found, Rule, Severity, Side};
use crate::readiness::ground::Ground;
use crate::readiness::ground::function_name;

pub(super) const RULE: Rule = Rule {
    code: "C0865",
    title: "A function is written in another language",
    severity: Severity::Blocker,
    side: Side::Source,
    in_plan: false,
    nouns: ("function is written in another language", "functions are written in other languages"),
    why: "the language, and all that the function loads, has to be on the new home's server",
    cause: "A function in C is code of a library on this server's machine: a move that has to carry it is \
        refused. One in a language of an extension (plpython3u, plperl, plv8) is carried if that extension \
        is in the new home's database; what it imports or reads on the machine has to be there too. \
        Languages marked as untrusted are offered by few managed services.",
    fix: "Create the language at the new home, or write the function in PL/pgSQL:\n\n\
        ```sql\n\
        create extension plperl;\n\
        ```",
    bad: Example::Sql(
        r"create function increment(int) returns int language c strict as '$libdir/refint', 'check_primary_key';",
    ),
    good: Example::Sql(r"create function increment(n int) returns int language sql as 'select n + 1';"),
    check: Check::One(check),
};

fn check(ground: &Ground<'_>, found: &mut Found) {
    for (function, _) in ground.functions() {
        let severity = match function.language.as_str() {
            "sql" | "plpgsql" | "internal" => continue,
            "c" => Severity::Blocker,
            _ => Severity::Warning,
        };
        found.object(function_name(function)).detail(&function.language).weighs(severity);
    }
}
