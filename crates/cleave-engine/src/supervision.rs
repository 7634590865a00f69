//! Streams that have stopped: told once, and kept in the move's row for `status`.

use crate::{EngineError, runner::Runner};
use cleave_api::{NextStep, Risk};
use cleave_journal::MoveRow;
use cleave_model::Direction;

impl Runner {
    /// Looks after streams: a table that has stopped the others is detached; what else stops one is told.
    pub(crate) async fn tend_streams(&mut self) -> Result<(), EngineError> {
        let failure = self.streams.get(Direction::Forward).and_then(|stream| stream.failure());
        if let Some(failure) = failure
            && self.reported[0].as_ref() != Some(&failure.to_string())
        {
            match Box::pin(self.detach(&failure)).await {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(error) => {
                    let problem = error.problem();
                    let message = format!("the table cannot be detached: {}", problem.message);
                    self.events.note(Some(&self.service), message);
                }
            }
        }
        self.report_stopped_streams().await?;
        Box::pin(self.tend_detached()).await
    }

    /// Stores the problem of a stream that has stopped for good. A stopped stream is started again by `resume`.
    pub(crate) async fn report_stopped_streams(&mut self) -> Result<(), EngineError> {
        for direction in [Direction::Forward, Direction::Back] {
            let Some(failure) = self.streams.get(direction).and_then(|stream| stream.failure()) else {
                continue;
            };
            // Whoever has taken over has streams of its own; their row is none of ours.
            if crate::help::lease_lost(&failure).is_some() {
                continue;
            }
            let told = &mut self.reported[usize::from(direction == Direction::Back)];
            if told.as_ref() == Some(&failure.to_string()) {
                continue;
            }
            *told = Some(failure.to_string());
            let problem = cleave_api::Problem::from_error(failure.code(), &*failure)
                .about(format!("{direction} stream of service {}", self.service))
                .hint(crate::help::for_stopped(&failure, direction, &self.service))
                .next(NextStep::cleave(
                    ["explain", failure.code()],
                    "it tells the cause and the fix",
                    Risk::Read,
                ));
            let session = self.journal().await?;
            let value = serde_json::to_value(&problem).map_err(|error| EngineError::Stored {
                what: "the problem".to_owned(),
                reason: error.to_string(),
            })?;
            MoveRow::set_problem(&*session, &self.service, Some(&value)).await?;
            // Another server or timeline, or a write past the fence: what was proven is proven no longer.
            MoveRow::set_verification(&*session, &self.service, None).await?;
            self.events.tell(cleave_api::Event::Problem { service: Some(self.service.to_string()), problem });
        }
        Ok(())
    }
}
