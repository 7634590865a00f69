//! One row change as one SQL statement: its text, and its parameters in the order of the text.
//!
//! The text depends only on the layout and on the [`Shape`], so it can be prepared once per shape.

use super::{
    layout::{Layout, LayoutColumn},
    many::{Many, many_sql},
    parameter::Parameter,
    table::Comparison,
};
use crate::StreamError;
use cleave_proto::pgoutput::{Cell, Change, OldTuple, Tuple};

/// What a statement does, and with which columns (places in the layout).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Shape {
    Insert,
    /// Sets these columns. `expect` are columns that cannot be set and must have these values already.
    Update {
        set: Vec<usize>,
        expect: Vec<usize>,
    },
    /// Writes these columns into a new row that takes the place of the old, whose other columns it keeps: the only way
    /// to change a column that is generated always as identity.
    Replace {
        set: Vec<usize>,
    },
    Delete,
    /// Many rows at once.
    Many(Many),
}

/// A statement ready to be sent.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) shape: Shape,
    pub(super) parameters: Vec<Parameter>,
    /// What to do instead if no row is met.
    pub(super) otherwise: Option<Box<Planned>>,
}

/// Decides how a change is written.
pub(super) fn plan(layout: &Layout, change: &Change) -> Result<Planned, StreamError> {
    match change {
        Change::Insert { new } => {
            let all: Vec<usize> = (0..layout.columns.len()).collect();
            Ok(planned(Shape::Insert, parameters(layout, new, &all)?))
        }
        Change::Update { old, new } => update(layout, old.as_ref(), new),
        Change::Delete { old } => Ok(planned(Shape::Delete, identity(layout, old.tuple())?)),
    }
}

fn planned(shape: Shape, parameters: Vec<Parameter>) -> Planned {
    Planned { shape, parameters, otherwise: None }
}

fn cell<'a>(tuple: &'a Tuple, column: &LayoutColumn) -> &'a Cell {
    tuple.cells.get(column.cell).unwrap_or(&Cell::Unchanged)
}

fn parameters(layout: &Layout, tuple: &Tuple, places: &[usize]) -> Result<Vec<Parameter>, StreamError> {
    places
        .iter()
        .filter_map(|place| layout.columns.get(*place))
        .map(|column| Parameter::new(&layout.table.name, cell(tuple, column)))
        .collect()
}

/// Values that find the row.
fn identity(layout: &Layout, tuple: &Tuple) -> Result<Vec<Parameter>, StreamError> {
    parameters(layout, tuple, &identity_places(layout))
}

fn identity_places(layout: &Layout) -> Vec<usize> {
    if layout.key.is_empty() { (0..layout.columns.len()).collect() } else { layout.key.clone() }
}

fn update(layout: &Layout, old: Option<&OldTuple>, new: &Tuple) -> Result<Planned, StreamError> {
    let (mut set, mut fixed) = (Vec::new(), Vec::new());
    for (place, column) in layout.columns.iter().enumerate() {
        let same_key = old.is_none() && layout.key.contains(&place);
        if matches!(cell(new, column), Cell::Unchanged) || same_key {
            continue;
        }
        if column.target.identity_always { fixed.push(place) } else { set.push(place) }
    }
    let finds = identity(layout, old.map_or(new, OldTuple::tuple))?;
    // The old value is told of key columns, or of all; of the others it must be asked on the target.
    let told = |place: &usize| layout.key.contains(place) || matches!(old, Some(OldTuple::Full(_)));
    let differs = |place: &&usize| {
        let column = layout.columns.get(**place);
        let before = old.zip(column).map(|(old, column)| cell(old.tuple(), column));
        before.is_some_and(|before| Some(before) != column.map(|column| cell(new, column)))
    };
    let replaced = fixed.iter().filter(|place| told(place)).any(|place| differs(&place));
    let everything = || {
        let mut set = [set.as_slice(), &fixed].concat();
        set.sort_unstable();
        set
    };
    let replace = |finds: &[Parameter]| -> Result<Planned, StreamError> {
        let set = everything();
        let parameters = [parameters(layout, new, &set)?, finds.to_vec()].concat();
        Ok(planned(Shape::Replace { set }, parameters))
    };
    if replaced {
        return replace(&finds);
    }
    let expect: Vec<usize> = fixed.iter().copied().filter(|place| !told(place)).collect();
    let otherwise = if expect.is_empty() { None } else { Some(Box::new(replace(&finds)?)) };
    let values = parameters(layout, new, &set)?;
    let expected = parameters(layout, new, &expect)?;
    let parameters = [values, finds, expected].concat();
    Ok(Planned { shape: Shape::Update { set, expect }, parameters, otherwise })
}

