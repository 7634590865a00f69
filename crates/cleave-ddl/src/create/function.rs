//! Functions, procedures and aggregates.

use super::target::Script;
use crate::text::split_schema;
use cleave_model::catalog::{Function, FunctionKind};
use cleave_model::{Ident, quote_ident};

/// Writes the function where its schema lands. A function with a text body gets a `search_path`: it was written for
/// sessions that find the tables by theirs, and sessions of a bridge have `pg_catalog` alone.
pub(super) fn create(script: &mut Script<'_>, function: &Function) {
    script.enter(&function.name.schema);
    let place = script.place(&function.name);
    script.push(replace_name(&function.definition, &place));
    let settable = function.kind != FunctionKind::Aggregate && function.body.is_some();
    if settable && !matches!(function.language.as_str(), "c" | "internal") {
        let path = match search_path(function) {
            None => Some(script.target.function_path(&function.name.schema)),
            Some(path) => moved_path(path, script),
        };
        if let Some(path) = path {
            let routine = routine(function.kind);
            let arguments = &function.identity_arguments;
            script.push(format!("alter {routine} {place}({arguments}) set search_path = {path}"));
        }
    }
}

/// `function`, `procedure` or `aggregate`: the word statements about it take.
pub(super) fn routine(kind: FunctionKind) -> &'static str {
    match kind {
        FunctionKind::Function | FunctionKind::Window => "function",
        FunctionKind::Procedure => "procedure",
        FunctionKind::Aggregate => "aggregate",
    }
}

/// `"schema"."name"(arguments)`, for statements about it.
pub(super) fn signature(script: &Script<'_>, function: &Function) -> String {
    let arguments = if function.kind == FunctionKind::Aggregate && function.identity_arguments.is_empty() {
        "*"
    } else {
        &function.identity_arguments
    };
    format!("{}({arguments})", script.place(&function.name))
}

/// `pg_get_functiondef` always qualifies the name: `CREATE OR REPLACE FUNCTION public.touch()`. Not replacing makes a
/// function that is there already, and may be somebody else's, an error.
fn replace_name(definition: &str, place: &str) -> String {
    let words = ["CREATE OR REPLACE FUNCTION ", "CREATE OR REPLACE PROCEDURE ", "CREATE AGGREGATE "];
    let renamed = words.iter().find_map(|words| {
        let (_, rest) = split_schema(definition.strip_prefix(words)?)?;
        let end = name_end(rest);
        Some(format!("{}{place}{}", words.replace("OR REPLACE ", ""), &rest[end..]))
    });
    renamed.unwrap_or_else(|| definition.to_owned())
}

/// Where the identifier at the front of the text ends.
fn name_end(text: &str) -> usize {
    let Some(quoted) = text.strip_prefix('"') else { return text.find('(').unwrap_or(text.len()) };
    let mut quotes = quoted.match_indices('"').map(|(at, _)| at).peekable();
    while let Some(at) = quotes.next() {
        if quotes.peek() == Some(&(at + 1)) {
            quotes.next();
        } else {
            return at + 2;
        }
    }
    text.len()
}

fn search_path(function: &Function) -> Option<&str> {
    function.settings.iter().find_map(|setting| setting.strip_prefix("search_path="))
}

/// The function's own path with the tables' new schema in place of the old one, which stays behind it if extensions
/// are found there. `None` if it does not name the old one.
fn moved_path(path: &str, script: &Script<'_>) -> Option<String> {
    let target = script.target;
    let elements = path_elements(path);
    if target.schema == target.source_schema || !elements.iter().any(|e| e == target.source_schema.as_str()) {
        return None;
    }
    let mut moved = Vec::<Ident>::new();
    for element in elements {
        if element == target.source_schema.as_str() {
            moved.push(target.schema.clone());
            moved.extend(target.extra_path.iter().cloned());
        } else {
            moved.push(Ident::new(element));
        }
    }
    let mut seen = std::collections::BTreeSet::new();
    moved.retain(|schema| seen.insert(schema.clone()));
    Some(moved.iter().map(|schema| quote_ident(schema.as_str())).collect::<Vec<_>>().join(", "))
}

/// `public, "Other Place"` as bare names.
fn path_elements(path: &str) -> Vec<String> {
    let mut elements = Vec::new();
    let mut rest = path.trim_start();
    while !rest.is_empty() {
        let end = if rest.starts_with('"') { name_end(rest) } else { rest.find(',').unwrap_or(rest.len()) };
        let raw = rest[..end].trim();
        let bare = raw.strip_prefix('"').and_then(|raw| raw.strip_suffix('"'));
        elements.push(bare.map_or_else(|| raw.to_owned(), |bare| bare.replace("\"\"", "\"")));
        rest = rest[end..].trim_start().trim_start_matches(',').trim_start();
    }
    elements
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_functions_own_name_is_replaced() {
        let renamed =
            replace_name("CREATE OR REPLACE FUNCTION public.\"a\"\"(b\"(x public.t)\n", "\"n\".\"f\"");
        assert_eq!(renamed, "CREATE FUNCTION \"n\".\"f\"(x public.t)\n");
        let renamed = replace_name("CREATE AGGREGATE \"A b\".total(integer) (sfunc = f)", "\"n\".\"total\"");
        assert_eq!(renamed, "CREATE AGGREGATE \"n\".\"total\"(integer) (sfunc = f)");
    }

    #[test]
    fn a_path_is_read_as_the_server_wrote_it() {
        assert_eq!(
            path_elements(r#"public, "Other, ""Place""", pg_temp"#),
            ["public", r#"Other, "Place""#, "pg_temp"]
        );
        assert_eq!(path_elements(r#""""#), [""]);
    }
}
