//! `cleave plan`.

use super::style::{BAD, BOLD, DIM, GOOD, paint};
use super::{Human, counted, problem, table, yes};
use cleave_api::PlanReport;
use cleave_model::{format_bytes, format_count, format_duration_ms};
use std::fmt::Write as _;

impl Human for PlanReport {
    /// Short by default; with `-v` every step and lock, too.
    fn human(&self, verbose: u8) -> String {
        let mut text = format!(
            "{}  {} to {}  {}\n",
            paint(BOLD, &self.service),
            self.source,
            self.home,
            paint(DIM, &format!("plan {}", self.fingerprint))
        );
        section("Tables", &table_rows(self), &mut text);
        section("Crosses the boundary", &crossing_rows(self), &mut text);
        section("Missing roles", &role_rows(self), &mut text);
        if verbose > 0 {
            section("Steps", &step_rows(self), &mut text);
            section("Locks", &lock_rows(self), &mut text);
        }
        section("Gates", &gate_rows(self), &mut text);
        text.push('\n');
        for refusal in &self.refusals {
            text.push_str(&problem(refusal));
        }
        text.push_str(&summary(self));
        text
    }
}

impl Human for Vec<PlanReport> {
    fn human(&self, verbose: u8) -> String {
        let plans: Vec<String> = self.iter().map(|plan| plan.human(verbose)).collect();
        plans.join("\n")
    }
}

fn section<const N: usize>(title: &str, rows: &[[String; N]], text: &mut String) {
    if !rows.is_empty() {
        // Writing to a String cannot fail.
        let _ = write!(text, "\n{title}\n{}", table::indented(rows));
    }
}

fn table_rows(plan: &PlanReport) -> Vec<[String; 5]> {
    let row = |table: &cleave_api::PlannedTable| {
        [
            table.name.clone(),
            format!("to {}", table.target),
            format_bytes(table.bytes),
            format!("{} rows", format_count(table.rows)),
            table.identity.clone(),
        ]
    };
    plan.tables.iter().map(row).collect()
}

fn crossing_rows(plan: &PlanReport) -> Vec<[String; 3]> {
    let row = |crossing: &cleave_api::Crossing| {
        [crossing.kind.as_str().to_owned(), crossing.object.clone(), crossing.fate.clone()]
    };
    plan.crossings.iter().map(row).collect()
}

fn role_rows(plan: &PlanReport) -> Vec<[String; 3]> {
    let row = |role: &cleave_api::MissingRole| {
        [format!("{} on {}", role.role, role.database), role.reason.clone(), format!("{};", role.sql)]
    };
    plan.missing_roles.iter().map(row).collect()
}

fn step_rows(plan: &PlanReport) -> Vec<[String; 4]> {
    let numbered = plan.steps.iter().enumerate();
    numbered
        .map(|(at, step)| {
            [format!("{}", at + 1), step.name.clone(), step.side.as_str().to_owned(), step.summary.clone()]
        })
        .collect()
}

fn lock_rows(plan: &PlanReport) -> Vec<[String; 4]> {
    let row = |lock: &cleave_api::LockUse| {
        [lock.step.clone(), lock.database.clone(), lock.object.clone(), lock.mode.clone()]
    };
    plan.locks.iter().map(row).collect()
}

fn gate_rows(plan: &PlanReport) -> Vec<[String; 3]> {
    let row = |gate: &cleave_api::Gate| [yes(gate.holds), gate.name.clone(), gate.seen.clone()];
    plan.gates.iter().map(row).collect()
}

fn summary(plan: &PlanReport) -> String {
    let bytes = plan.tables.iter().map(|table| table.bytes).sum();
    let tables = counted(plan.tables.len() as u64, "table", "tables");
    let steps = counted(plan.steps.len() as u64, "step", "steps");
    let locks = counted(plan.locks.len() as u64, "lock", "locks");
    let limit = format_duration_ms(plan.write_pause_ms);
    let pause = match plan.expected_pause_ms {
        Some(expected) => format!("writes pause for about {} of {limit}", format_duration_ms(expected)),
        None => format!("writes pause for at most {limit}"),
    };
    let closed = plan.gates.iter().filter(|gate| !gate.holds).count() + plan.refusals.len();
    let verdict = match closed {
        0 => paint(GOOD, "can be applied"),
        count => paint(BAD, &format!("cannot be applied: {}", counted(count as u64, "reason", "reasons"))),
    };
    format!("{tables}, {} to copy, {steps}, {locks}; {pause}\n{verdict}\n", format_bytes(bytes))
}
