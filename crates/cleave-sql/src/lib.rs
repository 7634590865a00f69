//! What a statement or a function's body does, from its text: which tables it reads and writes, which features it uses,
//! where it names them.
//!
//! Pure: text and a [`Catalog`](cleave_model::catalog::Catalog) in, values out. Names are resolved as the server would
//! resolve them for a given `search_path`; what cannot be read is counted and handed back, never guessed.
