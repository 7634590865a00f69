//! The proof at the end: what the writer was told, against what the databases hold.

use super::error::DemoError;
use super::journey::Travelled;
use super::narration::Narration;
use super::servers::Servers;
use super::transactions::{CATALOG, READS, STAYING, tokens_of};
use cleave_api::{DemoReport, PauseSummary, Problem};
use cleave_model::format_count;
use cleave_sandbox::{Kind, Oracle, Record, Verdict, connect};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const HOME: &str = "catalog.product_review";
const STAYS: &str = "public.stock_movement";
const COPY: &str = "catalog_copy.product_review";

/// How long the copy may take to show the last commits.
const PATIENCE: Duration = Duration::from_secs(30);
const GLANCE: Duration = Duration::from_millis(20);

/// The verdict as a report, with a problem if it does not hold.
pub(super) struct Proof {
    pub(super) report: DemoReport,
    pub(super) problem: Option<Problem>,
}

/// Lets the oracle look at the home, at what stays and at the copy.
pub(super) async fn prove(
    narration: &Narration,
    servers: &Servers,
    travelled: &mut Travelled,
    rounds: u32,
) -> Result<Proof, DemoError> {
    let record = &mut travelled.record;
    // What only reads leaves nothing to look for.
    record.acknowledged.retain(|(_, kind)| *kind != READS);
    record.unknown.retain(|(_, kind)| *kind != READS);
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 commits")]
    let rate = record.acknowledged.len() as f64 / travelled.writing.as_secs_f64();
    narration.tell(format!(
        "stopped the writer: {} commits acknowledged, {rate:.0} a second on average, switches included",
        format_count(record.acknowledged.len() as u64)
    ));
    let followed = copy_follows(servers).await?;
    narration.tell(format!(
        "the copy in the monolith holds the same {} reviews as the home",
        format_count(followed)
    ));
    let (monolith, products) = (servers.monolith_url(), servers.products_url());
    let oracle = Oracle::new()
        .place("products", products, tokens_of(HOME))
        .place("monolith", &monolith, tokens_of(STAYS))
        .place("copy", &monolith, tokens_of(COPY))
        .home(CATALOG, &["products"])
        .home(STAYING, &["monolith"])
        .home(Kind::PAIR, &["products", "monolith"]);
    let verdict = oracle.check(&[record]).await?;
    let report = DemoReport {
        acknowledged: verdict.acknowledged,
        found: verdict.found,
        lost: verdict.lost,
        duplicated: verdict.duplicated,
        refused: verdict.refused,
        retried: verdict.retried,
        unknown: verdict.unknown,
        rounds: rounds.into(),
        pause_ms: PauseSummary::of(&travelled.pauses_ms),
        rows_moved: narration.rows_copied(),
        seconds: (narration.seconds() * 10.0).round() / 10.0,
    };
    let holds = report.holds() && verdict.is_clean();
    let problem = (!holds).then(|| problem(&verdict, record));
    Ok(Proof { report, problem })
}

/// Waits until the copy holds as many rows with a token as the home.
async fn copy_follows(servers: &Servers) -> Result<u64, DemoError> {
    let failed = |source| DemoError::Statement { action: "count reviews", source };
    let (home, copy) = (connect(&servers.products_url()).await?, connect(&servers.monolith_url()).await?);
    let count = |table| format!("select count(token) from {table}");
    let wanted: i64 =
        home.query_one(&count(HOME), &[]).await.and_then(|row| row.try_get(0)).map_err(failed)?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found: i64 =
            copy.query_one(&count(COPY), &[]).await.and_then(|row| row.try_get(0)).map_err(failed)?;
        if found == wanted {
            return Ok(wanted.unsigned_abs());
        }
        if Instant::now() > deadline {
            let what = "the copy's catching up with its home";
            return Err(DemoError::Late { what, seconds: PATIENCE.as_secs() });
        }
        tokio::time::sleep(GLANCE).await;
    }
}

/// What is wrong, with the first tokens and the errors that the writer met.
fn problem(verdict: &Verdict, record: &Record) -> Problem {
    let mut problem = Problem::error("C0924", "the proof does not hold");
    let findings = verdict.findings.iter().take(5);
    problem.causes.extend(findings.map(|finding| {
        let places: Vec<String> =
            finding.held.iter().map(|(place, count)| format!("{count} times in {place}")).collect();
        let held = if places.is_empty() { "nowhere".to_owned() } else { places.join(", ") };
        format!("transaction {} is {}: found {held}", finding.token, finding.fault)
    }));
    problem.causes.extend(
        record
            .errors
            .iter()
            .map(|(code, error)| format!("{code} came {} times: {}", error.count, error.message)),
    );
    problem
}

/// Writes the report where it is wanted: the given file, or below `target` in a project.
pub(super) fn write_report(report: &DemoReport, file: Option<&Path>) -> Result<Option<PathBuf>, DemoError> {
    let path = match file {
        Some(file) => file.to_owned(),
        None if Path::new("target").is_dir() => Path::new("target").join("demo").join("report.json"),
        None => return Ok(None),
    };
    let failed = |source| DemoError::Report { path: path.clone(), source };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let text = serde_json::to_string_pretty(report).map_err(|error| failed(error.into()))?;
    std::fs::write(&path, text + "\n").map_err(failed)?;
    Ok(Some(path))
}
