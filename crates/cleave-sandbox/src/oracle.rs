//! The commit oracle: compares what a workload was told with what the databases hold. Every acknowledged transaction
//! must be there exactly once, no refused one anywhere, and one with an unknown outcome not twice and not by halves.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use futures_util::TryStreamExt;

use crate::workload::{Kind, Record, RunId, Token};
use crate::{Error, connect};

/// How many findings a verdict lists; its counters are exact.
const FINDINGS_MAX: usize = 1000;

/// Where tokens can be, and where those of each kind must be.
#[derive(Clone, Debug, Default)]
pub struct Oracle {
    places: Vec<Place>,
    homes: BTreeMap<Kind, Vec<String>>,
}

#[derive(Clone, Debug)]
struct Place {
    name: String,
    url: String,
    sql: String,
}

/// What the oracle found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Transactions whose commit was acknowledged.
    pub acknowledged: u64,
    /// Acknowledged ones that are in each of their homes.
    pub found: u64,
    /// Acknowledged ones that are missing in one of their homes.
    pub lost: u64,
    /// Transactions that are more than once in some place.
    pub duplicated: u64,
    /// Transactions that failed, as their application was told.
    pub refused: u64,
    /// Transactions that are in some place although they failed, or were never begun.
    pub risen: u64,
    /// Attempts that were repeated after 40001 or 40P01.
    pub retried: u64,
    /// Transactions of which the application does not know the outcome.
    pub unknown: u64,
    /// Those of unknown outcome that are in some of their homes but not in all, or only elsewhere.
    pub torn: u64,
    /// What is wrong, token by token, at most 1000.
    pub findings: Vec<Finding>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The transaction's token.
    pub token: Token,
    /// What is wrong with it.
    pub fault: Fault,
    /// The places that hold it, and how often.
    pub held: Vec<(String, u64)>,
}

/// What can be wrong with a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Acknowledged, and missing in one of its homes.
    Lost,
    /// More than once in some place.
    Duplicated,
    /// Refused or never begun, and there nevertheless.
    Risen,
    /// Of unknown outcome, and in some of its homes only, or only elsewhere.
    Torn,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lost => "lost",
            Self::Duplicated => "duplicated",
            Self::Risen => "risen",
            Self::Torn => "torn",
        })
    }
}

impl Verdict {
    /// Whether nothing is wrong. Refused, retried and unknown transactions are not wrong by themselves.
    pub fn is_clean(&self) -> bool {
        self.lost == 0 && self.duplicated == 0 && self.risen == 0 && self.torn == 0
    }

    fn add(&mut self, token: Token, fault: Fault, held: Vec<(String, u64)>) {
        *match fault {
            Fault::Lost => &mut self.lost,
            Fault::Duplicated => &mut self.duplicated,
            Fault::Risen => &mut self.risen,
            Fault::Torn => &mut self.torn,
        } += 1;
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(Finding { token, fault, held });
        }
    }
}

/// The tokens of one place, each with the number of its rows.
type Held = HashMap<Token, u64>;

impl Oracle {
    /// An oracle that knows no places yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a place: a query there returns tokens in its first column (`bigint`), one row for each time that a
    /// transaction was applied. Tokens of other workloads are passed over.
    #[must_use]
    pub fn place(mut self, name: impl Into<String>, url: impl Into<String>, sql: impl Into<String>) -> Self {
        self.places.push(Place { name: name.into(), url: url.into(), sql: sql.into() });
        self
    }

    /// Says in which places tokens of a kind must be: in all of them. Every other place is elsewhere, where they may
    /// be as well, but not only, and not twice.
    #[must_use]
    pub fn home(mut self, kind: Kind, places: &[&str]) -> Self {
        self.homes.insert(kind, places.iter().map(|name| (*name).to_owned()).collect());
        self
    }

    /// Reads all places and judges the records of one or more workloads.
    ///
    /// # Errors
    /// When a place cannot be read, or a kind in the records has no home.
    pub async fn check(&self, records: &[&Record]) -> Result<Verdict, Error> {
        let runs: HashSet<RunId> = records.iter().flat_map(|record| runs_of(record)).collect();
        let mut held = Vec::new();
        for place in &self.places {
            held.push(place.read(&runs).await?);
        }
        self.judge(records, &held)
    }

    fn judge(&self, records: &[&Record], held: &[Held]) -> Result<Verdict, Error> {
        let mut verdict = Verdict::default();
        let mut legitimate = HashSet::new();
        for record in records {
            verdict.acknowledged += record.acknowledged.len() as u64;
            verdict.refused += record.refused.len() as u64;
            verdict.unknown += record.unknown.len() as u64;
            verdict.retried += record.total.retried;
            for (token, kind) in &record.acknowledged {
                legitimate.insert(*token);
                if self.homes_of(*kind)?.iter().all(|home| held[*home].contains_key(token)) {
                    verdict.found += 1;
                } else {
                    verdict.add(*token, Fault::Lost, self.holders(*token, held));
                }
            }
            for (token, kind) in &record.unknown {
                legitimate.insert(*token);
                let homes = self.homes_of(*kind)?;
                let everywhere = homes.iter().all(|home| held[*home].contains_key(token));
                let nowhere = held.iter().all(|place| !place.contains_key(token));
                if !everywhere && !nowhere {
                    verdict.add(*token, Fault::Torn, self.holders(*token, held));
                }
            }
        }
        let mut present: Vec<Token> = held.iter().flat_map(|place| place.keys().copied()).collect();
        present.sort_unstable();
        present.dedup();
        for token in present {
            if held.iter().any(|place| place.get(&token).is_some_and(|count| *count > 1)) {
                verdict.add(token, Fault::Duplicated, self.holders(token, held));
            }
            if !legitimate.contains(&token) {
                verdict.add(token, Fault::Risen, self.holders(token, held));
            }
        }
        Ok(verdict)
    }

    fn homes_of(&self, kind: Kind) -> Result<Vec<usize>, Error> {
        let names = self.homes.get(&kind).filter(|names| !names.is_empty()).ok_or(Error::NoHome { kind })?;
        let index = |name: &String| self.places.iter().position(|place| place.name == *name);
        names.iter().map(|name| index(name).ok_or_else(|| Error::NoPlace { name: name.clone() })).collect()
    }

    fn holders(&self, token: Token, held: &[Held]) -> Vec<(String, u64)> {
        let places = self.places.iter().zip(held);
        places.filter_map(|(place, held)| Some((place.name.clone(), *held.get(&token)?))).collect()
    }
}

fn runs_of(record: &Record) -> impl Iterator<Item = RunId> + '_ {
    let kinds = record.acknowledged.iter().chain(&record.unknown).map(|(token, _)| token);
    kinds.chain(&record.refused).map(|token| token.run())
}

impl Place {
    async fn read(&self, runs: &HashSet<RunId>) -> Result<Held, Error> {
        let failed =
            |source| Error::Statement { action: format!("read the tokens of {}", self.name), source };
        let client = connect(&self.url).await?;
        let no_parameters: [i64; 0] = [];
        let rows = client.query_raw(&self.sql, no_parameters).await.map_err(failed)?;
        let mut rows = std::pin::pin!(rows);
        let mut held = Held::new();
        while let Some(row) = rows.try_next().await.map_err(failed)? {
            let token = Token::from_value(row.try_get(0).map_err(failed)?);
            if runs.contains(&token.run()) {
                *held.entry(token).or_default() += 1;
            }
        }
        Ok(held)
    }
}

#[cfg(test)]
mod tests;
