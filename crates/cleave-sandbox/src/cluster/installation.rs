//! Finds the server binaries of a version. Fetching them is `cargo xtask servers`.

use std::path::{Path, PathBuf};

use crate::{Error, Version};

/// The folder for servers below a project, as `cargo xtask servers` fills it.
const PROJECT_FOLDER: &str = ".cache/servers";

/// Where they are when the project lies below a folder that only root may enter.
const SYSTEM_FOLDER: &str = "/var/cache/cleave/servers";

/// The programs of one PostgreSQL version.
#[derive(Clone, Debug)]
pub(crate) struct Installation {
    /// The folder that holds them, with links resolved: a new pin must not change a running server's files.
    pub(crate) programs: PathBuf,
}

impl Installation {
    /// Looks into `CLEAVE_SERVERS`, or else into `.cache/servers` of the working folder and all folders above it,
    /// then into the system's folder.
    pub(crate) fn locate(version: Version) -> Result<Self, Error> {
        let looked = folders();
        let found = looked.iter().find_map(|folder| in_folder(folder, version));
        found.map(|programs| Self { programs }).ok_or(Error::NoInstallation { version, looked })
    }

    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.programs.join(name)
    }
}

/// The folder of the pinned `pg_dump`, which lies beside the servers.
///
/// # Errors
/// [`Error::NoClient`] when it has not been fetched.
pub fn client_tools() -> Result<PathBuf, Error> {
    let looked = folders();
    let tools = |folder: &PathBuf| {
        let tools = folder.join("client").canonicalize().ok()?.join("pgserver/pginstall/bin");
        tools.join("pg_dump").is_file().then_some(tools)
    };
    looked.iter().find_map(tools).ok_or(Error::NoClient { looked })
}

pub(super) fn folders() -> Vec<PathBuf> {
    if let Some(folder) = std::env::var_os("CLEAVE_SERVERS").filter(|value| !value.is_empty()) {
        return vec![PathBuf::from(folder)];
    }
    let here = std::env::current_dir().unwrap_or_default();
    let above = here.ancestors().map(|folder| folder.join(PROJECT_FOLDER)).filter(|folder| folder.is_dir());
    let mut folders: Vec<PathBuf> = above.collect();
    if folders.is_empty() {
        folders.push(here.join(PROJECT_FOLDER));
    }
    folders.push(PathBuf::from(SYSTEM_FOLDER));
    folders
}

/// The npm package has its programs in `native/bin`, an installation of one's own in `bin`.
fn in_folder(folder: &Path, version: Version) -> Option<PathBuf> {
    let home = folder.join(version.major().to_string()).canonicalize().ok()?;
    let complete =
        |programs: &PathBuf| ["postgres", "initdb"].iter().all(|name| programs.join(name).is_file());
    [home.join("native").join("bin"), home.join("bin")].into_iter().find(complete)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn programs_are_found_behind_a_link_and_only_when_all_are_there() {
        let folder = std::env::temp_dir().join(format!("cleave-installation-{}", std::process::id()));
        let programs = folder.join("16.14").join("native").join("bin");
        fs::create_dir_all(&programs).unwrap();
        std::os::unix::fs::symlink("16.14", folder.join("16")).unwrap();
        fs::write(programs.join("postgres"), "").unwrap();
        let half = in_folder(&folder, Version::V16);
        fs::write(programs.join("initdb"), "").unwrap();
        let whole = in_folder(&folder, Version::V16);
        let other = in_folder(&folder, Version::V17);
        let resolved = programs.canonicalize().unwrap();
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!((half, whole, other), (None, Some(resolved), None));
    }

    #[test]
    fn a_missing_installation_says_where_it_was_looked_for_and_what_to_do() {
        let looked = vec![PathBuf::from("/a"), PathBuf::from("/b")];
        let error = Error::NoInstallation { version: Version::V18, looked };
        let expected = "no PostgreSQL 18 servers in /a, /b: run `cargo xtask servers`, or name a folder with \
                        `<folder>/18/bin/postgres` in CLEAVE_SERVERS";
        assert_eq!(error.to_string(), expected);
    }
}
