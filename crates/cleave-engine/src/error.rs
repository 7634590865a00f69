//! Errors of the engine and their way to the surface.

use cleave_api::{ExitCode, NextStep, Problem, Risk};
use cleave_journal::JournalError;
use cleave_model::{DatabaseName, ServiceName};
use cleave_pg::PgError;
use cleave_stream::StreamError;
use cleave_verify::VerifyError;
use thiserror::Error;

/// What can go wrong between a command and its end.
#[derive(Debug, Error)]
pub enum EngineError {
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A server.
    #[error(transparent)]
    Pg(#[from] PgError),
    /// A database of cleave.toml lets nobody in; the code is the server's error's.
    #[error("database {database}: {source}")]
    Connect {
        /// Which, as cleave.toml calls it.
        database: DatabaseName,
        /// Why.
        source: PgError,
    },
    /// A stream.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// A comparison.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// The text of cleave.toml, or a pattern in it that fits no table.
    #[error("{rendered}")]
    Config {
        /// The errors, which point into the file.
        errors: cleave_config::ConfigErrors,
        /// All errors, drawn with their lines.
        rendered: String,
    },
    /// `C0210`..: the plan cannot be made or has been refused.
    #[error("the plan of service {service} is refused: {} against it", findings_stand(*count))]
    Refused {
        /// The service.
        service: ServiceName,
        /// How many.
        count: usize,
        /// The findings, one a line.
        findings: Vec<String>,
    },
    /// A gate said no; nothing was changed.
    #[error("{message}")]
    Gate {
        /// Stable code.
        code: &'static str,
        /// What is so.
        message: String,
        /// What would help.
        hint: Option<String>,
        /// The command that goes on from here.
        next: Option<Vec<String>>,
        /// Exit code: 4, or 7 for drift.
        exit: ExitCode,
    },
    /// `C0731`: gates of services that were to be switched together said no; nothing was changed.
    #[error("{}", gates_refuse(errors))]
    Gates {
        /// What stands against each of them.
        errors: Vec<(ServiceName, Self)>,
    },
    /// `C0420`: there is no such service in cleave.toml.
    #[error("service {name} is not in {file}")]
    NoSuchService {
        /// As given.
        name: String,
        /// The file.
        file: String,
        /// Those there are.
        known: Vec<String>,
    },
    /// `C0421`: the service's move is not in a state that allows the verb.
    #[error("service {service} is {state}: {verb} is not possible")]
    WrongState {
        /// The service.
        service: ServiceName,
        /// State of its move.
        state: String,
        /// The verb.
        verb: &'static str,
        /// The verb that would be.
        next: Option<&'static str>,
    },
    /// `C0422`: a URL of cleave.toml could not be had.
    #[error("the URL of database {database} could not be read: {reason}")]
    Url {
        /// The database.
        database: DatabaseName,
        /// Why, without the URL.
        reason: String,
    },
    /// `C0422`: the URL of a pooler's console could not be had.
    #[error("the URL of service {service}'s PgBouncer could not be read: {reason}")]
    PoolerUrl {
        /// The service.
        service: ServiceName,
        /// Why, without the URL.
        reason: String,
    },
    /// `C0423`: a stored value cannot be read.
    #[error("{what} cannot be read: {reason}")]
    Stored {
        /// Which value.
        what: String,
        /// Why.
        reason: String,
    },
    /// `C0424`: Ctrl-C or SIGTERM.
    #[error("stopped on request; running the same command again goes on from here")]
    Interrupted,
    /// `C0425`: a hook of cleave.toml failed.
    #[error("hook `{command}` failed: {reason}")]
    Hook {
        /// The command.
        command: String,
        /// Exit status or reason.
        reason: String,
        /// True if the home had changed before.
        switched: bool,
    },
    /// `C0719`: clients of the pooler did not come to rest in time.
    #[error("transactions of PgBouncer's clients did not end within {limit_ms} ms")]
    PoolerBusy {
        /// Milliseconds.
        limit_ms: u128,
    },
    /// `C0720`: the home has changed, and the pooler does not lead there yet.
    #[error("{home} is the home, but PgBouncer does not lead there yet: {reason}")]
    Pooler {
        /// The new home.
        home: DatabaseName,
        /// Why.
        reason: String,
    },
    /// A problem that another engine has reported.
    #[error("{0}")]
    Reported(Box<Problem>),
}

impl EngineError {
    /// A gate with exit code 4.
    pub(crate) fn gate(code: &'static str, message: impl Into<String>) -> Self {
        Self::Gate { code, message: message.into(), hint: None, next: None, exit: ExitCode::Refused }
    }

    /// Errors that only show when the file meets a database: a pattern that fits no table, a table claimed twice.
    pub(crate) fn config(errors: &cleave_config::ConfigErrors, topology: &crate::Topology) -> Self {
        let source = cleave_config::Source { file: &topology.config().file, text: topology.text() };
        Self::Config { errors: errors.clone(), rendered: cleave_config::render(errors.errors(), &source) }
    }

    /// Adds what would help to a gate.
    pub(crate) fn hint(self, text: impl Into<String>) -> Self {
        match self {
            Self::Gate { code, message, next, exit, .. } => {
                Self::Gate { code, message, hint: Some(text.into()), next, exit }
            }
            other => other,
        }
    }

