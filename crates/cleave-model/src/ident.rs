//! Names of objects in a database.

use crate::quote_ident;
use std::fmt;

/// A PostgreSQL identifier as it stands in the catalogs: case kept, never quoted. `Display` shows it as PostgreSQL
/// would in a message (quoted only where needed); [`Ident::quoted`] is for SQL.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ident(String);

impl Ident {
    /// Takes the name as the catalogs have it.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The bare name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as SQL, always in quotes.
    pub fn quoted(&self) -> String {
        quote_ident(&self.0)
    }
}

impl From<&str> for Ident {
    fn from(name: &str) -> Self {
        Self::new(name)
    }
}

impl From<String> for Ident {
    fn from(name: String) -> Self {
        Self(name)
    }
}

impl fmt::Display for Ident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = self.0.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
            && self.0.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        if plain { f.write_str(&self.0) } else { f.write_str(&self.quoted()) }
    }
}

/// `schema.name`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QualifiedName {
    /// The schema.
    pub schema: Ident,
    /// The object's name in it.
    pub name: Ident,
}

impl QualifiedName {
    /// Joins a schema and a name.
    pub fn new(schema: impl Into<Ident>, name: impl Into<Ident>) -> Self {
        Self { schema: schema.into(), name: name.into() }
    }

    /// `"schema"."name"`, for SQL.
    pub fn quoted(&self) -> String {
        format!("{}.{}", self.schema.quoted(), self.name.quoted())
    }

    /// The same name in another schema.
    pub fn in_schema(&self, schema: &Ident) -> Self {
        Self { schema: schema.clone(), name: self.name.clone() }
    }
}

impl fmt::Display for QualifiedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_shown_plain_where_postgres_would_and_quoted_in_sql() {
        let name = QualifiedName::new("public", "film");
        assert_eq!((name.to_string(), name.quoted()), ("public.film".into(), r#""public"."film""#.into()));
        assert_eq!(QualifiedName::new("public", "Order").to_string(), r#"public."Order""#);
    }
}
