//! Events on their way to whoever shows them.

use cleave_api::Event;
use cleave_model::ServiceName;
use std::{sync::Arc, time::Instant};

/// Takes events; cheap to clone. Never blocks and never fails: a reader that is gone hears nothing.
#[derive(Clone)]
pub struct Events(Arc<dyn Fn(Event) + Send + Sync>);

impl Events {
    /// Hands every event to `sink`, in order, from any task.
    pub fn new(sink: impl Fn(Event) + Send + Sync + 'static) -> Self {
        Self(Arc::new(sink))
    }

    /// Drops every event.
    pub fn silent() -> Self {
        Self::new(|_| ())
    }

    /// Tells an event.
    pub fn tell(&self, event: Event) {
        (self.0)(event);
    }

    /// Tells a line for people.
    pub fn note(&self, service: Option<&ServiceName>, message: impl Into<String>) {
        self.tell(Event::Note { service: service.map(ToString::to_string), message: message.into() });
    }

    /// Tells that a step begins; [`StepClock::finish`] tells its end.
    pub fn step(&self, service: &ServiceName, step: &str, summary: impl Into<String>) -> StepClock {
        let (service, step) = (service.to_string(), step.to_owned());
        self.tell(Event::StepStarted {
            service: service.clone(),
            step: step.clone(),
            summary: summary.into(),
        });
        StepClock { events: self.clone(), service, step, began: Instant::now() }
    }
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Events")
    }
}

/// A step that has begun.
#[derive(Debug)]
pub struct StepClock {
    events: Events,
    service: String,
    step: String,
    began: Instant,
}

impl StepClock {
    /// Tells that the step is done, with what it did.
    pub fn finish(self, summary: impl Into<String>) {
        let elapsed_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let (service, step) = (self.service, self.step);
        self.events.tell(Event::StepFinished { service, step, summary: summary.into(), elapsed_ms });
    }
}
