//! Every error code has a page that explains it, and every page explains a code that exists.

use std::collections::BTreeMap;

use super::Finding;
use super::repository::Repository;

const SECTIONS: &[&str] = &["Cause", "Example", "Fix"];

/// Compares the codes in the crates with `docs/explain/`.
pub(super) fn check(repository: &Repository) -> Vec<Finding> {
    let codes = codes(repository);
    let mut findings = Vec::new();
    for (code, (path, line)) in &codes {
        let page = page(code);
        if repository.text(&page).is_none() {
            let reason = format!("{code} has no page {page}: write its cause, an example and the fix");
            findings.push(Finding::new(path, *line, reason));
        }
    }
    for (path, text) in repository.files() {
        let Some(name) = path.strip_prefix("docs/explain/") else { continue };
        let Some(code) = name.strip_suffix(".md").filter(|code| is_code(code)) else {
            findings.push(Finding::new(path, 1, "a page is named after its code, as in C0108.md"));
            continue;
        };
        if !codes.contains_key(code) {
            findings.push(Finding::new(path, 1, format!("no crate reports {code}: remove the page")));
        }
        for section in SECTIONS {
            if !text
                .lines()
                .any(|line| line.starts_with('#') && line.trim_start_matches('#').trim() == *section)
            {
                findings.push(Finding::new(path, 1, format!("the section `{section}` is missing")));
            }
        }
    }
    findings
}

fn page(code: &str) -> String {
    format!("docs/explain/{code}.md")
}

fn is_code(word: &str) -> bool {
    word.len() == 5 && word.starts_with('C') && word[1..].bytes().all(|byte| byte.is_ascii_digit())
}

/// Each code with the first place that names it. A page's file name (`C0108.md`) is no use of the code.
fn codes(repository: &Repository) -> BTreeMap<String, (String, usize)> {
    let mut codes = BTreeMap::new();
    for (package, path, source) in repository.production() {
        if package == "xtask" {
            continue;
        }
        for line in source.lines() {
            let text = line.text.replace(".md", "_md");
            for word in text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| is_code(word)) {
                codes.entry(word.to_owned()).or_insert_with(|| (path.to_owned(), line.number));
            }
        }
    }
    codes
}

#[cfg(test)]
mod tests {
    use super::super::tests::expect;
    use super::check;

    const CODE: (&str, &str) =
        ("crates/cleave-plan/src/error.rs", "fn code() -> &'static str {\n    \"C0108\"\n}\n");

    #[test]
    fn a_code_with_its_page_is_fine() {
        expect(
            check,
            &[CODE, ("docs/explain/C0108.md", "# C0108\n\n## Cause\n\n## Example\n\n## Fix\n")],
            &[],
        );
    }

    #[test]
    fn a_code_without_a_page_is_found() {
        expect(check, &[CODE], &["crates/cleave-plan/src/error.rs:2"]);
    }

    #[test]
    fn a_page_without_a_code_or_a_section_is_found() {
        let page = ("docs/explain/C0999.md", "## Cause\n## Example\n## Fix\n");
        let list = ("crates/cleave-cli/src/pages.rs", "include_str!(\"C0999.md\")");
        expect(check, &[page, list], &["docs/explain/C0999.md:1"]);
        expect(check, &[CODE, ("docs/explain/C0108.md", "## Cause\n## Fix\n")], &["docs/explain/C0108.md:1"]);
    }

    #[test]
    fn a_code_that_only_a_test_names_needs_no_page() {
        expect(
            check,
            &[("crates/a/src/b.rs", "#[cfg(test)]\nmod tests {\n    const A: &str = \"C0001\";\n}\n")],
            &[],
        );
    }
}
