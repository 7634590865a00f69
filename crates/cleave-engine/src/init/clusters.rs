//! Groups of tables that foreign keys hold together more than they tie them to others: candidates for services.
//!
//! Connected components would not do: in a grown database nearly every table reaches every other through a few hubs
//! (customers, orders). Groups are merged as long as that raises the graph's modularity (Clauset, Newman and Moore,
//! 2004), which needs no tuning, gives the same answer each time, and splits at the hubs.

use cleave_model::QualifiedName;
use cleave_model::catalog::{Catalog, Table, TableKind};
use std::collections::BTreeMap;

/// A group of tables; partitions go with their root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cluster {
    /// Roots, by name.
    pub(super) tables: Vec<QualifiedName>,
    /// The table with the most keys to others of the group.
    pub(super) centre: QualifiedName,
    /// Keys between two tables of the group.
    pub(super) keys_inside: usize,
    /// Keys from or to tables outside.
    pub(super) keys_across: usize,
}

/// All groups, the largest first; foreign tables are in none.
pub(super) fn clusters(catalog: &Catalog) -> Vec<Cluster> {
    let roots: Vec<&QualifiedName> =
        catalog.tables.iter().filter(|table| is_root(table)).map(|table| &table.name).collect();
    let number: BTreeMap<&QualifiedName, usize> =
        roots.iter().enumerate().map(|(at, name)| (*name, at)).collect();
    let mut edges = Vec::new();
    for table in &catalog.tables {
        let Some(from) = number.get(root(catalog, table)) else { continue };
        for key in &table.foreign_keys {
            let referenced = catalog.table(&key.referenced).map(|referenced| root(catalog, referenced));
            if let Some(to) = referenced.and_then(|name| number.get(name)) {
                edges.push((*from, *to));
            }
        }
    }
    let groups = merge(roots.len(), &edges);
    let mut clusters: Vec<Cluster> = groups.iter().map(|group| cluster(group, &roots, &edges)).collect();
    clusters.sort_by(|a, b| b.tables.len().cmp(&a.tables.len()).then_with(|| a.tables.cmp(&b.tables)));
    clusters
}

fn is_root(table: &Table) -> bool {
    table.partition_of.is_none() && table.kind != TableKind::Foreign
}

/// The table at the top of a partition tree.
fn root<'c>(catalog: &'c Catalog, table: &'c Table) -> &'c QualifiedName {
    let mut top = table;
    while let Some(parent) = top.partition_of.as_ref().and_then(|partition| catalog.table(&partition.parent))
    {
        top = parent;
    }
    &top.name
}

fn cluster(group: &[usize], roots: &[&QualifiedName], edges: &[(usize, usize)]) -> Cluster {
    let inside = |at: usize| group.contains(&at);
    let held = edges.iter().filter(|(a, b)| inside(*a) && inside(*b));
    let across = edges.iter().filter(|(a, b)| inside(*a) != inside(*b)).count();
    let mut ties: BTreeMap<usize, usize> = group.iter().map(|at| (*at, 0)).collect();
    for (a, b) in held.clone().filter(|(a, b)| a != b) {
        for at in [a, b] {
            ties.entry(*at).and_modify(|count| *count += 1);
        }
    }
    // The first of those with most keys: `max_by_key` would take the last.
    let centre = ties.iter().rev().max_by_key(|(_, count)| **count).map_or(0, |(at, _)| *at);
    let mut tables: Vec<QualifiedName> = group.iter().map(|at| roots[*at].clone()).collect();
    tables.sort();
    Cluster { tables, centre: roots[centre].clone(), keys_inside: held.count(), keys_across: across }
}

/// Merges pairs of groups, the best first, while modularity rises. Exact in integers: with `m` edges, `w` edges
/// between two groups of degrees `d` and `e`, the gain is `2 m w - d e` over a constant.
fn merge(count: usize, edges: &[(usize, usize)]) -> Vec<Vec<usize>> {
    let between: Vec<(usize, usize)> = edges.iter().filter(|(a, b)| a != b).copied().collect();
    let mut groups: BTreeMap<usize, Vec<usize>> = (0..count).map(|at| (at, vec![at])).collect();
    let mut weights: BTreeMap<(usize, usize), i128> = BTreeMap::new();
    let mut degrees = vec![0_i128; count];
    for (a, b) in &between {
        *weights.entry((*a.min(b), *a.max(b))).or_default() += 1;
        degrees[*a] += 1;
        degrees[*b] += 1;
    }
    let doubled = degrees.iter().sum::<i128>();
    loop {
        let gain = |(&(a, b), &weight): (&(usize, usize), &i128)| {
            (doubled * weight - degrees[a] * degrees[b], (a, b))
        };
        // The largest gain; of equals the first pair.
        let best = weights.iter().map(gain).reduce(|best, next| if next.0 > best.0 { next } else { best });
        let Some((_, (kept, gone))) = best.filter(|(gain, _)| *gain > 0) else { break };
        let moved = groups.remove(&gone).unwrap_or_default();
        groups.entry(kept).or_default().extend(moved);
        degrees[kept] += degrees[gone];
        degrees[gone] = 0;
        weights = joined(&weights, kept, gone);
    }
    groups.into_values().collect()
}

/// The weights after `gone` has become a part of `kept`.
fn joined(
    weights: &BTreeMap<(usize, usize), i128>,
    kept: usize,
    gone: usize,
) -> BTreeMap<(usize, usize), i128> {
    let renamed = |at: usize| if at == gone { kept } else { at };
    let mut joined = BTreeMap::new();
    for ((a, b), weight) in weights {
        let (a, b) = (renamed(*a), renamed(*b));
        if a != b {
            *joined.entry((a.min(b), a.max(b))).or_default() += *weight;
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::merge;

    #[test]
    fn two_groups_that_share_one_key_are_told_apart() {
        // 0 to 3 hang together, 4 to 6 hang together, 3 refers to 4; 7 is alone.
        let edges = [(0, 1), (1, 2), (2, 3), (3, 0), (0, 2), (4, 5), (5, 6), (6, 4), (3, 4)];
        let mut groups = merge(8, &edges);
        groups.iter_mut().for_each(|group| group.sort_unstable());
        assert_eq!(groups, vec![vec![0, 1, 2, 3], vec![4, 5, 6], vec![7]]);
    }

    #[test]
    fn without_keys_every_table_is_alone() {
        assert_eq!(merge(3, &[(1, 1)]), vec![vec![0], vec![1], vec![2]]);
    }
}
