//! The move's row: one open move per service, and only the transitions that its caller allows.

use crate::journal::{Journal, database, films, on_every_version};
use cleave_journal::{JournalError, MoveRow, MoveState, Verification, VerificationOutcome};
use cleave_model::ServiceName;
use serde_json::{Value, json};

on_every_version!(
    a_move_is_stored_as_it_was_started,
    a_service_has_one_open_move_at_most,
    a_new_move_after_the_end_has_a_higher_incarnation_and_a_clean_row,
    a_transition_can_be_repeated_but_not_invented,
    what_is_known_of_a_move_comes_back_as_it_was_stored,
    a_row_that_nobody_can_read_is_named,
);

async fn start(journal: &Journal, plan: &Value) -> Result<i64, JournalError> {
    let sides = (&database("monolith"), &database("products"));
    MoveRow::start(&journal.client, &films(), sides, plan, "fingerprint").await
}

async fn read(journal: &Journal) -> MoveRow {
    MoveRow::read(&journal.client, &films()).await.unwrap().unwrap()
}

async fn go(journal: &Journal, from: &[MoveState], to: MoveState) -> Result<(), JournalError> {
    MoveRow::transition(&journal.client, &films(), from, to).await
}

async fn a_move_is_stored_as_it_was_started(journal: Journal) {
    assert_eq!(MoveRow::read(&journal.client, &films()).await.unwrap(), None);
    let plan = json!({ "tables": ["public.film"], "rows": 12 });
    assert_eq!(start(&journal, &plan).await.unwrap(), 1);
    let expected = MoveRow {
        service: films(),
        id: 1,
        source: database("monolith"),
        target: database("products"),
        state: MoveState::Planned,
        paused: false,
        plan,
        fingerprint: "fingerprint".into(),
        verification: None,
        problem: None,
    };
    assert_eq!(read(&journal).await, expected);

    let staff = ServiceName::parse("customers").unwrap();
    let sides = (&database("monolith"), &database("crm"));
    MoveRow::start(&journal.client, &staff, sides, &json!({}), "").await.unwrap();
    let all = MoveRow::read_all(&journal.client).await.unwrap();
    assert_eq!(all.iter().map(|row| row.service.as_str()).collect::<Vec<_>>(), ["customers", "films"]);
}

async fn a_service_has_one_open_move_at_most(journal: Journal) {
    use MoveState::{Completing, Copying, Following, Planned, Prepared, Switched};
    start(&journal, &json!({ "first": true })).await.unwrap();
    let mut state = Planned;
    for next in [Prepared, Copying, Following, Switched, Completing] {
        let error = start(&journal, &json!({})).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "the journal is inconsistent: service films has an open move already",
            "{state:?}"
        );
        go(&journal, &[state], next).await.unwrap();
        state = next;
    }
    assert!(start(&journal, &json!({})).await.is_err());
    let row = read(&journal).await;
    assert_eq!((row.id, row.state, row.plan), (1, Completing, json!({ "first": true })));
}

async fn a_new_move_after_the_end_has_a_higher_incarnation_and_a_clean_row(journal: Journal) {
    for (end, incarnation) in [(MoveState::Cancelled, 1), (MoveState::Done, 2), (MoveState::Cancelled, 3)] {
        assert_eq!(start(&journal, &json!({ "round": incarnation })).await.unwrap(), incarnation);
        let row = read(&journal).await;
        assert_eq!(
            (row.state, row.paused, row.verification, row.problem),
            (MoveState::Planned, false, None, None)
        );
        assert_eq!(row.plan, json!({ "round": incarnation }));

        MoveRow::set_paused(&journal.client, &films(), true).await.unwrap();
        MoveRow::set_problem(&journal.client, &films(), Some(&json!({ "code": "C0501" }))).await.unwrap();
        MoveRow::set_verification(&journal.client, &films(), Some(&verification())).await.unwrap();
        go(&journal, &[MoveState::Planned], end).await.unwrap();
        assert!(!end.is_open());
    }
}

async fn a_transition_can_be_repeated_but_not_invented(journal: Journal) {
    use MoveState::{Copying, Done, Following, Planned, Prepared, Switched};
    let none = go(&journal, &[Planned], Prepared).await.unwrap_err();
    assert!(matches!(none, JournalError::Inconsistent { .. }), "no row: {none}");

    start(&journal, &json!({})).await.unwrap();
    go(&journal, &[Planned], Prepared).await.unwrap();
    go(&journal, &[Planned], Prepared).await.unwrap();
    for (from, to) in [(Following, Switched), (Copying, Following), (Switched, Done)] {
        let error = go(&journal, &[from], to).await.unwrap_err();
        let expected = format!(
            "the journal is inconsistent: service films is prepared and cannot become {}",
            to.as_str()
        );
        assert_eq!((error.to_string(), error.code()), (expected, "C0404"));
        assert_eq!(read(&journal).await.state, Prepared);
    }
    go(&journal, &[Planned, Prepared], Copying).await.unwrap();
    assert_eq!(read(&journal).await.state, Copying);
}

pub(crate) fn verification() -> Verification {
    Verification {
        outcome: VerificationOutcome::Unproven,
        rows: 1_000_000,
        differences: 3,
        at_epoch_s: 1_800_000_000,
        epoch: 4,
        unproven: vec![("public.film".into(), vec!["7".into(), "it".into()])],
        fingerprints: ["source".into(), "target".into()],
        slot: "cleave_films_forward_1".into(),
        // Identifiers use all 64 bits.
        clusters: [(u64::MAX, 1), (7_400_000_000_000_000_001, 12)],
    }
}

async fn what_is_known_of_a_move_comes_back_as_it_was_stored(journal: Journal) {
    let client = &journal.client;
    start(&journal, &json!({})).await.unwrap();
    let problem = json!({ "code": "C0501", "message": "stray write" });
    MoveRow::set_verification(client, &films(), Some(&verification())).await.unwrap();
    MoveRow::set_problem(client, &films(), Some(&problem)).await.unwrap();
    MoveRow::set_paused(client, &films(), true).await.unwrap();
    let row = read(&journal).await;
    assert_eq!((row.verification, row.problem, row.paused), (Some(verification()), Some(problem), true));

    MoveRow::set_verification(client, &films(), None).await.unwrap();
    MoveRow::set_problem(client, &films(), None).await.unwrap();
    MoveRow::set_paused(client, &films(), false).await.unwrap();
    let row = read(&journal).await;
    assert_eq!((row.verification, row.problem, row.paused), (None, None, false));
}

async fn a_row_that_nobody_can_read_is_named(journal: Journal) {
    start(&journal, &json!({})).await.unwrap();
    for (change, message) in [
        ("state = 'moving'", "a move's state is `moving`"),
        ("state = 'planned', source = 'Mono lith'", "a move names database `Mono lith`"),
    ] {
        journal.client.batch_execute(&format!("update cleave.move set {change}")).await.unwrap();
        let error = MoveRow::read(&journal.client, &films()).await.unwrap_err();
        assert_eq!(error.to_string(), format!("the journal is inconsistent: {message}"));
    }
}
