//! Rewrite rules on tables.

use crate::readiness::form::{Check, Example, Found, Rule, Severity, Side};
use crate::readiness::ground::Ground;

pub(super) const RULE: Rule = Rule {
    code: "C0833",
    title: "A table has a rewrite rule",
    severity: Severity::Blocker,
    side: Side::Source,
    in_plan: true,
    nouns: ("rewrite rule on a table", "rewrite rules on tables"),
    why: "a rule changes what a statement does before anybody sees it, and it cannot be carried to a bridge",
    cause: "A rule (`create rule`) turns a statement on the table into others. It would have to be re-created on \
        what stands under the old name after a switch, where the statements that it makes mean something \
        else.",
    fix: "A trigger does the same in most cases, and is carried:\n\n\
        ```sql\n\
        drop rule keep_out on public.ledger;\n\
        ```",
    bad: Example::Sql(
        r"create table ledger (id int primary key, amount numeric);
create rule keep_out as on delete to ledger do instead nothing;",
    ),
    good: Example::Sql(
        r"create table ledger (id int primary key, amount numeric);
create function keep() returns trigger language plpgsql as $$ begin return null; end $$;
create trigger keep before delete on ledger for each row execute function keep();",
    ),
    check: Check::One(check),
};

fn check(ground: &Ground<'_>, found: &mut Found) {
    for table in ground.tables() {
        for rule in &table.rules {
            let name = format!("rule {} on {}", rule.name, table.name);
            found.object(name).fix(format!("drop rule {} on {};", rule.name.quoted(), table.name.quoted()));
        }
    }
}
