//! In which order boxes, lines and labels stand in each layer, so that few lines cross.

use super::rank::Ranked;
use super::{LANE, Link, Node};

/// Something that takes room in a layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Cell {
    /// A box, by index.
    Box(usize),
    /// Where a line passes, by index.
    Pass(usize),
    /// A line's label, through which it passes.
    Label(usize),
}

/// Connection of two cells of neighbouring layers: places in the cell list, and where it ends below their upper edges.
#[derive(Clone, Copy, Debug)]
pub(super) struct Joint {
    pub(super) left: usize,
    pub(super) right: usize,
    pub(super) ports: (f64, f64),
}

/// Layers of cells.
#[derive(Debug)]
pub(super) struct Grid {
    pub(super) cells: Vec<Cell>,
    /// Width and height of each cell.
    pub(super) sizes: Vec<(f64, f64)>,
    /// Cells of each layer, from above.
    pub(super) layers: Vec<Vec<usize>>,
    pub(super) joints: Vec<Joint>,
    /// The cells of each line from left to right, ends included.
    pub(super) chains: Vec<Vec<usize>>,
    pub(super) reversed: Vec<bool>,
}

const SWEEPS: usize = 24;

/// Makes the cells and orders them.
pub(super) fn order(nodes: &[Node], links: &[Link], ranked: &Ranked) -> Grid {
    let mut grid = cells(nodes, links, ranked);
    let near = Near::new(&grid);
    let mut best = (near.crossings(&grid.layers), grid.layers.clone());
    for sweep in 0..SWEEPS {
        near.sweep(&mut grid.layers, sweep % 2 == 0);
        near.swap_neighbours(&mut grid.layers);
        let crossings = near.crossings(&grid.layers);
        if crossings < best.0 {
            best = (crossings, grid.layers.clone());
        }
        if best.0 == 0 {
            break;
        }
    }
    grid.layers = best.1;
    grid
}

fn cells(nodes: &[Node], links: &[Link], ranked: &Ranked) -> Grid {
    let layers = ranked.ranks.iter().max().map_or(0, |last| last + 1);
    let mut grid = Grid {
        cells: (0..nodes.len()).map(Cell::Box).collect(),
        sizes: nodes.iter().map(|node| (node.width, node.height)).collect(),
        layers: vec![Vec::new(); layers],
        joints: Vec::new(),
        chains: Vec::new(),
        reversed: ranked.reversed.clone(),
    };
    for (node, &rank) in ranked.ranks.iter().enumerate() {
        grid.layers[rank].push(node);
    }
    for (at, link) in links.iter().enumerate() {
        let (left, right, ports) = if ranked.reversed[at] {
            (link.to, link.from, (link.ports.1, link.ports.0))
        } else {
            (link.from, link.to, link.ports)
        };
        let (first, last) = (ranked.ranks[left], ranked.ranks[right]);
        // Boxes stand in every second layer where there are labels, so the layer after a box holds no boxes.
        let middle = first + 1 + (last - first - 1) / 4 * 2;
        let mut chain = vec![left];
        for (rank, layer) in grid.layers.iter_mut().enumerate().take(last).skip(first + 1) {
            let (cell, size) = if rank == middle && link.label.0 > 0.0 {
                (Cell::Label(at), link.label)
            } else {
                (Cell::Pass(at), (0.0, LANE))
            };
            grid.cells.push(cell);
            grid.sizes.push(size);
            layer.push(grid.cells.len() - 1);
            chain.push(grid.cells.len() - 1);
        }
        chain.push(right);
        for (place, pair) in chain.windows(2).enumerate() {
            let from = if place == 0 { ports.0 } else { grid.sizes[pair[0]].1 / 2.0 };
            let to = if place + 2 == chain.len() { ports.1 } else { grid.sizes[pair[1]].1 / 2.0 };
            grid.joints.push(Joint { left: pair[0], right: pair[1], ports: (from, to) });
        }
        grid.chains.push(chain);
    }
    grid
}

