//! The move of tables into another schema of their database: catalog changes only, in one short transaction.
//!
//! - [`relocate`]: tables, partitions, statistics objects and sequences, and who owns them.
//! - [`view`]: the updatable view under an old name.
//! - [`path`]: `search_path` settings.
//! - [`guard`]: the event triggers that answer changes of structure under an old name.

pub mod guard;
pub mod path;
pub mod relocate;
pub mod view;
