//! `cleave history --proof`.

use crate::{Report, SwitchDirection};
use serde::Serialize;

/// What a move has done and what shows it, from the journal and the live databases.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Proof {
    /// The service.
    pub service: String,
    /// Number of the service's move.
    pub move_id: i64,
    /// State of the move.
    pub state: String,
    /// Hash of the plan that was carried out, in hexadecimal digits.
    pub plan: String,
    /// The old home and the new one.
    pub databases: [ProofDatabase; 2],
    /// Where the changes that are followed begin: the slot's consistent point, as `X/Y`.
    pub changes_from: Option<String>,
    /// What was copied.
    pub copied: Option<ProofCopy>,
    /// Comparisons of both sides, oldest first.
    pub verifications: Vec<ProofVerification>,
    /// Cutovers and rollbacks, those that undid themselves included, oldest first.
    pub switches: Vec<ProofSwitch>,
    /// The home, as both databases have it now.
    pub home: ProofHome,
    /// The journal that all this stands in.
    pub journal: ProofJournal,
}

impl Report for Proof {
    const KIND: &'static str = "proof";
}

/// What became of the check of an earlier proof; what speaks against it are the document's problems.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProofCheck {
    /// The service.
    pub service: String,
    /// True if all that it says still holds.
    pub holds: bool,
}

impl Report for ProofCheck {
    const KIND: &'static str = "proof_check";
}

/// A database of the move.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProofDatabase {
    /// Its name in cleave.toml.
    pub name: String,
    /// The server's system identifier.
    pub system_identifier: String,
    /// The server's version, such as `14.23`.
    pub server_version: String,
}

/// What was copied before changes were followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ProofCopy {
    /// Rows.
    pub rows: u64,
    /// Bytes as they travelled.
    pub bytes: u64,
}

/// A comparison of both sides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProofVerification {
    /// When it ended.
    pub at: String,
    /// Rows compared.
    pub rows: u64,
    /// Rows that differed.
    pub differences: u64,
    /// Rows that never held still.
    pub unproven: u64,
}

/// A cutover or rollback.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProofSwitch {
    /// When it ended.
    pub at: String,
    /// Which way.
    pub direction: SwitchDirection,
    /// The epoch that it set, or would have.
    pub epoch: i64,
    /// True if the home has changed.
    pub switched: bool,
    /// How long writers waited, in milliseconds.
    pub pause_ms: u64,
    /// Who carried it out.
    pub by: Option<String>,
    /// Why, if the operator said so.
    pub reason: Option<String>,
    /// Services that were switched by the same transaction.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub with: Vec<String>,
}

/// The home as the owner rows have it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProofHome {
    /// The database that accepts writes.
    pub database: String,
    /// The epoch.
    pub epoch: i64,
    /// True if both databases name the same home under the same epoch.
    pub agreed: bool,
}

/// The journal as it was when the proof was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProofJournal {
    /// Entries of the move.
    pub entries: u64,
    /// Number of the last of them.
    pub last_entry: i64,
    /// SHA-256 over all of them in order, in hexadecimal digits: a later check shows that none was changed.
    pub digest: String,
}
