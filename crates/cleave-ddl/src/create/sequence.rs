//! Sequences.

use super::target::Script;
use crate::carry::Carried;
use cleave_model::catalog::Sequence;

pub(super) fn create(script: &mut Script<'_>, sequence: &Sequence) {
    let place = script.place(&sequence.name);
    script.push(format!("create sequence {place} as {} {}", sequence.type_name, options(sequence)));
}

/// `increment by 1 minvalue 1 ...`, every option said.
pub(super) fn options(sequence: &Sequence) -> String {
    format!(
        "increment by {} minvalue {} maxvalue {} start with {} cache {}{}",
        sequence.increment,
        sequence.min,
        sequence.max,
        sequence.start,
        sequence.cache,
        if sequence.cycle { " cycle" } else { " no cycle" }
    )
}

pub(super) fn own(script: &mut Script<'_>, sequence: &Sequence, carried: &Carried<'_>) {
    let Some(owner) = &sequence.owner_column else { return };
    let Some(table) = carried.tables.iter().find(|table| table.oid == owner.table) else { return };
    let (place, table) = (script.place(&sequence.name), script.place(&table.name));
    script.push(format!("alter sequence {place} owned by {table}.{}", owner.column.quoted()));
}
