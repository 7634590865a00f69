//! `cleave init`: a first configuration file.

use crate::commands::config;
use crate::context::Context;
use crate::failure::Failure;
use crate::files;
use crate::load;
use cleave_api::{ExitCode, NextStep, Output, Problem, Risk};
use cleave_config::Config;
use cleave_engine::Topology;
use cleave_model::DatabaseName;
use std::path::Path;

/// Write a first cleave.toml from a live database
///
/// Reads the catalog, proposes services, and writes a commented file that can be planned as it is. The URL is written
/// as `env:`, never with its password.
#[derive(Debug, clap::Args)]
pub struct InitArgs {
    /// How to reach the monolith's database: postgres://user@host:port/database, or env:NAME, file:PATH, cmd:COMMAND
    #[arg(value_name = "URL")]
    pub url: String,

    /// Write over a file that is there already
    #[arg(long)]
    pub force: bool,
}

/// Runs the verb.
pub async fn run(arguments: InitArgs, context: &Context) -> Result<ExitCode, Failure> {
    let path = &context.globals.config;
    if path.exists() && !arguments.force {
        return Err(taken(path));
    }
    let endpoint = site(&arguments.url)?.endpoint;
    let text = cleave_engine::init(&endpoint).await?;
    if arguments.force {
        files::write(path, &text)?
    } else {
        files::create(path, &text)?
    }
    let report = config::report(&load::read(path)?);
    let next = NextStep::cleave(["doctor"], "once the variables that the file names are set", Risk::Read);
    context.output.report(Output::new(report).with_next([next]), None)?;
    Ok(ExitCode::Done)
}

/// The database, read as an entry of a configuration file is.
fn site(url: &str) -> Result<cleave_engine::Site, Failure> {
    let text = format!(
        "[databases]\nmonolith = {{ url = {} }}\nhome = {{ url = \"env:HOME_URL\" }}\n[services.any]\nhome = \"home/any\"\ntables = [\"public.*\"]\n",
        serde_json::Value::from(url)
    );
    let config = Config::parse(&text, "URL").map_err(|errors| bad_url(errors.errors().first()))?;
    let monolith = DatabaseName::parse("monolith").map_err(|_| bad_url(None))?;
    Ok(Topology::new(config, &text, Path::new(".")).site(&monolith)?)
}

fn bad_url(error: Option<&cleave_config::ConfigError>) -> Failure {
    let why = error.map_or_else(|| "it cannot be read".to_owned(), |error| error.message.clone());
    Problem::error("C0912", format!("the URL cannot be used: {why}"))
        .hint("write postgres://user@host:port/database, env:NAME, file:PATH or cmd:COMMAND")
        .exit(ExitCode::Usage)
        .into()
}

fn taken(path: &Path) -> Failure {
    Problem::error("C0913", format!("{} is there already", path.display()))
        .hint("--force writes over it; -C FILE names another")
        .exit(ExitCode::Usage)
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_read_as_an_entry_of_the_file_would_be() {
        let database = |url: &str| site(url).ok().map(|site| site.endpoint.dbname().to_owned());
        assert_eq!(database("postgres://me@somewhere:5444/shop").as_deref(), Some("shop"));
        assert_eq!(database("somewhere"), None);
    }
}
