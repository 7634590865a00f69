//! Reads the configuration file and turns what is wrong with it into problems.

use crate::failure::Failure;
use cleave_api::{ExitCode, NextStep, Problem, Risk, SourceSpan};
use cleave_config::{Config, ConfigError, Severity, Source};
use std::path::{Path, PathBuf};

/// A configuration and the text it was read from, which later errors point into.
pub struct Loaded {
    /// The typed file.
    pub config: Config,
    /// Its text.
    pub text: String,
    /// The folder it stands in: relative paths and hooks start there.
    pub folder: PathBuf,
}

impl Loaded {
    /// What should be changed but stops nothing.
    pub fn warnings(&self) -> Vec<Problem> {
        self.config.warnings.iter().map(|warning| self.problem(warning)).collect()
    }

    /// A problem with the source line it is about.
    pub fn problem(&self, error: &ConfigError) -> Problem {
        problem(error, Source { file: &self.config.file, text: &self.text })
    }
}

/// Reads and checks the file.
pub fn read(path: &Path) -> Result<Loaded, Failure> {
    let file = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| unreadable(&file, &error))?;
    match Config::parse(&text, &file) {
        Ok(config) => {
            let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty());
            Ok(Loaded { config, text, folder: folder.unwrap_or(Path::new(".")).to_owned() })
        }
        Err(errors) => {
            let source = Source { file: &file, text: &text };
            Err(Failure::all(errors.errors().iter().map(|error| problem(error, source)).collect()))
        }
    }
}

/// All the errors of a later look at a configuration that has been read, such as [`cleave_config::match_tables`].
pub fn failure(errors: &cleave_config::ConfigErrors) -> Failure {
    // Lines are shown as they stand in the file now: it was read a moment ago.
    let text = std::fs::read_to_string(errors.file()).unwrap_or_default();
    let source = Source { file: errors.file(), text: &text };
    Failure::all(errors.errors().iter().map(|error| problem(error, source)).collect())
}

/// A configuration error as a problem, with the line it is about.
pub fn problem(error: &ConfigError, source: Source<'_>) -> Problem {
    let mut problem = match error.code.severity() {
        Severity::Error => Problem::error(error.code.as_str(), &error.message).exit(ExitCode::Usage),
        Severity::Warning => Problem::warning(error.code.as_str(), &error.message),
    };
    problem.hint.clone_from(&error.hint);
    let excerpt = source.excerpt(&error.span);
    problem.at(SourceSpan {
        file: source.file.to_owned(),
        line: error.line,
        column: error.column,
        length: excerpt.length,
        text: excerpt.text,
        label: error.label.clone(),
    })
}

fn unreadable(file: &str, error: &std::io::Error) -> Failure {
    let problem = Problem::error("C0901", format!("the configuration file {file} cannot be read"))
        .about(file)
        .caused_by(Some(error))
        .exit(ExitCode::Usage);
    if error.kind() != std::io::ErrorKind::NotFound {
        return problem.into();
    }
    let next = NextStep::cleave(["explain", "C0901"], "shows a first configuration file", Risk::Read);
    problem.hint("name the file with -C FILE, or write one").next(next).into()
}
