//! The file of `verify --map`: what has another name, or other rows, in the target of a comparison.
//!
//! ```toml
//! [schemas]
//! public = "films"
//!
//! [[table]]
//! source = "public.film"
//! target = "films.movie"
//! columns = { title = "name" }
//! without = ["copied_at"]
//! source_where = "region = 'eu'"
//! target_where = "not local"
//! ```
//!
//! A table without a `target` says which rows of the source are somewhere else.

use crate::TablePattern;
use cleave_model::{Ident, QualifiedName};
use std::{collections::BTreeMap, fmt};
use toml_edit::{Document, Item, TableLike};

/// What the file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MappingFile {
    /// The target's names of schemas.
    pub schemas: BTreeMap<Ident, Ident>,
    /// One entry per table of the target.
    pub tables: Vec<MappedTable>,
}

/// A `[[table]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MappedTable {
    /// The source's table.
    pub source: QualifiedName,
    /// The target's; none for rows that are somewhere else.
    pub target: Option<QualifiedName>,
    /// The target's names of columns.
    pub columns: BTreeMap<Ident, Ident>,
    /// Columns that are not compared.
    pub without: Vec<Ident>,
    /// Which rows of the source it is about.
    pub source_where: Option<String>,
    /// Which rows of the target it is about.
    pub target_where: Option<String>,
}

/// What is wrong with the file, as a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidMapping(pub String);

impl fmt::Display for InvalidMapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for InvalidMapping {}

const SECTIONS: [&str; 2] = ["schemas", "table"];
const KEYS: [&str; 6] = ["source", "target", "columns", "without", "source_where", "target_where"];

impl MappingFile {
    /// Reads a file's text.
    ///
    /// # Errors
    /// [`InvalidMapping`] names the first thing that is wrong.
    pub fn parse(text: &str) -> Result<Self, InvalidMapping> {
        let document = Document::parse(text)
            .map_err(|error| wrong(format!("this is not TOML: {}", error.message().replace('\n', ", "))))?;
        let root: &dyn TableLike = document.as_table();
        known(root, &SECTIONS, "the file")?;
        let schemas = root.get("schemas").map(|item| names(item, "schemas")).transpose()?;
        let tables = match root.get("table") {
            Some(Item::ArrayOfTables(tables)) => tables.iter().map(|table| entry(table)).collect(),
            Some(_) => Err(wrong("write each table as `[[table]]`".to_owned())),
            None => Ok(Vec::new()),
        };
        Ok(Self { schemas: schemas.unwrap_or_default(), tables: tables? })
    }
}

fn entry(table: &dyn TableLike) -> Result<MappedTable, InvalidMapping> {
    let source = name(table, "source")?;
    let of = format!("the table {source}");
    known(table, &KEYS, &of)?;
    let condition = |key: &str| table.get(key).map(|item| text(item, key)).transpose();
    let without = match table.get("without").map(Item::as_array) {
        None => Vec::new(),
        Some(Some(columns)) => {
            let column = |value: &toml_edit::Value| value.as_str().map(Ident::new);
            let columns: Option<Vec<Ident>> = columns.iter().map(column).collect();
            columns.ok_or_else(|| wrong(format!("`without` of {of} is a list of column names")))?
        }
        Some(None) => return Err(wrong(format!("`without` of {of} is a list of column names"))),
    };
    Ok(MappedTable {
        target: table.get("target").map(|_| name(table, "target")).transpose()?,
        columns: table.get("columns").map(|item| names(item, "columns")).transpose()?.unwrap_or_default(),
        without,
        source_where: condition("source_where")?,
        target_where: condition("target_where")?,
        source,
    })
}

fn wrong(reason: String) -> InvalidMapping {
    InvalidMapping(reason)
}

fn known(table: &dyn TableLike, keys: &[&str], of: &str) -> Result<(), InvalidMapping> {
    match table.iter().find(|(key, _)| !keys.contains(key)) {
        Some((key, _)) => Err(wrong(format!("`{key}` of {of} is not known; known are {}", keys.join(", ")))),
        None => Ok(()),
    }
}

fn text(item: &Item, key: &str) -> Result<String, InvalidMapping> {
    item.as_str().map(str::to_owned).ok_or_else(|| wrong(format!("`{key}` is a text in quotes")))
}

fn name(table: &dyn TableLike, key: &str) -> Result<QualifiedName, InvalidMapping> {
    let item = table.get(key).ok_or_else(|| wrong(format!("a `[[table]]` has no `{key}`")))?;
    let text = text(item, key)?;
    let pattern =
        TablePattern::parse(&text).map_err(|error| wrong(format!("`{text}` names no table: it {error}")))?;
    pattern.exact().ok_or_else(|| wrong(format!("`{text}` is to name one table, without stars")))
}

fn names(item: &Item, key: &str) -> Result<BTreeMap<Ident, Ident>, InvalidMapping> {
    let table = item.as_table_like().ok_or_else(|| wrong(format!("`{key}` is a table of names")))?;
    table
        .iter()
        .map(|(here, there)| Ok((Ident::new(here), Ident::new(text(there, here)?.as_str()))))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapping_says_what_has_another_name_and_which_rows_are_meant() {
        let read = MappingFile::parse(
            "[schemas]\npublic = \"films\"\n[[table]]\nsource = \"public.film\"\ntarget = 'films.\"Mo.vie\"'\n\
             columns = { title = \"name\" }\nwithout = [\"x\"]\nsource_where = \"a > 1\"\n\
             [[table]]\nsource = \"public.film\"\ntarget = \"b.film\"\ntarget_where = \"b\"\n",
        )
        .unwrap();
        assert_eq!(read.schemas[&Ident::from("public")], Ident::from("films"));
        let [first, second] = read.tables.as_slice() else { panic!("two entries") };
        assert_eq!(first.target, Some(QualifiedName::new("films", "Mo.vie")));
        assert_eq!(first.columns[&Ident::from("title")], Ident::from("name"));
        assert_eq!((first.without.len(), first.source_where.as_deref()), (1, Some("a > 1")));
        assert_eq!(
            (second.source.clone(), second.target_where.as_deref()),
            (first.source.clone(), Some("b"))
        );
        assert_eq!(MappingFile::parse("").unwrap(), MappingFile::default());
    }

    #[test]
    fn what_is_wrong_with_a_mapping_is_named() {
        let said = |text: &str| MappingFile::parse(text).unwrap_err().to_string();
        assert!(said("[[table").contains("not TOML"));
        assert_eq!(said("tables = 1"), "`tables` of the file is not known; known are schemas, table");
        assert_eq!(said("[table]\nsource = \"a.b\""), "write each table as `[[table]]`");
        assert_eq!(said("[[table]]\ntarget = \"a.b\""), "a `[[table]]` has no `source`");
        assert_eq!(said("[[table]]\nsource = \"film\""), "`film` names no table: it has no schema");
        assert_eq!(said("[[table]]\nsource = \"a.*\""), "`a.*` is to name one table, without stars");
        assert!(
            said("[[table]]\nsource = \"a.b\"\ntarget = \"a.b\"\nwhere = \"x\"")
                .starts_with("`where` of the table")
        );
        assert!(
            said("[[table]]\nsource = \"a.b\"\ntarget = \"a.b\"\nwithout = 1")
                .contains("list of column names")
        );
    }
}
