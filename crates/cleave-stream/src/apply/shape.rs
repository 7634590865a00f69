//! What has become of a table's columns: from what was known of them, what the stream says now, and the source's catalog.
//! Pure.
//!
//! A column's number stays whatever it is called, and is never given again; the stream names columns in the order of their
//! numbers, but says no numbers. The catalog has the numbers, but may be ahead of the place in the stream. So all ways are
//! looked for in which the catalog's columns could have been the ones that the stream names: there is no other truth than
//! one of them. docs/design/apply.md, "When a table changes its shape", has the argument.

use cleave_journal::{Shape, ShapeColumn};
use cleave_model::{Ident, Oid, quote_ident, quote_literal};
use cleave_proto::pgoutput::{Relation, RelationColumn};
use std::collections::BTreeSet;

/// A table as the source's catalog has it.
#[derive(Clone, Debug)]
pub(crate) struct CatalogTable {
    pub(crate) oid: Oid,
    pub(crate) last_number: i16,
    pub(crate) filenode: Oid,
    /// Those that are there, by their numbers.
    pub(crate) columns: Vec<CatalogColumn>,
}

/// A column as the source's catalog has it.
#[derive(Clone, Debug, Default)]
pub(crate) struct CatalogColumn {
    pub(crate) number: i16,
    pub(crate) name: String,
    pub(crate) type_oid: u32,
    pub(crate) modifier: i32,
    pub(crate) generated: bool,
    pub(crate) identity: bool,
    pub(crate) not_null: bool,
    /// Its type is PostgreSQL's own and its collation the type's.
    pub(crate) plain: bool,
    /// What rows have that are older than the column (`attmissingval`), as text.
    pub(crate) missing: Option<String>,
    pub(crate) default: Option<ColumnDefault>,
}

/// A default.
#[derive(Clone, Debug)]
pub(crate) struct ColumnDefault {
    pub(crate) expression: String,
    /// It reads a sequence, or calls a function of users.
    pub(crate) depends: bool,
}

/// What is to be done on the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Alteration {
    Add {
        name: String,
        type_oid: u32,
        modifier: i32,
        missing: Option<String>,
        default: Option<String>,
        not_null: bool,
    },
    Drop {
        name: String,
    },
    Rename {
        from: String,
        to: String,
    },
    Retype {
        name: String,
        type_oid: u32,
        modifier: i32,
    },
}

impl Alteration {
    /// The statements. `type_sql` is the type's name, for those that have one.
    pub(super) fn sql(&self, table: &str, type_sql: &str) -> Vec<String> {
        match self {
            Self::Add { name, missing, default, not_null, .. } => {
                let name = quote_ident(name);
                let value =
                    missing.as_ref().map(|value| format!(" default {}::{type_sql}", quote_literal(value)));
                let null = if *not_null { " not null" } else { "" };
                let add = format!(
                    "alter table {table} add column {name} {type_sql}{}{null}",
                    value.clone().unwrap_or_default()
                );
                let after = match (default, value) {
                    (Some(expression), _) => Some(format!("set default {expression}")),
                    (None, Some(_)) => Some("drop default".to_owned()),
                    (None, None) => None,
                };
                let after = after.map(|then| format!("alter table {table} alter column {name} {then}"));
                std::iter::once(add).chain(after).collect()
            }
            Self::Drop { name } => vec![format!("alter table {table} drop column {}", quote_ident(name))],
            Self::Rename { from, to } => {
                vec![format!(
                    "alter table {table} rename column {} to {}",
                    quote_ident(from),
                    quote_ident(to)
                )]
            }
            Self::Retype { name, .. } => {
                vec![format!("alter table {table} alter column {} type {type_sql}", quote_ident(name))]
            }
        }
    }

    /// The type that it names.
    pub(super) fn type_of(&self) -> Option<(u32, i32)> {
        match self {
            Self::Add { type_oid, modifier, .. } | Self::Retype { type_oid, modifier, .. } => {
                Some((*type_oid, *modifier))
            }
            Self::Drop { .. } | Self::Rename { .. } => None,
        }
    }
}

/// A change that is understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) alterations: Vec<Alteration>,
    pub(super) shape: Shape,
}

/// A column as the stream names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Said<'a> {
    pub(super) name: &'a str,
    pub(super) type_oid: u32,
    pub(super) modifier: i32,
}

