//! Which services a monolith's tables could be, how sure that is, and what each way would cost.

mod error;
mod naming;
mod price;
mod search;
mod split;
mod toml;
mod wishes;

pub use error::ServicesError;
pub use price::{CutKey, CutObject, CutUse, Price};
pub use split::{SplitCandidate, SplitOwner};
pub use toml::toml;
pub use wishes::Wishes;

use crate::evidence::{
    Evidence, Gathered, Hub, Known, LeftAside, Polymorphic, TableNode, Tie, polymorphic, weight,
};
use cleave_model::{QualifiedName, ServiceName};
use search::{Partition, SURE};
use std::collections::BTreeSet;
use wishes::Units;

/// The answer.
#[derive(Clone, Debug)]
pub struct Recommendation {
    /// The tables that were to be placed. Numbers elsewhere are places in this list.
    pub tables: Vec<TableNode>,
    /// Tables that no service is proposed for.
    pub aside: Vec<LeftAside>,
    /// Tables that so many refer to that they are identity which all share.
    pub hubs: Vec<Hub>,
    /// Columns that refer to several tables by a type.
    pub polymorphic: Vec<Polymorphic>,
    /// From coarse to fine; only one if the number of services was given, or if there is only one way.
    pub alternatives: Vec<Alternative>,
    evidence: Evidence,
}

/// How finely an alternative cuts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grain {
    /// Fewer, larger services.
    Coarse,
    /// What is recommended.
    Balanced,
    /// More, smaller services.
    Fine,
}

impl Grain {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Coarse => "coarse",
            Self::Balanced => "balanced",
            Self::Fine => "fine",
        }
    }
}

/// One way to cut.
#[derive(Clone, Debug, PartialEq)]
pub struct Alternative {
    /// How finely.
    pub grain: Grain,
    /// The services, largest first.
    pub services: Vec<RecommendedService>,
    /// Tables that nothing ties to any other.
    pub unassigned: Vec<usize>,
    /// Tables whose place is not sure.
    pub unsure: Vec<Unsure>,
    /// Tables that several services share row by row.
    pub splits: Vec<SplitCandidate>,
    /// What would cross.
    pub price: Price,
    /// How far the runs agreed: 1 if all found the same.
    pub stability: f64,
    /// The share of runs in which a table was with a service, by table and service.
    shares: Vec<Vec<f64>>,
}

impl Alternative {
    /// The service of a table, as a number into the list.
    pub fn service_of(&self, table: usize) -> Option<usize> {
        self.services.iter().position(|service| service.tables.iter().any(|placed| placed.table == table))
    }
}

/// A service.
#[derive(Clone, Debug, PartialEq)]
pub struct RecommendedService {
    /// Its name.
    pub name: ServiceName,
    /// True if it was decided before.
    pub decided: bool,
    /// Its tables, by name.
    pub tables: Vec<Placed>,
}

/// A table in a service.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Placed {
    /// The table.
    pub table: usize,
    /// The share of runs in which it was with the others of its service.
    pub confidence: f64,
}

/// A table that a person should decide about.
#[derive(Clone, Debug, PartialEq)]
pub struct Unsure {
    /// The table.
    pub table: usize,
    /// The share of runs for where it is.
    pub confidence: f64,
    /// Where it is, and other services that pull at it, the strongest first: service, share of runs, reasons.
    pub pulls: Vec<Pull>,
}

/// What pulls a table to a service.
#[derive(Clone, Debug, PartialEq)]
pub struct Pull {
    /// The service, as a number into the alternative's list.
    pub service: usize,
    /// The share of runs in which the table was with it.
    pub share: f64,
    /// Weight of all ties together.
    pub weight: f64,
    /// The heaviest ties: the other table and the reason.
    pub ties: Vec<(usize, Tie)>,
}

/// Tables that can be weighed against each other: the half matrices of [`search`] stay below 100 MB.
pub const TABLES_MAX: usize = 5_000;
/// Services that are named for an unsure table besides its own.
const PULLS_MAX: usize = 3;
/// Ties that are shown for each of them.
const TIES_MAX: usize = 3;
/// Resolutions above those of the search, for those who ask for many services.
const FINER: [f64; 6] = [6.0, 9.0, 14.0, 20.0, 32.0, 64.0];

