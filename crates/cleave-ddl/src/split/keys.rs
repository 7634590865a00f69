//! The keys of the tables that reach rows: first a second one beside the old, proven while writers go on, then the swap.

use super::{Reference, Split};
use crate::create;
use cleave_model::catalog::ForeignKey;
use cleave_model::{Ident, QualifiedName, labels};

/// How a reference gets its second key: every `add` is a change of the catalog only, each `validate` reads the table under
/// a lock that lets writers pass, `adopt` is a change of the catalog again.
pub type ReferenceSql = create::ForeignKeySql;

/// Where a reference's second key leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leads {
    /// To the part: before the switch.
    ToPart,
    /// To the table: before the switch back.
    ToTable,
}

fn name(split: &Split<'_>, reference: &Reference<'_>, leads: Leads) -> Ident {
    let end = if leads == Leads::ToPart { "part" } else { "table" };
    labels::split_key(split.name, reference.number, end)
}

/// A second key beside the one in force.
pub fn prepare_reference(
    split: &Split<'_>,
    part: usize,
    reference: &Reference<'_>,
    leads: Leads,
) -> ReferenceSql {
    let target = match leads {
        Leads::ToPart => split.parts.get(part).map(|part| split.part(part)),
        Leads::ToTable => None,
    };
    let target = target.unwrap_or_else(|| split.table.name.clone());
    // Proven even if the old one was not: rows that break it would be missing from the part.
    let key = ForeignKey { name: name(split, reference, leads), validated: true, ..reference.key.clone() };
    let leaves: Vec<QualifiedName> = reference.leaves.iter().map(|leaf| (*leaf).clone()).collect();
    let definition = create::fk_definition(reference.key, &target);
    create::foreign_key(reference.table, &leaves, &key, &definition)
}

/// The second key takes the place and the name of the first: a change of the catalog only.
pub fn switch_reference(split: &Split<'_>, reference: &Reference<'_>, leads: Leads) -> Vec<String> {
    let (old, new) = (reference.key.name.quoted(), name(split, reference, leads).quoted());
    let mut statements = vec![format!("alter table {} drop constraint {old}", reference.table.quoted())];
    for table in [reference.table].into_iter().chain(reference.leaves.iter().copied()) {
        statements.push(format!("alter table {} rename constraint {new} to {old}", table.quoted()));
    }
    statements
}

/// Drops the second key.
pub fn drop_prepared(split: &Split<'_>, reference: &Reference<'_>, leads: Leads) -> Vec<String> {
    let key = name(split, reference, leads).quoted();
    [reference.table]
        .into_iter()
        .chain(reference.leaves.iter().copied())
        .map(|table| format!("alter table {} drop constraint if exists {key}", table.quoted()))
        .collect()
}
