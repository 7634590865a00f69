//! What a move takes and what lies at its boundary.

use super::sample::{Sample, foreign_key, owned_sequence, partition, partitioned, table};
use crate::Scope;
use cleave_model::QualifiedName;
use cleave_model::catalog::ReferentialAction;

fn names<'a>(names: impl IntoIterator<Item = &'a QualifiedName>) -> Vec<String> {
    names.into_iter().map(ToString::to_string).collect()
}

/// Claims tables and compares what is moved, in order, and what is refused.
fn check(sample: &Sample, claimed: &[&str], moved: &[&str], refused: &[&str]) {
    let claimed: Vec<QualifiedName> =
        claimed.iter().map(|name| QualifiedName::new("public", *name)).collect();
    let (scope, findings) = Scope::new(&sample.source, &claimed);
    let moved: Vec<String> = moved.iter().map(|name| format!("public.{name}")).collect();
    assert_eq!(names(scope.tables.iter().map(|table| &table.name)), moved);
    let findings: Vec<String> =
        findings.iter().map(|f| format!("{} {}: {}", f.code, f.object, f.message)).collect();
    assert_eq!(findings, refused);
}

fn payments() -> Sample {
    Sample::with([
        partition("payment_2022", "payment"),
        partitioned("payment", "range (paid_at)"),
        partitioned("payment_2023", "range (paid_at)").under("payment"),
        partition("payment_2023_01", "payment_2023"),
        table("film"),
    ])
}

#[test]
fn a_partitioned_table_brings_its_partitions_of_every_level_after_it() {
    let all = ["payment", "payment_2022", "payment_2023", "payment_2023_01"];
    check(&payments(), &["payment"], &all, &[]);
}

#[test]
fn a_parent_comes_before_its_partitions_however_they_are_claimed() {
    let moved = ["film", "payment", "payment_2022", "payment_2023", "payment_2023_01"];
    check(&payments(), &["payment_2023_01", "payment_2022", "film", "payment", "payment"], &moved, &[]);
}

#[test]
fn a_partition_can_be_claimed_without_its_parent_so_that_it_can_be_refused_by_name() {
    check(&payments(), &["payment_2023"], &["payment_2023", "payment_2023_01"], &[]);
}

#[test]
fn a_name_that_is_no_table_is_refused_and_the_others_are_taken() {
    let mut sample = Sample::with([table("film")]);
    sample.view("film_list", &["film"]);
    check(
        &sample,
        &["actor", "film", "film_list"],
        &["film"],
        &["C0200 public.actor: there is no such table", "C0200 public.film_list: it is a view; tables move"],
    );
}

#[test]
fn keys_are_inside_inbound_or_outbound() {
    let sample = Sample::with([
        table("film").key(foreign_key("film_language_fk", "language", ReferentialAction::Restrict)),
        table("film_actor").key(foreign_key("film_actor_film_fk", "film", ReferentialAction::Cascade)),
        table("inventory").key(foreign_key("inventory_film_fk", "film", ReferentialAction::NoAction)),
        table("rental").key(foreign_key("rental_inventory_fk", "inventory", ReferentialAction::NoAction)),
        table("language"),
    ]);
    let claimed = ["film", "film_actor"].map(|name| QualifiedName::new("public", name));
    let (scope, _) = Scope::new(&sample.source, &claimed);
    let inbound = scope.inbound_keys();
    assert_eq!(inbound.iter().map(|(_, key)| key.name.as_str()).collect::<Vec<_>>(), ["inventory_film_fk"]);
    let outbound = scope.outbound_keys();
    assert_eq!(outbound.iter().map(|(_, key)| key.name.as_str()).collect::<Vec<_>>(), ["film_language_fk"]);
    assert_eq!(
        names(scope.staying().map(|t| &t.name)),
        ["public.inventory", "public.rental", "public.language"]
    );
}

#[test]
fn a_move_takes_the_sequences_that_its_tables_own_or_read() {
    let mut sample = Sample::with([table("film"), table("actor"), table("staff")]);
    owned_sequence(&mut sample, "film_id_seq", "film");
    owned_sequence(&mut sample, "staff_id_seq", "staff");
    let free = sample.sequence("shared_seq");
    sample.table_mut("actor").columns[0].default_sequence = Some(free);
    let claimed = ["film", "actor"].map(|name| QualifiedName::new("public", name));
    let (scope, _) = Scope::new(&sample.source, &claimed);
    assert_eq!(names(scope.sequences().iter().map(|s| &s.name)), ["public.film_id_seq", "public.shared_seq"]);
}

#[test]
fn the_size_counts_rows_where_they_are_held() {
    let mut sample = payments();
    for name in ["payment", "payment_2022", "payment_2023", "payment_2023_01", "film"] {
        let table = sample.table_mut(name);
        (table.rows_estimated, table.heap_bytes, table.index_bytes) = (10, 100, 1);
    }
    let (scope, _) = Scope::new(&sample.source, &[QualifiedName::new("public", "payment")]);
    assert_eq!(scope.size(), (20, 202));
}
