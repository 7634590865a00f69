//! `cleave config check` and `cleave explain`.

use crate::Report;
use serde::Serialize;

/// What a configuration file says, once it was read without an error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConfigReport {
    /// The file.
    pub file: String,
    /// Its databases, in order.
    pub databases: Vec<String>,
    /// Its services, in order.
    pub services: Vec<ConfiguredService>,
}

impl Report for ConfigReport {
    const KIND: &'static str = "config";
}

/// One service of the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConfiguredService {
    /// The service.
    pub name: String,
    /// The database that the tables come from.
    pub from: String,
    /// The wanted home, `database/schema`.
    pub home: String,
    /// The names and patterns it claims, as written.
    pub tables: Vec<String>,
    /// Where a copy stays, `database/schema`.
    pub copy: Option<String>,
    /// `forward`, `local` or `none`.
    pub bridge: String,
}

/// The page of an error code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The code.
    pub code: String,
    /// Its title.
    pub title: String,
    /// The whole page, Markdown.
    pub text: String,
}

impl Report for Explanation {
    const KIND: &'static str = "explanation";
}

impl Report for Vec<Explanation> {
    const KIND: &'static str = "explanations";
}
