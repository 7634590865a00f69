//! What can go wrong with a throw-away cluster, a workload or the oracle.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use crate::Version;
use crate::workload::Kind;

/// Why the sandbox could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no installation of this version.
    #[error("no {version} servers in {}: run `cargo xtask servers`, or name a folder with `<folder>/{}/bin/postgres` in CLEAVE_SERVERS", shown(looked), version.major())]
    NoInstallation {
        /// The version asked for.
        version: Version,
        /// The folders that were looked at.
        looked: Vec<PathBuf>,
    },
    /// There is no `pg_dump` beside the servers.
    #[error("no pg_dump in the folder `client` of {}: run `cargo xtask servers`", shown(looked))]
    NoClient {
        /// The folders that were looked at.
        looked: Vec<PathBuf>,
    },
    /// PostgreSQL refuses to run as root, and there is no other user to run it as.
    #[error(
        "PostgreSQL does not run as root, and there is neither a user `postgres` nor `nobody` to run it as"
    )]
    NoAccount,
    /// The user that the server runs as cannot enter a folder that it needs.
    #[error("PostgreSQL runs as user `{user}`, who cannot enter {} (on the way to {}): {remedy}", blocked_at.display(), folder.display())]
    ClosedFolder {
        /// The user that the server would run as.
        user: String,
        /// The folder needed.
        folder: PathBuf,
        /// The closed part of its path.
        blocked_at: PathBuf,
        /// What to do about it.
        remedy: &'static str,
    },
    /// PgBouncer is not installed.
    #[error("there is no PgBouncer: run `cargo xtask servers`, or install it")]
    NoPooler,
    /// PgBouncer does not answer.
    #[error("PgBouncer does not answer; the end of its log:\n{log}")]
    PoolerNotReady {
        /// The end of its log.
        log: String,
        /// The last attempt's error.
        source: Box<Error>,
    },
    /// A file or folder could not be read or written.
    #[error("cannot {action} {}", path.display())]
    File {
        /// What was attempted.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The operating system's answer.
        source: io::Error,
    },
    /// A program could not be started.
    #[error("cannot start {}", program.display())]
    Program {
        /// The program.
        program: PathBuf,
        /// The operating system's answer.
        source: io::Error,
    },
    /// A running server could not be watched or signalled.
    #[error("cannot control the server of {version}")]
    Control {
        /// The server's version.
        version: Version,
        /// The operating system's answer.
        source: io::Error,
    },
    /// `initdb` failed.
    #[error("initdb of {version} failed: {output}")]
    Initdb {
        /// The version.
        version: Version,
        /// What it printed.
        output: String,
    },
    /// The server ended instead of accepting connections.
    #[error("{version} did not start ({status}); its log ends with:\n{log}")]
    Ended {
        /// The version.
        version: Version,
        /// How it ended.
        status: ExitStatus,
        /// The end of its log.
        log: String,
    },
    /// The server runs but does not let anybody in.
    #[error("{version} accepts no connection after {seconds} s; its log ends with:\n{log}")]
    NotReady {
        /// The version.
        version: Version,
        /// How long was waited, in seconds.
        seconds: u64,
        /// The end of its log.
        log: String,
        /// The last attempt's error.
        source: Box<Error>,
    },
    /// The server did not stop in time.
    #[error("{version} did not stop within {seconds} s")]
    NotStopped {
        /// The version.
        version: Version,
        /// How long was waited, in seconds.
        seconds: u64,
    },
    /// No free TCP port was found on 127.0.0.1.
    #[error("no free TCP port found on 127.0.0.1")]
    NoPort,
    /// A database connection could not be made.
    #[error("cannot connect to {place}")]
    Connect {
        /// Host, port and database; never the password.
        place: String,
        /// The driver's error.
        source: tokio_postgres::Error,
    },
    /// A statement failed.
    #[error("cannot {action}")]
    Statement {
        /// What the statement was for.
        action: String,
        /// The driver's error.
        source: tokio_postgres::Error,
    },
    /// A database does not answer.
    #[error("no answer from {place} after {seconds} s")]
    Silent {
        /// The endpoint's name.
        place: String,
        /// How long was waited, in seconds.
        seconds: u64,
    },
    /// A workload's script panicked.
    #[error("the workload's script panicked")]
    Script(#[source] tokio::task::JoinError),
    /// The oracle does not know where to look for a kind of token.
    #[error("the oracle was not told where tokens of kind `{kind}` must be")]
    NoHome {
        /// The kind.
        kind: Kind,
    },
    /// A home is no place that the oracle was told.
    #[error("the oracle was not told of a place `{name}`")]
    NoPlace {
        /// The place's name.
        name: String,
    },
}

impl Error {
    pub(crate) fn file<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Self + 'a {
        move |source| Self::File { action, path: path.to_path_buf(), source }
    }

    pub(crate) fn statement(action: impl Into<String>) -> impl FnOnce(tokio_postgres::Error) -> Self {
        let action = action.into();
        move |source| Self::Statement { action, source }
    }
}

fn shown(folders: &[PathBuf]) -> String {
    folders.iter().map(|folder| folder.display().to_string()).collect::<Vec<_>>().join(", ")
}
