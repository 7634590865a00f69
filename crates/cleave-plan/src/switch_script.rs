//! The statements of one round of cutover and its rollback, made from fresh catalogs just before the round.

use serde::{Deserialize, Serialize};

/// What a cutover runs, and what the rollback of this very cutover will run. Stored in the journal by the cutover, so
/// that the rollback undoes what was done and not what would be done today.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SwitchScript {
    /// OIDs on M whose fingerprint must not change between the gates and the locks: moved tables, tables with keys
    /// into or out of the set, dependent views. Sorted.
    pub fingerprint_oids: Vec<u32>,
    /// On N, one transaction, before the fence: the bridge's role and its rights, without password.
    pub bridge_role: Vec<String>,
    /// On M, one transaction, before the fence: foreign tables, views, functions under names nobody uses yet.
    pub bridge: Vec<String>,
    /// On M in T: take the locks in the one fixed order, change nothing that a rollback of T would not restore.
    pub locks: Vec<String>,
    /// The same locks with moved and staying tables the other way round, for every second attempt: whichever order T
    /// takes, some application's transactions take the other.
    pub locks_turned: Vec<String>,
    /// On M in T, after the drain: the switch.
    pub switch: Vec<String>,
    /// The fence on N.
    pub target_fence: FenceScript,
    /// The way back.
    pub back: BackScript,
}

/// The three bodies of a fence function.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FenceScript {
    /// Only the applier writes.
    pub closed: String,
    /// The applier and the bridge's role write.
    pub half_open: String,
    /// Everybody writes.
    pub open: String,
}

/// The rollback of a cutover.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackScript {
    /// On M in T, first: locks on bridge relations, views over them and tables that refer to the set. None that the
    /// applier needs.
    pub bridge_locks: Vec<String>,
    /// The same the other way round, for every second attempt.
    pub bridge_locks_turned: Vec<String>,
    /// On N in TN: writers queue.
    pub home_locks: Vec<String>,
    /// On M in T, after the drain: locks on the copies.
    pub copy_locks: Vec<String>,
    /// On M in T: the names go back.
    pub switch: Vec<String>,
    /// On M, one transaction each, after the switch, safe to repeat: what is no longer needed is dropped.
    pub tidy: Vec<String>,
    /// Validate the keys that came back `NOT VALID`, one transaction each.
    pub validate: Vec<String>,
}
