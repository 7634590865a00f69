//! The schema comes once, whoever asks and how often.

use crate::journal::{Journal, each_version, on_every_version};
use cleave_journal::{JournalError, SCHEMA_VERSION, install, installed_version, uninstall};

on_every_version!(
    installing_again_keeps_what_is_there,
    a_schema_of_a_newer_version_is_refused,
    a_half_made_schema_is_completed,
    a_schema_of_an_earlier_version_gets_what_it_lacks,
    uninstalling_leaves_nothing_and_can_be_repeated,
);

mod engines_that_install_at_once_all_succeed {
    use super::{Journal, each_version};

    each_version!(|version| super::install_at_once(Journal::absent(version).await).await);
}

async fn install_at_once(journal: Journal) {
    assert_eq!(installed_version(&journal.client).await.unwrap(), None);
    let mut engines = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let mut client = journal.connect().await;
        engines.spawn(async move { install(&mut client).await });
    }
    while let Some(outcome) = engines.join_next().await {
        outcome.unwrap().unwrap();
    }
    assert_eq!(installed_version(&journal.client).await.unwrap(), Some(SCHEMA_VERSION));
}

async fn installing_again_keeps_what_is_there(mut journal: Journal) {
    let lease = journal.lease("one").await;
    install(&mut journal.client).await.unwrap();
    lease.check(&journal.client).await.unwrap();
}

async fn a_schema_of_a_newer_version_is_refused(mut journal: Journal) {
    let newer = SCHEMA_VERSION + 1;
    journal.client.execute("insert into cleave.meta (version) values ($1)", &[&newer]).await.unwrap();
    let error = install(&mut journal.client).await.unwrap_err();
    assert!(
        matches!(error, JournalError::NewerSchema { found, known } if found == newer && known == SCHEMA_VERSION),
        "{error}"
    );
    assert_eq!(error.code(), "C0403");
}

/// The version row is written last: without it the schema counts as absent and is made up for.
async fn a_half_made_schema_is_completed(mut journal: Journal) {
    let damage = "delete from cleave.meta; drop table cleave.work, cleave.position";
    journal.client.batch_execute(damage).await.unwrap();
    install(&mut journal.client).await.unwrap();
    assert_eq!(installed_version(&journal.client).await.unwrap(), Some(SCHEMA_VERSION));
    journal.client.batch_execute("table cleave.work; table cleave.position").await.unwrap();
}

async fn a_schema_of_an_earlier_version_gets_what_it_lacks(mut journal: Journal) {
    let lease = journal.lease("one").await;
    let back = "update cleave.meta set version = 1; drop table cleave.copying, cleave.copied_range, cleave.copied_row";
    journal.client.batch_execute(back).await.unwrap();
    install(&mut journal.client).await.unwrap();
    assert_eq!(installed_version(&journal.client).await.unwrap(), Some(SCHEMA_VERSION));
    journal.client.batch_execute("table cleave.copying; table cleave.copied_range").await.unwrap();
    lease.check(&journal.client).await.unwrap();
}

async fn uninstalling_leaves_nothing_and_can_be_repeated(journal: Journal) {
    uninstall(&journal.client).await.unwrap();
    uninstall(&journal.client).await.unwrap();
    assert_eq!(installed_version(&journal.client).await.unwrap(), None);
}
