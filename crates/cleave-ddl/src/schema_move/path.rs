//! `search_path` settings: the new schema stands right before the old one, so that unqualified names meet the table
//! itself, and `create table if not exists` finds it there.

use cleave_model::{Ident, quote_ident};
use std::fmt;

/// A list of schemas, `$user` among them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchPath(Vec<String>);

impl SearchPath {
    /// Reads the stored form: `"$user", public`. Names without quotes are folded to lower case.
    pub fn parse(text: &str) -> Self {
        let mut names = Vec::new();
        let mut chars = text.chars().peekable();
        loop {
            while chars.next_if(|c| c.is_whitespace() || *c == ',').is_some() {}
            let Some(first) = chars.peek().copied() else { break };
            let mut name = String::new();
            if first == '"' {
                chars.next();
                while let Some(c) = chars.next() {
                    if c == '"' && chars.next_if_eq(&'"').is_none() {
                        break;
                    }
                    name.push(c);
                }
            } else {
                while let Some(c) = chars.next_if(|c| !c.is_whitespace() && *c != ',') {
                    name.extend(c.to_lowercase());
                }
            }
            names.push(name);
        }
        names.retain(|name| !name.is_empty());
        Self(names)
    }

    /// True if a name without a schema is looked for in this one.
    pub fn has(&self, schema: &Ident) -> bool {
        self.0.iter().any(|name| name == schema.as_str())
    }

    /// With `new` right before the first of `old`; `None` if it stands there already or none of `old` does.
    #[must_use]
    pub fn with(&self, new: &Ident, old: &[Ident]) -> Option<Self> {
        let at = self.0.iter().position(|name| old.iter().any(|old| name == old.as_str()))?;
        if self.0[..at].iter().any(|name| name == new.as_str()) {
            return None;
        }
        let mut names: Vec<String> = self.0.clone();
        names.retain(|name| name != new.as_str());
        let at = names.iter().position(|name| old.iter().any(|old| name == old.as_str()))?;
        names.insert(at, new.as_str().to_owned());
        Some(Self(names))
    }

    /// Without a schema.
    #[must_use]
    pub fn without(&self, schema: &Ident) -> Self {
        Self(self.0.iter().filter(|name| *name != schema.as_str()).cloned().collect())
    }

    /// As it stands after `set search_path =`.
    pub fn sql(&self) -> String {
        if self.0.is_empty() {
            return "''".to_owned();
        }
        self.0.iter().map(|name| quote_ident(name)).collect::<Vec<_>>().join(", ")
    }
}

impl fmt::Display for SearchPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sql())
    }
}

/// Sets the path of a role in the database, or of the database for roles without one of their own.
pub fn set(database: &str, role: Option<&Ident>, path: &SearchPath) -> String {
    format!("{} set search_path = {}", subject(database, role), path.sql())
}

/// Takes the setting away.
pub fn reset(database: &str, role: Option<&Ident>) -> String {
    format!("{} reset search_path", subject(database, role))
}

fn subject(database: &str, role: Option<&Ident>) -> String {
    let database = quote_ident(database);
    match role {
        Some(role) => format!("alter role {} in database {database}", role.quoted()),
        None => format!("alter database {database}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(path: &str) -> Option<String> {
        let path = SearchPath::parse(path);
        path.with(&Ident::new("films"), &[Ident::new("public")]).map(|path| path.sql())
    }

    #[test]
    fn the_new_schema_stands_right_before_the_old_one() {
        assert_eq!(with(r#""$user", public"#).unwrap(), r#""$user", "films", "public""#);
        assert_eq!(with("App, PUBLIC,tools").unwrap(), r#""app", "films", "public", "tools""#);
        assert_eq!(
            with(r#"public, films"#).unwrap(),
            r#""films", "public""#,
            "behind it, it would be shadowed"
        );
    }

    #[test]
    fn a_path_that_needs_nothing_is_left_alone() {
        assert_eq!(with("app"), None);
        assert_eq!(with("films, public"), None);
        assert_eq!(with(""), None);
    }

    #[test]
    fn names_come_back_as_they_were_written() {
        for text in [r#""$user", "public""#, r#""a ""b"", c""#, r#""Übung", "x,y""#] {
            assert_eq!(SearchPath::parse(text).sql(), text);
        }
        assert_eq!(
            SearchPath::parse(r#""$user", public"#).without(&Ident::new("public")).sql(),
            r#""$user""#
        );
        assert_eq!(SearchPath::parse("").sql(), "''");
    }
}
