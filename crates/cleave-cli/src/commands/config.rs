//! `cleave config`: the configuration file by itself.

use crate::context::Context;
use crate::failure::Failure;
use crate::load::Loaded;
use cleave_api::{ConfigReport, ConfiguredService, ExitCode, Output, Problem};

/// Look at the configuration file without connecting anywhere
#[derive(Debug, clap::Subcommand)]
pub enum ConfigCommand {
    /// Check the configuration file and show what it says
    ///
    /// Shows every error with its line, its code and the nearest known key. Connects to no database: names of tables
    /// are checked by `cleave plan`.
    Check,
    /// Print the JSON Schema of the configuration file, for editors
    Schema,
}

/// Runs the verb.
pub async fn run(command: ConfigCommand, context: &Context) -> Result<ExitCode, Failure> {
    match command {
        ConfigCommand::Check => {
            let loaded = crate::load::read(&context.globals.config)?;
            let output = Output::new(report(&loaded)).with_problems(loaded.warnings());
            context.output.report(output, None)?;
        }
        ConfigCommand::Schema => {
            let schema = serde_json::to_string_pretty(&cleave_config::schema()).map_err(|error| {
                Problem::error("C0903", "the schema cannot be written").caused_by(Some(&error))
            })?;
            context.output.data(&format!("{schema}\n"))?;
        }
    }
    Ok(ExitCode::Done)
}

/// What a configuration file says.
pub fn report(loaded: &Loaded) -> ConfigReport {
    let services = loaded.config.services.iter().map(|service| ConfiguredService {
        name: service.name.to_string(),
        from: service.from.to_string(),
        home: service.home.value.to_string(),
        tables: service.tables.iter().map(|pattern| pattern.value.to_string()).collect(),
        copy: service.copy.as_ref().map(|copy| copy.value.to_string()),
        bridge: service.bridge.value.to_string(),
    });
    ConfigReport {
        file: loaded.config.file.clone(),
        databases: loaded.config.databases.iter().map(|database| database.name.to_string()).collect(),
        services: services.collect(),
    }
}
