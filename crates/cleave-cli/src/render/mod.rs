//! Draws `cleave-api` values as text for people.
//!
//! Text carries ANSI styles; the streams take them out where colour is not wanted. Nothing is said by colour alone.
//! One file per report; this one has what they share: problems, and the lines that close every output.

mod assessment;
mod boundary;
mod change;
mod cleanup;
mod config;
mod cutover;
mod demo;
mod doctor;
mod explanation;
mod graph;
mod history;
mod narrator;
mod plan;
mod proof;
mod readiness;
mod services;
mod split;
mod status;
mod style;
mod table;
mod verify;
mod workload;

pub use narrator::Narrator;

use cleave_api::{NextStep, Problem, Severity, SourceSpan};
use std::fmt::Write as _;
use style::{BAD, BOLD, HINT, WARN, paint};

/// A report that people can read.
pub trait Human {
    /// The text, ending with a newline if there is any. `verbose` counts `-v`.
    fn human(&self, verbose: u8) -> String;
}

/// A problem as compilers draw them: code and message, the place, causes, hint.
pub fn problem(problem: &Problem) -> String {
    let (style, word) = severity(problem.severity);
    let mut text = format!(
        "{}{} {}\n",
        paint(style, &format!("{word}[{}]", problem.code)),
        paint(BOLD, ":"),
        paint(BOLD, &problem.message)
    );
    let margin = match &problem.span {
        Some(span) => place(span, &mut text),
        None => "  ".to_owned(),
    };
    // Writing to a String cannot fail.
    for cause in &problem.causes {
        let _ = writeln!(text, "{margin}because: {cause}");
    }
    if let Some(hint) = &problem.hint {
        let mark = if problem.span.is_some() { "= " } else { "" };
        let _ = writeln!(text, "{margin}{mark}{} {hint}", paint(HINT, "hint:"));
    }
    text
}

/// Draws the source line; returns the margin for what follows.
fn place(span: &SourceSpan, text: &mut String) -> String {
    let number = span.line.to_string();
    let margin = " ".repeat(number.len());
    let _ = writeln!(text, "{margin} {} {}:{}:{}", paint(HINT, "-->"), span.file, span.line, span.column);
    if !span.text.is_empty() {
        // Tabs before the mark are kept, so that it stands under its text however wide the terminal draws them.
        let before = span.text.chars().take(span.column.saturating_sub(1));
        let indent: String = before.map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        let mark = paint(BAD, &"^".repeat(span.length));
        let label = if span.label.is_empty() { String::new() } else { format!(" {}", span.label) };
        let _ = writeln!(text, "{margin} |\n{number} | {}\n{margin} | {indent}{mark}{label}", span.text);
    }
    format!("{margin} ")
}

/// `Undo` and `Next`, each with its reason.
pub fn closing(next: &[NextStep], undo: Option<&NextStep>) -> String {
    let steps = undo.map(|step| ("Undo", step)).into_iter().chain(next.iter().map(|step| ("Next", step)));
    let mut lines: Vec<[String; 3]> = Vec::new();
    for (word, step) in steps {
        let command = if step.argv.is_empty() { String::new() } else { paint(BOLD, &step.command()) };
        lines.push([paint(HINT, word), command, step.reason.clone()]);
    }
    table::columns(&lines)
}

fn severity(severity: Severity) -> (anstyle::Style, &'static str) {
    match severity {
        Severity::Error => (BAD, "error"),
        Severity::Warning => (WARN, "warning"),
        Severity::Note => (HINT, "note"),
    }
}

/// `1 table`, `3 tables`.
fn counted(count: u64, one: &str, many: &str) -> String {
    let noun = if count == 1 { one } else { many };
    format!("{} {noun}", cleave_model::format_count(count))
}
