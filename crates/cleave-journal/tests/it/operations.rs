//! Verbs on their way to the holder.

use crate::journal::{Journal, films, on_every_version};
use cleave_journal::{OperationState, finish_operation, next_operation, operation, request_operation};
use cleave_model::ServiceName;
use serde_json::json;
use std::time::Duration;

on_every_version!(
    operations_are_taken_in_the_order_of_asking,
    operations_of_other_services_are_left_to_their_holders,
    an_operation_whose_holder_died_is_taken_up_again,
    a_request_wakes_the_holder,
    an_operation_that_never_was_is_an_error,
    a_finished_operation_keeps_its_first_result,
);

async fn request(journal: &Journal, verb: &str) -> i64 {
    request_operation(&journal.client, &films(), verb, &json!({ "yes": true }), "tester").await.unwrap()
}

async fn operations_are_taken_in_the_order_of_asking(journal: Journal) {
    let client = &journal.client;
    assert_eq!(next_operation(client, &films()).await.unwrap(), None);
    let (first, second) = (request(&journal, "cutover").await, request(&journal, "rollback").await);
    for (id, verb) in [(first, "cutover"), (second, "rollback")] {
        assert_eq!(operation(client, id).await.unwrap().state, OperationState::Requested);
        let taken = next_operation(client, &films()).await.unwrap().unwrap();
        assert_eq!((taken.id, taken.verb.as_str(), taken.service.as_str()), (id, verb, "films"));
        assert_eq!((taken.state, taken.arguments), (OperationState::Running, json!({ "yes": true })));

        finish_operation(client, id, &json!({ "verb": verb })).await.unwrap();
        let finished = operation(client, id).await.unwrap();
        assert_eq!((finished.state, finished.result), (OperationState::Done, Some(json!({ "verb": verb }))));
    }
    assert_eq!(next_operation(client, &films()).await.unwrap(), None);
}

async fn operations_of_other_services_are_left_to_their_holders(journal: Journal) {
    let other = ServiceName::parse("customers").unwrap();
    let id = request(&journal, "cutover").await;
    assert_eq!(next_operation(&journal.client, &other).await.unwrap(), None);
    assert_eq!(operation(&journal.client, id).await.unwrap().state, OperationState::Requested);
}

async fn an_operation_whose_holder_died_is_taken_up_again(journal: Journal) {
    let first = request(&journal, "cutover").await;
    request(&journal, "verify").await;
    let taken = next_operation(&journal.client, &films()).await.unwrap().unwrap();

    let next_holder = journal.connect().await;
    let again = next_operation(&next_holder, &films()).await.unwrap().unwrap();
    assert_eq!((again.id, &again), (first, &taken), "it comes before what was asked later");
}

async fn a_request_wakes_the_holder(journal: Journal) {
    let (listener, mut connection) =
        tokio_postgres::connect(&journal.url(), tokio_postgres::NoTls).await.unwrap();
    let (sender, mut heard) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(Ok(message)) = std::future::poll_fn(|context| connection.poll_message(context)).await {
            if let tokio_postgres::AsyncMessage::Notification(notification) = message {
                let _ = sender.send((notification.channel().to_owned(), notification.payload().to_owned()));
            }
        }
    });
    listener.batch_execute("listen cleave_operation").await.unwrap();
    let id = request(&journal, "pause").await;
    let message = tokio::time::timeout(Duration::from_secs(30), heard.recv()).await.unwrap().unwrap();
    assert_eq!(message, ("cleave_operation".to_owned(), id.to_string()));
}

async fn an_operation_that_never_was_is_an_error(journal: Journal) {
    let error = operation(&journal.client, 7).await.unwrap_err();
    assert_eq!(error.to_string(), "the journal is inconsistent: operation 7 is gone");
    assert!(finish_operation(&journal.client, 7, &json!({})).await.is_err());
}

/// A holder that lost its lease while it worked must not overwrite what the next one has found.
async fn a_finished_operation_keeps_its_first_result(journal: Journal) {
    let id = request(&journal, "verify").await;
    finish_operation(&journal.client, id, &json!({ "by": "the next holder" })).await.unwrap();
    finish_operation(&journal.client, id, &json!({ "by": "the old one" })).await.unwrap();
    let finished = operation(&journal.client, id).await.unwrap();
    assert_eq!(finished.result, Some(json!({ "by": "the next holder" })));
}
