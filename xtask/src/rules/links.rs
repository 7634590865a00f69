//! A relative link in a Markdown file leads to a file that exists.

use super::Finding;
use super::repository::Repository;

/// One finding per link that leads nowhere.
pub(super) fn check(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in repository.files().filter(|(path, _)| path.ends_with(".md")) {
        let mut fenced = false;
        for (index, line) in text.lines().enumerate() {
            let fence = line.trim_start().starts_with("```");
            fenced ^= fence;
            if fenced || fence {
                continue;
            }
            for target in targets(line) {
                let Some(file) = relative(&target) else { continue };
                match resolve(path, file) {
                    Some(found) if repository.has(&found) => {}
                    _ => findings.push(Finding::new(
                        path,
                        index + 1,
                        format!("the link to {target} leads nowhere"),
                    )),
                }
            }
        }
    }
    findings
}

/// What `[text](target)` and `[label]: target` point to; inline code is no link.
fn targets(line: &str) -> Vec<String> {
    let prose: String = line.split('`').step_by(2).collect::<Vec<_>>().join("code");
    let mut targets = Vec::new();
    let mut rest = prose.as_str();
    while let Some((_, after)) = rest.split_once("](") {
        let target = after.split([')', ' ']).next().unwrap_or_default();
        targets.push(target.to_owned());
        rest = after;
    }
    let definition = prose.trim_start().strip_prefix('[').and_then(|line| line.split_once("]: "));
    if let Some((_label, target)) = definition {
        targets.push(target.split(' ').next().unwrap_or_default().to_owned());
    }
    targets
}

/// The file part of a link into the repository.
fn relative(target: &str) -> Option<&str> {
    let file = target.split('#').next().unwrap_or_default();
    let elsewhere = file.is_empty() || file.contains("://") || file.starts_with("mailto:");
    (!elsewhere).then_some(file)
}

/// The path from the root; none if the link leaves the repository.
fn resolve(from: &str, file: &str) -> Option<String> {
    let mut parts: Vec<&str> = match file.strip_prefix('/') {
        Some(_) => Vec::new(),
        None => from.split('/').collect(),
    };
    parts.pop();
    for part in file.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::super::tests::expect;
    use super::check;

    #[test]
    fn links_to_files_and_folders_that_exist_are_fine() {
        let page = "[a](b.md#part), [b](../README.md) and [c](../docs/)\n\n[d]: b.md\n";
        expect(
            check,
            &[("docs/a.md", page), ("docs/b.md", ""), ("README.md", "[x](https://example.org/y.md)")],
            &[],
        );
    }

    #[test]
    fn a_link_that_leads_nowhere_is_found() {
        expect(check, &[("docs/a.md", "one\n[b](gone.md)\n")], &["docs/a.md:2"]);
        expect(check, &[("README.md", "[b](../outside.md)\n")], &["README.md:1"]);
        expect(check, &[("README.md", "[b]: gone.md\n")], &["README.md:1"]);
    }

    #[test]
    fn code_is_no_link() {
        expect(check, &[("README.md", "`a[0](b)`\n```\n[b](gone.md)\n```\n[c](#part)\n")], &[]);
    }
}
