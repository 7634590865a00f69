//! Tables without anything that identifies a row.

use crate::readiness::form::{Check, Example, Found, Rule, Severity, Side};
use crate::readiness::ground::Ground;
use cleave_model::catalog::ReplicaIdentity;

pub(super) const RULE: Rule = Rule {
    code: "C0834",
    title: "A table has no key that identifies a row",
    severity: Severity::Blocker,
    side: Side::Source,
    in_plan: true,
    nouns: ("table has no key that identifies a row", "tables have no key that identifies a row"),
    why: "updates and deletes could not be followed; in a publication the application's own would fail at once",
    cause: "Updates and deletes name a row by the table's replica identity: its primary key unless said \
        otherwise. Without one the server refuses every update and delete as soon as the table is published, \
        the application's too. So Cleave refuses the table before it makes a publication. A deferrable \
        primary key is no replica identity either.",
    fix: "Best is a primary key. A unique index over NOT NULL columns does as well. With FULL the whole old \
        row is written to the log at each update and delete, and searched for at the new home; `identity` in \
        cleave.toml lets Cleave set it.\n\n\
        ```sql\n\
        alter table public.visit add primary key (id);\n\
        alter table public.visit replica identity using index visit_id_key;\n\
        alter table public.visit replica identity full;\n\
        ```",
    bad: Example::Sql(r"create table visit (page text, at timestamptz);"),
    good: Example::Sql(
        r"create table visit (page text, at timestamptz, id bigint generated always as identity primary key);",
    ),
    check: Check::One(check),
};

fn check(ground: &Ground<'_>, found: &mut Found) {
    for table in ground.holding() {
        if table.identity_columns().is_some() || table.replica_identity == ReplicaIdentity::Full {
            continue;
        }
        let name = table.name.quoted();
        let usable = table.indexes.iter().find(|index| index.identifies_rows && index.valid);
        let fix = match usable {
            Some(index) => {
                format!("alter table {name} replica identity using index {};", index.name.quoted())
            }
            None if table.immediate_primary_key().is_some() => {
                format!("alter table {name} replica identity default;")
            }
            None => format!("alter table {name} replica identity full; -- or add a primary key"),
        };
        found.object(&table.name).fix(fix);
    }
}
