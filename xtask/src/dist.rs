//! `cargo xtask dist`: the program as it is given away, with what belongs beside it.
//!
//! One archive for Linux on x64: the binary, completions, manual pages, the unit for systemd and the licences. It is tried
//! before it is packed: the libraries that it needs are looked at, and it is started.

use crate::command::{capture, cargo, root, run};
use crate::console::{note, say};
use crate::error::Error;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Parts of glibc, and what the kernel itself gives.
const GLIBC: &[&str] = &[
    "ld-linux-x86-64.so.2",
    "libc.so.6",
    "libdl.so.2",
    "libm.so.6",
    "libpthread.so.0",
    "librt.so.1",
    "linux-vdso.so.1",
];
const SHELLS: &[(&str, &str)] = &[("bash", "cleave.bash"), ("zsh", "_cleave"), ("fish", "cleave.fish")];
const STARTS: usize = 21;

/// Builds, looks at and packs the program.
pub(crate) fn dist(profile: &str) -> Result<(), Error> {
    note("Building cleave");
    let target = root().join("target/package");
    let link = format!("native={}", unwinder(&target)?.display());
    let build = ["rustc", "--quiet", "--package", "cleave-cli", "--bin", "cleave", "--profile", profile];
    run(cargo(&[&build[..], &["--", "-L", &link]].concat()))?;
    let folder = if profile == "dev" { "debug" } else { profile };
    let built = root().join("target").join(folder).join("cleave");
    let name = format!("cleave-{}-x86_64-linux", version(&built)?);
    let stage = target.join(&name);
    stage_files(&built, &stage)?;
    let binary = stage.join("cleave");
    let foreign = foreign_libraries(&String::from_utf8_lossy(&capture(command("ldd", &[&binary]))?));
    if !foreign.is_empty() {
        return Err(Error::Refused(format!("the binary needs {}", foreign.join(", "))));
    }
    let archive = pack(&target, &name)?;
    report(&binary, &archive)
}

/// A folder in which the linker finds the static half of the compiler's own library where it looks for the shared one:
/// the unwinder goes into the binary, and no libgcc_s.so.1 is needed beside it.
fn unwinder(target: &Path) -> Result<PathBuf, Error> {
    let folder = target.join("link");
    std::fs::create_dir_all(&folder).map_err(Error::file("create", &folder))?;
    let script = folder.join("libgcc_s.so");
    std::fs::write(&script, "INPUT(-lgcc_eh)\n").map_err(Error::file("write", &script))?;
    Ok(folder)
}

fn command(program: &str, arguments: &[&Path]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments);
    command
}

/// What `cleave --version` says behind the name.
fn version(binary: &Path) -> Result<String, Error> {
    let mut asked = Command::new(binary);
    asked.arg("--version");
    let said = capture(asked)?;
    Ok(String::from_utf8_lossy(&said).trim().trim_start_matches("cleave ").to_owned())
}

fn stage_files(built: &Path, stage: &Path) -> Result<(), Error> {
    if stage.exists() {
        std::fs::remove_dir_all(stage).map_err(Error::file("empty", stage))?;
    }
    for folder in ["completions", "man", "systemd"] {
        let folder = stage.join(folder);
        std::fs::create_dir_all(&folder).map_err(Error::file("create", &folder))?;
    }
    let root = root();
    for (from, to) in [
        (built.to_path_buf(), "cleave"),
        (root.join("README.md"), "README.md"),
        (root.join("LICENSE-MIT"), "LICENSE-MIT"),
        (root.join("LICENSE-APACHE"), "LICENSE-APACHE"),
        (root.join("deploy/systemd/cleave.service"), "systemd/cleave.service"),
        (root.join("deploy/systemd/README.md"), "systemd/README.md"),
    ] {
        std::fs::copy(&from, stage.join(to)).map_err(Error::file("copy", &from))?;
    }
    for (shell, name) in SHELLS {
        let mut asked = Command::new(built);
        asked.args(["completions", shell]);
        let path = stage.join("completions").join(name);
        std::fs::write(&path, capture(asked)?).map_err(Error::file("write", &path))?;
    }
    let mut manual = Command::new(built);
    manual.arg("manual").arg(stage.join("man"));
    run(manual)
}

