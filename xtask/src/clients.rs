//! `cargo xtask clients`: libraries that applications talk to PostgreSQL with, for the tests of compatibility layers: packages of
//! Python and npm, fetched by their ordinary clients into `.cache/tools/clients`. Where that cannot be done it is said, and
//! the tests that need them are skipped and counted.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::console::note;
use crate::validators::run;

/// All that is installed, and nothing else, as with the validators.
const PYTHON: [&str; 7] = [
    "asgiref==3.13.0",
    "Django==5.2.19",
    "psycopg==3.3.9",
    "psycopg-binary==3.3.9",
    "SQLAlchemy==2.1.9",
    "sqlparse==0.6.1",
    "typing_extensions==4.16.0",
];
/// The three that are used, and what they need, each in the one version that npm is to choose.
const NPM: [&str; 17] = [
    "typeorm@1.1.1",
    "pg@8.23.1",
    "reflect-metadata@0.2.2",
    "@sqltools/formatter@1.2.5",
    "ansis@4.5.0",
    "dayjs@1.11.23",
    "debug@4.4.3",
    "dedent@1.7.2",
    "pg-connection-string@2.14.1",
    "pg-pool@3.14.0",
    "pg-protocol@1.16.1",
    "pg-types@2.2.0",
    "pgpass@1.0.5",
    "sql-highlight@6.1.0",
    "tinyglobby@0.2.17",
    "tslib@2.9.1",
    "yargs@18.2.0",
];
/// Written last: the folder is whole. Another list is another folder.
const STAMP: &str = ".complete";

/// Fills the folder, unless it is filled.
pub(crate) fn fetch(project: &Path) {
    let folder = project.join(".cache/tools/clients");
    if fs::read_to_string(folder.join(STAMP)).is_ok_and(|stamp| stamp == stamp_text()) {
        return;
    }
    note("Fetching clients of PostgreSQL (packages of Python and npm)");
    if let Err(reason) = install(&folder) {
        note(format_args!("They could not be had, so tests with them are skipped: {reason}"));
    }
}

fn stamp_text() -> String {
    format!("{}\n{}\n", PYTHON.join("\n"), NPM.join("\n"))
}

fn install(folder: &Path) -> Result<(), String> {
    let said = |error: std::io::Error| error.to_string();
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(said)?;
    }
    fs::create_dir_all(folder).map_err(said)?;
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--no-deps", "--disable-pip-version-check"]);
    pip.args(["--root-user-action=ignore", "--target"]).arg(folder.join("python")).args(PYTHON);
    run(pip)?;
    let mut npm = Command::new("npm");
    npm.args(["install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"]);
    npm.arg(folder).args(NPM);
    run(npm)?;
    fs::write(folder.join(STAMP), stamp_text()).map_err(said)
}
