//! A cleave.toml of one service between two databases, for tests that need no move.

use cleave_config::{Config, Service};
use cleave_engine::Topology;
use std::path::Path;

/// A configuration with databases `monolith` and `products` and the service `films`.
pub(crate) struct Places {
    config: Config,
    text: String,
}

impl Places {
    /// `films` is the text of the section `[services.films]`.
    pub(crate) fn new(monolith: &str, products: &str, films: &str) -> Self {
        let text = format!(
            "[databases]\nmonolith = {{ url = {monolith:?} }}\nproducts = {{ url = {products:?} }}\n\
             [services.films]\n{films}"
        );
        Self { config: Config::parse(&text, "cleave.toml").unwrap(), text }
    }

    pub(crate) fn topology(&self) -> Topology {
        Topology::new(self.config.clone(), &self.text, Path::new("/"))
    }

    pub(crate) fn films(&self) -> &Service {
        self.config.service("films").unwrap()
    }
}

/// Runs statements on a connection of their own.
pub(crate) async fn run(url: &str, sql: &str) {
    let client = cleave_sandbox::connect(url).await.unwrap();
    if let Err(error) = client.batch_execute(sql).await {
        panic!("{error:?}\n{sql}");
    }
}
