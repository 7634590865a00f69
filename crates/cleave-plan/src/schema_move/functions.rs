//! Functions whose text names a moved table. Text does not follow its tables: names in it are written anew, and what
//! cannot be read or is put together at run time is named for a person.

use super::{NameLayer, SchemaPlan};
use crate::carrying::{Fate, Layer, fate};
use crate::{Finding, Scope};
use cleave_ddl::schema_move::path::SearchPath;
use cleave_model::catalog::{Catalog, Function, FunctionKind};
use cleave_model::{Ident, QualifiedName};
use cleave_sql::{Moved, Names, Resolver, Rewritten, parse_search_path, read_function, rewrite_function};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A function that is made anew at the cutover.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunctionChange {
    /// It stays the same.
    pub oid: u32,
    /// `schema.name(arguments)`.
    pub function: String,
    /// What is done to it, as a phrase.
    pub what: String,
    /// Lines that differ: `- old`, `+ new`.
    pub diff: Vec<String>,
    /// Statements of the cutover.
    pub cutover: Vec<String>,
    /// Statements of the rollback.
    pub rollback: Vec<String>,
    /// `search_path` under which the server can check the new body; `None` where it checks no names.
    pub checked_under: Option<String>,
}

/// What the move does to functions, and what of them needs a person.
pub(super) fn changes(
    scope: &Scope<'_>,
    schema: &Ident,
    layer: NameLayer,
    old_schemas: &[Ident],
    database_path: &str,
) -> (Vec<FunctionChange>, Vec<Finding>) {
    let (mut changes, mut findings) = (Vec::new(), Vec::new());
    let resolver = Resolver::new(scope.catalog, &parse_search_path(database_path, None));
    let place = Place { schema, old_schemas, layer, moved: moved(scope, schema) };
    // An aggregate has no body, and a body that the server has parsed follows its tables.
    let textual =
        scope.catalog.functions.iter().filter(|f| f.kind != FunctionKind::Aggregate && f.body.is_some());
    for function in textual {
        if !matches!(function.language.as_str(), "sql" | "plpgsql") {
            findings.extend(foreign_language(scope, function, layer));
            continue;
        }
        let rewritten = rewrite_function(function, scope.catalog, &place.moved, Names::All, &resolver);
        findings.extend(unread(function, &rewritten, &place));
        changes.extend(change(function, &rewritten, &place));
    }
    (changes, findings)
}

struct Place<'a> {
    schema: &'a Ident,
    old_schemas: &'a [Ident],
    layer: NameLayer,
    moved: Moved,
}

/// Tables with their row types, and sequences that go with them.
fn moved(scope: &Scope<'_>, schema: &Ident) -> Moved {
    let tables = scope.tables.iter().map(|table| &table.name);
    let owned = scope.sequences().into_iter().filter(|sequence| sequence.owner_column.is_some());
    let names = tables.chain(owned.map(|sequence| &sequence.name));
    let relations: BTreeMap<_, _> = names.map(|name| (name.clone(), name.in_schema(schema))).collect();
    Moved { relations, ..Moved::default() }
}

/// A function that a rollback makes anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionBack {
    /// It stays the same.
    pub oid: u32,
    /// Statements that write the old names.
    pub back: Vec<String>,
    /// Statements that make it what it is before them.
    pub forth: Vec<String>,
    /// With the old names it does through the views what it does with the new ones: it can go back before the tables do.
    pub through_views: bool,
}