/// Libraries in the output of `ldd` that glibc does not bring.
fn foreign_libraries(ldd: &str) -> Vec<String> {
    let library = |line: &str| {
        let path = line.split_whitespace().next()?;
        let name = path.rsplit('/').next()?;
        (name.contains(".so") && !GLIBC.contains(&name)).then(|| name.to_owned())
    };
    ldd.lines().filter_map(library).collect()
}

fn pack(target: &Path, name: &str) -> Result<PathBuf, Error> {
    let archive = target.join(format!("{name}.tar.gz"));
    let mut tar = Command::new("tar");
    // The same files give the same archive, whoever packs them and when.
    tar.args(["--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--mtime=@0", "-czf"]);
    tar.arg(&archive).arg("-C").arg(target).arg(name);
    run(tar)?;
    Ok(archive)
}

fn report(binary: &Path, archive: &Path) -> Result<(), Error> {
    let read = |path: &Path| std::fs::read(path).map_err(Error::file("read", path));
    let (program, packed) = (read(binary)?, read(archive)?);
    let sum: String = Sha256::digest(&packed).iter().map(|byte| format!("{byte:02x}")).collect();
    let path = archive.with_extension("gz.sha256");
    let name = archive.file_name().unwrap_or_default().to_string_lossy();
    std::fs::write(&path, format!("{sum}  {name}\n")).map_err(Error::file("write", &path))?;
    let megabytes = |bytes: &[u8]| format!("{:.1} MB", bytes.len() as f64 / 1e6);
    say(format_args!("binary     {} ({})", megabytes(&program), binary.display()))?;
    say(format_args!("archive    {} ({})", megabytes(&packed), archive.display()))?;
    say(format_args!("needs      glibc {} or newer, nothing else", newest_glibc(&program)))?;
    say(format_args!(
        "start-up   {:.1} ms (median of {STARTS}: cleave --version)",
        start_up(binary)?.as_secs_f64() * 1e3
    ))?;
    say(format_args!("sha256     {sum}"))
}

/// The newest `GLIBC_x.y` that the binary names.
fn newest_glibc(program: &[u8]) -> String {
    const MARK: &[u8] = b"GLIBC_";
    let mut versions = BTreeSet::new();
    for at in 0..program.len().saturating_sub(MARK.len()) {
        if program[at..].starts_with(MARK) {
            let rest =
                program[at + MARK.len()..].iter().take_while(|byte| byte.is_ascii_digit() || **byte == b'.');
            let text: String = rest.map(|byte| char::from(*byte)).collect();
            let numbers: Vec<u32> = text.split('.').filter_map(|part| part.parse().ok()).collect();
            if numbers.len() >= 2 {
                versions.insert(numbers);
            }
        }
    }
    let newest =
        versions.last().map(|numbers| numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join("."));
    newest.unwrap_or_else(|| "of any version".to_owned())
}

fn start_up(binary: &Path) -> Result<Duration, Error> {
    let mut times = Vec::new();
    for _ in 0..STARTS {
        let mut asked = Command::new(binary);
        asked.arg("--version").stdout(Stdio::null());
        let begun = Instant::now();
        run(asked)?;
        times.push(begun.elapsed());
    }
    times.sort();
    Ok(times[times.len() / 2])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_that_glibc_does_not_bring_is_named() {
        let ldd = "\tlinux-vdso.so.1 (0x00007ffd)\n\tlibgcc_s.so.1 => /lib/x86_64-linux-gnu/libgcc_s.so.1 (0x00007f)\n\
                   \tlibm.so.6 => /lib/x86_64-linux-gnu/libm.so.6 (0x00007f)\n\t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n\
                   \tlibssl.so.3 => not found\n";
        assert_eq!(foreign_libraries(ldd), ["libgcc_s.so.1", "libssl.so.3"]);
        assert!(foreign_libraries("\tstatically linked\n").is_empty());
    }

    #[test]
    fn the_newest_version_of_glibc_is_found_by_number_not_by_text() {
        assert_eq!(newest_glibc(b"..GLIBC_2.4\0GLIBC_2.34\0GLIBC_2.3.4\0GLIBC_PRIVATE\0"), "2.34");
        assert_eq!(newest_glibc(b"nothing"), "of any version");
    }
}
