//! The text of `pg_dump --schema-only` as entries: what its heading comments call an object, and the statements below.
//!
//! A dump begins with settings for its session, of which a newer pg_dump prints some that an older server does not know
//! (17: `transaction_timeout`). Cleave's sessions have settings of their own, so those of the beginning are dropped, each
//! by its name; one that is not in the list is refused, not guessed. Settings between entries (tablespace, access method)
//! are for what follows them, and come with each statement that needs them.

use super::lexer::{Piece, pieces};
use cleave_model::{Ident, quote_ident};
use std::collections::BTreeMap;

/// Settings at the beginning of a dump: those that Cleave's own session has already, or must not have.
const PROLOGUE: [&str; 11] = [
    "statement_timeout",
    "lock_timeout",
    "idle_in_transaction_session_timeout",
    "transaction_timeout",
    "client_encoding",
    "standard_conforming_strings",
    "check_function_bodies",
    "xmloption",
    "client_min_messages",
    "row_security",
    "quote_all_identifiers",
];

/// What every session that runs statements of a dump sets first.
pub const SESSION: &str = "set search_path = ''; set check_function_bodies = off; set xmloption = content; \
                           set client_min_messages = warning; set row_security = off";

/// An object of a dump.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// `TABLE`, `INDEX`, `FK CONSTRAINT`, ...
    pub(super) kind: String,
    /// Schema; `-` for objects without one.
    pub(super) schema: String,
    /// As the dump calls it: for a constraint, its table and its own name.
    pub(super) name: String,
    /// Statements without semicolons.
    pub(super) statements: Vec<String>,
}

/// What a dump holds that Cleave does not know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DumpError {
    /// A setting that is not known.
    #[error("the dump sets `{0}`, which this version of Cleave does not know")]
    Setting(String),
    /// A statement before the first object.
    #[error("the dump begins with a statement that belongs to no object: {0}")]
    Stray(String),
}

/// Reads a dump. `tablespaces` are renamed on the way.
pub(super) fn entries(text: &str, tablespaces: &BTreeMap<Ident, Ident>) -> Result<Vec<Entry>, DumpError> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut place = Place::default();
    for piece in pieces(text) {
        match piece {
            Piece::Comment(line) => entries.extend(heading(line)),
            Piece::Command(_) => {}
            Piece::Statement(statement) if place.takes(statement, tablespaces)? => {}
            Piece::Statement(statement) => match entries.last_mut() {
                Some(entry) => entry.statements.push(place.around(&entry.kind, statement)),
                None => return Err(DumpError::Stray(first_line(statement))),
            },
        }
    }
    entries.retain(|entry| !entry.statements.is_empty());
    Ok(entries)
}

/// `-- Name: film; Type: TABLE; Schema: public; Owner: app`, read from its end: a name may hold anything.
fn heading(line: &str) -> Option<Entry> {
    let rest = line.strip_prefix("-- Name: ")?;
    let (rest, _) = rest.rsplit_once("; Owner: ")?;
    let (rest, schema) = rest.rsplit_once("; Schema: ")?;
    let (name, kind) = rest.rsplit_once("; Type: ")?;
    let [kind, schema, name] = [kind, schema, name].map(str::to_owned);
    Some(Entry { kind, schema, name, statements: Vec::new() })
}

/// Where the next objects land, as the dump says between them.
#[derive(Default)]
struct Place {
    tablespace: Option<String>,
    access_method: Option<String>,
}

impl Place {
    /// True if the statement was a setting.
    fn takes(&mut self, statement: &str, tablespaces: &BTreeMap<Ident, Ident>) -> Result<bool, DumpError> {
        if statement == "SELECT pg_catalog.set_config('search_path', '', false)" {
            return Ok(true);
        }
        let Some((name, value)) = statement.strip_prefix("SET ").and_then(|rest| rest.split_once(" = "))
        else {
            return Ok(false);
        };
        match name {
            "default_tablespace" => {
                let bare = unquoted(value);
                let renamed = tablespaces.get(&Ident::new(bare.as_str())).map(|new| new.as_str().to_owned());
                self.tablespace = Some(renamed.unwrap_or(bare)).filter(|name| !name.is_empty());
            }
            "default_table_access_method" => {
                self.access_method = Some(unquoted(value)).filter(|method| method != "heap");
            }
            "default_with_oids" => {}
            known if PROLOGUE.contains(&known) => {}
            unknown => return Err(DumpError::Setting(unknown.to_owned())),
        }
        Ok(true)
    }

