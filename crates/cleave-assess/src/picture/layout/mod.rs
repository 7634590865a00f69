//! Where boxes and lines stand: layers from left to right, as lines point.
//!
//! Every line gets room of its own in each layer that it passes, and so does its label: boxes, lines' horizontal parts
//! and labels cannot lie on each other, however many there are. The same input gives the same drawing.

mod order;
mod pack;
mod place;
mod rank;

#[cfg(test)]
mod tests;

/// A box to place; pixels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    pub(super) width: f64,
    pub(super) height: f64,
}

/// A line between two boxes, told by their index. A line from a box to itself is left to the caller.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    pub(super) from: usize,
    pub(super) to: usize,
    /// Where it leaves and enters, in pixels below the boxes' upper edges.
    pub(super) ports: (f64, f64),
    /// Width and height of its label; zero for none.
    pub(super) label: (f64, f64),
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Point {
    pub(super) x: f64,
    pub(super) y: f64,
}

/// A line's way: it runs straight from the first to the second point, bends to the third, runs straight to the fourth,
/// and so on. `label` is the centre of its label.
#[derive(Clone, Debug, Default)]
pub(super) struct Route {
    pub(super) points: Vec<Point>,
    pub(super) label: Option<Point>,
}

/// Upper left corners of the boxes, and the lines' ways, in the order they were given.
#[derive(Clone, Debug, Default)]
pub(super) struct Layout {
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) corners: Vec<Point>,
    pub(super) routes: Vec<Route>,
}

/// How lines are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// From left to right, as they point.
    Flow,
    /// Either way, in as few layers as the lines allow: where much is tied to much, a flow would be a long strip.
    Compact,
}

/// Room between boxes one above the other.
const GAP: f64 = 22.0;
/// Room that a line without label takes between boxes.
const LANE: f64 = 12.0;

/// Places boxes and lines. Parts that nothing connects stand beside each other.
pub(super) fn layout(nodes: &[Node], links: &[Link], reading: Reading) -> Layout {
    let drawn: Vec<Piece> =
        pieces(nodes.len(), links).iter().map(|members| piece(nodes, links, members, reading)).collect();
    let sizes: Vec<(f64, f64)> =
        drawn.iter().map(|piece| (piece.layout.width, piece.layout.height)).collect();
    let packed = pack::shelves(&sizes);
    let mut whole = Layout {
        width: packed.width,
        height: packed.height,
        corners: vec![Point::default(); nodes.len()],
        routes: vec![Route::default(); links.len()],
    };
    for (piece, offset) in drawn.into_iter().zip(&packed.corners) {
        for (&node, corner) in piece.nodes.iter().zip(&piece.layout.corners) {
            whole.corners[node] = moved(*corner, *offset);
        }
        for (&link, route) in piece.links.iter().zip(piece.layout.routes) {
            whole.routes[link] = Route {
                points: route.points.iter().map(|point| moved(*point, *offset)).collect(),
                label: route.label.map(|point| moved(point, *offset)),
            };
        }
    }
    whole
}

fn moved(point: Point, by: Point) -> Point {
    Point { x: point.x + by.x, y: point.y + by.y }
}

/// One connected part and which boxes and lines it holds.
struct Piece {
    nodes: Vec<usize>,
    links: Vec<usize>,
    layout: Layout,
}

fn piece(nodes: &[Node], links: &[Link], members: &[usize], reading: Reading) -> Piece {
    let place_of = |node: usize| members.binary_search(&node).ok();
    let mut chosen = Vec::new();
    let mut own = Vec::new();
    for (at, link) in links.iter().enumerate() {
        if let (Some(from), Some(to)) = (place_of(link.from), place_of(link.to))
            && from != to
        {
            chosen.push(at);
            own.push(Link { from, to, ..*link });
        }
    }
    let boxes: Vec<Node> = members.iter().map(|&member| nodes[member]).collect();
    let ranked = match reading {
        Reading::Flow => rank::flow(&boxes, &own),
        Reading::Compact => rank::compact(&boxes, &own),
    };
    let grid = order::order(&boxes, &own, &ranked);
    Piece { nodes: members.to_vec(), links: chosen, layout: place::place(&boxes, &own, &grid) }
}

/// Connected parts, each in ascending order.
fn pieces(nodes: usize, links: &[Link]) -> Vec<Vec<usize>> {
    let mut near = vec![Vec::new(); nodes];
    for link in links {
        near[link.from].push(link.to);
        near[link.to].push(link.from);
    }
    let mut seen = vec![false; nodes];
    let mut pieces = Vec::new();
    for start in 0..nodes {
        if std::mem::replace(&mut seen[start], true) {
            continue;
        }
        let (mut members, mut left) = (vec![start], vec![start]);
        while let Some(node) = left.pop() {
            for &next in &near[node] {
                if !std::mem::replace(&mut seen[next], true) {
                    members.push(next);
                    left.push(next);
                }
            }
        }
        members.sort_unstable();
        pieces.push(members);
    }
    pieces
}
