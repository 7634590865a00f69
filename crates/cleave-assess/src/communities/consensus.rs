//! What many partitions of the same nodes agree on.

use super::renumbered;

/// How often each two nodes were together, in a half matrix of bytes.
#[derive(Clone, Debug)]
pub(crate) struct Together {
    nodes: usize,
    runs: u8,
    counts: Vec<u8>,
}

/// Runs beyond this would not fit into the counts.
pub(crate) const RUNS_MAX: u8 = u8::MAX;

/// Nodes are put together if they were so in at least half of the runs, on average over both groups.
const AGREED: f32 = 0.5;
/// Nodes that may not be together.
const APART: f32 = -1.0;

impl Together {
    pub(crate) fn new(nodes: usize) -> Self {
        Self { nodes, runs: 0, counts: vec![0; nodes * nodes.saturating_sub(1) / 2] }
    }

    /// Counts one partition.
    pub(crate) fn add(&mut self, group_of: &[usize]) {
        if self.runs == RUNS_MAX {
            return;
        }
        self.runs += 1;
        let (renumbered, groups) = renumbered(group_of);
        let mut members = vec![Vec::new(); groups];
        for (node, group) in renumbered.iter().enumerate() {
            members[*group].push(node);
        }
        for group in members {
            for (at, high) in group.iter().enumerate() {
                for low in &group[..at] {
                    self.counts[place(*low, *high)] += 1;
                }
            }
        }
    }

    /// The share of runs in which two nodes were together.
    pub(crate) fn share(&self, a: usize, b: usize) -> f64 {
        if a == b {
            return 1.0;
        }
        f64::from(self.counts[place(a.min(b), a.max(b))]) / f64::from(self.runs.max(1))
    }

    /// A node's mean share with a group's members, itself left out; 1 for a group of itself.
    pub(crate) fn mean_share(&self, node: usize, group: &[usize]) -> f64 {
        let others: Vec<f64> =
            group.iter().filter(|other| **other != node).map(|other| self.share(node, *other)).collect();
        if others.is_empty() { 1.0 } else { others.iter().sum::<f64>() / others.len() as f64 }
    }

    /// Groups by average linkage, as long as the groups' members were together in half of the runs. Pairs in `apart` are
    /// never put together.
    pub(crate) fn consensus(&self, apart: &[(usize, usize)]) -> Vec<usize> {
        let mut linkage = Linkage::new(self, apart);
        linkage.run();
        renumbered(&linkage.root_of()).0
    }
}

/// Place of a pair in a half matrix, the lower node first.
fn place(low: usize, high: usize) -> usize {
    high * (high - 1) / 2 + low
}

/// Average linkage along chains of nearest neighbours (Murtagh 1983): quadratic, and the result does not depend on where
/// a chain begins.
struct Linkage {
    shares: Vec<f32>,
    sizes: Vec<f32>,
    into: Vec<usize>,
    active: Vec<usize>,
}

impl Linkage {
    fn new(together: &Together, apart: &[(usize, usize)]) -> Self {
        let runs = f32::from(together.runs.max(1));
        let mut shares: Vec<f32> = together.counts.iter().map(|count| f32::from(*count) / runs).collect();
        for (a, b) in apart.iter().filter(|(a, b)| a != b) {
            shares[place(*a.min(b), *a.max(b))] = APART;
        }
        let nodes = together.nodes;
        Self { shares, sizes: vec![1.0; nodes], into: (0..nodes).collect(), active: (0..nodes).collect() }
    }

    fn share(&self, a: usize, b: usize) -> f32 {
        self.shares[place(a.min(b), a.max(b))]
    }

    /// The nearest other group, the lowest number of equals but `before` before all; none if it is the last.
    fn nearest(&self, group: usize, before: Option<usize>) -> Option<(usize, f32)> {
        let mut best = before.map(|before| (before, self.share(group, before)));
        for &other in self.active.iter().filter(|other| **other != group) {
            let share = self.share(group, other);
            if best.is_none_or(|(_, most)| share > most) {
                best = Some((other, share));
            }
        }
        best
    }

    fn run(&mut self) {
        let mut chain: Vec<usize> = Vec::new();
        while self.active.len() > 1 {
            let Some(&last) = chain.last() else {
                chain.extend(self.active.first().copied());
                continue;
            };
            let before = chain.len().checked_sub(2).map(|at| chain[at]);
            match self.nearest(last, before) {
                // Nothing will ever come nearer: this group is done.
                Some((_, share)) if share < AGREED => {
                    self.active.retain(|group| *group != last);
                    chain.pop();
                }
                Some((next, _)) if Some(next) == before => {
                    chain.truncate(chain.len() - 2);
                    self.join(last.min(next), last.max(next));
                }
                Some((next, _)) => chain.push(next),
                None => break,
            }
        }
    }

    fn join(&mut self, kept: usize, gone: usize) {
        self.active.retain(|group| *group != gone);
        let (kept_size, gone_size) = (self.sizes[kept], self.sizes[gone]);
        for &other in self.active.iter().filter(|other| **other != kept) {
            let (one, two) = (self.share(kept, other), self.share(gone, other));
            let joined = if one == APART || two == APART {
                APART
            } else {
                (one * kept_size + two * gone_size) / (kept_size + gone_size)
            };
            self.shares[place(kept.min(other), kept.max(other))] = joined;
        }
        self.sizes[kept] += gone_size;
        self.into[gone] = kept;
    }

    fn root_of(&self) -> Vec<usize> {
        (0..self.into.len())
            .map(|node| {
                let mut root = node;
                while self.into[root] != root {
                    root = self.into[root];
                }
                root
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Together;

    fn together(runs: &[&[usize]]) -> Together {
        let mut together = Together::new(runs[0].len());
        runs.iter().for_each(|run| together.add(run));
        together
    }

    #[test]
    fn what_most_runs_put_together_stays_together() {
        let seen = together(&[&[0, 0, 1, 1, 2], &[0, 0, 0, 1, 1], &[5, 5, 4, 4, 4]]);
        assert_eq!(seen.consensus(&[]), [0, 0, 1, 1, 1]);
        assert!((seen.share(3, 2) - 2.0 / 3.0).abs() < 1e-9);
        assert!((seen.mean_share(4, &[2, 3, 4]) - 0.5).abs() < 1e-9);
    }

    #[test]
    fn runs_that_agree_on_nothing_leave_every_node_alone() {
        let seen = together(&[&[0, 0, 1], &[0, 1, 0], &[0, 1, 1]]);
        assert_eq!(seen.consensus(&[]), [0, 1, 2]);
    }

    #[test]
    fn a_pair_that_must_be_apart_is_not_joined_through_others() {
        let seen = together(&[&[0, 0, 0, 0]]);
        let groups = seen.consensus(&[(0, 3)]);
        assert_ne!(groups[0], groups[3]);
    }
}
