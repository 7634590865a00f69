//! Publications for all tables.

use crate::readiness::form::{Check, Example, Found, Rule, Severity, Side};
use crate::readiness::ground::Ground;

pub(super) const RULE: Rule = Rule {
    code: "C0870",
    title: "A publication is for all tables",
    severity: Severity::Warning,
    side: Side::Either,
    in_plan: false,
    nouns: ("publication for all tables", "publications for all tables"),
    why: "whoever subscribes to it gets every table that a move makes here, and every copied row",
    cause: "A publication `for all tables` takes in new tables by itself. At a new home its subscribers are sent \
        all rows of the copy, into tables that they may not have. At the old one it already makes updates of \
        tables without a key fail, and it sends what the way back writes.",
    fix: "Name its tables:\n\n\
        ```sql\n\
        alter publication everything owner to current_user; -- only its owner can\n\
        drop publication everything;\n\
        create publication everything for table public.film, public.actor;\n\
        ```",
    bad: Example::Sql(r"create publication everything for all tables;"),
    good: Example::Sql(
        r"create table film (id int primary key);
create publication films for table film;",
    ),
    check: Check::One(check),
};

fn check(ground: &Ground<'_>, found: &mut Found) {
    for publication in ground.catalog().publications.iter().filter(|publication| publication.all_tables) {
        found.object(&publication.name);
    }
}
