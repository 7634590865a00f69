//! What a statement or a function's body does, from its text: which tables it reads and writes, which features it uses,
//! where it names them.
//!
//! Pure: text and a [`Catalog`](cleave_model::catalog::Catalog) in, values out. Names are resolved as the server would
//! resolve them for a given `search_path`; what cannot be read is counted and handed back, never guessed.

mod body;
mod dynamic;
mod function;
mod literal;
mod mention;
mod names;
mod normalize;
mod resolver;
mod rewrite;
#[cfg(test)]
mod sample;
mod statement;
mod tokens;
mod tree;

pub use function::{Dynamic, FunctionUse, read_function};
pub use mention::Control;
pub use names::parse_search_path;
pub use normalize::normalize;
pub use resolver::{Relation, Resolver};
pub use rewrite::{Edit, Moved, Names, Rewritten, Unresolved, rewrite, rewrite_function};
pub use statement::{StatementUse, Unread, read_statement};
