//! What a function's text says about a table. A text is not a parse: names that a function puts together at run time
//! escape it, and the plan says that bodies were searched as text.

use cleave_model::QualifiedName;

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

/// True if a function's text has a verb that writes before the table's name.
pub(crate) fn writes_to(body: &str, table: &QualifiedName) -> bool {
    let (body, plain) = with_plain_name(body, table);
    let words = words(&body);
    let qualified = format!("{}.{plain}", table.schema.as_str().to_lowercase());
    let mut starts = (0..words.len()).filter_map(|at| {
        let (_, between) = AFTER_VERB.iter().find(|(verb, _)| words[at] == *verb)?;
        words[at + 1..].iter().find(|word| !between.contains(&word.as_str()))
    });
    starts.any(|word| *word == plain || *word == qualified)
}

/// True if a function's text has the table's name, qualified or not.
pub(crate) fn mentions(body: &str, table: &QualifiedName) -> bool {
    let (body, plain) = with_plain_name(body, table);
    words(&body)
        .iter()
        .any(|word| word.rsplit('.').next() == Some(plain.as_str()) || word.starts_with(&format!("{plain}.")))
}

/// The text without comments and the table's name in it, both such that the name is one word.
fn with_plain_name(body: &str, table: &QualifiedName) -> (String, String) {
    let body = without_comments(body);
    let name = table.name.as_str();
    if name.chars().all(|c| c.is_alphanumeric() || c == '_') {
        (body, name.to_lowercase())
    } else {
        (body.replace(&table.name.quoted(), PLACEHOLDER), PLACEHOLDER.to_owned())
    }
}

/// Words in lower case, quotes taken off, parts of a qualified name kept together.
fn words(body: &str) -> Vec<String> {
    body.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.' || c == '"'))
        .map(|word| word.replace('"', "").to_lowercase())
        .filter(|word| !word.is_empty())
        .collect()
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
    use super::{mentions, writes_to};
    use cleave_model::QualifiedName;

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
