//! Identifiers as a text spells them.

use crate::tree::{self, Grammar};
use cleave_model::Ident;
use squawk_parser::SyntaxKind;

/// PostgreSQL cuts identifiers to `NAMEDATALEN - 1` bytes.
const BYTES_MAX: usize = 63;

/// The identifier that a token means: folded to lower case unless it is quoted. `None` for `U&""`, whose escapes only
/// the statement's own `UESCAPE` explains, and for what is no name.
pub(crate) fn ident(token: &str) -> Option<Ident> {
    let name = if let Some(rest) = token.strip_prefix('"') {
        rest.strip_suffix('"')?.replace("\"\"", "\"")
    } else if token.starts_with(['U', 'u']) && token[1..].starts_with("&\"") {
        return None;
    } else {
        token.to_ascii_lowercase()
    };
    let mut end = name.len().min(BYTES_MAX);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    (end > 0).then(|| Ident::new(&name[..end]))
}

/// An identifier as one would write it: plain where it means itself, in quotes elsewhere.
pub(crate) fn written(name: &Ident) -> String {
    let text = name.as_str();
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let plain = text.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && text.chars().all(is_name)
        && tree::parse(text, Grammar::Sql).is_ok_and(
            |tree| matches!(tree.first_token(0), Some((SyntaxKind::IDENT, range)) if range.end == text.len()),
        );
    if plain { text.to_owned() } else { name.quoted() }
}

/// The roles and schemas of a `search_path` setting, in order; `$user` becomes the role.
pub fn parse_search_path(setting: &str, role: Option<&str>) -> Vec<Ident> {
    let setting = setting.trim();
    let mut path = Vec::new();
    let mut rest = setting;
    while !rest.is_empty() {
        let (word, after) = next_word(rest);
        rest = after.trim_start().strip_prefix(',').unwrap_or("").trim_start();
        match (word.as_str(), role) {
            ("", _) | ("$user", None) => {}
            ("$user", Some(role)) => path.push(Ident::new(role)),
            _ => path.push(Ident::new(word)),
        }
    }
    path
}

fn next_word(text: &str) -> (String, &str) {
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\''));
    let Some(quote) = quote else {
        let end = text.find(',').unwrap_or(text.len());
        return (text[..end].trim().to_ascii_lowercase(), &text[end..]);
    };
    let mut word = String::new();
    let mut chars = text[1..].char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if c != quote {
            word.push(c);
        } else if chars.peek().is_some_and(|(_, next)| *next == quote) {
            word.push(c);
            chars.next();
        } else {
            return (word, &text[1 + at + 1..]);
        }
    }
    (word, "")
}

#[cfg(test)]
mod tests {
    use super::{ident, parse_search_path, written};
    use cleave_model::Ident;

    #[test]
    fn names_are_folded_as_the_server_folds_them() {
        let long = "x".repeat(70);
        for (token, name) in
            [("Film", "film"), ("\"Film\"", "Film"), ("\"a\"\"b\"", "a\"b"), (&long, &long[..63])]
        {
            assert_eq!(ident(token), Some(Ident::new(name)), "{token}");
        }
        assert_eq!(ident("U&\"d\\0061t\""), None);
    }

    #[test]
    fn a_name_is_written_in_quotes_only_where_it_needs_them() {
        for (name, text) in
            [("film", "film"), ("order", "\"order\""), ("Film", "\"Film\""), ("a b", "\"a b\"")]
        {
            assert_eq!(written(&Ident::new(name)), text);
        }
    }

    #[test]
    fn a_search_path_is_read_with_its_quotes_and_its_user() {
        let path =
            |text: &str, role| parse_search_path(text, role).iter().map(Ident::to_string).collect::<Vec<_>>();
        assert_eq!(path("\"$user\", public", Some("ann")), ["ann", "public"]);
        assert_eq!(path("\"$user\",public", None), ["public"]);
        assert_eq!(path("Films, \"My, Schema\" , 'x'", None), ["films", "\"My, Schema\"", "x"]);
        assert_eq!(path("\"\"", None), Vec::<String>::new());
    }
}
