//! Cutover and rollback on real servers: performs the effects of [`cleave_plan::cutover::Machine`], one at a time.
//!
//! Sessions: T is one transaction on M (and TN one on N in a rollback); the journal and the marker are written from
//! other sessions, because T's own rows would have to be drained by T itself (DESIGN section 7).

mod close;
mod failpoints;
mod fence;
mod locks;
mod open;
mod party;
mod resolve;
mod run;
mod sequences;
mod tidy;

pub(crate) use fence::{fenced_tables, script, sql};
pub(crate) use locks::{describe_holders, holder, holders, terminate_client};
pub(crate) use party::Entrant;
pub(crate) use run::{Common, Switch, SwitchReport};
