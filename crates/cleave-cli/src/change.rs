//! Verbs that end in one state: `complete`, `cancel`, `pause`, `resume`. They ask, or rehearse, and say where the
//! service stands afterwards.

use crate::context::Context;
use crate::failure::Failure;
use crate::work::Work;
use cleave_api::{ChangeReport, ExitCode, NextStep, Output, Risk, ServiceStatus};
use cleave_engine::{EngineError, Verb};
use cleave_model::ServiceName;
use cleave_plan::Plan;

/// What a verb would do, line by line; or why it would not.
pub type Rehearse = fn(&ServiceStatus, &Plan) -> Result<Vec<String>, EngineError>;

/// One of these verbs.
pub struct Change {
    /// Its name.
    pub verb: &'static str,
    /// The service.
    pub service: ServiceName,
    /// Says what it would do.
    pub rehearsal: Rehearse,
    /// What is said before a yes is asked for; nothing is asked without it.
    pub ask: Option<String>,
    /// How it is taken back.
    pub undo: Option<NextStep>,
}

impl Change {
    /// Rehearses, or asks and executes.
    ///
    /// # Errors
    /// A state that does not allow the verb, no yes, and what the engine says.
    pub async fn run(
        self,
        verb: Verb,
        dry_run: bool,
        work: &Work,
        context: &Context,
    ) -> Result<ExitCode, Failure> {
        if dry_run {
            return self.rehearse(work, context).await;
        }
        if let Some(about) = &self.ask {
            context.confirm(about, self.service.as_str())?;
        }
        work.execute(&self.service, verb).await?;
        let steps = work.next(&self.service).await?;
        let report = report(work, &self.service, self.verb, work.done()).await?;
        context.output.report(Output::new(report).with_next(steps), self.undo)?;
        Ok(ExitCode::Done)
    }

    async fn rehearse(self, work: &Work, context: &Context) -> Result<ExitCode, Failure> {
        let status = work.status(&self.service).await?;
        let lines = if work.is_split(&self.service) {
            let plan = cleave_engine::plan_split(&work.topology, &self.service).await?;
            crate::split_plan::rehearse(self.verb, &status, &plan)?
        } else {
            let plan = cleave_engine::plan(&work.topology, &self.service).await?;
            (self.rehearsal)(&status, &plan)?
        };
        let report = ChangeReport { dry_run: true, ..report(work, &self.service, self.verb, lines).await? };
        let risk = if self.undo.is_some() { Risk::Reversible } else { Risk::Permanent };
        let next = NextStep::cleave([self.verb, self.service.as_str()], "does it", risk);
        context.output.report(Output::new(report).with_next([next]), None)?;
        Ok(ExitCode::Done)
    }
}

/// Where a service stands after a verb.
///
/// # Errors
/// Its source database cannot be read.
pub async fn report(
    work: &Work,
    service: &ServiceName,
    verb: &str,
    done: Vec<String>,
) -> Result<ChangeReport, Failure> {
    let status = work.status(service).await?;
    Ok(ChangeReport {
        service: service.to_string(),
        verb: verb.to_owned(),
        dry_run: false,
        state: status.state,
        home: status.home,
        epoch: status.epoch,
        done,
    })
}
