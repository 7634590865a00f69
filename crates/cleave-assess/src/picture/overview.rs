//! The first picture: services as boxes, and between them what crosses.

use super::canvas::{Canvas, HUES, Style, escape_lines, fit, width};
use super::layout::{self, Layout, Link, Node, Point, Reading};
use super::survey::{Group, GroupKind, Survey, Tie};
use cleave_model::{format_bytes, format_count};

/// Tables that a box names; a larger one grows by the root of what it leaves out.
const NAMED: usize = 8;
/// Lines with words up to so many; with a number alone above.
const WORDED_TIES: usize = 40;
/// So many groups are read from left to right, and all their ties are drawn.
const FLOW_GROUPS: usize = 10;
const ROW: f64 = 16.0;
const HEAD: f64 = 50.0;
const NAME_CELLS: usize = 40;

/// Services, or groups where there are no services, and what ties them.
pub fn overview(survey: &Survey, style: Style) -> String {
    let ties = survey.ties();
    let flows = survey.groups.len() <= FLOW_GROUPS;
    let shown: Vec<&Tie> = if flows { ties.iter().collect() } else { strongest(&ties, survey.groups.len()) };
    let label = |tie: &Tie| {
        if shown.len() <= WORDED_TIES { tie.phrase() } else { format_count(tie.weight() as u64) }
    };
    let boxes: Vec<Face> = (0..survey.groups.len()).map(|group| face(survey, group)).collect();
    let nodes: Vec<Node> = boxes.iter().map(|face| Node { width: face.width, height: face.height }).collect();
    let links: Vec<Link> = shown
        .iter()
        .map(|tie| Link {
            from: tie.from,
            to: tie.to,
            ports: (boxes[tie.from].height / 2.0, boxes[tie.to].height / 2.0),
            label: (width(&label(tie), 11.0) + 14.0, 20.0),
        })
        .collect();
    let links = fan_out(links, &boxes);
    let drawn =
        if flows { readable(&nodes, &links) } else { layout::layout(&nodes, &links, Reading::Compact) };
    let heaviest = shown.iter().map(|tie| tie.weight()).max().unwrap_or(0);
    let mut canvas = Canvas::new(style);
    for (tie, route) in shown.iter().zip(&drawn.routes) {
        canvas.open(&escape_lines(&told(survey, tie)));
        canvas.route(&route.points, tie_class(tie, heaviest), (tie.mutual, true));
        canvas.close();
    }
    for (at, (face, corner)) in boxes.iter().zip(&drawn.corners).enumerate() {
        draw(&mut canvas, survey, at, face, *corner);
    }
    // Labels last: no line runs over them.
    for ((tie, link), route) in shown.iter().zip(&links).zip(&drawn.routes) {
        if let Some(centre) = route.label {
            let corner = Point { x: centre.x - link.label.0 / 2.0, y: centre.y - link.label.1 / 2.0 };
            canvas.open(&escape_lines(&told(survey, tie)));
            canvas.rect(corner, link.label.0, link.label.1, "plate");
            canvas.text(Point { x: centre.x, y: centre.y + 4.0 }, "label", &label(tie));
            canvas.close();
        }
    }
    let mut size = (drawn.width, drawn.height);
    if ties.len() > shown.len() {
        let left = ties.len() - shown.len();
        let note = format!("{left} weaker ties are not drawn; --format json has all {}", ties.len());
        size = (size.0.max(width(&note, 11.0)), size.1 + 28.0);
        canvas.text(Point { x: 0.0, y: size.1 - 4.0 }, "soft", &note);
    }
    let title = format!("{}: {}", survey.database, counted(survey));
    canvas.finish(size, &title, &about(survey, &ties))
}

/// What connects all groups that anything connects, by the strongest ties, and as many of the others as a reader can
/// tell apart; the strongest first.
fn strongest(ties: &[Tie], groups: usize) -> Vec<&Tie> {
    let mut parts: Vec<usize> = (0..groups).collect();
    let mut chosen = vec![false; ties.len()];
    for (at, tie) in ties.iter().enumerate() {
        let (one, other) = (parts[tie.from], parts[tie.to]);
        if one != other {
            parts.iter_mut().filter(|part| **part == other).for_each(|part| *part = one);
            chosen[at] = true;
        }
    }
    let needed = chosen.iter().filter(|chosen| **chosen).count();
    let mut room = (groups * 3 / 2).saturating_sub(needed);
    for chosen in &mut chosen {
        if room > 0 && !*chosen {
            (*chosen, room) = (true, room - 1);
        }
    }
    ties.iter().zip(chosen).filter_map(|(tie, chosen)| chosen.then_some(tie)).collect()
}

/// Lines that leave one box on the same side start one below the other, in the order they were given.
fn fan_out(mut links: Vec<Link>, boxes: &[Face]) -> Vec<Link> {
    let mut ends = vec![(0_usize, 0_usize); boxes.len()];
    for link in &links {
        ends[link.from].0 += 1;
        ends[link.to].1 += 1;
    }
    let mut used = vec![(0_usize, 0_usize); boxes.len()];
    let place = |height: f64, at: usize, all: usize| {
        let room = (height - 24.0).min(all as f64 * 14.0);
        height / 2.0 - room / 2.0 + room * (at as f64 + 0.5) / all as f64
    };
    for link in &mut links {
        let (out, into) = (&mut used[link.from].0, ends[link.from].0);
        link.ports.0 = place(boxes[link.from].height, *out, into);
        *out += 1;
        let (out, into) = (&mut used[link.to].1, ends[link.to].1);
        link.ports.1 = place(boxes[link.to].height, *out, into);
        *out += 1;
    }
    links
}

