//! PgBouncer for the tests of switches behind a pooler: the distribution's package, unpacked beside the servers, with the
//! libraries that it names. Nothing is installed into the system.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Libraries of the package that a machine need not have.
const LIBRARIES: [&str; 2] = ["libevent", "libc-ares"];

/// Puts `pgbouncer/sbin/pgbouncer` and `pgbouncer/lib` into the folder of the servers, unless they are there or the
/// system has one. Where that cannot be done it is said, and the tests that need it are skipped and counted.
pub(crate) fn fetch(folder: &Path, say: &dyn Fn(String)) {
    let home = folder.join("pgbouncer");
    if home.join("sbin/pgbouncer").is_file() || Path::new("/usr/sbin/pgbouncer").is_file() {
        return;
    }
    say("Fetching PgBouncer (the package of the distribution)".to_owned());
    if let Err(reason) = install(folder, &home) {
        say(format!("PgBouncer could not be had, so tests with it are skipped: {reason}"));
    }
}

fn install(folder: &Path, home: &Path) -> Result<(), String> {
    let work = folder.join(format!(".fetch-pgbouncer-{}", std::process::id()));
    let said = |error: std::io::Error| error.to_string();
    fs::create_dir_all(&work).map_err(said)?;
    let installed = unpack(&work).and_then(|tree| {
        fs::create_dir_all(home).map_err(said)?;
        fs::create_dir_all(home.join("sbin")).map_err(said)?;
        copy_libraries(&tree, &home.join("lib")).map_err(said)?;
        // The program comes last: it says that all is there.
        fs::copy(tree.join("usr/sbin/pgbouncer"), home.join("sbin/pgbouncer")).map(drop).map_err(said)
    });
    drop(fs::remove_dir_all(&work));
    installed
}

fn unpack(work: &Path) -> Result<PathBuf, String> {
    if download(work, &["pgbouncer".to_owned()]).is_err() {
        run(work, "apt-get", &["update", "-qq"])?;
        download(work, &["pgbouncer".to_owned()])?;
    }
    let tree = work.join("tree");
    let [package] = &packages(work)[..] else { return Err("apt-get left no package".to_owned()) };
    let depends = run(work, "dpkg-deb", &["-f", &package.to_string_lossy(), "Depends"])?;
    let needed = depends.split(',').filter_map(|depend| depend.split_whitespace().next());
    let needed = needed.filter(|name| LIBRARIES.iter().any(|library| name.starts_with(library)));
    download(work, &needed.map(str::to_owned).collect::<Vec<_>>())?;
    for package in packages(work) {
        run(work, "dpkg-deb", &["-x", &package.to_string_lossy(), &tree.to_string_lossy()])?;
    }
    Ok(tree)
}

fn download(work: &Path, names: &[String]) -> Result<(), String> {
    let mut words = vec!["download", "-qq"];
    words.extend(names.iter().map(String::as_str));
    run(work, "apt-get", &words).map(drop)
}

fn packages(work: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(work).into_iter().flatten().filter_map(Result::ok);
    entries.map(|entry| entry.path()).filter(|path| path.extension() == Some(OsStr::new("deb"))).collect()
}

fn copy_libraries(tree: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for folder in fs::read_dir(tree.join("usr/lib"))?.filter_map(Result::ok).map(|entry| entry.path()) {
        for entry in fs::read_dir(&folder).into_iter().flatten().filter_map(Result::ok) {
            let name = entry.file_name();
            // A link is followed: what is loaded is its name.
            if name.to_string_lossy().contains(".so.") {
                fs::copy(entry.path(), to.join(&name))?;
            }
        }
    }
    Ok(())
}

fn run(folder: &Path, program: &str, words: &[&str]) -> Result<String, String> {
    let mut command = Command::new(program);
    command.args(words).current_dir(folder).stdin(Stdio::null());
    let output = command.output().map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{program} failed: {}", said.lines().next_back().unwrap_or_default()))
}