/// Which cells each cell is joined to, on either side.
struct Near {
    left: Vec<Vec<usize>>,
    right: Vec<Vec<usize>>,
}

impl Near {
    fn new(grid: &Grid) -> Self {
        let mut near =
            Self { left: vec![Vec::new(); grid.cells.len()], right: vec![Vec::new(); grid.cells.len()] };
        for joint in &grid.joints {
            near.right[joint.left].push(joint.right);
            near.left[joint.right].push(joint.left);
        }
        near
    }

    fn places(&self, layers: &[Vec<usize>]) -> Vec<usize> {
        let mut places = vec![0; self.left.len()];
        for layer in layers {
            for (place, &cell) in layer.iter().enumerate() {
                places[cell] = place;
            }
        }
        places
    }

    /// Orders each layer by the mean place of what its cells are joined to in the layer before.
    fn sweep(&self, layers: &mut [Vec<usize>], forward: bool) {
        let mut places = self.places(layers);
        let count = layers.len();
        for turn in 1..count {
            let at = if forward { turn } else { count - 1 - turn };
            let side = if forward { &self.left } else { &self.right };
            let wish = |cell: usize, places: &[usize]| {
                let joined = &side[cell];
                if joined.is_empty() {
                    return places[cell] as f64;
                }
                joined.iter().map(|&other| places[other] as f64).sum::<f64>() / joined.len() as f64
            };
            let mut wishes: Vec<(f64, usize)> =
                layers[at].iter().map(|&cell| (wish(cell, &places), cell)).collect();
            wishes.sort_by(|a, b| a.0.total_cmp(&b.0));
            layers[at] = wishes.into_iter().map(|(_, cell)| cell).collect();
            for (place, &cell) in layers[at].iter().enumerate() {
                places[cell] = place;
            }
        }
    }

    /// Swaps neighbours as long as that takes crossings away, a few times.
    fn swap_neighbours(&self, layers: &mut [Vec<usize>]) {
        const PASSES: usize = 4;
        let mut places = self.places(layers);
        for _ in 0..PASSES {
            let mut swapped = false;
            for layer in layers.iter_mut() {
                for at in 1..layer.len() {
                    let (upper, lower) = (layer[at - 1], layer[at]);
                    if self.pair(lower, upper, &places) < self.pair(upper, lower, &places) {
                        layer.swap(at - 1, at);
                        places[upper] = at;
                        places[lower] = at - 1;
                        swapped = true;
                    }
                }
            }
            if !swapped {
                break;
            }
        }
    }

    /// Crossings between the lines of two cells, the first standing above the second.
    fn pair(&self, upper: usize, lower: usize, places: &[usize]) -> usize {
        let count = |side: &[Vec<usize>]| {
            let above = side[upper].iter();
            above.map(|&a| side[lower].iter().filter(|&&b| places[b] < places[a]).count()).sum::<usize>()
        };
        count(&self.left) + count(&self.right)
    }

    fn crossings(&self, layers: &[Vec<usize>]) -> usize {
        let places = self.places(layers);
        layers.iter().map(|layer| self.crossings_right_of(layer, &places)).sum()
    }

    /// Inversions among the right ends, in the order of the left ones.
    fn crossings_right_of(&self, layer: &[usize], places: &[usize]) -> usize {
        let mut ends = Vec::new();
        for &cell in layer {
            let mut own: Vec<usize> = self.right[cell].iter().map(|&other| places[other]).collect();
            own.sort_unstable();
            ends.extend(own);
        }
        let room = ends.iter().max().map_or(0, |last| last + 1);
        let mut tree = vec![0_usize; room + 1];
        let mut crossings = 0;
        for (seen, &end) in ends.iter().enumerate() {
            // Those before that end at this place or above do not cross.
            let (mut at, mut above) = (end + 1, 0);
            while at > 0 {
                above += tree[at];
                at -= at & at.wrapping_neg();
            }
            crossings += seen - above;
            let mut at = end + 1;
            while at <= room {
                tree[at] += 1;
                at += at & at.wrapping_neg();
            }
        }
        crossings
    }
}
