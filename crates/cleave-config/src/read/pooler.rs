//! `pgbouncer = { admin, databases, config }` of a service.

use super::findings::Findings;
use super::{databases, sections, value};
use crate::{ErrorCode, Pooler};
use toml_edit::Item;

const KEYS: [&str; 3] = ["admin", "databases", "config"];

pub(crate) fn read(item: &Item, findings: &mut Findings<'_>) -> Option<Pooler> {
    let table = value::table(item, "pgbouncer", findings)?;
    for (name, item) in table.iter().filter(|(name, _)| !KEYS.contains(name)) {
        let span = sections::key_span(table, name, item);
        sections::unknown(name, &span, "`pgbouncer`", KEYS.into_iter(), findings);
    }
    for key in KEYS.into_iter().filter(|key| table.get(key).is_none()) {
        findings
            .report(ErrorCode::MissingKey, &value::span(item), format!("`pgbouncer` has no `{key}`"))
            .hint("write `pgbouncer = { admin = \"env:PGBOUNCER_URL\", databases = [\"shop\"], config = \"FILE\" }`");
    }
    let admin = table.get("admin").and_then(|item| databases::url(item, "pgbouncer", findings));
    let names = table.get("databases").map(|item| value::texts(item, "databases", findings));
    if names.as_ref().is_some_and(Vec::is_empty) {
        findings
            .report(ErrorCode::InvalidValue, &value::span(item), "`pgbouncer` names no database")
            .hint("name at least one entry of PgBouncer's section [databases]");
    }
    let config = table.get("config").and_then(|item| value::text(item, "config", findings));
    let names = names.into_iter().flatten().map(|name| name.value).collect();
    Some(Pooler { admin: admin?, databases: names, config: config?.value.into() })
}
