//! What an operator says beside a verb. It goes with the verb to the engine that executes it, wherever that is.

use cleave_model::ServiceName;
use serde_json::{Map, Value};
use std::time::Duration;

/// Wishes for one verb; none is the rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    /// Why it is done; stands in the journal.
    pub reason: Option<String>,
    /// Sessions that keep a switch from its locks are ended once the ladder and their transaction are this old.
    pub terminate_blockers_after: Option<Duration>,
    /// Services that a switch takes along, all or none.
    pub with: Vec<ServiceName>,
    /// A new home may be protected less than the old one.
    pub accept_less_protection: bool,
    /// A move may be completed while its bridge is used.
    pub bridge_in_use: bool,
    /// How long tables and indexes of the new home are read before a switch, instead of `limits.warm_up`.
    pub warm_up: Option<Duration>,
    /// What the workers of a copy read per second at most, instead of `limits.copy_rate`.
    pub copy_bytes_per_second: Option<u64>,
    /// Tables that `resume` copies again, by patterns of their names on the source.
    pub recopy: Vec<String>,
    /// When a copy pauses, where it is not to be as `limits` says.
    pub copy_load: cleave_stream::LoadLimits,
}

const REASON: &str = "reason";
const TERMINATE: &str = "terminate_blockers_after_ms";
const WITH: &str = "with";
const LESS_PROTECTION: &str = "accept_less_protection";
const BRIDGE_IN_USE: &str = "bridge_in_use";
const WARM_UP: &str = "warm_up_ms";
const COPY_RATE: &str = "copy_bytes_per_second";
const RECOPY: &str = "recopy";
const COPY_LAG: &str = "copy_lag_bytes_max";
const COPY_SESSIONS: &str = "copy_sessions_max";
const COPY_TARGET_LOG: &str = "copy_target_log_bytes_max";

impl Wishes {
    /// Adds them to a verb's arguments in `cleave.operation`.
    pub(crate) fn write(&self, arguments: &mut Map<String, Value>) {
        let ms = |after: Duration| u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
        let wishes = [
            (REASON, self.reason.clone().map(Value::from)),
            (LESS_PROTECTION, self.accept_less_protection.then(|| true.into())),
            (BRIDGE_IN_USE, self.bridge_in_use.then(|| true.into())),
            (WARM_UP, self.warm_up.map(|limit| ms(limit).into())),
            (TERMINATE, self.terminate_blockers_after.map(|after| ms(after).into())),
            (
                WITH,
                (!self.with.is_empty())
                    .then(|| self.with.iter().map(ServiceName::as_str).collect::<Vec<_>>().into()),
            ),
            (RECOPY, (!self.recopy.is_empty()).then(|| self.recopy.clone().into())),
            (COPY_RATE, self.copy_bytes_per_second.map(Value::from)),
            (COPY_LAG, self.copy_load.lag_bytes_max.map(Value::from)),
            (COPY_SESSIONS, self.copy_load.sessions_max.map(Value::from)),
            (COPY_TARGET_LOG, self.copy_load.target_log_bytes_max.map(Value::from)),
        ];
        arguments.extend(wishes.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))));
    }

    /// Reads what [`Self::write`] has written.
    pub(crate) fn read(arguments: &Value) -> Self {
        let number = |key| arguments.get(key).and_then(Value::as_u64);
        Self {
            reason: arguments.get(REASON).and_then(Value::as_str).map(str::to_owned),
            terminate_blockers_after: number(TERMINATE).map(Duration::from_millis),
            with: arguments
                .get(WITH)
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .filter_map(|name| ServiceName::parse(name.as_str()?).ok())
                .collect(),
            accept_less_protection: arguments.get(LESS_PROTECTION).and_then(Value::as_bool).unwrap_or(false),
            bridge_in_use: arguments.get(BRIDGE_IN_USE).and_then(Value::as_bool).unwrap_or(false),
            warm_up: number(WARM_UP).map(Duration::from_millis),
            copy_bytes_per_second: number(COPY_RATE),
            recopy: arguments
                .get(RECOPY)
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .filter_map(|text| text.as_str().map(str::to_owned))
                .collect(),
            copy_load: cleave_stream::LoadLimits {
                lag_bytes_max: number(COPY_LAG),
                sessions_max: number(COPY_SESSIONS).and_then(|most| u32::try_from(most).ok()),
                target_log_bytes_max: number(COPY_TARGET_LOG),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wished_here_is_wished_where_the_verb_is_executed() {
        let wishes = Wishes {
            reason: Some("ticket 7".into()),
            terminate_blockers_after: Some(Duration::from_secs(5)),
            with: vec![ServiceName::parse("stores").unwrap()],
            accept_less_protection: true,
            bridge_in_use: true,
            warm_up: Some(Duration::from_secs(30)),
            copy_bytes_per_second: Some(1 << 20),
            recopy: vec!["public.film".into()],
            copy_load: cleave_stream::LoadLimits {
                lag_bytes_max: Some(1 << 21),
                sessions_max: Some(12),
                target_log_bytes_max: Some(1 << 33),
            },
        };
        for wishes in [wishes, Wishes::default()] {
            let mut arguments = Map::new();
            wishes.write(&mut arguments);
            assert_eq!(Wishes::read(&Value::Object(arguments)), wishes);
        }
    }
}
