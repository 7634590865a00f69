//! What is carried from one version stands on another as it stood before.

use crate::ddl::normal::Rename;
use crate::ddl::servers::Database;
use cleave_ddl::create::{self, Target};
use cleave_ddl::{Carried, carry};
use cleave_model::catalog::Catalog;
use cleave_model::{Ident, QualifiedName};
use cleave_sandbox::Version;
use std::path::PathBuf;

/// The zoo's tables that move; `invoice` and the views stay.
pub(crate) fn zoo_roots() -> Vec<QualifiedName> {
    let names = ["Order", "line", "keyed_otherwise", "keyless", "payment", "secret"];
    names.iter().map(|name| QualifiedName::new("shop", *name)).collect()
}

pub(crate) async fn read(database: &Database) -> Catalog {
    cleave_pg::catalog::read_catalog(&database.client).await.unwrap()
}

/// Makes everything at the target, as a move does, in one go.
pub(crate) async fn replay(carried: &Carried<'_>, to: &Database, target: &Target<'_>, owner: &Ident) {
    let roles = read(to).await.roles;
    to.run(&format!("create schema {}", target.schema.quoted())).await;
    to.all(&create::first(carried, target)).await;
    to.all(&create::late_checks(carried, target)).await;
    for table in create::table_indexes(carried, target) {
        to.run(&format!("set search_path = {}", table.search_path)).await;
        to.all(&table.indexes.iter().map(|index| index.create.clone()).collect::<Vec<_>>()).await;
        to.all(&table.indexes.into_iter().filter_map(|index| index.constraint).collect::<Vec<_>>()).await;
    }
    to.all(&create::indexes(carried, target)).await;
    let keys = create::foreign_keys(carried, target);
    to.all(&keys.add).await;
    to.all(&keys.validate).await;
    to.all(&keys.adopt).await;
    to.all(&create::triggers(carried, target)).await;
    to.all(&create::statistics(carried, target)).await;
    to.all(&create::policies(carried, target)).await;
    to.all(&create::comments(carried, target)).await;
    to.all(&create::owners(carried, target, owner)).await;
    let grants = create::grants(carried, target, &roles);
    to.all(&grants.statements).await;
    assert!(grants.missing_roles.is_empty(), "{:?}", grants.missing_roles);
}

/// The oracle: reads both sides and compares value by value.
fn compare(carried: &Carried<'_>, from: &str, made: &Catalog, to: &str) {
    let (old, new) = (Rename { from, to: from }, Rename { from: to, to: from });
    let place = |name: &QualifiedName| name.in_schema(&Ident::new(to));
    for table in &carried.tables {
        let found = made.table(&place(&table.name)).unwrap_or_else(|| panic!("{} is missing", table.name));
        assert_eq!(new.table(found), old.table(table), "{}", table.name);
    }
    for user_type in carried.types() {
        let found = made.types.iter().find(|t| t.name == place(&user_type.name)).unwrap();
        assert_eq!(new.user_type(found), old.user_type(user_type));
    }
    for function in carried.functions() {
        let found = made.functions.iter().find(|f| f.name == place(&function.name)).unwrap();
        assert_eq!(new.function(found), old.function(function));
    }
    for sequence in &carried.sequences {
        let found = made.sequences.iter().find(|s| s.name == place(&sequence.name)).unwrap();
        assert_eq!(new.sequence(found), old.sequence(sequence));
    }
}

async fn zoo_moves(from: Version, to: Version) {
    let source = Database::zoo(from).await;
    let catalog = read(&source).await;
    let carried = carry(&catalog, &zoo_roots());
    assert_eq!(carried.unsupported, []);
    let destination = Database::new(to).await;
    let (shop, home) = (Ident::new("shop"), Ident::new("home"));
    let target = Target { source_schema: &shop, schema: &home, extra_path: &[] };
    assert_eq!(target.refuse(&carried), []);
    replay(&carried, &destination, &target, &Ident::new("postgres")).await;
    compare(&carried, "shop", &read(&destination).await, "home");
}

#[tokio::test]
async fn one_of_everything_stands_on_18_as_it_stood_on_14() {
    zoo_moves(Version::V14, Version::V18).await;
}

#[tokio::test]
async fn one_of_everything_stands_on_every_version_as_it_stood_on_another() {
    for (from, to) in [
        (Version::V18, Version::V14),
        (Version::V15, Version::V16),
        (Version::V16, Version::V17),
        (Version::V17, Version::V15),
    ] {
        zoo_moves(from, to).await;
    }
}

/// Pagila's folder, if it is there; with `REQUIRE_PAGILA=1` it must be.
pub(crate) fn pagila() -> Option<PathBuf> {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/pagila");
    let folder = std::env::var_os("PAGILA_DIR").map_or(beside, PathBuf::from);
    let there = folder.join("pagila-schema.sql").exists();
    assert!(there || std::env::var_os("REQUIRE_PAGILA").is_none_or(|v| v != "1"), "no Pagila in {folder:?}");
    if !there {
        eprintln!("skipped: no Pagila in {}", folder.display());
    }
    there.then_some(folder)
}

pub(crate) fn film_roots() -> Vec<QualifiedName> {
    let names = ["actor", "category", "film", "film_actor", "film_category", "language"];
    names.iter().map(|name| QualifiedName::new("public", *name)).collect()
}

#[tokio::test]
async fn the_tables_of_pagilas_films_stand_on_18_as_they_stood_on_14() {
    let Some(folder) = pagila() else { return };
    let source = Database::new(Version::V14).await;
    source.run(&std::fs::read_to_string(folder.join("pagila-schema.sql")).unwrap()).await;
    source.run("reset all").await;
    let catalog = read(&source).await;
    let carried = carry(&catalog, &film_roots());
    assert_eq!(carried.unsupported, []);
    let destination = Database::new(Version::V18).await;
    let (public, films) = (Ident::new("public"), Ident::new("films"));
    let target = Target { source_schema: &public, schema: &films, extra_path: &[] };
    assert_eq!(target.refuse(&carried), []);
    replay(&carried, &destination, &target, &Ident::new("postgres")).await;
    compare(&carried, "public", &read(&destination).await, "films");
}
