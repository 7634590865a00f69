//! Where everything that Cleave says goes: data to standard output, the rest to standard error.

use crate::cli::{Color, DEFAULT_CONFIG, Format, Globals};
use crate::failure::Failure;
use crate::render::{self, Human, Narrator};
use anstream::{AutoStream, ColorChoice};
use cleave_api::{Event, EventLine, NextStep, Problem, Report};
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// Prints reports, problems and events in the chosen format. Clones share one terminal.
#[derive(Clone)]
pub struct Output {
    format: Format,
    quiet: bool,
    verbose: u8,
    color: ColorChoice,
    /// `-C FILE`, if it is not the default: next commands must name it too.
    config: Option<String>,
    narrator: Arc<Mutex<Narrator>>,
}

impl std::fmt::Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Output").field("format", &self.format).finish_non_exhaustive()
    }
}

impl Output {
    /// Chooses by the global flags.
    pub fn new(globals: &Globals) -> Self {
        let color = match globals.color {
            Color::Auto => ColorChoice::Auto,
            Color::Always => ColorChoice::Always,
            Color::Never => ColorChoice::Never,
        };
        let bars = globals.format == Format::Human && !globals.quiet && !globals.no_progress;
        Self {
            format: globals.format,
            quiet: globals.quiet,
            verbose: globals.verbose,
            color,
            config: (globals.config != Path::new(DEFAULT_CONFIG))
                .then(|| globals.config.display().to_string()),
            narrator: Arc::new(Mutex::new(Narrator::new(bars))),
        }
    }

    /// Prints a report: the data to standard output; for people, its problems, `Undo` and `Next` to standard error.
    ///
    /// `undo` must be one of the output's next steps to stand in the JSON too; it is added if it is not.
    ///
    /// # Errors
    /// C0903 if standard output cannot be written. A reader that closed the pipe early is no error.
    pub fn report<T: Report + Human>(
        &self,
        mut output: cleave_api::Output<T>,
        undo: Option<NextStep>,
    ) -> Result<(), Failure> {
        output.next_steps.iter_mut().for_each(|step| self.name_config(step));
        let undo = undo.map(|mut step| {
            self.name_config(&mut step);
            step
        });
        self.with_narrator(Narrator::clear);
        match self.format {
            Format::Human | Format::Toml => {
                if let Some(data) = &output.data {
                    self.write_out(&data.human(self.verbose))?;
                }
                output.problems.iter().for_each(|problem| self.problem(problem));
                if !self.quiet {
                    let steps = render::closing(&output.next_steps, undo.as_ref());
                    self.write_err(&steps);
                }
                Ok(())
            }
            Format::Json | Format::Jsonl => {
                let known = |step: &NextStep| output.next_steps.contains(step);
                let undo = undo.filter(|step| !known(step));
                self.document(&output.with_next(undo))
            }
        }
    }

    /// The same output with more or less said.
    #[must_use]
    pub fn with_verbose(&self, verbose: u8) -> Self {
        Self { verbose: self.verbose.max(verbose), ..self.clone() }
    }

    /// True if standard output is one JSON document or JSON lines.
    pub fn is_json(&self) -> bool {
        !matches!(self.format, Format::Human | Format::Toml)
    }

    /// Prints text that is data by itself, such as SQL or a schema, whatever the format.
    pub fn data(&self, text: &str) -> Result<(), Failure> {
        self.with_narrator(Narrator::clear);
        self.write_out(text)
    }

    /// Prints why a verb failed.
    pub fn failure(&self, failure: &Failure) {
        self.with_narrator(Narrator::clear);
        let mut problems = failure.problems().to_vec();
        problems
            .iter_mut()
            .filter_map(|problem| problem.next.as_mut())
            .for_each(|step| self.name_config(step));
        if matches!(self.format, Format::Human | Format::Toml) {
            let drawn: Vec<String> = problems.iter().map(render::problem).collect();
            self.write_err(&drawn.join("\n"));
            let next: Vec<NextStep> = problems.iter().filter_map(|p| p.next.clone()).collect();
            self.write_err(&render::closing(&next, None));
        } else if let Err(unwritable) = self.document(&cleave_api::Output::failed(problems)) {
            unwritable.problems().iter().for_each(|problem| self.problem_text(problem));
        }
    }

    /// Shows a problem that does not end the verb. In JSON it belongs into the document or an event instead, and is
    /// shown on standard error all the same.
    pub fn problem(&self, problem: &Problem) {
        if self.quiet && problem.severity != cleave_api::Severity::Error {
            return;
        }
        self.problem_text(problem);
    }

    /// Reports an event: a line, a bar, or a JSON line.
    pub fn event(&self, event: &Event) {
        match self.format {
            Format::Jsonl => {
                // Output that cannot be written is reported with the final document; a line is not worth it.
                let line = EventLine::from(event).json_line().map_err(|error| unwritable(&error));
                let _ = line.and_then(|line| self.write_out(&format!("{line}\n")));
            }
            Format::Human | Format::Json | Format::Toml => {
                let quiet = self.quiet || self.format != Format::Human;
                let text = self.with_narrator(|narrator| narrator.tell(event, quiet));
                self.write_err(&text);
            }
        }
    }

    /// A line for people, on standard error.
    pub fn note(&self, message: &str) {
        if !self.quiet {
            self.write_err(&format!("{message}\n"));
        }
    }

    /// A next command must run as it stands: it names the configuration file that this one was given.
    fn name_config(&self, step: &mut NextStep) {
        let Some(config) = &self.config else { return };
        let [program, verb, ..] = step.argv.as_slice() else { return };
        if program == "cleave" && verb != "explain" && !step.argv.iter().any(|word| word == "-C") {
            step.argv.extend(["-C".to_owned(), config.clone()]);
        }
    }

    fn with_narrator<R>(&self, act: impl FnOnce(&mut Narrator) -> R) -> R {
        // A narrator is only drawing state: it is as good as new after a panic elsewhere.
        act(&mut self.narrator.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn problem_text(&self, problem: &Problem) {
        self.write_err(&render::problem(problem));
    }

    fn document<T: Report>(&self, document: &cleave_api::Output<T>) -> Result<(), Failure> {
        let text = match self.format {
            Format::Jsonl => document.json_line(),
            Format::Human | Format::Json | Format::Toml => document.json(),
        };
        let text = text.map_err(|error| unwritable(&error))?;
        self.write_out(&format!("{text}\n"))
    }

    fn write_out(&self, text: &str) -> Result<(), Failure> {
        let mut stream = AutoStream::new(io::stdout().lock(), self.choice(&io::stdout()));
        match stream.write_all(text.as_bytes()).and_then(|()| stream.flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(unwritable(&error)),
            _ => Ok(()),
        }
    }

    fn write_err(&self, text: &str) {
        if text.is_empty() {
            return;
        }
        let choice = self.choice(&io::stderr());
        self.with_narrator(|narrator| {
            narrator.suspend(|| {
                let mut stream = AutoStream::new(io::stderr().lock(), choice);
                // There is no one left to tell if standard error is gone.
                let _ = stream.write_all(text.as_bytes()).and_then(|()| stream.flush());
            });
        });
    }

    fn choice(&self, stream: &impl anstream::stream::RawStream) -> ColorChoice {
        match self.color {
            ColorChoice::Auto => AutoStream::choice(stream),
            chosen => chosen,
        }
    }
}

fn unwritable(error: &dyn std::error::Error) -> Failure {
    Problem::error("C0903", "the output cannot be written").caused_by(Some(error)).into()
}
