//! Is the process alive, and does it do its work.

use cleave_engine::{Beat, Phase};
use std::time::Duration;

/// An engine says every second that it is alive; one that is silent so long hangs.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// What a probe is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// True for 200, false for 503.
    pub good: bool,
    /// One line, without its end.
    pub text: String,
}

/// `/healthz`: false if the process should be restarted. A database that is away is no reason: restarting does not bring
/// it back.
pub fn health(beat: &Beat) -> Answer {
    let silent = beat.at.elapsed();
    if silent < SILENCE_MAX {
        return Answer { good: true, text: "ok".to_owned() };
    }
    Answer { good: false, text: format!("the engine has said nothing for {} s", silent.as_secs()) }
}

/// `/readyz`: true if the engine does its work, or would if there were any.
pub fn readiness(beat: &Beat) -> Answer {
    let answer = health(beat);
    if !answer.good {
        return answer;
    }
    let refused = |text: String| Answer { good: false, text };
    match &beat.phase {
        Phase::Starting => refused("the engine starts".to_owned()),
        Phase::Stopping => refused("the engine stops".to_owned()),
        // The message may name what a probe's reader should not see; the code is enough to look it up.
        Phase::Waiting(problem) => {
            refused(format!("the engine waits: {}, see `cleave explain {0}`", problem.code))
        }
        Phase::Idle => Answer { good: true, text: "ok: no service has an open move".to_owned() },
        Phase::Running => {
            let failed: Vec<String> = beat
                .streams
                .iter()
                .filter(|(_, streams)| streams.iter().any(cleave_engine::StreamBeat::has_failed))
                .map(|(service, _)| service.to_string())
                .collect();
            if failed.is_empty() {
                return Answer { good: true, text: "ok".to_owned() };
            }
            refused(format!("a stream has stopped of {}, see `cleave status`", failed.join(", ")))
        }
    }
}
