//! Finds partitions: many runs over weights disturbed by chance, at several resolutions, and what the runs agree on.

use super::wishes::Units;
use crate::communities::{Louvain, Network, Partitioner, Random, Together, adjusted_rand_index, renumbered};
use crate::evidence::Gathered;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// Resolutions that are tried: from few large services to many small ones.
const RESOLUTIONS: [f64; 8] = [0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0];
/// Runs per resolution, at most and at least: so many that chance does not choose between two partitions of nearly the
/// same worth, as far as the size of the network leaves time for them.
const RUNS_MAX: usize = 200;
const RUNS_MIN: usize = 40;
/// Runs times units that there is time for.
const RUN_UNITS: usize = 4_000;
/// For each so many tables one run more is left out where runs are compared with a partition.
const JUDGED: usize = 500;
/// Each run makes each weight smaller or larger by up to this share: what holds only as long as all weights are exactly
/// right is not held.
const DISTURBANCE: f64 = 0.6;
/// Below this, a table's place is not sure.
pub(super) const SURE: f64 = 0.7;
/// What it costs to have another number of services than the square root of that of tables, by the square of how many
/// times it has to be doubled or halved.
const EXPECTED: f64 = 1.5;
/// A service of fewer tables than this is seldom worth a database, a team and an interface of its own.
const SMALL: usize = 3;
/// Partitions with scores at least this share of the best's are as good as it, for all that so many runs can tell.
const NEAR: f64 = 0.99;
/// A gain below this is a rounding error.
const GAIN_MIN: f64 = 1e-9;
/// Rounds of moving single tables at the end.
const ROUNDS_MAX: usize = 20;

/// One way to part the units, and what it is worth.
#[derive(Clone, Debug)]
pub(super) struct Partition {
    /// The group of each unit; none if nothing ties it to any other.
    pub(super) group_of: Vec<Option<usize>>,
    pub(super) groups: usize,
    /// The share of tables that transactions were seen to write. The more is known of what applications do, the less an
    /// expectation is worth.
    observed: f64,
    /// Tables in services of fewer than [`SMALL`] that are neither decided nor around a hub.
    small: usize,
    /// How well the runs agreed with it: 1 if all found it.
    pub(super) stability: f64,
    pub(super) modularity: f64,
    pub(super) together: Rc<Together>,
    /// What the runs found.
    runs: Rc<Vec<Vec<usize>>>,
}

impl Partition {
    /// What it is worth.
    pub(super) fn score(&self) -> f64 {
        f64::midpoint(1.0, self.stability) * self.worth()
    }

    /// The same without what the runs say of it: chance has no part in it.
    fn worth(&self) -> f64 {
        let tables = self.group_of.len().max(1) as f64;
        let off = (self.groups.max(1) as f64 / tables.sqrt()).log2();
        let expected = (-EXPECTED / (1.0 + 2.0 * self.observed) * off * off).exp();
        let grown = 1.0 - self.small as f64 / tables;
        self.modularity * expected * grown
    }

    /// Units by group.
    pub(super) fn members(&self) -> Vec<Vec<usize>> {
        let mut members = vec![Vec::new(); self.groups];
        for (unit, group) in self.group_of.iter().enumerate() {
            if let Some(group) = group {
                members[*group].push(unit);
            }
        }
        members
    }
}

/// The best of some partitions. Those that are so near to the best that chance may have set them apart are told apart by
/// the evidence as it is.
pub(super) fn best<'p>(partitions: impl Iterator<Item = &'p Partition> + Clone) -> Option<&'p Partition> {
    let most = partitions.clone().map(Partition::score).fold(f64::MIN, f64::max);
    let near = partitions.filter(|partition| partition.score() >= most * NEAR);
    near.fold(None, |best: Option<&Partition>, next| match best {
        Some(best) if best.worth() >= next.worth() => Some(best),
        _ => Some(next),
    })
}

