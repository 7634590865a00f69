//! `cleave cleanup`.

use super::style::{BAD, BOLD, GOOD, HINT, WARN, paint};
use super::{Human, counted};
use cleave_api::{CleanupFate, CleanupReport};
use std::fmt::Write as _;

impl Human for CleanupReport {
    fn human(&self, verbose: u8) -> String {
        let mut text = String::new();
        let mut in_use = 0;
        for item in &self.items {
            let (style, word) = match item.fate {
                CleanupFate::Droppable => (WARN, "to drop"),
                CleanupFate::Dropped => (GOOD, "dropped"),
                CleanupFate::Failed => (BAD, "failed"),
                CleanupFate::ForAPerson => (HINT, "by hand"),
                CleanupFate::InUse if verbose == 0 => {
                    in_use += 1;
                    continue;
                }
                CleanupFate::InUse => (HINT, "in use"),
            };
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{}  {} {}", paint(style, word), item.database, paint(BOLD, &item.object));
            let _ = writeln!(text, "         {}", item.why);
            if let Some(sql) = item.sql.as_ref().filter(|_| item.fate != CleanupFate::Dropped) {
                let _ = writeln!(text, "         {sql};");
            }
        }
        for unseen in &self.unseen {
            let _ = writeln!(text, "{}  {unseen}", paint(WARN, "not seen"));
        }
        if self.items.len() as u64 == in_use && self.unseen.is_empty() {
            let _ = writeln!(text, "{}: nothing is left of moves that are over", paint(GOOD, "clean"));
        }
        if in_use > 0 {
            let _ = writeln!(
                text,
                "{} in use and left alone; -v shows them",
                counted(in_use, "thing is", "things are")
            );
        }
        text
    }
}
