//! The lines of PgBouncer's configuration that lead to a service's home: read, pointed elsewhere, pointed back.
//!
//! A line is `name = host=.. port=.. dbname=.. other=..` (PgBouncer's manual, section `[databases]`), in the main file or
//! in one that it includes. Only host, port and dbname are ever changed. What they were stands in a comment above the
//! line until the move is complete, so that the way back needs nothing but the file.

use cleave_model::ServiceName;
use std::fmt::Write as _;

/// Where a line leads. A key that the line does not have is `None`: PgBouncer's default holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PoolAddress {
    /// Host name, address, or folder of the socket.
    pub host: Option<String>,
    /// Port.
    pub port: Option<String>,
    /// Database.
    pub dbname: Option<String>,
}

/// A file that cannot be changed as wished; `Display` is a whole sentence without the file's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PoolFileError {
    /// No line of its own.
    #[error("it has no line for database {0}")]
    Missing(String),
    /// Two lines: the later one wins, and a person has to say which is meant.
    #[error("it has more than one line for database {0}")]
    Twice(String),
    /// A connection string that PgBouncer would not read either.
    #[error("the connection string of database {0} cannot be read")]
    Unreadable(String),
}

/// Where the line of `name` leads.
///
/// # Errors
/// The line is missing, there twice, or not readable.
pub fn pool_address(text: &str, name: &str) -> Result<PoolAddress, PoolFileError> {
    let lines: Vec<&str> = text.lines().collect();
    let at = line_of(&lines, name)?;
    Ok(address(&Line::read(lines[at], name)?))
}

/// The text with the lines of `names` leading to `new`. What they led to before is remembered, once.
///
/// # Errors
/// As [`pool_address`].
pub fn lead_pool_to(
    text: &str,
    service: &ServiceName,
    names: &[String],
    new: &PoolAddress,
) -> Result<String, PoolFileError> {
    edit(text, names, |line, name, memory| {
        let was = address(line);
        if was == *new && memory.is_none() {
            return None;
        }
        line.set(new);
        Some(memory.unwrap_or_else(|| remember(service, name, &was)))
    })
}

/// The text with the lines of `names` leading to where they led before [`lead_pool_to`], or to `otherwise` where
/// nobody remembers.
///
/// # Errors
/// As [`pool_address`].
pub fn lead_pool_back(
    text: &str,
    names: &[String],
    otherwise: &PoolAddress,
) -> Result<String, PoolFileError> {
    edit(text, names, |line, _, memory| {
        let was = memory.as_deref().and_then(remembered).unwrap_or_else(|| otherwise.clone());
        line.set(&was);
        None
    })
}

/// The text without what [`lead_pool_to`] remembered: there is no way back any more.
///
/// # Errors
/// As [`pool_address`].
pub fn forget_pool(text: &str, names: &[String]) -> Result<String, PoolFileError> {
    edit(text, names, |_, _, _| None)
}

const MEMORY: &str = ";cleave ";
const WAS: &str = " led to: ";

/// Gives each line of `names`, and the memory above it, to `change`, which returns the memory to be kept.
fn edit(
    text: &str,
    names: &[String],
    change: impl Fn(&mut Line, &str, Option<String>) -> Option<String>,
) -> Result<String, PoolFileError> {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for name in names {
        let views: Vec<&str> = lines.iter().map(String::as_str).collect();
        let at = line_of(&views, name)?;
        let mut line = Line::read(views[at], name)?;
        let above = at.checked_sub(1).filter(|above| views[*above].starts_with(MEMORY));
        let memory = change(&mut line, name, above.map(|above| lines[above].clone()));
        lines[at] = line.text();
        match (above, memory) {
            (Some(above), Some(memory)) => lines[above] = memory,
            (Some(above), None) => drop(lines.remove(above)),
            (None, Some(memory)) => lines.insert(at, memory),
            (None, None) => {}
        }
    }
    let mut changed = lines.join("\n");
    changed.push('\n');
    Ok(changed)
}

fn remember(service: &ServiceName, name: &str, was: &PoolAddress) -> String {
    let mut memory = format!("{MEMORY}{service}: {name}{WAS}");
    memory.push_str(
        &settings_of(was).iter().map(|(key, value)| pair(key, value)).collect::<Vec<_>>().join(" "),
    );
    memory
}

