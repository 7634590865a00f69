//! Which layer each box stands in.

use super::{GAP, Link, Node};

/// The boxes' layers, and which lines run against the reading direction.
#[derive(Debug)]
pub(super) struct Ranked {
    /// Layer of each box, from 0.
    pub(super) ranks: Vec<usize>,
    /// True for a line whose start stands to the right of its end.
    pub(super) reversed: Vec<bool>,
}

/// Lines with a label span two layers, so that there is one between the boxes for labels.
fn step(links: &[Link]) -> usize {
    if links.iter().any(|link| link.label.0 > 0.0) { 2 } else { 1 }
}

/// Few layers of about the same height: boxes that a line connects stand in different ones, as in a map whose neighbours
/// have different colours. Where the lines allow no other, a layer is added.
pub(super) fn compact(nodes: &[Node], links: &[Link]) -> Ranked {
    const ASPECT: f64 = 1.5;
    let mut near = vec![Vec::new(); nodes.len()];
    for link in links {
        near[link.from].push(link.to);
        near[link.to].push(link.from);
    }
    let area: f64 = nodes.iter().map(|node| (node.width + 120.0) * (node.height + 2.0 * GAP)).sum();
    let widest = nodes.iter().map(|node| node.width + 120.0).fold(1.0, f64::max);
    let wanted = ((area * ASPECT).sqrt() / widest).ceil().max(1.0) as usize;
    let mut heights = vec![0.0_f64; wanted];
    let mut columns: Vec<Option<usize>> = vec![None; nodes.len()];
    let mut order: Vec<usize> = (0..nodes.len()).collect();
    order.sort_by_key(|&node| (std::cmp::Reverse(near[node].len()), node));
    for node in order {
        let taken: Vec<usize> = near[node].iter().filter_map(|&other| columns[other]).collect();
        let free = (0..heights.len()).filter(|column| !taken.contains(column));
        let column = free.min_by(|&a, &b| heights[a].total_cmp(&heights[b])).unwrap_or_else(|| {
            heights.push(0.0);
            heights.len() - 1
        });
        heights[column] += nodes[node].height + GAP;
        columns[node] = Some(column);
    }
    let mut used: Vec<usize> = columns.iter().flatten().copied().collect();
    used.sort_unstable();
    used.dedup();
    let place = |column: &Option<usize>| used.iter().position(|own| Some(*own) == *column).unwrap_or(0);
    let ranks: Vec<usize> = columns.iter().map(|column| place(column) * step(links)).collect();
    let reversed = links.iter().map(|link| ranks[link.from] > ranks[link.to]).collect();
    Ranked { ranks, reversed }
}

/// Layers by longest path, boxes drawn towards those that they are connected with, and no layer much taller than the
/// drawing is wide.
pub(super) fn flow(nodes: &[Node], links: &[Link]) -> Ranked {
    let sequence = sequence(nodes.len(), links);
    let mut place = vec![0; nodes.len()];
    for (at, &node) in sequence.iter().enumerate() {
        place[node] = at;
    }
    let reversed: Vec<bool> = links.iter().map(|link| place[link.from] > place[link.to]).collect();
    let arcs: Vec<(usize, usize)> = links
        .iter()
        .zip(&reversed)
        .map(|(link, &reversed)| if reversed { (link.to, link.from) } else { (link.from, link.to) })
        .collect();
    let (mut before, mut after) = (vec![Vec::new(); nodes.len()], vec![Vec::new(); nodes.len()]);
    for &(from, to) in &arcs {
        after[from].push(to);
        before[to].push(from);
    }
    let step = step(links) as i64;
    let mut ranks = vec![0_i64; nodes.len()];
    for &node in &sequence {
        ranks[node] = before[node].iter().map(|&other| ranks[other] + step).max().unwrap_or(0);
    }
    for _ in 0..4 {
        for &node in sequence.iter().rev() {
            tighten(node, &mut ranks, &before, &after, step);
        }
    }
    spread(nodes, &mut ranks, &before, &after, step);
    let first = ranks.iter().copied().min().unwrap_or(0);
    let ranks = ranks.iter().map(|rank| usize::try_from(rank - first).unwrap_or(0)).collect();
    Ranked { ranks, reversed }
}

/// A sequence of the boxes in which few lines run backwards: what only sends stands first, what only receives last,
/// and in a ring the one that sends the most more than it receives (Eades, Lin and Smyth 1993).
fn sequence(nodes: usize, links: &[Link]) -> Vec<usize> {
    let mut out = vec![0_i64; nodes];
    let mut into = vec![0_i64; nodes];
    for link in links {
        out[link.from] += 1;
        into[link.to] += 1;
    }
    let mut left: Vec<usize> = (0..nodes).collect();
    let (mut head, mut tail) = (Vec::new(), Vec::new());
    while !left.is_empty() {
        let sink = left.iter().position(|&node| out[node] == 0);
        let source = left.iter().position(|&node| into[node] == 0);
        let greatest = || {
            let surplus = |at: &usize| (out[left[*at]] - into[left[*at]], std::cmp::Reverse(left[*at]));
            (0..left.len()).max_by_key(surplus).unwrap_or(0)
        };
        let at = sink.or(source).unwrap_or_else(greatest);
        let node = left.remove(at);
        if sink.is_some() {
            tail.push(node)
        } else {
            head.push(node)
        }
        for link in links {
            if link.from == node {
                into[link.to] -= 1;
            }
            if link.to == node {
                out[link.from] -= 1;
            }
        }
    }
    head.extend(tail.into_iter().rev());
    head
}

/// Moves a box as near to its more numerous side as its lines allow.
fn tighten(node: usize, ranks: &mut [i64], before: &[Vec<usize>], after: &[Vec<usize>], step: i64) {
    let lowest = before[node].iter().map(|&other| ranks[other] + step).max();
    let highest = after[node].iter().map(|&other| ranks[other] - step).min();
    match (lowest, highest) {
        (None, Some(highest)) => ranks[node] = highest,
        (Some(lowest), None) => ranks[node] = lowest,
        (Some(_), Some(highest)) if after[node].len() > before[node].len() => ranks[node] = highest,
        (Some(lowest), Some(_)) => ranks[node] = lowest,
        (None, None) => {}
    }
}

/// Many boxes that point at the same one would stand in one endless column: those at the outer ends go further out.
fn spread(nodes: &[Node], ranks: &mut [i64], before: &[Vec<usize>], after: &[Vec<usize>], step: i64) {
    let area: f64 = nodes.iter().map(|node| (node.width + 80.0) * (node.height + GAP)).sum();
    let tallest = nodes.iter().map(|node| node.height).fold(0.0, f64::max);
    let limit = (area.sqrt() * 1.1).max(tallest * 2.5);
    for outward in [-step, step] {
        let mut rank =
            if outward < 0 { ranks.iter().max() } else { ranks.iter().min() }.copied().unwrap_or(0);
        // Each turn moves at least one box outwards or leaves the layer: the boxes run out.
        for _ in 0..nodes.len() {
            let members: Vec<usize> = (0..nodes.len()).filter(|&node| ranks[node] == rank).collect();
            if members.is_empty() {
                break;
            }
            let mut height: f64 = members.iter().map(|&node| nodes[node].height + GAP).sum();
            let ends = if outward < 0 { before } else { after };
            let mut loose: Vec<usize> =
                members.iter().copied().filter(|&node| ends[node].is_empty()).collect();
            while height > limit && members.len() > 1 {
                let Some(node) = loose.pop() else { break };
                ranks[node] += outward;
                height -= nodes[node].height + GAP;
            }
            rank += outward;
        }
    }
}
