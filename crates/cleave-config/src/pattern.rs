//! `public.film`, `public.film_*`: which tables a service claims.

use cleave_model::{Ident, QualifiedName};
use std::fmt;

/// A qualified table name in which unquoted `*` stands for any run of characters in that part.
///
/// Names are taken as the catalogs have them (case kept). Double quotes are needed only around a name that holds a
/// dot, a quote or a star.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct TablePattern {
    schema: Vec<Piece>,
    name: Vec<Piece>,
    text: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Piece {
    Text(String),
    Any,
}

/// A text that is not a qualified table name or pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidPattern {
    /// What is wrong, as a sentence's end: "has no schema".
    pub reason: &'static str,
}

impl fmt::Display for InvalidPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason)
    }
}

impl std::error::Error for InvalidPattern {}

impl TablePattern {
    /// Reads `schema.table`, either part quoted or with stars.
    pub fn parse(text: &str) -> Result<Self, InvalidPattern> {
        let parts = split(text)?;
        let [schema, name] = <[Vec<Piece>; 2]>::try_from(parts).map_err(|parts| InvalidPattern {
            reason: if parts.len() < 2 { "has no schema" } else { "has more than two parts" },
        })?;
        if schema.is_empty() || name.is_empty() {
            return Err(InvalidPattern { reason: "has an empty part" });
        }
        Ok(Self { schema, name, text: text.to_owned() })
    }

    /// The name, if there is no star in it.
    pub fn exact(&self) -> Option<QualifiedName> {
        Some(QualifiedName { schema: Ident::new(plain(&self.schema)?), name: Ident::new(plain(&self.name)?) })
    }

    /// True if the table is meant by this pattern.
    pub fn matches(&self, table: &QualifiedName) -> bool {
        piece_match(&self.schema, table.schema.as_str()) && piece_match(&self.name, table.name.as_str())
    }
}

impl fmt::Display for TablePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for TablePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TablePattern({})", self.text)
    }
}

fn split(text: &str) -> Result<Vec<Vec<Piece>>, InvalidPattern> {
    let mut parts = vec![Vec::new()];
    let mut quoted = false;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                push(&mut parts, '"');
            }
            '"' => quoted = !quoted,
            '.' if !quoted => parts.push(Vec::new()),
            '*' if !quoted => {
                if let Some(part) = parts.last_mut() {
                    part.push(Piece::Any);
                }
            }
            c if c.is_whitespace() && !quoted => return Err(InvalidPattern { reason: "has a space in it" }),
            c => push(&mut parts, c),
        }
    }
    if quoted {
        return Err(InvalidPattern { reason: "has a double quote that is not closed" });
    }
    Ok(parts)
}

fn push(parts: &mut [Vec<Piece>], c: char) {
    match parts.last_mut() {
        Some(part) => match part.last_mut() {
            Some(Piece::Text(text)) => text.push(c),
            _ => part.push(Piece::Text(c.to_string())),
        },
        None => debug_assert!(false, "split starts with one part"),
    }
}

fn plain(pieces: &[Piece]) -> Option<String> {
    match pieces {
        [Piece::Text(text)] => Some(text.clone()),
        _ => None,
    }
}

fn piece_match(pieces: &[Piece], name: &str) -> bool {
    match pieces {
        [] => name.is_empty(),
        [Piece::Text(text), rest @ ..] => {
            name.strip_prefix(text.as_str()).is_some_and(|name| piece_match(rest, name))
        }
        [Piece::Any] => true,
        [Piece::Any, rest @ ..] => {
            let mut starts = name.char_indices().map(|(at, _)| at).chain([name.len()]);
            starts.any(|at| piece_match(rest, &name[at..]))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_match_any_run_and_quotes_take_dots_and_stars_literally() {
        for (pattern, schema, name, expected) in [
            ("public.film", "public", "film", true),
            ("public.film", "public", "films", false),
            ("public.film_*", "public", "film_actor", true),
            ("public.film_*", "public", "film", false),
            ("*.f*m", "shop", "film", true),
            ("public.*", "public", "anything", true),
            ("public.\"a.b*\"", "public", "a.b*", true),
            ("public.\"a.b*\"", "public", "a.bc", false),
            ("public.Order", "public", "order", false),
            ("public.\"a\"\"b\"", "public", "a\"b", true),
        ] {
            let pattern = TablePattern::parse(pattern).unwrap();
            assert_eq!(
                pattern.matches(&QualifiedName::new(schema, name)),
                expected,
                "{pattern} {schema}.{name}"
            );
        }
    }

    #[test]
    fn only_a_pattern_without_a_star_is_exact() {
        let exact = TablePattern::parse("public.\"Order\"").unwrap().exact();
        assert_eq!(exact, Some(QualifiedName::new("public", "Order")));
        assert_eq!(TablePattern::parse("public.film_*").unwrap().exact(), None);
    }

    #[test]
    fn a_name_without_a_schema_or_with_three_parts_is_refused() {
        for bad in ["film", "", ".film", "public.", "db.public.film", "public.\"film", "public.fi lm"] {
            assert!(TablePattern::parse(bad).is_err(), "{bad}");
        }
    }
}
