//! The Louvain method (Blondel, Guillaume, Lambiotte, Lefebvre 2008) for modularity with a resolution: nodes go to the
//! neighbour's group that gains most, groups become nodes, and so on until nothing gains.
//!
//! Groups that fell into pieces on the way are taken apart at the end, which Louvain alone may leave (Traag, Waltman,
//! van Eck 2019).

use super::random::Random;
use super::{Network, Partitioner, renumbered};

/// Passes over all nodes on one level; far fewer are needed, and moves that chase each other must end.
const PASSES_MAX: usize = 100;
/// Rounds of single nodes and groups in turn.
const ROUNDS_MAX: usize = 10;
/// A gain below this is a rounding error.
const GAIN_MIN: f64 = 1e-12;

/// See the module.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Louvain;

impl Partitioner for Louvain {
    fn partition(&self, network: &Network, resolution: f64, random: &mut Random) -> Vec<usize> {
        let mut group_of: Vec<usize> = (0..network.nodes()).collect();
        for _ in 0..ROUNDS_MAX {
            // What was joined early may belong elsewhere by now: single nodes move again before groups do.
            let (moved, groups) = settled(network, &group_of, resolution, random);
            let joined = joined_up(&network.joined(&moved, groups), resolution, random);
            let next: Vec<usize> = moved.iter().map(|group| joined[*group]).collect();
            let next = renumbered(&connected(network, &next)).0;
            if next == renumbered(&group_of).0 {
                break;
            }
            group_of = next;
        }
        group_of
    }
}

/// Joins groups to groups while that gains.
fn joined_up(network: &Network, resolution: f64, random: &mut Random) -> Vec<usize> {
    let mut group_of: Vec<usize> = (0..network.nodes()).collect();
    let mut level = network.clone();
    loop {
        let alone: Vec<usize> = (0..level.nodes()).collect();
        let (moved, groups) = settled(&level, &alone, resolution, random);
        if groups == level.nodes() {
            return group_of;
        }
        for group in &mut group_of {
            *group = moved[*group];
        }
        level = level.joined(&moved, groups);
    }
}

/// Moves nodes from the groups they are in while that gains. Returns each node's group and the number of groups.
fn settled(network: &Network, from: &[usize], resolution: f64, random: &mut Random) -> (Vec<usize>, usize) {
    let nodes = network.nodes();
    let degrees: Vec<f64> = (0..nodes).map(|node| network.degree(node)).collect();
    let doubled: f64 = degrees.iter().sum();
    let (mut group_of, groups) = renumbered(from);
    if doubled <= 0.0 {
        return (group_of, groups);
    }
    let mut totals = vec![0.0; nodes];
    for (node, group) in group_of.iter().enumerate() {
        totals[*group] += degrees[node];
    }
    let mut tied = vec![0.0; nodes];
    let mut order: Vec<usize> = (0..nodes).collect();
    random.shuffle(&mut order);
    for _ in 0..PASSES_MAX {
        let mut moves = 0;
        for &node in &order {
            let own = group_of[node];
            let mut near: Vec<usize> = Vec::new();
            for (other, weight) in network.neighbours(node) {
                let group = group_of[*other];
                if tied[group] == 0.0 {
                    near.push(group);
                }
                tied[group] += weight;
            }
            totals[own] -= degrees[node];
            let gain = |group: usize| tied[group] - resolution * degrees[node] * totals[group] / doubled;
            let (mut best, mut best_gain) = (own, gain(own));
            for &group in near.iter().filter(|group| **group != own) {
                let forbidden = || network.apart(node).iter().any(|other| group_of[*other] == group);
                if gain(group) > best_gain + GAIN_MIN && !forbidden() {
                    (best, best_gain) = (group, gain(group));
                }
            }
            totals[best] += degrees[node];
            group_of[node] = best;
            moves += usize::from(best != own);
            near.into_iter().for_each(|group| tied[group] = 0.0);
        }
        if moves == 0 {
            break;
        }
    }
    renumbered(&group_of)
}

/// Each connected piece of a group as a group of its own.
fn connected(network: &Network, group_of: &[usize]) -> Vec<usize> {
    let mut piece_of = vec![usize::MAX; network.nodes()];
    let mut pieces = 0;
    for start in 0..network.nodes() {
        if piece_of[start] != usize::MAX {
            continue;
        }
        let mut waiting = vec![start];
        piece_of[start] = pieces;
        while let Some(node) = waiting.pop() {
            for (other, _) in network.neighbours(node) {
                if piece_of[*other] == usize::MAX && group_of[*other] == group_of[start] {
                    piece_of[*other] = pieces;
                    waiting.push(*other);
                }
            }
        }
        pieces += 1;
    }
    piece_of
}

#[cfg(test)]
mod tests {
    use super::{Louvain, Network, Partitioner, Random};

    /// Rings of five whose members all know each other, in a circle of single ties.
    fn caves(count: usize, apart: &[(usize, usize)]) -> Network {
        let mut ties = Vec::new();
        for cave in 0..count {
            let first = cave * 5;
            for a in 0..5 {
                ties.extend((a + 1..5).map(|b| (first + a, first + b, 1.0)));
            }
            ties.push((first, ((cave + 1) % count) * 5 + 2, 1.0));
        }
        Network::new(count * 5, ties, apart)
    }

    #[test]
    fn dense_groups_with_single_ties_between_them_are_found_from_every_seed() {
        let network = caves(6, &[]);
        for seed in 0..20 {
            let groups = Louvain.partition(&network, 1.0, &mut Random::with_seed(seed));
            let expected: Vec<usize> = (0..30).map(|node| node / 5).collect();
            assert_eq!(super::renumbered(&groups).0, expected, "seed {seed}");
        }
    }

    #[test]
    fn nodes_that_must_be_apart_are_never_together() {
        let network = caves(3, &[(0, 1), (6, 7), (2, 12)]);
        for seed in 0..20 {
            for resolution in [0.1, 1.0, 2.0] {
                let groups = Louvain.partition(&network, resolution, &mut Random::with_seed(seed));
                for (a, b) in [(0, 1), (6, 7), (2, 12)] {
                    assert_ne!(groups[a], groups[b], "seed {seed}, resolution {resolution}");
                }
            }
        }
    }

    #[test]
    fn nodes_without_ties_stay_alone() {
        let network = Network::new(3, [(0, 1, 2.0)], &[]);
        let groups = Louvain.partition(&network, 1.0, &mut Random::with_seed(1));
        assert_eq!(super::renumbered(&groups).0, [0, 0, 1]);
    }

    #[test]
    fn a_higher_resolution_never_makes_fewer_groups_of_the_caves() {
        let network = caves(8, &[]);
        let count = |resolution| {
            let groups = Louvain.partition(&network, resolution, &mut Random::with_seed(3));
            super::renumbered(&groups).1
        };
        assert!(count(0.2) <= count(1.0) && count(1.0) <= count(8.0));
    }
}
