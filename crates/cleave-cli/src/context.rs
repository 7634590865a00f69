//! What a verb is given: the flags, the output, the way to ask, and the user's wish to stop.

use crate::cli::Globals;
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::load::{self, Loaded};
use crate::output::Output;
use cleave_api::{ExitCode, Problem};
use std::io::{IsTerminal as _, Write as _};

/// Everything around a verb.
pub struct Context {
    /// The global flags.
    pub globals: Globals,
    /// Where reports and events go.
    pub output: Output,
    /// Ctrl-C.
    pub interrupt: Interrupt,
}

impl Context {
    /// Puts the parts together.
    pub fn new(globals: Globals, output: Output, interrupt: Interrupt) -> Self {
        Self { globals, output, interrupt }
    }

    /// Reads the configuration file and shows its warnings.
    pub fn load(&self) -> Result<Loaded, Failure> {
        let loaded = load::read(&self.globals.config)?;
        for warning in loaded.warnings() {
            self.output.problem(&warning);
        }
        Ok(loaded)
    }

    /// True if a yes must be asked for, false with `--yes`.
    ///
    /// # Errors
    /// C0904 if there is no terminal to ask on.
    pub fn asks(&self) -> Result<bool, Failure> {
        if self.globals.yes {
            return Ok(false);
        }
        if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
            let problem = Problem::error("C0904", "this needs a yes, and there is no terminal to ask on")
                .hint("add --yes if you have read what it does; --dry-run shows it")
                .exit(ExitCode::Usage);
            return Err(problem.into());
        }
        Ok(true)
    }

    /// Asks for a yes by having `word` typed. `about` says what will happen, in full sentences.
    ///
    /// # Errors
    /// C0904 if there is no terminal to ask on and no `--yes`; C0905 if something else was typed. Nothing has been
    /// changed in either case.
    pub fn confirm(&self, about: &str, word: &str) -> Result<(), Failure> {
        if !self.asks()? {
            return Ok(());
        }
        match ask(about, word) {
            Ok(answer) if answer.trim() == word => Ok(()),
            Ok(_) => Err(Problem::error("C0905", "not confirmed, nothing was changed")
                .exit(ExitCode::Refused)
                .into()),
            Err(error) => {
                Err(Problem::error("C0904", "the terminal cannot be read").caused_by(Some(&error)).into())
            }
        }
    }
}

fn ask(about: &str, word: &str) -> std::io::Result<String> {
    let mut terminal = std::io::stderr();
    write!(terminal, "{about}\nType {word} to go on: ")?;
    terminal.flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(answer)
}
