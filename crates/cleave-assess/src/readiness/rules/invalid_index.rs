//! Indexes that a failed build has left.

use crate::readiness::form::{Check, Example, Found, Rule, Severity, Side};
use crate::readiness::ground::Ground;
use cleave_model::QualifiedName;

pub(super) const RULE: Rule = Rule {
    code: "C0844",
    title: "An index is invalid",
    severity: Severity::Warning,
    side: Side::Source,
    in_plan: false,
    nouns: ("invalid index", "invalid indexes"),
    why: "it is kept current and used by nobody, and it is left out of the move",
    cause: "A `create index concurrently` that failed leaves an index that costs every write and serves no \
        query. If it was to be unique, duplicates may be there. Cleave does not carry it: at the new home it \
        would be missing without a word if this finding did not say so.",
    fix: "Build it anew or drop it:\n\n\
        ```sql\n\
        reindex index concurrently public.account_email_key;\n\
        drop index concurrently public.account_email_key;\n\
        ```",
    bad: Example::Sql(
        r"create table account (id int primary key, email text);
create unique index account_email_key on account (email);
update pg_index set indisvalid = false where indexrelid = 'account_email_key'::regclass; -- as a failed build leaves it",
    ),
    good: Example::Sql(
        r"create table account (id int primary key, email text);
create unique index account_email_key on account (email);",
    ),
    check: Check::One(check),
};

fn check(ground: &Ground<'_>, found: &mut Found) {
    for table in ground.holding() {
        for index in table.indexes.iter().filter(|index| !index.valid) {
            let name = QualifiedName { schema: table.name.schema.clone(), name: index.name.clone() };
            found.object(&name).fix(format!("reindex index concurrently {};", name.quoted()));
        }
    }
}
