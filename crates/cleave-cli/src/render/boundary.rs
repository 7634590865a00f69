//! `cleave assess boundary`.

use super::style::{BOLD, DIM, GOOD, paint};
use super::{Human, counted};
use cleave_api::{BoundaryCrossing, BoundaryReport, CrossingKind};
use cleave_model::format_count;
use std::fmt::Write as _;

impl Human for BoundaryReport {
    fn human(&self, verbose: u8) -> String {
        let mut text = String::new();
        let mut kind = None;
        for crossing in &self.crossings {
            if kind != Some(crossing.kind) {
                let count = self.crossings.iter().filter(|other| other.kind == crossing.kind).count();
                let gap = if kind.is_some() { "\n" } else { "" };
                let heading = heading(crossing.kind, count);
                // Writing to a String cannot fail.
                let _ = writeln!(text, "{gap}{}", paint(BOLD, &heading));
                kind = Some(crossing.kind);
            }
            write_crossing(crossing, verbose, &mut text);
        }
        let services = counted(self.services.len() as u64, "service", "services");
        let verdict = match self.crossings.len() as u64 {
            0 => paint(GOOD, "nothing crosses"),
            count => counted(count, "thing crosses", "things cross"),
        };
        let gap = if text.is_empty() { "" } else { "\n" };
        let _ = writeln!(text, "{gap}{verdict} the boundary of {services}; {}", usage(self));
        text
    }
}

fn heading(kind: CrossingKind, count: usize) -> String {
    let word = kind.as_str();
    let many =
        if word.ends_with('y') { format!("{}ies", word.trim_end_matches('y')) } else { format!("{word}s") };
    let many = if word.ends_with("key") { "foreign keys".to_owned() } else { many };
    counted(count as u64, word, &many)
}

/// Who looked at what applications do.
fn usage(report: &BoundaryReport) -> String {
    if report.statements == 0 && report.transactions == 0 {
        return "statements and transactions were not looked at, as no workload was given".to_owned();
    }
    let unread = match report.statements_unread {
        0 => String::new(),
        count => format!(", {} could not be read", format_count(count)),
    };
    format!(
        "{} and {} were looked at{unread}",
        counted(report.statements, "statement", "statements"),
        counted(report.transactions, "transaction", "transactions")
    )
}

fn write_crossing(crossing: &BoundaryCrossing, verbose: u8, text: &mut String) {
    let between: Vec<&str> =
        crossing.parties.iter().map(|party| party.service.as_deref().unwrap_or("what stays")).collect();
    // Writing to a String cannot fail.
    let _ = writeln!(text, "  {}", crossing.object);
    let _ = writeln!(text, "    {}: {}", between.join(" | "), crossing.evidence);
    let _ = writeln!(text, "    {}", paint(DIM, &crossing.remedy));
    if verbose > 0 {
        for outcome in &crossing.outcomes {
            let _ = writeln!(text, "    when {} moves: {}", outcome.service, outcome.fate);
        }
    }
}
