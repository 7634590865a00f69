//! `log_line_prefix`: what stands before every message.

use super::Entry;

/// The prefixes that installations come with, and those that log analysers ask for.
const USUAL: &[&str] = &[
    "%m [%p] %q%u@%d ",
    "%m [%p] ",
    "%t [%p] ",
    "%m [%p] %q%u@%d %a ",
    "%t:%r:%u@%d:[%p]:",
    "%t [%p]: [%l-1] user=%u,db=%d,app=%a,client=%h ",
    "%t [%p]: user=%u,db=%d,app=%a,client=%h ",
    "%t [%p-%l] %q%u@%d ",
    "%m:%r:%u@%d:[%p]:%l:%e:%s:%v:%x:%c:%q%a:",
    "%t %u@%d %p ",
    "%m %u@%d [%p] ",
    "%m %p %u %d %c %v %x ",
    "",
];
/// Longest value of a field that may hold anything.
const FIELD_BYTES_MAX: usize = 256;
/// Attempts at one line: fields that may hold anything, one after the other, could be divided in any number of ways.
const STEPS_MAX: usize = 20_000;
/// Words that stand after the prefix.
const SEVERITIES: &[&str] = &[
    "LOG",
    "ERROR",
    "FATAL",
    "PANIC",
    "WARNING",
    "NOTICE",
    "INFO",
    "DETAIL",
    "HINT",
    "CONTEXT",
    "QUERY",
    "STATEMENT",
    "LOCATION",
    "BACKTRACE",
    "DEBUG1",
    "DEBUG2",
    "DEBUG3",
    "DEBUG4",
    "DEBUG5",
    "DEBUG",
];

#[derive(Clone, Debug, PartialEq, Eq)]
enum Element {
    Text(String),
    /// The letter of an escape.
    Field(char),
    /// `%q`: processes without a session stop here.
    SessionsOnly,
}

/// A prefix that can be taken off lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prefix {
    setting: String,
    elements: Vec<Element>,
}

impl Prefix {
    /// Compiles the setting.
    pub fn new(setting: &str) -> Self {
        let mut elements = Vec::new();
        let mut chars = setting.chars().peekable();
        while let Some(c) = chars.next() {
            if c != '%' {
                push_text(&mut elements, c);
                continue;
            }
            // Padding: the value is looked for between blanks.
            while chars.peek().is_some_and(|c| *c == '-' || c.is_ascii_digit()) {
                chars.next();
            }
            match chars.next() {
                Some('%') => push_text(&mut elements, '%'),
                Some('q') => elements.push(Element::SessionsOnly),
                Some(field) => elements.push(Element::Field(field)),
                None => {}
            }
        }
        Self { setting: setting.to_owned(), elements }
    }

    /// The setting.
    pub fn as_str(&self) -> &str {
        &self.setting
    }

    /// True if lines say which session they are of.
    pub fn names_session(&self) -> bool {
        self.elements.iter().any(|element| matches!(element, Element::Field('p' | 'c')))
    }

    /// The entry that a line begins.
    pub(super) fn parse(&self, line: &str) -> Option<Entry> {
        let mut entry = Entry::default();
        let rest = matched(&self.elements, line, &mut entry, &mut { STEPS_MAX })?;
        let (severity, message) = split_severity(rest)?;
        entry.severity = severity.to_owned();
        entry.message = message.to_owned();
        Some(entry)
    }
}

fn push_text(elements: &mut Vec<Element>, c: char) {
    match elements.last_mut() {
        Some(Element::Text(text)) => text.push(c),
        _ => elements.push(Element::Text(c.to_string())),
    }
}

/// `LOG:  message`.
fn split_severity(rest: &str) -> Option<(&str, &str)> {
    let (severity, message) = rest.trim_start().split_once(':')?;
    SEVERITIES.contains(&severity).then(|| (severity, message.strip_prefix("  ").unwrap_or(message)))
}

