//! SQL text from catalog values: what a move makes, moves and removes. Pure: it never connects, and what it returns
//! are single statements for somebody else to execute.
//!
//! - [`carry`]: which types, functions, sequences and tables a set of tables needs, in an order in which they can be
//!   made, and what of it cannot be written.
//! - [`create`]: those objects at the new home, in stages.
//! - [`publication`], [`fence`], [`fill`]: what follow and cutover stand on.
//! - [`service_schema`], [`schema_move`]: a service's schema and roles, and the move of its tables into it.
//! - [`bridge`], [`references`], [`switch`]: what old names and old keys lead to after the switch, and the switch.
//! - [`split`]: one table as several, kept in step by triggers.
//!
//! Every identifier is quoted. Names that Cleave itself gives come from [`cleave_model::labels`].

mod text;

pub mod bridge;
pub mod carry;
pub mod create;
pub mod fence;
pub mod fill;
pub mod publication;
pub mod references;
pub mod schema_move;
pub mod service_schema;
pub mod split;
pub mod switch;

pub use carry::{Carried, Unsupported, carry};
pub use create::Target;
