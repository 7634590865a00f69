//! What of a service belongs to a move inside one database.

use super::findings::Findings;
use super::sections::Entry;
use super::{services, value};
use crate::keys::GUARDS;
use crate::{ErrorCode, Layer, SchemaMove, Spanned};

/// The keys of live moves that have no meaning where nothing is copied.
const OF_LIVE_MOVES: [&str; 4] = ["copies", "identity", "on_ddl", "pgbouncer"];
/// The keys of schema moves that have none where the home is another database.
const OF_SCHEMA_MOVES: [&str; 2] = ["reader", "guard"];

/// Set if the home is in the database that the tables come from.
pub(super) fn read(
    entry: &Entry<'_>,
    bridge: Option<&Spanned<&'static str>>,
    same_database: bool,
    findings: &mut Findings<'_>,
) -> Option<SchemaMove> {
    if !same_database {
        refuse(entry, &OF_SCHEMA_MOVES, "only for a home in the same database", findings);
        return None;
    }
    refuse(entry, &OF_LIVE_MOVES, "only for a home in another database", findings);
    let get = |key: &str| entry.table.get(key);
    let layer = bridge.map_or(Some(Layer::View), |bridge| layer(bridge, findings));
    let reader = get("reader").and_then(|item| services::role(item, "reader", findings));
    let guard = get("guard").and_then(|item| value::choice(item, "guard", GUARDS, findings));
    Some(SchemaMove { layer: layer?, reader, guard: guard.is_none_or(|guard| guard.value == "auto") })
}

fn layer(bridge: &Spanned<&'static str>, findings: &mut Findings<'_>) -> Option<Layer> {
    let layer = [Layer::View, Layer::Path].into_iter().find(|layer| layer.as_str() == bridge.value);
    if layer.is_none() {
        findings
            .report(
                ErrorCode::Contradiction,
                &bridge.span,
                format!(
                    "`bridge = \"{}\"` leads to another database, and the home is in the same one",
                    bridge.value
                ),
            )
            .hint("write `view` or `path`, or name another database in `home`");
    }
    layer
}

fn refuse(entry: &Entry<'_>, keys: &[&str], why: &str, findings: &mut Findings<'_>) {
    for key in keys {
        if let Some(item) = entry.table.get(key) {
            findings
                .report(ErrorCode::Contradiction, &value::span(item), format!("`{key}` is {why}"))
                .hint("take the key out, or change `home`");
        }
    }
}
