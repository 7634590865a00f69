//! What the demonstration says while it goes on: one line per step, with the time since its start.

use crate::output::Output;
use cleave_api::Event;
use cleave_engine::Events;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Tells what happens. Clones share one clock.
#[derive(Clone, Debug)]
pub(super) struct Narration {
    output: Output,
    began: Instant,
    copied: Arc<AtomicU64>,
}

impl Narration {
    /// The clock starts now.
    pub(super) fn begin(output: Output) -> Self {
        Self { output, began: Instant::now(), copied: Arc::default() }
    }

    /// Tells one step.
    pub(super) fn tell(&self, message: impl AsRef<str>) {
        let message = format!("{:>5.1} s  {}", self.seconds(), message.as_ref());
        self.output.event(&Event::Note { service: None, message });
    }

    /// Seconds since the start.
    pub(super) fn seconds(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    /// Rows that the engine has copied so far.
    pub(super) fn rows_copied(&self) -> u64 {
        self.copied.load(Ordering::Relaxed)
    }

    /// For the engine: its progress becomes bars, its finished steps become lines below the one that began them.
    pub(super) fn events(&self) -> Events {
        let narration = self.clone();
        Events::new(move |event| narration.engine(&event))
    }

    fn engine(&self, event: &Event) {
        match event {
            Event::StepStarted { .. } => return,
            Event::CopyProgress { progress, .. } => {
                self.copied.fetch_max(progress.rows, Ordering::Relaxed);
            }
            _ => {}
        }
        self.output.event(event);
    }
}
