//! Communities in a graph: which nodes hang together more than they hang on others. Knows nothing of tables.

mod agreement;
mod consensus;
mod louvain;
mod network;
mod random;

pub use agreement::adjusted_rand_index;
pub(crate) use consensus::Together;
pub(crate) use louvain::Louvain;
pub(crate) use network::Network;
pub(crate) use random::Random;

use std::collections::BTreeMap;

/// A way to part a graph.
pub(crate) trait Partitioner {
    /// Each node's group. The same graph, resolution and seed give the same groups; nodes that must be apart are.
    fn partition(&self, network: &Network, resolution: f64, random: &mut Random) -> Vec<usize>;
}

/// The same groups, numbered from 0 in the order in which they appear, and how many there are.
pub(crate) fn renumbered(group_of: &[usize]) -> (Vec<usize>, usize) {
    let mut numbers = BTreeMap::new();
    let groups = group_of
        .iter()
        .map(|group| {
            let next = numbers.len();
            *numbers.entry(*group).or_insert(next)
        })
        .collect();
    (groups, numbers.len())
}
