//! Runs the binary in a folder of its own and puts everything it said into one text.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// A folder to run in.
pub(crate) struct Runner {
    folder: TempDir,
}

impl Runner {
    /// An empty folder.
    pub(crate) fn new() -> Self {
        Self { folder: TempDir::new().unwrap() }
    }

    /// A folder with a `cleave.toml`.
    pub(crate) fn with_config(text: &str) -> Self {
        let runner = Self::new();
        std::fs::write(runner.path().join("cleave.toml"), text).unwrap();
        runner
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The binary with a known environment and nothing on standard input.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cleave"));
        command.args(arguments).current_dir(self.path()).env_clear().stdin(Stdio::null());
        command
    }

    /// Exit code, standard output and standard error, with the folder's name and the version filtered out.
    pub(crate) fn run(&self, arguments: &[&str]) -> String {
        self.show(&self.command(arguments).output().unwrap())
    }

    pub(crate) fn show(&self, output: &Output) -> String {
        let folder = self.path().display().to_string();
        let text = |bytes: &[u8]| {
            let text = String::from_utf8(bytes.to_vec()).unwrap();
            text.replace(&folder, "[folder]").replace(env!("CARGO_PKG_VERSION"), "[version]")
        };
        format!(
            "exit: {}\n--- stdout\n{}--- stderr\n{}",
            output.status.code().map_or_else(|| "by a signal".to_owned(), |code| code.to_string()),
            text(&output.stdout),
            text(&output.stderr)
        )
    }
}
