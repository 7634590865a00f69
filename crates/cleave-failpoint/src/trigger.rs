//! What shall happen at a point, and its notation.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// What happens at a point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// `exit`: the process kills itself with SIGKILL; nothing is cleaned up.
    Exit,
    /// `error`: the point returns an error.
    Error,
    /// `sleep(MS)`: the point takes that many milliseconds.
    Sleep(Duration),
    /// `pause(FILE)`: the point creates the file, by which others see that it was reached, and goes on when the file
    /// has been removed.
    Pause(PathBuf),
}

/// An action and when it happens: `exit` each time the point is passed, `3*exit` the third time only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trigger {
    /// What happens.
    pub action: Action,
    /// At which passing, counted from 1; at each without it.
    pub only_at: Option<u64>,
}

impl From<Action> for Trigger {
    fn from(action: Action) -> Self {
        Self { action, only_at: None }
    }
}

/// A text that is no trigger.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no failpoint action: expected [N*]exit, error, sleep(MS) or pause(FILE)")]
pub struct MalformedTrigger(String);

impl FromStr for Trigger {
    type Err = MalformedTrigger;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let malformed = || MalformedTrigger(text.to_owned());
        let (only_at, action) = match text.split_once('*') {
            Some((count, action)) => {
                let count = count.trim().parse().ok().filter(|count| *count > 0).ok_or_else(malformed)?;
                (Some(count), action.trim())
            }
            None => (None, text.trim()),
        };
        let argument = |name: &str| action.strip_prefix(name)?.strip_prefix('(')?.strip_suffix(')');
        let action = match action {
            "exit" => Action::Exit,
            "error" => Action::Error,
            _ => match (argument("sleep"), argument("pause")) {
                (Some(ms), _) => Action::Sleep(Duration::from_millis(ms.parse().map_err(|_| malformed())?)),
                (None, Some(file)) if !file.is_empty() => Action::Pause(PathBuf::from(file)),
                _ => return Err(malformed()),
            },
        };
        Ok(Self { action, only_at })
    }
}

/// Reads `NAME=TRIGGER` pairs divided by semicolons.
pub(crate) fn parse_list(text: &str) -> Result<Vec<(String, Trigger)>, MalformedTrigger> {
    let items = text.split(';').map(str::trim).filter(|item| !item.is_empty());
    let pairs = items.map(|item| {
        let (name, trigger) = item.split_once('=').ok_or_else(|| MalformedTrigger(item.to_owned()))?;
        Ok((name.trim().to_owned(), trigger.trim().parse()?))
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_points_is_read_with_counts_and_arguments() {
        let list = parse_list("a.b=exit; c=3*error ;d = sleep(500);e=2*pause(/tmp/x y);").unwrap();
        let trigger = |action, only_at| Trigger { action, only_at };
        let expected = [
            ("a.b", trigger(Action::Exit, None)),
            ("c", trigger(Action::Error, Some(3))),
            ("d", trigger(Action::Sleep(Duration::from_millis(500)), None)),
            ("e", trigger(Action::Pause(PathBuf::from("/tmp/x y")), Some(2))),
        ];
        assert_eq!(list, expected.map(|(name, trigger)| (name.to_owned(), trigger)));
    }

    #[test]
    fn what_is_no_action_is_refused() {
        for text in ["a", "a=", "a=explode", "a=0*exit", "a=x*exit", "a=sleep", "a=sleep(soon)", "a=pause()"]
        {
            assert!(parse_list(text).is_err(), "{text}");
        }
    }
}
