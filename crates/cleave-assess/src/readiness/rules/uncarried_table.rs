//! Kinds of table that Cleave does not write.

use crate::readiness::form::{Check, Example, Found, Rule, Severity, Side};
use crate::readiness::ground::Ground;

pub(super) const RULE: Rule = Rule {
    code: "C0839",
    title: "A table is of a kind that is not carried",
    severity: Severity::Blocker,
    side: Side::Source,
    in_plan: true,
    nouns: ("table of a kind that is not carried", "tables of kinds that are not carried"),
    why: "Cleave writes tables from the catalog, and refuses by name what it cannot write as it is",
    cause: "A typed table (`create table ... of`) depends on its type for every column. A table of another \
        access method than heap stores its rows in a way that block ranges and frozen copies do not fit. \
        Both are refused by the plan, by name, before anything is made.",
    fix: "Make it a plain table:\n\n\
        ```sql\n\
        alter table public.person not of;\n\
        alter table public.archive set access method heap;\n\
        ```",
    bad: Example::Sql(
        r"create type person_record as (id int, name text);
create table person of person_record (primary key (id));",
    ),
    good: Example::Sql(r"create table person (id int primary key, name text);"),
    check: Check::One(check),
};

fn check(ground: &Ground<'_>, found: &mut Found) {
    for table in ground.tables() {
        let name = table.name.quoted();
        if let Some(of_type) = &table.of_type {
            found
                .object(&table.name)
                .detail(format!("of type {of_type}"))
                .fix(format!("alter table {name} not of;"));
        }
        if let Some(method) = &table.access_method {
            let fix =
                format!("alter table {name} set access method heap; -- 15 and later; rewrites the table");
            found.object(&table.name).detail(format!("access method {method}")).fix(fix);
        }
    }
}
