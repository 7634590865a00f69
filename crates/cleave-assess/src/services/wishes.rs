//! What the user knows better: tables that belong together, tables that do not, services that are decided.

use super::ServicesError;
use crate::communities::{Network, renumbered};
use crate::evidence::{Gathered, bond};
use cleave_model::{QualifiedName, ServiceName};
use std::collections::{BTreeMap, BTreeSet};

/// How services shall be sought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    /// Where chance begins; the same seed gives the same services.
    pub seed: u64,
    /// How many services there shall be.
    pub services: Option<usize>,
    /// Pairs that shall be in one service.
    pub together: Vec<(QualifiedName, QualifiedName)>,
    /// Pairs that shall not.
    pub apart: Vec<(QualifiedName, QualifiedName)>,
    /// Services that are decided, with their tables; others may join them.
    pub decided: Vec<(ServiceName, Vec<QualifiedName>)>,
}

/// Tables that stay together are one unit, and units are what is clustered.
#[derive(Debug)]
pub(super) struct Units {
    /// The unit of each table.
    pub(super) of_table: Vec<usize>,
    /// The tables of each unit.
    pub(super) tables: Vec<Vec<usize>>,
    /// Units that may not be together.
    pub(super) apart: Vec<(usize, usize)>,
    /// The name of a unit that is a decided service.
    pub(super) names: BTreeMap<usize, ServiceName>,
}

impl Units {
    pub(super) fn new(gathered: &Gathered<'_>, wishes: &Wishes) -> Result<Self, ServicesError> {
        let number = |name: &QualifiedName| find(gathered, name);
        let mut leader: Vec<usize> = (0..gathered.tables.nodes.len()).collect();
        for (one, other) in &wishes.together {
            join(&mut leader, number(one)?, number(other)?);
        }
        let mut decided: BTreeMap<usize, &ServiceName> = BTreeMap::new();
        let mut firsts: Vec<(usize, &ServiceName)> = Vec::new();
        for (service, tables) in &wishes.decided {
            let tables = tables.iter().map(number).collect::<Result<Vec<usize>, _>>()?;
            for table in &tables {
                if let Some(other) = decided.insert(*table, service).filter(|other| *other != service) {
                    let table = gathered.tables.nodes[*table].name.clone();
                    let (one, other) = (other.clone(), service.clone());
                    return Err(ServicesError::InTwoServices { table, one, other });
                }
                join(&mut leader, tables[0], *table);
            }
            firsts.extend(tables.first().map(|first| (*first, service)));
        }
        let leaders: Vec<usize> = (0..leader.len()).map(|table| root(&leader, table)).collect();
        let (of_table, count) = renumbered(&leaders);
        let mut tables = vec![Vec::new(); count];
        for (table, unit) in of_table.iter().enumerate() {
            tables[*unit].push(table);
        }
        let mut pairs: Vec<(usize, usize)> = Vec::new();
        for (one, other) in &wishes.apart {
            pairs.push((number(one)?, number(other)?));
        }
        for (at, (one, service)) in firsts.iter().enumerate() {
            pairs.extend(
                firsts[..at].iter().filter(|(_, name)| name != service).map(|(other, _)| (*one, *other)),
            );
        }
        let mut apart = BTreeSet::new();
        for (one, other) in pairs {
            let (a, b) = (of_table[one], of_table[other]);
            if a == b {
                let name = |table: usize| gathered.tables.nodes[table].name.clone();
                return Err(ServicesError::Contradiction { one: name(one), other: name(other) });
            }
            apart.insert((a.min(b), a.max(b)));
        }
        let names = firsts.iter().map(|(first, name)| (of_table[*first], (*name).clone())).collect();
        Ok(Self { of_table, tables, apart: apart.into_iter().collect(), names })
    }

    /// The graph of units.
    pub(super) fn network(&self, gathered: &Gathered<'_>) -> Network {
        let ties = gathered.evidence.pairs();
        let ties = ties.map(|((a, b), ties)| (self.of_table[a], self.of_table[b], bond(ties)));
        Network::new(self.tables.len(), ties, &self.apart)
    }

    pub(super) fn are_apart(&self, a: usize, b: usize) -> bool {
        self.apart.binary_search(&(a.min(b), a.max(b))).is_ok()
    }
}

fn find(gathered: &Gathered<'_>, name: &QualifiedName) -> Result<usize, ServicesError> {
    gathered.tables.number(name).ok_or_else(|| {
        let alike = |node: &&crate::evidence::TableNode| {
            let (ours, theirs) = (name.name.as_str(), node.name.name.as_str());
            ours.eq_ignore_ascii_case(theirs)
                || crate::evidence::tokens(ours) == crate::evidence::tokens(theirs) && ours.len() > 2
        };
        let nearest = gathered.tables.nodes.iter().find(alike).map(|node| node.name.clone());
        ServicesError::UnknownTable { table: name.clone(), nearest }
    })
}

fn root(leader: &[usize], mut table: usize) -> usize {
    while leader[table] != table {
        table = leader[table];
    }
    table
}

fn join(leader: &mut [usize], a: usize, b: usize) {
    let (a, b) = (root(leader, a), root(leader, b));
    leader[a.max(b)] = a.min(b);
}
