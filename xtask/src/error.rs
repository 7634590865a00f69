//! What can go wrong in a task. One enum: the message names the object and the cause.

use std::path::{Path, PathBuf};

/// Why a task ended without success.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A file or folder could not be read or written.
    #[error("cannot {action} {}", path.display())]
    File {
        /// What was attempted, as a verb: `read`, `write`, `create`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the operating system answered.
        source: std::io::Error,
    },
    /// A program could not be started at all.
    #[error("cannot start `{program}`")]
    Start {
        /// The program's name.
        program: String,
        /// What the operating system answered.
        source: std::io::Error,
    },
    /// A program ran and ended with a failure; its own output has said why.
    #[error("`{command}` failed ({status})")]
    Command {
        /// The command as it could be typed.
        command: String,
        /// Exit code or signal, in words.
        status: String,
    },
    /// A program's output is not what its manual promises.
    #[error("cannot understand the output of `{command}`")]
    Output {
        /// The command as it could be typed.
        command: String,
        /// Where reading it went wrong.
        source: serde_json::Error,
    },
    /// A value could not be turned into JSON.
    #[error("cannot write {} as JSON", path.display())]
    Json {
        /// The file that was to hold it.
        path: PathBuf,
        /// The cause.
        source: serde_json::Error,
    },
    /// Writing to the terminal failed.
    #[error("cannot write to standard output")]
    Console(#[source] std::io::Error),
    /// The task did its work and the answer is no. The message is the whole answer.
    #[error("{0}")]
    Refused(String),
}

impl Error {
    /// Adds the path and the verb to an I/O error.
    pub(crate) fn file(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.to_path_buf();
        move |source| Error::File { action, path, source }
    }
}
