//! The real input that tests read from outside the repository, and whether its absence is a failure.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::root;
use crate::error::Error;

/// Where Pagila lies, and whether a test that cannot find it is a failure.
#[derive(Debug, Clone)]
pub(crate) struct Inputs {
    pagila: PathBuf,
    required: bool,
}

impl Inputs {
    /// Reads `PAGILA_DIR` and `REQUIRE_PAGILA`; refuses at once where Pagila is required and not there.
    pub(crate) fn find() -> Result<Inputs, Error> {
        let named = std::env::var_os("PAGILA_DIR").filter(|value| !value.is_empty());
        let required = std::env::var_os("REQUIRE_PAGILA").is_some_and(|value| value == "1");
        let inputs = Inputs::resolve(&root(), named.map(PathBuf::from), required);
        if required && !inputs.pagila.is_dir() {
            return Err(Error::Refused(format!(
                "REQUIRE_PAGILA=1, but there is no folder {}; name it with PAGILA_DIR",
                inputs.pagila.display()
            )));
        }
        Ok(inputs)
    }

    fn resolve(root: &Path, named: Option<PathBuf>, required: bool) -> Inputs {
        let pagila = root.join(named.unwrap_or_else(|| PathBuf::from("../shared/data/pagila")));
        Inputs { pagila, required }
    }

    /// Hands the folder to a test binary. It is absolute: cargo runs tests in the folder of their crate.
    pub(crate) fn tell(&self, command: &mut Command) {
        command.env("PAGILA_DIR", &self.pagila);
    }

    /// Differs where other tests can run: a result without the input does not stand for one with it.
    pub(crate) fn stamp(&self) -> &'static str {
        if self.pagila.is_dir() { "with Pagila " } else { "without Pagila " }
    }

    /// Whether this skipped test had to run.
    pub(crate) fn forbids(&self, skipped: &str) -> bool {
        self.required && skipped.to_lowercase().contains("pagila")
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::Inputs;

    #[test]
    fn a_relative_folder_is_meant_from_the_repository() {
        let inputs = Inputs::resolve(Path::new("/repository"), Some(PathBuf::from("data")), false);
        assert_eq!(inputs.pagila, Path::new("/repository/data"));
        let inputs = Inputs::resolve(Path::new("/repository"), Some(PathBuf::from("/data")), false);
        assert_eq!(inputs.pagila, Path::new("/data"));
    }

    #[test]
    fn a_skip_for_want_of_pagila_is_forbidden_only_where_pagila_is_required() {
        let skip = "films_move_and_come_back: no Pagila at /data";
        assert!(Inputs::resolve(Path::new("/"), None, true).forbids(skip));
        assert!(!Inputs::resolve(Path::new("/"), None, true).forbids("keys: needs PostgreSQL 18"));
        assert!(!Inputs::resolve(Path::new("/"), None, false).forbids(skip));
    }
}
