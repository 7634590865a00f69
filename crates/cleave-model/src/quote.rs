//! The one place that quotes. SQL text is built from these two functions and parameters, nothing else.

/// Quotes an identifier, always: `film` becomes `"film"`, `Weird "Name"` becomes `"Weird ""Name"""`.
///
/// PostgreSQL manual, section 4.1.1, "Identifiers and Key Words".
pub fn quote_ident(ident: &str) -> String {
    let mut quoted = String::with_capacity(ident.len() + 2);
    quoted.push('"');
    for c in ident.chars() {
        if c == '"' {
            quoted.push('"');
        }
        quoted.push(c);
    }
    quoted.push('"');
    quoted
}

/// Quotes a string constant for statements that take no parameters (DDL, replication commands).
///
/// A text with a backslash becomes an `E''` constant, so that the result does not depend on
/// `standard_conforming_strings`. PostgreSQL manual, section 4.1.2.
pub fn quote_literal(text: &str) -> String {
    let escape = text.contains('\\');
    let mut quoted = String::with_capacity(text.len() + 3);
    quoted.push_str(if escape { "E'" } else { "'" });
    for c in text.chars() {
        if c == '\'' || c == '\\' {
            quoted.push(c);
        }
        quoted.push(c);
    }
    quoted.push('\'');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_always_quoted_and_inner_quotes_doubled() {
        assert_eq!(quote_ident("film"), r#""film""#);
        assert_eq!(quote_ident(r#"Weird "Name""#), r#""Weird ""Name""""#);
    }

    #[test]
    fn a_literal_with_a_backslash_does_not_depend_on_server_settings() {
        assert_eq!(quote_literal("it's"), "'it''s'");
        assert_eq!(quote_literal(r"a\'b"), r"E'a\\''b'");
    }
}
