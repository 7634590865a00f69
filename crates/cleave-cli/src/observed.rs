//! Which database a verb looks at: one of cleave.toml, or one that only its URL names.

use crate::address;
use crate::context::Context;
use crate::failure::Failure;
use crate::work::Work;
use cleave_api::{ExitCode, Problem};
use cleave_engine::Site;
use cleave_model::DatabaseName;

/// The database to look at.
pub enum Chosen {
    /// One of cleave.toml, with its services.
    Named(Box<Work>, DatabaseName),
    /// One by itself.
    Url(Box<Site>),
}

/// What `--database` names; without it, the database that the services of cleave.toml come from.
///
/// # Errors
/// C0912 for a URL that cannot be read, what reading cleave.toml says, and C1061 if services come from several databases.
pub fn choose(wanted: Option<&str>, context: &Context) -> Result<Chosen, Failure> {
    let is_url = |text: &str| {
        text.contains("://") || ["env:", "file:", "cmd:"].iter().any(|scheme| text.starts_with(scheme))
    };
    if let Some(url) = wanted.filter(|text| is_url(text)) {
        return Ok(Chosen::Url(Box::new(address::site(url)?)));
    }
    let work = Work::begin(context)?;
    let database = match wanted {
        Some(name) => named(&work, name)?,
        None => source(&work)?,
    };
    Ok(Chosen::Named(Box::new(work), database))
}

fn named(work: &Work, name: &str) -> Result<DatabaseName, Failure> {
    let known = work.loaded.config.databases.iter().find(|database| database.name.as_str() == name);
    known.map(|database| database.name.clone()).ok_or_else(|| {
        undecided(work, format!("{} has no database that is called {name}", work.loaded.config.file))
    })
}

fn source(work: &Work) -> Result<DatabaseName, Failure> {
    let mut sources: Vec<&DatabaseName> =
        work.loaded.config.services.iter().map(|service| &service.from).collect();
    sources.sort();
    sources.dedup();
    match sources.as_slice() {
        [only] => Ok((*only).clone()),
        _ => Err(undecided(work, "the services come from several databases, and none is named".to_owned())),
    }
}

fn undecided(work: &Work, message: String) -> Failure {
    let names: Vec<&str> =
        work.loaded.config.databases.iter().map(|database| database.name.as_str()).collect();
    Problem::error("C1061", message)
        .hint(format!("name one with --database: {}", names.join(", ")))
        .exit(ExitCode::Usage)
        .into()
}