/// What a rollback does to functions as they are now. Those that still have the text that the cutover gave them
/// (`untouched`) get their old one; in others, which somebody or another service's cutover has changed since, the new
/// names become the old ones.
pub fn functions_back(catalog: &Catalog, plan: &SchemaPlan, untouched: &[u32]) -> Vec<FunctionBack> {
    let (schema, old_schemas) = (plan.new_schema(), plan.old_schemas());
    let tables = plan.tables.iter().map(|table| (table.to.qualified(), table.from.qualified()));
    let owned = plan.sequences.iter().filter(|sequence| sequence.owned);
    let relations: BTreeMap<_, _> =
        tables.chain(owned.map(|sequence| (sequence.to.qualified(), sequence.from.qualified()))).collect();
    let moved = Moved { relations, ..Moved::default() };
    let resolver = Resolver::new(catalog, &[]);
    let place =
        Place { schema: &schema, old_schemas: &old_schemas, layer: plan.layer, moved: Moved::default() };
    let mut functions = Vec::new();
    for function in catalog.functions.iter().filter(|f| f.kind != FunctionKind::Aggregate && f.body.is_some())
    {
        let change = plan.functions.iter().find(|change| change.oid == function.oid.0);
        let rewritten = rewrite_function(function, catalog, &moved, Names::Qualified, &resolver);
        let path = own_path(function).filter(|path| change.is_some() && path.has(&schema));
        let back = match change.filter(|_| untouched.contains(&function.oid.0)) {
            Some(change) => change.rollback.clone(),
            None if rewritten.edits.is_empty() && path.is_none() => continue,
            None => {
                let mut back = vec![enter(function, &place), rewritten.text.clone()];
                back.extend(path.map(|path| set_path(function, &path.without(&schema))));
                back
            }
        };
        let through_views = plan.layer == NameLayer::View
            && keeps_its_head(function, &rewritten)
            && runs_through_views(function, catalog, &moved, &resolver);
        let forth = vec![enter(function, &place), function.definition.clone()];
        functions.push(FunctionBack { oid: function.oid.0, back, forth, through_views });
    }
    functions
}

/// True if no name that moves stands before the body: a row type there is the table's, not the view's.
fn keeps_its_head(function: &Function, rewritten: &Rewritten) -> bool {
    let body = function.body.as_deref().and_then(|body| function.definition.find(body));
    body.is_some_and(|body| rewritten.edits.iter().all(|edit| edit.range.start >= body))
}

/// True if all that a function does with the moved tables, views under the old names do too.
fn runs_through_views(function: &Function, catalog: &Catalog, moved: &Moved, resolver: &Resolver) -> bool {
    let read = read_function(function, catalog, resolver);
    let names = read.read.sequences.iter().chain(&read.read.types).chain(&read.names_in_constants);
    let major = catalog.facts.major();
    read.is_certain()
        && read.asks_for_schema.is_empty()
        && !names.into_iter().any(|name| moved.relations.contains_key(name))
        && read.read.traits.iter().all(|feature| fate(Layer::View, major, *feature) == Fate::Carried)
}

fn set_path(function: &Function, path: &SearchPath) -> String {
    let signature = format!("{}({})", function.name.quoted(), function.identity_arguments);
    format!("alter routine {signature} set search_path = {}", path.sql())
}

fn name_of(function: &Function) -> String {
    format!("{}({})", function.name, function.identity_arguments)
}

fn change(function: &Function, rewritten: &Rewritten, place: &Place<'_>) -> Option<FunctionChange> {
    let names_moved = rewritten.unresolved.iter().any(|unresolved| !unresolved.names.is_empty());
    if rewritten.edits.is_empty() && !names_moved {
        return None;
    }
    let path = own_path(function).and_then(|path| path.with(place.schema, place.old_schemas));
    // Without edits only a path of its own can help.
    if rewritten.edits.is_empty() && path.is_none() {
        return None;
    }
    let enter = enter(function, place);
    let mut cutover = vec![enter.clone()];
    if !rewritten.edits.is_empty() {
        cutover.push(rewritten.text.clone());
    }
    if let Some(path) = &path {
        cutover.push(set_path(function, path));
    }
    let mut diff = lines_that_differ(&function.definition, &rewritten.text);
    diff.extend(path.as_ref().map(|path| format!("+ set search_path = {}", path.sql())));
    let what = match (rewritten.edits.is_empty(), &path) {
        (false, None) => "names are written with the new schema",
        (false, Some(_)) => "names are written with the new schema, and its search_path names it",
        (true, _) => "its search_path names the new schema",
    };
    let checked =
        path.or_else(|| own_path(function)).map_or_else(|| session_path(function, place), |path| path.sql());
    Some(FunctionChange {
        oid: function.oid.0,
        function: name_of(function),
        what: what.to_owned(),
        diff,
        cutover,
        rollback: vec![enter, function.definition.clone()],
        checked_under: (function.language == "sql").then_some(checked),
    })
}