/// Finds services.
///
/// # Errors
/// See [`ServicesError`].
pub fn recommend(known: &Known<'_>, wishes: &Wishes) -> Result<Recommendation, ServicesError> {
    let gathered = Gathered::new(known);
    let tables = gathered.tables.nodes.len();
    if tables == 0 {
        return Err(ServicesError::NoTables);
    }
    if tables > TABLES_MAX {
        return Err(ServicesError::TooManyTables { tables, most: TABLES_MAX });
    }
    let units = Units::new(&gathered, wishes)?;
    let chosen = match wishes.services {
        Some(wanted) => vec![(Grain::Balanced, of_number(&gathered, &units, wishes.seed, wanted)?)],
        None => by_grain(&gathered, &units, wishes.seed),
    };
    let alternatives =
        chosen.iter().map(|(grain, partition)| alternative(&gathered, &units, *grain, partition)).collect();
    Ok(Recommendation {
        tables: gathered.tables.nodes,
        aside: gathered.tables.aside,
        hubs: gathered.hubs,
        polymorphic: polymorphic(known.catalog),
        alternatives,
        evidence: gathered.evidence,
    })
}

impl Recommendation {
    /// The alternative of that grain, or the one there is.
    pub fn alternative(&self, grain: Grain) -> Option<&Alternative> {
        self.alternatives.iter().find(|alternative| alternative.grain == grain).or(self.alternatives.first())
    }

    /// The number of a table.
    pub fn number(&self, table: &QualifiedName) -> Option<usize> {
        self.tables.iter().position(|node| node.name == *table)
    }

    /// The tables that something ties a table to, and the reasons, the heaviest first.
    pub fn ties_of(&self, table: usize) -> Vec<(usize, Vec<Tie>)> {
        let pairs = self.evidence.pairs().filter(|((a, b), _)| *a == table || *b == table);
        let mut ties: Vec<(usize, Vec<Tie>)> =
            pairs.map(|((a, b), ties)| (if a == table { b } else { a }, ties.to_vec())).collect();
        ties.sort_by(|a, b| weight(&b.1).total_cmp(&weight(&a.1)).then(a.0.cmp(&b.0)));
        ties
    }

    /// What pulls a table to services, its own first.
    pub fn pulls(&self, alternative: &Alternative, table: usize) -> Vec<Pull> {
        let service_of: Vec<Option<usize>> =
            (0..self.tables.len()).map(|at| alternative.service_of(at)).collect();
        pulls(&self.evidence, &service_of, &alternative.shares, table)
    }

    /// Pairs of tables that something ties.
    pub fn pairs(&self) -> usize {
        self.evidence.pairs().count()
    }
}

/// The best partition, and one on each side of it.
fn by_grain(gathered: &Gathered<'_>, units: &Units, seed: u64) -> Vec<(Grain, Partition)> {
    let all =
        search::with_merges(gathered, search::all(gathered, units, seed), units, &units.network(gathered));
    let best = |fits: &dyn Fn(usize) -> bool| {
        let fitting: Vec<&Partition> = all.iter().filter(|partition| fits(partition.groups)).collect();
        search::best(fitting.into_iter())
    };
    let Some(balanced) = best(&|_| true).cloned() else { return Vec::new() };
    let count = balanced.groups;
    let coarse = best(&|groups| groups > 1 && groups * 4 <= count * 3).cloned().or_else(|| {
        let fewer = (count * 2).div_ceil(3);
        let network = units.network(gathered);
        let merged = (count > 2).then(|| search::merged(gathered, &balanced, fewer, units, &network));
        merged.filter(|merged| merged.groups < count)
    });
    let fine = best(&|groups| groups * 3 >= count * 4 && groups > count).cloned();
    let coarse = coarse.map(|partition| (Grain::Coarse, partition));
    let fine = fine.map(|partition| (Grain::Fine, partition));
    coarse.into_iter().chain([(Grain::Balanced, balanced)]).chain(fine).collect()
}

/// A partition into so many groups.
fn of_number(
    gathered: &Gathered<'_>,
    units: &Units,
    seed: u64,
    wanted: usize,
) -> Result<Partition, ServicesError> {
    let network = units.network(gathered);
    let mut from = search::all(gathered, units, seed);
    for resolution in FINER {
        if from.iter().any(|partition| partition.groups >= wanted) {
            break;
        }
        from.push(search::at(gathered, units, &network, resolution, seed));
    }
    let most = from.iter().map(|partition| partition.groups).max().unwrap_or(0);
    let all = search::with_merges(gathered, from.clone(), units, &network);
    if let Some(best) = search::best(all.iter().filter(|partition| partition.groups == wanted)) {
        return Ok(best.clone());
    }
    // None has come by so many: the fewest that are enough lose least on the way down.
    let enough =
        from.iter().filter(|partition| partition.groups >= wanted).min_by_key(|partition| partition.groups);
    let Some(enough) = enough else { return Err(ServicesError::Count { wanted, nearest: most }) };
    let partition = search::merged(gathered, enough, wanted.max(1), units, &network);
    if partition.groups == wanted {
        Ok(partition)
    } else {
        Err(ServicesError::Count { wanted, nearest: partition.groups })
    }
}

