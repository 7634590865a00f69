//! Watched references left to settle. Rows are written by triggers that cleave-ddl makes.

use crate::journal::{Journal, films, on_every_version};
use cleave_journal::{open_work, resolve_work};
use serde_json::json;

on_every_version!(open_work_comes_oldest_first_until_it_is_settled, work_is_settled_once);

async fn leave(journal: &Journal, service: &str, key: i32) {
    let keys = json!({ "film_id": key });
    journal
        .client
        .execute(
            "insert into cleave.work (service, reference, kind, keys) values ($1, 'inventory_film_id_fkey', 'delete', $2)",
            &[&service, &keys],
        )
        .await
        .unwrap();
}

async fn open_work_comes_oldest_first_until_it_is_settled(mut journal: Journal) {
    for key in 1..=3 {
        leave(&journal, "films", key).await;
        leave(&journal, "customers", key).await;
    }
    let open = open_work(&journal.client, &films(), 2).await.unwrap();
    let short: Vec<_> =
        open.iter().map(|i| (i.reference.as_str(), i.kind.as_str(), i.keys.clone())).collect();
    assert_eq!(
        short,
        [1, 2].map(|key| ("inventory_film_id_fkey", "delete", json!({ "film_id": key }))),
        "no more than asked for"
    );

    let settling = journal.client.transaction().await.unwrap();
    resolve_work(&settling, open[0].id, "cascaded").await.unwrap();
    settling.rollback().await.unwrap();
    assert_eq!(open_work(&journal.client, &films(), 10).await.unwrap().len(), 3, "settling rolled back");

    resolve_work(&journal.client, open[0].id, "cascaded").await.unwrap();
    let left = open_work(&journal.client, &films(), 10).await.unwrap();
    assert_eq!(
        left.iter().map(|item| item.keys.clone()).collect::<Vec<_>>(),
        [2, 3].map(|k| json!({ "film_id": k }))
    );
}

async fn work_is_settled_once(journal: Journal) {
    leave(&journal, "films", 1).await;
    let item = open_work(&journal.client, &films(), 1).await.unwrap().remove(0);
    resolve_work(&journal.client, item.id, "cascaded").await.unwrap();
    let error = resolve_work(&journal.client, item.id, "set to null").await.unwrap_err();
    let expected = format!("the journal is inconsistent: work item {} is settled already or gone", item.id);
    assert_eq!(error.to_string(), expected);
    let row = journal.client.query_one("select resolution from cleave.work", &[]).await.unwrap();
    assert_eq!(row.get::<_, &str>(0), "cascaded");
}
