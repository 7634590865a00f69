//! Pixels: each cell as near to what it is joined to as the order in its layer and the room between allow.

use super::order::{Cell, Grid};
use super::{GAP, LANE, Layout, Link, Node, Point, Route};

const ROUNDS: usize = 24;
/// Room between two layers: enough for a line to bend.
const BEND: f64 = 44.0;

/// Coordinates for an ordered grid.
pub(super) fn place(nodes: &[Node], links: &[Link], grid: &Grid) -> Layout {
    let tops = tops(grid);
    let columns = columns(grid);
    let mut corners = vec![Point::default(); nodes.len()];
    let mut layer_of = vec![0; grid.cells.len()];
    for (layer, cells) in grid.layers.iter().enumerate() {
        for &cell in cells {
            layer_of[cell] = layer;
            if let Cell::Box(node) = grid.cells[cell] {
                let (left, width) = columns[layer];
                corners[node] = Point { x: left + (width - nodes[node].width) / 2.0, y: tops[cell] };
            }
        }
    }
    let routes = links
        .iter()
        .enumerate()
        .map(|(at, link)| {
            route(at, link, nodes, grid, &Placed { tops: &tops, columns: &columns, layer_of: &layer_of })
        })
        .collect();
    let width = columns.last().map_or(0.0, |(left, width)| left + width);
    let bottom = |cell: usize| tops[cell] + grid.sizes[cell].1;
    let height = (0..grid.cells.len()).map(bottom).fold(0.0, f64::max);
    Layout { width, height, corners, routes }
}

/// Left edge and width of each layer.
fn columns(grid: &Grid) -> Vec<(f64, f64)> {
    let mut left = 0.0;
    let mut columns = Vec::new();
    for layer in &grid.layers {
        let width = layer.iter().map(|&cell| grid.sizes[cell].0).fold(0.0, f64::max);
        columns.push((left, width));
        // Many lines between two layers need a longer bend to be told apart.
        left += width + BEND + (layer.len() as f64).min(24.0);
    }
    columns
}

struct Placed<'p> {
    tops: &'p [f64],
    columns: &'p [(f64, f64)],
    layer_of: &'p [usize],
}

/// Two points per cell: where the line enters its layer and where it leaves.
fn route(at: usize, link: &Link, nodes: &[Node], grid: &Grid, placed: &Placed<'_>) -> Route {
    let chain = &grid.chains[at];
    let reversed = grid.reversed[at];
    let ports = if reversed { (link.ports.1, link.ports.0) } else { link.ports };
    let mut points = Vec::new();
    let mut label = None;
    for (step, &cell) in chain.iter().enumerate() {
        let (left, width) = placed.columns[placed.layer_of[cell]];
        let middle = left + width / 2.0;
        match grid.cells[cell] {
            Cell::Box(node) => {
                let half = nodes[node].width / 2.0;
                let (y, ends) = if step == 0 {
                    (placed.tops[cell] + ports.0, [middle + half, left + width])
                } else {
                    (placed.tops[cell] + ports.1, [left, middle - half])
                };
                points.extend(ends.map(|x| Point { x, y }));
            }
            Cell::Pass(_) | Cell::Label(_) => {
                let y = placed.tops[cell] + grid.sizes[cell].1 / 2.0;
                points.extend([left, left + width].map(|x| Point { x, y }));
                if grid.cells[cell] == Cell::Label(at) {
                    label = Some(Point { x: middle, y });
                }
            }
        }
    }
    if reversed {
        points.reverse();
    }
    Route { points, label }
}

/// Upper edges of all cells.
fn tops(grid: &Grid) -> Vec<f64> {
    let mut tops = vec![0.0; grid.cells.len()];
    for layer in &grid.layers {
        let mut y = 0.0;
        for &cell in layer {
            tops[cell] = y;
            y += grid.sizes[cell].1 + GAP;
        }
    }
    let mut near: Vec<Vec<(usize, f64, f64, bool)>> = vec![Vec::new(); grid.cells.len()];
    for joint in &grid.joints {
        near[joint.left].push((joint.right, joint.ports.1, joint.ports.0, false));
        near[joint.right].push((joint.left, joint.ports.0, joint.ports.1, true));
    }
    for round in 0..ROUNDS {
        let forward = round % 2 == 0;
        // The last rounds look at both sides at once, which centres a box between its neighbours.
        let both = round + 6 >= ROUNDS;
        for turn in 0..grid.layers.len() {
            let layer = &grid.layers[if forward { turn } else { grid.layers.len() - 1 - turn }];
            let wishes: Vec<(f64, f64)> = layer
                .iter()
                .map(|&cell| {
                    let joined: Vec<_> =
                        near[cell].iter().filter(|joint| both || joint.3 == forward).collect();
                    if joined.is_empty() {
                        return (tops[cell], 0.2);
                    }
                    let sum: f64 =
                        joined.iter().map(|(other, theirs, own, _)| tops[*other] + theirs - own).sum();
                    // A line that only passes is kept straight before a box is moved.
                    let weight = if matches!(grid.cells[cell], Cell::Box(_)) { 1.0 } else { 4.0 };
                    (sum / joined.len() as f64, weight * joined.len() as f64)
                })
                .collect();
            for (&cell, top) in layer.iter().zip(apart(&wishes, layer, grid)) {
                tops[cell] = top;
            }
        }
    }
    close_up(&mut tops, grid);
    tops
}

/// Takes out what is empty over the whole width: parts that hardly anything connects drift apart. The first cell stands
/// at 0 afterwards.
fn close_up(tops: &mut [f64], grid: &Grid) {
    let mut order: Vec<usize> = (0..tops.len()).collect();
    order.sort_by(|&a, &b| tops[a].total_cmp(&tops[b]));
    let Some(&first) = order.first() else { return };
    let (mut shift, mut bottom) = (tops[first], tops[first]);
    for cell in order {
        let top = tops[cell];
        // All that follows goes up by what is empty above it.
        shift += (top - bottom - GAP).max(0.0);
        bottom = bottom.max(top + grid.sizes[cell].1);
        tops[cell] = top - shift;
    }
}

/// The places nearest to what is wished, in this order and with room between: least squares by pooling neighbours
/// that want the same place.
fn apart(wishes: &[(f64, f64)], layer: &[usize], grid: &Grid) -> Vec<f64> {
    let mut before = Vec::with_capacity(layer.len());
    let mut sum = 0.0;
    for (at, &cell) in layer.iter().enumerate() {
        before.push(sum);
        let next_is_box = layer.get(at + 1).is_none_or(|&next| matches!(grid.cells[next], Cell::Box(_)));
        let gap = match grid.cells[cell] {
            Cell::Box(_) if next_is_box => GAP,
            Cell::Box(_) => LANE,
            _ if next_is_box => LANE,
            _ => 2.0,
        };
        sum += grid.sizes[cell].1 + gap;
    }
    // Pools: wished place of the first member, weight, members.
    let mut pools: Vec<(f64, f64, usize)> = Vec::new();
    for (at, (wish, weight)) in wishes.iter().enumerate() {
        let mut pool = (wish - before[at], *weight, 1);
        while let Some(last) = pools.last()
            && last.0 >= pool.0
        {
            let weight = last.1 + pool.1;
            pool = ((last.0 * last.1 + pool.0 * pool.1) / weight, weight, last.2 + pool.2);
            pools.pop();
        }
        pools.push(pool);
    }
    let starts = pools.iter().flat_map(|pool| std::iter::repeat_n(pool.0, pool.2));
    starts.zip(&before).map(|(start, before)| start + before).collect()
}
