use super::*;

fn boxes(count: usize) -> Vec<Node> {
    (0..count)
        .map(|at| Node { width: 80.0 + (at % 7) as f64 * 20.0, height: 40.0 + (at % 5) as f64 * 16.0 })
        .collect()
}

/// Every box refers to a few with smaller numbers, and some back: rings, hubs and long lines.
fn links(count: usize, label: (f64, f64)) -> Vec<Link> {
    let mut links = Vec::new();
    for from in 1..count {
        for to in [from / 2, from / 3, (from * 7) % count] {
            let known =
                |link: &Link| (link.from, link.to) == (from, to) || (link.from, link.to) == (to, from);
            if from != to && !links.iter().any(known) {
                links.push(Link { from, to, ports: (20.0, 20.0), label });
            }
        }
    }
    links
}

fn overlap(a: (Point, f64, f64), b: (Point, f64, f64)) -> bool {
    let along = |a: f64, a_size: f64, b: f64, b_size: f64| a < b + b_size - 0.01 && b < a + a_size - 0.01;
    along(a.0.x, a.1, b.0.x, b.1) && along(a.0.y, a.2, b.0.y, b.2)
}

#[test]
fn boxes_and_labels_never_lie_on_each_other() {
    for (count, reading) in
        [1, 2, 15, 60, 150].into_iter().flat_map(|n| [(n, Reading::Flow), (n, Reading::Compact)])
    {
        let (nodes, links) = (boxes(count), links(count, (44.0, 18.0)));
        let drawn = layout(&nodes, &links, reading);
        let mut areas: Vec<(Point, f64, f64)> = nodes
            .iter()
            .zip(&drawn.corners)
            .map(|(node, corner)| (*corner, node.width, node.height))
            .collect();
        for (link, route) in links.iter().zip(&drawn.routes) {
            let centre = route.label.unwrap();
            let corner = Point { x: centre.x - link.label.0 / 2.0, y: centre.y - link.label.1 / 2.0 };
            areas.push((corner, link.label.0, link.label.1));
        }
        for (at, area) in areas.iter().enumerate() {
            assert!(area.0.x > -0.01 && area.0.x + area.1 < drawn.width + 0.01, "{count}: {area:?}");
            assert!(area.0.y > -0.01 && area.0.y + area.2 < drawn.height + 0.01, "{count}: {area:?}");
            for other in &areas[..at] {
                assert!(!overlap(*area, *other), "{count} boxes: {area:?} lies on {other:?}");
            }
        }
    }
}

#[test]
fn no_line_runs_through_a_box() {
    let (nodes, links) = (boxes(80), links(80, (0.0, 0.0)));
    for reading in [Reading::Flow, Reading::Compact] {
        let drawn = layout(&nodes, &links, reading);
        for (link, route) in links.iter().zip(&drawn.routes) {
            let boxes = nodes.iter().zip(&drawn.corners).enumerate();
            let others = boxes.filter(|(at, _)| *at != link.from && *at != link.to);
            for (at, (node, corner)) in others {
                // The straight parts, a hair thick; bends lie between two layers, where no box stands.
                for straight in route.points.chunks(2) {
                    let (left, right) = (straight[0].x.min(straight[1].x), straight[0].x.max(straight[1].x));
                    assert_eq!(straight[0].y, straight[1].y);
                    let line = (Point { x: left, y: straight[0].y - 0.5 }, right - left, 1.0);
                    assert!(
                        !overlap(line, (*corner, node.width, node.height)),
                        "{link:?} runs through box {at}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_line_starts_and_ends_at_the_sides_of_its_boxes() {
    let (nodes, links) = (boxes(40), links(40, (30.0, 18.0)));
    let drawn = layout(&nodes, &links, Reading::Flow);
    for (link, route) in links.iter().zip(&drawn.routes) {
        for (node, point) in [(link.from, route.points.first()), (link.to, route.points.last())] {
            let (corner, point) = (drawn.corners[node], point.unwrap());
            let sides = [corner.x, corner.x + nodes[node].width];
            assert!(
                sides.iter().any(|side| (side - point.x).abs() < 0.01),
                "{point:?} of {link:?}, box {corner:?}"
            );
            assert!((corner.y + 20.0 - point.y).abs() < 0.01, "{point:?} of {link:?}, box {corner:?}");
        }
    }
}

#[test]
fn many_boxes_at_one_hub_do_not_stand_in_one_column() {
    let nodes = vec![Node { width: 160.0, height: 60.0 }; 61];
    let links: Vec<Link> =
        (1..61).map(|from| Link { from, to: 0, ports: (20.0, 20.0), label: (0.0, 0.0) }).collect();
    let drawn = layout(&nodes, &links, Reading::Flow);
    assert!(drawn.height < drawn.width * 2.5, "{} wide, {} tall", drawn.width, drawn.height);
}

#[test]
fn a_chain_reads_from_left_to_right_without_a_bend() {
    let nodes = vec![Node { width: 100.0, height: 40.0 }; 4];
    let links: Vec<Link> =
        (1..4).map(|to| Link { from: to - 1, to, ports: (20.0, 20.0), label: (0.0, 0.0) }).collect();
    let drawn = layout(&nodes, &links, Reading::Flow);
    assert!(drawn.corners.windows(2).all(|pair| pair[0].x < pair[1].x && pair[0].y == pair[1].y));
}

#[test]
fn no_band_of_a_drawing_is_empty() {
    // Two hubs, tied by one line.
    let nodes = boxes(40);
    let to = |from: usize| if from < 20 { 0 } else { 20 };
    let mut links: Vec<Link> = (0..40)
        .filter(|from| *from != to(*from))
        .map(|from| Link { from, to: to(from), ports: (20.0, 20.0), label: (0.0, 0.0) })
        .collect();
    links.push(Link { from: 5, to: 20, ports: (30.0, 20.0), label: (0.0, 0.0) });
    let drawn = layout(&nodes, &links, Reading::Flow);
    let mut spans: Vec<(f64, f64)> =
        nodes.iter().zip(&drawn.corners).map(|(node, corner)| (corner.y, corner.y + node.height)).collect();
    spans.extend(drawn.routes.iter().flat_map(|route| &route.points).map(|point| (point.y, point.y)));
    spans.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut bottom = 0.0_f64;
    for (top, end) in spans {
        assert!(top - bottom <= GAP + LANE, "nothing between {bottom} and {top}");
        bottom = bottom.max(end);
    }
}