/// The partitions of all resolutions, from coarse to fine.
pub(super) fn all(gathered: &Gathered<'_>, units: &Units, seed: u64) -> Vec<Partition> {
    let network = units.network(gathered);
    RESOLUTIONS.iter().map(|resolution| at(gathered, units, &network, *resolution, seed)).collect()
}

/// Partitions and, behind them, what becomes of each when its small groups are given to others and its groups are merged
/// one by one, each judged by the runs that agree with it most.
pub(super) fn with_merges(
    gathered: &Gathered<'_>,
    found: Vec<Partition>,
    units: &Units,
    network: &Network,
) -> Vec<Partition> {
    let expected = (units.of_table.len() as f64).sqrt();
    let first = found.len();
    let mut all = found;
    let mut seen: BTreeSet<Vec<Option<usize>>> =
        all.iter().map(|partition| partition.group_of.clone()).collect();
    let settled = |from: &Partition, judges: &[Partition]| {
        let mut settling = Settling { gathered, units, network, group_of: from.group_of.clone() };
        settling.improve(1.0);
        settling.attach_small(SMALL);
        let next = partition(settling, from.stability, Rc::clone(&from.together), Rc::clone(&from.runs));
        judged(next, judges)
    };
    let (least, most) = ((expected * 0.5).max(2.0) as usize, (expected * 2.0).ceil() as usize);
    let judges = all.clone();
    all = all.into_iter().map(|partition| judged(partition, &judges)).collect();
    for at in 0..first {
        let mut last = settled(&all[at], &judges);
        loop {
            if seen.insert(last.group_of.clone()) {
                all.push(last.clone());
            }
            // One by one where each counts, by tenths where there are many, and at once where there are far too many.
            let fewer = last.groups.saturating_sub(1).min(last.groups * 9 / 10 + 1).min(most);
            if last.groups <= least || fewer < least {
                break;
            }
            let next = settled(&merged(gathered, &last, fewer, units, network), &judges);
            if next.groups >= last.groups {
                break;
            }
            last = next;
        }
    }
    all
}

/// Judged by the runs that agree with it most, whichever it came by.
fn judged(partition: Partition, judges: &[Partition]) -> Partition {
    let groups = whole(&partition.group_of);
    let agreed = judges.iter().map(|judge| agreement(&judge.runs, &groups)).enumerate();
    let (judge, stability) = agreed.fold((0, 0.0), |best, next| if next.1 > best.1 { next } else { best });
    let together = Rc::clone(&judges[judge].together);
    Partition { stability, together, ..partition }
}

/// How far runs agree with a partition, from 0 to 1.
fn agreement(runs: &[Vec<usize>], groups: &[usize]) -> f64 {
    // Of large schemas some runs speak for all.
    let heard = runs.iter().step_by(1 + groups.len() / JUDGED);
    let sum: f64 = heard.clone().map(|run| adjusted_rand_index(run, groups)).sum();
    (sum / heard.count().max(1) as f64).clamp(0.0, 1.0)
}

/// Groups in which what is in none is alone.
fn whole(group_of: &[Option<usize>]) -> Vec<usize> {
    let alone = group_of.len();
    let whole: Vec<usize> =
        group_of.iter().enumerate().map(|(unit, group)| group.unwrap_or(alone + unit)).collect();
    renumbered(&whole).0
}

fn runs_for(units: usize) -> u64 {
    (RUN_UNITS / units.max(1)).clamp(RUNS_MIN, RUNS_MAX) as u64
}

