//! `cleave verify`: are both sides the same.

use crate::address::site;
use crate::context::Context;
use crate::difference_file::DifferenceFile;
use crate::failure::Failure;
use crate::next;
use crate::work::{Work, events, unknown_answer};
use cleave_api::{ExitCode, NextStep, Output, Problem, Risk, VerificationState, VerifyReport};
use cleave_config::{MappedTable, MappingFile, TablePattern};
use cleave_engine::{Answer, Comparison, KeptComparison, Mapping, TableMapping, Verb, VerifyOptions};
use cleave_model::format_count;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Compare both sides row by row while both are in use
///
/// Rows that look different are looked at again by key before they are called different, so that changes on their way
/// raise no alarm. Exits with 5 if the sides differ. A clean and fresh result is a gate of `cleave cutover`.
///
/// With --source and --target it compares any two databases, without a configuration and without a move. No stream says
/// then when the target has caught up: it is given --lag seconds, and a row counts as different if it is so after them
/// while its source row stood still.
#[derive(Debug, clap::Args)]
pub struct VerifyArgs {
    /// The service; may be left out where the file has one
    #[arg(value_name = "SERVICE")]
    pub service: Option<String>,

    /// Compare this database, which no move needs to know, as the one that is right: postgres://user@host:port/database,
    /// or env:NAME, file:PATH, cmd:COMMAND
    #[arg(long, value_name = "URL", requires = "target", conflicts_with = "service")]
    pub source: Option<String>,

    /// The database to compare it with
    #[arg(long, value_name = "URL", requires = "source")]
    pub target: Option<String>,

    /// Which tables to compare, such as public.film or "public.film_*"; all where none is named
    #[arg(long, value_name = "PATTERN", requires = "source", num_args = 1..)]
    pub tables: Vec<String>,

    /// A file that says what is otherwise in the target: names of schemas, tables and columns, columns and rows that only
    /// one side has, and tables that became several
    #[arg(long, value_name = "FILE", requires = "source")]
    pub map: Option<PathBuf>,

    /// Keep in this file how far the comparison has come; the next one with the same file goes on there. It holds values
    /// of keys
    #[arg(long, value_name = "FILE", requires = "source")]
    pub state: Option<PathBuf>,

    /// Read everything again, also what a comparison had proven whose process died
    #[arg(long)]
    pub restart: bool,

    /// How many seconds the target may lag behind the source, if something feeds it
    #[arg(long, value_name = "SECONDS", requires = "source", default_value_t = 1)]
    pub lag: u64,

    /// Write every difference to this file, a JSON line each
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Show the values that differ; without it only keys and columns are named
    #[arg(long)]
    pub show_values: bool,

    /// Compare again and again, with so many seconds in between, until a difference is found or somebody stops it; each
    /// result takes the place of the one before as the gate of a cutover
    #[arg(long, value_name = "SECONDS", conflicts_with_all = ["source", "output"])]
    pub every: Option<u64>,

    /// Make rows of the follower that differ what they are at the home, then compare again. Rows that change meanwhile
    /// are left alone
    #[arg(long, conflicts_with_all = ["source", "output", "show_values", "jobs", "max_rate", "max_lag", "max_sessions", "restart", "every"])]
    pub repair: bool,

    /// With --repair: compare and say what differs; change nothing
    #[arg(long, requires = "repair")]
    pub dry_run: bool,

    /// Tables compared at a time
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,

    /// Read no more rows per second than this from large tables; small ones, and those that no index gives an order, are
    /// read at once
    #[arg(long, value_name = "ROWS", value_parser = clap::value_parser!(u64).range(1..))]
    pub max_rate: Option<u64>,

    /// Pause while a standby or a slot in use is further behind the home (or the source) than this, such as 64MB. It goes
    /// before `limits.verify_max_lag`
    #[arg(long, value_name = "SIZE", value_parser = super::apply::size)]
    pub max_lag: Option<u64>,

    /// Pause while more sessions than this execute a statement at the home (or the source). It goes before
    /// `limits.verify_max_sessions`
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_sessions: Option<u32>,
}

/// Runs the verb.
pub async fn run(arguments: VerifyArgs, context: &Context) -> Result<ExitCode, Failure> {
    let file = arguments.output.as_deref().map(DifferenceFile::create).transpose()?;
    let options = VerifyOptions {
        found: file.as_ref().map(DifferenceFile::found),
        show_values: arguments.show_values,
        jobs: arguments.jobs.map(usize::from),
        rows_per_second_max: arguments.max_rate,
        lag_bytes_max: arguments.max_lag,
        sessions_max: arguments.max_sessions,
        listed_max: None,
        restart: arguments.restart,
    };
    match (&arguments.source, &arguments.target) {
        (Some(source), Some(target)) => {
            let comparison = Comparison {
                source: site(source)?.endpoint,
                target: site(target)?.endpoint,
                tables: patterns(&arguments.tables)?,
                lag: Duration::from_secs(arguments.lag),
                mapping: arguments.map.as_deref().map(mapping).transpose()?.unwrap_or_default(),
                kept: arguments.state.as_deref().map(kept).transpose()?,
            };
            let (events, cancelled) = events(context);
            let report = Box::pin(cleave_engine::compare(comparison, &options, &events, &cancelled)).await?;
            if let Some(state) = &arguments.state {
                // It has ended: there is nothing to go on with.
                std::fs::remove_file(state).ok();
            }
            told(report, file, Vec::new(), context)
        }
        _ => service(&arguments, options, file, context).await,
    }
}

