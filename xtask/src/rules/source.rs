//! A Rust file as the rules see it: which lines are production code, and the code with comments and texts blanked out.
//!
//! This is no parser. It knows comments, string and character literals, and items under `#[cfg(test)]`: enough that a
//! rule looking for `std::fs` does not stumble over a comment that says why there is none.

/// One line of a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// Counts from one.
    pub(crate) number: usize,
    /// The line without comments and without the contents of literals.
    pub(crate) code: String,
    /// The line as it stands.
    pub(crate) text: String,
}

/// The production part of a file.
#[derive(Debug)]
pub(crate) struct Source {
    lines: Vec<Line>,
}

impl Source {
    /// Leaves out every item under `#[cfg(test)]`.
    pub(crate) fn parse(text: &str) -> Source {
        let masked = mask(text);
        let tests = test_items(&masked);
        let mut start = 0;
        let mut lines = Vec::new();
        for (index, (code, text)) in masked.split('\n').zip(text.split('\n')).enumerate() {
            if !tests.iter().any(|(from, to)| (*from..*to).contains(&start)) {
                lines.push(Line {
                    number: index + 1,
                    code: code.trim_end().to_owned(),
                    text: text.to_owned(),
                });
            }
            start += code.len() + 1;
        }
        Source { lines }
    }

    /// The production lines.
    pub(crate) fn lines(&self) -> impl Iterator<Item = &Line> {
        self.lines.iter()
    }

    /// How many production lines hold code: neither blank nor only a comment.
    pub(crate) fn code_lines(&self) -> usize {
        self.lines.iter().filter(|line| !line.code.trim().is_empty()).count()
    }
}

/// Replaces comments and the contents of literals by spaces; every other byte and every newline stays in its place.
pub(crate) fn mask(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        let end = at
            + match rest {
                [b'/', b'/', ..] => line_comment(rest),
                [b'/', b'*', ..] => block_comment(rest),
                [b'"', ..] => quoted(rest),
                [b'r', b'"' | b'#', ..] if !continues_a_name(bytes, at) => raw(rest),
                [b'b' | b'c', b'r', b'"' | b'#', ..] if !continues_a_name(bytes, at) => 1 + raw(&rest[1..]),
                [b'\'', ..] => character(rest),
                _ => {
                    at += 1;
                    continue;
                }
            };
        let end = end.clamp(at + 1, bytes.len());
        if end > at + 1 {
            blank(&mut out[at..end], bytes[at]);
        }
        at = end;
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Blanks a token. A literal keeps its outer bytes, so that a line that holds only a text still counts as code.
fn blank(token: &mut [u8], first: u8) {
    let keeps = usize::from(first != b'/');
    let last = token.len().saturating_sub(keeps);
    for byte in token.iter_mut().take(last).skip(keeps).filter(|byte| **byte != b'\n') {
        *byte = if keeps == 1 { b'_' } else { b' ' };
    }
}

fn continues_a_name(bytes: &[u8], at: usize) -> bool {
    at.checked_sub(1).is_some_and(|before| bytes[before].is_ascii_alphanumeric() || bytes[before] == b'_')
}

fn line_comment(rest: &[u8]) -> usize {
    rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len())
}

fn block_comment(rest: &[u8]) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < rest.len() {
        match &rest[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] if depth == 1 => return at + 2,
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    rest.len()
}

fn quoted(rest: &[u8]) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// `r"..."`, `r#"..."#`; a raw identifier (`r#type`) is one byte of code.
fn raw(rest: &[u8]) -> usize {
    let hashes = rest[1..].iter().take_while(|byte| **byte == b'#').count();
    if rest.get(1 + hashes) != Some(&b'"') {
        return 1;
    }
    let mut close = vec![b'"'];
    close.resize(1 + hashes, b'#');
    let body = 2 + hashes;
    let found = rest[body..].windows(close.len()).position(|window| window == close);
    found.map_or(rest.len(), |at| body + at + close.len())
}

/// `'x'`, `'\n'`, `'é'`; a lifetime is one byte of code.
fn character(rest: &[u8]) -> usize {
    let Some(&second) = rest.get(1) else { return 1 };
    if second == b'\\' {
        let close = rest.iter().skip(3).position(|byte| *byte == b'\'');
        return close.map_or(1, |at| at + 4);
    }
    let width = match second {
        0xF0.. => 4,
        0xE0.. => 3,
        0xC0.. => 2,
        _ => 1,
    };
    if rest.get(1 + width) == Some(&b'\'') { 2 + width } else { 1 }
}

/// The byte ranges of items under `#[cfg(test)]`: to the closing brace, or to the semicolon if none opens before.
fn test_items(masked: &str) -> Vec<(usize, usize)> {
    masked
        .match_indices("#[cfg(test)]")
        .map(|(from, attribute)| (from, item_end(masked, from + attribute.len())))
        .collect()
}

fn item_end(masked: &str, from: usize) -> usize {
    let mut depth = 0_usize;
    for (at, byte) in masked.bytes().enumerate().skip(from) {
        match byte {
            b'{' => depth += 1,
            b'}' if depth <= 1 => return at + 1,
            b'}' => depth -= 1,
            b';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    masked.len()
}

#[cfg(test)]
mod tests {
    use super::{Source, mask};

    #[test]
    fn comments_and_the_contents_of_literals_are_blanked() {
        assert_eq!(mask("a // b\nc").trim_end(), "a     \nc");
        assert_eq!(mask("/* a /* b */ c */ d").trim_start(), "d");
        assert_eq!(mask(r#"f("std::fs", 'x', '\'', b)"#), r#"f("_______", '_', '__', b)"#);
        assert_eq!(mask("f(r#\"a\"b\"#)"), "f(r______#)");
        assert_eq!(mask("fn f<'a>(r#type: &'a str)"), "fn f<'a>(r#type: &'a str)");
        assert_eq!(mask("'é' é"), "'__' é");
    }

    #[test]
    fn items_under_cfg_test_are_no_production_code() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() { if x {} }\n}\nfn c() {}\n#[cfg(test)]\nuse d;\nuse e;";
        let source = Source::parse(text);
        let numbers: Vec<usize> = source.lines().map(|line| line.number).collect();
        assert_eq!(numbers, [1, 6, 9]);
    }

    #[test]
    fn blank_lines_and_comments_are_not_counted_as_code() {
        assert_eq!(
            Source::parse("//! Says.\n\nfn a() {\n    // why\n    b(\"x\") // so\n}\n").code_lines(),
            3
        );
    }
}