/// The partition of one resolution.
pub(super) fn at(
    gathered: &Gathered<'_>,
    units: &Units,
    network: &Network,
    resolution: f64,
    seed: u64,
) -> Partition {
    let mut together = Together::new(network.nodes());
    let mut runs = Vec::new();
    for run in 0..runs_for(network.nodes()) {
        let mut random = Random::with_seed(seed.wrapping_mul(1_000_003).wrapping_add(run));
        let disturbed = network.disturbed(DISTURBANCE, random.next());
        let groups = Louvain.partition(&disturbed, resolution, &mut random);
        together.add(&groups);
        runs.push(groups);
    }
    let consensus = together.consensus(&units.apart);
    let stability = agreement(&runs, &consensus);
    let mut settling = Settling { gathered, units, network, group_of: Vec::new() };
    settling.group_of = consensus.into_iter().map(Some).collect();
    settling.improve(resolution);
    settling.attach_small(2);
    partition(settling, stability, Rc::new(together), Rc::new(runs))
}

/// Groups numbered anew; what is in none stays in none.
fn partition(
    settled: Settling<'_, '_>,
    stability: f64,
    together: Rc<Together>,
    runs: Rc<Vec<Vec<usize>>>,
) -> Partition {
    let members = settled.members();
    let small = members.values().filter(|units| settled.is_small(units, SMALL));
    let small = small.map(|units| settled.tables_of(units)).sum();
    let mut numbers = BTreeMap::new();
    let number = |group: usize, numbers: &mut BTreeMap<usize, usize>| {
        let next = numbers.len();
        *numbers.entry(group).or_insert(next)
    };
    let group_of: Vec<Option<usize>> =
        settled.group_of.iter().map(|group| group.map(|group| number(group, &mut numbers))).collect();
    let modularity = settled.network.modularity(&whole(&group_of), 1.0);
    let observed = settled.gathered.usage.share_written(settled.gathered.tables.nodes.len());
    Partition { groups: numbers.len(), group_of, observed, small, stability, modularity, together, runs }
}

/// Merges the pair of groups that loses least, until there are so many; stops where nothing may be merged.
pub(super) fn merged(
    gathered: &Gathered<'_>,
    from: &Partition,
    wanted: usize,
    units: &Units,
    network: &Network,
) -> Partition {
    let mut group_of = from.group_of.clone();
    let mut joining = Joining::new(from, units, network);
    while joining.degrees.len() > wanted {
        let Some((kept, gone)) = joining.best() else { break };
        joining.join(kept, gone);
        for group in group_of.iter_mut().flatten().filter(|group| **group == gone) {
            *group = kept;
        }
    }
    let settling = Settling { gathered, units, network, group_of };
    partition(settling, from.stability, Rc::clone(&from.together), Rc::clone(&from.runs))
}

/// Groups while they are merged: what each weighs, and what ties each two.
struct Joining {
    doubled: f64,
    degrees: BTreeMap<usize, f64>,
    between: BTreeMap<(usize, usize), f64>,
    apart: BTreeSet<(usize, usize)>,
}

impl Joining {
    fn new(from: &Partition, units: &Units, network: &Network) -> Self {
        let (mut degrees, mut between) = (BTreeMap::new(), BTreeMap::new());
        for unit in 0..network.nodes() {
            let Some(group) = from.group_of[unit] else { continue };
            *degrees.entry(group).or_insert(0.0) += network.degree(unit);
            for (other, weight) in network.neighbours(unit).iter().filter(|(other, _)| *other > unit) {
                if let Some(theirs) = from.group_of[*other].filter(|theirs| *theirs != group) {
                    *between.entry((group.min(theirs), group.max(theirs))).or_insert(0.0) += weight;
                }
            }
        }
        let apart = units.apart.iter().filter_map(|(a, b)| from.group_of[*a].zip(from.group_of[*b]));
        let apart = apart.map(|(a, b)| (a.min(b), a.max(b))).collect();
        let doubled = degrees.values().sum::<f64>().max(f64::MIN_POSITIVE);
        Self { doubled, degrees, between, apart }
    }

