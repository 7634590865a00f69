//! `cleave init`: a first configuration file.

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
