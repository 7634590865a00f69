//! What a run of changes of one table comes to: which of the rows that were there are deleted, which have other
//! values, which rows are new. Pure.
//!
//! Why the result may be written as deletes, then updates, then inserts, each as a set: every key in `deletes` and
//! every `find` of an update is the key of a row that was there before the run, each row once, so that each of them
//! meets exactly one row whatever is written before it. Whatever a constraint has against this order is an error of a
//! statement, and the caller then writes the same changes one by one. `docs/design/apply.md` has the argument.

use super::layout::Layout;
use cleave_proto::pgoutput::{Cell, Change, OldTuple, Tuple};
use std::collections::HashMap;

/// The changes do not fit together as those of one source do, or need a statement of their own: write them one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unfoldable;

/// The result.
#[derive(Debug, Default)]
pub(super) struct Net<'a> {
    /// Rows that go; each tuple has the key.
    pub(super) deletes: Vec<&'a Tuple>,
    /// Rows that stay, by what is set in them.
    pub(super) updates: Vec<UpdateGroup<'a>>,
    /// Rows that come.
    pub(super) inserts: Vec<Row<'a>>,
}

/// Updates that set the same columns.
#[derive(Debug)]
pub(super) struct UpdateGroup<'a> {
    /// Places in the layout.
    pub(super) set: Vec<usize>,
    /// The tuple with the key that the row had before, and the row.
    pub(super) rows: Vec<(&'a Tuple, Row<'a>)>,
}

/// A row's values after the run.
#[derive(Debug)]
pub(super) enum Row<'a> {
    /// As one change sent it.
    Sent(&'a Tuple),
    /// Put together from several changes, by place in the layout.
    Merged(Vec<&'a Cell>),
}

impl<'a> Row<'a> {
    /// The value of a place in the layout.
    pub(super) fn cell(&self, layout: &Layout, place: usize) -> &'a Cell {
        match self {
            Self::Sent(tuple) => cell(layout, tuple, place),
            Self::Merged(cells) => cells.get(place).copied().unwrap_or(&Cell::Unchanged),
        }
    }

    /// The row after an update; what that did not send stays.
    fn updated(&self, layout: &Layout, new: &'a Tuple) -> Self {
        if !new.cells.contains(&Cell::Unchanged) {
            return Row::Sent(new);
        }
        let places = 0..layout.columns.len();
        Row::Merged(
            places
                .map(|place| match cell(layout, new, place) {
                    Cell::Unchanged => self.cell(layout, place),
                    sent => sent,
                })
                .collect(),
        )
    }
}

/// The value that a tuple has for a place in the layout.
pub(super) fn cell<'a>(layout: &Layout, tuple: &'a Tuple, place: usize) -> &'a Cell {
    let column = layout.columns.get(place);
    column.and_then(|column| tuple.cells.get(column.cell)).unwrap_or(&Cell::Unchanged)
}

/// What becomes of one row.
#[derive(Debug)]
enum Fate<'a> {
    Inserted(Row<'a>),
    Updated {
        find: &'a Tuple,
        row: Row<'a>,
    },
    Deleted {
        find: &'a Tuple,
    },
    /// It came and went.
    Nothing,
}

/// Who has a key at this point of the run.
#[derive(Clone, Copy, Debug)]
enum Holder {
    Row(usize),
    Nobody,
}

/// The bytes of a key, as the source sent them: it compares old and new bytes too.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key<'a> {
    One(&'a Cell),
    Several(Vec<&'a Cell>),
}

/// Folds the changes of one table, given in their order.
pub(super) fn fold<'a>(layout: &Layout, changes: &[&'a Change]) -> Result<Net<'a>, Unfoldable> {
    let mut folder = Folder { layout, fates: Vec::new(), holders: HashMap::with_capacity(changes.len()) };
    for change in changes {
        match change {
            Change::Insert { new } => folder.insert(new)?,
            Change::Update { old, new } => folder.update(old.as_ref().map_or(new, OldTuple::tuple), new)?,
            Change::Delete { old } => folder.delete(old.tuple())?,
        }
    }
    folder.net()
}

struct Folder<'l, 'a> {
    layout: &'l Layout,
    fates: Vec<Fate<'a>>,
    holders: HashMap<Key<'a>, Holder>,
}

