//! Defaults that name a relation by text.

use crate::readiness::form::{Check, Example, Found, Rule, Severity, Side};
use crate::readiness::ground::Ground;

pub(super) const RULE: Rule = Rule {
    code: "C0855",
    title: "A default names a sequence by text",
    severity: Severity::Blocker,
    side: Side::Source,
    in_plan: true,
    nouns: ("default names a relation by text", "defaults name relations by text"),
    why: "the server does not know that the column needs the sequence, so nothing takes it along",
    cause: "`nextval('order_number'::text)` looks the name up each time it runs. PostgreSQL keeps no dependency \
        of such a default, so the sequence is not known to belong to the table, and the name means something \
        else in the new home's schema.",
    fix: "Name it as a relation, which is looked up once and kept when things are renamed:\n\n\
        ```sql\n\
        alter table public.orders alter column number set default nextval('order_number'::regclass);\n\
        ```",
    bad: Example::Sql(
        r"create sequence order_number;
create table orders (id int primary key, number bigint default nextval('order_number'::text));",
    ),
    good: Example::Sql(
        r"create sequence order_number;
create table orders (id int primary key, number bigint default nextval('order_number'::regclass));",
    ),
    check: Check::One(check),
};

fn check(ground: &Ground<'_>, found: &mut Found) {
    for table in ground.tables() {
        for column in &table.columns {
            let Some(default) = column.default.as_deref().filter(|text| text.contains("::text)::regclass"))
            else {
                continue;
            };
            let fix = format!(
                "alter table {} alter column {} set default {};",
                table.name.quoted(),
                column.name.quoted(),
                default.replace("(('", "('").replace("'::text)::regclass", "'::regclass")
            );
            found.object(format!("{}.{}", table.name, column.name)).fix(fix);
        }
    }
}
