//! Sequences that no default reads.

use crate::readiness::form::{Check, Example, Found, Rule, Severity, Side};
use crate::readiness::ground::Ground;

pub(super) const RULE: Rule = Rule {
    code: "C0858",
    title: "A sequence is used by name only",
    severity: Severity::Note,
    side: Side::Source,
    in_plan: false,
    nouns: ("sequence is read by no column", "sequences are read by no column"),
    why: "no table takes it along and no bridge leads to it: statements that name it find it only where it \
        stays",
    cause: "Nothing in the catalog says who uses a sequence that no column's default reads: statements and \
        functions name it. It stays where it is. Code that has moved to another database does not reach it.",
    fix: "If a table's numbers come from it, let a default of that table read it, so that the two go together:\n\n\
        ```sql\n\
        alter table public.ticket alter column number set default nextval('public.ticket_number');\n\
        ```",
    bad: Example::Sql(
        r"create sequence ticket_number;
create table ticket (id int primary key, number bigint);",
    ),
    good: Example::Sql(
        r"create sequence ticket_number;
create table ticket (id int primary key, number bigint default nextval('ticket_number'));",
    ),
    check: Check::One(check),
};

fn check(ground: &Ground<'_>, found: &mut Found) {
    for (sequence, readers) in ground.sequences() {
        if readers.is_empty() && sequence.owner_column.is_none() {
            found.object(&sequence.name);
        }
    }
}
