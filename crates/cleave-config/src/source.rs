//! The text of a configuration file and places in it.

use std::ops::Range;

/// A range of bytes in the source.
pub type Span = Range<usize>;

/// A value and where it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// The bytes it was read from.
    pub span: Span,
}

/// A file's name, as messages show it, and its text.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// The name in messages: `cleave.toml`.
    pub file: &'a str,
    /// The whole text.
    pub text: &'a str,
}

/// One line of the source with a part of it marked. Passwords in the line are masked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excerpt {
    /// The line's number, from 1.
    pub line: usize,
    /// The marked part's first character, from 1.
    pub column: usize,
    /// How many characters are marked, at least 1.
    pub length: usize,
    /// The whole line, without its end.
    pub text: String,
}

impl Source<'_> {
    /// Line and column, both from 1, of a byte; the column counts characters.
    pub fn line_column(&self, offset: usize) -> (usize, usize) {
        let before = self.text.get(..offset).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }

    /// The first line of a span, marked as far as the span reaches on that line.
    pub fn excerpt(&self, span: &Span) -> Excerpt {
        let (line, column) = self.line_column(span.start);
        let text = self.text.lines().nth(line - 1).unwrap_or_default();
        let marked = self.text.get(span.clone()).unwrap_or_default();
        let length = marked.lines().next().unwrap_or_default().chars().count().max(1);
        Excerpt { line, column, length, text: mask_passwords(text) }
    }
}

/// Replaces each character of a password in a connection string by `*`, so that columns stay where they were.
fn mask_passwords(line: &str) -> String {
    let mut masked = line.to_owned();
    for range in password_ranges(line) {
        let stars = "*".repeat(line[range.clone()].len());
        masked.replace_range(range, &stars);
    }
    masked
}

/// Where passwords stand in a connection string: `scheme://user:HERE@host`, `password=HERE`.
pub(crate) fn password_ranges(text: &str) -> Vec<Span> {
    let mut ranges = Vec::new();
    if let Some(scheme) = text.find("://") {
        let authority = scheme + 3;
        // A password may hold an unescaped `@` or `/`: the last `@` ends it. Masking too much does no harm.
        if let Some(at) = text[authority..].rfind('@')
            && let Some(colon) = text[authority..authority + at].find(':')
            && colon + 1 < at
        {
            ranges.push(authority + colon + 1..authority + at);
        }
    }
    for (key, word) in text.match_indices("password") {
        let Some(value) = text[key + word.len()..].trim_start().strip_prefix('=') else { continue };
        let value = value.trim_start();
        let start = text.len() - value.len();
        // A value in single quotes may hold spaces (libpq, section 34.1.1.1 of the manual).
        let length = match value.strip_prefix('\'') {
            Some(quoted) => quoted.find('\'').map_or(value.len(), |end| end + 2),
            None => value.find([' ', '"', '&']).unwrap_or(value.len()),
        };
        if length > 0 {
            ranges.push(start..start + length);
        }
    }
    ranges.sort_by_key(|range| range.start);
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_masked_and_columns_stay() {
        for (line, masked) in [
            (r#"url = "postgres://me:secret@db/x""#, r#"url = "postgres://me:******@db/x""#),
            (r#"url = "host=db password=abc user=me""#, r#"url = "host=db password=*** user=me""#),
            (r#"url = "postgres://me@db/x?password=abc""#, r#"url = "postgres://me@db/x?password=***""#),
            (r#"url = "password='a b' host=db""#, r#"url = "password=***** host=db""#),
            (r#"url = "postgres://me@db/x""#, r#"url = "postgres://me@db/x""#),
        ] {
            assert_eq!(mask_passwords(line), masked);
        }
    }

    #[test]
    fn columns_count_characters_not_bytes() {
        let source = Source { file: "f", text: "a\né = 1\n" };
        assert_eq!(source.line_column(5), (2, 3));
        assert_eq!(source.excerpt(&(5..6)).text, "é = 1");
    }
}