/// Names in a definition's head are those of the function's own schema.
fn enter(function: &Function, place: &Place<'_>) -> String {
    format!("set local search_path = {}", session_path(function, place))
}

fn session_path(function: &Function, place: &Place<'_>) -> String {
    let mut schemas = vec![function.name.schema.clone()];
    schemas.extend(
        place.old_schemas.iter().chain([place.schema]).filter(|s| **s != function.name.schema).cloned(),
    );
    schemas.iter().map(Ident::quoted).collect::<Vec<_>>().join(", ")
}

fn own_path(function: &Function) -> Option<SearchPath> {
    let setting = function.settings.iter().find_map(|setting| setting.strip_prefix("search_path="))?;
    Some(SearchPath::parse(setting))
}

/// A new name never breaks a line, so lines stand in pairs.
fn lines_that_differ(before: &str, after: &str) -> Vec<String> {
    let pairs = before.lines().zip(after.lines()).filter(|(before, after)| before != after);
    pairs
        .flat_map(|(before, after)| [format!("- {}", before.trim()), format!("+ {}", after.trim())])
        .collect()
}

/// Parts of a body that name a moved table, or may, and were not changed.
fn unread(function: &Function, rewritten: &Rewritten, place: &Place<'_>) -> Option<Finding> {
    let about: Vec<_> = rewritten.unresolved.iter().filter(|part| !part.names.is_empty()).collect();
    let first = about.first()?;
    let names: Vec<String> = about.iter().flat_map(|part| &part.names).map(ToString::to_string).collect();
    let line = function.definition.get(..first.at).map_or(1, |text| text.lines().count().max(1));
    let message =
        format!("{} in line {line} of its definition, and seems to name {}", first.reason, listed(names));
    let by_hand = "write the new names there by hand, or let it read its names from the search path";
    let object = format!("function {}", name_of(function));
    let body = function.body.as_deref().unwrap_or_default();
    let qualified = place.moved.relations.keys().any(|name| names_with_schema(body, name));
    Some(match place.layer {
        NameLayer::Path if qualified => Finding::refusal(
            "C1112",
            object,
            format!("{message} with the old schema, under which nothing will stand"),
        )
        .fix(format!("{by_hand}, or write `bridge = \"view\"`")),
        NameLayer::Path => Finding::warning(
            "C1112",
            object,
            format!("{message}; it meets the tables by the search path of its caller"),
        )
        .fix(by_hand),
        NameLayer::View => {
            Finding::warning("C1112", object, format!("{message}; it goes through the views until complete"))
                .fix(format!("{by_hand}, before complete"))
        }
    })
}

fn listed(mut names: Vec<String>) -> String {
    names.sort();
    names.dedup();
    names.join(", ")
}

fn names_with_schema(body: &str, name: &QualifiedName) -> bool {
    let body = body.to_lowercase();
    [name.to_string(), name.quoted()].iter().any(|name| body.contains(&name.to_lowercase()))
}

/// A language that nobody reads here: told if its text holds a moved table's name.
fn foreign_language(scope: &Scope<'_>, function: &Function, layer: NameLayer) -> Option<Finding> {
    let body = cleave_assess::text::Body::new(function.body.as_deref()?);
    let named: Vec<String> = scope
        .tables
        .iter()
        .filter(|table| body.mentions(&table.name))
        .map(|table| table.name.to_string())
        .collect();
    if named.is_empty() {
        return None;
    }
    let message = format!(
        "it is written in {}, which is not read here, and seems to name {}",
        function.language,
        listed(named)
    );
    let until = match layer {
        NameLayer::View => "before complete",
        NameLayer::Path => "before the cutover",
    };
    Some(
        Finding::warning("C1112", format!("function {}", name_of(function)), message)
            .fix(format!("see that it finds its tables by the search path, {until}")),
    )
}
