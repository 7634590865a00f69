//! An upgrade: everything in a database moves to another server under unchanged names.
//!
//! It is a [`MovePlan`](crate::MovePlan) like any other, so that copy, streams, verification, gates and the switch's machine
//! are the same. What differs stands here: [`plan_upgrade`] takes the schema from pg_dump's text ([`dump`]) instead of
//! writing it, [`findings`] says what stands against a whole database, and [`upgrade_script`] fences the old side instead
//! of renaming tables and making a bridge.

mod dump;
mod findings;
mod lexer;
mod plan;
mod script;
mod stages;

pub use dump::{DumpError, SESSION as DUMP_SESSION};
pub use findings::{LockRoom, Surroundings, upgrade_findings};
pub use plan::plan_upgrade;
pub(crate) use script::closed;
pub use script::{old_fence, table_differences, unplanned_tables, upgrade_script};
