//! The second picture: one group's tables with their keys, and what they reach outside.

use super::canvas::{Canvas, Style, escape_lines, fit, width};
use super::layout::{self, Link, Node, Point, Reading};
use super::overview::hue;
use super::survey::{DrawnTable, Key, Survey};
use super::{PAGE_TABLES, grouping};
use cleave_model::{format_bytes, format_count};
use std::collections::{BTreeMap, BTreeSet};

/// Columns that a box shows; those of keys, the rest is counted.
const COLUMNS_MAX: usize = 10;
/// Tables of other groups that one drawing shows; the rest is counted.
const OUTSIDE_MAX: usize = 24;
const HEAD: f64 = 42.0;
const ROW: f64 = 17.0;
const CELLS: usize = 44;

/// A group's tables. More than [`PAGE_TABLES`] are drawn in parts, one below the other.
pub fn tables(survey: &Survey, group: usize, style: Style) -> String {
    let members = &survey.groups[group].tables;
    let parts = if members.len() <= PAGE_TABLES {
        vec![members.clone()]
    } else {
        grouping::parts(members, &survey.keys, PAGE_TABLES)
    };
    let several = parts.len() > 1;
    let part_of: BTreeMap<usize, usize> = parts
        .iter()
        .enumerate()
        .flat_map(|(number, part)| part.iter().map(move |&table| (table, number + 1)))
        .collect();
    let mut canvas = Canvas::new(style);
    let (mut y, mut right) = (0.0, 0.0_f64);
    for (number, part) in parts.iter().enumerate() {
        if several {
            let heading =
                format!("Part {} of {}: {}", number + 1, parts.len(), counted(part.len(), "table", "tables"));
            canvas.text(Point { x: 0.0, y: y + 16.0 }, "part", &heading);
            y += 32.0;
        }
        let panel = Panel::new(survey, group, part, if several { Some(&part_of) } else { None });
        let (width, height) = panel.draw(&mut canvas, y);
        right = right.max(width);
        y += height + 44.0;
    }
    let name = &survey.groups[group].name;
    let title = format!(
        "{}: the {} of {name} and their keys",
        survey.database,
        counted(members.len(), "table", "tables")
    );
    canvas.finish((right, (y - 44.0).max(0.0)), &title, &about(survey, members))
}

fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{} {}", format_count(count as u64), if count == 1 { one } else { many })
}

fn about(survey: &Survey, members: &[usize]) -> String {
    const SENTENCES_MAX: usize = 200;
    let inside: BTreeSet<usize> = members.iter().copied().collect();
    let touching = survey.keys.iter().filter(|key| inside.contains(&key.from) || inside.contains(&key.to));
    let sentence =
        |key: &Key| format!("{} refers to {}", survey.tables[key.from].name, survey.tables[key.to].name);
    let sentences: Vec<String> = touching.map(sentence).take(SENTENCES_MAX).collect();
    if sentences.is_empty() { "No keys between these tables.".to_owned() } else { sentences.join(". ") + "." }
}

/// One drawing: tables of the group, and those outside that keys reach.
struct Panel<'s> {
    survey: &'s Survey,
    group: usize,
    own: Vec<usize>,
    outside: Vec<usize>,
    keys: Vec<&'s Key>,
    left_out: usize,
    part_of: Option<&'s BTreeMap<usize, usize>>,
}

