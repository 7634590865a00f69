//! Schemas of different kinds, with the services that a person would choose.

use crate::notation::{Sample, public};
use cleave_assess::communities::adjusted_rand_index;
use cleave_assess::services::{Alternative, Grain, Recommendation, Wishes, recommend};
use cleave_model::workload::Workload;
use cleave_sandbox::Mask;

const HOSPITAL: &str = include_str!("schemas/hospital.txt");
const TENANTS: &str = include_str!("schemas/tenants.txt");
const LEGACY: &str = include_str!("schemas/legacy.txt");
const UNIVERSITY: &str = include_str!("schemas/university.txt");

pub(crate) fn found(sample: &Sample, seed: u64) -> Recommendation {
    let implied = sample.implied();
    recommend(&sample.known(&implied), &Wishes { seed, ..Wishes::default() }).unwrap()
}

/// How far the balanced services agree with those that are known.
pub(crate) fn agreement(sample: &Sample, found: &Recommendation) -> f64 {
    agreement_of(sample, found, found.alternative(Grain::Balanced).unwrap())
}

/// The same for the alternative that agrees most.
pub(crate) fn nearest(sample: &Sample, found: &Recommendation) -> f64 {
    let agreements = found.alternatives.iter().map(|one| agreement_of(sample, found, one));
    agreements.fold(f64::MIN, f64::max)
}

/// A table in no service is alone.
fn agreement_of(sample: &Sample, found: &Recommendation, alternative: &Alternative) -> f64 {
    let (mut known, mut proposed) = (Vec::new(), Vec::new());
    for (number, table) in found.tables.iter().enumerate() {
        if let Some(service) = sample.services.get(&table.name) {
            known.push(service);
            proposed.push(alternative.service_of(number).ok_or(number));
        }
    }
    adjusted_rand_index(&known, &proposed)
}

/// Whatever chance does: no seed may be a lucky one.
fn agrees(schema: &str, least: f64) {
    for seed in 0..3 {
        let sample = Sample::parse(schema);
        let agreement = agreement(&sample, &found(&sample, seed));
        assert!(agreement >= least, "{agreement} with seed {seed}");
    }
}

pub(crate) fn without_workload(schema: &str) -> Sample {
    Sample { workload: Workload::default(), ..Sample::parse(schema) }
}

/// The same without names that say anything.
pub(crate) fn masked(sample: &Sample, seed: u64) -> Sample {
    let mask = Mask::new(&sample.catalog, seed);
    let functions = sample.functions.iter().map(|function| cleave_assess::evidence::FunctionTables {
        function: function.function,
        reads: mask.names(&function.reads),
        writes: mask.names(&function.writes),
    });
    let services = sample.services.iter().map(|(table, service)| (mask.name(table), service.clone()));
    Sample {
        catalog: mask.catalog(&sample.catalog),
        workload: mask.workload(&sample.workload),
        functions: functions.collect(),
        services: services.collect(),
    }
}

fn balanced(found: &Recommendation) -> &Alternative {
    found.alternative(Grain::Balanced).unwrap()
}

#[test]
fn a_hospitals_services_are_found_though_patients_are_in_nearly_everything() {
    agrees(HOSPITAL, 0.85);
}

#[test]
fn services_of_many_tenants_are_found_though_every_table_refers_to_the_tenant() {
    agrees(TENANTS, 0.99);
    let sample = without_workload(TENANTS);
    let found = found(&sample, 1);
    assert!(agreement(&sample, &found) >= 0.8);
    let hubs: Vec<(&str, bool)> =
        found.hubs.iter().map(|hub| (found.tables[hub.table].name.name.as_str(), hub.universal)).collect();
    assert_eq!(hubs, [("app_user", true), ("tenant", true)]);
}

#[test]
fn a_schema_without_keys_and_without_names_is_read_from_its_transactions() {
    agrees(LEGACY, 0.95);
}

#[test]
fn tables_that_nothing_ties_are_in_no_service() {
    let sample = without_workload(LEGACY);
    let found = found(&sample, 1);
    assert_eq!((balanced(&found).services.len(), balanced(&found).unassigned.len()), (0, 18));
}

#[test]
fn a_university_without_a_workload_is_found_in_part() {
    agrees(UNIVERSITY, 0.4);
    let sample = Sample::parse(UNIVERSITY);
    let found = found(&sample, 1);
    let aside: Vec<&str> = found.aside.iter().map(|aside| aside.table.name.as_str()).collect();
    assert_eq!(aside, ["__EFMigrationsHistory"]);
}

#[test]
fn names_are_no_crutch_where_transactions_were_seen() {
    for schema in [HOSPITAL, TENANTS] {
        let masked = masked(&Sample::parse(schema), 7);
        assert!(masked.implied().is_empty());
        let agreement = agreement(&masked, &found(&masked, 1));
        assert!(agreement >= 0.8, "{agreement}");
    }
}

#[test]
fn the_same_seed_gives_the_same_answer() {
    let sample = Sample::parse(HOSPITAL);
    let (once, again) = (found(&sample, 5), found(&sample, 5));
    assert_eq!(once.alternatives, again.alternatives);
}

#[test]
fn a_trigger_function_that_touches_no_other_table_couples_nothing() {
    let tables = "a(id*)\nb(id*)\nc(id*)\nd(id*)\n";
    let stamped = Sample::parse(&format!("{tables}trigger stamp on a b c d: writes"));
    assert_eq!(found(&stamped, 1).pairs(), 0);
    let logged = Sample::parse(&format!("{tables}trigger log on a b: writes c"));
    assert_eq!(found(&logged, 1).pairs(), 2);
}

#[test]
fn partitions_go_with_their_table_and_a_key_of_each_partition_is_one_key() {
    let sample = Sample::parse(
        "person(id*)\npay(id*, person_id>person)\npartition pay_1 of pay\npartition pay_2 of pay",
    );
    let found = found(&sample, 1);
    let pay = found.number(&public("pay")).unwrap();
    assert_eq!((found.tables.len(), found.tables[pay].partitions), (2, 2));
    assert_eq!(found.ties_of(pay)[0].1.len(), 1);
}

#[test]
fn a_table_that_several_services_own_row_by_row_could_be_split() {
    let text = "
        town(id*)\nplace(id*, town_id>town)
        guest(id*, place_id>place)\nguest_card(guest_id*>guest.cascade, no*)\nguest_note(id*, guest_id>guest.cascade)
        cook(id*, place_id>place)\ncook_shift(cook_id*>cook.cascade, day*)\ncook_note(id*, cook_id>cook.cascade)
        rows town 20, place 1500, guest 1000, cook 500";
    let sample = Sample::parse(text);
    let found = found(&sample, 1);
    let splits = &balanced(&found).splits;
    let owners: Vec<String> = splits[0].owners.iter().map(|owner| owner.table.to_string()).collect();
    assert_eq!((splits.len(), splits[0].owners_per_row_percent), (1, Some(100)));
    assert_eq!(owners, ["public.cook", "public.guest"]);
    let shared = Sample::parse(&text.replace("place 1500", "place 30"));
    assert!(balanced(&self::found(&shared, 1)).splits.is_empty(), "many guests in one place share it");
}

#[test]
fn a_pair_of_columns_that_refers_by_type_is_named() {
    let sample = Sample::parse(TENANTS);
    let found = found(&sample, 1);
    let named: Vec<String> = found
        .polymorphic
        .iter()
        .map(|pair| format!("{} {} {}", pair.table, pair.type_column, pair.id_column))
        .collect();
    assert_eq!(named, ["public.attachment attachable_type attachable_id"]);
}