    /// The pair whose merging loses least. A pair that nothing ties is taken only if there is no other.
    fn best(&self) -> Option<(usize, usize)> {
        let gain = |low: &usize, high: &usize, tied: f64| {
            tied - self.degrees[low] * self.degrees[high] / self.doubled
        };
        let tied = self.between.iter().map(|((low, high), tied)| (gain(low, high, *tied), *low, *high));
        let best = |pairs: &mut dyn Iterator<Item = (f64, usize, usize)>| {
            let allowed = pairs.filter(|(_, low, high)| !self.apart.contains(&(*low, *high)));
            allowed.fold(None, |best: Option<(f64, usize, usize)>, next| match best {
                Some(best) if best.0 >= next.0 => Some(best),
                _ => Some(next),
            })
        };
        let found = best(&mut tied.into_iter()).or_else(|| {
            let all: Vec<usize> = self.degrees.keys().copied().collect();
            let untied =
                all.iter().enumerate().flat_map(|(at, high)| all[..at].iter().map(move |low| (*low, *high)));
            best(&mut untied.map(|(low, high)| (gain(&low, &high, 0.0), low, high)))
        });
        found.map(|(_, low, high)| (low, high))
    }

    fn join(&mut self, kept: usize, gone: usize) {
        let degree = self.degrees.remove(&gone).unwrap_or(0.0);
        *self.degrees.entry(kept).or_insert(0.0) += degree;
        let renamed = |group: usize| if group == gone { kept } else { group };
        let pair = |(a, b): (usize, usize)| {
            let (a, b) = (renamed(a), renamed(b));
            (a.min(b), a.max(b))
        };
        let moved: Vec<((usize, usize), f64)> = self
            .between
            .iter()
            .filter(|((a, b), _)| *a == gone || *b == gone)
            .map(|(pair, weight)| (*pair, *weight))
            .collect();
        for (old, weight) in moved {
            self.between.remove(&old);
            let new = pair(old);
            if new.0 != new.1 {
                *self.between.entry(new).or_insert(0.0) += weight;
            }
        }
        self.apart = std::mem::take(&mut self.apart).into_iter().map(pair).collect();
    }
}

/// A partition on its way to one that services can be made of.
struct Settling<'s, 'c> {
    gathered: &'s Gathered<'c>,
    units: &'s Units,
    network: &'s Network,
    group_of: Vec<Option<usize>>,
}

impl Settling<'_, '_> {
    fn members(&self) -> BTreeMap<usize, Vec<usize>> {
        let mut members: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (unit, group) in self.group_of.iter().enumerate() {
            if let Some(group) = group {
                members.entry(*group).or_default().push(unit);
            }
        }
        members
    }

    /// True for a group of fewer than `least` tables that is neither decided nor around a hub.
    fn is_small(&self, members: &[usize], least: usize) -> bool {
        let stands = |unit: &usize| {
            let hub = |table: &usize| self.gathered.hub(*table).is_some();
            self.units.names.contains_key(unit) || self.units.tables[*unit].iter().any(hub)
        };
        !members.is_empty() && self.tables_of(members) < least && !members.iter().any(stands)
    }

    fn tables_of(&self, members: &[usize]) -> usize {
        members.iter().map(|unit| self.units.tables[*unit].len()).sum()
    }

    /// Small groups go to what ties them most, the smallest first. A table that nothing ties goes to nobody.
    fn attach_small(&mut self, least: usize) {
        let mut members = self.members();
        for size in 1..least {
            let small = |(group, units): (&usize, &Vec<usize>)| {
                (self.tables_of(units) == size && self.is_small(units, least)).then_some(*group)
            };
            let small: Vec<usize> = members.iter().filter_map(small).collect();
            for group in small {
                let units = members.get(&group).cloned().unwrap_or_default();
                // Others may have joined it meanwhile.
                if !self.is_small(&units, least) {
                    continue;
                }
                let joins = |other: &usize| units.iter().all(|unit| self.may_join(*unit, *other));
                let pulls = self.pulls(&units).into_iter();
                let best = pulls.filter(|(other, _)| *other != group && joins(other));
                let best = best.fold(None, |best: Option<(usize, f64)>, next| match best {
                    Some(best) if best.1 >= next.1 => Some(best),
                    _ => Some(next),
                });
                let alone = units.len() == 1 && self.network.neighbours(units[0]).is_empty();
                let place = best.map_or((!alone).then_some(group), |(other, _)| Some(other));
                units.iter().for_each(|unit| self.group_of[*unit] = place);
                if place != Some(group) {
                    members.remove(&group);
                    if let Some(place) = place {
                        members.entry(place).or_default().extend(units);
                    }
                }
            }
        }
    }

