//! What applications are known to do with what moves, in a plan.

use super::style::{BAD, DIM, paint};
use super::{counted, table};
use cleave_api::{PlanWorkload, SpanningTransaction, StatementAtRisk};

/// Statements and transactions that are shown unless all are asked for.
const SHOWN: usize = 5;
/// Characters of a statement that are shown unless all are asked for.
const CHARS_SHOWN: usize = 100;

/// The lines of the section.
pub(super) fn lines(workload: &PlanWorkload, full: bool) -> String {
    let known = counted(workload.statements, "known statement", "known statements");
    let rows = vec![
        ["seen in".to_owned(), workload.sources.join(", ")],
        [
            "touch what moves".to_owned(),
            format!("{known}, {} not carried as they are", workload.at_risk.len()),
        ],
    ];
    let mut text = table::indented(&rows);
    let shown = if full { usize::MAX } else { SHOWN };
    for statement in workload.at_risk.iter().take(shown) {
        text.push_str(&at_risk(statement, full));
    }
    text.push_str(&more(workload.at_risk.len(), shown, "statement", "statements"));
    for transaction in workload.spanning.iter().take(shown) {
        text.push_str(&spanning(transaction));
    }
    text.push_str(&more(workload.spanning.len(), shown, "transaction", "transactions"));
    text
}

fn more(count: usize, shown: usize, one: &str, many: &str) -> String {
    match count.saturating_sub(shown) {
        0 => String::new(),
        rest => format!(
            "  {}\n",
            paint(DIM, &format!("and {} (shown by --full)", counted(rest as u64, one, many)))
        ),
    }
}

/// What it is and how often, its text, why, and what would carry it.
fn at_risk(statement: &StatementAtRisk, full: bool) -> String {
    let verdict = if statement.breaks.is_empty() { "differs".to_owned() } else { paint(BAD, "breaks ") };
    let role = statement.role.as_deref().map(|role| format!(" by {role}")).unwrap_or_default();
    let calls = counted(statement.calls, "call", "calls");
    let mut text = format!("  {verdict}  {}  {calls}{role}\n", statement.id);
    text.push_str(&format!("           {}\n", shortened(&statement.text, full)));
    for reason in statement.breaks.iter().chain(&statement.differs) {
        text.push_str(&format!("           {}\n", paint(DIM, reason)));
    }
    if !statement.carried_by.is_empty() {
        let names = statement.carried_by.join(" or ");
        text.push_str(&format!("           {}\n", paint(DIM, &format!("bridge = {names} would carry it"))));
    }
    text
}

fn shortened(statement: &str, full: bool) -> String {
    let line: Vec<&str> = statement.split_whitespace().collect();
    let line = line.join(" ");
    if full || line.chars().count() <= CHARS_SHOWN {
        return line;
    }
    line.chars().take(CHARS_SHOWN - 3).collect::<String>() + "..."
}

fn spanning(transaction: &SpanningTransaction) -> String {
    let count = counted(transaction.count, "transaction writes", "transactions write");
    let note = "after the switch its two parts commit one after the other";
    format!(
        "  spans    {count} to {} (moving) and to {} (staying)\n           {}\n",
        transaction.moved.join(", "),
        transaction.staying.join(", "),
        paint(DIM, note)
    )
}
