//! Sequences that a default reads and no column owns.

use crate::readiness::form::{Check, Example, Found, Rule, Severity, Side};
use crate::readiness::ground::Ground;
use cleave_model::catalog::Column;

pub(super) const RULE: Rule = Rule {
    code: "C0856",
    title: "A sequence belongs to no column",
    severity: Severity::Note,
    side: Side::Source,
    in_plan: false,
    nouns: ("sequence belongs to no column", "sequences belong to no column"),
    why: "a live move takes it along as its only reader moves; ALTER TABLE ... SET SCHEMA leaves it behind",
    cause: "A sequence that was made by itself and is read by a column's default belongs to no table. Cleave \
        takes it along with the one table that reads it. PostgreSQL's own `set schema` and `drop table` do \
        not, so it is left where it was by a schema move, and left over when the table is dropped.",
    fix: "Say whose it is. This needs a lock for an instant only:\n\n\
        ```sql\n\
        alter sequence public.film_id_seq owned by public.film.id;\n\
        ```",
    bad: Example::Sql(
        r"create sequence film_id_seq;
create table film (id int primary key default nextval('film_id_seq'));",
    ),
    good: Example::Sql(r"create table film (id serial primary key);"),
    check: Check::One(check),
};

fn check(ground: &Ground<'_>, found: &mut Found) {
    for (sequence, readers) in ground.sequences() {
        let [table] = readers.iter().collect::<Vec<_>>()[..] else { continue };
        if sequence.owner_column.is_some() || !ground.has(table) {
            continue;
        }
        let reads = |column: &&Column| column.default_sequence == Some(sequence.oid);
        let column = ground.table(table).and_then(|table| table.columns.iter().find(reads));
        let hit = found.object(&sequence.name);
        if let Some(column) = column {
            let (name, owner) =
                (sequence.name.quoted(), format!("{}.{}", table.quoted(), column.name.quoted()));
            hit.fix(format!("alter sequence {name} owned by {owner};"));
        }
    }
}
