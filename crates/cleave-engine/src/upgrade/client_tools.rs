//! pg_dump: which one, and what it writes.

use crate::{EngineError, Site};
use cleave_config::WholeDatabase;
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Stdio,
};
use tokio::process::Command;

/// Folders of packages: Debian and Ubuntu, then Red Hat. `NN` is the version.
const PACKAGES: [&str; 2] = ["/usr/lib/postgresql/NN/bin", "/usr/pgsql-NN/bin"];
/// Versions looked for in them: those that are served, and what comes next.
const VERSIONS: std::ops::RangeInclusive<u32> = 14..=20;
/// What of pg_dump's complaint is shown.
const SHOWN_BYTES_MAX: usize = 2000;

/// A pg_dump.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DumpTool {
    path: PathBuf,
    pub(crate) major: u32,
    /// `pg_dump 18.1`.
    pub(crate) version: String,
}

/// The newest that is not newer than the target and not older than the source; else the oldest of the newer ones.
pub(crate) async fn find(
    whole: &WholeDatabase,
    (source, target): (u32, u32),
) -> Result<DumpTool, EngineError> {
    let mut found = Vec::new();
    for path in places(whole) {
        found.extend(version_of(&path).await);
    }
    choose(&found, (source, target)).cloned().ok_or_else(|| missing(whole, &found, (source, target)))
}

fn choose(found: &[DumpTool], (source, target): (u32, u32)) -> Option<&DumpTool> {
    // An older target is refused by the plan, which says so better than a missing program.
    let newest = target.max(source);
    let fitting = found.iter().filter(|tool| (source..=newest).contains(&tool.major));
    // The first of several equal ones: `max_by_key` would take the last.
    let best = fitting.rev().max_by_key(|tool| tool.major);
    best.or_else(|| found.iter().filter(|tool| tool.major > newest).min_by_key(|tool| tool.major))
}

fn places(whole: &WholeDatabase) -> Vec<PathBuf> {
    let folders: Vec<PathBuf> = match &whole.client_tools {
        Some(folder) => vec![folder.clone()],
        None => {
            let packages = VERSIONS
                .rev()
                .flat_map(|version| PACKAGES.map(|place| place.replace("NN", &version.to_string())));
            let path = std::env::var_os("PATH").unwrap_or_default();
            packages.map(PathBuf::from).chain(std::env::split_paths(&path)).collect()
        }
    };
    let mut seen = BTreeSet::new();
    let tools = folders.into_iter().map(|folder| folder.join("pg_dump")).filter(|tool| tool.is_file());
    tools.filter(|tool| seen.insert(tool.clone())).collect()
}

async fn version_of(path: &Path) -> Option<DumpTool> {
    let output = Command::new(path).arg("--version").stdin(Stdio::null()).output().await.ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let number = text.strip_prefix("pg_dump (PostgreSQL) ")?.split_whitespace().next()?;
    let major = number.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()?;
    Some(DumpTool { path: path.to_owned(), major, version: format!("pg_dump {number}") })
}

fn missing(whole: &WholeDatabase, found: &[DumpTool], (source, target): (u32, u32)) -> EngineError {
    let wanted = if source == target { format!("{target}") } else { format!("{source} to {target}") };
    let mut message =
        format!("the schema is carried by a pg_dump of PostgreSQL {wanted}, and none is to be found");
    if let Some(folder) = &whole.client_tools {
        message += &format!(" in {}", folder.display());
    }
    if let Some(tool) = found.first() {
        message += &format!("; {} is {}", tool.path.display(), tool.version);
    }
    EngineError::gate("C1201", message).hint(format!(
        "install the package postgresql-client-{target} (Debian, Ubuntu) or postgresql{target} (Red Hat), or name the \
         folder of one in [upgrade] client_tools"
    ))
}

/// The schema of a database, without Cleave's own.
pub(crate) async fn dump(tool: &DumpTool, site: &Site) -> Result<String, EngineError> {
    let failed = |reason: String| {
        EngineError::gate("C1202", format!("{} of database {} failed: {reason}", tool.version, site.name))
    };
    let mut command = Command::new(&tool.path);
    command.args([
        "--schema-only",
        "--no-subscriptions",
        "--exclude-schema=cleave",
        "--lock-wait-timeout=60s",
    ]);
    // Texts of errors are shown to people, and their language is not ours to choose; numbers and names must not vary.
    command.envs(site.endpoint.libpq_variables()).env("PGCLIENTENCODING", "UTF8").env("PGOPTIONS", "");
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await.map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        let mut said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        said.truncate(said.floor_char_boundary(SHOWN_BYTES_MAX));
        return Err(failed(said));
    }
    String::from_utf8(output.stdout).map_err(|_| failed("what it wrote is not UTF-8".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_that_both_servers_promise_to_take_is_chosen_then_the_oldest_of_the_newer() {
        let tool =
            |major: u32| DumpTool { path: PathBuf::new(), major, version: format!("pg_dump {major}.1") };
        let all: Vec<DumpTool> = [18, 15, 14, 17, 16].into_iter().map(tool).collect();
        let chosen = |tools: &[DumpTool], sides| choose(tools, sides).map(|tool| tool.major);
        assert_eq!(chosen(&all, (14, 16)), Some(16));
        assert_eq!(chosen(&all, (16, 18)), Some(18));
        assert_eq!(chosen(&all[..1], (14, 16)), Some(18));
        assert_eq!(chosen(&all, (17, 15)), Some(17));
        assert_eq!(chosen(&[tool(15)], (16, 18)), None);
        assert_eq!(chosen(&[], (14, 14)), None);
    }
}
