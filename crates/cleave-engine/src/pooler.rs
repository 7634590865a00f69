//! The PgBouncer of a service: held while its home changes, pointed at the new one, let go on.
//!
//! PgBouncer keeps what it was told when Cleave is gone: clients that were held stay held until the switch is taken up,
//! which every engine does before anything else. Its file is replaced as a whole, so that nobody ever reads half of it.

use crate::{EngineError, Site, context::MoveContext};
use cleave_pg::{During, Endpoint, PgError, PoolMode, PooledDatabase, PoolerConsole};
use cleave_plan::cutover::Round;
use cleave_plan::{PoolAddress, PoolFileError, forget_pool, lead_pool_back, lead_pool_to, pool_address};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::{task::JoinSet, time::timeout};

/// How long the console may take for what does not wait for clients.
const CONSOLE_LIMIT: Duration = Duration::from_secs(5);

/// A service's PgBouncer.
#[derive(Clone, Debug)]
pub(crate) struct Pooler {
    pub(crate) admin: Endpoint,
    /// Names in its section `[databases]`.
    pub(crate) names: Vec<String>,
    pub(crate) file: PathBuf,
}

impl Pooler {
    /// What a switch will need of it, checked without touching anything: the console answers, each name leads to one of
    /// the two sides, and the file is the one that PgBouncer reads.
    pub(crate) async fn gate(&self, move_: &MoveContext, round: Round) -> Result<(), EngineError> {
        let text = self.text()?;
        let databases = self.databases().await.map_err(|error| match error {
            EngineError::Pg(error) => refused(format!("PgBouncer's console does not answer: {error}")),
            other => other,
        })?;
        for name in &self.names {
            let pooled = self.pooled(&databases, name)?;
            let written = pool_address(&text, name).map_err(|error| self.in_file(&error))?;
            if !is_what(pooled, &written) {
                return Err(refused(format!(
                    "PgBouncer's database {name} leads to {}, and its line in {} says something else",
                    place(pooled),
                    self.file.display()
                ))
                .hint("name the file that PgBouncer reads in `config`, or send it RELOAD"));
            }
            if pooled.paused {
                return Err(refused(format!("PgBouncer's database {name} is paused"))
                    .hint("let its clients go on with RESUME, or find out who holds them"));
            }
            self.leads_to_a_side(pooled, move_)?;
            self.forced_role(pooled, move_, round).await?;
        }
        self.rehearse(&text)
    }

    fn leads_to_a_side(&self, pooled: &PooledDatabase, move_: &MoveContext) -> Result<(), EngineError> {
        let is_side = |site: &Site| {
            pooled.database == site.endpoint.dbname() && pooled.port == site.endpoint.port().to_string()
        };
        if is_side(&move_.m) || is_side(&move_.n) {
            return Ok(());
        }
        let message = format!(
            "PgBouncer's database {} leads to {}, which is neither {} nor {}",
            pooled.name,
            place(pooled),
            move_.m.name,
            move_.n.name
        );
        Err(refused(message).hint("name databases of PgBouncer that lead to the service's home"))
    }

    /// A role that PgBouncer logs in as for everybody has to be there.
    async fn forced_role(
        &self,
        pooled: &PooledDatabase,
        move_: &MoveContext,
        round: Round,
    ) -> Result<(), EngineError> {
        let Some(role) = &pooled.force_user else { return Ok(()) };
        let site = new_home(move_, round);
        let session = site.connect("gates").await?;
        let sql = "select exists (select from pg_catalog.pg_roles where rolname = $1 and rolcanlogin)";
        let there: bool = session.query_one(sql, &[role]).await.during("looking for a role")?.get(0);
        if there {
            return Ok(());
        }
        let message = format!(
            "PgBouncer logs in as {role} for database {}, and {} has no such role",
            pooled.name, site.name
        );
        Err(refused(message).hint("create the role, with the rights that its clients need"))
    }

