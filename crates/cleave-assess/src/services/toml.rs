//! An alternative as `[services.*]` of a cleave.toml.

use super::{Alternative, Recommendation};
use cleave_model::{Ident, QualifiedName, ServiceName};
use std::fmt::Write as _;

/// The services as text that a cleave.toml can hold as it is, behind its `[databases]`. `home` gives the `database/schema`
/// that a service shall live in.
pub fn toml(
    recommendation: &Recommendation,
    alternative: &Alternative,
    home: impl Fn(&ServiceName) -> String,
) -> String {
    let mut text = String::new();
    for service in &alternative.services {
        let name = service.name.as_str();
        // Writing to a String cannot fail.
        let _ = writeln!(text, "[services.{name}]\nhome   = {}\ntables = [", string(&home(&service.name)));
        for placed in &service.tables {
            let table = &recommendation.tables[placed.table].name;
            let note = match alternative.unsure.iter().find(|unsure| unsure.table == placed.table) {
                Some(unsure) => {
                    let others: Vec<&str> = unsure
                        .pulls
                        .iter()
                        .filter_map(|pull| alternative.services.get(pull.service))
                        .map(|other| other.name.as_str())
                        .filter(|other| *other != name)
                        .collect();
                    let other =
                        if others.is_empty() { String::new() } else { format!("; or {}", others.join(", ")) };
                    format!("   # {:.0} % sure{other}", placed.confidence * 100.0)
                }
                None => String::new(),
            };
            let _ = writeln!(text, "    {},{note}", string(&pattern(table)));
        }
        text.push_str("]\n\n");
    }
    if !alternative.unassigned.is_empty() {
        text.push_str(
            "# Nothing ties these tables to any other: give each to a service, or leave it where it is.\n",
        );
        for table in &alternative.unassigned {
            let _ = writeln!(text, "#     {},", string(&pattern(&recommendation.tables[*table].name)));
        }
    }
    text.truncate(text.trim_end().len());
    text + "\n"
}

/// A name as `tables` takes it: quoted where it has a character that would mean something there.
fn pattern(name: &QualifiedName) -> String {
    let part = |ident: &Ident| {
        let text = ident.as_str();
        let special = |c: char| matches!(c, '.' | '"' | '*') || c.is_whitespace();
        if text.contains(special) { ident.quoted() } else { text.to_owned() }
    };
    format!("{}.{}", part(&name.schema), part(&name.name))
}

/// A basic string of TOML.
fn string(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
