//! The pages of the findings are what the rules say.

use cleave_assess::readiness::{Check, Example, RULES, Side, page, reference};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn documents() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs")
}

fn check_document(file: &str, text: &str) {
    let path = documents().join(file);
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, text).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == text,
        "{file} is not what the rules say; renew it: UPDATE=1 cargo test -p cleave-assess pages"
    );
}

#[test]
fn pages_of_findings_are_made_from_their_rules() {
    for rule in RULES {
        check_document(&format!("explain/{}.md", rule.code), &page(rule));
    }
}

#[test]
fn the_list_of_findings_is_made_from_the_rules() {
    check_document("reference/findings.md", &reference());
}

#[test]
fn a_finding_has_a_code_of_its_own_and_says_everything_that_it_has_to() {
    let codes: BTreeSet<&str> = RULES.iter().map(|rule| rule.code).collect();
    assert_eq!(codes.len(), RULES.len(), "a code stands for one finding");
    assert!(RULES.len() >= 60, "{}", RULES.len());
    for rule in RULES {
        for text in [rule.title, rule.why, rule.cause, rule.fix] {
            assert!(!text.trim().is_empty(), "{}", rule.code);
        }
        assert!(!rule.why.ends_with('.'), "{}: {}", rule.code, rule.why);
        assert_eq!(rule.side == Side::Pair, matches!(rule.check, Check::Two(_)), "{}", rule.code);
        for example in [&rule.bad, &rule.good] {
            assert_eq!(rule.side == Side::Pair, matches!(example, Example::Pair(..)), "{}", rule.code);
        }
    }
}
