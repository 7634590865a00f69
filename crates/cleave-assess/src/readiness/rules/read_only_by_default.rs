//! Transactions that are read-only unless said otherwise.

use crate::readiness::form::{Check, Example, Found, Rule, Severity, Side};
use crate::readiness::ground::Ground;
use cleave_model::quote_ident;

pub(super) const RULE: Rule = Rule {
    code: "C0878",
    title: "Transactions are read-only by default",
    severity: Severity::Blocker,
    side: Side::Either,
    in_plan: false,
    nouns: ("", ""),
    why: "every statement by which a move makes or changes something would fail",
    cause: "`default_transaction_read_only` set for the server, the database or Cleave's role makes each \
        transaction read-only that does not say otherwise. Some set it to keep applications from writing \
        while a database is moved by other means. It stops Cleave and, since any session may switch it off \
        for itself, it stops nobody who means it: the fence does that.",
    fix: "```sql\n\
        alter database shop reset default_transaction_read_only;\n\
        ```",
    bad: Example::Sql(
        r"do $$ begin execute format('alter database %I set default_transaction_read_only = on', current_database()); end $$;",
    ),
    good: Example::Sql(r"create table film (id int primary key);"),
    check: Check::One(check),
};

fn check(ground: &Ground<'_>, found: &mut Found) {
    if ground.instance().setting("default_transaction_read_only") == Some("on") {
        let database = quote_ident(&ground.catalog().facts.database);
        let fix = format!(
            "alter database {database} reset default_transaction_read_only; -- or the role's, or the server's"
        );
        let seen = "default_transaction_read_only is on";
        found.sentence(seen).about("default_transaction_read_only").fix(fix);
    }
}
