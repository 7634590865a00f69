//! Sequences that several tables read.

use crate::readiness::form::{Check, Example, Found, Rule, Severity, Side};
use crate::readiness::ground::Ground;

pub(super) const RULE: Rule = Rule {
    code: "C0857",
    title: "Several tables read one sequence",
    severity: Severity::Warning,
    side: Side::Source,
    in_plan: true,
    nouns: ("sequence is shared", "sequences are shared"),
    why: "a sequence is in one database: its tables move together, or get sequences of their own",
    cause: "Numbers from one sequence are unique over all tables that read it. When one of them moves and \
        another stays, each side would count by itself and give the same number twice. The plan refuses a \
        service that takes only some of them.",
    fix: "Claim all of them for one service, or give each a sequence of its own, far enough from the others:\n\n\
        ```sql\n\
        create sequence public.refund_number start 1000000000 owned by public.refund.number;\n\
        alter table public.refund alter column number set default nextval('public.refund_number');\n\
        ```",
    bad: Example::Sql(
        r"create sequence number;
create table invoice (id int primary key, number bigint default nextval('number'));
create table refund (id int primary key, number bigint default nextval('number'));",
    ),
    good: Example::Sql(
        r"create table invoice (id int primary key, number bigserial);
create table refund (id int primary key, number bigserial);",
    ),
    check: Check::One(check),
};

fn check(ground: &Ground<'_>, found: &mut Found) {
    for (sequence, readers) in ground.sequences() {
        if readers.len() > 1 && readers.iter().any(|table| ground.has(table)) {
            let names: Vec<String> = readers.iter().take(3).map(ToString::to_string).collect();
            let more = readers.len().saturating_sub(3);
            let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
            found.object(&sequence.name).detail(format!("read by {}{rest}", names.join(", ")));
        }
    }
}
