//! Changes that are written together: kept until they are, so that they can be written another way if one fails.

use super::layout::Layout;
use cleave_proto::pgoutput::{Cell, Change, Tuple};
use std::{collections::HashMap, sync::Arc};

/// Beside a change's values: its tuples, its place in the list.
const CHANGE_OVERHEAD_BYTES: usize = 128;

/// Changes in their order.
#[derive(Debug, Default)]
pub(super) struct Segment {
    pub(super) changes: Vec<(Arc<Layout>, Change)>,
    bytes: usize,
}

/// The changes of one table, in their order.
#[derive(Debug)]
pub(super) struct TableChanges<'a> {
    pub(super) layout: &'a Arc<Layout>,
    pub(super) changes: Vec<&'a Change>,
    /// Their places in the segment.
    pub(super) places: Vec<usize>,
}

impl Segment {
    pub(super) fn push(&mut self, layout: &Arc<Layout>, change: Change) {
        self.bytes += memory_bytes(&change);
        self.changes.push((Arc::clone(layout), change));
    }

    /// Bytes of memory that it takes, about.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The changes table by table. None if a table came in two shapes: the order between them counts.
    pub(super) fn by_table(&self) -> Option<Vec<TableChanges<'_>>> {
        let mut known = HashMap::new();
        let mut tables: Vec<TableChanges<'_>> = Vec::new();
        for (place, (layout, change)) in self.changes.iter().enumerate() {
            let at = *known.entry(layout.table.route.target_oid).or_insert_with(|| {
                tables.push(TableChanges { layout, changes: Vec::new(), places: Vec::new() });
                tables.len() - 1
            });
            let table = tables.get_mut(at)?;
            if table.layout.serial != layout.serial {
                return None;
            }
            table.changes.push(change);
            table.places.push(place);
        }
        Some(tables)
    }
}

/// Bytes of a change's values.
pub(super) fn value_bytes(change: &Change) -> usize {
    let cell = |cell: &Cell| match cell {
        Cell::Text(bytes) | Cell::Binary(bytes) => bytes.len(),
        Cell::Null | Cell::Unchanged => 0,
    };
    tuples(change).map(|tuple| tuple.cells.iter().map(cell).sum::<usize>()).sum()
}

fn memory_bytes(change: &Change) -> usize {
    let cells: usize = tuples(change).map(|tuple| tuple.cells.len() * size_of::<Cell>()).sum();
    value_bytes(change) + cells + CHANGE_OVERHEAD_BYTES
}

fn tuples(change: &Change) -> impl Iterator<Item = &Tuple> {
    let (old, new) = match change {
        Change::Insert { new } => (None, Some(new)),
        Change::Update { old, new } => (old.as_ref().map(|old| old.tuple()), Some(new)),
        Change::Delete { old } => (Some(old.tuple()), None),
    };
    old.into_iter().chain(new)
}
