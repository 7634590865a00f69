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

fn folders() -> Vec<PathBuf> {
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
