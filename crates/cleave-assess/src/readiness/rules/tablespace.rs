//! Tables in a tablespace of their own.

use crate::readiness::form::{Check, Example, Found, Rule, Severity, Side};
use crate::readiness::ground::Ground;
use cleave_model::QualifiedName;

pub(super) const RULE: Rule = Rule {
    code: "C0846",
    title: "A table lies in a tablespace of its own",
    severity: Severity::Note,
    side: Side::Source,
    in_plan: false,
    nouns: ("table lies in a tablespace of its own", "tables lie in tablespaces of their own"),
    why: "tablespaces are directories of one server; at the new home the table lies in the database's own",
    cause: "A tablespace names a directory of the server's machine. The new home is another database, often \
        another machine, so tables are made in its default tablespace. Somebody once had a reason to put \
        this table elsewhere: room, or faster disks.",
    fix: "See that the new home's database lies where there is room (`create database ... tablespace`), or \
        move the table there after the copy:\n\n\
        ```sql\n\
        alter table films.film set tablespace fast;\n\
        ```",
    bad: Example::Observed("table public.film lies in tablespace fast", "", |observed| {
        observed.instance.tablespaces = vec![(QualifiedName::new("public", "film"), "fast".into())];
    }),
    good: Example::Observed("all tables lie in the tablespace of the database", "", |observed| {
        observed.instance.tablespaces.clear();
    }),
    check: Check::One(check),
};

fn check(ground: &Ground<'_>, found: &mut Found) {
    for (table, space) in &ground.instance().tablespaces {
        found.object(table).detail(format!("in {space}"));
    }
}
