//! The proof at the end of `cleave demo`.

use super::style::{BAD, GOOD, paint};
use super::{Human, table};
use cleave_api::DemoReport;
use cleave_model::format_count;

impl Human for DemoReport {
    fn human(&self, _verbose: u8) -> String {
        let zero = |count: u64| {
            let style = if count == 0 { GOOD } else { BAD };
            paint(style, &format_count(count))
        };
        let pause = &self.pause_ms;
        let verdict = if self.holds() { paint(GOOD, "holds") } else { paint(BAD, "does not hold") };
        let row = |name: &str, value: String| [name.to_owned(), value];
        format!(
            "Proof {verdict}\n{}",
            table::indented(&[
                row("acknowledged", format!("{} commits", format_count(self.acknowledged))),
                row("found", format!("{} of them, exactly once at the home", format_count(self.found))),
                row("lost", zero(self.lost)),
                row("duplicated", zero(self.duplicated)),
                row("refused", zero(self.refused)),
                row("retried", format_count(self.retried)),
                row("unknown", format_count(self.unknown)),
                row("rounds", format!("{} of cutover and rollback", format_count(self.rounds))),
                row(
                    "write pause",
                    format!("{} ms median, {} ms p95, {} ms longest", pause.p50, pause.p95, pause.max)
                ),
                row("moved", format!("{} rows", format_count(self.rows_moved))),
                row("took", format!("{:.1} s", self.seconds)),
            ])
        )
    }
}
