//! `cleave assess`.

use super::style::{BAD, BOLD, DIM, GOOD, WARN, paint};
use super::{Human, counted};
use cleave_api::{Finding, ReadinessReport, Severity, SizeFacts};
use cleave_model::{format_bytes, format_count};
use std::fmt::Write as _;

impl Human for ReadinessReport {
    fn human(&self, verbose: u8) -> String {
        let mut text = format!("{} ({})\n", paint(BOLD, &self.database), self.server);
        text.push_str(&size(&self.size));
        for (severity, words) in [
            (Severity::Error, ["blocker", "blockers"]),
            (Severity::Warning, ["warning", "warnings"]),
            (Severity::Note, ["note", "notes"]),
        ] {
            let alike: Vec<&Finding> =
                self.findings.iter().filter(|finding| finding.severity == severity).collect();
            if !alike.is_empty() {
                let style = match severity {
                    Severity::Error => BAD,
                    Severity::Warning => WARN,
                    Severity::Note => BOLD,
                };
                let heading = counted(alike.len() as u64, words[0], words[1]);
                // Writing to a String cannot fail.
                let _ = writeln!(text, "\n{}", paint(style, &heading));
                alike.iter().for_each(|finding| write_finding(finding, verbose, &mut text));
            }
        }
        let verdict = match self.blockers {
            0 => paint(GOOD, "nothing blocks a move"),
            _ => "what the blockers name cannot be moved yet".to_owned(),
        };
        let _ = writeln!(text, "\n{verdict}: {} made", counted(self.checks, "check", "checks"));
        text
    }
}

fn size(size: &SizeFacts) -> String {
    let partitions = match size.partitions {
        0 => String::new(),
        count => format!(" and {}", counted(count, "partition", "partitions")),
    };
    let log = size.log_bytes_per_second.map(|rate| format!(", {} of log per second", format_bytes(rate)));
    format!(
        "  {}{partitions}, {}, {}, {}, {}, {}\n  about {}, {} with indexes{}\n",
        counted(size.tables, "table", "tables"),
        counted(size.foreign_keys, "foreign key", "foreign keys"),
        counted(size.views, "view", "views"),
        counted(size.functions, "function", "functions"),
        counted(size.triggers, "trigger", "triggers"),
        counted(size.sequences, "sequence", "sequences"),
        if size.rows_estimated == 1 {
            "1 row".to_owned()
        } else {
            format!("{} rows", format_count(size.rows_estimated))
        },
        format_bytes(size.bytes),
        log.unwrap_or_default(),
    )
}

fn write_finding(finding: &Finding, verbose: u8, text: &mut String) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "  {}  {}", finding.code, finding.seen);
    if verbose == 0 {
        return;
    }
    let _ = writeln!(text, "         {}", paint(DIM, &finding.why));
    for line in finding.fix_sql.iter().flat_map(|fix| fix.lines()) {
        let _ = writeln!(text, "         {line}");
    }
}
