//! What went wrong, why, and what to do about it.

use crate::ExitCode;
use serde::{Deserialize, Serialize};
use std::{error::Error, fmt};

/// One problem at the surface, made from a crate's error or finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Stable code: a C and four digits; `cleave explain CODE` has its page.
    pub code: String,
    /// How much it matters.
    pub severity: Severity,
    /// What is wrong: sentence case, no full stop.
    pub message: String,
    /// The object it is about: a table, slot, setting, file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// The chain of causes, outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<String>,
    /// What would help, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The command that goes on from here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<NextStep>,
    /// The place in a file, for problems of the configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub span: Option<SourceSpan>,
    /// What the process exits with if this ends it; part of the envelope, not of the JSON.
    #[serde(skip, default = "failed")]
    pub exit: ExitCode,
}

/// How much a problem matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// Should be changed; nothing stops.
    Warning,
    /// Stops what was asked for.
    Error,
}

/// A command to run next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NextStep {
    /// The command, ready to run: `["cleave", "verify", "films"]`. Empty where no command can be advised.
    pub argv: Vec<String>,
    /// Why.
    pub reason: String,
    /// What it can do to the databases.
    pub risk: Risk,
}

/// What a command can do to the databases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Risk {
    /// It only reads.
    Read,
    /// What it changes can be undone by another command.
    Reversible,
    /// It cannot be undone.
    Permanent,
}

/// A place in a text file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceSpan {
    /// The file.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// Characters marked on that line, at least 1.
    pub length: usize,
    /// The line, with passwords masked.
    pub text: String,
    /// A few words beside the mark; may be empty.
    pub label: String,
}

/// A problem that another process reported carries its exit code beside it.
fn failed() -> ExitCode {
    ExitCode::Failed
}

impl Problem {
    /// An error that ends the command with exit code 1, unless [`Problem::exit`] says otherwise.
    pub fn error(code: &str, message: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            severity: Severity::Error,
            message: message.into(),
            object: None,
            causes: Vec::new(),
            hint: None,
            next: None,
            span: None,
            exit: ExitCode::Failed,
        }
    }

    /// A warning.
    pub fn warning(code: &str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, exit: ExitCode::Done, ..Self::error(code, message) }
    }

    /// An error with the whole chain of an error value: its text is the message, its sources are the causes.
    pub fn from_error(code: &str, error: &dyn Error) -> Self {
        Self::error(code, error.to_string()).caused_by(error.source())
    }

    /// Adds a chain of causes. A cause whose text the one before it already ends with is left out.
    pub fn caused_by(mut self, source: Option<&dyn Error>) -> Self {
        let mut next = source;
        while let Some(cause) = next {
            let text = cause.to_string();
            let before = self.causes.last().unwrap_or(&self.message);
            if !before.ends_with(&text) {
                self.causes.push(text);
            }
            next = cause.source();
        }
        self
    }

    /// Names the object.
    pub fn about(mut self, object: impl Into<String>) -> Self {
        self.object = Some(object.into());
        self
    }

    /// Says what would help.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Names the command that goes on from here.
    pub fn next(mut self, next: NextStep) -> Self {
        self.next = Some(next);
        self
    }

    /// Marks a place in a file.
    pub fn at(mut self, span: SourceSpan) -> Self {
        self.span = Some(span);
        self
    }

    /// Sets the exit code.
    pub fn exit(mut self, exit: ExitCode) -> Self {
        self.exit = exit;
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl Error for Problem {}

impl NextStep {
    /// `cleave` with these arguments.
    pub fn cleave<'a>(
        arguments: impl IntoIterator<Item = &'a str>,
        reason: impl Into<String>,
        risk: Risk,
    ) -> Self {
        let argv = ["cleave"].into_iter().chain(arguments).map(str::to_owned).collect();
        Self { argv, reason: reason.into(), risk }
    }

    /// The command as it can be pasted into a shell.
    pub fn command(&self) -> String {
        self.argv.iter().map(|word| shell_word(word)).collect::<Vec<_>>().join(" ")
    }
}

fn shell_word(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@,+%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_next_command_can_be_pasted_into_a_shell() {
        let step = NextStep::cleave(["cancel", "films", "--reason", "it's over"], "why", Risk::Reversible);
        assert_eq!(step.command(), r"cleave cancel films --reason 'it'\''s over'");
    }

    #[test]
    fn causes_that_repeat_their_parent_are_said_once() {
        let inner = std::io::Error::other("connection refused");
        let outer = std::io::Error::other(inner);
        let problem = Problem::from_error("C0101", &outer);
        assert_eq!((problem.message.as_str(), problem.causes.len()), ("connection refused", 0));
    }
}
