//! Foreign keys without an index on the referencing side.

use crate::readiness::form::{Check, Example, Found, Rule, Severity, Side};
use crate::readiness::ground::Ground;
use cleave_model::catalog::Index;
use cleave_model::{Ident, format_count};

pub(super) const RULE: Rule = Rule {
    code: "C0845",
    title: "A foreign key has no index on the referencing side",
    severity: Severity::Warning,
    side: Side::Source,
    in_plan: false,
    nouns: (
        "foreign key has no index on the referencing side",
        "foreign keys have no index on the referencing side",
    ),
    why: "each delete of a referenced row reads the whole table, at the home today and for each watched \
        reference later",
    cause: "When a referenced row is deleted or its key changes, the referencing rows are looked for. Without an \
        index that reads the table, under locks. Where a move cuts the key, what it would have cascaded is \
        done row by row after the fact, and each of them reads the table too. Tables under 10,000 rows are \
        not named.",
    fix: "An index that begins with the key's columns:\n\n\
        ```sql\n\
        create index concurrently on public.line (order_id);\n\
        ```",
    bad: Example::Sql(
        r"create table orders (id int primary key);
create table line (id int primary key, order_id int references orders);
insert into orders select n from generate_series(1, 100) n;
insert into line select n, n % 100 + 1 from generate_series(1, 20000) n;
analyze line;",
    ),
    good: Example::Sql(
        r"create table orders (id int primary key);
create table line (id int primary key, order_id int references orders);
create index on line (order_id);
insert into orders select n from generate_series(1, 100) n;
insert into line select n, n % 100 + 1 from generate_series(1, 20000) n;
analyze line;",
    ),
    check: Check::One(check),
};

fn check(ground: &Ground<'_>, found: &mut Found) {
    const ROWS_MIN: u64 = 10_000;
    for table in ground.tables().filter(|table| table.rows_estimated >= ROWS_MIN) {
        for key in &table.foreign_keys {
            let leads = |index: &Index| {
                index.valid
                    && index.columns.len() >= key.columns.len()
                    && index.columns[..key.columns.len()].iter().all(|column| key.columns.contains(column))
            };
            if table.indexes.iter().any(leads) {
                continue;
            }
            let columns: Vec<String> = key.columns.iter().map(Ident::quoted).collect();
            let fix =
                format!("create index concurrently on {} ({});", table.name.quoted(), columns.join(", "));
            let rows = format!("{} rows", format_count(table.rows_estimated));
            found.object(format!("{} of {}", key.name, table.name)).detail(rows).fix(fix);
        }
    }
}
