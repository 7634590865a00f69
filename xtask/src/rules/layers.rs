//! Arrows point down: which crate may depend on which, and which libraries only some may name.
//!
//! The order is ARCHITECTURE.md's map of the crates, from the top. A new crate takes its place here first.

use toml_edit::{DocumentMut, Item};

use super::Finding;
use super::repository::Repository;

/// From the top: each may depend on those after it.
const ORDER: &[&str] = &[
    "cleave-bench",
    "cleave-cli",
    "cleave-server",
    "cleave-engine",
    "cleave-verify",
    "cleave-stream",
    "cleave-journal",
    "cleave-pg",
    "cleave-plan",
    "cleave-assess",
    "cleave-ddl",
    "cleave-sql",
    "cleave-proto",
    "cleave-config",
    "cleave-api",
    "cleave-model",
];

/// No I/O, no clock, no environment: bytes and values in, values out.
pub(super) const PURE: &[&str] = &[
    "cleave-plan",
    "cleave-assess",
    "cleave-ddl",
    "cleave-sql",
    "cleave-proto",
    "cleave-config",
    "cleave-api",
    "cleave-model",
];

/// Named points to fail at: depends on no crate of ours, so any crate may name it.
const LEAF: &str = "cleave-failpoint";

/// For tests, as dev-dependencies of any crate. `cleave demo` runs on the sandbox too.
const TEST_CRATES: &[&str] = &["cleave-testkit", "cleave-sandbox"];

/// Runtimes, sockets, drivers, TLS and clocks: what a pure crate may not build on.
const IMPURE_LIBRARIES: &[&str] = &[
    "async-std",
    "chrono",
    "futures",
    "futures-util",
    "getrandom",
    "hyper",
    "libc",
    "mio",
    "native-tls",
    "postgres",
    "rand",
    "reqwest",
    "rustix",
    "rustls",
    "rustls-native-certs",
    "smol",
    "socket2",
    "tempfile",
    "time",
    "tokio",
    "tokio-postgres",
    "tokio-rustls",
    "tokio-util",
];

/// Rendering and arguments belong to the command line alone.
const SURFACE_LIBRARIES: &[&str] = &["clap", "indicatif"];

/// One finding per dependency that points the wrong way.
pub(super) fn check(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (package, path, text) in repository.manifests() {
        if !is_placed(package) {
            let reason = format!(
                "{package} has no place in the order of crates; give it one in xtask/src/rules/layers.rs"
            );
            findings.push(Finding::new(path, 1, reason));
            continue;
        }
        let manifest: DocumentMut = match text.parse() {
            Ok(manifest) => manifest,
            Err(error) => {
                findings.push(Finding::new(path, 1, format!("not readable as TOML: {}", error.message())));
                continue;
            }
        };
        for dependency in dependencies(&manifest) {
            if let Some(reason) = objection(package, &dependency) {
                findings.push(Finding::new(path, line_of(text, &dependency), reason));
            }
        }
    }
    findings
}

fn is_placed(package: &str) -> bool {
    ORDER.contains(&package) || TEST_CRATES.contains(&package) || package == LEAF
}

#[derive(Debug)]
struct Dependency {
    name: String,
    only_for_tests: bool,
}

/// Everything under `[dependencies]`, `[dev-dependencies]` and `[build-dependencies]`, of every target.
fn dependencies(manifest: &DocumentMut) -> Vec<Dependency> {
    let mut found = sections(manifest.as_item());
    let targets = manifest.get("target").and_then(Item::as_table_like);
    for (_platform, target) in targets.into_iter().flat_map(|targets| targets.iter()) {
        found.extend(sections(target));
    }
    found
}

fn sections(parent: &Item) -> Vec<Dependency> {
    let mut found = Vec::new();
    for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
        let table = parent.get(section).and_then(Item::as_table_like);
        for (key, value) in table.into_iter().flat_map(|table| table.iter()) {
            // `alias = { package = "name" }` is a dependency on `name`.
            let name = value.get("package").and_then(Item::as_str).unwrap_or(key).to_owned();
            found.push(Dependency { name, only_for_tests: section == "dev-dependencies" });
        }
    }
    found
}

