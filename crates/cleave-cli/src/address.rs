//! Databases that are named on the command line instead of in a configuration file.

use crate::failure::Failure;
use cleave_api::{ExitCode, Problem};
use cleave_config::Config;
use cleave_engine::{Site, Topology};
use cleave_model::DatabaseName;
use std::path::Path;

/// The database, read as an entry of a configuration file is.
///
/// # Errors
/// C0912 for a text that is none of these, and what reading the URL says.
pub fn site(url: &str) -> Result<Site, Failure> {
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
