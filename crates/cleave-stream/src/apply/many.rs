//! Many row changes as one SQL statement: its text, and its parameters, which are one array per column.
//!
//! Values go into the arrays as they came: binary ones into an array of the column's type, texts into an array of
//! text, each element then read by the column's type. The text depends only on the layout and on [`Many`].

use super::{
    fold::{Net, Row, UpdateGroup, cell},
    layout::{Layout, LayoutColumn},
    parameter::Parameter,
};
use bytes::{BufMut, BytesMut};
use cleave_proto::{
    copy::{binary, text},
    pgoutput::{Cell, Tuple},
};

/// `pg_type.oid` of `text`.
const TEXT_OID: u32 = 25;
/// Bytes of a binary array before its first element (`array_send`): dimensions, nulls, type, length, lower bound.
const ARRAY_HEADER_BYTES: usize = 20;
/// Rows of a COPY are handed to the driver in pieces of about this size.
const PIECE_BYTES: usize = 64 << 10;

/// What a statement over many rows does.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Many {
    /// Sets these columns (places in the layout).
    Update { set: Vec<usize>, form: Form },
    /// Deletes.
    Delete { form: Form },
}

/// How values came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Form {
    /// In their types' text forms.
    Text,
    /// In their types' binary forms.
    Binary,
}

/// The form of all these values; none if they came in both, or in one that arrays cannot carry.
fn form<'a>(cells: impl Iterator<Item = (&'a LayoutColumn, &'a Cell)>, arrays: bool) -> Option<Form> {
    let mut seen = None;
    for (column, cell) in cells {
        let this = match cell {
            Cell::Null => continue,
            Cell::Unchanged => return None,
            Cell::Text(_) => Form::Text,
            Cell::Binary(_) if arrays && !column.target.has_array => return None,
            Cell::Binary(_) => Form::Binary,
        };
        if *seen.get_or_insert(this) != this {
            return None;
        }
    }
    Some(seen.unwrap_or(Form::Text))
}

/// The form in which a group of updates can be one statement.
pub(super) fn update_form(layout: &Layout, group: &UpdateGroup<'_>) -> Option<Form> {
    if group.set.is_empty() {
        return None;
    }
    let set = group.rows.iter().flat_map(|(_, row)| {
        group.set.iter().filter_map(|place| Some((layout.columns.get(*place)?, row.cell(layout, *place))))
    });
    let finds = group.rows.iter().flat_map(|(find, _)| key_cells(layout, find));
    form(set.chain(finds), true)
}

/// The form in which deletes can be one statement.
pub(super) fn delete_form(layout: &Layout, net: &Net<'_>) -> Option<Form> {
    form(net.deletes.iter().flat_map(|find| key_cells(layout, find)), true)
}

/// The form in which inserts can be one COPY.
pub(super) fn insert_form(layout: &Layout, rows: &[Row<'_>]) -> Option<Form> {
    let cells = |row| {
        layout.columns.iter().enumerate().map(move |(place, column)| (column, Row::cell(row, layout, place)))
    };
    form(rows.iter().flat_map(cells), false)
}

fn key_cells<'a>(layout: &'a Layout, find: &'a Tuple) -> impl Iterator<Item = (&'a LayoutColumn, &'a Cell)> {
    layout.key.iter().filter_map(move |place| Some((layout.columns.get(*place)?, cell(layout, find, *place))))
}

/// Parameters of [`Many::Update`]: the columns to set, then the key.
pub(super) fn update_parameters(layout: &Layout, group: &UpdateGroup<'_>, form: Form) -> Vec<Parameter> {
    let column = |place: &usize| layout.columns.get(*place).map(|column| (*place, column));
    let set = group.set.iter().filter_map(column).map(|(place, column)| {
        array(column, form, group.rows.iter().map(|(_, row)| row.cell(layout, place)))
    });
    let key = layout.key.iter().filter_map(column).map(|(place, column)| {
        array(column, form, group.rows.iter().map(|(find, _)| cell(layout, find, place)))
    });
    set.chain(key).collect()
}

/// Parameters of [`Many::Delete`]: the key.
pub(super) fn delete_parameters(layout: &Layout, net: &Net<'_>, form: Form) -> Vec<Parameter> {
    let column = |place: &usize| layout.columns.get(*place).map(|column| (*place, column));
    layout
        .key
        .iter()
        .filter_map(column)
        .map(|(place, column)| array(column, form, net.deletes.iter().map(|find| cell(layout, find, place))))
        .collect()
}

