//! Functions that put statements together at run time.

use crate::readiness::form::{Check, Example, Found, Rule, Severity, Side};
use crate::readiness::ground::Ground;
use crate::readiness::ground::function_name;
use cleave_model::{Ident, QualifiedName};
use cleave_sql::{Resolver, read_function};
use std::collections::BTreeSet;

pub(super) const RULE: Rule = Rule {
    code: "C0861",
    title: "A function puts its statements together at run time",
    severity: Severity::Warning,
    side: Side::Source,
    in_plan: false,
    nouns: (
        "function runs statements that it puts together",
        "functions run statements that they put together",
    ),
    why: "which tables it touches cannot be read from its text, so the plan cannot name it as a crossing",
    cause: "PL/pgSQL's `execute` runs a text. The plan searches functions' texts for names of tables; names that \
        are put together while the function runs are not in it. Such a function may touch tables of several \
        services without anybody knowing until it fails.",
    fix: "Read it, and test it on a rehearsal (`cleave cutover --dry-run` changes nothing). Where it always \
        means the same tables, write their names out, or keep at least the whole name in one constant.",
    bad: Example::Sql(
        r"create table film (id int primary key);
create function count_rows(name text) returns bigint language plpgsql as $$
declare n bigint;
begin
  execute 'select count(*) from ' || quote_ident(name) into n;
  return n;
end $$;",
    ),
    good: Example::Sql(
        r"create table film (id int primary key);
create function count_films() returns bigint language plpgsql as $$
begin
  return (select count(*) from film);
end $$;",
    ),
    check: Check::One(check),
};

fn check(ground: &Ground<'_>, found: &mut Found) {
    let resolver = Resolver::new(ground.catalog(), &[]);
    for (function, body) in ground.functions().filter(|(function, _)| function.language == "plpgsql") {
        // Most functions do not have the word at all.
        if !body.has_any(&["execute"]) {
            continue;
        }
        let path = [function.name.schema.clone(), Ident::new("public")];
        let read = read_function(function, ground.catalog(), &resolver.with_path(&path));
        if read.dynamic.is_empty() {
            continue;
        }
        let names: BTreeSet<&QualifiedName> = read
            .dynamic
            .iter()
            .flat_map(|statement| &statement.names)
            .chain(&read.names_in_constants)
            .collect();
        let hit = found.object(function_name(function));
        if !names.is_empty() {
            let names: Vec<String> = names.iter().take(3).map(ToString::to_string).collect();
            hit.detail(format!("may name {}", names.join(", ")));
        }
    }
}
