//! Constraints that were never validated.

use crate::readiness::form::{Check, Example, Found, Rule, Severity, Side};
use crate::readiness::ground::Ground;

pub(super) const RULE: Rule = Rule {
    code: "C0843",
    title: "A constraint was never validated",
    severity: Severity::Warning,
    side: Side::Source,
    in_plan: false,
    nouns: ("constraint was never validated", "constraints were never validated"),
    why: "rows may break it today, and a rollback or a watched reference will meet them",
    cause: "A constraint that was added NOT VALID holds for new rows only. It is carried as it stands. A foreign \
        key that a move cuts becomes a watched reference, which reports rows that dangle; after a rollback \
        the key comes back and is validated, and what dangled all along shows then.",
    fix: "Find out now, at a time of your choice. Validating takes no lock that stops writers:\n\n\
        ```sql\n\
        alter table public.orders validate constraint orders_customer_fkey;\n\
        ```",
    bad: Example::Sql(
        r"create table customer (id int primary key);
create table orders (id int primary key, customer_id int);
alter table orders add constraint orders_customer_fkey foreign key (customer_id) references customer not valid;",
    ),
    good: Example::Sql(
        r"create table customer (id int primary key);
create table orders (id int primary key, customer_id int references customer);",
    ),
    check: Check::One(check),
};

fn check(ground: &Ground<'_>, found: &mut Found) {
    for table in ground.tables() {
        let checks = table.constraints.iter().filter(|c| !c.validated && !c.inherited).map(|c| &c.name);
        let keys = table.foreign_keys.iter().filter(|key| !key.validated).map(|key| &key.name);
        for name in checks.chain(keys) {
            let fix = format!("alter table {} validate constraint {};", table.name.quoted(), name.quoted());
            found.object(format!("{name} of {}", table.name)).fix(fix);
        }
    }
}
