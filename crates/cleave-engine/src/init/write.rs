//! The text of a first cleave.toml.

use super::clusters::Cluster;
use cleave_config::Bridge;
use cleave_model::catalog::{Catalog, Table};
use cleave_model::{Ident, QualifiedName};

/// The example service and how its old names shall behave.
pub(super) struct Example<'c> {
    pub(super) name: String,
    pub(super) cluster: &'c Cluster,
    pub(super) bridge: Bridge,
}

/// Everything above the services.
pub(super) fn head(catalog: &Catalog) -> String {
    let database = one_line(&catalog.facts.database);
    let major = catalog.facts.major();
    format!(
        "\
# Which tables shall live where. `cleave init` wrote this file from database {database} (PostgreSQL {major}).
#
# Check it with `cleave config check`, look at both sides with `cleave doctor`, see what would be done with
# `cleave plan`. Nothing is changed before `cleave apply`, and writes go on to the old home until `cleave cutover`.

[databases]
# Passwords stay out of this file: env:NAME, file:PATH and cmd:COMMAND say where a URL is to be had.
monolith = {{ url = \"env:MONOLITH_URL\" }}   # the database that has the tables now
new_home = {{ url = \"env:NEW_HOME_URL\" }}   # the database that the service's tables shall go to
# If the monolith's server reaches the new home by another address than Cleave does, say which:
# new_home = {{ url = \"env:NEW_HOME_URL\", url_from = {{ monolith = \"env:NEW_HOME_URL_INSIDE\" }} }}
"
    )
}

/// The example as a section of its own.
pub(super) fn service(example: &Example<'_>, catalog: &Catalog) -> String {
    let Example { name, cluster, bridge } = example;
    let other = match bridge {
        Bridge::Forward => "old names read and write the new home; or: local, none",
        Bridge::Local => "old names read the copy and write the new home; or: forward, none",
        Bridge::None => "old names read the copy and cannot be written; or: forward, local",
    };
    let keys = [
        (format!("home   = \"new_home/{name}\""), "database/schema"),
        (
            format!("copies = [\"monolith/{name}_copy\"]"),
            "a read-only copy stays behind for joins and references",
        ),
        (format!("bridge = \"{bridge}\""), other),
        (
            format!("# owner  = \"{name}_svc\""),
            "role that shall own schema and tables at the new home; it must exist there",
        ),
    ];
    let width = keys.iter().map(|(key, _)| key.len()).max().unwrap_or_default();
    let [home, copies, bridge, owner] = keys.map(|(key, comment)| format!("{key:width$}   # {comment}\n"));
    format!(
        "\n# An example to start from: tables that foreign keys hold together. {summary}\n\
         # Take in what belongs to the service, leave out what does not, and give it a better name.\n\
         [services.{name}]\n{home}tables = [\n{tables}]\n{copies}{bridge}{owner}",
        summary = summary(cluster, catalog),
        tables = tables(cluster, catalog, "    "),
    )
}

/// In place of an example, where no table can be moved: a file must have a service.
pub(super) fn no_service() -> &'static str {
    "
# No table of this database can be moved as it is. Name the tables here, then ask `cleave doctor` what they need.
[services.example]
home   = \"new_home/example\"   # database/schema
tables = [\"public.*\"]
"
}

/// The tables that the example leaves, by group, in comments.
pub(super) fn others(groups: &[&Cluster], catalog: &Catalog) -> String {
    let (connected, lone): (Vec<&Cluster>, Vec<&Cluster>) =
        groups.iter().partition(|group| group.tables.len() > 1);
    let mut text = String::new();
    if !groups.is_empty() {
        text += "\n# The other tables, as foreign keys group them. A group is where a look for the next service may start.\n";
    }
    for cluster in connected {
        let centre = one_line(&cluster.centre.to_string());
        text += &format!("#\n# Around {centre}: {}\n", summary(cluster, catalog));
        text += &tables(cluster, catalog, "#     ");
    }
    if !lone.is_empty() {
        text += "#\n# Each by itself:\n";
        for cluster in lone {
            text += &tables(cluster, catalog, "#     ");
        }
    }
    text
}

fn summary(cluster: &Cluster, catalog: &Catalog) -> String {
    let bytes = cluster.tables.iter().map(|name| size(catalog, name).1).sum();
    format!(
        "{}, {}, {} among them, {} to or from other tables.",
        counted(cluster.tables.len(), "table"),
        in_bytes(bytes),
        counted(cluster.keys_inside, "key"),
        cluster.keys_across
    )
}

fn tables(cluster: &Cluster, catalog: &Catalog, indent: &str) -> String {
    let names: Vec<String> = cluster.tables.iter().map(|name| toml_string(&pattern(name)) + ",").collect();
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or_default();
    let lines = names.iter().zip(&cluster.tables).map(|(text, name)| {
        let (rows, bytes) = size(catalog, name);
        format!("{indent}{text:width$}   # {}, about {rows} rows\n", in_bytes(bytes))
    });
    lines.collect()
}

/// Rows (estimated) and bytes of a table with all its partitions.
fn size(catalog: &Catalog, name: &QualifiedName) -> (u64, u64) {
    let own = |table: &Table| (table.rows_estimated, table.heap_bytes + table.index_bytes);
    let table = catalog.table(name);
    // A partitioned table's own estimate is the sum of its partitions.
    let (mut rows, mut bytes) = table.filter(|table| table.holds_rows()).map_or((0, 0), own);
    for partition in catalog.partitions_of(name) {
        let (more_rows, more_bytes) = size(catalog, &partition.name);
        rows += more_rows;
        bytes += more_bytes;
    }
    (rows, bytes)
}

fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// `1.5 GB`, in units of 1024 as `pg_size_pretty` has them.
fn in_bytes(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    let mut unit = 0;
    let mut tenths = bytes.saturating_mul(10) / 1024;
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    if tenths >= 100 || tenths.is_multiple_of(10) {
        format!("{} {}", tenths / 10, UNITS[unit])
    } else {
        format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
    }
}

/// A name as `tables` takes it: quoted where it has a character that would mean something there.
fn pattern(name: &QualifiedName) -> String {
    let part = |ident: &Ident| {
        let text = ident.as_str();
        let special = |c: char| c == '.' || c == '"' || c == '*' || c.is_whitespace();
        if text.contains(special) { ident.quoted() } else { text.to_owned() }
    };
    format!("{}.{}", part(&name.schema), part(&name.name))
}

/// A basic string of TOML.
fn toml_string(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted += &format!("\\u{:04X}", u32::from(c)),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// A name in a comment must not end the comment.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::{in_bytes, pattern, toml_string};
    use cleave_model::QualifiedName;

    #[test]
    fn sizes_are_short_and_have_units() {
        for (bytes, expected) in
            [(0, "0 kB"), (8192, "8 kB"), (1_572_864, "1.5 MB"), (130 << 20, "130 MB"), (3 << 40, "3 TB")]
        {
            assert_eq!(in_bytes(bytes), expected);
        }
    }

    #[test]
    fn names_are_quoted_for_the_pattern_first_and_for_toml_then() {
        let text = |name: &str| toml_string(&pattern(&QualifiedName::new("public", name)));
        assert_eq!(text("film"), r#""public.film""#);
        assert_eq!(text("Order"), r#""public.Order""#);
        assert_eq!(text(r#"Weird "Name""#), r#""public.\"Weird \"\"Name\"\"\"""#);
        assert_eq!(text("a\nb"), r#""public.\"a\u000Ab\"""#);
    }
}