    /// What ties units to each other group. Ties to hubs count only if there are no others.
    fn pulls(&self, units: &[usize]) -> BTreeMap<usize, f64> {
        let (mut pulls, mut of_hubs) = (BTreeMap::new(), BTreeMap::new());
        for (other, weight) in units.iter().flat_map(|unit| self.network.neighbours(*unit)) {
            let Some(group) = self.group_of[*other].filter(|_| !units.contains(other)) else { continue };
            let hub = self.units.tables[*other].iter().any(|table| self.gathered.hub(*table).is_some());
            let into = if hub { &mut of_hubs } else { &mut pulls };
            *into.entry(group).or_default() += *weight;
        }
        if pulls.is_empty() { of_hubs } else { pulls }
    }

    fn may_join(&self, unit: usize, group: usize) -> bool {
        if self.units.apart.is_empty() {
            return true;
        }
        let mut members = (0..self.group_of.len()).filter(|other| self.group_of[*other] == Some(group));
        !members.any(|other| self.units.are_apart(unit, other))
    }

    /// Moves single tables while that makes the whole better at the weights as they are: the runs were over disturbed
    /// ones.
    fn improve(&mut self, resolution: f64) {
        let degrees: Vec<f64> = (0..self.network.nodes()).map(|unit| self.network.degree(unit)).collect();
        let doubled: f64 = degrees.iter().sum::<f64>().max(f64::MIN_POSITIVE);
        let mut totals: BTreeMap<usize, f64> = BTreeMap::new();
        for (degree, group) in degrees.iter().zip(&self.group_of) {
            if let Some(group) = group {
                *totals.entry(*group).or_default() += degree;
            }
        }
        for _ in 0..ROUNDS_MAX {
            let mut moved = false;
            for (unit, degree) in degrees.iter().enumerate() {
                let own = self.group_of[unit].filter(|_| !self.units.names.contains_key(&unit));
                let Some(own) = own else { continue };
                // What a unit gains in a group whose degrees sum to `total` without it.
                let gain = |tied: f64, total: f64| tied - resolution * degree * total / doubled;
                let total = |group: &usize| totals.get(group).copied().unwrap_or(0.0);
                let tied = self.tied(unit);
                let stays = gain(tied.get(&own).copied().unwrap_or(0.0), total(&own) - degree);
                let others = tied.iter().filter(|(group, _)| **group != own);
                let best = others.fold((own, stays), |best, (group, tied)| {
                    let value = gain(*tied, total(group));
                    if value > best.1 + GAIN_MIN { (*group, value) } else { best }
                });
                if best.0 != own && self.may_join(unit, best.0) {
                    *totals.entry(own).or_default() -= degree;
                    *totals.entry(best.0).or_default() += degree;
                    self.group_of[unit] = Some(best.0);
                    moved = true;
                }
            }
            if !moved {
                break;
            }
        }
    }

    /// What ties a unit to each group.
    fn tied(&self, unit: usize) -> BTreeMap<usize, f64> {
        let mut tied: BTreeMap<usize, f64> = BTreeMap::new();
        for (other, weight) in self.network.neighbours(unit) {
            if let Some(group) = self.group_of[*other] {
                *tied.entry(group).or_default() += *weight;
            }
        }
        tied
    }
}
