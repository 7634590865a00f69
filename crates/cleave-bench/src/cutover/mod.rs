//! Switching a home under load, as its writers see it: Cleave against the runbook with the server's own subscriptions.

mod library;
mod ours;
mod runbook;

use crate::arena::{Arena, Entry, Failure, Metric, percentile, say};

/// Switches of each side.
const SWITCHES: u32 = 50;

/// What a side's switches came to.
struct Switched {
    /// The longest time without a commit around each switch, in milliseconds.
    gaps_ms: Vec<f64>,
    /// Transactions that applications were told to have failed.
    refused: u64,
    /// Acknowledged commits that are not there exactly once.
    lost: u64,
    /// Commits.
    acknowledged: f64,
}

/// The pause of a switch, and what it cost the writers.
pub(crate) async fn entry(arena: &Arena) -> Result<Vec<Entry>, Failure> {
    let theirs = runbook::run(arena, "cutover_theirs", SWITCHES).await?;
    tell("the runbook", &theirs);
    let ours = ours::run(arena, "cutover_ours", SWITCHES).await?;
    tell("Cleave", &ours);
    let rival = "runbook with native subscriptions";
    let mut entries = Vec::new();
    for (metric, at) in [("pause p50", 0.5), ("pause p95", 0.95), ("pause p99", 0.99), ("longest pause", 1.0)]
    {
        let pair = (percentile(&ours.gaps_ms, at), percentile(&theirs.gaps_ms, at));
        entries.push(Entry::new("cutover", rival, (Metric::Cost(metric), "ms"), &[pair]));
    }
    let refused = (ours.refused as f64, theirs.refused as f64);
    entries.push(Entry::new("cutover", rival, (Metric::Cost("refused"), "transactions"), &[refused]));
    let lost = (ours.lost as f64, theirs.lost as f64);
    entries.push(Entry::new("cutover", rival, (Metric::Cost("lost"), "commits"), &[lost]));
    Ok(entries)
}

fn tell(who: &str, switched: &Switched) {
    say(&format!(
        "cutover, {who}: {} switches, {} commits, {} refused, {} lost, longest gap {:.0} ms",
        switched.gaps_ms.len(),
        switched.acknowledged,
        switched.refused,
        switched.lost,
        percentile(&switched.gaps_ms, 1.0)
    ));
}

/// The tokens that a table holds.
fn tokens_of(table: &str) -> String {
    format!("select token from {table} where token is not null")
}
