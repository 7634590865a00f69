//! Takes the options that the driver does not know out of a connection string.
//!
//! Both forms of libpq (manual 34.1.1): URL, and `keyword = 'value'` pairs. What is left is for
//! `tokio_postgres::Config`, which parses hosts, credentials and the other options.

use crate::PgError;

/// Options that are ours to understand; all others go to the driver, which refuses what it does not know.
const OURS: [&str; 6] = ["sslmode", "sslrootcert", "sslcert", "sslkey", "ssl", "gssencmode"];

/// A connection string in two parts.
pub(super) struct Split {
    /// The text without our options.
    pub(super) rest: String,
    /// Our options in their order, decoded.
    pub(super) ours: Vec<(&'static str, String)>,
}

pub(super) fn split(text: &str) -> Result<Split, PgError> {
    if text.starts_with("postgres://") || text.starts_with("postgresql://") {
        split_url(text)
    } else {
        split_pairs(text)
    }
}

fn ours(key: &str) -> Option<&'static str> {
    OURS.into_iter().find(|known| *known == key)
}

fn invalid(reason: &str) -> PgError {
    PgError::InvalidEndpoint { reason: reason.to_owned() }
}

fn split_url(text: &str) -> Result<Split, PgError> {
    // Credentials end at the first `@` and may contain `?`.
    let after_credentials = text.find('@').map_or(0, |at| at + 1);
    let Some(mark) = text[after_credentials..].find('?') else {
        return Ok(Split { rest: text.to_owned(), ours: Vec::new() });
    };
    let (base, query) = (&text[..after_credentials + mark], &text[after_credentials + mark + 1..]);
    let mut split = Split { rest: base.to_owned(), ours: Vec::new() };
    let mut separator = '?';
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let Some((key, value)) = pair.split_once('=') else {
            return Err(invalid("an option after `?` has no value: write name=value"));
        };
        match ours(&decode(key)?) {
            Some(key) => split.ours.push((key, decode(value)?)),
            None => {
                split.rest.push(separator);
                split.rest.push_str(pair);
                separator = '&';
            }
        }
    }
    Ok(split)
}

fn decode(text: &str) -> Result<String, PgError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        if byte != b'%' {
            bytes.push(byte);
            rest = tail;
            continue;
        }
        let decoded = tail
            .get(..2)
            .filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok())
            .ok_or_else(|| invalid("a % is not followed by two hexadecimal digits: write it as %25"))?;
        bytes.push(decoded);
        rest = &tail[2..];
    }
    String::from_utf8(bytes).map_err(|_| invalid("an option is not UTF-8"))
}

fn split_pairs(text: &str) -> Result<Split, PgError> {
    let mut split = Split { rest: String::new(), ours: Vec::new() };
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let Some(equals) = rest.find('=') else {
            return Err(invalid("it is neither a postgres:// URL nor a list of name=value pairs"));
        };
        let key = rest[..equals].trim_end();
        let (value, length) = value(rest[equals + 1..].trim_start())?;
        let start = rest.len() - rest[equals + 1..].trim_start().len();
        let end = start + length;
        match ours(key) {
            Some(key) => split.ours.push((key, value)),
            None => {
                split.rest.push_str(&rest[..end]);
                split.rest.push(' ');
            }
        }
        rest = rest[end..].trim_start();
    }
    Ok(split)
}

/// Reads one value, quoted or not, and how many bytes it took.
fn value(text: &str) -> Result<(String, usize), PgError> {
    let quoted = text.starts_with('\'');
    let mut value = String::new();
    let mut chars = text.char_indices().skip(usize::from(quoted));
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some((_, escaped)) => value.push(escaped),
                None => return Err(invalid("it ends in a backslash")),
            },
            '\'' if quoted => return Ok((value, at + 1)),
            c if !quoted && c.is_whitespace() => return Ok((value, at)),
            c => value.push(c),
        }
    }
    if quoted { Err(invalid("a quoted value has no closing quote")) } else { Ok((value, text.len())) }
}

#[cfg(test)]
mod tests {
    use super::split;

    fn check(text: &str, rest: &str, ours: &[(&str, &str)]) {
        let split = split(text).unwrap();
        let found: Vec<_> = split.ours.iter().map(|(key, value)| (*key, value.as_str())).collect();
        assert_eq!((split.rest.trim_end(), found.as_slice()), (rest, ours), "{text}");
    }

    #[test]
    fn options_of_ours_are_taken_out_of_a_url() {
        check("postgres://u:p?q@h/d", "postgres://u:p?q@h/d", &[]);
        check(
            "postgres://u:p?w@h/d?sslmode=verify-full&connect_timeout=3&sslrootcert=%2Fca%20x.pem",
            "postgres://u:p?w@h/d?connect_timeout=3",
            &[("sslmode", "verify-full"), ("sslrootcert", "/ca x.pem")],
        );
    }

    #[test]
    fn options_of_ours_are_taken_out_of_keyword_value_pairs() {
        check(
            r"host=h password = 'a\'b sslmode=x' sslmode = require dbname=d sslrootcert='/a b'",
            r"host=h password = 'a\'b sslmode=x' dbname=d",
            &[("sslmode", "require"), ("sslrootcert", "/a b")],
        );
    }

    #[test]
    fn a_broken_connection_string_is_refused_without_being_repeated() {
        for bad in
            ["secret", "password='secret", "postgres://h/d?sslmode=%zz", "postgres://h?sslmode", "a=b\\"]
        {
            let error = split(bad).err().unwrap().to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
