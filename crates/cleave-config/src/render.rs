//! Draws errors as compilers do. Plain text: meaning never hangs on colour.

use crate::{ConfigError, Severity, Source};
use std::fmt::Write as _;

/// Each error with its line, a mark under the place, and the hint; a blank line between two. Ends with a newline.
pub fn render(errors: &[ConfigError], source: &Source<'_>) -> String {
    let mut text = String::new();
    for (at, error) in errors.iter().enumerate() {
        if at > 0 {
            text.push('\n');
        }
        render_one(error, source, &mut text);
    }
    text
}

fn render_one(error: &ConfigError, source: &Source<'_>, text: &mut String) {
    let severity = match error.code.severity() {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let excerpt = source.excerpt(&error.span);
    let number = excerpt.line.to_string();
    let margin = " ".repeat(number.len());
    // Tabs before the mark are kept, so that it stands under its text however wide the terminal draws them.
    let indent: String =
        excerpt.text.chars().take(excerpt.column - 1).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
    let mark = "^".repeat(excerpt.length);
    let label = if error.label.is_empty() { String::new() } else { format!(" {}", error.label) };
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{severity}[{}]: {}", error.code, error.message);
    let _ = writeln!(text, "{margin} --> {}:{}:{}", source.file, error.line, error.column);
    if !excerpt.text.is_empty() {
        let _ = writeln!(text, "{margin} |\n{number} | {}\n{margin} | {indent}{mark}{label}", excerpt.text);
    }
    if let Some(hint) = &error.hint {
        let _ = writeln!(text, "{margin} = hint: {hint}");
    }
}
