//! How far a comparison has come.

use crate::journal::{Journal, films, on_every_version};
use crate::moves::verification;
use cleave_journal::{Lease, VerifiedPart, Verifying, VerifyingHead};
use std::collections::BTreeMap;

on_every_version!(
    what_a_comparison_keeps_comes_back_and_the_next_one_begins_anew,
    whoever_has_lost_the_lease_keeps_nothing,
);

fn head(tables: &[&str]) -> VerifyingHead {
    VerifyingHead { bound: verification(), tables: tables.iter().map(ToString::to_string).collect() }
}

fn part(rows: u64) -> VerifiedPart {
    VerifiedPart { order: vec!["id".into()], up_to: Some(vec!["7".into()]), rows, ..VerifiedPart::default() }
}

async fn what_a_comparison_keeps_comes_back_and_the_next_one_begins_anew(journal: Journal) {
    let client = &journal.client;
    let lease = Lease::acquire(client, "one", "engine one").await.unwrap();
    assert_eq!(Verifying::read(client, &films()).await.unwrap(), None);
    Verifying::begin(client, &lease, &films(), &head(&["a"])).await.unwrap();
    for rows in [10, 20] {
        Verifying::keep(client, &lease, &films(), "public.film", &part(rows)).await.unwrap();
    }
    let kept = Verifying::read(client, &films()).await.unwrap().unwrap();
    assert_eq!(kept.head, head(&["a"]));
    assert_eq!(kept.tables, BTreeMap::from([("public.film".to_owned(), part(20))]));
    Verifying::begin(client, &lease, &films(), &head(&["b"])).await.unwrap();
    let kept = Verifying::read(client, &films()).await.unwrap().unwrap();
    assert_eq!((kept.head, kept.tables.len()), (head(&["b"]), 0));
    Verifying::clear(client, &films()).await.unwrap();
    assert_eq!(Verifying::read(client, &films()).await.unwrap(), None);
}

async fn whoever_has_lost_the_lease_keeps_nothing(journal: Journal) {
    let client = &journal.client;
    let old = Lease::acquire(client, "one", "engine one").await.unwrap();
    old.release(client).await.unwrap();
    let new = Lease::acquire(client, "two", "engine two").await.unwrap();
    Verifying::begin(client, &new, &films(), &head(&[])).await.unwrap();
    Verifying::keep(client, &old, &films(), "public.film", &part(2)).await.unwrap();
    assert!(Verifying::read(client, &films()).await.unwrap().unwrap().tables.is_empty());
}
