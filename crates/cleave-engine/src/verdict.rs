//! What a comparison found, as it is told: wishes of the user, and the report.

use crate::status::timestamp;
use cleave_api::{Difference, DifferenceKind, TableVerdict, ValuePair, VerificationState, VerifyReport};
use cleave_config::Limits;
use cleave_journal::VerifiedPart;
use cleave_verify::{
    Found, LoadLimits, Reached, RowKey, TableOutcome, Values, VerifyLimits, VerifyOutcome, VerifyTable,
};
use std::{
    collections::BTreeMap,
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

/// Is told every difference as soon as it is proven.
pub type FoundDifference = Arc<dyn Fn(&Difference) + Send + Sync>;

/// What may be asked of a comparison.
#[derive(Clone, Default)]
pub struct VerifyOptions {
    /// For lists that are longer than what the report keeps. Not called where another engine executes the verb.
    pub found: Option<FoundDifference>,
    /// True if the values of rows that differ are to be shown. They are in no journal, so another engine that executes
    /// the verb does not tell them.
    pub show_values: bool,
    /// Tables compared at a time; without, as the limits say.
    pub jobs: Option<usize>,
    /// Bytes that a standby or slot of the home may be behind while rows are read, instead of `limits.verify_max_lag`.
    pub lag_bytes_max: Option<u64>,
    /// Sessions that may work at the home meanwhile, instead of `limits.verify_max_sessions`.
    pub sessions_max: Option<u32>,
    /// Rows that the report lists of each table; without, a few.
    pub listed_max: Option<usize>,
    /// True if what an earlier comparison has proven, whose process died, is to be read again.
    pub restart: bool,
    /// Rows read per second, over all tables under way; without, as fast as the servers give them.
    pub rows_per_second_max: Option<u64>,
}

impl VerifyOptions {
    /// Tables compared at a time, where nothing else is said this many.
    pub(crate) fn jobs(&self, usual: usize) -> usize {
        self.jobs.unwrap_or(usual).max(1)
    }

    /// The limits of a comparison of so many tables at a time.
    pub(crate) fn limits(&self, usual_jobs: usize, usual: &Limits) -> VerifyLimits {
        let share = |rate: u64| (rate / self.jobs(usual_jobs) as u64).max(1);
        let defaults = VerifyLimits::default();
        VerifyLimits {
            values: self.show_values,
            rows_per_second_max: self.rows_per_second_max.map(share),
            differences_kept: self.listed_max.unwrap_or(defaults.differences_kept),
            load: LoadLimits {
                lag_bytes_max: self.lag_bytes_max.or(usual.verify_lag_bytes_max),
                sessions_max: self.sessions_max.or(usual.verify_sessions_max),
            },
            ..defaults
        }
    }
}

impl PartialEq for VerifyOptions {
    fn eq(&self, other: &Self) -> bool {
        let found = match (&self.found, &other.found) {
            (Some(here), Some(there)) => Arc::ptr_eq(here, there),
            (here, there) => here.is_none() && there.is_none(),
        };
        let rest = |one: &Self| {
            let load = (one.lag_bytes_max, one.sessions_max);
            (one.show_values, one.jobs, one.rows_per_second_max, load, one.listed_max, one.restart)
        };
        found && rest(self) == rest(other)
    }
}

impl fmt::Debug for VerifyOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyOptions")
            .field("show_values", &self.show_values)
            .field("jobs", &self.jobs)
            .field("rows_per_second_max", &self.rows_per_second_max)
            .finish_non_exhaustive()
    }
}

/// What a comparison is told of what an earlier one has kept.
pub(crate) fn reached(parts: BTreeMap<String, VerifiedPart>) -> BTreeMap<String, Reached> {
    let reached = |part: VerifiedPart| {
        let VerifiedPart { order, up_to, follower_up_to, done, rows, rechecked } = part;
        Reached { order, up_to, follower_up_to, done, rows, rechecked }
    };
    parts.into_iter().map(|(title, part)| (title, reached(part))).collect()
}

/// What is kept of what a comparison has told.
pub(crate) fn part(reached: Reached) -> VerifiedPart {
    let Reached { order, up_to, follower_up_to, done, rows, rechecked } = reached;
    VerifiedPart { order, up_to, follower_up_to, done, rows, rechecked }
}

