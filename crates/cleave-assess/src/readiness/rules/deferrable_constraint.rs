//! Deferrable keys and constraints.

use crate::readiness::form::{Check, Example, Found, Rule, Severity, Side};
use crate::readiness::ground::Ground;
use cleave_model::catalog::ConstraintKind;

pub(super) const RULE: Rule = Rule {
    code: "C0841",
    title: "A constraint is deferrable",
    severity: Severity::Note,
    side: Side::Source,
    in_plan: false,
    nouns: ("deferrable constraint", "deferrable constraints"),
    why: "a deferrable key finds no rows for the stream, and is not checked again when changes are applied",
    cause: "A deferrable primary key or unique constraint is no replica identity, and no target of `on \
        conflict`. Where changes are applied in replica mode its deferred check does not run: the home has \
        checked the rows at its own commit. A deferrable foreign key that a move cuts becomes a watched \
        reference that is deferred as the key was.",
    fix: "Nothing has to be done if the table has another key that is not deferrable. Where nothing needs it \
        deferred, make it immediate:\n\n\
        ```sql\n\
        alter table public.slot drop constraint slot_place_key, add constraint slot_place_key unique (place);\n\
        ```",
    bad: Example::Sql(
        r"create table slot (id int primary key, place int unique deferrable initially deferred);",
    ),
    good: Example::Sql(r"create table slot (id int primary key, place int unique);"),
    check: Check::One(check),
};

fn check(ground: &Ground<'_>, found: &mut Found) {
    for table in ground.tables() {
        let keys = table
            .constraints
            .iter()
            .filter(|c| c.deferrable && !c.inherited && c.kind != ConstraintKind::Trigger);
        let references = table.foreign_keys.iter().filter(|key| key.deferrable.0);
        let names = keys.map(|c| &c.name).chain(references.map(|key| &key.name));
        for name in names {
            found.object(format!("{name} of {}", table.name));
        }
    }
}