/// Matches elements, longest values last; the rest begins with a severity.
fn matched<'l>(elements: &[Element], line: &'l str, entry: &mut Entry, steps: &mut usize) -> Option<&'l str> {
    *steps = steps.checked_sub(1)?;
    let Some((element, others)) = elements.split_first() else {
        return split_severity(line).map(|_| line);
    };
    match element {
        Element::Text(text) => {
            // Padding before or after a field makes blanks of unknown number.
            let blank = text.trim().is_empty();
            let rest = match line.strip_prefix(text.as_str()) {
                Some(rest) => rest,
                None if blank && others.is_empty() => line,
                None if blank => return None,
                None => line.trim_start().strip_prefix(text.trim_start())?,
            };
            matched(others, rest, entry, steps)
        }
        Element::SessionsOnly => {
            let mut attempt = entry.clone();
            if let Some(rest) = matched(others, line, &mut attempt, steps) {
                *entry = attempt;
                return Some(rest);
            }
            split_severity(line).map(|_| line)
        }
        Element::Field(field) => ends_of(*field, line).into_iter().find_map(|end| {
            let mut attempt = entry.clone();
            set(&mut attempt, *field, line[..end].trim());
            let rest = matched(others, &line[end..], &mut attempt, steps)?;
            *entry = attempt;
            Some(rest)
        }),
    }
}

fn set(entry: &mut Entry, field: char, value: &str) {
    let known = (!value.is_empty() && value != "[unknown]").then(|| value.to_owned());
    match field {
        'u' => entry.role = known,
        'd' => entry.database = known,
        'c' => entry.session = known,
        'p' if entry.session.is_none() => entry.session = known,
        'v' => entry.virtual_transaction = known,
        'Q' => entry.query_id = value.parse().ok().filter(|id| *id != 0),
        _ => {}
    }
}

/// Where a field's value can end, the likeliest first.
fn ends_of(field: char, line: &str) -> Vec<usize> {
    let start = line.len() - line.trim_start_matches(' ').len();
    let run = |more: &str| {
        let length = line[start..].find(|c: char| !(c.is_ascii_alphanumeric() || more.contains(c)));
        start + length.unwrap_or(line.len() - start)
    };
    let required = |end: usize| if end > start { vec![end] } else { Vec::new() };
    match field {
        't' | 'm' | 's' => timestamp(line).into_iter().collect(),
        'p' | 'l' | 'x' | 'e' => required(run("")),
        'n' | 'c' => required(run(".")),
        // Processes that have none leave these out.
        'P' => vec![run("")],
        'v' => vec![run("/")],
        'Q' => vec![run("-")],
        // Roles and databases are taken for words; anything may stand in the others.
        'u' | 'd' => {
            let word = line[start..].find(char::is_whitespace).map_or(line.len(), |length| start + length);
            free(&line[..word])
        }
        _ => free(line),
    }
}

fn free(line: &str) -> Vec<usize> {
    (0..=line.len().min(FIELD_BYTES_MAX)).filter(|end| line.is_char_boundary(*end)).collect()
}

/// `2026-11-27 06:24:06 UTC`, with milliseconds or without; the zone is a word or an offset.
fn timestamp(line: &str) -> Option<usize> {
    let digits = |c: char| c.is_ascii_digit();
    let date = line.find(|c: char| !(digits(c) || c == '-'))?;
    let after_date = line[date..].strip_prefix(' ')?;
    let time = after_date.find(|c: char| !(digits(c) || c == ':' || c == '.'))?;
    let after_time = after_date[time..].strip_prefix(' ')?;
    let zone = after_time
        .find(|c: char| !(c.is_ascii_alphanumeric() || c == '+' || c == '-'))
        .unwrap_or(after_time.len());
    (date >= 8 && time >= 5 && zone > 0).then_some(date + 1 + time + 1 + zone)
}

/// The prefix that fits most of the lines, and says most where several do.
pub(super) fn recognise(lines: &[&str], given: &[Prefix]) -> Option<Prefix> {
    let usual: Vec<Prefix> = USUAL.iter().map(|setting| Prefix::new(setting)).collect();
    let fits = |prefix: &Prefix| {
        lines.iter().filter_map(|line| prefix.parse(line)).filter(|entry| !entry.severity.is_empty()).count()
    };
    let said = |prefix: &Prefix| {
        let entries = lines.iter().filter_map(|line| prefix.parse(line));
        entries
            .map(|entry| {
                usize::from(entry.session.is_some())
                    + usize::from(entry.role.is_some())
                    + usize::from(entry.database.is_some())
                    + usize::from(entry.virtual_transaction.is_some())
            })
            .sum::<usize>()
    };
    let best = given
        .iter()
        .chain(&usual)
        .rev()
        .max_by_key(|prefix| (fits(prefix), said(prefix), prefix.elements.len()))?;
    (fits(best) > 0).then(|| best.clone())
}
