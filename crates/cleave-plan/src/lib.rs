//! Decides: what a move does, whether it may, and what comes next. Desired state (`cleave.toml`) against observed
//! state (catalogs) gives a plan; the cutover machine decides what an executor does at the switch.
//!
//! Pure: this crate never connects, reads no clock and no environment.

pub mod cleanup;
pub mod cutover;

mod binary;
mod carrying;
mod crossing;
mod draft;
mod finding;
mod giants;
mod move_plan;
mod plan;
mod pooler;
mod protection;
mod readiness;
mod room;
mod schema_move;
mod scope;
pub mod split;
mod switch;
mod switch_script;
mod together;
mod upgrade;

pub use binary::STABLE_TYPES;
pub use carrying::{Fate, Layer, MovedNames, StatementVerdict, fate, judge, spanning, verdicts};
pub use draft::plan_move;
pub use finding::{Finding, Weight};
pub use giants::{Spread, giant_columns, plan_giants};
pub use move_plan::{
    BridgeKind, Crossing, MovePlan, Name, PLAN_VERSION, PlannedColumn, PlannedIndex, PlannedIndexes,
    PlannedRanges, PlannedReference, PlannedSequence, PlannedTable, RowIdentity, TargetScript, WholeDatabase,
};
pub use plan::Plan;
pub use pooler::{PoolAddress, PoolFileError, forget_pool, lead_pool_back, lead_pool_to, pool_address};
pub use protection::{Protection, protection_lacks};
pub use readiness::table_findings;
pub use room::{Room, check_room};
pub use schema_move::{
    FunctionBack, FunctionChange, NameLayer, Observation, PathChange, RelocatedSequence, RelocatedTable,
    SchemaPlan, SchemaScript, functions_back, lacking_paths, plan_schema_move, restored_paths,
};
pub use scope::Scope;
pub use switch::{HomeAddress, fence_script, retired_sequence_name};
pub use switch_script::{BackScript, FenceScript, SwitchScript};
pub use together::{KeyBetween, Leaving, SwitchTogether, locks_back, switch_together};
pub use upgrade::{
    DUMP_SESSION, DumpError, LockRoom, Surroundings, old_fence, plan_upgrade, table_differences,
    unplanned_tables, upgrade_findings, upgrade_script,
};
