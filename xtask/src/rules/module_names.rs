//! A module is named after what it is about. `utils` is about nothing, and so gathers everything.

use super::Finding;
use super::repository::Repository;
use super::source::mask;

const FORBIDDEN: &[&str] = &["common", "helper", "helpers", "misc", "type", "types", "util", "utils"];

/// One finding per file, folder or inline module with such a name.
pub(super) fn check(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in repository.files().filter(|(path, _)| path.ends_with(".rs")) {
        let parts = path.trim_end_matches(".rs").split('/');
        for name in parts.filter(|part| FORBIDDEN.contains(part)) {
            findings.push(Finding::new(path, 1, reason(name)));
        }
        for (index, line) in mask(text).lines().enumerate() {
            if let Some(name) = inline_module(line).filter(|name| FORBIDDEN.contains(name)) {
                findings.push(Finding::new(path, index + 1, reason(name)));
            }
        }
    }
    findings
}

fn reason(name: &str) -> String {
    format!("`{name}` says nothing: name the module after the one thing that it owns")
}

/// The name in `mod NAME {`. A `mod NAME;` is found by its file.
fn inline_module(line: &str) -> Option<&str> {
    let (before, after) = line.split_once("mod ")?;
    let (name, _body) = after.split_once('{')?;
    let visibility = before.trim();
    (visibility.is_empty() || visibility.starts_with("pub")).then(|| name.trim())
}

#[cfg(test)]
mod tests {
    use super::super::tests::expect;
    use super::check;

    #[test]
    fn a_module_named_after_nothing_is_found() {
        expect(check, &[("crates/cleave-pg/src/utils.rs", "")], &["crates/cleave-pg/src/utils.rs:1"]);
        expect(
            check,
            &[("crates/cleave-pg/tests/it/common/a.rs", "")],
            &["crates/cleave-pg/tests/it/common/a.rs:1"],
        );
        expect(
            check,
            &[("crates/a/src/b.rs", "fn c() {}\npub(crate) mod types {\n}\n")],
            &["crates/a/src/b.rs:2"],
        );
    }

    #[test]
    fn a_module_named_after_its_concern_is_fine() {
        expect(check, &[("crates/cleave-pg/src/row_types.rs", "mod a {}\n// mod utils {}\n")], &[]);
        expect(check, &[("docs/common/page.md", "mod utils {")], &[]);
    }
}
