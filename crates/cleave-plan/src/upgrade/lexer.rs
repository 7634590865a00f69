//! Cuts the text of a dump into statements, as psql would: quotes, dollar quotes, comments, parentheses and SQL bodies
//! (`begin atomic ... end`) hide the semicolons in them.

/// A piece of a dump.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece<'t> {
    /// A comment to the end of the line that stands between statements, without the line's end.
    Comment(&'t str),
    /// A statement without its semicolon and without blanks around it.
    Statement(&'t str),
    /// A command of psql (`\restrict ...`).
    Command(&'t str),
}

/// The pieces in their order.
pub(super) fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut lexer = Lexer { text, at: 0, start: None, parentheses: 0, body: Body::default() };
    let mut pieces = Vec::new();
    while let Some(piece) = lexer.next_piece() {
        pieces.push(piece);
    }
    pieces
}

/// How deep in an SQL body the lexer is.
#[derive(Default)]
struct Body {
    /// Words since the statement began, up to the fourth: `create or replace function`.
    words: Vec<String>,
    depth: u32,
}

impl Body {
    /// Takes a bare word of a statement.
    fn word(&mut self, word: &str) {
        let word = word.to_ascii_lowercase();
        if self.makes_a_routine() {
            match word.as_str() {
                "begin" => self.depth += 1,
                "case" if self.depth > 0 => self.depth += 1,
                "end" => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
        }
        if self.words.len() < 4 {
            self.words.push(word);
        }
    }

    fn makes_a_routine(&self) -> bool {
        let words: Vec<&str> = self.words.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["create", "or", "replace", kind, ..] | ["create", kind, ..] => {
                matches!(*kind, "function" | "procedure")
            }
            _ => false,
        }
    }
}

struct Lexer<'t> {
    text: &'t str,
    at: usize,
    /// Where the statement began that is being read.
    start: Option<usize>,
    parentheses: u32,
    body: Body,
}

impl<'t> Lexer<'t> {
    fn next_piece(&mut self) -> Option<Piece<'t>> {
        while let Some(byte) = self.byte(0) {
            match (byte, self.byte(1)) {
                (b'-', Some(b'-')) => {
                    let line = self.line();
                    if self.start.is_none() {
                        return Some(Piece::Comment(line));
                    }
                }
                (b'/', Some(b'*')) => self.block_comment(),
                (b'\\', _) if self.start.is_none() => return Some(Piece::Command(self.line())),
                (b';', _) if self.parentheses == 0 && self.body.depth == 0 => {
                    let end = self.at;
                    self.at += 1;
                    if let Some(start) = self.start.take() {
                        self.body = Body::default();
                        return Some(Piece::Statement(self.text[start..end].trim_end()));
                    }
                }
                _ if byte.is_ascii_whitespace() => self.at += 1,
                _ => self.inside(byte),
            }
        }
        // A dump ends with a semicolon; what does not is handed out for the server to refuse.
        let start = self.start.take()?;
        Some(Piece::Statement(self.text[start..].trim_end()))
    }

    /// One token of a statement.
    fn inside(&mut self, byte: u8) {
        self.start.get_or_insert(self.at);
        match byte {
            b'\'' => self.quoted(b'\'', false),
            b'"' => self.quoted(b'"', false),
            b'$' => self.dollar(),
            b'(' => {
                self.parentheses += 1;
                self.at += 1;
            }
            b')' => {
                self.parentheses = self.parentheses.saturating_sub(1);
                self.at += 1;
            }
            _ if is_word(byte) => self.word(),
            _ => self.at += 1,
        }
    }

    fn byte(&self, ahead: usize) -> Option<u8> {
        self.text.as_bytes().get(self.at + ahead).copied()
    }

    fn line(&mut self) -> &'t str {
        let rest = &self.text[self.at..];
        let line = rest.split('\n').next().unwrap_or(rest);
        self.at += line.len();
        line
    }

    fn block_comment(&mut self) {
        let mut depth = 0_u32;
        while let Some(byte) = self.byte(0) {
            match (byte, self.byte(1)) {
                (b'/', Some(b'*')) => {
                    depth += 1;
                    self.at += 2;
                }
                (b'*', Some(b'/')) => {
                    depth -= 1;
                    self.at += 2;
                    if depth == 0 {
                        return;
                    }
                }
                _ => self.at += 1,
            }
        }
    }

    /// To the closing quote; a doubled one reads as two texts side by side, which comes to the same.
    fn quoted(&mut self, quote: u8, with_escapes: bool) {
        self.at += 1;
        while let Some(byte) = self.byte(0) {
            self.at += 1;
            if byte == b'\\' && with_escapes {
                self.at += 1;
            } else if byte == quote {
                return;
            }
        }
    }

    /// `$tag$ ... $tag$`, or a parameter's number.
    fn dollar(&mut self) {
        let rest = &self.text[self.at..];
        let end = rest[1..].bytes().position(|byte| !is_word(byte) || byte == b'$');
        let tag = match end {
            Some(end) if rest.as_bytes()[end + 1] == b'$' => &rest[..end + 2],
            _ => {
                self.at += 1;
                return;
            }
        };
        let after = self.at + tag.len();
        self.at = self.text[after..].find(tag).map_or(self.text.len(), |found| after + found + tag.len());
    }

    fn word(&mut self) {
        let rest = &self.text[self.at..];
        let length = rest.bytes().position(|byte| !is_word(byte)).unwrap_or(rest.len());
        let word = &rest[..length];
        self.at += length;
        if word.eq_ignore_ascii_case("e") && self.byte(0) == Some(b'\'') {
            self.quoted(b'\'', true);
        } else if self.parentheses == 0 {
            self.body.word(word);
        }
    }
}

