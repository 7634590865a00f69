//! Exclusion constraints.

use crate::readiness::form::{Check, Example, Found, Rule, Severity, Side};
use crate::readiness::ground::Ground;
use cleave_model::catalog::ConstraintKind;
use cleave_model::format_bytes;

pub(super) const RULE: Rule = Rule {
    code: "C0842",
    title: "A table has an exclusion constraint",
    severity: Severity::Note,
    side: Side::Source,
    in_plan: false,
    nouns: ("exclusion constraint", "exclusion constraints"),
    why: "its index is built in one piece after the copy, and needs its operators at the new home",
    cause: "An exclusion constraint stands on an index whose operators often come from an extension \
        (btree_gist). The extension has to be in the new home's database. The constraint is made in one \
        piece when all rows of the table are there, not from an index that was built beside others, so it \
        takes longer than a key of the same size. Through a bridge `on conflict do nothing` meets it as an \
        error.",
    fix: "Create the extension at the new home, in a schema of the same name. Nothing else has to be done.\n\n\
        ```sql\n\
        create extension btree_gist;\n\
        ```",
    bad: Example::Sql(
        r"create extension btree_gist;
create table booking (id int primary key, room int, during tsrange, exclude using gist (room with =, during with &&));",
    ),
    good: Example::Sql(r"create table booking (id int primary key, room int, during tsrange);"),
    check: Check::One(check),
};

fn check(ground: &Ground<'_>, found: &mut Found) {
    for table in ground.tables() {
        let exclusions =
            table.constraints.iter().filter(|c| c.kind == ConstraintKind::Exclusion && !c.inherited);
        for constraint in exclusions {
            let size = table
                .indexes
                .iter()
                .find(|index| index.name == constraint.name)
                .map_or(0, |index| index.bytes);
            found.object(format!("{} of {}", constraint.name, table.name)).detail(format_bytes(size));
        }
    }
}
