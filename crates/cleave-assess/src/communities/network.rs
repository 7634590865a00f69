//! A weighted graph in the form that clustering walks over: neighbours of a node side by side.

use super::random::of_pair;
use std::collections::BTreeMap;

/// An undirected graph with weights above 0. Node numbers count from 0.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    /// Where a node's neighbours begin in `neighbours`; one more entry than there are nodes.
    starts: Vec<usize>,
    neighbours: Vec<(usize, f64)>,
    /// What a node holds within itself, after nodes were put together.
    loops: Vec<f64>,
    /// Nodes that may not be with a node.
    apart: Vec<Vec<usize>>,
}

impl Network {
    /// A graph of so many nodes. `ties` hold each pair once, in either order; `apart` are pairs that may not be together.
    pub(crate) fn new(
        nodes: usize,
        ties: impl IntoIterator<Item = (usize, usize, f64)>,
        apart: &[(usize, usize)],
    ) -> Self {
        let mut loops = vec![0.0; nodes];
        let mut weights: BTreeMap<(usize, usize), f64> = BTreeMap::new();
        for (a, b, weight) in ties {
            if a == b {
                loops[a] += weight;
            } else {
                *weights.entry((a.min(b), a.max(b))).or_default() += weight;
            }
        }
        let mut apart_of = vec![Vec::new(); nodes];
        for (a, b) in apart {
            apart_of[*a].push(*b);
            apart_of[*b].push(*a);
        }
        for list in &mut apart_of {
            list.sort_unstable();
            list.dedup();
        }
        let mut counts = vec![0_usize; nodes];
        for (a, b) in weights.keys() {
            counts[*a] += 1;
            counts[*b] += 1;
        }
        let mut starts = vec![0; nodes + 1];
        for at in 0..nodes {
            starts[at + 1] = starts[at] + counts[at];
        }
        let mut next = starts.clone();
        let mut neighbours = vec![(0, 0.0); starts[nodes]];
        for ((a, b), weight) in weights {
            for (from, to) in [(a, b), (b, a)] {
                neighbours[next[from]] = (to, weight);
                next[from] += 1;
            }
        }
        Self { starts, neighbours, loops, apart: apart_of }
    }

    pub(crate) fn nodes(&self) -> usize {
        self.loops.len()
    }

    pub(crate) fn neighbours(&self, node: usize) -> &[(usize, f64)] {
        &self.neighbours[self.starts[node]..self.starts[node + 1]]
    }

    pub(crate) fn apart(&self, node: usize) -> &[usize] {
        &self.apart[node]
    }

    /// The weight of a node's ties, what it holds within itself counted twice.
    pub(crate) fn degree(&self, node: usize) -> f64 {
        self.neighbours(node).iter().map(|(_, weight)| weight).sum::<f64>() + 2.0 * self.loops[node]
    }

    /// The same graph with each weight made smaller or larger by chance, by at most `share` of it. Nodes keep what they
    /// hold within themselves.
    pub(crate) fn disturbed(&self, share: f64, seed: u64) -> Self {
        let mut disturbed = self.clone();
        for node in 0..self.nodes() {
            for at in self.starts[node]..self.starts[node + 1] {
                let (other, weight) = self.neighbours[at];
                disturbed.neighbours[at].1 =
                    weight * (1.0 - share + 2.0 * share * of_pair(seed, node, other));
            }
        }
        disturbed
    }

    /// The graph in which each group is one node.
    pub(crate) fn joined(&self, group_of: &[usize], groups: usize) -> Self {
        let mut ties = Vec::with_capacity(self.neighbours.len() / 2 + self.nodes());
        let mut apart = Vec::new();
        for node in 0..self.nodes() {
            let group = group_of[node];
            if self.loops[node] > 0.0 {
                ties.push((group, group, self.loops[node]));
            }
            for (other, weight) in self.neighbours(node).iter().filter(|(other, _)| *other > node) {
                ties.push((group, group_of[*other], *weight));
            }
            apart.extend(
                self.apart(node).iter().map(|other| (group, group_of[*other])).filter(|(a, b)| a < b),
            );
        }
        Self::new(groups, ties, &apart)
    }

    /// Newman and Girvan's modularity of a partition, with a resolution.
    pub(crate) fn modularity(&self, group_of: &[usize], resolution: f64) -> f64 {
        let doubled: f64 = (0..self.nodes()).map(|node| self.degree(node)).sum();
        if doubled <= 0.0 {
            return 0.0;
        }
        let groups = group_of.iter().max().map_or(0, |most| most + 1);
        let (mut inside, mut degrees) = (vec![0.0; groups], vec![0.0; groups]);
        for node in 0..self.nodes() {
            let group = group_of[node];
            degrees[group] += self.degree(node);
            let held = self.neighbours(node).iter().filter(|(other, _)| group_of[*other] == group);
            inside[group] += held.map(|(_, weight)| weight).sum::<f64>() + 2.0 * self.loops[node];
        }
        inside
            .iter()
            .zip(&degrees)
            .map(|(inside, degree)| inside / doubled - resolution * (degree / doubled).powi(2))
            .sum()
    }
}
