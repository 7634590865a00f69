//! `cleave doctor`.

use super::style::{BOLD, GOOD, HINT, paint};
use super::{Human, counted, severity};
use cleave_api::{DoctorReport, Severity};
use std::fmt::Write as _;

impl Human for DoctorReport {
    fn human(&self, _verbose: u8) -> String {
        let mut text = String::new();
        for finding in &self.findings {
            let (style, word) = severity(finding.severity);
            // What is seen often names it already.
            let object = finding.object.as_ref().filter(|object| !finding.seen.contains(object.as_str()));
            let object = object.map(|object| format!(" {object}")).unwrap_or_default();
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "{} {}{object}: {}",
                paint(style, &format!("{word}[{}]", finding.code)),
                finding.database,
                paint(BOLD, &finding.seen)
            );
            let _ = writeln!(text, "  {}", finding.why);
            if let Some(fix) = &finding.fix_sql {
                let _ = writeln!(text, "  {}", paint(HINT, "fix:"));
                for line in fix.lines() {
                    let _ = writeln!(text, "    {line}");
                }
            }
            text.push('\n');
        }
        let errors =
            self.findings.iter().filter(|finding| finding.severity == Severity::Error).count() as u64;
        let warnings =
            self.findings.iter().filter(|finding| finding.severity == Severity::Warning).count() as u64;
        let verdict = if errors == 0 { paint(GOOD, "ok") } else { "not ready".to_owned() };
        let _ = writeln!(
            text,
            "{verdict}: {}, {}, {}",
            counted(self.checks, "check", "checks"),
            counted(errors, "error", "errors"),
            counted(warnings, "warning", "warnings")
        );
        text
    }
}
