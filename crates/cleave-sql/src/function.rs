//! Reads the bodies of functions and procedures.

#[cfg(test)]
mod tests;

use crate::body::{self, Body};
use crate::dynamic;
use crate::literal;
use crate::names::parse_search_path;
use crate::resolver::Resolver;
use crate::statement::{StatementUse, Unread, resolve};
use crate::tokens::tokens;
use crate::tree::{self, Grammar};
use cleave_model::catalog::{Catalog, Function};
use cleave_model::{Ident, QualifiedName};
use squawk_parser::SyntaxKind;
use std::collections::BTreeSet;
use std::ops::Range;

/// What a function's text does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FunctionUse {
    /// Its statements together.
    pub read: StatementUse,
    /// Statements that it puts together at run time.
    pub dynamic: Vec<Dynamic>,
    /// Tables, views and sequences whose names stand in its other string constants, if it has statements of the kind.
    pub names_in_constants: BTreeSet<QualifiedName>,
    /// Parts of the body that could not be read.
    pub unread: Vec<Unread>,
    /// The `search_path` that it sets for itself.
    pub path: Option<Vec<Ident>>,
    /// Words by which it asks for the schema that it works in (`TG_TABLE_SCHEMA`, `current_schema`): what it does may
    /// depend on where tables are, whatever names stand in it.
    pub asks_for_schema: BTreeSet<String>,
    /// Why there is no text to read: "it is written in c".
    pub opaque: Option<String>,
}

/// An `EXECUTE` whose statement is known at run time only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dynamic {
    /// Byte offset in the body.
    pub at: usize,
    /// The expression as it is written.
    pub expression: String,
    /// What looks like the name of a table, view or sequence in its constants.
    pub names: BTreeSet<QualifiedName>,
}

impl FunctionUse {
    /// True if the text alone says everything that the function touches.
    pub fn is_certain(&self) -> bool {
        self.dynamic.is_empty() && self.unread.is_empty() && self.opaque.is_none()
    }
}

/// Reads a function. Its own `SET search_path` comes before the resolver's path; names of transition tables of the
/// triggers that call it are no tables.
pub fn read_function(function: &Function, catalog: &Catalog, resolver: &Resolver) -> FunctionUse {
    let path = own_path(function);
    let resolver = resolver_of(function, catalog, resolver);
    let mut read = match body_of(function) {
        Ok(BodyText::String(text)) => from_body(text, &body_pieces(function, text), &resolver),
        Ok(BodyText::Atomic) => atomic(function, &resolver),
        Err(reason) => FunctionUse { opaque: Some(reason), ..FunctionUse::default() },
    };
    read.path = path;
    read.asks_for_schema = asked_schemas(function.body.as_deref().unwrap_or(&function.definition));
    read
}

fn asked_schemas(text: &str) -> BTreeSet<String> {
    const WORDS: &[&str] = &["tg_table_schema", "current_schema", "current_schemas"];
    let asked = tokens(text).into_iter().filter(|token| token.is_any(text, WORDS));
    asked.filter_map(|token| text.get(token.range).map(str::to_lowercase)).collect()
}

/// Where the statements of a function stand.
pub(crate) enum BodyText<'f> {
    /// In a string of its own.
    String(&'f str),
    /// `BEGIN ATOMIC` or `RETURN`, in the definition.
    Atomic,
}

/// The body, or why there is none to read.
pub(crate) fn body_of(function: &Function) -> Result<BodyText<'_>, String> {
    match (function.language.as_str(), &function.body) {
        ("sql" | "plpgsql", Some(body)) => Ok(BodyText::String(body)),
        ("sql", None) if !function.definition.trim_start().starts_with("CREATE AGGREGATE") => {
            Ok(BodyText::Atomic)
        }
        (language, _) => Err(format!("it is written in {language}")),
    }
}

pub(crate) fn body_pieces(function: &Function, text: &str) -> Body {
    if function.language == "plpgsql" { body::plpgsql(text) } else { body::sql(text) }
}

