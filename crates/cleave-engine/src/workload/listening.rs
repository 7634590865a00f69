//! `--listen`: which tables are written in one transaction, from the write-ahead log.

use super::refused;
use crate::EngineError;
use cleave_assess::workload::{Collector, table_names};
use cleave_model::catalog::Catalog;
use cleave_model::format_duration_ms;
use cleave_pg::workload::Listener;
use cleave_pg::{PgError, Session};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The slot is made when every open transaction has ended; who waits longer has one that does not end.
const SLOT_LIMIT: Duration = Duration::from_secs(60);
/// Between two looks the server keeps the log, and no longer.
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);

pub(super) async fn listen(
    session: &mut Session,
    catalog: &Catalog,
    time: Duration,
    collector: &mut Collector,
) -> Result<(), EngineError> {
    if catalog.facts.wal_level != "logical" {
        let message = format!(
            "wal_level is {}: what transactions write cannot be listened to",
            catalog.facts.wal_level
        );
        return Err(refused(
            "C1005",
            message,
            "alter system set wal_level = logical; then restart the server",
        ));
    }
    let pid = session.backend_pid();
    let listener = match Listener::begin(session, pid, SLOT_LIMIT).await {
        Ok(listener) => listener,
        Err(error) => return Err(not_possible(error)),
    };
    let milliseconds = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    collector.source(format!("the write-ahead log, for {}", format_duration_ms(milliseconds)));
    let end = Instant::now() + time;
    loop {
        let over = Instant::now() >= end;
        let (written, more) = listener.look().await?;
        for (lists, count) in written {
            let tables: BTreeSet<_> = lists
                .iter()
                .flat_map(|list| table_names(list))
                .filter_map(|name| collector.root_of(&name))
                .collect();
            collector.transaction(BTreeSet::new(), tables, count);
        }
        if over && !more {
            break;
        }
        if !more {
            sleep(BETWEEN_LOOKS.min(end.saturating_duration_since(Instant::now()))).await;
        }
    }
    listener.end().await?;
    Ok(())
}

fn not_possible(error: PgError) -> EngineError {
    let hint = match error.sqlstate() {
        Some("42501") => "alter role ROLE replication, for the role that Cleave connects as",
        Some("53400") => "raise max_replication_slots, or drop a slot that nobody reads",
        Some("58P01") => "the server lacks the module test_decoding, which is in its contrib package",
        _ => return error.into(),
    };
    refused("C1006", format!("what transactions write cannot be listened to: {error}"), hint)
}
