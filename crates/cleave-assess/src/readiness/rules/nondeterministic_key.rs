//! Keys under a nondeterministic collation.

use crate::readiness::form::{Check, Example, Found, Rule, Severity, Side};
use crate::readiness::ground::Ground;
use cleave_model::Ident;
use std::collections::BTreeSet;

pub(super) const RULE: Rule = Rule {
    code: "C0847",
    title: "A key is compared by a nondeterministic collation",
    severity: Severity::Warning,
    side: Side::Source,
    in_plan: false,
    nouns: ("key column has a nondeterministic collation", "key columns have nondeterministic collations"),
    why: "texts of different bytes are one key there, and must be so at the new home in the same way",
    cause: "Under a nondeterministic collation `Anna` and `anna` may be the same key. Which texts are, is \
        decided by the version of ICU that the server was built with. At a new home with another version a \
        row may meet another one as its equal: its insert fails, or a reference finds no row.",
    fix: "Use the same version of ICU on both sides, or make the key's column deterministic and keep what \
        shall be equal equal by a unique index over an expression:\n\n\
        ```sql\n\
        alter table public.login alter column name type text collate \"C\";\n\
        create unique index on public.login (lower(name));\n\
        ```",
    bad: Example::Sql(
        r"create collation any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
create table login (name text collate any_case primary key);",
    ),
    good: Example::Sql(r"create table login (name text primary key);"),
    check: Check::One(check),
};

fn check(ground: &Ground<'_>, found: &mut Found) {
    let loose: Vec<&str> = ground
        .instance()
        .collations
        .iter()
        .filter(|collation| !collation.deterministic)
        .filter_map(|collation| collation.name.as_deref())
        .collect();
    for table in ground.tables() {
        let indexed: BTreeSet<&Ident> =
            table.indexes.iter().filter(|index| index.unique).flat_map(|index| &index.columns).collect();
        for column in table.columns.iter().filter(|column| indexed.contains(&column.name)) {
            if let Some(collation) = column.collation.as_deref().filter(|name| loose.contains(name)) {
                found.object(format!("{}.{}", table.name, column.name)).detail(collation);
            }
        }
    }
}
