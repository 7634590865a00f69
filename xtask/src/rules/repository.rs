//! The repository's text files, in memory: rules do not touch the disk.

use std::collections::BTreeMap;
use std::process::Command;

use super::source::Source;
use crate::command::{capture, root};
use crate::error::Error;

/// Paths, relative to the root and with forward slashes, and what the files hold.
#[derive(Debug, Default)]
pub(crate) struct Repository {
    files: BTreeMap<String, String>,
}

impl Repository {
    /// Reads what git tracks, and what it would if it were added. Files that are not UTF-8 are not text.
    pub(crate) fn read() -> Result<Repository, Error> {
        let root = root();
        let mut git = Command::new("git");
        git.current_dir(&root).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
        let mut files = BTreeMap::new();
        for path in String::from_utf8_lossy(&capture(git)?).split('\0').filter(|path| !path.is_empty()) {
            let file = root.join(path);
            // A tracked file that was deleted but not yet committed, a link, a submodule.
            if !file.is_file() {
                continue;
            }
            let bytes = std::fs::read(&file).map_err(Error::file("read", &file))?;
            if let Ok(text) = String::from_utf8(bytes) {
                files.insert(path.to_owned(), text);
            }
        }
        Ok(Repository { files })
    }

    /// A repository of these files.
    #[cfg(test)]
    pub(crate) fn of(files: &[(&str, &str)]) -> Repository {
        Repository {
            files: files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect(),
        }
    }

    /// How many text files there are.
    pub(crate) fn len(&self) -> usize {
        self.files.len()
    }

    /// Every file, in the order of paths.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// The text of one file.
    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    /// Whether the path is a file or a folder with files in it.
    pub(crate) fn has(&self, path: &str) -> bool {
        let folder = format!("{}/", path.trim_end_matches('/'));
        path.is_empty()
            || self.files.contains_key(path)
            || self.files.keys().any(|file| file.starts_with(&folder))
    }

    /// The Rust files under `src` of every crate, with the crate's name.
    pub(crate) fn production(&self) -> impl Iterator<Item = (&str, &str, Source)> {
        self.files().filter_map(|(path, text)| {
            let package = package(path)?;
            let inside = path.split_once("/src/")?.1;
            let test_file = inside == "tests.rs"
                || inside.ends_with("/tests.rs")
                || inside.starts_with("tests/")
                || inside.contains("/tests/");
            (path.ends_with(".rs") && !test_file).then(|| (package, path, Source::parse(text)))
        })
    }

    /// The manifests of the crates, with the crate's name.
    pub(crate) fn manifests(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        self.files().filter_map(|(path, text)| {
            let package = package(path)?;
            (path == format!("crates/{package}/Cargo.toml")).then_some((package, path, text))
        })
    }
}

/// The crate that a path belongs to: `crates/NAME/...`, or `xtask/...`.
fn package(path: &str) -> Option<&str> {
    let mut parts = path.split('/');
    match parts.next()? {
        "xtask" => Some("xtask"),
        "crates" => parts.next(),
        _ => None,
    }
}
