//! String constants: where their content stands, and what it says.

use std::ops::Range;

/// The place of a constant's content, if the text between the quotes is the content: no escape, no doubled quote.
pub(crate) fn plain_content(text: &str, constant: &Range<usize>) -> Option<Range<usize>> {
    let whole = text.get(constant.clone())?;
    let (open, close, escapes) = delimiters(whole)?;
    let content = whole.get(open..whole.len().checked_sub(close)?)?;
    let dollar = whole.starts_with('$');
    let escaped = content.contains('\'') || escapes && content.contains('\\');
    (dollar || !escaped).then(|| constant.start + open..constant.end - close)
}

/// What a string constant says. `None` for bit strings and for constants with Unicode escapes.
pub(crate) fn value(constant: &str) -> Option<String> {
    let (open, close, escapes) = delimiters(constant)?;
    let content = constant.get(open..constant.len().checked_sub(close)?)?;
    if constant.starts_with('$') {
        return Some(content.to_owned());
    }
    let content = content.replace("''", "'");
    if !escapes {
        return Some(content);
    }
    let mut value = String::with_capacity(content.len());
    let mut chars = content.chars();
    while let Some(c) = chars.next() {
        match (c, if c == '\\' { chars.next() } else { None }) {
            ('\\', Some('n')) => value.push('\n'),
            ('\\', Some('t')) => value.push('\t'),
            ('\\', Some('r')) => value.push('\r'),
            ('\\', Some(escaped)) => value.push(escaped),
            (c, _) => value.push(c),
        }
    }
    Some(value)
}

/// Bytes of the opening and of the closing delimiter, and whether backslashes escape.
fn delimiters(constant: &str) -> Option<(usize, usize, bool)> {
    if let Some(rest) = constant.strip_prefix('$') {
        let tag = rest.find('$')? + 2;
        return (constant.len() >= 2 * tag && constant.ends_with(&constant[..tag]))
            .then_some((tag, tag, false));
    }
    let (open, escapes) = match constant.as_bytes() {
        [b'\'', ..] => (1, false),
        [b'e' | b'E', b'\'', ..] => (2, true),
        [b'n' | b'N', b'\'', ..] => (2, false),
        _ => return None,
    };
    (constant.len() > open && constant.ends_with('\'')).then_some((open, 1, escapes))
}

#[cfg(test)]
mod tests {
    use super::{plain_content, value};

    #[test]
    fn a_constant_says_what_the_server_would_read() {
        for (constant, said) in
            [("'a''b'", "a'b"), ("$x$it's$x$", "it's"), (r"E'a\nb\'c'", "a\nb'c"), ("$$$$", ""), ("''", "")]
        {
            assert_eq!(value(constant).as_deref(), Some(said), "{constant}");
        }
        for bad in ["B'1'", "U&'x'", "'", "$x$", "film"] {
            assert_eq!(value(bad), None, "{bad}");
        }
    }

    #[test]
    fn only_content_without_escapes_has_a_place_of_its_own() {
        assert_eq!(plain_content("a 'b' c", &(2..5)), Some(3..4));
        assert_eq!(plain_content("$$it's$$", &(0..8)), Some(2..6));
        assert_eq!(plain_content("'a''b'", &(0..6)), None);
        assert_eq!(plain_content(r"E'\n'", &(0..5)), None);
    }
}
