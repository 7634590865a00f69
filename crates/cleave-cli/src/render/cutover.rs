//! `cleave cutover` and `cleave rollback`.

use super::style::{BAD, GOOD, HINT, paint};
use super::{Human, table};
use cleave_api::{CutoverOutcome, CutoverReport, SwitchDirection};
use cleave_model::format_duration_ms;

impl Human for CutoverReport {
    fn human(&self, _verbose: u8) -> String {
        let mut at_ms = 0;
        let mut rows = Vec::new();
        for step in &self.steps {
            at_ms += step.ms;
            rows.push([format!("{:>8}", format_duration_ms(at_ms)), step.name.clone()]);
        }
        let mut text = table::columns(&rows);
        text.push_str(&self.verdict());
        if let Some(reason) = &self.reason {
            text.push_str(&format!("Because   {reason}\n"));
        }
        text
    }
}

trait Verdict {
    fn verdict(&self) -> String;
}

impl Verdict for CutoverReport {
    fn verdict(&self) -> String {
        let verb = match self.direction {
            SwitchDirection::Cutover => "cutover",
            SwitchDirection::Rollback => "rollback",
        };
        let (pause, budget) = (format_duration_ms(self.pause_ms), format_duration_ms(self.budget_ms));
        let (service, home, epoch) = (&self.service, &self.home, self.epoch);
        match self.outcome {
            CutoverOutcome::Switched => format!(
                "{}      writes paused for {pause} of {budget}. Writes to {service} now go to {home}, epoch {epoch}.\n",
                paint(GOOD, "Done")
            ),
            CutoverOutcome::Aborted => format!(
                "{}   the {verb} undid itself after {pause} of {budget}. Writes to {service} still go to {home}, epoch {epoch}.\n",
                paint(BAD, "Aborted")
            ),
            CutoverOutcome::Refused => format!(
                "{}   nothing was changed. Writes to {service} still go to {home}, epoch {epoch}.\n",
                paint(BAD, "Refused")
            ),
            CutoverOutcome::Rehearsed => format!(
                "{} every gate of the {verb} holds. Nothing was changed; writes may pause for up to {budget}.\n",
                paint(HINT, "Rehearsed")
            ),
        }
    }
}
