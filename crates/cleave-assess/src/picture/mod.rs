//! Pictures of a database: its services and what ties them, then one service's tables and their keys.
//!
//! [`Survey`] says what there is to draw; [`overview`] and [`tables`] draw it as SVG, [`dot`] as DOT. A picture of
//! hundreds of tables is read by nobody: what has more than [`PAGE_TABLES`] is drawn in parts.

mod canvas;
mod dot;
mod grouping;
mod layout;
mod overview;
mod survey;
mod tables;

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;

pub(crate) use canvas::COLOURS;
pub use canvas::{Style, escape};
pub use dot::{dot, dot_of};
pub use overview::overview;
pub use survey::{Crossing, CrossingKind, DrawnColumn, DrawnTable, Group, GroupKind, Key, Survey, Tie};
pub use tables::tables;

/// Tables that one drawing shows at most; more are drawn in parts.
pub const PAGE_TABLES: usize = 40;
