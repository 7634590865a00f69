//! DOT, for who wants to lay a picture out with Graphviz.

use super::survey::{GroupKind, Survey};
use std::fmt::Write as _;

/// Services and what ties them.
pub fn dot(survey: &Survey) -> String {
    let mut text = head(survey);
    // Writing to a String cannot fail.
    for group in &survey.groups {
        let label = format!("{}\n{} tables", group.name, group.tables.len());
        let style = if group.kind == GroupKind::Rest { ", style=dashed" } else { "" };
        let size = 0.6 + (group.tables.len() as f64).sqrt() * 0.15;
        let _ = writeln!(
            text,
            "  {} [label={}, height={size:.2}{style}];",
            quoted(&group.name),
            label_of(&label)
        );
    }
    for tie in survey.ties() {
        let (from, to) = (&survey.groups[tie.from].name, &survey.groups[tie.to].name);
        let both = if tie.mutual { ", dir=both" } else { "" };
        let _ = writeln!(
            text,
            "  {} -> {} [label={}, weight={}{both}];",
            quoted(from),
            quoted(to),
            label_of(&tie.phrase()),
            tie.weight()
        );
    }
    text + "}\n"
}

/// One group's tables and their keys, those that leave it included.
pub fn dot_of(survey: &Survey, group: usize) -> String {
    let mut text = head(survey);
    let members = &survey.groups[group].tables;
    let _ = writeln!(text, "  subgraph cluster_0 {{\n    label={};", label_of(&survey.groups[group].name));
    for &table in members {
        let name = survey.tables[table].name.to_string();
        let _ = writeln!(text, "    {} [label={}];", quoted(&name), label_of(&name));
    }
    text.push_str("  }\n");
    for key in &survey.keys {
        let ends = [&survey.tables[key.from], &survey.tables[key.to]];
        if ends.iter().all(|end| end.group != group) {
            continue;
        }
        for end in ends.iter().filter(|end| end.group != group) {
            let name = end.name.to_string();
            let _ = writeln!(text, "  {} [label={}, style=dashed];", quoted(&name), label_of(&name));
        }
        let names: Vec<String> = ends.iter().map(|end| quoted(&end.name.to_string())).collect();
        let _ = writeln!(text, "  {} [label={}];", names.join(" -> "), label_of(&key.name.to_string()));
    }
    text + "}\n"
}

fn head(survey: &Survey) -> String {
    format!(
        "digraph {} {{\n  graph [rankdir=LR, fontname=\"monospace\"];\n  node [shape=box, fontname=\"monospace\"];\n  \
         edge [fontname=\"monospace\"];\n",
        quoted(&survey.database)
    )
}

/// A name: only the quote is special in it, and a backslash before one.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace(['\n', '\r', '\0'], "\u{FFFD}"))
}

/// A label: a backslash begins an escape there, so it is doubled; a line break is one.
fn label_of(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("\"{}\"", escaped.replace(['\r', '\0'], "\u{FFFD}"))
}
