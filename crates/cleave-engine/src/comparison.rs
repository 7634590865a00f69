//! `verify --source --target`: any two databases, without a move. Nothing says when the target has caught up with the
//! source, so it is given some time.

use crate::{
    EngineError, Events, VerifyOptions,
    verbs::verify_progress,
    verdict::{self, Alignment, Listing},
};
use cleave_api::VerifyReport;
use cleave_config::{Limits, TablePattern};
use cleave_journal::VerifyingFile;
use cleave_model::{QualifiedName, catalog::Catalog};
use cleave_pg::Endpoint;
use cleave_stream::Cancelled;
use cleave_verify::{
    Checkpoints, Mapping, Reached, Settle, Side, VerifyError, VerifySpec, VerifyTable, verify,
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// Two databases to compare.
#[derive(Clone)]
pub struct Comparison {
    /// What the other one is measured against.
    pub source: Endpoint,
    /// The other one.
    pub target: Endpoint,
    /// Which tables; all of the source and the target if there is none.
    pub tables: Vec<TablePattern>,
    /// How far the target may lag behind, where something feeds it.
    pub lag: Duration,
    /// What has another name, or other rows, in the target.
    pub mapping: Mapping,
    /// Where it is kept how far the comparison has come; without, nowhere.
    pub kept: Option<KeptComparison>,
}

/// Keeps a text, in place of what was there; an error says why it cannot be, without row values.
pub type KeepText = Arc<dyn Fn(&str) -> Result<(), String> + Send + Sync>;

/// How far a comparison has come, as a text that the caller keeps. It holds values of keys: the places up to which tables
/// are done.
#[derive(Clone)]
pub struct KeptComparison {
    /// What an earlier comparison has kept.
    pub text: Option<String>,
    /// Keeps it.
    pub keep: KeepText,
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
    let Comparison { source, target, tables: patterns, lag, mapping, kept } = comparison;
    let (here, there) = tokio::try_join!(catalog(Side::Home, &source), catalog(Side::Follower, &target))?;
    let tables = tables(&here, &there, &patterns, &mapping)?;
    let names = (source.display(), target.display());
    let title = format!("{} and {}", names.0, names.1);
    let listing = Listing::new(&tables);
    let cancelled = cancelled.clone();
    let began = Instant::now();
    let (began_epoch_s, checkpoints) = match kept {
        Some(kept) => taken_up(kept, names, &tables, options.restart),
        None => (0, Checkpoints::default()),
    };
    let spec = VerifySpec {
        home: source,
        follower: target,
        tables,
        jobs: options.jobs(JOBS),
        settle: settle(lag),
        limits: options.limits(JOBS, &Limits::default()),
        found: listing.found(options),
        checkpoints,
        cancel: Box::pin(async move { cancelled.cancelled().await }),
    };
    let outcome = verify(spec, verify_progress(events, "databases")).await?;
    let mut report = listing.report(&title, &outcome, Alignment::Time, began.elapsed());
    if report.resumed > 0 {
        report.since = Some(crate::status::timestamp_of(began_epoch_s));
    }
    Ok(report)
}

/// What an earlier comparison of the same tables has proven, and when it began.
fn taken_up(
    kept: KeptComparison,
    (source, target): (String, String),
    tables: &[VerifyTable],
    restart: bool,
) -> (u64, Checkpoints) {
    let earlier = kept.text.as_deref().filter(|_| !restart).and_then(VerifyingFile::parse);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let mut state = match earlier {
        Some(earlier) if (&earlier.source, &earlier.target) == (&source, &target) => earlier,
        _ => VerifyingFile { source, target, began_epoch_s: now, tables: BTreeMap::new() },
    };
    let compared: BTreeMap<String, String> =
        tables.iter().map(|table| (table.title(), format!("{table:?}"))).collect();
    state.tables.retain(|title, (of, _)| compared.get(title) == Some(of));
    let began_epoch_s = state.began_epoch_s;
    let parts = state.tables.iter().map(|(title, (_, part))| (title.clone(), part.clone()));
    let reached = verdict::reached(parts.collect());
    let state = Arc::new(Mutex::new(state));
    let keep: cleave_verify::Keep = Arc::new(move |table: &VerifyTable, reached: Reached| {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        state.tables.insert(table.title(), (format!("{table:?}"), verdict::part(reached)));
        let text = state.to_text().map_err(|error| error.to_string());
        let done = text.and_then(|text| (kept.keep)(&text)).map_err(|reason| VerifyError::NotKept { reason });
        cleave_failpoint::hit("verify.kept");
        Box::pin(async move { done })
    });
    (began_epoch_s, Checkpoints { reached, keep: Some(keep) })
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
    mapping: &Mapping,
) -> Result<Vec<VerifyTable>, VerifyError> {
    let names = || here.tables.iter().chain(&there.tables).map(|table| &table.name);
    if let Some(unused) = patterns.iter().find(|pattern| !names().any(|name| pattern.matches(name))) {
        return Err(VerifyError::NoSuchTable { pattern: unused.to_string() });
    }
    let wanted =
        |name: &QualifiedName| patterns.is_empty() || patterns.iter().any(|pattern| pattern.matches(name));
    mapping.match_tables(here, there, wanted)
}
