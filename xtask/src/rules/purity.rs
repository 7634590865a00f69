//! Pure crates do no I/O, read no clock and no environment: their code names none of it.

use super::Finding;
use super::layers::PURE;
use super::repository::Repository;

/// Paths of the standard library that a pure crate does not use, and what they would bring in.
const IMPURE: &[(&str, &str)] = &[
    ("std::net", "the network"),
    ("std::fs", "the file system"),
    ("std::process", "other processes"),
    ("std::env", "the environment"),
    ("env::var", "the environment"),
    ("TcpStream", "the network"),
    ("UnixStream", "the network"),
    ("File::open", "the file system"),
    ("Instant::now", "the clock"),
    ("SystemTime::now", "the clock"),
    ("thread::sleep", "the clock"),
    ("tokio::", "a runtime"),
    ("stdin()", "standard input"),
];

/// One finding per line of production code that reaches outside.
pub(super) fn check(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (package, path, source) in repository.production().filter(|(package, ..)| PURE.contains(package)) {
        for line in source.lines() {
            if let Some((name, what)) = IMPURE.iter().find(|(name, _)| line.code.contains(name)) {
                let reason =
                    format!("{package} is pure: `{name}` reads {what}; take the value as an argument");
                findings.push(Finding::new(path, line.number, reason));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::tests::expect;
    use super::check;

    #[test]
    fn a_pure_crate_that_reads_the_clock_is_found() {
        let text = "//! Plans.\nuse std::time::Instant;\nfn late() -> Instant {\n    Instant::now()\n}\n";
        expect(check, &[("crates/cleave-plan/src/late.rs", text)], &["crates/cleave-plan/src/late.rs:4"]);
    }

    #[test]
    fn comments_texts_and_tests_may_name_what_code_may_not() {
        let text = "// no std::fs here\nfn a() -> &'static str { \"std::env\" }\n#[cfg(test)]\nmod tests {\n    use std::fs;\n}\n";
        expect(check, &[("crates/cleave-plan/src/a.rs", text)], &[]);
    }

    #[test]
    fn crates_that_do_the_work_may_do_so() {
        expect(check, &[("crates/cleave-pg/src/a.rs", "use std::net::IpAddr;\n")], &[]);
        expect(check, &[("crates/cleave-plan/tests/it/main.rs", "use std::fs;\n")], &[]);
    }
}
