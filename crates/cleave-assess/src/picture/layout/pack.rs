//! Parts that nothing connects, beside each other on shelves: the tallest first.

use super::Point;

/// Where the parts stand.
pub(super) struct Packed {
    pub(super) width: f64,
    pub(super) height: f64,
    /// Upper left corners, in the order of the sizes.
    pub(super) corners: Vec<Point>,
}

/// Room between two parts.
const ROOM: f64 = 36.0;
/// How much wider than tall the whole should be: as screens are.
const ASPECT: f64 = 1.5;

pub(super) fn shelves(sizes: &[(f64, f64)]) -> Packed {
    let area: f64 = sizes.iter().map(|(width, height)| (width + ROOM) * (height + ROOM)).sum();
    let widest = sizes.iter().map(|size| size.0).fold(0.0, f64::max);
    let limit = (area * ASPECT).sqrt().max(widest);
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    order.sort_by(|&a, &b| sizes[b].1.total_cmp(&sizes[a].1));
    let mut corners = vec![Point::default(); sizes.len()];
    let (mut x, mut y, mut shelf, mut width) = (0.0, 0.0, 0.0_f64, 0.0_f64);
    for at in order {
        let size = sizes[at];
        if x > 0.0 && x + size.0 > limit {
            (x, y, shelf) = (0.0, y + shelf + ROOM, 0.0);
        }
        corners[at] = Point { x, y };
        x += size.0 + ROOM;
        width = width.max(x - ROOM);
        shelf = shelf.max(size.1);
    }
    Packed { width, height: y + shelf, corners }
}
