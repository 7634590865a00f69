//! How far a comparison has come.

use crate::journal::{Journal, films, on_every_version};
use cleave_journal::{Lease, Verifying};
use serde_json::json;
use std::collections::BTreeMap;

on_every_version!(
    what_a_comparison_keeps_comes_back_and_the_next_one_begins_anew,
    whoever_has_lost_the_lease_keeps_nothing,
);

async fn what_a_comparison_keeps_comes_back_and_the_next_one_begins_anew(journal: Journal) {
    let client = &journal.client;
    let lease = Lease::acquire(client, "one", "engine one").await.unwrap();
    assert_eq!(Verifying::read(client, &films()).await.unwrap(), None);
    Verifying::begin(client, &lease, &films(), &json!({ "slot": "a" })).await.unwrap();
    for rows in [10, 20] {
        Verifying::keep(client, &lease, &films(), "public.film", &json!({ "rows": rows })).await.unwrap();
    }
    let kept = Verifying::read(client, &films()).await.unwrap().unwrap();
    assert_eq!(kept.head, json!({ "slot": "a" }));
    assert_eq!(kept.tables, BTreeMap::from([("public.film".to_owned(), json!({ "rows": 20 }))]));
    Verifying::begin(client, &lease, &films(), &json!({ "slot": "b" })).await.unwrap();
    let kept = Verifying::read(client, &films()).await.unwrap().unwrap();
    assert_eq!((kept.head, kept.tables.len()), (json!({ "slot": "b" }), 0));
    Verifying::clear(client, &films()).await.unwrap();
    assert_eq!(Verifying::read(client, &films()).await.unwrap(), None);
}

async fn whoever_has_lost_the_lease_keeps_nothing(journal: Journal) {
    let client = &journal.client;
    let old = Lease::acquire(client, "one", "engine one").await.unwrap();
    old.release(client).await.unwrap();
    let new = Lease::acquire(client, "two", "engine two").await.unwrap();
    Verifying::begin(client, &new, &films(), &json!(1)).await.unwrap();
    Verifying::keep(client, &old, &films(), "public.film", &json!(2)).await.unwrap();
    assert!(Verifying::read(client, &films()).await.unwrap().unwrap().tables.is_empty());
}
