//! Which keys may stand where, by the key table.

use super::findings::{Findings, nearest};
use super::value;
use crate::keys::{self, Presence, Section};
use crate::{ErrorCode, Span};
use toml_edit::{Item, TableLike};

/// A named entry of a section, or the section itself, with its keys checked against the table.
pub(crate) struct Entry<'t> {
    pub(crate) name: &'t str,
    pub(crate) span: Span,
    pub(crate) table: &'t dyn TableLike,
}

/// Reports sections that do not exist, are missing or are not available.
pub(crate) fn check_top_level(root: &dyn TableLike, findings: &mut Findings<'_>) {
    for (name, item) in root.iter() {
        let span = key_span(root, name, item);
        match keys::section(name) {
            Some(section) if section.available => {}
            Some(section) => {
                findings
                    .report(
                        ErrorCode::NotAvailable,
                        &span,
                        format!("{} is not available in this version", section.header()),
                    )
                    .hint("this version has [databases], [services], [splits], [upgrade], [limits], [hooks], [server]");
            }
            None => unknown(name, &span, "the file", keys::SECTIONS.iter().map(|s| s.name), findings),
        }
    }
    // A file about an upgrade alone needs no services.
    let needed = |section: &&Section| {
        section.required && (section.name != "services" || root.get("upgrade").is_none())
    };
    for section in keys::SECTIONS.iter().filter(needed).filter(|section| root.get(section.name).is_none()) {
        findings
            .report(ErrorCode::MissingKey, &(0..0), format!("the file has no {}", section.header()))
            .hint(first_line(section.doc));
    }
}

/// The entries of `[name.*]`, each with its keys checked.
pub(crate) fn entries<'t>(
    root: &'t dyn TableLike,
    name: &str,
    findings: &mut Findings<'_>,
) -> Vec<Entry<'t>> {
    let (Some(section), Some(item)) = (keys::section(name), root.get(name)) else { return Vec::new() };
    let Some(table) = value::table(item, name, findings) else { return Vec::new() };
    let mut found = Vec::new();
    for (entry, item) in table.iter() {
        let span = key_span(table, entry, item);
        let path = format!("{name}.{entry}");
        if let Some(table) = value::table(item, &path, findings) {
            check_keys(section, table, &format!("[{path}]"), &span, findings);
            found.push(Entry { name: entry, span, table });
        }
    }
    found
}

/// The section `[name]` itself, with its keys checked.
pub(crate) fn single<'t>(
    root: &'t dyn TableLike,
    name: &str,
    findings: &mut Findings<'_>,
) -> Option<&'t dyn TableLike> {
    let (section, item) = (keys::section(name)?, root.get(name)?);
    let table = value::table(item, name, findings)?;
    let span = key_span(root, name, item);
    check_keys(section, table, &format!("[{name}]"), &span, findings);
    Some(table)
}

/// The place of a key; of its value where the parser kept none.
pub(crate) fn key_span(table: &dyn TableLike, name: &str, item: &Item) -> Span {
    let key = table.get_key_value(name).and_then(|(key, _)| key.span());
    key.unwrap_or_else(|| value::span(item))
}

fn check_keys(
    section: &'static Section,
    table: &dyn TableLike,
    place: &str,
    place_span: &Span,
    findings: &mut Findings<'_>,
) {
    let known = || section.keys.iter().map(|key| key.name);
    // A required key that was only misspelt is one error, not two.
    let mut misspelt = Vec::new();
    for (name, item) in table.iter() {
        if !known().any(|key| key == name) {
            unknown(name, &key_span(table, name, item), place, known(), findings);
            misspelt.extend(nearest(name, known()));
        }
    }
    for key in section.keys {
        let missing = matches!(key.presence, Presence::Required) && table.get(key.name).is_none();
        if missing && !misspelt.contains(&key.name) {
            findings
                .report(ErrorCode::MissingKey, place_span, format!("{place} has no `{}`", key.name))
                .label("here")
                .hint(first_line(key.doc));
        }
    }
}

pub(super) fn unknown<'n>(
    name: &str,
    span: &Span,
    place: &str,
    known: impl Iterator<Item = &'n str> + Clone,
    findings: &mut Findings<'_>,
) {
    let hint = match nearest(name, known.clone()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("it takes {}", known.map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ")),
    };
    findings.report(ErrorCode::UnknownKey, span, format!("{place} has no key `{name}`")).hint(hint);
}

/// The first sentence of a key's description, as a hint begins: in lower case.
fn first_line(doc: &str) -> String {
    let sentence = doc.split_inclusive(". ").next().unwrap_or(doc).trim_end().trim_end_matches('.');
    let mut chars = sentence.chars();
    chars.next().map(|first| first.to_lowercase().chain(chars).collect()).unwrap_or_default()
}