/// The columns that a relation message names.
pub(super) fn said(relation: &Relation) -> Vec<Said<'_>> {
    let column = |column: &'_ RelationColumn| -> (u32, i32) { (column.type_oid.0, column.type_modifier) };
    let columns = relation.columns.iter();
    columns
        .map(|one| {
            let (type_oid, modifier) = column(one);
            Said { name: one.name.as_str(), type_oid, modifier }
        })
        .collect()
}

/// The columns that the catalog has, as the stream would name them.
pub(super) fn catalog_said(table: &CatalogTable) -> Vec<Said<'_>> {
    let columns = table.columns.iter().filter(|column| !column.generated);
    columns
        .map(|column| Said { name: &column.name, type_oid: column.type_oid, modifier: column.modifier })
        .collect()
}

/// True if these are the columns that are known.
pub(super) fn is_known(known: &Shape, said: &[Said<'_>]) -> bool {
    let same = |(known, said): (&ShapeColumn, &Said<'_>)| {
        known.name == said.name && known.type_oid == said.type_oid && known.modifier == said.modifier
    };
    known.columns.len() == said.len() && known.columns.iter().zip(said).all(same)
}

/// What the first difference is, in the words of a problem.
pub(super) fn difference(known: &Shape, said: &[Said<'_>]) -> String {
    let by_name = |name: &str| known.columns.iter().find(|column| column.name == name);
    if let Some(new) = said.iter().find(|said| by_name(said.name).is_none()) {
        return format!("it has a column {} that the stream does not know", Ident::new(new.name));
    }
    if let Some(gone) = known.columns.iter().find(|known| !said.iter().any(|said| said.name == known.name)) {
        return format!("column {} is not there any more", Ident::new(gone.name.as_str()));
    }
    let other = |said: &&Said<'_>| {
        by_name(said.name)
            .is_some_and(|known| (known.type_oid, known.modifier) != (said.type_oid, said.modifier))
    };
    match said.iter().find(other) {
        Some(other) => format!("the type of column {} is another", Ident::new(other.name)),
        None => "its columns stand in another order".to_owned(),
    }
}

/// More columns that were dropped are not sorted out: there are too many ways.
const DROPPED_MAX: usize = 10;

/// What has become of a table.
///
/// # Errors
/// In words, what cannot be followed.
pub(super) fn explain(known: &Shape, said: &[Said<'_>], now: &CatalogTable) -> Result<Change, String> {
    if let Some(problem) = generated(known, now) {
        return Err(problem);
    }
    if now.last_number < known.last_number {
        return Err("the catalog is of an earlier time than what is known of it".to_owned());
    }
    let plain = |column: &&CatalogColumn| {
        let is_known = known.columns.iter().any(|known| known.number == column.number);
        !column.generated && column.number <= known.last_number && !is_known
    };
    if let Some(column) = now.columns.iter().find(plain) {
        return Err(format!("column {} is generated no more", Ident::new(column.name.as_str())));
    }
    let ways = ways(known, said, now)?;
    let plausible: Vec<_> = if ways.len() > 1 {
        ways.iter().filter(|numbers| has_names(known, said, now, (numbers, &ways))).cloned().collect()
    } else {
        ways
    };
    let [numbers] = plausible.as_slice() else {
        let why = if plausible.is_empty() {
            "by no change of its columns"
        } else {
            "by more than one change of its columns"
        };
        return Err(format!("{}; what the catalog says now is explained {why}", difference(known, said)));
    };
    change(known, said, now, numbers)
}

/// The stream does not tell of generated columns.
pub(super) fn generated(known: &Shape, now: &CatalogTable) -> Option<String> {
    let new = now.columns.iter().find(|column| column.generated && column.number > known.last_number)?;
    Some(format!("column {} came and is generated, which is not followed", Ident::new(new.name.as_str())))
}

fn live(now: &CatalogTable, number: i16) -> Option<&CatalogColumn> {
    now.columns.iter().find(|column| column.number == number)
}

/// All sets of numbers that the columns named could have.
fn ways(known: &Shape, said: &[Said<'_>], now: &CatalogTable) -> Result<Vec<Vec<i16>>, String> {
    let new: Vec<i16> = (known.last_number + 1..=now.last_number).collect();
    let mut fixed: Vec<i16> = Vec::new();
    let mut open: Vec<i16> = Vec::new();
    for column in &known.columns {
        if live(now, column.number).is_some() { &mut fixed } else { &mut open }.push(column.number);
    }
    open.extend(new.iter().copied().filter(|number| live(now, *number).is_none()));
    if open.len() > DROPPED_MAX {
        return Err("too many of its columns were dropped at once".to_owned());
    }
    let mut found = BTreeSet::new();
    // Numbers are given in their order: of the new ones those up to some number are there, or have been.
    for created in known.last_number..=now.last_number.max(known.last_number) {
        let there = new.iter().copied().filter(|number| *number <= created && live(now, *number).is_some());
        let there: Vec<i16> = fixed.iter().copied().chain(there).collect();
        let open: Vec<i16> = open.iter().copied().filter(|number| *number <= created).collect();
        for choice in 0..1_u32 << open.len() {
            let chosen =
                open.iter().enumerate().filter(|(at, _)| choice >> at & 1 == 1).map(|(_, number)| *number);
            let mut numbers: Vec<i16> = there.iter().copied().chain(chosen).collect();
            numbers.sort_unstable();
            if numbers.len() == said.len() {
                found.insert(numbers);
            }
        }
    }
    Ok(found.into_iter().collect())
}

/// Every column that is not one in every way is called what it was called before or is called now.
fn has_names(
    known: &Shape,
    said: &[Said<'_>],
    now: &CatalogTable,
    (numbers, ways): (&[i16], &[Vec<i16>]),
) -> bool {
    let is_open = |number: &i16| !ways.iter().all(|way| way.contains(number));
    numbers.iter().zip(said).filter(|(number, _)| is_open(number)).all(|(number, said)| {
        let before = known.columns.iter().any(|column| column.number == *number && column.name == said.name);
        before || live(now, *number).is_some_and(|column| column.name == said.name)
    })
}

fn change(known: &Shape, said: &[Said<'_>], now: &CatalogTable, numbers: &[i16]) -> Result<Change, String> {
    let mut columns = Vec::with_capacity(numbers.len());
    let (mut drops, mut moves, mut adds) = (Vec::new(), Vec::new(), Vec::new());
    for column in known.columns.iter().filter(|column| !numbers.contains(&column.number)) {
        drops.push(Alteration::Drop { name: column.name.clone() });
    }
    let mut renames = Vec::new();
    for (number, said) in numbers.iter().zip(said) {
        let old = known.columns.iter().find(|column| column.number == *number);
        columns.push(ShapeColumn {
            number: *number,
            name: said.name.to_owned(),
            type_oid: said.type_oid,
            modifier: said.modifier,
        });
        match old {
            Some(old) => {
                if old.name != said.name {
                    renames.push((old.name.clone(), said.name.to_owned()));
                }
                let (from, to) = ((old.type_oid, old.modifier), (said.type_oid, said.modifier));
                if from != to {
                    if !widens(from, to) {
                        return Err(format!("the type of column {} is another", Ident::new(said.name)));
                    }
                    if is_rewritten(known, now) && !rewrites(from, to) {
                        return Err(format!(
                            "the type of column {} is another, and its rows were written anew",
                            Ident::new(said.name)
                        ));
                    }
                    moves.push(Alteration::Retype {
                        name: said.name.to_owned(),
                        type_oid: to.0,
                        modifier: to.1,
                    });
                }
            }
            None => adds.push(added(known, said, now, *number)?),
        }
    }
    let mut alterations = drops;
    alterations.extend(in_turn(renames)?);
    alterations.extend(moves);
    alterations.extend(adds);
    let last_number = numbers.iter().copied().max().unwrap_or(0).max(known.last_number);
    let is_all = last_number == now.last_number && said == catalog_said(now).as_slice();
    let shape = Shape {
        source_oid: known.source_oid,
        last_number,
        // What comes after this place may have written the rows anew.
        filenode: if is_all { now.filenode } else { known.filenode },
        columns,
        followed: Vec::new(),
    };
    Ok(Change { alterations, shape })
}

fn is_rewritten(known: &Shape, now: &CatalogTable) -> bool {
    known.filenode != now.filenode
}

/// A column that came: what older rows have in it must be known.
fn added(known: &Shape, said: &Said<'_>, now: &CatalogTable, number: i16) -> Result<Alteration, String> {
    let name = Ident::new(said.name);
    let refuse = |why: &str| Err(format!("it has a column {name} that the stream does not know: {why}"));
    let Some(column) = live(now, number) else {
        return refuse("it was added and dropped, and what its older rows had in it is not known");
    };
    if column.identity {
        return refuse("it has an identity, and older rows were numbered");
    }
    if !column.plain {
        return refuse("its type or collation is not one of PostgreSQL's own");
    }
    if column.default.as_ref().is_some_and(|default| default.depends) {
        return refuse("its default reads a sequence or calls a function");
    }
    if column.missing.is_none() && is_rewritten(known, now) {
        return refuse("the rows were written anew, and what they got in it is not known");
    }
    Ok(Alteration::Add {
        name: said.name.to_owned(),
        type_oid: said.type_oid,
        modifier: said.modifier,
        missing: column.missing.clone(),
        default: column.default.as_ref().map(|default| default.expression.clone()),
        // Where older rows have nothing in it, it became so later.
        not_null: column.not_null && column.missing.is_some(),
    })
}

/// Renames in an order in which no name is taken; names that change places go by one that nobody has.
fn in_turn(mut renames: Vec<(String, String)>) -> Result<Vec<Alteration>, String> {
    let mut done = Vec::new();
    while !renames.is_empty() {
        let free = renames.iter().position(|(_, to)| !renames.iter().any(|(from, _)| from == to));
        match free {
            Some(at) => {
                let (from, to) = renames.remove(at);
                done.push(Alteration::Rename { from, to });
            }
            None => {
                let Some((from, _)) = renames.first_mut() else { break };
                let aside = format!("cleave_aside_{}", done.len());
                done.push(Alteration::Rename { from: std::mem::replace(from, aside.clone()), to: aside });
            }
        }
    }
    Ok(done)
}

mod oid {
    pub(super) const INT2: u32 = 21;
    pub(super) const INT4: u32 = 23;
    pub(super) const INT8: u32 = 20;
    pub(super) const NUMERIC: u32 = 1700;
    pub(super) const FLOAT4: u32 = 700;
    pub(super) const FLOAT8: u32 = 701;
    pub(super) const VARCHAR: u32 = 1043;
    pub(super) const TEXT: u32 = 25;
    pub(super) const VARBIT: u32 = 1562;
    pub(super) const TIME: u32 = 1083;
    pub(super) const TIMETZ: u32 = 1266;
    pub(super) const TIMESTAMP: u32 = 1114;
    pub(super) const TIMESTAMPTZ: u32 = 1184;
}

/// True if every value keeps its meaning, and the target's own cast says the same as the source's.
fn widens((from, before): (u32, i32), (to, after): (u32, i32)) -> bool {
    use oid::*;
    match (from, to) {
        (INT2, INT4 | INT8) | (INT4, INT8) | (FLOAT4, FLOAT8) => true,
        (INT2 | INT4 | INT8, NUMERIC) => after == -1,
        (VARCHAR, TEXT) => true,
        (NUMERIC, NUMERIC) => after == -1 || is_wider_numeric(before, after),
        (VARCHAR, VARCHAR)
        | (VARBIT, VARBIT)
        | (TIME, TIME)
        | (TIMETZ, TIMETZ)
        | (TIMESTAMP, TIMESTAMP)
        | (TIMESTAMPTZ, TIMESTAMPTZ) => after == -1 || (before != -1 && after > before),
        _ => false,
    }
}

/// The same scale, and more digits. A modifier is (precision << 16 | scale) + 4.
fn is_wider_numeric(before: i32, after: i32) -> bool {
    let parts = |modifier: i32| (((modifier - 4) >> 16) & 0xffff, (modifier - 4) & 0xffff);
    before != -1 && parts(before).1 == parts(after).1 && parts(after).0 > parts(before).0
}

/// True if PostgreSQL writes all rows anew for it.
fn rewrites((from, _): (u32, i32), (to, _): (u32, i32)) -> bool {
    use oid::*;
    from != to && (from, to) != (VARCHAR, TEXT)
}

#[cfg(test)]
#[path = "shape_tests.rs"]
mod tests;
