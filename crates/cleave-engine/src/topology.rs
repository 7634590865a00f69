//! The databases of cleave.toml as places that can be connected to.

use crate::{EngineError, Wishes, pooler::Pooler};
use cleave_config::{Config, Database, UrlSource};
use cleave_model::{DatabaseName, ServiceName};
use cleave_pg::{Endpoint, Session};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

/// One database.
#[derive(Clone, Debug)]
pub struct Site {
    /// Name in cleave.toml.
    pub name: DatabaseName,
    /// How Cleave reaches it.
    pub endpoint: Endpoint,
    /// Slots in it are made so that standbys keep copies of them.
    pub failover_slots: bool,
    /// How the servers of other databases reach it, where that differs.
    seen_from: BTreeMap<DatabaseName, Endpoint>,
}

impl Site {
    /// Opens a SQL connection.
    ///
    /// # Errors
    /// As [`cleave_pg::connect`], with the database's name.
    pub async fn connect(&self, purpose: &str) -> Result<Session, EngineError> {
        let connected = cleave_pg::connect(&self.endpoint, purpose).await;
        connected.map_err(|source| EngineError::Connect { database: self.name.clone(), source })
    }

    /// How the server of `other` reaches this database.
    pub fn endpoint_seen_from(&self, other: &DatabaseName) -> &Endpoint {
        self.seen_from.get(other).unwrap_or(&self.endpoint)
    }
}

/// All databases whose URL could be read. A URL is read when its database is first asked for, so that a missing
/// variable of one database does not stop the work on others.
#[derive(Clone, Debug)]
pub struct Topology {
    config: Arc<Config>,
    text: Arc<str>,
    folder: PathBuf,
    wishes: Wishes,
}

impl Topology {
    /// `text` is what the config was read from, for lines in messages; `folder` is where relative `file:` paths and
    /// commands start: the folder of cleave.toml.
    pub fn new(config: Config, text: &str, folder: &Path) -> Self {
        Self {
            config: Arc::new(config),
            text: text.into(),
            folder: folder.to_owned(),
            wishes: Wishes::default(),
        }
    }

    /// What the operator says beside the verbs that are given through this topology.
    #[must_use]
    pub fn wishing(self, wishes: Wishes) -> Self {
        Self { wishes, ..self }
    }

    /// What the operator says.
    pub fn wishes(&self) -> &Wishes {
        &self.wishes
    }

    /// The text of cleave.toml.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Where relative paths and hooks start.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Reads the URLs of a database.
    ///
    /// # Errors
    /// `C0422` when a URL cannot be had, or what [`Endpoint::parse`] says of it.
    pub fn site(&self, name: &DatabaseName) -> Result<Site, EngineError> {
        let database = self.config.database(name).ok_or_else(|| EngineError::Url {
            database: name.clone(),
            reason: format!("{} has no such entry under [databases]", self.config.file),
        })?;
        self.read(database)
    }

    /// The pooler of a service, if it has one.
    ///
    /// # Errors
    /// As [`Self::site`], for its console's URL.
    pub(crate) fn pooler(&self, service: &ServiceName) -> Result<Option<Pooler>, EngineError> {
        let configured = self.config.service(service.as_str()).and_then(|service| service.pooler.as_ref());
        let Some(configured) = configured else { return Ok(None) };
        let text = self
            .read_url(&configured.admin)
            .map_err(|reason| EngineError::PoolerUrl { service: service.clone(), reason })?;
        Ok(Some(Pooler {
            admin: Endpoint::parse(&text)?,
            names: configured.databases.clone(),
            file: self.folder.join(&configured.config),
        }))
    }

    fn read(&self, database: &Database) -> Result<Site, EngineError> {
        let mut seen_from = BTreeMap::new();
        for (other, source) in &database.url_from {
            seen_from.insert(other.clone(), self.endpoint(&database.name, source)?);
        }
        let endpoint = self.endpoint(&database.name, &database.url)?;
        let failover_slots = database.failover_slots;
        Ok(Site { name: database.name.clone(), endpoint, failover_slots, seen_from })
    }

    fn endpoint(&self, database: &DatabaseName, source: &UrlSource) -> Result<Endpoint, EngineError> {
        let text = self
            .read_url(source)
            .map_err(|reason| EngineError::Url { database: database.clone(), reason })?;
        Ok(Endpoint::parse(&text)?)
    }

    fn read_url(&self, source: &UrlSource) -> Result<String, String> {
        let first_line = |text: &str| text.lines().next().unwrap_or("").trim().to_owned();
        let text = match source {
            UrlSource::Inline(text) => text.clone(),
            UrlSource::Env(name) => {
                std::env::var(name).map_err(|_| format!("the environment variable {name} is not set"))?
            }
            UrlSource::File(path) => {
                let path = self.folder.join(path);
                let text = std::fs::read_to_string(&path)
                    .map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
                first_line(&text)
            }
            UrlSource::Command(command) => {
                let run = std::process::Command::new("sh")
                    .arg("-c")
                    .arg(command)
                    .current_dir(&self.folder)
                    .output();
                let output = run.map_err(|error| format!("its command cannot be run: {error}"))?;
                if !output.status.success() {
                    return Err(format!("its command ended with {}", output.status));
                }
                first_line(&String::from_utf8_lossy(&output.stdout))
            }
        };
        if text.is_empty() { Err("it is empty".to_owned()) } else { Ok(text) }
    }
}