/// How it is known that the follower has caught up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Alignment {
    /// A running stream says so.
    Stream,
    /// Nothing does: it was given some time.
    Time,
}

/// The names of the key columns by what a comparison is called.
#[derive(Clone, Debug)]
pub(crate) struct Listing(Arc<BTreeMap<String, Vec<String>>>);

impl Listing {
    pub(crate) fn new(tables: &[VerifyTable]) -> Self {
        let names = |table: &VerifyTable| -> Vec<String> {
            let key = table.key.iter().flatten().filter_map(|at| table.columns.get(*at));
            key.map(|(on_home, _)| on_home.as_str().to_owned()).collect()
        };
        Self(Arc::new(tables.iter().map(|table| (table.title(), names(table))).collect()))
    }

    /// What the comparison calls, if somebody wants to hear every difference.
    pub(crate) fn found(&self, options: &VerifyOptions) -> Option<Found> {
        let (listing, found) = (self.clone(), options.found.clone()?);
        Some(Arc::new(move |table, difference| found(&listing.difference(&table.title(), difference))))
    }

    pub(crate) fn report(
        &self,
        title: &str,
        outcome: &VerifyOutcome,
        alignment: Alignment,
        elapsed: Duration,
    ) -> VerifyReport {
        let tables = outcome.tables.iter().map(|table| TableVerdict {
            table: table.title.clone(),
            rows: table.rows,
            rechecked: table.rechecked,
            unproven: table.unproven,
            differences: table.differing(),
            entries: table.entries,
        });
        let proven = outcome.tables.iter().flat_map(|table| {
            table.differences.iter().map(|difference| self.difference(&table.title, difference))
        });
        let unproven = outcome.tables.iter().flat_map(|table| self.unproven(table));
        VerifyReport {
            service: title.to_owned(),
            state: state(outcome),
            aligned: alignment == Alignment::Stream,
            at: timestamp(SystemTime::now()),
            elapsed_ms: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
            rows: outcome.rows(),
            repaired: None,
            resumed: outcome.tables.iter().map(|table| table.resumed).sum(),
            since: None,
            tables: tables.collect(),
            differences: proven.chain(unproven).collect(),
        }
    }

    fn difference(&self, table: &str, difference: &cleave_verify::Difference) -> Difference {
        Difference {
            table: table.to_owned(),
            key: self.key(table, &difference.row),
            kind: match difference.kind {
                cleave_verify::DifferenceKind::Missing => DifferenceKind::Missing,
                cleave_verify::DifferenceKind::Extra => DifferenceKind::Extra,
                cleave_verify::DifferenceKind::Different { .. } => DifferenceKind::Changed,
                cleave_verify::DifferenceKind::Unproven => DifferenceKind::Unproven,
            },
            columns: match &difference.kind {
                cleave_verify::DifferenceKind::Different { columns } => {
                    columns.iter().map(ToString::to_string).collect()
                }
                _ => Vec::new(),
            },
            values: values(&difference.values),
        }
    }

    fn unproven(&self, outcome: &TableOutcome) -> Vec<Difference> {
        let rows = outcome.unproven_rows.iter().map(|row| Difference {
            table: outcome.title.clone(),
            key: self.key(&outcome.title, row),
            kind: DifferenceKind::Unproven,
            columns: Vec::new(),
            values: Vec::new(),
        });
        rows.collect()
    }

    fn key(&self, table: &str, row: &RowKey) -> Vec<(String, String)> {
        match row {
            RowKey::Key(values) => {
                self.0.get(table).into_iter().flatten().cloned().zip(values.iter().cloned()).collect()
            }
            keyless @ RowKey::Keyless { .. } => vec![("row".to_owned(), keyless.to_string())],
        }
    }
}

fn values(values: &Values) -> Vec<ValuePair> {
    let pairs = values.0.iter().map(|value| ValuePair {
        column: value.column.to_string(),
        home: value.home.clone(),
        other: value.follower.clone(),
    });
    pairs.collect()
}

fn state(outcome: &VerifyOutcome) -> VerificationState {
    if outcome.differing() > 0 {
        VerificationState::Different
    } else if outcome.unproven() > 0 {
        VerificationState::Unproven
    } else {
        VerificationState::Clean
    }
}
