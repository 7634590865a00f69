//! Names of the kill points: before and after every effect, in both directions.

use cleave_plan::cutover::{Round, Step};

macro_rules! points {
    ($round:literal, $step:expr; $($variant:ident => $name:literal),+ $(,)?) => {
        match $step {
            $(Step::$variant => [
                concat!($round, ".", $name, ".before"),
                concat!($round, ".", $name, ".after"),
                concat!($round, ".undo_", $name, ".before"),
                concat!($round, ".undo_", $name, ".after"),
            ],)+
        }
    };
}

/// Failpoint names of a step: before and after it is run, before and after it is undone.
pub(super) fn points_of(round: Round, step: Step) -> [&'static str; 4] {
    macro_rules! all {
        ($round:literal) => {
            points!($round, step;
                Gates => "gates", Bridge => "bridge", Pool => "pool", Fence => "fence", Marker => "marker", Drain => "drain",
                Sequences => "sequences", Hooks => "hooks", HalfOpen => "half_open", Close => "close", Switch => "switch", Open => "open",
                Repoint => "repoint", Tidy => "tidy",
            )
        };
    }
    match round {
        Round::Cutover => all!("cutover"),
        Round::Rollback => all!("rollback"),
    }
}
