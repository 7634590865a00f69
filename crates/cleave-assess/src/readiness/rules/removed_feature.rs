//! What a newer new home does otherwise.

use crate::readiness::form::{Check, Example, Found, Rule, Severity, Side};
use crate::readiness::ground::Ground;
use crate::readiness::ground::{function_name, routine};
use cleave_model::catalog::{Extension, ObjectRef};

pub(super) const RULE: Rule = Rule {
    code: "C0897",
    title: "The new home is newer and does some things otherwise",
    severity: Severity::Warning,
    side: Side::Pair,
    in_plan: false,
    nouns: ("thing is done otherwise at the new home", "things are done otherwise at the new home"),
    why: "the version between the two has taken away or changed what the database uses",
    cause: "From 15 on not everybody may create objects in schema `public` of a new database, and the functions \
        for exclusive backups are gone. From 17 on maintenance (building an index, refreshing a materialized \
        view, analyze) runs with a `search_path` of system schemas only: a function of an expression index \
        that names a table or function without its schema fails then. `adminpack` and `old_snapshot` ended \
        with 16.",
    fix: "Name what a function needs with its schema, or pin its path; grant what applications rely on:\n\n\
        ```sql\n\
        alter function public.fold(text) set search_path = public, pg_temp;\n\
        grant create on schema public to shop_app;\n\
        ```",
    bad: Example::Pair(
        "source 16, target 17",
        r"create table person (id int primary key, name text);
create function plain(name text) returns text language sql immutable as 'select lower(name)';
create function fold(name text) returns text language plpgsql immutable as $$ begin return plain(name); end $$;
create index on person (fold(name));",
        |source, target| {
            source.catalog.facts.version_num = 160_000;
            target.catalog.facts.version_num = 170_000;
        },
    ),
    good: Example::Pair(
        "source 16, target 17",
        r"create table person (id int primary key, name text);
create function plain(name text) returns text language sql immutable as 'select lower(name)';
create function fold(name text) returns text language plpgsql immutable set search_path = public
as $$ begin return plain(name); end $$;
create index on person (fold(name));",
        |source, target| {
            source.catalog.facts.version_num = 160_000;
            target.catalog.facts.version_num = 170_000;
        },
    ),
    check: Check::Two(check),
};

fn check(source: &Ground<'_>, target: &Ground<'_>, found: &mut Found) {
    let crosses = |version: u32| source.major() < version && target.major() >= version;
    if crosses(17) {
        for table in
            source.tables().filter(|table| table.indexes.iter().any(|index| index.columns.is_empty()))
        {
            for function in source.functions_used_by(ObjectRef::Relation(table.oid)) {
                let pinned = function.settings.iter().any(|setting| setting.starts_with("search_path="));
                let fires = table.triggers.iter().any(|trigger| trigger.function == function.oid);
                if !pinned && !fires && function.body.is_some() {
                    let schema = function.name.schema.quoted();
                    let fix =
                        format!("alter routine {} set search_path = {schema}, pg_temp;", routine(function));
                    let detail = format!("used by {}, which has an index over an expression", table.name);
                    found.object(function_name(function)).detail(detail).fix(fix);
                }
            }
        }
    }
    if crosses(15) {
        const GONE: [&str; 3] = ["pg_start_backup", "pg_stop_backup", "pg_is_in_backup"];
        for (function, _) in source.functions().filter(|(_, body)| body.has_any(&GONE)) {
            found.object(function_name(function)).detail("calls a function for exclusive backups");
        }
        if source.tables().any(|table| table.name.schema.as_str() == "public") {
            let detail = "not everybody may create in it from 15 on";
            found.object("schema public").detail(detail).weighs(Severity::Note);
        }
    }
    if crosses(17) {
        let gone = |extension: &&Extension| matches!(extension.name.as_str(), "adminpack" | "old_snapshot");
        for extension in source.catalog().extensions.iter().filter(gone) {
            found
                .object(format!("extension {}", extension.name))
                .detail("ended with 16")
                .weighs(Severity::Note);
        }
    }
}
