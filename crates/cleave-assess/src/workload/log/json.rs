//! `jsonlog` (from PostgreSQL 15 on): an object a line.

use super::{ENTRY_BYTES_MAX, Entry};
use serde_json::Value;

/// The entry of a line; `None` if it is none.
pub(super) fn entry(line: &str) -> Option<Entry> {
    if !line.trim_start().starts_with('{') || line.len() > ENTRY_BYTES_MAX {
        return None;
    }
    let object: Value = serde_json::from_str(line).ok()?;
    let text = |key: &str| object.get(key).and_then(Value::as_str).map(str::to_owned);
    Some(Entry {
        session: text("session_id"),
        role: text("user"),
        database: text("dbname"),
        virtual_transaction: text("vxid"),
        query_id: object.get("query_id").and_then(Value::as_i64).filter(|id| *id != 0),
        severity: text("error_severity")?,
        message: text("message").unwrap_or_default(),
        detail: text("detail"),
    })
}
