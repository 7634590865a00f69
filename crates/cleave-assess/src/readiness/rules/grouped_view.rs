//! Views that stand on a primary key.

use crate::readiness::form::{Check, Example, Found, Rule, Severity, Side};
use crate::readiness::ground::Ground;

pub(super) const RULE: Rule = Rule {
    code: "C0869",
    title: "A view stands on a table's primary key",
    severity: Severity::Warning,
    side: Side::Source,
    in_plan: true,
    nouns: ("view stands on a primary key", "views stand on a primary key"),
    why: "with `bridge = \"forward\"` it cannot be re-created over a foreign table, which has no key",
    cause: "A view that groups by a primary key and shows other columns of the table is valid only while the key \
        exists. With `bridge = \"forward\"` the old names become foreign tables, which have no keys, so the \
        plan refuses the view by name (C0214). With `local` and `none` it stays bound to the copy.",
    fix: "Name every shown column in GROUP BY, which answers the same, or use another bridge:\n\n\
        ```sql\n\
        create or replace view public.film_sales as\n\
          select f.id, f.title, count(*) from public.film f join public.sale s on s.film = f.id group by f.id, f.title;\n\
        ```",
    bad: Example::Sql(
        r"create table film (id int primary key, title text);
create table sale (id int primary key, film int);
create view film_sales as select f.id, f.title, count(*) from film f join sale s on s.film = f.id group by f.id;",
    ),
    good: Example::Sql(
        r"create table film (id int primary key, title text);
create table sale (id int primary key, film int);
create view film_sales as select f.id, f.title, count(*) from film f join sale s on s.film = f.id group by f.id, f.title;",
    ),
    check: Check::One(check),
};

fn check(ground: &Ground<'_>, found: &mut Found) {
    for view in ground.views().filter(|view| !view.keyed_by.is_empty() && !view.materialized) {
        found.object(&view.name);
    }
}