    /// Leaves to another what both name, as services of one switch may share a database of PgBouncer: it is held and let
    /// go once.
    pub(crate) fn leave_to(&mut self, other: &Self) {
        if self.file == other.file {
            self.names.retain(|name| !other.names.contains(name));
        }
    }

    /// Holds the clients back. Those who are in the middle of a transaction end it first; it lasts `limit` at most.
    /// Where a connection belongs to its client until it leaves, nobody is held: such clients wait at the locks, and go
    /// on over the bridge.
    pub(crate) async fn hold(&self, limit: Duration) -> Result<(), EngineError> {
        let databases = self.databases().await?;
        let mut waiting = JoinSet::new();
        for name in &self.names {
            if self.pooled(&databases, name)?.pool_mode == PoolMode::Session {
                continue;
            }
            let (admin, name) = (self.admin.clone(), name.clone());
            waiting.spawn(async move { PoolerConsole::connect(&admin).await?.pause(&name).await });
        }
        let all = async {
            while let Some(paused) = waiting.join_next().await {
                paused.unwrap_or(Ok(()))?;
            }
            Ok::<(), PgError>(())
        };
        match timeout(limit, all).await {
            Ok(paused) => Ok(paused?),
            Err(_) => Err(EngineError::PoolerBusy { limit_ms: limit.as_millis() }),
        }
    }

    /// Lets the clients go on. Nothing where they are not held.
    pub(crate) async fn resume(&self) -> Result<(), EngineError> {
        let console = within(PoolerConsole::connect(&self.admin)).await?;
        for pooled in within(console.databases()).await? {
            if pooled.paused && self.names.contains(&pooled.name) {
                within(console.resume(&pooled.name)).await?;
            }
        }
        Ok(())
    }

    /// Points the lines at the home of a round that has switched, and lets the clients go on, whatever becomes of the
    /// lines: as long as they lead to the old home, the old names answer there.
    pub(crate) async fn repoint(&self, move_: &MoveContext, round: Round) -> Result<(), EngineError> {
        let pointed = self.point(move_, round).await;
        let resumed = self.resume().await;
        pointed.and(resumed).map_err(|error| EngineError::Pooler {
            home: new_home(move_, round).name.clone(),
            reason: error.to_string(),
        })
    }

    async fn point(&self, move_: &MoveContext, round: Round) -> Result<(), EngineError> {
        let text = self.text()?;
        let new = match round {
            Round::Cutover => lead_pool_to(&text, &move_.service, &self.names, &address_of(&move_.n)),
            Round::Rollback => lead_pool_back(&text, &self.names, &address_of(&move_.m)),
        };
        let new = new.map_err(|error| self.in_file(&error))?;
        if new != text {
            self.replace(&new)?;
        }
        let console = within(PoolerConsole::connect(&self.admin)).await?;
        within(console.reload()).await?;
        let databases = within(console.databases()).await?;
        for name in &self.names {
            let written = pool_address(&new, name).map_err(|error| self.in_file(&error))?;
            let pooled = self.pooled(&databases, name)?;
            if !is_what(pooled, &written) {
                let message = format!("after RELOAD database {name} still leads to {}", place(pooled));
                return Err(refused(message).hint("see PgBouncer's log"));
            }
        }
        Ok(())
    }

    /// The way back is gone: so is the memory of it in the file.
    pub(crate) fn forget(&self) -> Result<(), EngineError> {
        let text = self.text()?;
        let new = forget_pool(&text, &self.names).map_err(|error| self.in_file(&error))?;
        if new == text {
            return Ok(());
        }
        self.replace(&new)
    }

    async fn databases(&self) -> Result<Vec<PooledDatabase>, EngineError> {
        let console = within(PoolerConsole::connect(&self.admin)).await?;
        within(console.databases()).await
    }

