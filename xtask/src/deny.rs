//! `cargo xtask deny`: what the dependency tree may contain, judged by cargo-deny under `deny.toml`.
//!
//! cargo-deny is no part of a Rust installation. One pinned version is compiled into `.cache/tools` (a minute and a
//! half on two cores: unoptimised, without its own network code) and found there by every later run.

use std::path::PathBuf;
use std::process::Command;

use crate::command::{cargo, root, run};
use crate::console::note;
use crate::error::Error;

const VERSION: &str = "0.20.2";

/// Judges bans, licences and sources, installing cargo-deny first where it is missing.
pub(crate) fn deny() -> Result<(), Error> {
    let program = installed()?;
    let mut command = Command::new(program);
    command.current_dir(root()).args(["--config", "deny.toml"]);
    command.args(["check", "--hide-inclusion-graph", "bans", "licenses", "sources"]);
    run(command)
}

/// The pinned cargo-deny; the folder carries the version, so a new pin is a new installation.
fn installed() -> Result<PathBuf, Error> {
    let cache = root().join(".cache").join("tools");
    let home = cache.join(format!("cargo-deny-{VERSION}"));
    let program = home.join("bin").join("cargo-deny");
    if program.exists() {
        return Ok(program);
    }
    note(format_args!("Compiling cargo-deny {VERSION} into .cache/tools (once, about 90 s on 2 cores)"));
    let build = cache.join("build");
    let mut install = cargo(&["install", "cargo-deny", "--version", VERSION, "--locked"]);
    install.args(["--quiet", "--debug", "--no-default-features", "--root"]).arg(&home);
    // Debug information would triple the disk that the build takes.
    install.env("CARGO_TARGET_DIR", &build).env("CARGO_PROFILE_DEV_DEBUG", "false");
    run(install)?;
    std::fs::remove_dir_all(&build).map_err(Error::file("remove", &build))?;
    Ok(program)
}