/// A group's box before it has a place.
struct Face {
    name: String,
    facts: String,
    rows: Vec<String>,
    width: f64,
    height: f64,
}

fn face(survey: &Survey, group: usize) -> Face {
    let Group { name, tables, .. } = &survey.groups[group];
    let (rows, bytes) = survey.size_of(group);
    let noun = if tables.len() == 1 { "table" } else { "tables" };
    let facts = format!("{} {noun}, {} rows, {}", tables.len(), format_count(rows), format_bytes(bytes));
    let schema = tables.first().map(|&table| &survey.tables[table].name.schema);
    let one_schema = tables.iter().all(|&table| Some(&survey.tables[table].name.schema) == schema);
    let mut lines: Vec<String> = by_keys(survey, tables)
        .into_iter()
        .take(NAMED)
        .map(|table| {
            let name = &survey.tables[table].name;
            fit(&if one_schema { name.name.to_string() } else { name.to_string() }, NAME_CELLS)
        })
        .collect();
    let left = tables.len().saturating_sub(NAMED);
    if left > 0 {
        lines.push(format!("and {left} more"));
    }
    let name = fit(name, NAME_CELLS);
    let widths = lines.iter().map(|line| width(line, 12.0)).chain([width(&name, 15.0), width(&facts, 11.0)]);
    let width = widths.fold(0.0, f64::max) + 28.0;
    let grown = (left as f64).sqrt() * 6.0;
    let height = HEAD + lines.len() as f64 * ROW + 12.0 + grown;
    Face { name, facts, rows: lines, width: width + grown, height }
}

/// Tables with most keys first: they tell what the group is about.
fn by_keys(survey: &Survey, tables: &[usize]) -> Vec<usize> {
    let ends = survey.keys.iter().flat_map(|key| [key.from, key.to]);
    let mut degree = vec![0_usize; survey.tables.len()];
    ends.for_each(|end| degree[end] += 1);
    let mut sorted = tables.to_vec();
    sorted.sort_by_key(|&table| (std::cmp::Reverse(degree[table]), table));
    sorted
}

fn draw(canvas: &mut Canvas, survey: &Survey, group: usize, face: &Face, corner: Point) {
    let kind = survey.groups[group].kind;
    let whole = survey.groups[group].name.clone();
    canvas.open(&escape_lines(&[whole, face.facts.clone()]));
    let class = if kind == GroupKind::Rest { "box away" } else { "box" };
    canvas.rect(corner, face.width, face.height, class);
    canvas.rect(corner, 6.0, face.height, &format!("bar {}", hue(survey, group)));
    let at = |x: f64, y: f64| Point { x: corner.x + x, y: corner.y + y };
    canvas.text(at(16.0, 22.0), "service", &face.name);
    canvas.text(at(16.0, 39.0), "soft", &face.facts);
    canvas.rule(at(6.0, HEAD - 2.0), face.width - 6.0);
    for (row, line) in face.rows.iter().enumerate() {
        let class = if row == NAMED { "soft" } else { "" };
        canvas.text(at(16.0, HEAD + 14.0 + row as f64 * ROW), class, line);
    }
    canvas.close();
}

/// The class of a group's colour.
pub(super) fn hue(survey: &Survey, group: usize) -> String {
    match survey.groups[group].kind {
        GroupKind::Rest => "none".to_owned(),
        _ => format!("h{}", group % HUES),
    }
}

/// Thicker where more crosses, compared with the most that crosses anywhere.
fn tie_class(tie: &Tie, heaviest: usize) -> &'static str {
    match tie.weight() * 3 / heaviest.max(3) {
        0 => "tie",
        1 => "tie w2",
        _ => "tie w3",
    }
}

/// From left to right, unless that makes a strip that no screen shows at once.
fn readable(nodes: &[Node], links: &[Link]) -> Layout {
    const STRIP: f64 = 3.0;
    const SCREEN: f64 = 1500.0;
    let flow = layout::layout(nodes, links, Reading::Flow);
    if flow.width < SCREEN || flow.width < flow.height * STRIP {
        return flow;
    }
    let compact = layout::layout(nodes, links, Reading::Compact);
    if compact.width < flow.width { compact } else { flow }
}

/// What a line stands for, for who points at it.
fn told(survey: &Survey, tie: &Tie) -> Vec<String> {
    const OBJECTS_MAX: usize = 30;
    let (from, to) = (&survey.groups[tie.from].name, &survey.groups[tie.to].name);
    let mut lines = vec![format!("{from} and {to}: {}", tie.phrase())];
    lines.extend(tie.objects.iter().take(OBJECTS_MAX).cloned());
    if tie.objects.len() > OBJECTS_MAX {
        lines.push(format!("and {} more", tie.objects.len() - OBJECTS_MAX));
    }
    lines
}

fn counted(survey: &Survey) -> String {
    let services = survey.groups.iter().any(|group| group.kind == GroupKind::Service);
    let noun = if services { "services" } else { "groups of tables" };
    let count = survey.groups.iter().filter(|group| group.kind != GroupKind::Rest).count();
    format!("{count} {noun} and what crosses between them")
}

/// The picture in sentences.
fn about(survey: &Survey, ties: &[Tie]) -> String {
    let group = |group: &Group| {
        let noun = if group.tables.len() == 1 { "table" } else { "tables" };
        format!("{} has {} {noun}", group.name, group.tables.len())
    };
    let mut sentences: Vec<String> = survey.groups.iter().map(group).collect();
    sentences.extend(ties.iter().map(|tie| {
        format!("{} and {} share {}", survey.groups[tie.from].name, survey.groups[tie.to].name, tie.phrase())
    }));
    sentences.join(". ") + "."
}
