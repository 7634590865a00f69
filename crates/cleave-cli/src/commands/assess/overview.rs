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
    let next = next(&report, configured);
    context.output.report(Output::new(report).with_next(next), None)?;
    Ok(ExitCode::Done)
}

fn next(report: &ReadinessReport, configured: bool) -> Vec<NextStep> {
    let worst = report.findings.iter().find(|finding| finding.severity > Severity::Note);
    let explain = worst.map(|finding| {
        let why = "why it matters, with an example and the fix";
        NextStep::cleave(["explain", &finding.code], why, Risk::Read)
    });
    let then = if configured {
        let boundary = "what crosses between the services of cleave.toml";
        vec![
            NextStep::cleave(["assess", "boundary"], boundary, Risk::Read),
            NextStep::cleave(["doctor"], "whether both sides are ready for these services", Risk::Read),
        ]
    } else {
        vec![NextStep::cleave(
            ["init", "URL"],
            "writes a first cleave.toml with proposed services",
            Risk::Read,
        )]
    };
    explain.into_iter().chain(then).collect()
}