/// Bytes of a word; those of other alphabets are above 127. A dollar sign may stand inside one.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 128
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        let found = pieces(text);
        let statements: Vec<&str> = found
            .iter()
            .filter_map(|piece| if let Piece::Statement(text) = piece { Some(*text) } else { None })
            .collect();
        assert_eq!(statements, expected);
    }

    #[test]
    fn semicolons_in_texts_names_comments_and_bodies_end_nothing() {
        check("select 1;\n\nselect 'a;''b', \"c;d\";", &["select 1", "select 'a;''b', \"c;d\""]);
        check("select e'\\';' -- no; end\n, 2; select 3", &["select e'\\';' -- no; end\n, 2", "select 3"]);
        check("do $x$ begin; $$;$$ end $x$; select $1;", &["do $x$ begin; $$;$$ end $x$", "select $1"]);
        check("/* a; /* b; */ c; */ select 1;", &["select 1"]);
        check(
            "create rule r as on insert to t do (delete from a; delete from b);",
            &["create rule r as on insert to t do (delete from a; delete from b)"],
        );
    }

    #[test]
    fn an_sql_body_is_one_statement() {
        let routine = "CREATE FUNCTION public.f() RETURNS integer\n    LANGUAGE sql\n    BEGIN ATOMIC\n SELECT CASE \
                       WHEN true THEN 1 ELSE 2 END AS x;\n SELECT 2;\nEND";
        check(&format!("{routine};\n\nSELECT 3;"), &[routine, "SELECT 3"]);
        check(
            "CREATE TABLE a (\"begin\" int); CREATE TABLE b ();",
            &["CREATE TABLE a (\"begin\" int)", "CREATE TABLE b ()"],
        );
    }

    #[test]
    fn comments_and_commands_between_statements_are_told_from_them() {
        let text = "--\n-- Name: a\n--\n\\restrict abc;\nselect '\n--\n-- Name: b\n\\x';\n";
        assert_eq!(
            pieces(text),
            [
                Piece::Comment("--"),
                Piece::Comment("-- Name: a"),
                Piece::Comment("--"),
                Piece::Command("\\restrict abc;"),
                Piece::Statement("select '\n--\n-- Name: b\n\\x'"),
            ]
        );
    }
}
