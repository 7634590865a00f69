//! `cleave assess` by itself.

use crate::context::Context;
use crate::failure::Failure;
use crate::observed::{self, Chosen};
use cleave_api::{ExitCode, NextStep, Output, ReadinessReport, Risk, Severity};

/// Judges the database.
pub(super) async fn run(database: Option<&str>, context: &Context) -> Result<ExitCode, Failure> {
    let (report, configured) = match observed::choose(database, context)? {
        Chosen::Named(work, database) => {
            let endpoint = work.topology.site(&database)?.endpoint;
            (cleave_engine::assess(&endpoint).await?, true)
        }
        Chosen::Url(site) => (cleave_engine::assess(&site.endpoint).await?, false),
    };
    let next = next(&report, database, configured);
    context.output.report(Output::new(report).with_next(next), None)?;
    Ok(ExitCode::Done)
}

fn next(report: &ReadinessReport, database: Option<&str>, configured: bool) -> Vec<NextStep> {
    let worst = report.findings.iter().find(|finding| finding.severity > Severity::Note);
    let mut steps: Vec<_> = worst
        .map(|finding| {
            let why = "why it matters, with an example and the fix";
            NextStep::cleave(["explain", &finding.code], why, Risk::Read)
        })
        .into_iter()
        .collect();
    // A password belongs into no line that is shown.
    let shown = database.map(|text| if text.contains("://") { "URL" } else { text });
    let at = |words: &[&str], why: &str| {
        let place = shown.iter().flat_map(|text| ["--database", *text]);
        NextStep::cleave(words.iter().copied().chain(place), why, Risk::Read)
    };
    steps.push(at(&["assess", "services"], "which tables belong together"));
    steps.push(at(&["graph"], "draws the services and what crosses between them"));
    if configured {
        let boundary = "what crosses between the services of cleave.toml";
        steps.push(NextStep::cleave(["assess", "boundary"], boundary, Risk::Read));
        let doctor = "whether both sides are ready for these services";
        steps.push(NextStep::cleave(["doctor"], doctor, Risk::Read));
    } else {
        let init = "writes a first cleave.toml with proposed services";
        steps.push(NextStep::cleave(["init", "URL"], init, Risk::Read));
    }
    steps
}
