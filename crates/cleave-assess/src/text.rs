//! What a function's text says about tables. A text is not a parse: names that a function puts together at run time
//! escape it, and what is said from it says so. A text is split into words once, however many tables are asked for.

use cleave_model::QualifiedName;
use std::collections::HashSet;

/// Stands for a table whose name is not one plain word, so that splitting into words keeps it whole.
const PLACEHOLDER: &str = "cleave_placeholder";

/// What may stand between a verb and the table's name.
const AFTER_VERB: [(&str, &[&str]); 5] = [
    ("insert", &["into"]),
    ("delete", &["from", "only"]),
    ("update", &["only"]),
    ("merge", &["into", "only"]),
    ("truncate", &["table", "only"]),
];

/// A function's text, split into words.
#[derive(Clone, Debug)]
pub struct Body {
    /// Without comments.
    text: String,
    words: Words,
}

#[derive(Clone, Debug)]
struct Words {
    /// In lower case, quotes taken off, parts of a qualified name kept together.
    list: Vec<String>,
    /// The last part of each word, and the first part of those that have several.
    ends: HashSet<String>,
    /// Words behind a verb that writes.
    written: HashSet<String>,
}

impl Body {
    /// Splits a text.
    pub fn new(body: &str) -> Self {
        let text = without_comments(body);
        let words = Words::of(&text);
        Self { text, words }
    }

    /// True if the text has the table's name, qualified or not.
    pub fn mentions(&self, table: &QualifiedName) -> bool {
        if is_plain(table) {
            return self.words.ends.contains(&table.name.as_str().to_lowercase());
        }
        let quoted = table.name.quoted();
        self.text.contains(&quoted)
            && Words::of(&self.text.replace(&quoted, PLACEHOLDER)).ends.contains(PLACEHOLDER)
    }

    /// True if the text has a verb that writes before the table's name.
    pub fn writes_to(&self, table: &QualifiedName) -> bool {
        if is_plain(table) {
            return self.words.writes_to(table, &table.name.as_str().to_lowercase());
        }
        let quoted = table.name.quoted();
        self.text.contains(&quoted)
            && Words::of(&self.text.replace(&quoted, PLACEHOLDER)).writes_to(table, PLACEHOLDER)
    }

    /// True if one of these words stands in the text, alone or behind a schema.
    pub fn has_any(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.words.ends.contains(*word))
    }

    /// The words, in order.
    pub fn words(&self) -> &[String] {
        &self.words.list
    }

    /// The text without comments.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl Words {
    fn of(text: &str) -> Self {
        let list: Vec<String> = text
            .split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.' || c == '"'))
            .map(|word| word.replace('"', "").to_lowercase())
            .filter(|word| !word.is_empty())
            .collect();
        let mut ends = HashSet::new();
        let mut written = HashSet::new();
        for (at, word) in list.iter().enumerate() {
            let (first, last) = (word.split('.').next(), word.rsplit('.').next());
            ends.extend([first, last].into_iter().flatten().map(str::to_owned));
            let Some((_, between)) = AFTER_VERB.iter().find(|(verb, _)| word == verb) else { continue };
            let target = list[at + 1..].iter().find(|word| !between.contains(&word.as_str()));
            written.extend(target.cloned());
        }
        Self { list, ends, written }
    }

    fn writes_to(&self, table: &QualifiedName, plain: &str) -> bool {
        self.written.contains(plain)
            || self.written.contains(&format!("{}.{plain}", table.schema.as_str().to_lowercase()))
    }
}

fn is_plain(table: &QualifiedName) -> bool {
    table.name.as_str().chars().all(|c| c.is_alphanumeric() || c == '_')
}

/// Takes `--` and `/* */` comments out; what stands in quotes is text of dynamic SQL and stays.
fn without_comments(body: &str) -> String {
    let mut kept = String::with_capacity(body.len());
    let mut rest = body;
    let mut quote = None;
    while let Some(next) = rest.chars().next() {
        let skipped = match quote {
            Some(_) => 0,
            None if rest.starts_with("--") => rest.find('\n').unwrap_or(rest.len()),
            None if rest.starts_with("/*") => block_comment_bytes(rest),
            None => 0,
        };
        if skipped > 0 {
            kept.push(' ');
            rest = &rest[skipped..];
            continue;
        }
        if quote == Some(next) {
            quote = None;
        } else if quote.is_none() && (next == '\'' || next == '"') {
            quote = Some(next);
        }
        kept.push(next);
        rest = &rest[next.len_utf8()..];
    }
    kept
}

/// Length of the comment that a text starts with; they nest, and one that never ends takes the rest.
fn block_comment_bytes(text: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < text.len() {
        let rest = &text.as_bytes()[at..];
        if rest.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::Body;
    use cleave_model::QualifiedName;

    fn writes_to(body: &str, table: &QualifiedName) -> bool {
        Body::new(body).writes_to(table)
    }

    fn mentions(body: &str, table: &QualifiedName) -> bool {
        Body::new(body).mentions(table)
    }

    #[test]
    fn a_function_that_writes_is_told_from_one_that_reads() {
        let orders = QualifiedName::new("public", "orders");
        for body in [
            "begin insert into orders(a) values (1); end",
            "update public.orders set a = 1",
            "DELETE FROM \"orders\" where a = 1",
            "delete from only orders",
            "update only orders set a = 1",
            "merge into public.orders o using x on true when matched then delete",
            "truncate orders",
            "truncate table only \"public\".\"orders\"",
            "execute 'insert into orders -- values' || $1",
            "/* was: /* nested */ */ insert /* here */ into orders",
            "insert -- a comment's quote\n into orders values (1)",
        ] {
            assert!(writes_to(body, &orders), "{body}");
        }
        for body in [
            "select * from orders",
            "insert into orders_archive select * from orders",
            "insert into archive.orders select 1",
            "-- update of orders",
            "-- insert into orders\nselect 1",
            "/* delete from orders */ select 1",
            "update",
        ] {
            assert!(!writes_to(body, &orders), "{body}");
        }
    }

    #[test]
    fn a_name_of_several_words_is_found_where_it_is_quoted() {
        let table = QualifiedName::new("public", "order items");
        for body in ["insert into \"order items\" values (1)", "update public.\"order items\" set a = 1"] {
            assert!(writes_to(body, &table) && mentions(body, &table), "{body}");
        }
        assert!(!mentions("select items from order", &table));
    }

    #[test]
    fn a_name_is_mentioned_as_a_word_of_its_own() {
        let film = QualifiedName::new("public", "film");
        for body in [
            "select 1 from film",
            "from PUBLIC.FILM f",
            "where \"film\".id = 1",
            "returns setof film%rowtype",
        ] {
            assert!(mentions(body, &film), "{body}");
        }
        for body in ["select film_id from inventory", "from films", "-- reads film", "/* film */ select 1"] {
            assert!(!mentions(body, &film), "{body}");
        }
    }
}