impl<'a> Folder<'_, 'a> {
    /// The key of a tuple; what it leaves out is as in `before`.
    fn key(&self, tuple: &'a Tuple, before: &'a Tuple) -> Result<Key<'a>, Unfoldable> {
        let value = |place: &usize| {
            let sent = match cell(self.layout, tuple, *place) {
                Cell::Unchanged => cell(self.layout, before, *place),
                sent => sent,
            };
            if matches!(sent, Cell::Null | Cell::Unchanged) { Err(Unfoldable) } else { Ok(sent) }
        };
        match self.layout.key.as_slice() {
            [] => Err(Unfoldable),
            [place] => value(place).map(Key::One),
            places => places.iter().map(value).collect::<Result<_, _>>().map(Key::Several),
        }
    }

    fn insert(&mut self, new: &'a Tuple) -> Result<(), Unfoldable> {
        let key = self.key(new, new)?;
        if let Some(Holder::Row(_)) = self.holders.insert(key, Holder::Row(self.fates.len())) {
            return Err(Unfoldable);
        }
        self.fates.push(Fate::Inserted(Row::Sent(new)));
        Ok(())
    }

    fn update(&mut self, find: &'a Tuple, new: &'a Tuple) -> Result<(), Unfoldable> {
        let (before, after) = (self.key(find, find)?, self.key(new, find)?);
        let at = match self.holders.get(&before) {
            Some(Holder::Row(at)) => *at,
            // Its row went away in this run.
            Some(Holder::Nobody) => return Err(Unfoldable),
            None => self.fates.len(),
        };
        match self.fates.get_mut(at) {
            None => self.fates.push(Fate::Updated { find, row: Row::Sent(new) }),
            Some(Fate::Inserted(row) | Fate::Updated { row, .. }) => *row = row.updated(self.layout, new),
            Some(Fate::Deleted { .. } | Fate::Nothing) => return Err(Unfoldable),
        }
        if before == after {
            self.holders.insert(before, Holder::Row(at));
            return Ok(());
        }
        self.holders.insert(before, Holder::Nobody);
        match self.holders.insert(after, Holder::Row(at)) {
            Some(Holder::Row(_)) => Err(Unfoldable),
            Some(Holder::Nobody) | None => Ok(()),
        }
    }

    fn delete(&mut self, find: &'a Tuple) -> Result<(), Unfoldable> {
        let key = self.key(find, find)?;
        match self.holders.insert(key, Holder::Nobody) {
            None => self.fates.push(Fate::Deleted { find }),
            Some(Holder::Nobody) => return Err(Unfoldable),
            Some(Holder::Row(at)) => {
                let fate = self.fates.get_mut(at).ok_or(Unfoldable)?;
                *fate = match fate {
                    Fate::Inserted(_) => Fate::Nothing,
                    Fate::Updated { find, .. } => Fate::Deleted { find },
                    Fate::Deleted { .. } | Fate::Nothing => return Err(Unfoldable),
                };
            }
        }
        Ok(())
    }

    fn net(self) -> Result<Net<'a>, Unfoldable> {
        let mut net = Net::default();
        let mut groups: HashMap<Vec<usize>, usize> = HashMap::new();
        let mut set = Vec::with_capacity(self.layout.columns.len());
        for fate in self.fates {
            match fate {
                Fate::Nothing => {}
                Fate::Deleted { find } => net.deletes.push(find),
                Fate::Inserted(row) => net.inserts.push(row),
                Fate::Updated { find, row } => {
                    changed(self.layout, find, &row, &mut set)?;
                    let known = groups.get(&set).and_then(|at| net.updates.get_mut(*at));
                    if let Some(group) = known {
                        group.rows.push((find, row));
                    } else {
                        groups.insert(set.clone(), net.updates.len());
                        net.updates.push(UpdateGroup { set: set.clone(), rows: vec![(find, row)] });
                    }
                }
            }
        }
        Ok(net)
    }
}

/// The places to set: what was sent, and of the key what differs.
fn changed(layout: &Layout, find: &Tuple, row: &Row<'_>, set: &mut Vec<usize>) -> Result<(), Unfoldable> {
    set.clear();
    for (place, column) in layout.columns.iter().enumerate() {
        let now = row.cell(layout, place);
        let kept = layout.key.contains(&place) && now == cell(layout, find, place);
        if kept || *now == Cell::Unchanged {
            continue;
        }
        if column.target.identity_always {
            return Err(Unfoldable);
        }
        set.push(place);
    }
    Ok(())
}

#[cfg(test)]
#[path = "fold_tests.rs"]
mod tests;
