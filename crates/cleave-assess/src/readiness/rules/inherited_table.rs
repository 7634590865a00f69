//! Plain inheritance.

use crate::readiness::form::{Check, Example, Found, Rule, Severity, Side};
use crate::readiness::ground::Ground;

pub(super) const RULE: Rule = Rule {
    code: "C0832",
    title: "A table inherits from another",
    severity: Severity::Blocker,
    side: Side::Source,
    in_plan: true,
    nouns: ("table inherits", "tables inherit"),
    why: "rows of a child show in its parent, and no stream or bridge can say that of two tables",
    cause: "With plain inheritance (`inherits`, not partitions) a query of the parent also gives the rows of its \
        children. A stream knows tables one by one, and a bridge leads one name to one table, so after a \
        move the parent would show fewer rows, or rows twice.",
    fix: "Make the parent a partitioned table, or cut the inheritance and read the tables together through a \
        view:\n\n\
        ```sql\n\
        alter table public.invoice no inherit public.document;\n\
        ```",
    bad: Example::Sql(
        r"create table document (id int primary key, made_at timestamptz);
create table invoice (total numeric) inherits (document);",
    ),
    good: Example::Sql(
        r"create table document (id int, kind text, made_at timestamptz, primary key (id, kind)) partition by list (kind);
create table invoice partition of document for values in ('invoice');",
    ),
    check: Check::One(check),
};

fn check(ground: &Ground<'_>, found: &mut Found) {
    for table in ground.tables() {
        for parent in &table.inherits {
            let cut = format!("alter table {} no inherit {};", table.name.quoted(), parent.quoted());
            found.object(&table.name).detail(format!("of {parent}")).fix(cut);
        }
    }
}
