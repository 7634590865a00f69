//! `cleave plan` of a split.

use super::plan::section;
use super::style::{BAD, BOLD, DIM, GOOD, paint};
use super::{Human, counted, problem, table};
use cleave_api::{Severity, SplitReport};
use cleave_model::{format_bytes, format_count, format_duration_ms};

impl Human for SplitReport {
    /// With `-v` also the locks and the notes.
    fn human(&self, verbose: u8) -> String {
        let mut text = format!(
            "{}  {} in {} becomes {}\n",
            paint(BOLD, &self.split),
            self.table,
            self.database,
            counted(self.parts.len() as u64, "part", "parts")
        );
        text.push_str(&table::indented(&wishes(self)));
        section("Parts", &table::indented(&parts(self)), &mut text);
        section("Rows", &table::indented(&rows(self)), &mut text);
        section("Reads the table", &crossings(self), &mut text);
        section(
            "Steps (1 to 5 by `cleave apply`, then a command each)",
            &table::indented(&steps(self)),
            &mut text,
        );
        if verbose > 0 {
            section("Locks", &table::indented(&locks(self)), &mut text);
        }
        let shown = |severity| severity != Severity::Note || verbose > 0;
        let findings = self.findings.iter().filter(|finding| shown(finding.severity));
        section("Findings", &findings.map(problem).collect::<String>(), &mut text);
        text.push_str(&summary(self, verbose > 0));
        text
    }
}

impl Human for Vec<SplitReport> {
    fn human(&self, verbose: u8) -> String {
        let plans: Vec<String> = self.iter().map(|plan| plan.human(verbose)).collect();
        plans.join("\n")
    }
}

fn wishes(plan: &SplitReport) -> Vec<[String; 2]> {
    let row = |name: &str, value: &str| [name.to_owned(), value.to_owned()];
    vec![
        row("rows of several services", &plan.shared),
        row("rows of none", &plan.orphans),
        row("old name after complete", &plan.old_name),
    ]
}

fn parts(plan: &SplitReport) -> Vec<[String; 3]> {
    let row = |part: &cleave_api::SplitPartReport| {
        let rows = part.rows.map_or_else(|| "not counted".to_owned(), |rows| counted(rows, "row", "rows"));
        [part.place.clone(), rows, format!("by {}", part.reached_by.join(", "))]
    };
    plan.parts.iter().map(row).collect()
}

fn rows(plan: &SplitReport) -> Vec<[String; 2]> {
    let Some(counts) = &plan.counts else { return Vec::new() };
    let how = if counts.estimated { "in a sample" } else { "exactly" };
    let row = |name: &str, rows: u64| [name.to_owned(), counted(rows, "row", "rows")];
    vec![
        [format!("counted {how}"), counted(counts.rows, "row", "rows")],
        row("one owner", counts.one),
        row("several owners", counts.several),
        row("no owner", counts.none),
    ]
}

fn crossings(plan: &SplitReport) -> String {
    let width = plan.crossings.iter().map(|crossing| crossing.kind.as_str().len()).max().unwrap_or(0);
    let lines = plan.crossings.iter().map(|crossing| {
        let (kind, object, fate) = (crossing.kind.as_str(), &crossing.object, &crossing.fate);
        format!("  {kind:width$}  {object}\n  {:width$}  {}\n", "", paint(DIM, fate))
    });
    lines.collect()
}

fn steps(plan: &SplitReport) -> Vec<[String; 3]> {
    let numbered = plan.steps.iter().enumerate();
    numbered.map(|(at, step)| [format!("{:>2}", at + 1), step.name.clone(), step.summary.clone()]).collect()
}

fn locks(plan: &SplitReport) -> Vec<[String; 4]> {
    let length = |lock: &cleave_api::LockUse| lock.length.clone().unwrap_or_default();
    plan.locks
        .iter()
        .map(|lock| [lock.step.clone(), lock.mode.clone(), lock.object.clone(), length(lock)])
        .collect()
}

fn summary(plan: &SplitReport, full: bool) -> String {
    let count = |severity| plan.findings.iter().filter(|finding| finding.severity == severity).count() as u64;
    let (errors, warnings, notes) = (count(Severity::Error), count(Severity::Warning), count(Severity::Note));
    let hidden = if notes > 0 && !full { " (shown by --full)" } else { "" };
    let verdict = match errors {
        0 => paint(GOOD, "can be applied"),
        _ => paint(BAD, "cannot be applied"),
    };
    format!(
        "\nabout {} rows, {}; each lock is waited for within {} (write_pause)\n{verdict}: {}, {}, {}{hidden}\n",
        format_count(plan.rows),
        format_bytes(plan.bytes),
        format_duration_ms(plan.write_pause_ms),
        counted(errors, "error", "errors"),
        counted(warnings, "warning", "warnings"),
        counted(notes, "note", "notes"),
    )
}
