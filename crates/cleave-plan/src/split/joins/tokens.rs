//! The tokens of SQL text, as far as names and structure need them.

/// What a token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A word without quotes, in lower case.
    Word(String),
    /// A name in quotes, without them.
    Quoted(String),
    /// A text constant of any form.
    Text,
    /// A number or parameter.
    Number,
    /// Any other character.
    Symbol(char),
}

/// A token and the bytes it stands at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Token {
    /// The name, if the token can be one.
    pub(super) fn name(&self) -> Option<&str> {
        match &self.kind {
            Kind::Word(name) | Kind::Quoted(name) => Some(name),
            _ => None,
        }
    }

    /// True for that keyword.
    pub(super) fn is(&self, word: &str) -> bool {
        matches!(&self.kind, Kind::Word(own) if own == word)
    }

    /// True for that character.
    pub(super) fn is_symbol(&self, symbol: char) -> bool {
        self.kind == Kind::Symbol(symbol)
    }
}

/// Reads a text. Comments are left out; a text that ends inside a constant or a comment ends there.
pub(super) fn tokens(text: &str) -> Vec<Token> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let start = at;
        let kind = match bytes[at] {
            b if b.is_ascii_whitespace() => {
                at += 1;
                continue;
            }
            b'-' if bytes.get(at + 1) == Some(&b'-') => {
                at = text[at..].find('\n').map_or(bytes.len(), |end| at + end);
                continue;
            }
            b'/' if bytes.get(at + 1) == Some(&b'*') => {
                at = comment(bytes, at);
                continue;
            }
            b'\'' => {
                let escapes = start > 0 && matches!(bytes[start - 1], b'e' | b'E');
                at = quoted(bytes, at, b'\'', escapes);
                Kind::Text
            }
            b'"' => {
                at = quoted(bytes, at, b'"', false);
                let inner = text.get(start + 1..at.saturating_sub(1)).unwrap_or_default();
                Kind::Quoted(inner.replace("\"\"", "\""))
            }
            b'$' => match dollar(text, at) {
                Some(end) => {
                    at = end;
                    Kind::Text
                }
                None => {
                    at = word_end(text, at + 1);
                    Kind::Number
                }
            },
            b if b.is_ascii_digit() => {
                at = word_end(text, at);
                Kind::Number
            }
            b if b.is_ascii_alphabetic() || b == b'_' || b >= 0x80 => {
                at = word_end(text, at);
                Kind::Word(text[start..at].to_lowercase())
            }
            b => {
                at += 1;
                Kind::Symbol(char::from(b))
            }
        };
        found.push(Token { kind, start, end: at });
    }
    found
}

fn word_end(text: &str, from: usize) -> usize {
    let rest = &text[from..];
    rest.find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '$'))).map_or(text.len(), |end| from + end)
}

/// Comments nest.
fn comment(bytes: &[u8], from: usize) -> usize {
    let (mut depth, mut at) = (0_usize, from);
    while at < bytes.len() {
        match (bytes[at], bytes.get(at + 1)) {
            (b'/', Some(b'*')) => {
                depth += 1;
                at += 2;
            }
            (b'*', Some(b'/')) => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    at
}

fn quoted(bytes: &[u8], from: usize, quote: u8, escapes: bool) -> usize {
    let mut at = from + 1;
    while at < bytes.len() {
        if escapes && bytes[at] == b'\\' {
            at += 2;
        } else if bytes[at] != quote {
            at += 1;
        } else if bytes.get(at + 1) == Some(&quote) {
            at += 2;
        } else {
            return at + 1;
        }
    }
    bytes.len()
}

/// The end of `$tag$ ... $tag$`.
fn dollar(text: &str, from: usize) -> Option<usize> {
    let tag_end = text[from + 1..].find('$')? + from + 2;
    let tag = &text[from..tag_end];
    let inner = &tag[1..tag.len() - 1];
    let is_tag = inner.chars().all(|c| c.is_alphanumeric() || c == '_')
        && !inner.starts_with(|c: char| c.is_ascii_digit());
    if !is_tag {
        return None;
    }
    Some(text[tag_end..].find(tag).map_or(text.len(), |end| tag_end + end + tag.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        tokens(text).iter().map(|token| text[token.start..token.end].to_owned()).collect()
    }

    #[test]
    fn names_constants_and_comments_are_told_apart() {
        assert_eq!(
            words("select \"a \"\"b\", 'it''s', $$x ' y$$, $1 -- from t\n/* from /* t */ */ from t"),
            ["select", "\"a \"\"b\"", ",", "'it''s'", ",", "$$x ' y$$", ",", "$1", "from", "t"]
        );
        assert_eq!(tokens("\"a \"\"b\"")[0].kind, Kind::Quoted("a \"b".to_owned()));
        assert_eq!(tokens("'never ends").len(), 1);
        assert_eq!(tokens("/* never ends").len(), 0);
    }
}
