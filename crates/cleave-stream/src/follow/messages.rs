//! Logical messages that Cleave itself wrote into the stream.

use super::{FollowSpec, item::Switch};
use crate::StreamError;
use cleave_model::{DatabaseName, Epoch, ServiceName, labels};
use cleave_proto::pgoutput::LogicalMessage;
use serde_json::Value;

/// What a message means to a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Nothing: a heartbeat, another service's switch, or somebody else's message.
    Nothing,
    /// The marker's id.
    Marker(String),
    /// The home of this service.
    Switch(Switch),
}

/// Reads a message. Only transactional ones have a place in the order of commits.
pub(super) fn meaning(spec: &FollowSpec, message: &LogicalMessage) -> Result<Meaning, StreamError> {
    if !message.transactional {
        return Ok(Meaning::Nothing);
    }
    match message.prefix.as_str() {
        labels::MESSAGE_MARKER => match std::str::from_utf8(&message.content) {
            Ok(id) => Ok(Meaning::Marker(id.to_owned())),
            Err(_) => Err(malformed("a marker that is not text")),
        },
        labels::MESSAGE_SWITCH => switch(&spec.service, &message.content),
        _ => Ok(Meaning::Nothing),
    }
}

fn malformed(what: &str) -> StreamError {
    StreamError::Protocol { problem: format!("the stream carries {what}") }
}

fn switch(service: &ServiceName, content: &[u8]) -> Result<Meaning, StreamError> {
    let value: Value =
        serde_json::from_slice(content).map_err(|_| malformed("a switch message that is not JSON"))?;
    let text = |key: &str| value.get(key).and_then(Value::as_str);
    let Some(switched) = text("service") else {
        return Err(malformed("a switch message that names no service"));
    };
    if switched != service.as_str() {
        return Ok(Meaning::Nothing);
    }
    let home = text("home").and_then(|home| DatabaseName::parse(home).ok());
    let epoch = value.get("epoch").and_then(Value::as_i64).map(Epoch);
    match (home, epoch) {
        (Some(home), Some(epoch)) => Ok(Meaning::Switch(Switch { home, epoch })),
        _ => Err(malformed("a switch message without home or epoch")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn films(content: &str) -> Result<Meaning, StreamError> {
        switch(&ServiceName::parse("films").unwrap(), content.as_bytes())
    }

    #[test]
    fn a_switch_concerns_only_the_service_it_names() {
        let home = DatabaseName::parse("products").unwrap();
        assert_eq!(
            films(r#"{"service":"films","epoch":2,"home":"products"}"#).unwrap(),
            Meaning::Switch(Switch { home, epoch: Epoch(2) })
        );
        assert_eq!(films(r#"{"service":"staff","epoch":2,"home":"x"}"#).unwrap(), Meaning::Nothing);
    }

    #[test]
    fn a_switch_that_cannot_be_understood_stops_the_stream() {
        for bad in ["", "[]", r#"{"service":"films"}"#, r#"{"service":"films","epoch":"2","home":"m"}"#] {
            assert_eq!(films(bad).unwrap_err().code(), "C0510", "{bad}");
        }
    }
}
