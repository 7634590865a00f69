//! What the user knows better, and what comes of it.

use crate::notation::{Sample, public};
use cleave_assess::services::{Grain, Recommendation, ServicesError, Wishes, recommend, toml};
use cleave_config::Config;
use cleave_model::{QualifiedName, ServiceName};

const TENANTS: &str = include_str!("schemas/tenants.txt");

fn sought(wishes: &Wishes) -> Result<Recommendation, ServicesError> {
    let sample = Sample::parse(TENANTS);
    let implied = sample.implied();
    recommend(&sample.known(&implied), wishes)
}

fn service_of(found: &Recommendation, table: &str) -> String {
    let alternative = found.alternative(Grain::Balanced).unwrap();
    let service = alternative.service_of(found.number(&public(table)).unwrap()).unwrap();
    alternative.services[service].name.to_string()
}

#[test]
fn tables_that_shall_be_together_are_in_every_alternative() {
    let wishes = Wishes { together: vec![(public("bill"), public("task"))], ..Wishes::default() };
    let found = sought(&wishes).unwrap();
    let (bill, task) = (found.number(&public("bill")).unwrap(), found.number(&public("task")).unwrap());
    for alternative in &found.alternatives {
        assert_eq!(alternative.service_of(bill), alternative.service_of(task), "{:?}", alternative.grain);
    }
}

#[test]
fn tables_that_shall_be_apart_are_in_every_alternative() {
    let wishes = Wishes { apart: vec![(public("bill"), public("bill_item"))], ..Wishes::default() };
    let found = sought(&wishes).unwrap();
    let (bill, item) = (found.number(&public("bill")).unwrap(), found.number(&public("bill_item")).unwrap());
    for alternative in &found.alternatives {
        assert_ne!(alternative.service_of(bill), alternative.service_of(item), "{:?}", alternative.grain);
    }
}

#[test]
fn a_decided_service_keeps_its_name_and_tables_and_others_may_join_it() {
    let payments = ServiceName::parse("payments").unwrap();
    let wishes = Wishes {
        decided: vec![(payments, vec![public("bill"), public("bill_payment")])],
        ..Wishes::default()
    };
    let found = sought(&wishes).unwrap();
    for table in ["bill", "bill_payment", "bill_item"] {
        assert_eq!(service_of(&found, table), "payments", "{table}");
    }
    let alternative = found.alternative(Grain::Balanced).unwrap();
    assert_eq!(alternative.services.iter().filter(|service| service.decided).count(), 1);
}

#[test]
fn exactly_so_many_services_are_found_as_were_asked_for() {
    for wanted in 1..=9 {
        let found = sought(&Wishes { services: Some(wanted), ..Wishes::default() }).unwrap();
        assert_eq!(found.alternatives.len(), 1);
        assert_eq!(found.alternatives[0].services.len(), wanted);
    }
}

#[test]
fn alternatives_run_from_coarse_to_fine() {
    let found = sought(&Wishes::default()).unwrap();
    let counts: Vec<usize> =
        found.alternatives.iter().map(|alternative| alternative.services.len()).collect();
    assert!(counts.len() == 3 && counts[0] < counts[1] && counts[1] < counts[2], "{counts:?}");
}

#[test]
fn what_cannot_be_had_is_refused_by_name() {
    let check = |wishes: Wishes, code: &str, message: &str| {
        let error = sought(&wishes).unwrap_err();
        assert_eq!((error.code(), error.to_string().as_str()), (code, message));
    };
    let pair = |one: &str, other: &str| vec![(public(one), public(other))];
    let decided = |name: &str, table: &str| (ServiceName::parse(name).unwrap(), vec![public(table)]);
    check(
        Wishes { together: pair("bill", "tasks"), ..Wishes::default() },
        "C1020",
        "there is no table public.tasks to place",
    );
    check(
        Wishes { together: pair("bill", "task"), apart: pair("task", "bill"), ..Wishes::default() },
        "C1022",
        "public.task and public.bill shall be together and apart at once",
    );
    check(
        Wishes { decided: vec![decided("one", "bill"), decided("two", "bill")], ..Wishes::default() },
        "C1022",
        "public.bill is in service one and in service two",
    );
    check(
        Wishes {
            services: Some(1),
            decided: vec![decided("one", "bill"), decided("two", "task")],
            ..Wishes::default()
        },
        "C1023",
        "1 service cannot be made of these tables and wishes, 2 can",
    );
    let nearest =
        sought(&Wishes { together: pair("bill", "tasks"), ..Wishes::default() }).unwrap_err().hint();
    assert_eq!(nearest, "public.task is there");
    let empty = Sample::parse("");
    let refused = recommend(&empty.known(&[]), &Wishes::default()).unwrap_err();
    assert_eq!(refused.code(), "C1024");
}

#[test]
fn the_services_as_toml_are_read_back_as_they_were() {
    let found = sought(&Wishes::default()).unwrap();
    let alternative = found.alternative(Grain::Balanced).unwrap();
    let text = toml(&found, alternative, |name| format!("new_home/{name}"));
    let head = "[databases]\nmonolith = { url = \"env:A\" }\nnew_home = { url = \"env:B\" }\n\n";
    let config = Config::parse(&format!("{head}{text}"), "cleave.toml").unwrap();
    assert_eq!(config.services.len(), alternative.services.len());
    for service in &alternative.services {
        let read = config.service(service.name.as_str()).unwrap();
        let tables: Vec<QualifiedName> =
            read.tables.iter().filter_map(|pattern| pattern.value.exact()).collect();
        let proposed: Vec<QualifiedName> =
            service.tables.iter().map(|placed| found.tables[placed.table].name.clone()).collect();
        assert_eq!((tables, read.home.value.to_string()), (proposed, format!("new_home/{}", service.name)));
    }
}

#[test]
fn names_that_toml_and_patterns_would_misread_are_quoted() {
    let mut sample = Sample::parse("a(id*)\nb(id*, a_id>a.cascade)\nc(id*, a_id>a.cascade)");
    let hostile = QualifiedName::new("public", r#"weird.*"na\me" x"#);
    sample.catalog.tables[2].name = hostile.clone();
    let found = recommend(&sample.known(&[]), &Wishes::default()).unwrap();
    let text = toml(&found, found.alternative(Grain::Balanced).unwrap(), |name| format!("new_home/{name}"));
    let head = "[databases]\nmonolith = { url = \"env:A\" }\nnew_home = { url = \"env:B\" }\n\n";
    let config = Config::parse(&format!("{head}{text}"), "cleave.toml").unwrap();
    let patterns = config.services.iter().flat_map(|service| &service.tables);
    assert!(patterns.filter_map(|pattern| pattern.value.exact()).any(|name| name == hostile), "{text}");
}
