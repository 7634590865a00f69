//! `[databases]`.

use super::findings::Findings;
use super::sections::{self, Entry};
use super::value;
use crate::keys::FAILOVER_SLOTS;
use crate::{Database, DatabaseName, ErrorCode, Spanned, UrlSource};
use std::collections::BTreeMap;
use toml_edit::{Item, TableLike};

pub(crate) fn read(root: &dyn TableLike, findings: &mut Findings<'_>) -> Vec<Database> {
    let entries = sections::entries(root, "databases", findings);
    // Names first: `url_from` may name a database that stands further down.
    let mut databases: Vec<Database> = Vec::new();
    for entry in &entries {
        if let Some(database) = named(entry, findings) {
            databases.push(database);
        }
    }
    for entry in &entries {
        let Some(item) = entry.table.get("url_from") else { continue };
        let urls = url_from(item, entry.name, &databases, findings);
        if let Some(database) = databases.iter_mut().find(|database| database.name.as_str() == entry.name) {
            database.url_from = urls;
        }
    }
    databases
}

/// A database whose URL cannot be read is kept with an empty one, so that its name still resolves; the error stands.
fn named(entry: &Entry<'_>, findings: &mut Findings<'_>) -> Option<Database> {
    let name = match DatabaseName::parse(entry.name) {
        Ok(name) => name,
        Err(error) => {
            findings.report(ErrorCode::InvalidName, &entry.span, error.to_string()).hint(NAME_HINT);
            return None;
        }
    };
    let url = entry.table.get("url").and_then(|item| url(item, entry.name, findings));
    let url = url.unwrap_or_else(|| UrlSource::Inline(String::new()));
    let item = entry.table.get("failover_slots");
    let choice = item.and_then(|item| value::choice(item, "failover_slots", FAILOVER_SLOTS, findings));
    let failover_slots = choice.is_some_and(|choice| choice.value == "on");
    Some(Database { name, url, url_from: BTreeMap::new(), failover_slots, span: entry.span.clone() })
}

pub(crate) const NAME_HINT: &str =
    "a name has a lower-case letter first, then a-z, 0-9 and _, and at most 24 characters";

fn url_from(
    item: &Item,
    of: &str,
    known: &[Database],
    findings: &mut Findings<'_>,
) -> BTreeMap<DatabaseName, UrlSource> {
    let mut urls = BTreeMap::new();
    let Some(table) = value::table(item, "url_from", findings) else { return urls };
    for (name, item) in table.iter() {
        let place = Spanned { value: name.to_owned(), span: sections::key_span(table, name, item) };
        let database = value::database(&place, known, findings);
        let url = url(item, of, findings);
        if let (Some(database), Some(url)) = (database, url) {
            urls.insert(database, url);
        }
    }
    urls
}

pub(super) fn url(item: &Item, of: &str, findings: &mut Findings<'_>) -> Option<UrlSource> {
    let text = value::text(item, "url", findings)?;
    match UrlSource::parse(&text.value) {
        Ok(url) => {
            if url.has_password() {
                findings
                    .report(ErrorCode::PasswordInFile, &text.span, format!("the URL of `{of}` has a password in it"))
                    .label("readable by everyone who can read this file")
                    .hint("put the URL into an environment variable and write `env:NAME`, or use `file:` or `cmd:`");
            }
            Some(url)
        }
        // The text itself may be a mistyped URL with a password, so it is not repeated.
        Err(reason) => {
            findings
                .report(ErrorCode::InvalidValue, &text.span, format!("the URL of `{of}` {reason}"))
                .hint("write `env:NAME`, `file:PATH`, `cmd:COMMAND` or `postgres://user@host:port/database`");
            None
        }
    }
}