    /// A statement with the settings that it needs.
    fn around(&self, kind: &str, statement: &str) -> String {
        let stores = matches!(kind, "TABLE" | "INDEX" | "CONSTRAINT" | "MATERIALIZED VIEW");
        let mut settings = String::new();
        let mut back = String::new();
        let both =
            [("default_tablespace", &self.tablespace), ("default_table_access_method", &self.access_method)];
        for (setting, value) in both.into_iter().filter(|_| stores) {
            if let Some(value) = value {
                settings += &format!("set local {setting} = {}; ", quote_ident(value));
                back += &format!("; set local {setting} to default");
            }
        }
        format!("{settings}{statement}{back}")
    }
}

/// `fast`, `"odd name"` or `''`.
fn unquoted(value: &str) -> String {
    let quoted = |mark: char| value.strip_prefix(mark).and_then(|rest| rest.strip_suffix(mark));
    match quoted('"').or_else(|| quoted('\'')) {
        Some(inner) => inner.replace("\"\"", "\""),
        None => value.to_owned(),
    }
}

fn first_line(statement: &str) -> String {
    statement.lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DUMP: &str = "--\n-- PostgreSQL database dump\n--\n\n\\restrict x\n\nSET statement_timeout = 0;\n\
        SET transaction_timeout = 0;\nSELECT pg_catalog.set_config('search_path', '', false);\n\
        SET default_tablespace = fast;\n\nSET default_table_access_method = heap;\n\n\
        --\n-- Name: odd; Type: name; Type: TABLE; Schema: public; Owner: app\n--\n\nCREATE TABLE public.\"odd; Type: name\" ();\n\n\
        ALTER TABLE public.\"odd; Type: name\" OWNER TO app;\n\nSET default_tablespace = '';\n\n\
        --\n-- Name: film film_pkey; Type: CONSTRAINT; Schema: public; Owner: app\n--\n\n\
        ALTER TABLE ONLY public.film\n    ADD CONSTRAINT film_pkey PRIMARY KEY (id);\n";

    #[test]
    fn objects_come_with_their_statements_and_the_place_they_are_for() {
        let tablespaces = BTreeMap::from([(Ident::new("fast"), Ident::new("disk \"1\""))]);
        let entries = entries(DUMP, &tablespaces).unwrap();
        assert_eq!((entries[0].kind.as_str(), entries[0].name.as_str()), ("TABLE", "odd; Type: name"));
        assert_eq!(
            entries[0].statements,
            ["CREATE TABLE public.\"odd; Type: name\" ()", "ALTER TABLE public.\"odd; Type: name\" OWNER TO app"].map(
                |statement| format!(
                    "set local default_tablespace = \"disk \"\"1\"\"\"; {statement}; set local default_tablespace to default"
                )
            )
        );
        assert_eq!((entries[1].kind.as_str(), entries[1].schema.as_str()), ("CONSTRAINT", "public"));
        assert_eq!(
            entries[1].statements,
            ["ALTER TABLE ONLY public.film\n    ADD CONSTRAINT film_pkey PRIMARY KEY (id)"]
        );
    }

    #[test]
    fn a_setting_that_nobody_knows_is_refused_by_its_name() {
        let unknown = entries("SET statement_timeout = 0;\nSET brand_new_setting = on;\n", &BTreeMap::new());
        assert_eq!(unknown, Err(DumpError::Setting("brand_new_setting".to_owned())));
        let stray = entries("CREATE TABLE a ();", &BTreeMap::new());
        assert_eq!(stray, Err(DumpError::Stray("CREATE TABLE a ()".to_owned())));
    }
}
