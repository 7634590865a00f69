//! Words that no file of the repository holds: notes to oneself, and places that exist on one machine only.

use super::Finding;
use super::repository::Repository;

/// In pieces, so that this file keeps the rule that it makes.
const BANNED: &[(&str, &str)] = &[
    (concat!("TO", "DO"), "do it, or write an issue"),
    (concat!("FIX", "ME"), "fix it, or write an issue"),
    (concat!("/wo", "rk/"), "a path of one machine"),
    (concat!("/ro", "ot/"), "a path of one machine"),
    (concat!("/tmp/", "brief"), "a path of one machine"),
    (concat!("registry.npm", "js.org"), "the user's own configuration says where packages come from"),
    (concat!("py", "pi.org"), "the user's own configuration says where packages come from"),
    (concat!("index.cra", "tes.io"), "the user's own configuration says where packages come from"),
];

/// One finding per word and line.
pub(super) fn check(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in repository.files() {
        for (index, line) in text.lines().enumerate() {
            for (word, why) in BANNED.iter().filter(|(word, _)| holds(line, word)) {
                findings.push(Finding::new(path, index + 1, format!("`{word}`: {why}")));
            }
        }
    }
    findings
}

/// Whether the line holds the word on its own. A path counts from its start only: not `a/wo.../`, `./wo.../`, `{a}/wo.../`.
fn holds(line: &str, word: &str) -> bool {
    let part_of_name = |c: char| c.is_alphanumeric() || c == '_';
    let path = word.starts_with('/');
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        let begins = !before.is_some_and(|c| part_of_name(c) || path && matches!(c, '.' | '}'));
        let ends = word.ends_with('/') || !after.is_some_and(part_of_name);
        begins && ends
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::expect;
    use super::{BANNED, check};

    #[test]
    fn every_banned_word_is_found_in_every_kind_of_file() {
        for (word, _why) in BANNED {
            expect(check, &[("docs/page.md", &format!("a\nsee ({word} b)\n"))], &["docs/page.md:2"]);
            expect(check, &[("crates/a/src/b.rs", &format!("// {word}: c\n"))], &["crates/a/src/b.rs:1"]);
        }
    }

    #[test]
    fn a_longer_word_is_another_word() {
        for text in [
            concat!("TO", "DOS"),
            concat!("frame/wo", "rk/a"),
            concat!("./ro", "ot/a"),
            concat!("{home}/wo", "rk/"),
            "work/ root/ pypi",
        ] {
            expect(check, &[("docs/page.md", text)], &[]);
        }
    }
}