/// The SQL of a shape.
///
/// Updates and deletes also name the table's OID: should its name lead to another relation by the time the server plans
/// a prepared statement again (a bridge, after a switch), they meet no row instead of a wrong one.
pub(super) fn sql(layout: &Layout, shape: &Shape) -> String {
    let table = layout.table.name.quoted();
    match shape {
        Shape::Insert if layout.columns.is_empty() => format!("insert into {table} default values"),
        Shape::Insert => {
            let values: Vec<String> = (1..=layout.columns.len()).map(|number| format!("${number}")).collect();
            let names = all_names(layout).join(", ");
            format!("insert into {table} ({names}) overriding system value values ({})", values.join(", "))
        }
        Shape::Update { set, expect } => {
            let mut number = 0;
            let assignments: Vec<String> = set
                .iter()
                .filter_map(|place| layout.columns.get(*place))
                .map(|column| {
                    number += 1;
                    format!("{} = ${number}", column.target.name.quoted())
                })
                .collect();
            let found = found(layout, &mut number);
            let expected: String = expect
                .iter()
                .filter_map(|place| layout.columns.get(*place))
                .map(|column| format!(" and {}", same(column, &mut number)))
                .collect();
            if assignments.is_empty() {
                // Nothing to set, but the row must be there.
                return format!("select from only {table} where {found}{expected} for update");
            }
            format!("update only {table} set {} where {found}{expected}", assignments.join(", "))
        }
        Shape::Replace { set } => replace_sql(layout, set),
        Shape::Many(many) => many_sql(layout, many),
        Shape::Delete => format!("delete from only {table} where {}", found(layout, &mut 0)),
    }
}

fn all_names(layout: &Layout) -> Vec<String> {
    layout.columns.iter().map(|column| column.target.name.quoted()).collect()
}

fn replace_sql(layout: &Layout, set: &[usize]) -> String {
    let (table, mut number) = (layout.table.name.quoted(), 0);
    let values: Vec<String> = layout
        .columns
        .iter()
        .enumerate()
        .map(|(place, column)| {
            if set.contains(&place) {
                number += 1;
                format!("${number}::{}", column.target.type_sql)
            } else {
                format!("gone.{}", column.target.name.quoted())
            }
        })
        .collect();
    let (names, values) = (all_names(layout).join(", "), values.join(", "));
    let found = found(layout, &mut number);
    format!(
        "with gone as (delete from only {table} where {found} returning *) \
         insert into {table} ({names}) overriding system value select {values} from gone"
    )
}

/// The condition that meets exactly one row.
fn found(layout: &Layout, number: &mut usize) -> String {
    let oid = layout.table.route.target_oid.0;
    if !layout.key.is_empty() {
        let by_key: String = layout
            .key
            .iter()
            .filter_map(|place| layout.columns.get(*place))
            .map(|LayoutColumn { target, .. }| {
                *number += 1;
                format!("{} {} ${number}::{} and ", target.name.quoted(), target.equals, target.type_sql)
            })
            .collect();
        return format!("{by_key}tableoid = {oid}");
    }
    let alike: Vec<String> = layout.columns.iter().map(|column| same(column, number)).collect();
    let alike = if alike.is_empty() { "true".to_owned() } else { alike.join(" and ") };
    let table = layout.table.name.quoted();
    // Several rows may be alike; one of them is meant.
    format!("ctid = (select ctid from only {table} where {alike} limit 1) and tableoid = {oid}")
}

/// The stored value is exactly the parameter's, nulls included.
fn same(column: &LayoutColumn, number: &mut usize) -> String {
    *number += 1;
    let (name, of_type) = (column.target.name.quoted(), &column.target.type_sql);
    let same = "is not distinct from";
    match column.target.comparison {
        Comparison::Native => format!("{name} {same} ${number}::{of_type}"),
        Comparison::Bytewise => {
            let c = r#"collate "pg_catalog"."C""#;
            format!("{name} {c} {same} ${number}::{of_type} {c}")
        }
        Comparison::AsText => {
            let text = r#"::pg_catalog.text collate "pg_catalog"."C""#;
            format!("{name}{text} {same} ${number}::{of_type}{text}")
        }
        Comparison::Printed => {
            // An array prints its elements by their own function, and tells null from the empty text.
            let text = r#"::pg_catalog.text collate "pg_catalog"."C""#;
            format!("array[{name}]{text} {same} array[${number}::{of_type}]{text}")
        }
    }
}

#[cfg(test)]
#[path = "statement_tests.rs"]
mod tests;
