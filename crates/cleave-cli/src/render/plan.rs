//! `cleave plan`.

use super::style::{BAD, BOLD, DIM, GOOD, paint};
use super::{Human, counted, problem, table};
use cleave_api::{ChangeSide, LockUse, PlanReport, PlannedTable, Severity};
use cleave_model::{format_bytes, format_count, format_duration_ms};
use std::fmt::Write as _;

impl Human for PlanReport {
    /// What a careful reader needs; with `-v` also every partition, every lock's relation and the notes.
    fn human(&self, verbose: u8) -> String {
        let mut text = format!(
            "{}  {} to {}  {}\n",
            paint(BOLD, &self.service),
            self.source,
            self.home,
            paint(DIM, &format!("plan {}", self.fingerprint))
        );
        text.push_str(&table::indented(&wishes(self)));
        section("Tables", &table::indented(&table_rows(self, verbose > 0)), &mut text);
        section("Crosses the boundary", &crossings(self), &mut text);
        section("Functions", &functions(self), &mut text);
        section(&step_title(self), &table::indented(&step_rows(self)), &mut text);
        section("Locks", &table::indented(&lock_rows(self, verbose > 0)), &mut text);
        section("At the switch", &table::indented(&switch_rows(self)), &mut text);
        section("Missing roles", &roles(self), &mut text);
        if let Some(workload) = &self.workload {
            section("What applications do", &super::workload::lines(workload, verbose > 0), &mut text);
        }
        let shown = |severity| severity != Severity::Note || verbose > 0;
        let findings = self.findings.iter().filter(|finding| shown(finding.severity));
        section("Findings", &findings.map(problem).collect::<String>(), &mut text);
        text.push_str(&summary(self, verbose > 0));
        text
    }
}

impl Human for Vec<PlanReport> {
    fn human(&self, verbose: u8) -> String {
        let plans: Vec<String> = self.iter().map(|plan| plan.human(verbose)).collect();
        plans.join("\n")
    }
}

pub(super) fn section(title: &str, lines: &str, text: &mut String) {
    if !lines.is_empty() {
        // Writing to a String cannot fail.
        let _ = write!(text, "\n{}\n{lines}", paint(BOLD, title));
    }
}

fn wishes(plan: &PlanReport) -> Vec<[String; 2]> {
    let names = match plan.bridge.as_str() {
        "forward" => "lead to the new home for reads and writes",
        "local" => "lead to the copy for reads and to the new home for writes",
        "view" => "lead to the moved table through a view; without a schema they meet it by the search path",
        "path" => {
            "meet the moved table by the search path, without a schema; with the old schema they meet nothing"
        }
        _ => "lead to the copy for reads; writes to them fail",
    };
    let copy = match &plan.copy {
        Some(copy) => format!("stays in {copy}, read-only and current"),
        None => "none: the old tables are dropped at the end".to_owned(),
    };
    let owner = plan.owner.clone().unwrap_or_else(|| "the role that Cleave connects as".to_owned());
    let row = |name: &str, value: String| [name.to_owned(), value];
    if in_place(plan) {
        let owner = plan.owner.clone().unwrap_or_else(|| "none: tables keep their owners".to_owned());
        return vec![row("old names", format!("{names} (bridge {})", plan.bridge)), row("new owner", owner)];
    }
    vec![
        row("old names", format!("{names} (bridge {})", plan.bridge)),
        row("copy", copy),
        row("new owner", owner),
    ]
}

/// True for a move inside one database.
fn in_place(plan: &PlanReport) -> bool {
    matches!(plan.bridge.as_str(), "view" | "path")
}

fn table_rows(plan: &PlanReport, full: bool) -> Vec<[String; 5]> {
    let shown: Vec<&PlannedTable> = plan.tables.iter().filter(|table| full || !table.partition).collect();
    let row = |(at, table): (usize, &PlannedTable)| {
        let partitions = if full { &[] } else { partitions(plan, &shown, at) };
        let sum = |of: fn(&PlannedTable) -> u64| of(table) + partitions.iter().map(of).sum::<u64>();
        let identity = match partitions.len() {
            0 => table.identity.clone(),
            count => format!("in {}", counted(count as u64, "partition", "partitions")),
        };
        [
            table.name.clone(),
            format!("to {}", table.target),
            format_bytes(sum(|table| table.bytes)),
            format!("about {}", counted(sum(|table| table.rows), "row", "rows")),
            identity,
        ]
    };
    shown.iter().copied().enumerate().map(row).collect()
}

/// The partitions of a shown table: they follow it.
fn partitions<'p>(plan: &'p PlanReport, shown: &[&PlannedTable], at: usize) -> &'p [PlannedTable] {
    let place = |table: &PlannedTable| plan.tables.iter().position(|other| other.name == table.name);
    let begin = place(shown[at]).map_or(plan.tables.len(), |begin| begin + 1);
    let after = &plan.tables[begin..];
    &after[..after.iter().take_while(|table| table.partition).count()]
}