/// An array in its binary form, which holds the values' bytes as they are.
fn array<'a>(
    column: &LayoutColumn,
    form: Form,
    cells: impl ExactSizeIterator<Item = &'a Cell> + Clone,
) -> Parameter {
    let values = cells.clone().map(|cell| value(cell).map_or(0, <[u8]>::len) + 4).sum::<usize>();
    let nulls = cells.clone().any(|cell| value(cell).is_none());
    let mut out = BytesMut::with_capacity(ARRAY_HEADER_BYTES + values);
    out.put_i32(1);
    out.put_i32(i32::from(nulls));
    out.put_u32(match form {
        Form::Text => TEXT_OID,
        Form::Binary => column.target.type_oid.0,
    });
    // A segment has far fewer rows, and a cell under 1 GB.
    out.put_i32(i32::try_from(cells.len()).unwrap_or(i32::MAX));
    out.put_i32(1);
    for cell in cells {
        match value(cell) {
            None => out.put_i32(-1),
            Some(bytes) => {
                out.put_i32(i32::try_from(bytes.len()).unwrap_or(i32::MAX));
                out.put_slice(bytes);
            }
        }
    }
    Parameter::Binary(out.freeze())
}

fn value(cell: &Cell) -> Option<&[u8]> {
    match cell {
        Cell::Text(bytes) | Cell::Binary(bytes) => Some(bytes),
        Cell::Null | Cell::Unchanged => None,
    }
}

/// The data of [`copy_sql`], in pieces.
pub(super) fn pieces<'n>(
    layout: &'n Layout,
    rows: &'n [Row<'n>],
    form: Form,
) -> impl Iterator<Item = BytesMut> + 'n {
    let mut rows = rows.iter();
    let mut started = false;
    let mut ended = false;
    let mut fields = Vec::with_capacity(layout.columns.len());
    std::iter::from_fn(move || {
        if ended {
            return None;
        }
        let mut out = BytesMut::with_capacity(PIECE_BYTES + PIECE_BYTES / 4);
        if !std::mem::replace(&mut started, true) && form == Form::Binary {
            out.put_slice(&binary::HEADER);
        }
        while out.len() < PIECE_BYTES {
            let Some(row) = rows.next() else {
                ended = true;
                if form == Form::Binary {
                    out.put_slice(&binary::TRAILER);
                }
                break;
            };
            fields.clear();
            fields.extend((0..layout.columns.len()).map(|place| value(row.cell(layout, place))));
            match form {
                Form::Text => text::put_row(&mut out, &fields),
                // More columns than a table can have, or a longer value than a message: neither was decoded.
                Form::Binary => assert!(binary::put_row(&mut out, &fields), "a row that no table can have"),
            }
        }
        Some(out)
    })
}

/// Inserts: a COPY.
pub(super) fn copy_sql(layout: &Layout, form: Form) -> String {
    let table = layout.table.name.quoted();
    let names: Vec<String> = layout.columns.iter().map(|column| column.target.name.quoted()).collect();
    let format = match form {
        Form::Text => "text",
        Form::Binary => "binary",
    };
    format!("copy {table} ({}) from stdin (format {format})", names.join(", "))
}

/// The SQL. It also names the table's OID, as that of single rows does.
pub(super) fn many_sql(layout: &Layout, many: &Many) -> String {
    let table = layout.table.name.quoted();
    match many {
        Many::Delete { form } => {
            let given = given(layout, &layout.key, *form);
            format!("delete from only {table} as t using {given} where {}", found(layout, 1, *form))
        }
        Many::Update { set, form } => {
            let given = given(layout, &[set.as_slice(), &layout.key].concat(), *form);
            let assignments: Vec<String> = set
                .iter()
                .filter_map(|place| layout.columns.get(*place))
                .zip(1..)
                .map(|(column, number)| {
                    format!("{} = {}", column.target.name.quoted(), element(column, number, *form))
                })
                .collect();
            let found = found(layout, set.len() + 1, *form);
            format!("update only {table} as t set {} from {given} where {found}", assignments.join(", "))
        }
    }
}

/// The arrays as rows.
fn given(layout: &Layout, places: &[usize], form: Form) -> String {
    let columns = places.iter().filter_map(|place| layout.columns.get(*place)).zip(1..);
    let (mut functions, mut names) = (Vec::new(), Vec::new());
    for (column, number) in columns {
        let of_type = match form {
            Form::Text => "pg_catalog.text",
            Form::Binary => &column.target.type_sql,
        };
        functions.push(format!("pg_catalog.unnest(${number}::{of_type}[])"));
        names.push(format!("c{number}"));
    }
    format!("rows from ({}) as u ({})", functions.join(", "), names.join(", "))
}

fn element(column: &LayoutColumn, number: usize, form: Form) -> String {
    match form {
        Form::Text => format!("u.c{number}::{}", column.target.type_sql),
        Form::Binary => format!("u.c{number}"),
    }
}

/// The condition that meets one row per element; the key's arrays start at `first`.
fn found(layout: &Layout, first: usize, form: Form) -> String {
    let by_key: String = layout
        .key
        .iter()
        .filter_map(|place| layout.columns.get(*place))
        .zip(first..)
        .map(|(column, number)| {
            let (name, equals) = (column.target.name.quoted(), &column.target.equals);
            format!("t.{name} {equals} {} and ", element(column, number, form))
        })
        .collect();
    format!("{by_key}t.tableoid = {}", layout.table.route.target_oid.0)
}
