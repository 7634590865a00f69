//! The pages of `cleave explain` and the list of all findings, made from the rules.

use super::{Example, RULES, Rule, Side};
use std::fmt::Write as _;

/// First line of the list.
const PAGE_MARK: &str = "<!-- Made from crates/cleave-assess/src/readiness. To renew it: UPDATE=1 cargo test -p cleave-assess pages -->";

/// Columns of prose.
const WIDTH: usize = 120;

/// The page of one finding.
pub fn page(rule: &Rule) -> String {
    let mut text = format!("# {}: {}\n\n## Cause\n\n", rule.code, rule.title);
    let whose = match rule.side {
        Side::Source => "Looked for in the database that tables leave.",
        Side::Target => "Looked for in the database that tables come to.",
        Side::Either => "Looked for in every database of a move.",
        Side::Pair => "Found by comparing the database that tables leave with the one that they come to.",
    };
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{}\n", wrapped(rule.cause));
    let _ = writeln!(text, "{whose} Weight: {}.\n\n## Example\n", rule.severity.word());
    let _ = writeln!(text, "This has it:\n\n{}", fenced(&rule.bad));
    let _ = writeln!(text, "This does not:\n\n{}", fenced(&rule.good));
    let _ = writeln!(text, "## Fix\n\n{}", wrapped(rule.fix));
    text
}

fn fenced(example: &Example) -> String {
    let block = |language: &str, text: &str| format!("```{language}\n{text}\n```\n");
    let sql = Some(example.sql()).filter(|sql| !sql.is_empty()).map(|sql| block("sql", sql));
    let words = example.words().map(|words| block("text", words));
    [sql, words].into_iter().flatten().collect::<Vec<_>>().join("\n")
}

/// The list of all findings.
pub fn reference() -> String {
    let mut text = format!(
        "{PAGE_MARK}\n# Readiness findings\n\n`cleave doctor` and `cleave assess` look for these. `cleave explain CODE` \
         has the cause, an example that has it, one that does not, and\nthe fix. A **blocker** stops a move of what it \
         names, a **warning** wants a look first, a **note** is worth knowing.\n\n| code | weight | where | finding |\n\
         | --- | --- | --- | --- |\n"
    );
    let mut rules: Vec<&Rule> = RULES.to_vec();
    rules.sort_by_key(|rule| rule.code);
    for rule in rules {
        let side = match rule.side {
            Side::Source => "source",
            Side::Target => "target",
            Side::Either => "each side",
            Side::Pair => "both together",
        };
        let (code, title) = (rule.code, rule.title);
        let _ = writeln!(
            text,
            "| [{code}](../explain/{code}.md) | {} | {side} | {title} |",
            rule.severity.word()
        );
    }
    text
}

/// Paragraphs, each broken into lines; blocks of code are left as they are.
fn wrapped(text: &str) -> String {
    let mut paragraphs = Vec::new();
    for paragraph in text.split("\n\n") {
        if paragraph.starts_with("```") {
            paragraphs.push(paragraph.to_owned());
            continue;
        }
        let (mut lines, mut line) = (Vec::new(), String::new());
        for word in paragraph.split_whitespace() {
            if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > WIDTH {
                lines.push(std::mem::take(&mut line));
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        lines.push(line);
        paragraphs.push(lines.join("\n"));
    }
    paragraphs.join("\n\n")
}
