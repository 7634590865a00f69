//! `cleave history`.

use super::style::{BAD, BOLD, DIM, GOOD, WARN, paint};
use super::{Human, table};
use cleave_api::{History, HistoryEntry, HistoryEvent};

impl Human for History {
    fn human(&self, verbose: u8) -> String {
        if self.entries.is_empty() {
            return "nothing was done yet\n".to_owned();
        }
        let rows: Vec<[String; 6]> = self.entries.iter().map(|entry| row(entry, verbose)).collect();
        table::columns(&rows)
    }
}

fn row(entry: &HistoryEntry, verbose: u8) -> [String; 6] {
    let style = match entry.event {
        HistoryEvent::Begin | HistoryEvent::Note => DIM,
        HistoryEvent::Done => GOOD,
        HistoryEvent::Undone => WARN,
        HistoryEvent::Failed => BAD,
    };
    let detail = &entry.detail;
    let empty = detail.is_null() || detail.as_object().is_some_and(serde_json::Map::is_empty);
    let detail = if verbose > 0 && !empty { paint(DIM, &detail.to_string()) } else { String::new() };
    [
        entry.at.clone(),
        entry.database.clone(),
        paint(BOLD, &entry.service),
        format!("{}{}", entry.step, together(&entry.detail)),
        paint(style, entry.event.as_str()),
        detail,
    ]
}

/// The services that a switch took along.
fn together(detail: &serde_json::Value) -> String {
    let names = detail.get("with").and_then(serde_json::Value::as_array);
    let names: Vec<&str> = names.into_iter().flatten().filter_map(serde_json::Value::as_str).collect();
    if names.is_empty() { String::new() } else { format!(" with {}", names.join(", ")) }
}