fn remembered(memory: &str) -> Option<PoolAddress> {
    let (_, settings) = memory.split_once(WAS)?;
    let line = Line { head: String::new(), settings: settings_in(settings)? };
    Some(address(&line))
}

fn settings_of(address: &PoolAddress) -> Vec<(&'static str, &String)> {
    let PoolAddress { host, port, dbname } = address;
    [("host", host), ("port", port), ("dbname", dbname)]
        .into_iter()
        .filter_map(|(key, value)| value.as_ref().map(|value| (key, value)))
        .collect()
}

/// One line: what stands before the connection string, and its settings in order.
struct Line {
    head: String,
    settings: Vec<(String, String)>,
}

impl Line {
    fn read(text: &str, name: &str) -> Result<Self, PoolFileError> {
        let unreadable = || PoolFileError::Unreadable(name.to_owned());
        let (_, after_key) = key_of(text).ok_or_else(unreadable)?;
        let start = text.len() - after_key.len();
        let head = text[..start].trim_end().to_owned();
        Ok(Self { head, settings: settings_in(after_key).ok_or_else(unreadable)? })
    }

    fn set(&mut self, address: &PoolAddress) {
        self.settings.retain(|(key, _)| !matches!(key.as_str(), "host" | "port" | "dbname"));
        let wanted = settings_of(address).into_iter().map(|(key, value)| (key.to_owned(), value.clone()));
        self.settings.splice(0..0, wanted);
    }

    fn text(&self) -> String {
        let mut text = self.head.clone();
        for (key, value) in &self.settings {
            // Writing to a String cannot fail.
            let _ = write!(text, " {}", pair(key, value));
        }
        text
    }
}

fn address(line: &Line) -> PoolAddress {
    let of = |wanted: &str| {
        line.settings.iter().rev().find(|(key, _)| key == wanted).map(|(_, value)| value.clone())
    };
    PoolAddress { host: of("host"), port: of("port"), dbname: of("dbname") }
}

fn pair(key: &str, value: &str) -> String {
    let plain = !value.is_empty() && !value.contains(|c: char| c.is_whitespace() || c == '\'');
    if plain { format!("{key}={value}") } else { format!("{key}='{}'", value.replace('\'', "''")) }
}

/// `key=value key='it''s'`; `None` where that is not what stands there.
fn settings_in(text: &str) -> Option<Vec<(String, String)>> {
    let mut settings = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (key, after) = rest.split_once('=')?;
        let key = key.trim();
        if key.is_empty() || key.contains(char::is_whitespace) {
            return None;
        }
        let (value, after) = value_in(after.trim_start())?;
        settings.push((key.to_owned(), value));
        rest = after.trim_start();
    }
    Some(settings)
}

fn value_in(text: &str) -> Option<(String, &str)> {
    let Some(mut rest) = text.strip_prefix('\'') else {
        let end = text.find(char::is_whitespace).unwrap_or(text.len());
        return Some((text[..end].to_owned(), &text[end..]));
    };
    let mut value = String::new();
    loop {
        let (part, after) = rest.split_once('\'')?;
        value.push_str(part);
        match after.strip_prefix('\'') {
            Some(after) => {
                value.push('\'');
                rest = after;
            }
            None => return Some((value, after)),
        }
    }
}

/// The name in front of the first `=` and what follows it. Names other than words stand in double quotes.
fn key_of(line: &str) -> Option<(String, &str)> {
    let line = line.trim_start();
    if let Some(mut rest) = line.strip_prefix('"') {
        let mut name = String::new();
        loop {
            let (part, after) = rest.split_once('"')?;
            name.push_str(part);
            let Some(after) = after.strip_prefix('"') else {
                return Some((name, after.trim_start().strip_prefix('=')?));
            };
            name.push('"');
            rest = after;
        }
    }
    let (name, after) = line.split_once('=')?;
    Some((name.trim().to_owned(), after))
}

