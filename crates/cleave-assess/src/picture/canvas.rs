//! SVG as text: shapes, text that is escaped and fits, and the colours of day and night.

use super::layout::Point;
use std::fmt::Write as _;

/// How a drawing is dressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// A file by itself: it brings its colours.
    File,
    /// Part of a page that brings [`colours`](super::canvas::COLOURS); the number keeps names apart on that page.
    Inline(usize),
}

/// Classes of every drawing, light and dark.
pub(crate) const COLOURS: &str = include_str!("colours.css");

/// How many colours groups are told apart by.
pub(super) const HUES: usize = 8;

/// Text for XML and HTML, in contents and in attributes. Characters that XML cannot hold become U+FFFD.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\u{FFFE}' | '\u{FFFF}' => escaped.push('\u{FFFD}'),
            // A line break in a name would break the line of the drawing, and says nothing there.
            control if control.is_control() => escaped.push('\u{FFFD}'),
            other => escaped.push(other),
        }
    }
    escaped
}

/// Text in several lines, for a title: line breaks are kept.
pub(super) fn escape_lines(lines: &[String]) -> String {
    lines.iter().map(|line| escape(line)).collect::<Vec<_>>().join("\n")
}

/// Cells that a character takes in a fixed-width font: two for those of East Asian scripts and pictographs.
fn cells(character: char) -> usize {
    match u32::from(character) {
        0x0300..=0x036F | 0x200B..=0x200F => 0,
        0x1100..=0x115F
        | 0x2E80..=0xA4CF
        | 0xAC00..=0xD7A3
        | 0xF900..=0xFAFF
        | 0xFE30..=0xFE6F
        | 0xFF00..=0xFF60
        | 0xFFE0..=0xFFE6
        | 0x1F300..=0x1FAFF
        | 0x20000..=0x3FFFD => 2,
        _ => 1,
    }
}

/// Width of a text in a fixed-width font of that size; fonts differ by a few hundredths.
pub(super) fn width(text: &str, size: f64) -> f64 {
    text.chars().map(cells).sum::<usize>() as f64 * size * 0.62
}

/// The text, cut to so many cells with an ellipsis.
pub(super) fn fit(text: &str, most: usize) -> String {
    if text.chars().map(cells).sum::<usize>() <= most {
        return text.to_owned();
    }
    let mut room = most.saturating_sub(1);
    let kept = text.chars().take_while(|&character| {
        let fits = cells(character) <= room;
        room = room.saturating_sub(cells(character));
        fits
    });
    kept.chain(['…']).collect()
}

/// A drawing under construction.
pub(super) struct Canvas {
    body: String,
    style: Style,
}

impl Canvas {
    pub(super) fn new(style: Style) -> Self {
        Self { body: String::new(), style }
    }

    /// A name for an element, unique on the page.
    fn id(&self, name: &str) -> String {
        match self.style {
            Style::File => name.to_owned(),
            Style::Inline(number) => format!("p{number}-{name}"),
        }
    }

    /// Begins something that says `title` to who points at it.
    pub(super) fn open(&mut self, title: &str) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.body, "<g><title>{title}</title>");
    }

    pub(super) fn close(&mut self) {
        self.body.push_str("</g>\n");
    }

    pub(super) fn rect(&mut self, corner: Point, width: f64, height: f64, class: &str) {
        let Point { x, y } = corner;
        let _ = writeln!(
            self.body,
            "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"6\"/>"
        );
    }

    pub(super) fn rule(&mut self, from: Point, width: f64) {
        let _ = writeln!(self.body, "<path class=\"rule\" d=\"M{:.1} {:.1}h{width:.1}\"/>", from.x, from.y);
    }

    /// Text whose line's bottom stands at the point.
    pub(super) fn text(&mut self, at: Point, class: &str, text: &str) {
        let (Point { x, y }, text) = (at, escape(text));
        let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
        let _ = writeln!(self.body, "<text{class} x=\"{x:.1}\" y=\"{y:.1}\">{text}</text>");
    }

    /// A line as the layout says it, with heads at its ends.
    pub(super) fn route(&mut self, points: &[Point], class: &str, heads: (bool, bool)) {
        let Some(first) = points.first() else { return };
        let mut path = format!("M{:.1} {:.1}", first.x, first.y);
        for (at, point) in points.iter().enumerate().skip(1) {
            let before = points[at - 1];
            if at % 2 == 1 {
                if (before.x - point.x).abs() > 0.05 {
                    let _ = write!(path, "H{:.1}", point.x);
                }
            } else {
                let middle = f64::midpoint(before.x, point.x);
                let _ = write!(
                    path,
                    "C{middle:.1} {:.1} {middle:.1} {:.1} {:.1} {:.1}",
                    before.y, point.y, point.x, point.y
                );
            }
        }
        self.path(&path, class, heads);
    }

    /// A small loop at a box's right side.
    pub(super) fn knot(&mut self, at: Point, class: &str) {
        let path = format!("M{:.1} {:.1}c22 -10 22 18 1 12", at.x, at.y);
        self.path(&path, class, (false, true));
    }

    fn path(&mut self, path: &str, class: &str, heads: (bool, bool)) {
        let mark = |wanted: bool, place: &str| {
            if wanted { format!(" marker-{place}=\"url(#{})\"", self.id("head")) } else { String::new() }
        };
        let (start, end) = (mark(heads.0, "start"), mark(heads.1, "end"));
        let _ = writeln!(self.body, "<path class=\"{class}\" d=\"{path}\"{start}{end}/>");
    }

    /// The whole drawing. `title` and `about` are what a screen reader says.
    pub(super) fn finish(self, size: (f64, f64), title: &str, about: &str) -> String {
        const MARGIN: f64 = 16.0;
        let (width, height) = ((size.0 + 2.0 * MARGIN).ceil(), (size.1 + 2.0 * MARGIN).ceil());
        let (name, text, head) = (self.id("title"), self.id("about"), self.id("head"));
        let colours = match self.style {
            Style::File => format!("<style>\n{COLOURS}</style>\n"),
            Style::Inline(_) => String::new(),
        };
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"picture\" role=\"img\" aria-labelledby=\"{name} {text}\" \
             width=\"{width}\" height=\"{height}\" viewBox=\"{} {} {width} {height}\">\n\
             <title id=\"{name}\">{}</title>\n<desc id=\"{text}\">{}</desc>\n{colours}\
             <defs><marker id=\"{head}\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"8\" markerHeight=\"8\" \
             markerUnits=\"userSpaceOnUse\" orient=\"auto-start-reverse\"><path class=\"head\" d=\"M0 0.5L8 4L0 7.5z\"/></marker></defs>\n\
             <rect class=\"paper\" x=\"{}\" y=\"{}\" width=\"{width}\" height=\"{height}\"/>\n{}</svg>\n",
            -MARGIN,
            -MARGIN,
            escape(title),
            escape(about),
            -MARGIN,
            -MARGIN,
            self.body
        )
    }
}