/// Compares the two sides of a move.
async fn service(
    arguments: &VerifyArgs,
    options: VerifyOptions,
    file: Option<DifferenceFile>,
    context: &Context,
) -> Result<ExitCode, Failure> {
    let work = Work::begin(context)?;
    let service = work.named(arguments.service.as_deref())?;
    let verb = if arguments.repair {
        let dry_run = arguments.dry_run;
        if !dry_run {
            context.confirm(
                &format!("Rows of {service} that differ from the home will be written over."),
                service.as_str(),
            )?;
        }
        Verb::Repair { dry_run }
    } else {
        Verb::VerifyWith(options)
    };
    let report = loop {
        let Answer::Verification(report) = work.execute(&service, verb.clone()).await? else {
            return Err(unknown_answer().into());
        };
        let Some(seconds) = arguments.every.filter(|_| report.state != VerificationState::Different) else {
            break report;
        };
        let (state, rows) = (report.state.as_str(), format_count(report.rows));
        context
            .output
            .note(&format!("{service}  {state} at {}: {rows} rows; again in {seconds} s", report.at));
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(seconds)) => {}
            () = work.cancelled.cancelled() => break report,
        }
    };
    let steps = match report.state {
        VerificationState::Different if arguments.dry_run => {
            let repair = ["verify", service.as_str(), "--repair"];
            vec![NextStep::cleave(repair, "writes the home's rows over those that differ", Risk::Permanent)]
        }
        VerificationState::Different => Vec::new(),
        _ => work.next(&service).await?,
    };
    told(report, file, steps, context)
}

fn told(
    report: VerifyReport,
    file: Option<DifferenceFile>,
    mut steps: Vec<NextStep>,
    context: &Context,
) -> Result<ExitCode, Failure> {
    if let Some(file) = file {
        let written = file.finish(&report.differences)?;
        let all: u64 = report.tables.iter().map(|table| table.entries).sum();
        if all > written {
            context.output.note(&format!(
                "{} of {} rows are not in the file: the engine that runs the service hands over {} of a table. Without \
                 it, `cleave verify -o` writes them all",
                format_count(all - written),
                format_count(all),
                format_count(cleave_engine::HANDED_OVER_MAX as u64)
            ));
        }
    }
    let exit = cleave_engine::exit_of_verification(report.state);
    if steps.is_empty() && report.state == VerificationState::Different {
        steps = vec![next::advice("the sides differ: find out why before anything else is done")];
    } else if steps.is_empty() && report.state == VerificationState::Unproven {
        steps = vec![NextStep::cleave(
            ["verify"],
            "when less is written to the rows that are unproven",
            Risk::Read,
        )];
    }
    context.output.report(Output::new(report).with_next(steps), None)?;
    Ok(exit)
}

/// What a file says is otherwise in the target.
fn mapping(path: &Path) -> Result<Mapping, Failure> {
    let wrong = |reason: String| -> Failure {
        Problem::error("C0617", format!("the mapping {} cannot be used: {reason}", path.display()))
            .exit(ExitCode::Usage)
            .into()
    };
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    let file = MappingFile::parse(&text).map_err(|error| wrong(error.to_string()))?;
    let table = |table: MappedTable| TableMapping {
        source: table.source,
        target: table.target,
        columns: table.columns,
        without: table.without,
        source_where: table.source_where,
        target_where: table.target_where,
    };
    Ok(Mapping { schemas: file.schemas, tables: file.tables.into_iter().map(table).collect() })
}

/// A file that keeps how far a comparison has come. It takes the place of the old one at once, so that a kill leaves one
/// or the other.
fn kept(path: &Path) -> Result<KeptComparison, Failure> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(crate::files::unwritable(path, &error)),
    };
    let (path, mut aside) = (path.to_owned(), path.as_os_str().to_owned());
    aside.push(".new");
    let keep = move |text: &str| {
        // Values of keys are nobody else's business.
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&aside);
        file.and_then(|mut file| file.write_all(text.as_bytes()))
            .and_then(|()| std::fs::rename(&aside, &path))
            .map_err(|error| error.to_string())
    };
    Ok(KeptComparison { text, keep: Arc::new(keep) })
}

fn patterns(texts: &[String]) -> Result<Vec<TablePattern>, Failure> {
    let pattern = |text: &String| {
        TablePattern::parse(text).map_err(|error| -> Failure {
            Problem::error("C0608", format!("`{text}` names no table: it {error}"))
                .hint("write schema.table, with * for any run of characters")
                .exit(ExitCode::Usage)
                .into()
        })
    };
    texts.iter().map(pattern).collect()
}