    /// Adds the next command to a gate.
    pub(crate) fn next(self, argv: &[&str]) -> Self {
        match self {
            Self::Gate { code, message, hint, exit, .. } => {
                let next = Some(argv.iter().map(|word| (*word).to_owned()).collect());
                Self::Gate { code, message, hint, next, exit }
            }
            other => other,
        }
    }

    /// Stable code.
    pub fn code(&self) -> &str {
        match self {
            Self::Journal(error) => error.code(),
            Self::Pg(error) | Self::Connect { source: error, .. } => error.code(),
            Self::Stream(error) => error.code(),
            Self::Verify(error) => error.code(),
            Self::Config { errors, .. } => {
                errors.errors().first().map_or("C0012", |error| error.code.as_str())
            }
            Self::Refused { .. } => "C0220",
            Self::Gate { code, .. } => code,
            Self::Gates { .. } => "C0731",
            Self::NoSuchService { .. } => "C0420",
            Self::WrongState { .. } => "C0421",
            Self::Url { .. } | Self::PoolerUrl { .. } => "C0422",
            Self::Stored { .. } => "C0423",
            Self::Interrupted => "C0424",
            Self::Hook { .. } => "C0425",
            Self::PoolerBusy { .. } => "C0719",
            Self::Pooler { .. } => "C0720",
            Self::Reported(problem) => &problem.code,
        }
    }

    /// SQLSTATE of the server's answer, if there is one.
    pub(crate) fn sqlstate(&self) -> Option<&str> {
        match self {
            Self::Journal(error) => error.sqlstate(),
            Self::Pg(error) | Self::Connect { source: error, .. } => error.sqlstate(),
            _ => None,
        }
    }

    /// As it is shown.
    pub fn problem(&self) -> Problem {
        let problem = Problem::from_error(self.code(), self);
        match self {
            Self::Journal(JournalError::LeaseHeld { .. } | JournalError::LeaseLost { .. }) => {
                problem.exit(ExitCode::Busy).hint("wait until it has ended, or let it execute the command")
            }
            Self::NoSuchService { known, .. } => {
                problem.hint(format!("it has {}", known.join(", "))).exit(ExitCode::Usage)
            }
            Self::Config { .. } | Self::Url { .. } | Self::PoolerUrl { .. } => problem.exit(ExitCode::Usage),
            Self::Refused { service, findings, .. } => {
                let plan = ["plan", service.as_str()];
                Problem { causes: findings.clone(), ..problem }
                    .exit(ExitCode::Refused)
                    .next(NextStep::cleave(plan, "it shows each finding with its fix", Risk::Read))
            }
            Self::Gate { hint, next, exit, .. } => {
                let problem = Problem { hint: hint.clone(), ..problem }.exit(*exit);
                match next {
                    Some(argv) => {
                        let argv = argv.iter().map(String::as_str);
                        problem.next(NextStep::cleave(argv, "the gate asks for it", Risk::Reversible))
                    }
                    None => problem,
                }
            }
            Self::Gates { errors } => {
                let cause = |(service, error): &(ServiceName, Self)| {
                    let problem = error.problem();
                    let way = problem.next.as_ref().map(NextStep::command).or(problem.hint);
                    let way = way.map_or_else(String::new, |way| format!(" ({way})"));
                    format!("{service}: {} {}{way}", problem.code, problem.message)
                };
                let problem =
                    problem.hint("none of them was touched; see to each, then run the command again");
                Problem { causes: errors.iter().map(cause).collect(), ..problem }.exit(ExitCode::Refused)
            }
            Self::WrongState { service, next: Some(verb), .. } => problem.exit(ExitCode::Refused).next(
                NextStep::cleave([*verb, service.as_str()], "it is what this state allows", Risk::Reversible),
            ),
            Self::WrongState { .. } => problem.exit(ExitCode::Refused),
            Self::Interrupted => problem.exit(ExitCode::Interrupted),
            Self::Hook { switched: false, .. } => problem
                .hint("the switch was not made, and writers go on where they were")
                .exit(ExitCode::Refused),
            Self::Hook { switched: true, .. } => {
                problem.hint("the switch is made and stays; run by hand what the hook should have done")
            }
            Self::PoolerBusy { .. } => problem.hint(
                "raise write_pause, or end the long transactions; its clients went on after each attempt",
            ),
            Self::Pooler { .. } => problem
                .hint("its clients go on, over the bridge; run the command again once the cause is gone"),
            Self::Reported(problem) => (**problem).clone(),
            Self::Pg(error) | Self::Connect { source: error, .. } => crate::help::against(error, problem),
            Self::Stream(error) => crate::help::against_stream(error, problem),
            Self::Verify(error) => crate::help::against_verify(error, problem),
            Self::Journal(error) => crate::help::against_journal(error, problem),
            _ => problem,
        }
    }
}

fn gates_refuse(errors: &[(ServiceName, EngineError)]) -> String {
    let names: Vec<&str> = errors.iter().map(|(service, _)| service.as_str()).collect();
    format!("gates of {} refuse, so no service is switched", names.join(" and "))
}

fn findings_stand(count: usize) -> String {
    if count == 1 { "1 finding stands".to_owned() } else { format!("{count} findings stand") }
}
