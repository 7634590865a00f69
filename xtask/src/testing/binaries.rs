//! Which test binaries the workspace has, and whether one has changed since it last ran.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::UNIX_EPOCH;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::inputs::Inputs;
use crate::command::{capture, cargo, root};
use crate::error::Error;

/// Something that runs tests and can be run on its own.
#[derive(Debug, Clone)]
pub(crate) struct Binary {
    /// `crate::it`, `crate (unit)`, or `documentation`.
    pub(crate) name: String,
    /// Differs whenever the code under test does.
    pub(crate) stamp: String,
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    Executable { path: PathBuf, folder: PathBuf },
    Documentation,
}

impl Binary {
    /// Whether its result depends on more than its own code: examples on every crate, integration tests on the
    /// programs that they start and the inputs that they find.
    fn reaches_beyond_itself(&self) -> bool {
        matches!(self.kind, Kind::Documentation) || self.name.contains("::")
    }

    /// The command that runs it, as cargo would.
    pub(crate) fn command(&self) -> Command {
        match &self.kind {
            Kind::Documentation => cargo(&["test", "--workspace", "--quiet", "--doc", "--no-fail-fast"]),
            Kind::Executable { path, folder } => {
                let mut command = Command::new(path);
                command.current_dir(folder).env("CARGO_MANIFEST_DIR", folder);
                command
            }
        }
    }
}

/// Builds all tests and lists them, the documentation's examples last.
pub(crate) fn build_and_list(inputs: &Inputs) -> Result<Vec<Binary>, Error> {
    const MESSAGES: &str = "--message-format=json-render-diagnostics";
    let output = capture(cargo(&["test", "--workspace", "--quiet", "--no-run", MESSAGES]))?;
    let mut binaries = Vec::new();
    let mut stamps = vec![inputs.stamp().to_owned()];
    for line in String::from_utf8_lossy(&output).lines() {
        let message: Value = serde_json::from_str(line)
            .map_err(|source| Error::Output { command: format!("cargo test --no-run {MESSAGES}"), source })?;
        if let Some((name, path, folder)) = test_executable(&message) {
            let stamp = stamp(&path)?;
            stamps.push(stamp.clone());
            binaries.push(Binary { name, stamp, kind: Kind::Executable { path, folder } });
        } else if let Some(program) = message["executable"].as_str() {
            stamps.push(stamp(Path::new(program))?);
        }
    }
    binaries.sort_by(|a, b| a.name.cmp(&b.name));
    binaries.push(Binary {
        name: "documentation".to_owned(),
        stamp: String::new(),
        kind: Kind::Documentation,
    });
    // Cargo announces in the order in which it finishes.
    stamps.sort();
    let everything = digest(&stamps.concat());
    for binary in binaries.iter_mut().filter(|binary| binary.reaches_beyond_itself()) {
        binary.stamp.clone_from(&everything);
    }
    Ok(binaries)
}

/// Name, executable and crate folder, if this message of cargo's announces a test binary.
fn test_executable(message: &Value) -> Option<(String, PathBuf, PathBuf)> {
    if message["reason"] != "compiler-artifact" || message["profile"]["test"] != true {
        return None;
    }
    let executable = PathBuf::from(message["executable"].as_str()?);
    let folder = Path::new(message["manifest_path"].as_str()?).parent()?.to_path_buf();
    let package = folder.file_name()?.to_string_lossy().into_owned();
    let target = message["target"]["name"].as_str()?;
    let name = match message["target"]["kind"][0].as_str()? {
        "test" => format!("{package}::{target}"),
        "bin" => format!("{package} (unit, {target})"),
        _ => format!("{package} (unit)"),
    };
    Some((name, executable, folder))
}

/// Path, length and time of writing: cargo leaves an executable alone while nothing under it changes.
fn stamp(path: &Path) -> Result<String, Error> {
    let data = std::fs::metadata(path).map_err(Error::file("read", path))?;
    let modified = data.modified().map_err(Error::file("read", path))?;
    let since = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
    let path = path.strip_prefix(root()).unwrap_or(path);
    Ok(format!("{} {} {} ", path.display(), data.len(), since.as_nanos()))
}

/// Short, and the same for the same text.
fn digest(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::test_executable;

    fn message(kind: &str, test: bool, executable: Option<&str>) -> Value {
        json!({
            "reason": "compiler-artifact",
            "manifest_path": "/repository/crates/cleave-pg/Cargo.toml",
            "profile": { "test": test },
            "target": { "name": "it", "kind": [kind] },
            "executable": executable,
        })
    }

    #[test]
    fn an_integration_binary_is_named_after_its_crate() {
        let found = test_executable(&message("test", true, Some("/target/it-1")));
        assert_eq!(found.map(|(name, ..)| name).as_deref(), Some("cleave-pg::it"));
    }

    #[test]
    fn what_is_built_but_runs_no_tests_is_left_out() {
        assert!(test_executable(&message("bin", false, Some("/target/cleave"))).is_none());
        assert!(test_executable(&message("lib", true, None)).is_none());
        assert!(test_executable(&json!({ "reason": "build-finished", "success": true })).is_none());
    }
}
