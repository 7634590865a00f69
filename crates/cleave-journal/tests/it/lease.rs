//! One engine at a time: who holds the lease, and what a holder that lost it can still do.

use crate::journal::{Journal, each_version, films, on_every_version, pid};
use cleave_journal::{EntryEvent, JournalError, LEASE_TTL, Lease, append, step_is_done};
use serde_json::json;

on_every_version!(
    a_held_lease_is_refused_with_the_holder_s_name,
    a_lease_that_ran_out_is_taken_over_with_a_higher_epoch,
    a_released_lease_is_free_at_once,
    renewing_extends_the_lease_and_keeps_the_epoch,
    a_take_over_waits_for_a_transaction_that_has_checked_the_lease,
    renewing_does_not_wait_for_a_transaction_that_has_checked_the_lease,
    a_take_over_that_waited_gives_way_to_a_renewal,
    a_holder_that_wakes_up_late_changes_nothing,
    of_engines_that_ask_at_once_one_holds_the_lease,
);

async fn a_held_lease_is_refused_with_the_holder_s_name(journal: Journal) {
    assert_eq!(Lease::current(&journal.client).await.unwrap(), None);
    let lease = Lease::acquire(&journal.client, "one", "host one, pid 1").await.unwrap();
    assert_eq!(lease.epoch, 1);

    let error = Lease::acquire(&journal.client, "two", "host two, pid 2").await.unwrap_err();
    let JournalError::LeaseHeld { label, expires_in_ms } = &error else { panic!("{error}") };
    assert_eq!((label.as_str(), error.code()), ("host one, pid 1", "C0401"));
    assert!(*expires_in_ms > 0 && u128::from(*expires_in_ms) <= LEASE_TTL.as_millis(), "{expires_in_ms} ms");
    lease.check(&journal.client).await.unwrap();
}

async fn a_lease_that_ran_out_is_taken_over_with_a_higher_epoch(journal: Journal) {
    let first = journal.lease("one").await;
    journal.let_the_lease_run_out().await;
    let holder = Lease::current(&journal.client).await.unwrap().unwrap();
    assert_eq!((holder.epoch, holder.expires_in_ms), (1, 0));

    // Nobody came in between: the lease is still the first one's.
    first.check(&journal.client).await.unwrap();

    let second = journal.lease("two").await;
    assert_eq!(second, Lease { holder: "two".into(), epoch: 2 });
    let error = first.renew(&journal.client).await.unwrap_err();
    assert!(matches!(error, JournalError::LeaseLost { epoch: 1 }), "{error}");
}

async fn a_released_lease_is_free_at_once(journal: Journal) {
    journal.lease("one").await.release(&journal.client).await.unwrap();
    assert_eq!(Lease::current(&journal.client).await.unwrap().unwrap().expires_in_ms, 0);
    let second = journal.lease("two").await;
    assert_eq!(second.epoch, 2);

    // Releasing late takes nothing from the next holder.
    Lease { holder: "one".into(), epoch: 1 }.release(&journal.client).await.unwrap();
    assert!(Lease::current(&journal.client).await.unwrap().unwrap().expires_in_ms > 0);
}

async fn renewing_extends_the_lease_and_keeps_the_epoch(journal: Journal) {
    let lease = journal.lease("one").await;
    journal.let_the_lease_run_out().await;
    lease.renew(&journal.client).await.unwrap();
    assert!(Lease::current(&journal.client).await.unwrap().unwrap().expires_in_ms > 0);
    assert_eq!(journal.lease("one").await, lease);
}