impl<'s> Panel<'s> {
    fn new(
        survey: &'s Survey,
        group: usize,
        part: &[usize],
        part_of: Option<&'s BTreeMap<usize, usize>>,
    ) -> Self {
        let inside: BTreeSet<usize> = part.iter().copied().collect();
        let mut reached: BTreeMap<usize, usize> = BTreeMap::new();
        for key in &survey.keys {
            match (inside.contains(&key.from), inside.contains(&key.to)) {
                (true, false) => *reached.entry(key.to).or_default() += 1,
                (false, true) => *reached.entry(key.from).or_default() += 1,
                _ => {}
            }
        }
        // The most connected ones are drawn.
        let mut outside: Vec<usize> = reached.keys().copied().collect();
        outside.sort_by_key(|table| (std::cmp::Reverse(reached[table]), *table));
        let left_out = outside.len().saturating_sub(OUTSIDE_MAX);
        outside.truncate(OUTSIDE_MAX);
        outside.sort_unstable();
        let drawn: BTreeSet<usize> = inside.iter().chain(&outside).copied().collect();
        let keys = survey.keys.iter().filter(|key| {
            let ends = [key.from, key.to];
            ends.iter().all(|end| drawn.contains(end)) && ends.iter().any(|end| inside.contains(end))
        });
        Self { survey, group, own: part.to_vec(), outside, keys: keys.collect(), left_out, part_of }
    }

    /// Draws from `top` down; returns width and height.
    fn draw(&self, canvas: &mut Canvas, top: f64) -> (f64, f64) {
        let faces: Vec<Face> = self
            .own
            .iter()
            .map(|&table| self.face(table))
            .chain(self.outside.iter().map(|&table| self.outside_face(table)))
            .collect();
        let place: BTreeMap<usize, usize> =
            self.own.iter().chain(&self.outside).enumerate().map(|(at, &table)| (table, at)).collect();
        let nodes: Vec<Node> =
            faces.iter().map(|face| Node { width: face.width, height: face.height }).collect();
        let links: Vec<Link> = self
            .keys
            .iter()
            .map(|key| Link {
                from: place[&key.from],
                to: place[&key.to],
                ports: (faces[place[&key.from]].port(key.columns.first().map(|c| c.as_str())), 20.0),
                label: (0.0, 0.0),
            })
            .collect();
        let drawn = layout::layout(&nodes, &links, Reading::Flow);
        for (key, route) in self.keys.iter().zip(&drawn.routes) {
            let columns: Vec<String> = key.columns.iter().map(ToString::to_string).collect();
            let (from, to) = (&self.survey.tables[key.from], &self.survey.tables[key.to]);
            let told = format!("{} ({}) refers to {}: {}", from.name, columns.join(", "), to.name, key.name);
            canvas.open(&escape_lines(&[told]));
            if key.from == key.to {
                let at = place[&key.from];
                let corner = drawn.corners[at];
                canvas.knot(Point { x: corner.x + faces[at].width, y: corner.y + top + 12.0 }, "tie");
            } else {
                let points: Vec<Point> =
                    route.points.iter().map(|point| Point { x: point.x, y: point.y + top }).collect();
                let crosses = from.group != to.group;
                canvas.route(&points, if crosses { "tie out" } else { "tie" }, (false, true));
            }
            canvas.close();
        }
        for (face, corner) in faces.iter().zip(&drawn.corners) {
            face.draw(canvas, Point { x: corner.x, y: corner.y + top });
        }
        let mut size = (drawn.width + 14.0, drawn.height);
        if self.left_out > 0 {
            let note = format!(
                "and {} outside that keys reach",
                counted(self.left_out, "more table", "more tables")
            );
            canvas.text(Point { x: 0.0, y: top + size.1 + 22.0 }, "soft", &note);
            size = (size.0.max(width(&note, 11.0)), size.1 + 26.0);
        }
        size
    }

