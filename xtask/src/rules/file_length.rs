//! A file is one concept: it aims under 400 lines of production code, and 800 is the end.
//!
//! Lines that hold code are counted; blank lines, comments and tests are free. Functions are measured by clippy.

use super::Finding;
use super::repository::Repository;

const AIM: usize = 400;
const LIMIT: usize = 800;

/// Files over the limit.
pub(super) fn check(repository: &Repository) -> Vec<Finding> {
    longer_than(repository, LIMIT, usize::MAX, "split it by what it is about")
}

/// Files between the aim and the limit: to be split when they are next worked on.
pub(super) fn warnings(repository: &Repository) -> Vec<Finding> {
    longer_than(repository, AIM, LIMIT, "think about splitting it")
}

fn longer_than(repository: &Repository, from: usize, to: usize, advice: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (_package, path, source) in repository.production() {
        let count = source.code_lines();
        if count > from && count <= to {
            let reason = format!("{count} lines of production code, more than {from}: {advice}");
            findings.push(Finding::new(path, 1, reason));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::tests::expect;
    use super::{check, warnings};

    const PATH: &str = "crates/cleave-pg/src/long.rs";
    const PLACE: &str = "crates/cleave-pg/src/long.rs:1";

    #[test]
    fn a_file_over_the_limit_is_found() {
        expect(check, &[(PATH, &"a();\n".repeat(801))], &[PLACE]);
        expect(check, &[(PATH, &"a();\n".repeat(800))], &[]);
    }

    #[test]
    fn a_file_over_the_aim_is_a_warning() {
        expect(warnings, &[(PATH, &"a();\n".repeat(401))], &[PLACE]);
        expect(warnings, &[(PATH, &"a();\n".repeat(400))], &[]);
        expect(warnings, &[(PATH, &"a();\n".repeat(801))], &[]);
    }

    #[test]
    fn comments_and_tests_are_free() {
        let text =
            format!("{}#[cfg(test)]\nmod tests {{\n{}}}\n", "// why\n\n".repeat(900), "a();\n".repeat(900));
        expect(check, &[(PATH, &text)], &[]);
    }
}