async fn a_take_over_waits_for_a_transaction_that_has_checked_the_lease(journal: Journal) {
    let first = journal.lease("one").await;
    let mut client = journal.connect().await;
    let step = client.transaction().await.unwrap();
    first.check(&step).await.unwrap();
    journal.let_the_lease_run_out().await;

    let other = journal.connect().await;
    let other_pid = pid(&other).await;
    let take_over = tokio::spawn(async move { Lease::acquire(&other, "two", "two").await });
    journal.wait_until_blocked(other_pid).await;
    append(&step, &first, &films(), 1, "copy", EntryEvent::Done, &json!({})).await.unwrap();
    assert!(!take_over.is_finished());

    step.commit().await.unwrap();
    assert_eq!(take_over.await.unwrap().unwrap().epoch, 2);
}

async fn renewing_does_not_wait_for_a_transaction_that_has_checked_the_lease(journal: Journal) {
    let lease = journal.lease("one").await;
    let mut client = journal.connect().await;
    let step = client.transaction().await.unwrap();
    lease.check(&step).await.unwrap();
    journal.client.batch_execute("set lock_timeout = '10s'").await.unwrap();
    lease.renew(&journal.client).await.unwrap();
    assert_eq!(journal.lease("one").await, lease);
    step.commit().await.unwrap();
}

async fn a_take_over_that_waited_gives_way_to_a_renewal(journal: Journal) {
    let first = journal.lease("one").await;
    journal.let_the_lease_run_out().await;
    let mut client = journal.connect().await;
    let renewal = client.transaction().await.unwrap();
    first.renew(&renewal).await.unwrap();

    let other = journal.connect().await;
    let other_pid = pid(&other).await;
    let take_over = tokio::spawn(async move { Lease::acquire(&other, "two", "two").await });
    journal.wait_until_blocked(other_pid).await;
    renewal.commit().await.unwrap();

    let error = take_over.await.unwrap().unwrap_err();
    assert!(matches!(error, JournalError::LeaseHeld { .. }), "{error}");
    first.check(&journal.client).await.unwrap();
}

async fn a_holder_that_wakes_up_late_changes_nothing(journal: Journal) {
    let old = journal.lease("one").await;
    let mut sleeper = journal.connect().await;
    let step = sleeper.transaction().await.unwrap();
    append(&step, &old, &films(), 1, "copy", EntryEvent::Done, &json!({})).await.unwrap();
    journal.let_the_lease_run_out().await;
    let new = journal.lease("two").await;

    let error = old.check(&step).await.unwrap_err();
    assert!(matches!(error, JournalError::LeaseLost { epoch: 1 }), "{error}");
    assert_eq!(error.code(), "C0402");
    drop(step);
    assert!(!step_is_done(&sleeper, &films(), 1, "copy").await.unwrap());
    new.check(&journal.client).await.unwrap();

    // The same process under the same name, taking the lease again, does not revive the old epoch.
    journal.let_the_lease_run_out().await;
    assert_eq!(journal.lease("one").await.epoch, 3);
    assert!(matches!(old.check(&sleeper).await, Err(JournalError::LeaseLost { epoch: 1 })));
}

async fn of_engines_that_ask_at_once_one_holds_the_lease(journal: Journal) {
    let mut engines = tokio::task::JoinSet::new();
    for engine in 0..8 {
        let client = journal.connect().await;
        engines.spawn(async move { Lease::acquire(&client, &format!("engine {engine}"), "label").await });
    }
    let mut held = Vec::new();
    while let Some(outcome) = engines.join_next().await {
        match outcome.unwrap() {
            Ok(lease) => held.push(lease),
            Err(JournalError::LeaseHeld { .. }) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
    let [lease] = held.as_slice() else { panic!("{} engines hold the lease", held.len()) };
    lease.check(&journal.client).await.unwrap();
}

mod a_missing_schema_is_an_error_of_the_statement {
    use super::{Journal, each_version};

    each_version!(|version| super::missing_schema(Journal::absent(version).await).await);
}

async fn missing_schema(journal: Journal) {
    let error = Lease::acquire(&journal.client, "one", "one").await.unwrap_err();
    assert_eq!((error.code(), error.sqlstate()), ("C0405", Some("42P01")));
    assert_eq!(error.to_string(), "could not take the lease");
}