/// The line of a database: in section `[databases]`, or in an included file above any section.
fn line_of(lines: &[&str], name: &str) -> Result<usize, PoolFileError> {
    let mut in_databases = true;
    let mut found = None;
    for (at, line) in lines.iter().enumerate() {
        let line = line.trim();
        if line.starts_with('[') {
            in_databases = line == "[databases]";
        }
        let is_code = !line.starts_with([';', '#', '[', '%']);
        if in_databases && is_code && key_of(line).is_some_and(|(key, _)| key == name) {
            if found.is_some() {
                return Err(PoolFileError::Twice(name.to_owned()));
            }
            found = Some(at);
        }
    }
    found.ok_or_else(|| PoolFileError::Missing(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FILE: &str = "\
; our databases
[databases]
shop = host=10.0.0.1 port=5432 dbname=shop pool_size=20
\"odd \"\"name\"\"\" = dbname=shop connect_query='select ''x = 1'''
reports=dbname=reports

[pgbouncer]
shop = 1
";

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn films() -> ServiceName {
        ServiceName::parse("films").unwrap()
    }

    fn new() -> PoolAddress {
        PoolAddress {
            host: Some("10.0.0.2".into()),
            port: Some("5433".into()),
            dbname: Some("films db".into()),
        }
    }

    #[test]
    fn lines_are_pointed_elsewhere_and_back_and_the_rest_of_the_file_stays() {
        let both = names(&["shop", "odd \"name\""]);
        let moved = lead_pool_to(FILE, &films(), &both, &new()).unwrap();
        assert_eq!(
            moved,
            "\
; our databases
[databases]
;cleave films: shop led to: host=10.0.0.1 port=5432 dbname=shop
shop = host=10.0.0.2 port=5433 dbname='films db' pool_size=20
;cleave films: odd \"name\" led to: dbname=shop
\"odd \"\"name\"\"\" = host=10.0.0.2 port=5433 dbname='films db' connect_query='select ''x = 1'''
reports=dbname=reports

[pgbouncer]
shop = 1
"
        );
        assert_eq!(
            lead_pool_to(&moved, &films(), &both, &new()).unwrap(),
            moved,
            "a second time changes nothing"
        );
        assert_eq!(lead_pool_back(&moved, &both, &new()).unwrap(), FILE);
        assert_eq!(pool_address(&moved, "shop").unwrap(), new());
        let forgotten = forget_pool(&moved, &both).unwrap();
        assert!(!forgotten.contains(";cleave"), "{forgotten}");
        assert_eq!(pool_address(&forgotten, "shop").unwrap(), new());
    }

    #[test]
    fn a_line_that_nobody_remembers_leads_to_the_old_home_as_cleave_knows_it() {
        let moved = lead_pool_to(FILE, &films(), &names(&["shop"]), &new()).unwrap();
        let without: String =
            moved.lines().filter(|line| !line.starts_with(";cleave")).map(|l| format!("{l}\n")).collect();
        let old = PoolAddress { host: Some("m".into()), port: Some("1".into()), dbname: Some("d".into()) };
        let back = lead_pool_back(&without, &names(&["shop"]), &old).unwrap();
        assert_eq!(pool_address(&back, "shop").unwrap(), old);
    }

    #[test]
    fn a_file_that_does_not_fit_is_refused_with_the_reason() {
        for (text, expected) in [
            ("", "it has no line for database shop"),
            ("[users]\nshop = pool_mode=session\n", "it has no line for database shop"),
            ("shop = dbname=a\nshop = dbname=b\n", "it has more than one line for database shop"),
            ("shop = dbname\n", "the connection string of database shop cannot be read"),
            ("shop = dbname='a\n", "the connection string of database shop cannot be read"),
        ] {
            assert_eq!(pool_address(text, "shop").unwrap_err().to_string(), expected, "{text}");
        }
        assert_eq!(pool_address("shop =\n", "shop").unwrap(), PoolAddress::default());
    }

    proptest! {
        #[test]
        fn any_values_come_back_as_they_were(host in ".{0,12}", dbname in "[^\n\r]{0,12}", other in "[^\n\r]{1,12}") {
            let host = host.replace(['\n', '\r'], " ");
            let was = PoolAddress { host: Some(host), port: None, dbname: Some(dbname) };
            let mut line = Line { head: "shop =".into(), settings: vec![("user".into(), other)] };
            line.set(&was);
            let text = format!("{}\n", line.text());
            prop_assert_eq!(pool_address(&text, "shop").unwrap(), was);
            let moved = lead_pool_to(&text, &films(), &names(&["shop"]), &new()).unwrap();
            prop_assert_eq!(lead_pool_back(&moved, &names(&["shop"]), &new()).unwrap(), text);
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,80}") {
            let _ = pool_address(&text, "shop");
            let _ = lead_pool_to(&text, &films(), &names(&["shop"]), &new());
        }
    }
}
