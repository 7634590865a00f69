//! A test that ARCHITECTURE.md or a design page names exists: a rule that says what guards it is worth as much as that.

use std::collections::HashSet;

use super::Finding;
use super::repository::Repository;

/// A sentence has at least so many words; shorter names are settings, functions and columns.
const WORDS_MIN: usize = 5;

/// One finding per name in code style that reads like a sentence and stands in no Rust file.
pub(super) fn check(repository: &Repository) -> Vec<Finding> {
    let rust = repository.files().filter(|(path, _)| path.ends_with(".rs"));
    let known: HashSet<&str> = rust.flat_map(|(_, text)| text.split(|c| !is_of_a_name(c))).collect();
    let mut findings = Vec::new();
    for (path, text) in repository.files().filter(|(path, _)| names_tests(path)) {
        for (index, line) in text.lines().enumerate() {
            for name in line.split('`').skip(1).step_by(2).filter(|name| is_sentence(name)) {
                if !known.contains(name) {
                    findings.push(Finding::new(path, index + 1, format!("there is no test {name}")));
                }
            }
        }
    }
    findings
}

fn names_tests(path: &str) -> bool {
    path == "ARCHITECTURE.md" || (path.starts_with("docs/design/") && path.ends_with(".md"))
}

fn is_of_a_name(character: char) -> bool {
    character.is_ascii_lowercase() || character.is_ascii_digit() || character == '_'
}

fn is_sentence(name: &str) -> bool {
    name.chars().all(is_of_a_name) && name.split('_').count() >= WORDS_MIN
}

#[cfg(test)]
mod tests {
    use super::super::tests::expect;
    use super::check;

    const TEST: (&str, &str) = ("crates/a/tests/it/b.rs", "async fn a_row_that_is_gone_is_named() {}");

    #[test]
    fn a_test_that_exists_and_what_is_no_sentence_are_fine() {
        let page =
            "guarded by `a_row_that_is_gone_is_named`, set `lock_timeout` and `max_slot_wal_keep_size`";
        expect(check, &[TEST, ("ARCHITECTURE.md", page), ("xtask/x.rs", "max_slot_wal_keep_size")], &[]);
    }

    #[test]
    fn a_test_that_was_renamed_is_found() {
        let page = "first line\nguarded by `a_row_that_is_gone_is_told`";
        expect(check, &[TEST, ("docs/design/x.md", page)], &["docs/design/x.md:2"]);
    }
}
