//! The record of steps.

use crate::journal::{Journal, films, on_every_version};
use cleave_journal::{EntryEvent, append, entries, step_is_done};
use cleave_model::ServiceName;
use serde_json::json;

on_every_version!(
    entries_come_back_in_the_order_of_writing,
    a_step_is_done_when_its_last_word_says_so,
    an_entry_of_a_transaction_that_rolled_back_is_not_there,
);

async fn entries_come_back_in_the_order_of_writing(journal: Journal) {
    let lease = journal.lease("one").await;
    let other = ServiceName::parse("customers").unwrap();
    let written = [
        (1, "copy", EntryEvent::Begin, json!({})),
        (1, "copy", EntryEvent::Failed, json!({ "table": "public.film" })),
        (1, "copy", EntryEvent::Undone, json!({})),
        (2, "copy", EntryEvent::Done, json!({ "rows": 12 })),
        (2, "cutover.switch", EntryEvent::Note, json!({ "pause_ms": 48 })),
    ];
    for (incarnation, step, event, detail) in &written {
        append(&journal.client, &lease, &films(), *incarnation, step, *event, detail).await.unwrap();
        append(&journal.client, &lease, &other, 1, "noise", *event, &json!({})).await.unwrap();
    }
    let read = entries(&journal.client, &films()).await.unwrap();
    let short: Vec<_> =
        read.iter().map(|e| (e.incarnation, e.step.as_str(), e.event, e.detail.clone())).collect();
    assert_eq!(short, written);
    assert!(read.windows(2).all(|pair| pair[0].id < pair[1].id && pair[0].at <= pair[1].at));
    assert!(read.iter().all(|entry| entry.lease_epoch == lease.epoch));
}

async fn a_step_is_done_when_its_last_word_says_so(journal: Journal) {
    let lease = journal.lease("one").await;
    let done = async || step_is_done(&journal.client, &films(), 1, "copy").await.unwrap();
    assert!(!done().await);
    for (event, expected) in [
        (EntryEvent::Begin, false),
        (EntryEvent::Failed, false),
        (EntryEvent::Done, true),
        (EntryEvent::Note, true),
        (EntryEvent::Undone, false),
        (EntryEvent::Begin, false),
        (EntryEvent::Done, true),
        // A later run that gives up before it begins takes nothing back.
        (EntryEvent::Failed, true),
        (EntryEvent::Begin, false),
    ] {
        append(&journal.client, &lease, &films(), 1, "copy", event, &json!({})).await.unwrap();
        assert_eq!(done().await, expected, "{event:?}");
    }
    // Other steps and other moves of the service do not count.
    append(&journal.client, &lease, &films(), 1, "copy.index", EntryEvent::Done, &json!({})).await.unwrap();
    append(&journal.client, &lease, &films(), 2, "copy", EntryEvent::Done, &json!({})).await.unwrap();
    assert!(!done().await);
}

async fn an_entry_of_a_transaction_that_rolled_back_is_not_there(mut journal: Journal) {
    let lease = journal.lease("one").await;
    let step = journal.client.transaction().await.unwrap();
    lease.check(&step).await.unwrap();
    append(&step, &lease, &films(), 1, "prepare", EntryEvent::Done, &json!({})).await.unwrap();
    assert!(step_is_done(&step, &films(), 1, "prepare").await.unwrap());
    step.rollback().await.unwrap();
    assert_eq!(entries(&journal.client, &films()).await.unwrap(), []);
}
