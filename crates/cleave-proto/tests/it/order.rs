//! What may follow what, and what may not.

use crate::samples::{
    FILM, begin, by, commit, commit_of, delete, film, insert, origin, plain, prepared, row, said,
    stream_abort, stream_commit, stream_start, stream_stop, text, truncate, update,
};
use cleave_model::{Lsn, Oid};
use cleave_proto::{
    Timestamp,
    pgoutput::{Cell, CommitPrepared, Decoded, Message, OldTuple, Relation, RollbackPrepared, Xid},
    transaction::{Event, OrderError, RelationStatus, TransactionTracker},
};
use std::sync::Arc;

fn run(messages: Vec<Decoded>) -> Result<Vec<Event>, OrderError> {
    let mut tracker = TransactionTracker::new();
    messages.into_iter().map(|message| tracker.step(message)).collect()
}

#[track_caller]
fn refused(messages: Vec<Decoded>) -> String {
    let last = messages.len() - 1;
    run(messages[..last].to_vec()).expect("only the last message may be wrong");
    run(messages).expect_err("the last message must be refused").to_string()
}

fn two() -> Message {
    insert(&[text("1"), text("a")])
}

fn relation_of(event: &Event) -> (&Arc<Relation>, &RelationStatus) {
    let Event::Relation { relation, status, .. } = event else { panic!("{event:?}") };
    (relation, status)
}

#[test]
fn a_whole_transaction_ends_with_what_is_known_of_it() {
    let events = run(vec![
        begin(750, 100),
        origin("peer"),
        plain(film(2)),
        plain(two()),
        plain(update(Some(OldTuple::Key(row(&[text("1"), Cell::Null]))), &[text("2"), Cell::Unchanged])),
        plain(delete(OldTuple::Full(row(&[text("2"), text("a")])))),
        plain(truncate(&[FILM])),
        plain(said(true)),
        commit(100),
    ])
    .unwrap();
    let Some(Event::Commit(transaction)) = events.last() else { panic!("{events:?}") };
    assert_eq!(transaction.origin.as_ref().map(|origin| origin.name.as_str()), Some("peer"));
    assert_eq!((transaction.xid.0, transaction.commit_lsn, transaction.end_lsn), (750, Lsn(100), Lsn(148)));
    let (film, _) = relation_of(&events[2]);
    for event in &events[3..6] {
        let Event::Change { relation, stream_xid: None, .. } = event else { panic!("{event:?}") };
        assert!(Arc::ptr_eq(relation, film));
    }
    let Event::Truncate { relations, cascade: true, restart_identity: false, .. } = &events[6] else {
        panic!("{events:?}")
    };
    assert!(Arc::ptr_eq(&relations[0], film));
}

#[test]
fn transactions_nest_in_nothing_and_end_as_they_began() {
    assert_eq!(refused(vec![begin(1, 100), begin(2, 200)]), "Begin while transaction 1 is open");
    assert_eq!(refused(vec![commit(100)]), "Commit outside a transaction");
    assert_eq!(
        refused(vec![begin(1, 100), commit(101)]),
        "transaction 1 began as the one that commits at 0/64 and ended as the one at 0/65"
    );
    let Decoded { message: Message::Commit(mut empty), .. } = commit(100) else { panic!() };
    empty.end_lsn = empty.commit_lsn;
    assert_eq!(
        refused(vec![begin(1, 100), plain(Message::Commit(empty))]),
        "the commit record of transaction 1 starts at 0/64 and ends at 0/64"
    );
}

#[test]
fn commits_come_in_the_order_of_the_log() {
    assert!(run(vec![begin(2, 100), commit(100), begin(1, 148), commit(148)]).is_ok());
    assert_eq!(
        refused(vec![begin(2, 100), commit(100), begin(1, 147)]),
        "transaction 1 commits at 0/93, before the end 0/94 of the one sent before it"
    );
    assert_eq!(
        refused(vec![stream_start(3, true), stream_stop(), begin(2, 100), commit(100), stream_commit(3, 99)]),
        "transaction 3 commits at 0/63, before the end 0/94 of the one sent before it"
    );
}

#[test]
fn an_origin_is_the_first_thing_said_of_a_transaction() {
    assert_eq!(refused(vec![origin("o")]), "Origin outside a transaction");
    let late = "an Origin message in the middle of transaction 1";
    assert_eq!(refused(vec![begin(1, 100), plain(film(2)), origin("o")]), late);
    assert_eq!(refused(vec![begin(1, 100), origin("o"), origin("p")]), late);
    assert_eq!(
        refused(vec![stream_start(1, true), stream_stop(), stream_start(1, false), origin("o")]),
        late
    );
    assert!(run(vec![begin(1, 100), plain(said(false)), origin("o"), commit(100)]).is_ok());
}