    fn pooled<'d>(
        &self,
        databases: &'d [PooledDatabase],
        name: &str,
    ) -> Result<&'d PooledDatabase, EngineError> {
        databases.iter().find(|pooled| pooled.name == name).ok_or_else(|| {
            let known: Vec<&str> = databases.iter().map(|pooled| pooled.name.as_str()).collect();
            refused(format!("PgBouncer has no database {name}")).hint(format!("it has {}", known.join(", ")))
        })
    }

    fn text(&self) -> Result<String, EngineError> {
        std::fs::read_to_string(&self.file)
            .map_err(|error| refused(format!("{} cannot be read: {error}", self.file.display())))
    }

    /// Everything that [`Self::replace`] needs, without replacing.
    fn rehearse(&self, text: &str) -> Result<(), EngineError> {
        let (file, new) = self.places()?;
        let written = write_like(&new, text, &file);
        let removed = std::fs::remove_file(&new);
        written.and(removed).map_err(|error| self.not_replaced(&error))
    }

    /// A link stays a link: what it leads to is replaced, by a new file that is written beside it.
    fn places(&self) -> Result<(PathBuf, PathBuf), EngineError> {
        let file = self.file.canonicalize().map_err(|error| self.not_replaced(&error))?;
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let new = file.with_file_name(format!(".{name}.cleave"));
        Ok((file, new))
    }

    fn not_replaced(&self, error: &std::io::Error) -> EngineError {
        refused(format!("{} cannot be replaced: {error}", self.file.display()))
            .hint("Cleave needs the right to write the file and its folder")
    }

    /// Puts a new file in place of the old one, with the same permissions.
    fn replace(&self, text: &str) -> Result<(), EngineError> {
        let (file, new) = self.places()?;
        let written = write_like(&new, text, &file).and_then(|()| std::fs::rename(&new, &file));
        written.map_err(|error| {
            let _not_there = std::fs::remove_file(&new);
            self.not_replaced(&error)
        })
    }

    fn in_file(&self, error: &PoolFileError) -> EngineError {
        refused(format!("{} does not fit: {error}", self.file.display()))
            .hint("each name in `databases` has one line of its own in the file that `config` names")
    }
}

fn refused(message: String) -> EngineError {
    EngineError::gate("C0718", message)
}

async fn within<T>(work: impl Future<Output = Result<T, PgError>>) -> Result<T, EngineError> {
    match timeout(CONSOLE_LIMIT, work).await {
        Ok(result) => Ok(result?),
        Err(_) => Err(EngineError::Pg(PgError::Timeout {
            what: "talking to PgBouncer's console".to_owned(),
            limit_ms: u64::try_from(CONSOLE_LIMIT.as_millis()).unwrap_or(u64::MAX),
        })),
    }
}

fn new_home(move_: &MoveContext, round: Round) -> &Site {
    if round == Round::Cutover { &move_.n } else { &move_.m }
}

fn address_of(site: &Site) -> PoolAddress {
    PoolAddress {
        host: Some(site.endpoint.host()),
        port: Some(site.endpoint.port().to_string()),
        dbname: Some(site.endpoint.dbname().to_owned()),
    }
}

/// True if PgBouncer leads where a line says, its defaults for missing keys included.
fn is_what(pooled: &PooledDatabase, written: &PoolAddress) -> bool {
    let host_is = written.host.is_none() || written.host == pooled.host;
    let port_is = written.port.as_deref().unwrap_or("5432") == pooled.port;
    host_is && port_is && written.dbname.as_deref().unwrap_or(&pooled.name) == pooled.database
}

fn place(pooled: &PooledDatabase) -> String {
    let host = pooled.host.as_deref().unwrap_or("the local socket");
    format!("{} on {host}, port {}", pooled.database, pooled.port)
}

fn write_like(new: &Path, text: &str, old: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::{MetadataExt, chown};
    let was = std::fs::metadata(old)?;
    // What an earlier try has left is ours.
    let _not_there = std::fs::remove_file(new);
    std::fs::write(new, "")?;
    std::fs::set_permissions(new, was.permissions())?;
    let is = std::fs::metadata(new)?;
    if (is.uid(), is.gid()) != (was.uid(), was.gid()) {
        chown(new, Some(was.uid()), Some(was.gid()))?;
    }
    std::fs::write(new, text)?;
    std::fs::File::open(new)?.sync_all()
}
