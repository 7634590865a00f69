//! `cleave graph`: a database as a picture.

use crate::context::Context;
use crate::failure::Failure;
use crate::files;
use crate::observed::{self, Chosen};
use cleave_api::{ExitCode, GraphGroup, GraphReport, GraphTie, NextStep, Output, Problem, Risk};
use cleave_assess::picture::{self, GroupKind, Style, Survey};
use std::path::{Path, PathBuf};

/// Draw the services of a database and what crosses between them, or one service's tables
///
/// Reads the catalog and cleave.toml, and prints an SVG or DOT file: services as boxes that grow with their tables, and
/// between them how many keys and views cross; with --service, that service's tables, their keys, and what they reach
/// outside. A database without services in cleave.toml is drawn by schema and by the keys between its tables. Changes
/// nothing. With --format json it prints what the picture shows.
#[derive(Debug, clap::Args)]
pub struct GraphArgs {
    /// Draw the tables of this service, or of another group that the overview shows
    #[arg(long, value_name = "NAME")]
    pub service: Option<String>,

    /// The database to draw: a name in cleave.toml, or a URL, with which no configuration file is needed
    #[arg(long, value_name = "NAME|URL")]
    pub database: Option<String>,

    /// What to write; without this, what the file's name ends with, or SVG
    #[arg(long = "as", value_enum, value_name = "KIND")]
    pub kind: Option<Kind>,

    /// Write the picture to a file
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Kinds of pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// For browsers and documents
    Svg,
    /// For Graphviz
    Dot,
}

impl Kind {
    fn of(path: Option<&Path>) -> Self {
        let extension = path.and_then(Path::extension).map(|extension| extension.to_ascii_lowercase());
        match extension.as_deref().and_then(|extension| extension.to_str()) {
            Some("dot" | "gv") => Self::Dot,
            _ => Self::Svg,
        }
    }
}

/// Runs the verb.
pub async fn run(arguments: GraphArgs, context: &Context) -> Result<ExitCode, Failure> {
    let survey = match observed::choose(arguments.database.as_deref(), context)? {
        Chosen::Named(work, database) => cleave_engine::survey(&work.topology, &database).await?,
        Chosen::Url(site) => cleave_engine::survey_without_services(&site.endpoint).await?,
    };
    let group = arguments.service.as_deref().map(|name| group(&survey, name)).transpose()?;
    let kind = arguments.kind.unwrap_or_else(|| Kind::of(arguments.output.as_deref()));
    let text = match (kind, group) {
        (Kind::Svg, None) => picture::overview(&survey, Style::File),
        (Kind::Svg, Some(group)) => picture::tables(&survey, group, Style::File),
        (Kind::Dot, None) => picture::dot(&survey),
        (Kind::Dot, Some(group)) => picture::dot_of(&survey, group),
    };
    if let Some(path) = &arguments.output {
        files::write(path, &text)?;
    } else if !context.output.is_json() {
        context.output.data(&text)?;
        return Ok(ExitCode::Done);
    }
    let file = arguments.output.as_deref().map(|path| path.display().to_string());
    let next = next(&survey, &arguments, group.is_some());
    context.output.report(Output::new(report(&survey, file)).with_next(next), None)?;
    Ok(ExitCode::Done)
}

fn group(survey: &Survey, name: &str) -> Result<usize, Failure> {
    survey.group(name).ok_or_else(|| {
        let known: Vec<&str> = survey.groups.iter().map(|group| group.name.as_str()).collect();
        Problem::error("C1060", format!("the picture has no group of tables that is called {name}"))
            .about(name)
            .hint(format!("it has {}", known.join(", ")))
            .exit(ExitCode::Usage)
            .into()
    })
}

/// After the overview, the largest group by itself.
fn next(survey: &Survey, arguments: &GraphArgs, drawn: bool) -> Option<NextStep> {
    let largest = survey.groups.iter().max_by_key(|group| group.tables.len()).filter(|_| !drawn)?;
    let mut words = vec!["graph", "--service", largest.name.as_str()];
    if let Some(database) = &arguments.database
        && !database.contains("://")
    {
        words.extend(["--database", database]);
    }
    Some(NextStep::cleave(words, "draws the tables of the largest group", Risk::Read))
}

/// What the picture shows, as values.
fn report(survey: &Survey, file: Option<String>) -> GraphReport {
    let group = |at: usize| {
        let group = &survey.groups[at];
        let (rows, bytes) = survey.size_of(at);
        let kind = match group.kind {
            GroupKind::Service => "service",
            GroupKind::Rest => "rest",
            GroupKind::Schema => "schema",
            GroupKind::Connected => "connected",
        };
        GraphGroup {
            name: group.name.clone(),
            kind: kind.to_owned(),
            tables: group.tables.iter().map(|&table| survey.tables[table].name.to_string()).collect(),
            rows,
            bytes,
        }
    };
    let ties = survey.ties().into_iter().map(|tie| GraphTie {
        from: survey.groups[tie.from].name.clone(),
        to: survey.groups[tie.to].name.clone(),
        counts: tie.counts.iter().map(|(kind, count)| (kind.words().0.to_owned(), *count as u64)).collect(),
        objects: tie.objects,
    });
    GraphReport {
        database: survey.database.clone(),
        groups: (0..survey.groups.len()).map(group).collect(),
        ties: ties.collect(),
        file,
    }
}
