//! The server's process: started as the right user in a group of its own, signalled, reaped.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::account::Account;
use crate::Error;

/// How a server is asked to stop; manual, section 18.5, "Shutting Down the Server".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopMode {
    /// Waits until all clients have left.
    Smart,
    /// Ends all sessions, then stops in order.
    Fast,
    /// Stops at once, as in a crash: the next start recovers from WAL.
    Immediate,
}

impl StopMode {
    fn signal(self) -> Signal {
        match self {
            Self::Smart => Signal::TERM,
            Self::Fast => Signal::INT,
            Self::Immediate => Signal::QUIT,
        }
    }
}

/// Where a cluster keeps its things.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub(super) folder: PathBuf,
}

impl Layout {
    pub(super) fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    pub(super) fn sockets(&self) -> PathBuf {
        self.folder.join("sockets")
    }

    pub(super) fn log(&self) -> PathBuf {
        self.folder.join("server.log")
    }

    /// Holds the pid of what runs in the folder; the watchdog reads it.
    fn pid(&self) -> PathBuf {
        self.folder.join("server.pid")
    }

    /// A command for a program of PostgreSQL: as the account, in a group of its own (an interrupt from the terminal
    /// is not for the server), with an empty environment (`PG*` variables would reach `postgres_fdw`), and with its
    /// pid noted before it begins, so that there is no moment in which the watchdog could miss it.
    pub(super) fn command(&self, account: &Account, program: &Path) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", r#"echo $$ > "$0" && exec "$@""#]).arg(self.pid()).arg(program);
        command.current_dir(&self.folder).env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin");
        command.stdin(Stdio::null()).process_group(0);
        account.apply(&mut command);
        command
    }

    /// Forgets the pid of a process that has been reaped: the number may soon be another's.
    pub(super) fn forget_pid(&self) {
        drop(fs::remove_file(self.pid()));
    }

    /// The last lines of the server's log, for error messages.
    pub(super) fn log_tail(&self) -> String {
        const TAIL_BYTES: u64 = 4096;
        let read = || -> std::io::Result<String> {
            let mut log = File::open(self.log())?;
            let length = log.metadata()?.len();
            log.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
            let mut bytes = Vec::new();
            log.take(TAIL_BYTES).read_to_end(&mut bytes)?;
            Ok(String::from_utf8_lossy(&bytes).trim_end().to_owned())
        };
        read().unwrap_or_else(|error| format!("(the log cannot be read: {error})"))
    }
}

/// A started server.
#[derive(Debug)]
pub(super) struct Server {
    process: Child,
}

impl Server {
    pub(super) fn spawn(
        layout: &Layout,
        account: &Account,
        program: &Path,
        port: u16,
    ) -> Result<Self, Error> {
        let path = layout.log();
        let log =
            File::options().create(true).append(true).open(&path).map_err(Error::file("open", &path))?;
        let errors = log.try_clone().map_err(Error::file("open", &path))?;
        let mut command = layout.command(account, program);
        command.arg("-D").arg(layout.data()).args(["-p", &port.to_string()]).stdout(log).stderr(errors);
        let process =
            command.spawn().map_err(|source| Error::Program { program: program.to_path_buf(), source })?;
        Ok(Self { process })
    }

    pub(super) fn signal(&self, mode: StopMode) -> std::io::Result<()> {
        Ok(kill_process(Pid::from_child(&self.process), mode.signal())?)
    }

    /// Makes the server read its configuration files again.
    pub(super) fn reload(&self) -> std::io::Result<()> {
        Ok(kill_process(Pid::from_child(&self.process), Signal::HUP)?)
    }

    /// How the process ended, if it has.
    pub(super) fn ended(&mut self) -> std::io::Result<Option<ExitStatus>> {
        self.process.try_wait()
    }

    /// The postmaster's process id.
    pub(super) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Ends the process without its cooperation and reaps it.
    pub(super) fn kill(&mut self) {
        // Both fail only if the process has been reaped already.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
