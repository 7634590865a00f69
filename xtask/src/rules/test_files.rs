//! A crate has one integration test binary, `tests/it/main.rs`, and every file beside it is part of it.
//!
//! A file that no `mod` names is not compiled: its tests never fail.

use super::Finding;
use super::repository::Repository;
use super::source::mask;

/// Finds second binaries and forgotten files.
pub(super) fn check(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, _text) in repository.files() {
        let Some((package, inside)) = split(path) else { continue };
        if !path.ends_with(".rs") {
            continue;
        }
        match inside.strip_prefix("it/") {
            Some("main.rs") => {}
            Some(file) => findings.extend(forgotten(repository, package, file, path)),
            None if !inside.contains('/') || inside.ends_with("/main.rs") => {
                let reason =
                    "a second test binary is linked and started on its own: make it a module of tests/it";
                findings.push(Finding::new(path, 1, reason));
            }
            None => {}
        }
    }
    findings
}

/// `crates/NAME/tests/INSIDE`.
fn split(path: &str) -> Option<(&str, &str)> {
    let (package, inside) = path.strip_prefix("crates/")?.split_once('/')?;
    Some((package, inside.strip_prefix("tests/")?))
}

/// `file` is relative to `tests/it`; its parent is the module that must declare it.
fn forgotten(repository: &Repository, package: &str, file: &str, path: &str) -> Option<Finding> {
    let module = file.trim_end_matches(".rs").trim_end_matches("/mod");
    let (folder, name) = module.rsplit_once('/').unwrap_or(("", module));
    let base = format!("crates/{package}/tests/it");
    let parents = match folder {
        "" => vec![format!("{base}/main.rs")],
        folder => vec![format!("{base}/{folder}.rs"), format!("{base}/{folder}/mod.rs")],
    };
    let declared =
        parents.iter().filter_map(|parent| repository.text(parent)).any(|text| declares(text, name));
    let reason = || format!("not compiled: {} does not say `mod {name};`", parents.join(" or "));
    (!declared).then(|| Finding::new(path, 1, reason()))
}

fn declares(text: &str, name: &str) -> bool {
    let declaration = format!("mod {name};");
    mask(text).lines().any(|line| {
        let line = line.trim();
        line == declaration || line.starts_with("pub") && line.ends_with(&format!(" {declaration}"))
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::expect;
    use super::check;

    const MAIN: (&str, &str) = ("crates/cleave-pg/tests/it/main.rs", "mod slots;\n// mod locks;\n");

    #[test]
    fn a_declared_file_is_part_of_the_binary() {
        let nested = ("crates/cleave-pg/tests/it/slots/names.rs", "");
        expect(
            check,
            &[MAIN, ("crates/cleave-pg/tests/it/slots.rs", "pub(crate) mod names;\n"), nested],
            &[],
        );
        expect(check, &[MAIN, ("crates/cleave-pg/tests/it/slots/mod.rs", "mod names;\n"), nested], &[]);
    }

    #[test]
    fn a_forgotten_file_is_found() {
        let path = "crates/cleave-pg/tests/it/locks.rs";
        expect(check, &[MAIN, (path, "")], &["crates/cleave-pg/tests/it/locks.rs:1"]);
    }

    #[test]
    fn a_second_binary_is_found() {
        expect(check, &[MAIN, ("crates/cleave-pg/tests/more.rs", "")], &["crates/cleave-pg/tests/more.rs:1"]);
        let second = ("crates/cleave-pg/tests/slow/main.rs", "");
        expect(check, &[MAIN, second], &["crates/cleave-pg/tests/slow/main.rs:1"]);
    }
}
