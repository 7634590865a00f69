//! `cleave history --proof` and `--check`.

use super::style::{BAD, BOLD, DIM, GOOD, paint};
use super::{Human, table};
use cleave_api::{Proof, ProofCheck, ProofSwitch, SwitchDirection};
use cleave_model::{format_bytes, format_count, format_duration_ms};

impl Human for Proof {
    fn human(&self, _verbose: u8) -> String {
        let [old, new] = &self.databases;
        let mut text = format!(
            "{}  move {} of {} to {}, {}\n",
            paint(BOLD, &self.service),
            self.move_id,
            old.name,
            new.name,
            self.state
        );
        text.push_str(&table::columns(&self.facts()));
        for verification in &self.verifications {
            text.push_str(&format!(
                "  {}  {} rows compared, {} differences, {} unproven\n",
                verification.at,
                format_count(verification.rows),
                format_count(verification.differences),
                format_count(verification.unproven)
            ));
        }
        if !self.switches.is_empty() {
            text.push_str("  switches\n");
            let rows: Vec<[String; 6]> = self.switches.iter().map(switch).collect();
            text.push_str(&table::columns(&rows));
        }
        text
    }
}

trait Facts {
    fn facts(&self) -> Vec<[String; 2]>;
}

impl Facts for Proof {
    fn facts(&self) -> Vec<[String; 2]> {
        let mut facts = vec![["  plan".to_owned(), self.plan.clone()]];
        for database in &self.databases {
            let (system, version) = (&database.system_identifier, &database.server_version);
            let what = format!("PostgreSQL {version}, system identifier {system}");
            facts.push([format!("  {}", database.name), what]);
        }
        if let Some(from) = &self.changes_from {
            facts.push(["  changes".to_owned(), format!("followed from {from} on")]);
        }
        if let Some(copied) = self.copied {
            let what = format!("{} rows, {}", format_count(copied.rows), format_bytes(copied.bytes));
            facts.push(["  copied".to_owned(), what]);
        }
        let (home, epoch) = (&self.home.database, self.home.epoch);
        let agreed = if self.home.agreed {
            paint(GOOD, "both databases say so")
        } else {
            paint(BAD, "the databases do not agree")
        };
        facts.push(["  home".to_owned(), format!("{home}, epoch {epoch}; {agreed}")]);
        let (entries, digest) = (self.journal.entries, &self.journal.digest);
        facts.push(["  journal".to_owned(), format!("{entries} entries, sha256 {}", paint(DIM, digest))]);
        if self.verifications.is_empty() {
            facts.push(["  compared".to_owned(), "never".to_owned()]);
        } else {
            facts.push(["  compared".to_owned(), String::new()]);
        }
        facts
    }
}

fn switch(switch: &ProofSwitch) -> [String; 6] {
    let direction = match switch.direction {
        SwitchDirection::Cutover => "cutover",
        SwitchDirection::Rollback => "rollback",
    };
    let end = if switch.switched { paint(GOOD, "done") } else { paint(BAD, "undone") };
    let why = switch.reason.as_ref().map_or_else(String::new, |reason| format!("because: {reason}"));
    [
        format!("  {}", switch.at),
        format!("epoch {}", switch.epoch),
        if switch.with.is_empty() {
            format!("{direction} {end}")
        } else {
            format!("{direction} {end} with {}", switch.with.join(", "))
        },
        format!("writes paused {}", format_duration_ms(switch.pause_ms)),
        switch.by.as_ref().map_or_else(String::new, |by| format!("by {by}")),
        why,
    ]
}

impl Human for ProofCheck {
    fn human(&self, _verbose: u8) -> String {
        let service = paint(BOLD, &self.service);
        if self.holds {
            let holds = paint(GOOD, "the proof holds");
            return format!(
                "{service}  {holds}: same journal, same servers, one home with an epoch no lower\n"
            );
        }
        format!("{service}  {}\n", paint(BAD, "the proof does not hold"))
    }
}