#[test]
fn everything_but_non_transactional_messages_stands_in_a_transaction() {
    assert!(run(vec![plain(said(false))]).is_ok());
    assert_eq!(refused(vec![plain(said(true))]), "a transactional Message outside a transaction");
    assert_eq!(refused(vec![plain(film(2))]), "Relation outside a transaction");
    assert_eq!(refused(vec![plain(two())]), "a change outside a transaction");
    assert_eq!(refused(vec![plain(truncate(&[]))]), "Truncate outside a transaction");
}

#[test]
fn a_change_needs_a_relation_that_was_described() {
    assert_eq!(
        refused(vec![begin(1, 100), plain(two())]),
        "a change of the relation with OID 16401, which was not described"
    );
    assert_eq!(
        refused(vec![begin(1, 100), plain(film(2)), plain(truncate(&[FILM, Oid(9)]))]),
        "a change of the relation with OID 9, which was not described"
    );
}

#[test]
fn every_tuple_is_as_wide_as_its_relation() {
    let narrow = row(&[text("1")]);
    let wrong = "a row of public.film has 1 cells where 2 columns were described";
    for change in [
        insert(&narrow.cells),
        update(None, &narrow.cells),
        update(Some(OldTuple::Key(narrow.clone())), &[text("1"), text("a")]),
        update(Some(OldTuple::Full(narrow.clone())), &[text("1"), text("a")]),
        delete(OldTuple::Key(narrow.clone())),
        delete(OldTuple::Full(narrow.clone())),
    ] {
        assert_eq!(refused(vec![begin(1, 100), plain(film(2)), plain(change)]), wrong);
    }
}

#[test]
fn an_inserted_row_has_all_its_values() {
    assert_eq!(
        refused(vec![begin(1, 100), plain(film(2)), plain(insert(&[text("1"), Cell::Unchanged]))]),
        "an inserted row of public.film leaves out the value of column title"
    );
}

#[test]
fn a_relation_said_again_tells_whether_it_changed() {
    let events = run(vec![
        begin(1, 100),
        plain(film(2)),
        plain(film(2)),
        commit(100),
        begin(2, 200),
        plain(film(3)),
        plain(insert(&[text("1"), text("a"), text("b")])),
        commit(200),
    ])
    .unwrap();
    let (first, status) = relation_of(&events[1]);
    assert_eq!(status, &RelationStatus::New);
    let (again, status) = relation_of(&events[2]);
    assert_eq!(status, &RelationStatus::Same);
    assert!(Arc::ptr_eq(first, again));
    let (altered, status) = relation_of(&events[5]);
    assert_eq!(altered.columns.len(), 3);
    assert_eq!(status, &RelationStatus::Changed { previous: Arc::clone(first) });
}

#[test]
fn stream_blocks_stand_alone_and_know_whether_they_are_first() {
    assert_eq!(
        refused(vec![begin(1, 100), stream_start(2, true)]),
        "Stream Start while transaction 1 is open"
    );
    assert_eq!(refused(vec![stream_start(2, true), begin(1, 100)]), "Begin while transaction 2 is open");
    assert_eq!(refused(vec![stream_start(2, true), commit(100)]), "Commit while transaction 2 is open");
    assert_eq!(refused(vec![stream_stop()]), "Stream Stop outside a transaction");
    assert_eq!(refused(vec![begin(1, 100), stream_stop()]), "Stream Stop while transaction 1 is open");
    let misfit = "of transaction 2 does not fit the blocks sent so far";
    assert_eq!(refused(vec![stream_start(2, false)]), format!("Stream Start {misfit}"));
    let twice = vec![stream_start(2, true), stream_stop(), stream_start(2, true)];
    assert_eq!(refused(twice), format!("Stream Start {misfit}"));
    assert_eq!(refused(vec![stream_commit(2, 100)]), format!("Stream Commit {misfit}"));
    assert_eq!(refused(vec![stream_abort(2, 2)]), format!("Stream Abort {misfit}"));
    let ended = vec![stream_start(2, true), stream_stop(), stream_abort(2, 2), stream_commit(2, 100)];
    assert_eq!(refused(ended), format!("Stream Commit {misfit}"));
}

#[test]
fn a_transaction_in_blocks_keeps_its_origin_and_outlives_its_parts() {
    let events = run(vec![
        stream_start(2, true),
        origin("peer"),
        by(2, film(2)),
        by(3, two()),
        stream_stop(),
        begin(4, 100),
        commit(100),
        stream_abort(2, 3),
        stream_start(2, false),
        by(2, two()),
        stream_stop(),
        stream_commit(2, 200),
    ])
    .unwrap();
    assert!(matches!(&events[3], Event::Change { stream_xid: Some(xid), .. } if xid.0 == 3));
    let Some(Event::StreamCommit(transaction)) = events.last() else { panic!("{events:?}") };
    assert_eq!(transaction.origin.as_ref().map(|origin| origin.name.as_str()), Some("peer"));
}