/// The resolver for a function's body.
pub(crate) fn resolver_of(function: &Function, catalog: &Catalog, resolver: &Resolver) -> Resolver {
    let resolver = match own_path(function) {
        Some(path) => resolver.with_path(&path),
        None => resolver.clone(),
    };
    resolver.with_temporary(transition_tables(function, catalog))
}

fn own_path(function: &Function) -> Option<Vec<Ident>> {
    let setting = function.settings.iter().find_map(|setting| setting.strip_prefix("search_path="))?;
    Some(parse_search_path(setting, None))
}

/// Names that triggers give to the rows of a statement: `REFERENCING NEW TABLE AS changed`.
fn transition_tables(function: &Function, catalog: &Catalog) -> Vec<Ident> {
    if function.result != "trigger" {
        return Vec::new();
    }
    let triggers = catalog.tables.iter().flat_map(|table| &table.triggers);
    let definitions = triggers
        .chain(catalog.views.iter().flat_map(|view| &view.triggers))
        .filter(|trigger| trigger.function == function.oid && trigger.definition.contains("REFERENCING"));
    definitions.flat_map(|trigger| transition_names(&trigger.definition)).collect()
}

fn transition_names(definition: &str) -> Vec<Ident> {
    let Ok(tree) = tree::parse(definition, Grammar::Sql) else { return Vec::new() };
    let named = (0..tree.nodes.len()).filter(|id| tree.kind(*id) == SyntaxKind::TRANSITION_RELATION_NAME);
    named
        .filter_map(|id| {
            let (_, range) = tree.first_token(id)?;
            crate::names::ident(tree.text_of(&range))
        })
        .collect()
}

fn atomic(function: &Function, resolver: &Resolver) -> FunctionUse {
    let resolver = resolver.with_path(std::slice::from_ref(&function.name.schema));
    let mut read = FunctionUse::default();
    match crate::statement::find_in_sql(&function.definition) {
        Ok(found) => {
            read.read = resolve(&found, &resolver);
            // The definition is `CREATE FUNCTION`, what it does is its body.
            read.read.traits.remove(&cleave_model::workload::StatementTrait::Ddl);
        }
        Err(unread) => read.unread.push(unread),
    }
    read
}

/// A `DO` block's constant.
pub(crate) fn read_block(text: &str, constant: &Range<usize>, resolver: &Resolver) -> FunctionUse {
    let Some(content) = text.get(constant.clone()).and_then(literal::value) else {
        let unread = Unread { at: constant.start, reason: "its block is no plain constant".to_owned() };
        return FunctionUse { unread: vec![unread], ..FunctionUse::default() };
    };
    from_body(&content, &body::plpgsql(&content), resolver)
}

fn from_body(text: &str, body: &Body, resolver: &Resolver) -> FunctionUse {
    let mut read = FunctionUse { unread: body.unread.clone(), ..FunctionUse::default() };
    for found in body.found.iter().chain(body.constants.iter().map(|(_, found)| found)) {
        read.read.add(resolve(found, resolver));
    }
    // A temporary table of one statement hides a table in the others.
    if !read.read.temporary.is_empty() {
        let resolver = resolver.with_temporary(read.read.temporary.iter().cloned());
        let again = body.found.iter().chain(body.constants.iter().map(|(_, found)| found));
        read.read = again.fold(StatementUse::default(), |mut all, found| {
            all.add(resolve(found, &resolver));
            all
        });
    }
    for expression in &body.dynamic {
        let written = text.get(expression.clone()).unwrap_or("");
        let names = dynamic::names(written, resolver, dynamic::Wanted::WholeConstantsToo);
        read.dynamic.push(Dynamic { at: expression.start, expression: written.to_owned(), names });
    }
    if !body.dynamic.is_empty() {
        read.names_in_constants = dynamic::names(text, resolver, dynamic::Wanted::InStatements);
    }
    read
}
