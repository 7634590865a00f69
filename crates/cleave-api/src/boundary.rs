//! `cleave assess boundary`.

use crate::{CrossingKind, Report};
use serde::Serialize;

/// What crosses between services, and to what stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BoundaryReport {
    /// The services that were looked at.
    pub services: Vec<String>,
    /// What crosses, by kind.
    pub crossings: Vec<BoundaryCrossing>,
    /// Statements of the workload that were looked at.
    pub statements: u64,
    /// Statements that could not be read.
    pub statements_unread: u64,
    /// Transactions of the workload that were looked at.
    pub transactions: u64,
}

impl Report for BoundaryReport {
    const KIND: &'static str = "boundary";
}

/// Something that crosses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BoundaryCrossing {
    /// What it is.
    pub kind: CrossingKind,
    /// The database that it is in.
    pub database: String,
    /// Its name, or its text.
    pub object: String,
    /// Who has a part in it.
    pub parties: Vec<BoundaryParty>,
    /// How it is known.
    pub evidence: String,
    /// What can be done about it.
    pub remedy: String,
    /// What becomes of it when a service moves.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub outcomes: Vec<BoundaryOutcome>,
    /// How often the workload has met it; 0 for what the catalog says.
    pub count: u64,
}

/// A side of a crossing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BoundaryParty {
    /// The service; `null` for what belongs to none and stays.
    pub service: Option<String>,
    /// Its tables, or the object itself.
    pub objects: Vec<String>,
}

/// What becomes of a crossing when a service moves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BoundaryOutcome {
    /// The service.
    pub service: String,
    /// What becomes of it.
    pub fate: String,
}