/// Two lines each: what it is, and what becomes of it.
/// What becomes of several is said once below them.
fn crossings(plan: &PlanReport) -> String {
    let width = plan.crossings.iter().map(|crossing| crossing.kind.as_str().len()).max().unwrap_or(0);
    let mut text = String::new();
    for alike in plan.crossings.chunk_by(|a, b| (a.kind, &a.fate) == (b.kind, &b.fate)) {
        for crossing in alike {
            text.push_str(&format!("  {:width$}  {}\n", crossing.kind.as_str(), crossing.object));
        }
        if let Some(last) = alike.last() {
            text.push_str(&format!("  {:width$}  {}\n", "", paint(DIM, &last.fate)));
        }
    }
    text
}

/// What is done to each, and the lines that change.
fn functions(plan: &PlanReport) -> String {
    let lines = plan.functions.iter().map(|change| {
        let diff: String = change.diff.iter().map(|line| format!("    {}\n", paint(DIM, line))).collect();
        format!("  {}: {}\n{diff}", change.function, change.what)
    });
    lines.collect()
}

fn step_title(plan: &PlanReport) -> String {
    if in_place(plan) {
        return "Steps (1 by `cleave apply`, then a command each)".to_owned();
    }
    let filling = plan.steps.iter().take_while(|step| step.name != "verify").count();
    format!("Steps (1 to {filling} by `cleave apply`, then a command each)")
}

fn step_rows(plan: &PlanReport) -> Vec<[String; 4]> {
    let databases = |side| match side {
        ChangeSide::Source => plan.source.clone(),
        ChangeSide::Target => plan.home.split('/').next().unwrap_or_default().to_owned(),
        ChangeSide::Both => "both".to_owned(),
    };
    let numbered = plan.steps.iter().enumerate();
    numbered
        .map(|(at, step)| {
            [format!("{:>2}", at + 1), step.name.clone(), databases(step.side), step.summary.clone()]
        })
        .collect()
}

/// A line per step, database and mode; in full, a line per relation.
fn lock_rows(plan: &PlanReport, full: bool) -> Vec<[String; 5]> {
    let same = |a: &LockUse, b: &LockUse| {
        !full && (&a.step, &a.database, &a.mode) == (&b.step, &b.database, &b.mode)
    };
    let groups = plan.locks.chunk_by(same);
    groups
        .map(|group| {
            let names: Vec<&str> = group.iter().take(2).map(|lock| lock.object.as_str()).collect();
            let more = group.len() - names.len();
            let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
            let first = &group[0];
            let (step, database, mode) = (first.step.clone(), first.database.clone(), first.mode.clone());
            let length = first.length.clone().unwrap_or_default();
            [step, database, mode, names.join(", ") + &rest, length]
        })
        .collect()
}

fn switch_rows(plan: &PlanReport) -> Vec<[String; 2]> {
    let limit = format_duration_ms(plan.write_pause_ms);
    let expected = match plan.expected_pause_ms {
        Some(expected) => format!("about {}, at most {limit}", format_duration_ms(expected)),
        None => format!("at most {limit} (write_pause); none fails"),
    };
    let row = |name: &str, value: String| [name.to_owned(), value];
    let service = &plan.service;
    vec![
        row("writers wait", expected),
        row("if that is not enough", format!("the cutover undoes itself; {} stays the home", plan.source)),
        row(
            "the way back",
            format!(
                "`cleave cancel {service}` before the cutover, `cleave rollback {service}` after it, until complete"
            ),
        ),
    ]
}

fn roles(plan: &PlanReport) -> String {
    let rows: Vec<[String; 2]> = plan
        .missing_roles
        .iter()
        .map(|role| {
            [format!("{};", role.sql), paint(DIM, &format!("-- in {}: {}", role.database, role.reason))]
        })
        .collect();
    table::indented(&rows)
}

fn summary(plan: &PlanReport, full: bool) -> String {
    let bytes = plan.tables.iter().map(|table| table.bytes).sum();
    let rows = plan.tables.iter().map(|table| table.rows).sum();
    let roots = plan.tables.iter().filter(|table| !table.partition).count() as u64;
    let count = |severity| plan.findings.iter().filter(|finding| finding.severity == severity).count() as u64;
    let (errors, warnings, notes) = (count(Severity::Error), count(Severity::Warning), count(Severity::Note));
    let hidden = if notes > 0 && !full { " (shown by --full)" } else { "" };
    let verdict = match errors {
        0 => paint(GOOD, "can be applied"),
        _ => paint(BAD, "cannot be applied"),
    };
    format!(
        "\n{} to move, {}, about {} rows, {}; {} across the boundary\n{verdict}: {}, {}, {}{hidden}\n",
        counted(roots, "table", "tables"),
        format_bytes(bytes),
        format_count(rows),
        counted(plan.sequences.len() as u64, "sequence", "sequences"),
        counted(plan.crossings.len() as u64, "object", "objects"),
        counted(errors, "error", "errors"),
        counted(warnings, "warning", "warnings"),
        counted(notes, "note", "notes"),
    )
}
