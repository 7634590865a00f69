//! Cleans up after a cluster, whatever becomes of its owner.
//!
//! A shell waits for the end of a pipe whose other end only the owner holds. The operating system closes that end
//! when the owner exits, panics or is killed; then the shell stops the server and removes the folder. The ordinary
//! end of a [`Cluster`](crate::Cluster) takes the same path, so that every use tests it.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::Error;

/// `$1` is the cluster's folder. It is renamed before anything else: who wrote its pid into the folder before is
/// found there, who comes later finds no folder and does not start.
const SCRIPT: &str = r#"
trap '' HUP INT QUIT TERM
cat > /dev/null
mv "$1" "$1.gone" 2> /dev/null || exit 0
pid=$(cat "$1.gone/server.pid" 2> /dev/null)
if [ -n "$pid" ]; then
    kill -QUIT "$pid" 2> /dev/null
    tries=0
    while [ "$tries" -lt 50 ] && kill -0 "$pid" 2> /dev/null && ! grep -q '^State:.Z' "/proc/$pid/status" 2> /dev/null; do
        tries=$((tries + 1))
        sleep 0.1
    done
    kill -KILL "$pid" 2> /dev/null
fi
tries=0
until rm -rf "$1.gone" 2> /dev/null || [ "$tries" -ge 50 ]; do
    tries=$((tries + 1))
    sleep 0.1
done
"#;

/// The shell that cleans up; dropping this lets it.
#[derive(Debug)]
pub(super) struct Watchdog {
    shell: Child,
}

impl Watchdog {
    /// Watches over a folder that need not exist yet.
    pub(super) fn start(folder: &Path) -> Result<Self, Error> {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", SCRIPT, "cleave-sandbox-watchdog"]).arg(folder).current_dir("/");
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        // A group of its own: an interrupt from the terminal is for the owner, who then ends.
        command.process_group(0);
        let shell =
            command.spawn().map_err(|source| Error::Program { program: PathBuf::from("/bin/sh"), source })?;
        Ok(Self { shell })
    }

    /// Ends the watch without cleaning up, because the folder turned out to be somebody else's.
    pub(super) fn call_off(mut self) {
        // Both fail only if the shell is gone already, and then there is nothing to call off.
        drop(self.shell.kill());
        drop(self.shell.wait());
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        drop(self.shell.wait());
    }
}