fn alternative(gathered: &Gathered<'_>, units: &Units, grain: Grain, partition: &Partition) -> Alternative {
    let mut groups: Vec<(Vec<usize>, Vec<usize>)> = partition
        .members()
        .into_iter()
        .map(|members| {
            let mut tables: Vec<usize> =
                members.iter().flat_map(|unit| units.tables[*unit].clone()).collect();
            tables.sort_unstable();
            (tables, members)
        })
        .collect();
    groups.sort_by(|a, b| b.0.len().cmp(&a.0.len()).then_with(|| a.0.cmp(&b.0)));
    let tables: Vec<Vec<usize>> = groups.iter().map(|(tables, _)| tables.clone()).collect();
    let decided: Vec<Option<ServiceName>> = groups
        .iter()
        .map(|(_, members)| members.iter().find_map(|unit| units.names.get(unit)).cloned())
        .collect();
    let names = naming::names(gathered, &tables, &decided);
    let mut service_of = vec![None; gathered.tables.nodes.len()];
    for (service, tables) in tables.iter().enumerate() {
        tables.iter().for_each(|table| service_of[*table] = Some(service));
    }
    let share = |table: usize, service: &(Vec<usize>, Vec<usize>)| {
        partition.together.mean_share(units.of_table[table], &service.1)
    };
    let shares: Vec<Vec<f64>> =
        (0..service_of.len()).map(|table| groups.iter().map(|group| share(table, group)).collect()).collect();
    let services: Vec<RecommendedService> = names
        .into_iter()
        .enumerate()
        .map(|(service, name)| RecommendedService {
            name,
            decided: decided[service].is_some(),
            tables: tables[service]
                .iter()
                .map(|table| Placed { table: *table, confidence: shares[*table][service] })
                .collect(),
        })
        .collect();
    let placed = services.iter().flat_map(|service| &service.tables);
    let mut unsure: Vec<Unsure> = placed
        .filter(|placed| placed.confidence < SURE)
        .map(|placed| Unsure {
            table: placed.table,
            confidence: placed.confidence,
            pulls: pulls(&gathered.evidence, &service_of, &shares, placed.table),
        })
        .collect();
    unsure.sort_by(|a, b| a.confidence.total_cmp(&b.confidence).then(a.table.cmp(&b.table)));
    Alternative {
        grain,
        unassigned: (0..service_of.len()).filter(|table| service_of[*table].is_none()).collect(),
        unsure,
        splits: split::candidates(gathered, &service_of),
        price: price::price(gathered, &service_of),
        stability: partition.stability,
        services,
        shares,
    }
}

/// A table's own service first, then those that pull most.
fn pulls(evidence: &Evidence, service_of: &[Option<usize>], shares: &[Vec<f64>], table: usize) -> Vec<Pull> {
    let own = service_of[table];
    let mut pulls: Vec<Pull> = shares[table]
        .iter()
        .enumerate()
        .map(|(service, share)| Pull { service, share: *share, weight: 0.0, ties: Vec::new() })
        .collect();
    let neighbours = evidence.pairs().filter(|((a, b), _)| *a == table || *b == table);
    for ((a, b), ties) in neighbours {
        let other = if a == table { b } else { a };
        if let Some(pull) = service_of[other].and_then(|service| pulls.get_mut(service)) {
            pull.weight += weight(ties);
            pull.ties.extend(ties.iter().map(|tie| (other, tie.clone())));
        }
    }
    for pull in &mut pulls {
        pull.ties.sort_by(|a, b| b.1.weight.total_cmp(&a.1.weight).then(a.0.cmp(&b.0)));
        pull.ties.truncate(TIES_MAX);
    }
    pulls.retain(|pull| Some(pull.service) == own || pull.weight > 0.0);
    pulls.sort_by(|a, b| {
        (Some(a.service) != own)
            .cmp(&(Some(b.service) != own))
            .then(b.share.total_cmp(&a.share))
            .then(b.weight.total_cmp(&a.weight))
    });
    pulls.truncate(PULLS_MAX + 1);
    pulls
}

/// The names of an alternative's services by numbers.
pub fn service_names(alternative: &Alternative, services: &BTreeSet<usize>) -> Vec<String> {
    services
        .iter()
        .filter_map(|at| alternative.services.get(*at))
        .map(|service| service.name.to_string())
        .collect()
}
