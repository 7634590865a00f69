//! `cleave graph`: what a picture shows.

use crate::Report;
use serde::Serialize;
use std::collections::BTreeMap;

/// A database's services, or groups of tables, and what ties them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GraphReport {
    /// The database.
    pub database: String,
    /// Services first, then what belongs to none.
    pub groups: Vec<GraphGroup>,
    /// What crosses between two groups, the strongest first.
    pub ties: Vec<GraphTie>,
    /// The file that the picture was written to, if it was.
    pub file: Option<String>,
}

impl Report for GraphReport {
    const KIND: &'static str = "graph";
}

/// Tables that are drawn as one box.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GraphGroup {
    /// Its name; `cleave graph --service` takes it.
    pub name: String,
    /// `service`, `rest`, `schema` or `connected`.
    pub kind: String,
    /// Its tables.
    pub tables: Vec<String>,
    /// Rows, as the statistics have it.
    pub rows: u64,
    /// Size with indexes.
    pub bytes: u64,
}

/// All that crosses between two groups.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GraphTie {
    /// The group that has more needs.
    pub from: String,
    /// The other one.
    pub to: String,
    /// How many of each kind: `{"key": 3, "view": 1}`.
    pub counts: BTreeMap<String, u64>,
    /// What crosses, by kind and name.
    pub objects: Vec<String>,
}
