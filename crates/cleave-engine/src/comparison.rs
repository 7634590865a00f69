//! `verify --source --target`: any two databases, without a move. Nothing says when the target has caught up with the
//! source, so it is given some time.

use crate::{
    EngineError, Events, VerifyOptions,
    verbs::verify_progress,
    verdict::{Alignment, Listing},
};
use cleave_api::VerifyReport;
use cleave_config::TablePattern;
use cleave_model::{QualifiedName, catalog::Catalog};
use cleave_pg::Endpoint;
use cleave_stream::Cancelled;
use cleave_verify::{Settle, Side, VerifyError, VerifySpec, match_tables, verify};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// Two databases to compare.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// What the other one is measured against.
    pub source: Endpoint,
    /// The other one.
    pub target: Endpoint,
    /// Which tables; all of the source and the target if there is none.
    pub tables: Vec<TablePattern>,
    /// How far the target may lag behind, where something feeds it.
    pub lag: Duration,
}

/// Tables compared at a time where nothing is said.
const JOBS: usize = 2;

/// Compares two databases row by row.
///
/// # Errors
/// [`EngineError::Verify`]: tables that cannot be compared, and what [`verify`] says.
pub async fn compare(
    comparison: Comparison,
    options: &VerifyOptions,
    events: &Events,
    cancelled: &Cancelled,
) -> Result<VerifyReport, EngineError> {
    let Comparison { source, target, tables: patterns, lag } = comparison;
    let (here, there) = tokio::try_join!(catalog(Side::Home, &source), catalog(Side::Follower, &target))?;
    let tables = tables(&here, &there, &patterns)?;
    let title = format!("{} and {}", source.display(), target.display());
    let listing = Listing::new(&tables);
    let cancelled = cancelled.clone();
    let began = Instant::now();
    let spec = VerifySpec {
        home: source,
        follower: target,
        tables,
        jobs: options.jobs(JOBS),
        settle: settle(lag),
        limits: options.limits(JOBS),
        found: listing.found(options),
        cancel: Box::pin(async move { cancelled.cancelled().await }),
    };
    let outcome = verify(spec, verify_progress(events, "databases")).await?;
    Ok(listing.report(&title, &outcome, Alignment::Time, began.elapsed()))
}

/// If the target lags by no more than this, it has caught up with everything before the call.
fn settle(lag: Duration) -> Settle {
    Arc::new(move || {
        Box::pin(async move {
            tokio::time::sleep(lag).await;
            Ok(())
        })
    })
}

async fn catalog(side: Side, endpoint: &Endpoint) -> Result<Catalog, VerifyError> {
    let failed = |source| VerifyError::Connection { side, source: Box::new(source) };
    let session = cleave_pg::connect(endpoint, "verify").await.map_err(failed)?;
    cleave_pg::catalog::read_catalog(&session).await.map_err(failed)
}

fn tables(
    here: &Catalog,
    there: &Catalog,
    patterns: &[TablePattern],
) -> Result<Vec<cleave_verify::VerifyTable>, VerifyError> {
    let names = || here.tables.iter().chain(&there.tables).map(|table| &table.name);
    if let Some(unused) = patterns.iter().find(|pattern| !names().any(|name| pattern.matches(name))) {
        return Err(VerifyError::NoSuchTable { pattern: unused.to_string() });
    }
    let wanted =
        |name: &QualifiedName| patterns.is_empty() || patterns.iter().any(|pattern| pattern.matches(name));
    match_tables(here, there, wanted)
}
