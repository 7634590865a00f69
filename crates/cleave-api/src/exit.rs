//! What the process tells its caller in one number.

/// The exit codes of `cleave`. They are part of the contract: scripts branch on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ExitCode {
    /// All that was asked for is done.
    Done = 0,
    /// It failed; the problem says why and what to do.
    Failed = 1,
    /// The command line or the configuration is wrong; nothing was tried.
    Usage = 2,
    /// `plan --detailed-exit-code`: there is something to do.
    Changes = 3,
    /// A gate refused, and nothing was changed.
    Refused = 4,
    /// The two sides differ.
    Different = 5,
    /// A cutover or rollback undid itself; traffic is where it was.
    Aborted = 6,
    /// The databases are not as the plan found them.
    Drift = 7,
    /// Another operator holds the lease.
    Busy = 8,
    /// A bug in Cleave.
    Bug = 70,
    /// Interrupted by Ctrl-C; work stopped at a safe point.
    Interrupted = 130,
}

impl ExitCode {
    /// All codes, in order.
    pub const ALL: [Self; 11] = [
        Self::Done,
        Self::Failed,
        Self::Usage,
        Self::Changes,
        Self::Refused,
        Self::Different,
        Self::Aborted,
        Self::Drift,
        Self::Busy,
        Self::Bug,
        Self::Interrupted,
    ];

    /// The number.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The code with this number, as another process reported it; [`ExitCode::Failed`] for a number that is none.
    pub fn from_number(number: i64) -> Self {
        Self::ALL.into_iter().find(|code| i64::from(code.code()) == number).unwrap_or(Self::Failed)
    }

    /// What the number means, for the manual.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Usage => "the command line or the configuration is wrong",
            Self::Changes => "the plan has changes (with --detailed-exit-code)",
            Self::Refused => "a gate refused, nothing changed",
            Self::Different => "differences found",
            Self::Aborted => "the switch undid itself, traffic is where it was",
            Self::Drift => "the databases are not as the plan found them",
            Self::Busy => "another operator holds the lease",
            Self::Bug => "a bug in Cleave",
            Self::Interrupted => "interrupted",
        }
    }
}
