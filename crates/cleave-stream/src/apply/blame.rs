//! The key of the row that a change is about, kept until its statement has been answered.

use super::layout::{Layout, LayoutColumn};
use crate::{FailedRow, StreamError};
use cleave_proto::pgoutput::{Cell, Change, OldTuple};
use std::{fmt::Write, sync::Arc};

/// The cells of the key, which share the bytes of the change.
#[derive(Clone)]
pub(super) struct Blame {
    layout: Arc<Layout>,
    key: Vec<Cell>,
}

impl Blame {
    /// None for a table without a key: its rows are told apart by all their values.
    pub(super) fn new(layout: &Arc<Layout>, change: &Change) -> Option<Self> {
        let tuple = match change {
            Change::Insert { new } => new,
            Change::Update { old, new } => old.as_ref().map_or(new, OldTuple::tuple),
            Change::Delete { old } => old.tuple(),
        };
        let columns = layout.key.iter().filter_map(|place| layout.columns.get(*place));
        let cell = |column: &LayoutColumn| tuple.cells.get(column.cell).cloned().unwrap_or(Cell::Unchanged);
        let key: Vec<Cell> = columns.map(cell).collect();
        (!key.is_empty()).then(|| Self { layout: Arc::clone(layout), key })
    }

    /// As people read it.
    pub(super) fn row(&self) -> FailedRow {
        let columns = self.layout.key.iter().filter_map(|place| self.layout.columns.get(*place));
        let key = columns.zip(&self.key).map(|(column, cell)| {
            (column.target.name.as_str().to_owned(), text(&column.target.type_sql, cell))
        });
        FailedRow { key: key.collect() }
    }
}

/// Puts the row into the error.
pub(super) fn blamed(mut error: StreamError, blame: Option<&Blame>) -> StreamError {
    if let StreamError::ChangeRefused { row, .. } | StreamError::RowMissing { row, .. } = &mut error {
        *row = blame.map(Blame::row);
    }
    error
}

fn text(of_type: &str, cell: &Cell) -> Option<String> {
    match cell {
        Cell::Null | Cell::Unchanged => None,
        Cell::Text(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        Cell::Binary(bytes) => Some(binary(of_type, bytes)),
    }
}

/// The binary form of the types that keys mostly have; others as bytes.
fn binary(of_type: &str, bytes: &[u8]) -> String {
    let name = of_type.rsplit('.').next().unwrap_or(of_type).trim_matches('"');
    let number = match (name, bytes) {
        ("int2", [a, b]) => Some(i64::from(i16::from_be_bytes([*a, *b]))),
        ("int4", [a, b, c, d]) => Some(i64::from(i32::from_be_bytes([*a, *b, *c, *d]))),
        ("int8", _) => bytes.try_into().ok().map(i64::from_be_bytes),
        _ => None,
    };
    if let Some(number) = number {
        return number.to_string();
    }
    let hex = bytes.iter().fold(String::new(), |mut hex, byte| {
        let _written = write!(hex, "{byte:02x}");
        hex
    });
    match name {
        "text" | "varchar" | "bpchar" | "name" => String::from_utf8_lossy(bytes).into_owned(),
        "uuid" if hex.len() == 32 => {
            format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
        }
        _ => format!("\\x{hex}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_in_binary_form_are_read_as_people_write_them() {
        let long = (-7_i64).to_be_bytes();
        for (of_type, bytes, expected) in [
            (r#""pg_catalog"."int4""#, &[0, 0, 1, 0][..], "256"),
            (r#""pg_catalog"."int8""#, &long[..], "-7"),
            (r#""pg_catalog"."int2""#, &[0xff, 0xff][..], "-1"),
            (r#""pg_catalog"."text""#, b"one", "one"),
            (r#""pg_catalog"."uuid""#, &[0x11; 16][..], "11111111-1111-1111-1111-111111111111"),
            (r#""public"."place""#, &[1, 2][..], "\\x0102"),
        ] {
            assert_eq!(binary(of_type, bytes), expected);
        }
    }
}
