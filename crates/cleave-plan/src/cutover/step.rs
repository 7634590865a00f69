//! The steps of a round, in order.

use std::fmt;

/// Which way the home moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Round {
    /// From the source of the move (M) to its target (N).
    Cutover,
    /// Back from N to M.
    Rollback,
}

impl Round {
    /// The steps in order.
    pub fn steps(self) -> &'static [Step] {
        use Step::{
            Bridge, Close, Drain, Fence, Gates, HalfOpen, Hooks, Marker, Open, Pool, Repoint, Sequences,
            Switch, Tidy,
        };
        match self {
            Self::Cutover => &[
                Gates, Bridge, Pool, Fence, Marker, Drain, Sequences, Hooks, HalfOpen, Switch, Open, Repoint,
                Tidy,
            ],
            Self::Rollback => {
                &[Gates, Pool, Fence, Marker, Drain, Sequences, Hooks, Close, Switch, Open, Repoint, Tidy]
            }
        }
    }

    /// `cutover` or `rollback`: the prefix of step names in the journal.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cutover => "cutover",
            Self::Rollback => "rollback",
        }
    }
}

/// One step of a round. M decides: T is the transaction on M whose commit is the switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// Everything that can be checked without stopping anybody.
    Gates,
    /// Cutover: foreign tables and views are made ready on M under names nobody uses.
    Bridge,
    /// The connection pooler holds its clients back. Nothing where cleave.toml names none.
    Pool,
    /// T begins and takes its locks; writers queue. Rollback: also TN on N, which closes the fence there.
    Fence,
    /// A marker is written into the WAL of the home, from another session.
    Marker,
    /// The other side has applied and flushed the marker.
    Drain,
    /// The other side's sequences are set to the further of both states.
    Sequences,
    /// The user's own commands, with both sides at the same state and nobody writing.
    Hooks,
    /// Cutover: N's fence lets the bridge role through; N's owner row says that M decides.
    HalfOpen,
    /// Rollback: TN commits with N fenced and "M decides" in N's owner row.
    Close,
    /// T's last statements and its commit: the point of no return.
    Switch,
    /// What the other side may only do once T is known to be committed.
    Open,
    /// The pooler leads its clients to the new home and lets them go on.
    Repoint,
    /// What can wait until writers go on: keys validated, old bridge objects dropped.
    Tidy,
}

impl Step {
    /// As it stands in the journal and in output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gates => "gates",
            Self::Bridge => "bridge",
            Self::Pool => "pool",
            Self::Fence => "fence",
            Self::Marker => "marker",
            Self::Drain => "drain",
            Self::Sequences => "sequences",
            Self::Hooks => "hooks",
            Self::HalfOpen => "half_open",
            Self::Close => "close",
            Self::Switch => "switch",
            Self::Open => "open",
            Self::Repoint => "repoint",
            Self::Tidy => "tidy",
        }
    }

    /// True if an attempt that ends here must take something back. Markers and sequences on a fenced side hurt
    /// nobody; a pooler that holds nobody is resumed for nothing; `Switch` that did not commit is undone with `Fence`, which ends T.
    pub fn leaves_something(self) -> bool {
        matches!(self, Self::Bridge | Self::Pool | Self::Fence | Self::HalfOpen | Self::Close)
    }

    /// True while writers of the service wait.
    pub fn is_inside_pause(self) -> bool {
        !matches!(self, Self::Gates | Self::Bridge | Self::Repoint | Self::Tidy)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
