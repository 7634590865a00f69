//! `cleave.toml`: what the user wants, as typed values with the place each one stands at.
//!
//! [`Config::parse`] reads a text and returns either a [`Config`] or every error at once, each with a stable code, the
//! line, and the nearest known key. [`render`] draws them as compilers do. One table of keys (`keys.rs`) says which
//! keys exist; unknown-key errors, the JSON Schema ([`schema`]) and the reference page ([`reference_page`]) are made
//! from it, so they cannot disagree.
//!
//! Pure: the caller reads the file; `env:`, `file:` and `cmd:` are resolved elsewhere.

mod claims;
mod error;
mod keys;
mod mapping;
mod pattern;
mod quantity;
mod read;
mod reference;
mod render;
mod schema;
mod source;
mod topology;
mod url;

pub use claims::{Assignments, match_tables};
pub use cleave_model::{DatabaseName, ServiceName};
pub use error::{ConfigError, ConfigErrors, ErrorCode, Severity};
pub use mapping::{InvalidMapping, MappedTable, MappingFile};
pub use pattern::{InvalidPattern, TablePattern};
pub use quantity::{InvalidQuantity, format_duration, format_size, parse_duration, parse_size};
pub use reference::reference_page;
pub use render::render;
pub use schema::schema;
pub use source::{Excerpt, Source, Span, Spanned};
pub use topology::{
    Bridge, Config, Database, Home, Hooks, IdentityChoice, Layer, Limits, Listen, OnDdl, Orphans, Pooler,
    ReachedBy, SchemaMove, Server, Service, Shared, Split, SplitBridge, SplitTarget, WholeDatabase,
};
pub use url::UrlSource;
