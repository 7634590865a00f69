//! The operating-system user that servers run as: never root, because PostgreSQL refuses it.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Error;

/// Users that a server may run as when we are root, the preferred one first.
const CANDIDATES: [&str; 2] = ["postgres", "nobody"];

/// Who runs the servers.
#[derive(Clone, Debug)]
pub(crate) enum Account {
    /// The user that runs this process.
    Own,
    /// Another user, because this process runs as root.
    Other {
        /// The user's name.
        name: String,
        /// Its number.
        uid: u32,
        /// Its group's number.
        gid: u32,
    },
}

impl Account {
    /// Chooses the account for servers of this process.
    pub(crate) fn choose() -> Result<Self, Error> {
        if !rustix::process::geteuid().is_root() {
            return Ok(Self::Own);
        }
        let path = Path::new("/etc/passwd");
        let users = fs::read_to_string(path).map_err(Error::file("read", path))?;
        CANDIDATES.iter().find_map(|name| find(&users, name)).ok_or(Error::NoAccount)
    }

    /// Makes the command run as this account.
    pub(crate) fn apply(&self, command: &mut Command) {
        if let Self::Other { uid, gid, .. } = self {
            // The standard library drops root's supplementary groups along with the user.
            command.uid(*uid).gid(*gid);
        }
    }

    /// Hands a file or folder over to this account.
    pub(crate) fn give(&self, path: &Path) -> Result<(), Error> {
        match self {
            Self::Own => Ok(()),
            Self::Other { uid, gid, .. } => {
                chown(path, Some(*uid), Some(*gid)).map_err(Error::file("change the owner of", path))
            }
        }
    }

    /// Refuses a folder that this account cannot enter; `remedy` is what to do about it.
    pub(crate) fn demand_entry(&self, folder: &Path, remedy: &'static str) -> Result<(), Error> {
        let Self::Other { name, uid, gid } = self else { return Ok(()) };
        match closed_part(folder, *uid, *gid) {
            None => Ok(()),
            Some(blocked_at) => Err(Error::ClosedFolder {
                user: name.clone(),
                folder: folder.to_path_buf(),
                blocked_at,
                remedy,
            }),
        }
    }
}

fn find(users: &str, wanted: &str) -> Option<Account> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| *name == wanted)?;
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        Some(Account::Other { name: name.to_owned(), uid, gid })
    })
}

/// The outermost part of the path that the user may not enter.
fn closed_part(folder: &Path, uid: u32, gid: u32) -> Option<PathBuf> {
    let mut parts: Vec<&Path> = folder.ancestors().collect();
    parts.reverse();
    let closed = |part: &&Path| {
        fs::metadata(part).is_ok_and(|facts| {
            let bit = match facts.uid() == uid {
                true => 0o100,
                false if facts.gid() == gid => 0o010,
                false => 0o001,
            };
            facts.mode() & bit == 0
        })
    };
    parts.into_iter().find(closed).map(Path::to_path_buf)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_read_from_the_list_of_users() {
        let users =
            "root:x:0:0:root:/root:/bin/sh\npostgres:x:101:104:PostgreSQL,,,:/var/lib/postgresql:/bin/sh\n";
        assert!(matches!(find(users, "postgres"), Some(Account::Other { uid: 101, gid: 104, .. })));
        assert!(find(users, "nobody").is_none());
    }

    #[test]
    fn a_folder_closed_to_others_is_named() {
        let folder = std::env::temp_dir().join(format!("cleave-closed-{}", std::process::id()));
        fs::create_dir_all(folder.join("inner")).unwrap();
        fs::set_permissions(&folder, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        let stranger = fs::metadata(&folder).unwrap().uid() + 1;
        let blocked = closed_part(&folder.join("inner"), stranger, u32::MAX);
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(blocked, Some(folder));
    }
}
