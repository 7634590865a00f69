//! `cargo xtask check`: the repository's own rules. One module per rule, each a function from the repository's files
//! to findings, with a good and a bad example as its tests.

use std::process::ExitCode;

use crate::console::{note, say};
use crate::error::Error;

mod banned_words;
mod explain_pages;
mod file_length;
mod layers;
mod links;
mod module_names;
mod named_tests;
mod purity;
mod repository;
mod serialize;
mod source;
mod test_files;

use repository::Repository;

/// Something a rule has to say about a line of a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    path: String,
    line: usize,
    reason: String,
}

impl Finding {
    /// `line` counts from one.
    fn new(path: &str, line: usize, reason: impl Into<String>) -> Finding {
        Finding { path: path.to_owned(), line, reason: reason.into() }
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.reason)
    }
}

type Rule = fn(&Repository) -> Vec<Finding>;

/// Every rule whose findings fail the check.
const RULES: &[Rule] = &[
    banned_words::check,
    explain_pages::check,
    file_length::check,
    layers::check,
    links::check,
    module_names::check,
    named_tests::check,
    purity::check,
    serialize::check,
    test_files::check,
];

/// Applies every rule; prints findings as `file:line: reason`, warnings last.
pub(crate) fn check() -> Result<ExitCode, Error> {
    let repository = Repository::read()?;
    let mut findings: Vec<Finding> = RULES.iter().flat_map(|rule| rule(&repository)).collect();
    findings.sort();
    for finding in &findings {
        say(finding)?;
    }
    for warning in file_length::warnings(&repository) {
        note(format_args!("warning: {warning}"));
    }
    let (files, rules) = (repository.len(), RULES.len());
    if findings.is_empty() {
        say(format_args!("{files} files keep the {rules} rules of the repository"))?;
        return Ok(ExitCode::SUCCESS);
    }
    note(format_args!(
        "error: {} findings; the reason for each rule stands in xtask/src/rules",
        findings.len()
    ));
    Ok(ExitCode::FAILURE)
}

#[cfg(test)]
mod tests {
    use super::{Finding, Repository, Rule};

    /// Applies a rule to files given as `(path, text)`; expects `file:line` of each finding, in order.
    pub(super) fn expect(rule: Rule, files: &[(&str, &str)], expected: &[&str]) {
        let mut findings = rule(&Repository::of(files));
        findings.sort();
        let places: Vec<String> =
            findings.iter().map(|f: &Finding| format!("{}:{}", f.path, f.line)).collect();
        assert_eq!(places, expected, "{findings:#?}");
    }
}
