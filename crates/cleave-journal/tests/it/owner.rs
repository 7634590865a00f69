//! Owner rows: epochs only rise, and a direction that has read one holds it.

use crate::journal::{Journal, database, films, on_every_version, pid};
use cleave_journal::{
    JournalError, Owner, clear_pending, delete_owner, insert_owner, owner, owner_for_share, set_owner,
    set_pending,
};
use cleave_model::Epoch;

on_every_version!(
    the_first_owner_row_stays,
    the_home_changes_only_with_a_higher_epoch,
    a_pending_switch_is_ended_by_the_switch_or_taken_back,
    a_switch_that_is_known_cannot_become_pending_again,
    a_switch_waits_for_a_direction_that_has_read_the_row,
    a_service_without_owner_row_applies_nothing,
);

fn row(home: &str, epoch: i64) -> Owner {
    Owner { home: database(home), epoch: Epoch(epoch), pending: None }
}

async fn the_first_owner_row_stays(journal: Journal) {
    let client = &journal.client;
    assert_eq!(owner(client, &films()).await.unwrap(), None);
    insert_owner(client, &films(), &database("monolith"), Epoch(1)).await.unwrap();
    insert_owner(client, &films(), &database("products"), Epoch(9)).await.unwrap();
    assert_eq!(owner(client, &films()).await.unwrap(), Some(row("monolith", 1)));

    delete_owner(client, &films()).await.unwrap();
    assert_eq!(owner(client, &films()).await.unwrap(), None);
}

async fn the_home_changes_only_with_a_higher_epoch(journal: Journal) {
    let client = &journal.client;
    insert_owner(client, &films(), &database("monolith"), Epoch(4)).await.unwrap();
    for stale in [3, 4] {
        assert!(!set_owner(client, &films(), &database("products"), Epoch(stale)).await.unwrap());
        assert_eq!(owner(client, &films()).await.unwrap(), Some(row("monolith", 4)));
    }
    assert!(set_owner(client, &films(), &database("products"), Epoch(5)).await.unwrap());
    assert!(!set_owner(client, &films(), &database("products"), Epoch(5)).await.unwrap(), "repeated");
    assert_eq!(owner(client, &films()).await.unwrap(), Some(row("products", 5)));
}

async fn a_pending_switch_is_ended_by_the_switch_or_taken_back(journal: Journal) {
    let client = &journal.client;
    insert_owner(client, &films(), &database("monolith"), Epoch(1)).await.unwrap();
    set_pending(client, &films(), &database("products"), Epoch(2)).await.unwrap();
    let pending = Owner { pending: Some((database("products"), Epoch(2))), ..row("monolith", 1) };
    assert_eq!(owner(client, &films()).await.unwrap(), Some(pending));

    clear_pending(client, &films()).await.unwrap();
    assert_eq!(owner(client, &films()).await.unwrap(), Some(row("monolith", 1)));

    set_pending(client, &films(), &database("products"), Epoch(2)).await.unwrap();
    assert!(set_owner(client, &films(), &database("products"), Epoch(2)).await.unwrap());
    assert_eq!(owner(client, &films()).await.unwrap(), Some(row("products", 2)));
}

async fn a_switch_that_is_known_cannot_become_pending_again(journal: Journal) {
    let client = &journal.client;
    insert_owner(client, &films(), &database("products"), Epoch(2)).await.unwrap();
    for stale in [1, 2] {
        set_pending(client, &films(), &database("monolith"), Epoch(stale)).await.unwrap();
        assert_eq!(owner(client, &films()).await.unwrap(), Some(row("products", 2)));
    }
}

/// A direction that found itself armed may finish its transaction; the switch comes after it, and the next
/// transaction of that direction sees the new home.
async fn a_switch_waits_for_a_direction_that_has_read_the_row(journal: Journal) {
    insert_owner(&journal.client, &films(), &database("monolith"), Epoch(1)).await.unwrap();
    let mut applier = journal.connect().await;
    let applying = applier.transaction().await.unwrap();
    assert_eq!(owner_for_share(&applying, &films()).await.unwrap(), row("monolith", 1));

    let other = journal.connect().await;
    let other_pid = pid(&other).await;
    let switch =
        tokio::spawn(async move { set_owner(&other, &films(), &database("products"), Epoch(2)).await });
    journal.wait_until_blocked(other_pid).await;
    applying.commit().await.unwrap();
    assert!(switch.await.unwrap().unwrap());

    let next = applier.transaction().await.unwrap();
    assert_eq!(owner_for_share(&next, &films()).await.unwrap(), row("products", 2));
}

async fn a_service_without_owner_row_applies_nothing(journal: Journal) {
    let error = owner_for_share(&journal.client, &films()).await.unwrap_err();
    assert_eq!(error.to_string(), "the journal is inconsistent: service films has no owner row");
    assert!(matches!(error, JournalError::Inconsistent { .. }));
}
