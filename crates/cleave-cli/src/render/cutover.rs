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
    /// Where writes to each service go.
    fn homes(&self, go: &str) -> String;
}

impl Verdict for CutoverReport {
    fn homes(&self, go: &str) -> String {
        let mut homes = format!("Writes to {} {go} to {}, epoch {}", self.service, self.home, self.epoch);
        for other in &self.with {
            homes.push_str(&format!("; those to {} to {}, epoch {}", other.service, other.home, other.epoch));
        }
        homes
    }

    fn verdict(&self) -> String {
        let verb = match self.direction {
            SwitchDirection::Cutover => "cutover",
            SwitchDirection::Rollback => "rollback",
        };
        let (pause, budget) = (format_duration_ms(self.pause_ms), format_duration_ms(self.budget_ms));
        let together = if self.with.is_empty() {
            String::new()
        } else {
            let names: Vec<&str> = self.with.iter().map(|other| other.service.as_str()).collect();
            format!(" of {} with {}", self.service, names.join(", "))
        };
        match self.outcome {
            CutoverOutcome::Switched => format!(
                "{}      writes paused for {pause} of {budget}. {}.\n",
                paint(GOOD, "Done"),
                self.homes("now go")
            ),
            CutoverOutcome::Aborted => format!(
                "{}   the {verb} undid itself after {pause} of {budget}. {}.\n",
                paint(BAD, "Aborted"),
                self.homes("still go")
            ),
            CutoverOutcome::Refused => {
                format!("{}   nothing was changed. {}.\n", paint(BAD, "Refused"), self.homes("still go"))
            }
            CutoverOutcome::Rehearsed => format!(
                "{} every gate of the {verb}{together} holds. Nothing was changed; writes may pause for up to {budget}.\n",
                paint(HINT, "Rehearsed")
            ),
        }
    }
}