fn objection(package: &str, dependency: &Dependency) -> Option<String> {
    let name = dependency.name.as_str();
    if SURFACE_LIBRARIES.contains(&name) && package != "cleave-cli" {
        return Some(format!(
            "only cleave-cli names {name}: a library returns values and leaves showing them to others"
        ));
    }
    if PURE.contains(&package) && IMPURE_LIBRARIES.contains(&name) && !dependency.only_for_tests {
        return Some(format!("{package} is pure: no runtime, socket, driver or clock, so no {name}"));
    }
    if !name.starts_with("cleave-") || name == LEAF && package != LEAF {
        return None;
    }
    if package == LEAF {
        return Some(format!("{LEAF} is a leaf: it depends on no crate of ours"));
    }
    if TEST_CRATES.contains(&name) {
        let allowed = dependency.only_for_tests
            || matches!((package, name), ("cleave-cli" | "cleave-bench", "cleave-sandbox"))
            || (package, name) == ("cleave-testkit", "cleave-sandbox");
        return (!allowed).then(|| format!("{name} is for tests: name it under [dev-dependencies]"));
    }
    if TEST_CRATES.contains(&package) {
        let reason = || {
            format!(
                "{package} serves the tests of every crate, so it may depend on pure ones only, not on {name}"
            )
        };
        return (!PURE.contains(&name)).then(reason);
    }
    let below = ORDER.iter().skip_while(|other| **other != package).skip(1).any(|other| *other == name);
    (!below).then(|| format!("arrows point down: {package} stands below {name} or beside it"))
}

/// The line that names the dependency, or the first.
fn line_of(text: &str, dependency: &Dependency) -> usize {
    let names = |line: &str| {
        let rest = line.trim_start().strip_prefix(&dependency.name)?;
        rest.starts_with(['.', ' ', '=']).then_some(())
    };
    text.lines().position(|line| names(line).is_some()).map_or(1, |index| index + 1)
}

#[cfg(test)]
mod tests {
    use super::super::tests::expect;
    use super::check;

    fn manifest(package: &str, text: &str, expected: &[usize]) {
        let path = format!("crates/{package}/Cargo.toml");
        let expected: Vec<String> = expected.iter().map(|line| format!("{path}:{line}")).collect();
        let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        expect(check, &[(&path, text)], &expected);
    }

    #[test]
    fn a_crate_may_depend_on_those_below_it() {
        manifest(
            "cleave-engine",
            "[dependencies]\ncleave-pg.workspace = true\ncleave-model.workspace = true\n",
            &[],
        );
        manifest("cleave-pg", "[dependencies]\ntokio = \"1\"\n", &[]);
    }

    #[test]
    fn an_arrow_that_points_up_is_found() {
        manifest(
            "cleave-pg",
            "[dependencies]\ncleave-model.workspace = true\ncleave-stream.workspace = true\n",
            &[3],
        );
        manifest("cleave-model", "[dev-dependencies]\ncleave-cli = { path = \"../cleave-cli\" }\n", &[2]);
    }

    #[test]
    fn a_pure_crate_names_no_runtime_but_its_tests_may() {
        manifest("cleave-plan", "[dependencies]\ntokio.workspace = true\n", &[2]);
        manifest("cleave-plan", "[dependencies]\nrt = { package = \"tokio\" }\n", &[1]);
        manifest("cleave-plan", "[target.'cfg(unix)'.dependencies]\nrustix.workspace = true\n", &[2]);
        manifest("cleave-plan", "[dev-dependencies]\ntokio.workspace = true\n", &[]);
    }

    #[test]
    fn only_the_command_line_names_clap() {
        manifest("cleave-cli", "[dependencies]\nclap.workspace = true\n", &[]);
        manifest("cleave-engine", "[dependencies]\nclap.workspace = true\n", &[2]);
    }

    #[test]
    fn the_sandbox_is_for_tests_and_for_the_demo() {
        manifest("cleave-stream", "[dev-dependencies]\ncleave-sandbox.workspace = true\n", &[]);
        manifest("cleave-cli", "[dependencies]\ncleave-sandbox.workspace = true\n", &[]);
        manifest("cleave-stream", "[dependencies]\ncleave-sandbox.workspace = true\n", &[2]);
        manifest("cleave-sandbox", "[dependencies]\ncleave-pg.workspace = true\n", &[2]);
    }

    #[test]
    fn failpoints_are_a_leaf_that_any_crate_may_name() {
        manifest("cleave-journal", "[dependencies]\ncleave-failpoint.workspace = true\n", &[]);
        manifest("cleave-failpoint", "[dependencies]\ncleave-model.workspace = true\n", &[2]);
    }

    #[test]
    fn a_crate_without_a_place_is_found() {
        manifest("cleave-surprise", "[package]\nname = \"cleave-surprise\"\n", &[1]);
    }
}