#[test]
fn what_a_transaction_in_progress_describes_is_its_own_until_it_commits() {
    let wide = || insert(&[text("1"), text("a"), text("b")]);
    let altered = || {
        vec![
            begin(1, 100),
            plain(film(2)),
            commit(100),
            stream_start(2, true),
            by(2, film(3)),
            by(2, wide()),
            stream_stop(),
        ]
    };
    let with = |more: Vec<Decoded>| altered().into_iter().chain(more).collect::<Vec<_>>();
    assert!(run(with(vec![begin(4, 200), plain(two())])).is_ok());
    assert!(run(with(vec![stream_commit(2, 200), begin(4, 300), plain(wide())])).is_ok());
    assert!(run(with(vec![stream_abort(2, 2), begin(4, 200), plain(two())])).is_ok());
    refused(with(vec![begin(4, 200), plain(wide())]));
    refused(with(vec![stream_abort(2, 2), begin(4, 200), plain(wide())]));
    // And what others describe later is newer than what it described.
    let later = vec![begin(4, 200), plain(film(2)), commit(200), stream_commit(2, 300)];
    assert!(run(with([later, vec![begin(5, 400), plain(two())]].concat())).is_ok());
}

#[test]
fn a_stream_block_does_not_borrow_descriptions_from_others() {
    let described = vec![begin(1, 100), plain(film(2)), commit(100), stream_start(2, true), by(2, two())];
    assert_eq!(refused(described), "a change of the relation with OID 16401, which was not described");
}

fn commit_prepared(xid: u32, commit_lsn: u64) -> Decoded {
    let gid = "order 7".to_owned();
    plain(Message::CommitPrepared(CommitPrepared { commit: commit_of(commit_lsn), xid: Xid(xid), gid }))
}

#[test]
fn a_prepared_transaction_is_told_when_it_is_prepared_and_when_it_ends() {
    let events = run(vec![
        plain(Message::BeginPrepare(prepared(750, 100))),
        origin("peer"),
        plain(film(2)),
        plain(two()),
        plain(Message::Prepare(prepared(750, 100))),
        begin(751, 200),
        plain(two()),
        commit(200),
        commit_prepared(750, 300),
        plain(Message::RollbackPrepared(RollbackPrepared {
            prepare_end_lsn: Lsn(90),
            rollback_end_lsn: Lsn(400),
            prepare_time: Timestamp(1),
            rollback_time: Timestamp(7),
            xid: Xid(740),
            gid: "order 6".into(),
        })),
    ])
    .unwrap();
    let Event::Prepare { prepared, origin } = &events[4] else { panic!("{events:?}") };
    assert_eq!((prepared.gid.as_str(), prepared.xid), ("order 7", Xid(750)));
    assert_eq!(origin.as_ref().map(|origin| origin.name.as_str()), Some("peer"));
    assert!(matches!(&events[8], Event::CommitPrepared(committed) if committed.xid == Xid(750)));
    assert!(matches!(&events[9], Event::RollbackPrepared(aborted) if aborted.gid == "order 6"));
}

#[test]
fn a_transaction_that_came_in_blocks_can_be_prepared() {
    let events = run(vec![
        stream_start(750, true),
        by(750, film(2)),
        by(750, two()),
        stream_stop(),
        plain(Message::StreamPrepare(prepared(750, 100))),
        // The server counts the relation as told to all.
        begin(751, 200),
        plain(two()),
        commit(200),
        commit_prepared(750, 300),
    ])
    .unwrap();
    assert!(matches!(&events[4], Event::StreamPrepare { prepared, .. } if prepared.xid == Xid(750)));
}

#[test]
fn prepared_transactions_keep_to_the_order_too() {
    let begin_prepare = |lsn| plain(Message::BeginPrepare(prepared(1, lsn)));
    let prepare = |lsn| plain(Message::Prepare(prepared(1, lsn)));
    assert_eq!(refused(vec![prepare(100)]), "Prepare outside a transaction");
    assert_eq!(refused(vec![begin(1, 100), prepare(100)]), "Prepare while transaction 1 is open");
    assert_eq!(refused(vec![begin_prepare(100), commit(100)]), "Commit while transaction 1 is open");
    assert_eq!(
        refused(vec![begin_prepare(100), prepare(101)]),
        "transaction 1 began as the one prepared at 0/64 and ended as the one at 0/65"
    );
    assert_eq!(
        refused(vec![begin_prepare(100), commit_prepared(1, 300)]),
        "Commit Prepared while transaction 1 is open"
    );
    assert_eq!(
        refused(vec![plain(Message::StreamPrepare(prepared(1, 100)))]),
        "Stream Prepare of transaction 1 does not fit the blocks sent so far"
    );
    assert_eq!(
        refused(vec![begin_prepare(100), prepare(100), commit_prepared(1, 120)]),
        "transaction 1 commits at 0/78, before the end 0/94 of the one sent before it"
    );
}
