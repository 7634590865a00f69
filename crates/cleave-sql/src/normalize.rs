//! A statement without its constants, so that the same statement with other values is the same text, and no value of a
//! row is kept.

use crate::tokens::{Kind, Token, tokens};

/// Functions whose first argument names a sequence: without it nobody could say which.
const NAMING: &[&str] = &["nextval", "currval", "setval"];

/// The text with constants as `$1`, `$2`, ..., comments left out and blanks made one. Lists of constants after `IN` and
/// rows of constants after the first one of `VALUES` are shortened to `/*, ... */`, as their number varies.
pub fn normalize(text: &str) -> String {
    let tokens = tokens(text);
    let highest = tokens.iter().filter(|token| token.kind == Kind::Parameter).filter_map(|token| {
        text.get(token.range.start + 1..token.range.end).and_then(|number| number.parse::<usize>().ok())
    });
    let mut normal = Normal {
        text,
        tokens: &tokens,
        opens: opens(&tokens),
        out: String::with_capacity(text.len()),
        parameters: highest.max().unwrap_or(0),
    };
    normal.write();
    normal.out
}

fn opens(tokens: &[Token]) -> Vec<usize> {
    let mut open = Vec::new();
    let opened_at = |(at, token): (usize, &Token)| match token.kind {
        Kind::Open => {
            open.push(at);
            0
        }
        Kind::Close => open.pop().unwrap_or(0),
        _ => 0,
    };
    tokens.iter().enumerate().map(opened_at).collect()
}

struct Normal<'t> {
    text: &'t str,
    tokens: &'t [Token],
    /// For a closing parenthesis the token that opens it, 0 if there is none.
    opens: Vec<usize>,
    out: String,
    parameters: usize,
}

impl Normal<'_> {
    fn write(&mut self) {
        let mut at = 0;
        while let Some(token) = self.tokens.get(at) {
            let apart = at > 0 && self.tokens[at - 1].range.end < token.range.start;
            if apart {
                self.out.push(' ');
            }
            if self.is_value(at) {
                self.parameters += 1;
                self.out.push_str(&format!("${}", self.parameters));
            } else {
                self.out.push_str(self.text.get(token.range.clone()).unwrap_or(""));
            }
            let shortened = self.end_of_list(at).or_else(|| self.end_of_rows(at));
            if shortened.is_some() {
                self.out.push_str(" /*, ... */");
            }
            at = shortened.unwrap_or(at + 1);
        }
    }

    fn kind(&self, at: usize) -> Option<Kind> {
        self.tokens.get(at).map(|token| token.kind)
    }

    fn text_of(&self, at: usize) -> &str {
        self.tokens.get(at).and_then(|token| self.text.get(token.range.clone())).unwrap_or("")
    }

    /// True for a constant that is a value, not the name of a relation.
    fn is_value(&self, at: usize) -> bool {
        match self.kind(at) {
            Some(Kind::Number | Kind::Broken) => true,
            Some(Kind::Constant) => {
                let called = at >= 2
                    && self.kind(at - 1) == Some(Kind::Open)
                    && self.tokens[at - 2].is_any(self.text, NAMING);
                let cast = self.text_of(at + 1) == ":"
                    && self.text_of(at + 2) == ":"
                    && self.text_of(at + 3).eq_ignore_ascii_case("regclass");
                !called && !cast
            }
            _ => false,
        }
    }

    fn is_element(&self, at: usize) -> bool {
        matches!(self.kind(at), Some(Kind::Number | Kind::Constant | Kind::Parameter))
    }

    /// After the first element of `IN (`: where the list ends, if it has more and only constants.
    fn end_of_list(&self, at: usize) -> Option<usize> {
        let opens = at >= 2
            && self.is_element(at)
            && self.kind(at - 1) == Some(Kind::Open)
            && self.tokens[at - 2].is(self.text, "in");
        if !opens || self.kind(at + 1) != Some(Kind::Comma) {
            return None;
        }
        let mut next = at + 1;
        while self.kind(next) == Some(Kind::Comma) && self.is_element(next + 1) {
            next += 2;
        }
        (self.kind(next) == Some(Kind::Close)).then_some(next)
    }

    /// After the first row of `VALUES`: where the rows of constants after it end.
    fn end_of_rows(&self, at: usize) -> Option<usize> {
        let open = *self.opens.get(at)?;
        if self.kind(at) != Some(Kind::Close) || open == 0 || !self.tokens[open - 1].is(self.text, "values") {
            return None;
        }
        let mut next = at + 1;
        while let Some(end) = self.row_of_constants(next) {
            next = end;
        }
        (next > at + 1).then_some(next)
    }

    /// The token after `, (constants)`.
    fn row_of_constants(&self, at: usize) -> Option<usize> {
        if self.kind(at) != Some(Kind::Comma) || self.kind(at + 1) != Some(Kind::Open) {
            return None;
        }
        let mut next = at + 2;
        while self.is_element(next)
            || self.kind(next) == Some(Kind::Comma)
            || self
                .tokens
                .get(next)
                .is_some_and(|token| token.is_any(self.text, &["null", "default", "true", "false"]))
        {
            next += 1;
        }
        (self.kind(next) == Some(Kind::Close)).then_some(next + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::normalize;

    #[test]
    fn a_text_of_megabytes_is_shortened_in_one_pass() {
        let rows = "(1, 'x'), ".repeat(200_000);
        assert_eq!(
            normalize(&format!("insert into a values {rows}(2, 'y')")),
            "insert into a values ($1, $2) /*, ... */"
        );
        let nested = format!("{}{}", "(".repeat(100_000), ")".repeat(100_000));
        assert_eq!(normalize(&nested), nested);
    }

    #[test]
    fn values_are_taken_out_and_names_stay() {
        for (text, normal) in [
            (
                "select  *\nfrom film -- x\nwhere a='it''s' and b = 1.5",
                "select * from film where a=$1 and b = $2",
            ),
            ("select $2, 'x', 3 /* trace=1 */", "select $2, $3, $4"),
            (
                "select 1 from a where b in (1, 2, 3) and c in ('x')",
                "select $1 from a where b in ($2 /*, ... */) and c in ($3)",
            ),
            (
                "insert into a values (1, null), (2, 'x'), (3, default) returning a",
                "insert into a values ($1, null) /*, ... */ returning a",
            ),
            ("insert into a values (1), (f(2))", "insert into a values ($1), (f($2))"),
            (
                "select nextval('s'), 'film'::regclass, 'x'::text",
                "select nextval('s'), 'film'::regclass, $1::text",
            ),
            ("select $q$secret$q$, E'a\\'b', t1.c2", "select $1, $2, t1.c2"),
            ("select B'101', X'1F', U&'d\\0061', N'x'", "select $1, $2, $3, $4"),
            ("select 'cut of", "select $1"),
            ("select $$cut of", "select $1"),
            ("alter role ann password 'secret'", "alter role ann password $1"),
            ("", ""),
        ] {
            assert_eq!(normalize(text), normal);
        }
    }
}
