//! Running other programs: inherited output, or captured output; a failure names the command.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use crate::error::Error;

/// The workspace's root folder.
pub(crate) fn root() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask).to_path_buf()
}

/// `cargo`, the very one that runs this task, in the workspace's root.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root());
    command
}

/// Runs a command with the terminal's own output and demands success.
pub(crate) fn run(mut command: Command) -> Result<(), Error> {
    let status = command.status().map_err(|source| Error::Start { program: program(&command), source })?;
    demand_success(&command, status)
}

/// Runs a command and returns its standard output; its standard error goes to the terminal.
pub(crate) fn capture(mut command: Command) -> Result<Vec<u8>, Error> {
    command.stderr(Stdio::inherit());
    let output = command.output().map_err(|source| Error::Start { program: program(&command), source })?;
    demand_success(&command, output.status)?;
    Ok(output.stdout)
}

/// The command as it could be typed, for messages.
pub(crate) fn shown(command: &Command) -> String {
    let mut text = program(command);
    for argument in command.get_args() {
        text.push(' ');
        text.push_str(&argument.to_string_lossy());
    }
    text
}

fn program(command: &Command) -> String {
    let path = Path::new(command.get_program());
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

fn demand_success(command: &Command, status: ExitStatus) -> Result<(), Error> {
    if status.success() {
        return Ok(());
    }
    Err(Error::Command { command: shown(command), status: status.to_string() })
}
