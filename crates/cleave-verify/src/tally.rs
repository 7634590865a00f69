//! Adds up what was decided about a table's rows.

use crate::{
    Difference, DifferenceKind, Found, Reached, RowKey, TableOutcome, Values, VerifyTable,
    judge::{Reading, Suspicion, count},
    pair::Pair,
    recheck::Decided,
    suspects::Identity,
    values::Read,
};
use cleave_model::Ident;

/// Where the column hashes start in a keyed row's content: behind the count and the two row hashes.
const COLUMN_HASHES_AT: usize = 3;

/// A table's outcome in the making.
pub(crate) struct Tally<'a> {
    pair: &'a Pair,
    table: &'a VerifyTable,
    kept_max: usize,
    found: Option<&'a Found>,
    outcome: TableOutcome,
}

impl<'a> Tally<'a> {
    pub(crate) fn new(
        pair: &'a Pair,
        table: &'a VerifyTable,
        kept_max: usize,
        found: Option<&'a Found>,
    ) -> Self {
        let outcome = TableOutcome {
            table: pair.home.name.clone(),
            title: table.title(),
            rows: 0,
            resumed: 0,
            rechecked: 0,
            equal: 0,
            missing: 0,
            extra: 0,
            different: 0,
            unproven: 0,
            entries: 0,
            differences: Vec::new(),
            unproven_rows: Vec::new(),
        };
        Self { pair, table, kept_max, found, outcome }
    }

    /// Rows that the home has.
    pub(crate) fn scanned(&mut self, rows: u64) {
        self.outcome.rows += rows;
    }

    /// Rows that an earlier comparison has proven.
    pub(crate) fn resume(&mut self, reached: &Reached) {
        self.outcome.rows += reached.rows;
        self.outcome.resumed += reached.rows;
        self.outcome.rechecked += reached.rechecked;
    }

    /// The rows so far, if all of them are proven to be the same.
    pub(crate) fn proven(&self) -> Option<(u64, u64)> {
        let clean = self.outcome.differing() == 0 && self.outcome.unproven == 0;
        clean.then_some((self.outcome.rows, self.outcome.rechecked))
    }

    /// Rows that are read again.
    pub(crate) fn rechecking(&mut self, rows: usize) {
        self.outcome.rechecked += rows as u64;
    }

    /// How many rows' values are still of use to somebody.
    pub(crate) fn room(&self) -> usize {
        if self.found.is_some() {
            usize::MAX
        } else {
            self.kept_max.saturating_sub(self.outcome.differences.len())
        }
    }

    pub(crate) fn add(&mut self, decided: Decided, values: &mut Read) {
        self.outcome.entries += 1;
        match decided {
            Decided::Different(identity, seen) if self.pair.keyed => self.keyed(identity, &seen, values),
            Decided::Different(identity, seen) => self.keyless(&identity, &seen),
            Decided::Unproven(identity, seen) => self.unproven(identity, &seen),
        }
    }

    /// The result. Rows that came or went since they were counted can make the parts more than the whole.
    pub(crate) fn finish(mut self) -> TableOutcome {
        let not_equal = self.outcome.missing + self.outcome.different + self.outcome.unproven;
        self.outcome.equal = self.outcome.rows.saturating_sub(not_equal);
        self.outcome
    }

    fn keyed(&mut self, identity: Identity, seen: &Suspicion, values: &mut Read) {
        let kind = match (&seen.home, &seen.follower) {
            (Some(home), Some(follower)) => {
                self.outcome.different += 1;
                DifferenceKind::Different { columns: self.differing_columns(home, follower) }
            }
            (Some(_), None) => {
                self.outcome.missing += 1;
                DifferenceKind::Missing
            }
            (None, _) => {
                self.outcome.extra += 1;
                DifferenceKind::Extra
            }
        };
        let values = values.of(self.pair, &identity, &kind);
        self.keep(Difference { row: RowKey::Key(identity), kind, values });
    }

    fn keyless(&mut self, identity: &Identity, seen: &Suspicion) {
        let (home, follower) = (count(seen.home.as_ref()), count(seen.follower.as_ref()));
        let kind = if home > follower {
            self.outcome.missing += home - follower;
            DifferenceKind::Missing
        } else {
            self.outcome.extra += follower - home;
            DifferenceKind::Extra
        };
        self.keep(Difference { row: keyless_row(identity, home, follower), kind, values: Values::default() });
    }

    fn unproven(&mut self, identity: Identity, seen: &Suspicion) {
        let row = if self.pair.keyed {
            self.outcome.unproven += 1;
            RowKey::Key(identity)
        } else {
            let (home, follower) = (count(seen.home.as_ref()), count(seen.follower.as_ref()));
            self.outcome.unproven += home.abs_diff(follower).max(1);
            keyless_row(&identity, home, follower)
        };
        let (kind, values) = (DifferenceKind::Unproven, Values::default());
        let row = Difference { row, kind, values };
        if let Some(found) = self.found {
            found(self.table, &row);
        }
        if self.outcome.unproven_rows.len() < self.kept_max {
            self.outcome.unproven_rows.push(row.row);
        }
    }

    fn keep(&mut self, difference: Difference) {
        if let Some(found) = self.found {
            found(self.table, &difference);
        }
        if self.outcome.differences.len() < self.kept_max {
            self.outcome.differences.push(difference);
        }
    }

    fn differing_columns(&self, home: &Reading, follower: &Reading) -> Vec<Ident> {
        if home.content.first() != follower.content.first() {
            return Vec::new();
        }
        let hashes =
            |reading: &Reading| reading.content.iter().skip(COLUMN_HASHES_AT).copied().collect::<Vec<_>>();
        let pairs = hashes(home).into_iter().zip(hashes(follower));
        let columns = self.pair.columns.iter().zip(pairs);
        columns.filter(|(_, (here, there))| here != there).map(|(column, _)| column.clone()).collect()
    }
}

fn keyless_row(identity: &Identity, home: u64, follower: u64) -> RowKey {
    let hash = identity.iter().map(|part| format!("{part:0>16}")).collect();
    RowKey::Keyless { hash, home, follower }
}
