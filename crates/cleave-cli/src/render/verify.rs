//! `cleave verify`.

use super::style::{BAD, BOLD, GOOD, WARN, paint};
use super::{Human, counted, table};
use cleave_api::{Difference, DifferenceKind, TableVerdict, VerificationState, VerifyReport};
use cleave_model::{format_count, format_duration_ms};

/// Differences drawn for people.
const DIFFERENCES_MAX: usize = 20;

/// What is said where no stream was asked.
const NOT_ALIGNED: &str = "no stream says when the target has caught up: a row is different if it was so after --lag seconds, while its source row stood still\n";

impl Human for VerifyReport {
    fn human(&self, _verbose: u8) -> String {
        let style = match self.state {
            VerificationState::Clean => GOOD,
            VerificationState::Different => BAD,
            VerificationState::None | VerificationState::Unproven | VerificationState::Stale => WARN,
        };
        let mut text = format!(
            "{}  {}: {} compared in {}\n",
            paint(BOLD, &self.service),
            paint(style, self.state.as_str()),
            counted(self.rows, "row", "rows"),
            format_duration_ms(self.elapsed_ms)
        );
        text.push_str(&table::indented(&self.tables.iter().map(table_row).collect::<Vec<_>>()));
        if let Some(repaired) = &self.repaired {
            text.push_str(&format!(
                "repaired before: {} written, {} removed, {} left alone\n",
                counted(repaired.written, "row", "rows"),
                format_count(repaired.removed),
                format_count(repaired.skipped)
            ));
        }
        if let Some(since) = &self.since {
            text.push_str(&format!(
                "{} of these were proven from {since} on, before a comparison ended early\n",
                counted(self.resumed, "row", "rows")
            ));
        }
        if !self.aligned {
            text.push_str(NOT_ALIGNED);
        }
        if !self.differences.is_empty() {
            text.push('\n');
            let drawn: Vec<_> = self.differences.iter().take(DIFFERENCES_MAX).map(difference_row).collect();
            text.push_str(&table::columns(&drawn));
            let valued = self.differences.iter().take(DIFFERENCES_MAX).filter(|one| !one.values.is_empty());
            valued.for_each(|difference| text.push_str(&values(difference)));
            let all: u64 = self.tables.iter().map(|table| table.entries).sum();
            let shown = drawn.len() as u64;
            if all > shown {
                text.push_str(&format!("and {} more (-o FILE writes them all)\n", format_count(all - shown)));
            }
        }
        text
    }
}

fn table_row(table: &TableVerdict) -> [String; 5] {
    let some = |count: u64, what: &str| match count {
        0 => String::new(),
        _ => format!("{} {what}", format_count(count)),
    };
    let different = match table.differences {
        0 => paint(GOOD, "equal"),
        count => paint(BAD, &format!("{} different", format_count(count))),
    };
    [
        table.table.clone(),
        counted(table.rows, "row", "rows"),
        different,
        some(table.unproven, "unproven"),
        some(table.rechecked, "looked at again"),
    ]
}

fn difference_row(difference: &Difference) -> [String; 4] {
    let style = if difference.kind == DifferenceKind::Unproven { WARN } else { BAD };
    [
        paint(style, difference.kind.as_str()),
        difference.table.clone(),
        key(difference),
        difference.columns.join(", "),
    ]
}

/// The values of a row, a line for each column.
fn values(difference: &Difference) -> String {
    let shown =
        |value: &Option<String>| value.as_ref().map_or_else(|| "null".to_owned(), |text| format!("{text:?}"));
    let row = match difference.kind {
        DifferenceKind::Missing => |here: String, _: String| format!("{here} at the home"),
        DifferenceKind::Extra => |_: String, there: String| format!("{there} at the other side"),
        _ => |here: String, there: String| format!("{here} at the home, {there} at the other side"),
    };
    let mut text = format!("\n{} {}\n", difference.table, key(difference));
    for value in &difference.values {
        text.push_str(&format!("  {}: {}\n", value.column, row(shown(&value.home), shown(&value.other))));
    }
    text
}

fn key(difference: &Difference) -> String {
    let parts: Vec<String> =
        difference.key.iter().map(|(column, value)| format!("{column}={value}")).collect();
    parts.join(", ")
}
