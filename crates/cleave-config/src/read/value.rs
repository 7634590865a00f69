//! Single values: the TOML type is checked here, the meaning by the given parser.

use super::findings::{Findings, nearest};
use crate::keys::Choice;
use crate::{DatabaseName, ErrorCode, Home, Span, Spanned};
use cleave_model::Ident;
use toml_edit::{Item, TableLike};

/// The place of a value; 0 only for values made by programs, which never come here.
pub(crate) fn span(item: &Item) -> Span {
    item.span().unwrap_or(0..0)
}

/// "a string", "an array", for messages.
fn type_of(item: &Item) -> &'static str {
    match item.type_name() {
        "string" => "a string",
        "integer" => "a whole number",
        "float" => "a number",
        "boolean" => "true or false",
        "datetime" => "a date",
        "array" => "an array",
        "array of tables" => "an array of tables",
        "table" | "inline table" => "a table",
        _ => "nothing",
    }
}

pub(crate) fn wrong_type(item: &Item, key: &str, expected: &str, findings: &mut Findings<'_>) {
    findings
        .report(ErrorCode::WrongType, &span(item), format!("`{key}` takes {expected}"))
        .label(format!("this is {}", type_of(item)));
}

pub(crate) fn text(item: &Item, key: &str, findings: &mut Findings<'_>) -> Option<Spanned<String>> {
    match item.as_str() {
        Some(text) => Some(Spanned { value: text.to_owned(), span: span(item) }),
        None => {
            wrong_type(item, key, "a string", findings);
            None
        }
    }
}

pub(crate) fn table<'t>(item: &'t Item, key: &str, findings: &mut Findings<'_>) -> Option<&'t dyn TableLike> {
    let table = item.as_table_like();
    if table.is_none() {
        wrong_type(item, key, "a table", findings);
    }
    table
}

/// An array of strings. Elements of another type are reported and left out.
pub(crate) fn texts(item: &Item, key: &str, findings: &mut Findings<'_>) -> Vec<Spanned<String>> {
    let Some(array) = item.as_array() else {
        wrong_type(item, key, "an array of strings", findings);
        return Vec::new();
    };
    let mut found = Vec::new();
    for element in array {
        let place = element.span().unwrap_or(0..0);
        match element.as_str() {
            Some(text) => found.push(Spanned { value: text.to_owned(), span: place }),
            None => {
                findings
                    .report(ErrorCode::WrongType, &place, format!("`{key}` takes an array of strings"))
                    .label("this is no string");
            }
        }
    }
    found
}

/// A string that a parser reads; the parser's error text goes to the label. `expected` names the kind of value, as in
/// "a duration in quotes".
pub(crate) fn parsed<T, E: std::fmt::Display>(
    item: &Item,
    key: &str,
    expected: &str,
    parse: impl Fn(&str) -> Result<T, E>,
    findings: &mut Findings<'_>,
) -> Option<T> {
    let Some(text) = item.as_str() else {
        wrong_type(item, key, expected, findings);
        return None;
    };
    match parse(text) {
        Ok(value) => Some(value),
        Err(error) => {
            findings
                .report(ErrorCode::InvalidValue, &span(item), format!("`{key}` cannot be read"))
                .label(error.to_string());
            None
        }
    }
}

/// One of the choices, if this version has it.
pub(crate) fn choice(
    item: &Item,
    key: &str,
    choices: &'static [Choice],
    findings: &mut Findings<'_>,
) -> Option<Spanned<&'static str>> {
    let text = text(item, key, findings)?;
    match choices.iter().find(|choice| choice.value == text.value) {
        Some(choice) => Some(Spanned { value: choice.value, span: text.span }),
        None => {
            let hint = match nearest(&text.value, choices.iter().map(|choice| choice.value)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("it takes {}", listed(choices.iter())),
            };
            findings
                .report(
                    ErrorCode::InvalidValue,
                    &text.span,
                    format!("`{key}` has no choice `{}`", text.value),
                )
                .hint(hint);
            None
        }
    }
}

fn listed<'c>(choices: impl Iterator<Item = &'c Choice>) -> String {
    choices.map(|choice| format!("`{}`", choice.value)).collect::<Vec<_>>().join(", ")
}

/// A name of `[databases]`.
pub(crate) fn database(
    text: &Spanned<String>,
    known: &[crate::Database],
    findings: &mut Findings<'_>,
) -> Option<DatabaseName> {
    if let Some(database) = known.iter().find(|database| database.name.as_str() == text.value) {
        return Some(database.name.clone());
    }
    let message = format!("`{}` is not a database of this file", text.value);
    let hint = match nearest(&text.value, known.iter().map(|database| database.name.as_str())) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("add `{} = {{ url = \"env:...\" }}` to [databases]", text.value),
    };
    findings.report(ErrorCode::UnknownName, &text.span, message).hint(hint);
    None
}

/// `database/schema`.
pub(crate) fn home(
    text: &Spanned<String>,
    key: &str,
    known: &[crate::Database],
    findings: &mut Findings<'_>,
) -> Option<Home> {
    let parts = text
        .value
        .split_once('/')
        .filter(|(database, schema)| !database.is_empty() && !schema.is_empty() && !schema.contains('/'));
    let Some((name, schema)) = parts else {
        findings
            .report(ErrorCode::InvalidValue, &text.span, format!("`{key}` is written as database/schema"))
            .hint("for example `products/films`: database `products` of [databases], schema `films` in it");
        return None;
    };
    if schema.len() > 63 || schema.starts_with("pg_") || schema == "information_schema" || schema == "cleave"
    {
        findings
            .report(
                ErrorCode::InvalidValue,
                &text.span,
                format!("`{schema}` cannot be the schema of `{key}`"),
            )
            .label("reserved by PostgreSQL or Cleave, or longer than 63 bytes");
        return None;
    }
    let in_quotes = text.span.start + 1;
    let place = Spanned { value: name.to_owned(), span: in_quotes..in_quotes + name.len() };
    Some(Home { database: database(&place, known, findings)?, schema: Ident::new(schema) })
}