    fn face(&self, table: usize) -> Face {
        let table = &self.survey.tables[table];
        let schema = self.own.first().map(|&first| &self.survey.tables[first].name.schema);
        let one_schema = self.own.iter().all(|&own| Some(&self.survey.tables[own].name.schema) == schema);
        let name = if one_schema { table.name.name.to_string() } else { table.name.to_string() };
        let mut rows: Vec<(&'static str, String)> = table
            .columns
            .iter()
            .take(COLUMNS_MAX)
            .map(|column| {
                let mark = match (column.primary, column.foreign) {
                    (true, true) => "PF",
                    (true, false) => "P",
                    _ => "F",
                };
                (mark, fit(&format!("{}  {}", column.name, column.type_name), CELLS))
            })
            .collect();
        let left = table.others + table.columns.len().saturating_sub(COLUMNS_MAX);
        if left > 0 {
            rows.push(("", format!("and {}", counted(left, "more column", "more columns"))));
        }
        Face::new(&name, &facts(table), rows, table, hue(self.survey, self.group), false)
    }

    fn outside_face(&self, table: usize) -> Face {
        let drawn = &self.survey.tables[table];
        let place = match self.part_of.and_then(|parts| parts.get(&table)) {
            Some(part) => format!("in part {part}"),
            None => format!("in {}", self.survey.groups[drawn.group].name),
        };
        Face::new(
            &drawn.name.to_string(),
            &fit(&place, CELLS),
            Vec::new(),
            drawn,
            hue(self.survey, drawn.group),
            true,
        )
    }
}

fn facts(table: &DrawnTable) -> String {
    let mut facts = format!(
        "{}, {}",
        counted(usize::try_from(table.rows).unwrap_or(usize::MAX), "row", "rows"),
        format_bytes(table.bytes)
    );
    if table.partitions > 0 {
        facts.push_str(&format!(", {}", counted(table.partitions, "partition", "partitions")));
    }
    match table.remark {
        Some(remark) => remark.to_owned(),
        None => facts,
    }
}

/// A table's box before it has a place.
struct Face {
    whole: String,
    name: String,
    facts: String,
    rows: Vec<(&'static str, String)>,
    columns: Vec<String>,
    hue: String,
    outside: bool,
    width: f64,
    height: f64,
}

impl Face {
    fn new(
        name: &str,
        facts: &str,
        rows: Vec<(&'static str, String)>,
        table: &DrawnTable,
        hue: String,
        outside: bool,
    ) -> Self {
        let name = fit(name, CELLS);
        let texts = rows.iter().map(|(_, row)| width(row, 12.0) + 22.0);
        let widest = texts.chain([width(&name, 13.0), width(facts, 11.0)]).fold(0.0, f64::max);
        let height = HEAD + rows.len() as f64 * ROW + if rows.is_empty() { 0.0 } else { 10.0 };
        Self {
            whole: table.name.to_string(),
            name,
            facts: facts.to_owned(),
            rows,
            columns: table
                .columns
                .iter()
                .take(COLUMNS_MAX)
                .map(|column| column.name.as_str().to_owned())
                .collect(),
            hue,
            outside,
            width: widest + 26.0,
            height,
        }
    }

    /// Where a key of that column leaves.
    fn port(&self, column: Option<&str>) -> f64 {
        let row = column.and_then(|column| self.columns.iter().position(|own| own == column));
        match row {
            Some(row) if !self.rows.is_empty() => HEAD + 8.0 + row as f64 * ROW,
            _ => 20.0,
        }
    }

    fn draw(&self, canvas: &mut Canvas, corner: Point) {
        canvas.open(&escape_lines(&[self.whole.clone(), self.facts.clone()]));
        canvas.rect(corner, self.width, self.height, if self.outside { "box away" } else { "box" });
        canvas.rect(corner, 5.0, self.height, &format!("bar {}", self.hue));
        let at = |x: f64, y: f64| Point { x: corner.x + x, y: corner.y + y };
        canvas.text(at(14.0, 18.0), "name", &self.name);
        canvas.text(at(14.0, 33.0), "soft", &self.facts);
        if !self.rows.is_empty() {
            canvas.rule(at(5.0, HEAD - 2.0), self.width - 5.0);
        }
        for (row, (mark, text)) in self.rows.iter().enumerate() {
            let y = HEAD + 13.0 + row as f64 * ROW;
            canvas.text(at(14.0, y), "mark", mark);
            canvas.text(at(34.0, y), if mark.is_empty() { "soft" } else { "" }, text);
        }
        canvas.close();
    }
}
