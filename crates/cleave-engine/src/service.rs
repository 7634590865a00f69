//! The engine as a service: it goes on by itself after what may pass, with growing pauses.

use crate::{EngineError, Events, Phase, Pulse, Topology, engine::Engine};
use cleave_journal::JournalError;
use cleave_stream::Cancelled;
use std::time::Duration;

/// The first pause after a failure, and the longest.
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// How often an engine without a move looks for one.
const IDLE_LOOK: Duration = Duration::from_secs(2);
/// An engine that worked so long begins with the shortest pause again.
const SETTLED: Duration = Duration::from_secs(300);

/// The engine until stopped, whatever comes: a server that is away, a lease that another engine holds or has taken, and
/// a file whose services have no open move yet are waited for.
///
/// # Errors
/// What waiting does not mend: cleave.toml, a URL that cannot be had, a password or right that is missing.
pub async fn serve(
    topology: &Topology,
    events: &Events,
    cancelled: &Cancelled,
    pulse: &Pulse,
) -> Result<(), EngineError> {
    let mut pause = PAUSE_MIN;
    loop {
        let began = tokio::time::Instant::now();
        let (waits, error) = match Box::pin(attempt(topology, events, cancelled, pulse)).await {
            Ok(Ended::Stopped) => return Ok(()),
            Ok(Ended::Nothing) => {
                if pulse.beat().phase != Phase::Idle {
                    events.note(None, "no service has an open move; waits for one".to_owned());
                }
                pulse.enter(Phase::Idle);
                (IDLE_LOOK, None)
            }
            // Asking again costs its holder nothing, and it may be a verb that ends soon.
            Err(error @ EngineError::Journal(JournalError::LeaseHeld { .. })) => (IDLE_LOOK, Some(error)),
            Err(error) if passes(&error) => {
                if began.elapsed() >= SETTLED {
                    pause = PAUSE_MIN;
                }
                let waits = pause.mul_f64(0.75 + fastrand::f64() / 2.0);
                pause = (pause * 2).min(PAUSE_MAX);
                (waits, Some(error))
            }
            Err(error) => return Err(error),
        };
        if let Some(error) = error {
            let problem = error.problem();
            // The same answer again and again is told once.
            let told = matches!(pulse.beat().phase, Phase::Waiting(known) if known.code == problem.code);
            if !told {
                events.tell(cleave_api::Event::Problem { service: None, problem: problem.clone() });
            }
            pulse.enter(Phase::Waiting(Box::new(problem)));
            pulse.change(|beat| beat.restarts += 1);
        }
        tokio::select! {
            () = pulse.during(tokio::time::sleep(waits)) => {}
            () = cancelled.cancelled() => return Ok(()),
        }
    }
}

enum Ended {
    /// As it was told to.
    Stopped,
    /// There was nothing to do.
    Nothing,
}

async fn attempt(
    topology: &Topology,
    events: &Events,
    cancelled: &Cancelled,
    pulse: &Pulse,
) -> Result<Ended, EngineError> {
    let mut engine =
        Engine::new(topology.clone(), events.clone(), cancelled.clone()).with_pulse(pulse.clone());
    let taken = tokio::select! {
        taken = pulse.during(engine.take_open()) => taken,
        () = cancelled.cancelled() => Ok(0),
    };
    let ended = match taken {
        Ok(0) if cancelled.is_cancelled() => Ok(Ended::Stopped),
        Ok(0) => Ok(Ended::Nothing),
        Ok(_) => {
            events.note(None, engine.greeting());
            engine.run().await.map(|()| Ended::Stopped)
        }
        Err(error) => Err(error),
    };
    Box::pin(pulse.during(engine.close())).await;
    ended
}

/// True for what may be gone at the next attempt.
fn passes(error: &EngineError) -> bool {
    match error {
        EngineError::Journal(JournalError::LeaseLost { .. }) => true,
        EngineError::Journal(JournalError::Query { what, source }) => {
            cleave_pg::PgError::from_driver(what, source).is_retryable()
        }
        EngineError::Pg(error) | EngineError::Connect { source: error, .. } => error.is_retryable(),
        EngineError::Stream(error) => error.is_retryable(),
        _ => false,
    }
}
