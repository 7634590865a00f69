//! `cleave verify`: are both sides the same.

use crate::context::Context;
use crate::failure::Failure;
use crate::files;
use crate::next;
use crate::work::{Work, unknown_answer};
use cleave_api::{Difference, ExitCode, Output};
use cleave_engine::{Answer, Verb};
use std::path::{Path, PathBuf};

/// Differences in the document; the file of `-o` has all.
const DIFFERENCES_MAX: usize = 1000;

/// Compare both sides row by row while both are in use
///
/// Rows that look different are looked at again by key before they are called different, so that changes on their way
/// raise no alarm. Exits with 5 if the sides differ. A clean and fresh result is a gate of `cleave cutover`.
#[derive(Debug, clap::Args)]
pub struct VerifyArgs {
    /// The service; may be left out where the file has one
    #[arg(value_name = "SERVICE")]
    pub service: Option<String>,

    /// Write every difference to this file, a JSON line each
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Runs the verb.
pub async fn run(arguments: VerifyArgs, context: &Context) -> Result<ExitCode, Failure> {
    let work = Work::begin(context)?;
    let service = work.service(arguments.service.as_deref())?.name.clone();
    let Answer::Verification(mut report) = work.execute(&service, Verb::Verify).await? else {
        return Err(unknown_answer().into());
    };
    if let Some(path) = &arguments.output {
        write(path, &report.differences)?;
    }
    report.differences.truncate(DIFFERENCES_MAX);
    let exit = cleave_engine::exit_of_verification(report.state);
    let steps = match exit {
        ExitCode::Different if report.state == cleave_api::VerificationState::Different => {
            vec![next::advice("the sides differ: find out why before anything else is done")]
        }
        _ => work.next(&service).await?,
    };
    context.output.report(Output::new(report).with_next(steps), None)?;
    Ok(exit)
}

fn write(path: &Path, differences: &[Difference]) -> Result<(), Failure> {
    let mut text = String::new();
    for difference in differences {
        text += &serde_json::to_string(difference).map_err(|error| files::unwritable(path, &error))?;
        text.push('\n');
    }
    files::write(path, &text)
}
