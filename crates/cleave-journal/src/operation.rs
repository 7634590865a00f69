//! Verbs on their way to the engine that holds the lease.

use crate::{JournalError, error::During};
use cleave_model::ServiceName;
use serde_json::Value;
use tokio_postgres::{GenericClient, Row};

/// Where an operation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperationState {
    /// Waits for the holder.
    Requested,
    /// The holder works on it. After a crash the next holder takes it up again: every verb can be repeated.
    Running,
    /// Ended; the result says how.
    Done,
}

/// A row of `cleave.operation`.
#[derive(Clone, Debug, PartialEq)]
pub struct Operation {
    /// Number.
    pub id: i64,
    /// The service.
    pub service: String,
    /// `cutover`, `rollback`, ...
    pub verb: String,
    /// Flags.
    pub arguments: Value,
    /// State.
    pub state: OperationState,
    /// What the verb would have shown; set when done.
    pub result: Option<Value>,
}

const COLUMNS: &str = "id, service, verb, arguments, state, result";

fn parse(row: &Row) -> Result<Operation, JournalError> {
    let state: String = row.get(4);
    let state = match state.as_str() {
        "requested" => OperationState::Requested,
        "running" => OperationState::Running,
        "done" => OperationState::Done,
        other => return Err(JournalError::Inconsistent { what: format!("operation state `{other}`") }),
    };
    Ok(Operation {
        id: row.get(0),
        service: row.get(1),
        verb: row.get(2),
        arguments: row.get(3),
        state,
        result: row.get(5),
    })
}

/// Hands a verb to the holder and wakes it.
pub async fn request_operation(
    client: &impl GenericClient,
    service: &ServiceName,
    verb: &str,
    arguments: &Value,
    requested_by: &str,
) -> Result<i64, JournalError> {
    let row = client
        .query_one(
            "with asked as (
               insert into cleave.operation (service, verb, arguments, requested_by) values ($1, $2, $3, $4) returning id
             )
             select id, pg_catalog.pg_notify('cleave_operation', id::text) from asked",
            &[&service.as_str(), &verb, arguments, &requested_by],
        )
        .await
        .during("request the operation")?;
    Ok(row.get(0))
}

/// Takes a service's oldest operation that has not ended and marks it as running.
pub async fn next_operation(
    client: &impl GenericClient,
    service: &ServiceName,
) -> Result<Option<Operation>, JournalError> {
    let sql = format!(
        "update cleave.operation set state = 'running'
         where id = (select min(id) from cleave.operation where service = $1 and state <> 'done') returning {COLUMNS}"
    );
    client
        .query_opt(&sql, &[&service.as_str()])
        .await
        .during("take the next operation")?
        .as_ref()
        .map(parse)
        .transpose()
}

/// Stores the result. One that is stored already stays: the next holder has taken the operation up and ended it.
pub async fn finish_operation(
    client: &impl GenericClient,
    id: i64,
    result: &Value,
) -> Result<(), JournalError> {
    let known = client
        .execute(
            "update cleave.operation
             set state = 'done', result = coalesce(result, $2),
                 finished_at = coalesce(finished_at, pg_catalog.clock_timestamp())
             where id = $1",
            &[&id, result],
        )
        .await
        .during("finish the operation")?;
    if known == 1 {
        return Ok(());
    }
    Err(JournalError::Inconsistent { what: format!("operation {id} is gone") })
}

/// One operation, for the verb that waits for it.
pub async fn operation(client: &impl GenericClient, id: i64) -> Result<Operation, JournalError> {
    let sql = format!("select {COLUMNS} from cleave.operation where id = $1");
    let row = client.query_opt(&sql, &[&id]).await.during("read the operation")?;
    row.as_ref()
        .map(parse)
        .transpose()?
        .ok_or_else(|| JournalError::Inconsistent { what: format!("operation {id} is gone") })
}
