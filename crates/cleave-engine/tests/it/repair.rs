//! Repair of the follower in a move: with the stream, under load, in both directions, and refused where nobody knows
//! which side is right.

use crate::cinema::{Cinema, number};
use cleave_api::{CutoverOutcome, RepairSummary, VerificationState, VerifyReport};
use cleave_engine::{Answer, Engine, Verb};
use cleave_sandbox::Version;
use std::time::Duration;
use tokio_postgres::Client;

const LOAD_LIMIT: Duration = Duration::from_secs(60);

/// Changes that get past the fence, as only something of Cleave's own that is broken could make them. Origins belong to the
/// cluster, and readers look their names up: this one is dropped when all that bears it has been read.
pub(crate) struct Vandal {
    client: Client,
    origin: String,
}

impl Vandal {
    pub(crate) async fn enter(client: Client, cinema: &Cinema) -> Self {
        let origin = format!("cleave_{}_copy_9", cinema.films());
        let sql = format!(
            "select pg_replication_origin_create('{origin}'); select pg_replication_origin_session_setup('{origin}'); \
             set session_replication_role = replica"
        );
        client.batch_execute(&sql).await.unwrap();
        Self { client, origin }
    }

    pub(crate) async fn breaks(&self, sql: &str) {
        self.client.batch_execute(sql).await.unwrap();
    }

    pub(crate) async fn leave(self) {
        let sql = format!(
            "select pg_replication_origin_session_reset(); select pg_replication_origin_drop('{}')",
            self.origin
        );
        self.client.batch_execute(&sql).await.unwrap();
    }
}

pub(crate) async fn told(engine: &mut Engine, cinema: &Cinema, verb: Verb) -> VerifyReport {
    match engine.execute(&cinema.films(), verb).await.unwrap() {
        Answer::Verification(report) => report,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn every_way_a_row_can_be_broken_is_named_repaired_and_clean() {
    let cinema = Cinema::new(Version::V14, Version::V18, "forward").await;
    // One code point at home, two on the follower.
    let composed = "update film_part set label = U&'\\00e4' where film_id = 8 and part = 1";
    cinema.on_m().await.batch_execute(composed).await.unwrap();
    let (mut engine, _canceller) = cinema.engine();
    engine.execute(&cinema.films(), Verb::Apply(None)).await.unwrap();
    let vandal = Vandal::enter(cinema.on_n().await, &cinema).await;
    vandal
        .breaks(
            "update films.film set title = 'changed' where id = 1; delete from films.film where id = 2;
         insert into films.film (id, code, title) values (9000, 'x', 'added');
         update films.film set studio_id = null where id = 3;
         update films.film set title = case id when 4 then 'film 5' else 'film 4' end where id in (4, 5);
         update films.film set id = 9001 where id = 6; update films.film set title = 'film 7 ' where id = 7;
         update films.film_part set label = U&'a\\0308' where film_id = 8 and part = 1",
        )
        .await;
    let found = told(&mut engine, &cinema, Verb::Verify).await;
    let mut named: Vec<String> = found
        .differences
        .iter()
        .map(|one| format!("{} {} {}", one.kind.as_str(), one.key[0].1, one.columns.join(",")))
        .collect();
    named.sort();
    let expected = [
        "changed 1 title",
        "changed 3 studio_id",
        "changed 4 title",
        "changed 5 title",
        "changed 7 title",
        "changed 8 label",
        "extra 9000 ",
        "extra 9001 ",
        "missing 2 ",
        "missing 6 ",
    ];
    assert_eq!(named, expected);

    let rehearsed = told(&mut engine, &cinema, Verb::Repair { dry_run: true }).await;
    assert_eq!((rehearsed.repaired, rehearsed.state), (None, VerificationState::Different));
    let repaired = told(&mut engine, &cinema, Verb::Repair { dry_run: false }).await;
    let summary = RepairSummary { written: 8, removed: 2, skipped: 0 };
    assert_eq!((repaired.repaired, repaired.state), (Some(summary), VerificationState::Clean));
    // The stream goes on, and neither direction took the repair for a client's.
    cinema.on_m().await.batch_execute("update film set title = 'later' where id = 1").await.unwrap();
    let verified = told(&mut engine, &cinema, Verb::Verify).await;
    assert_eq!(verified.state, VerificationState::Clean, "{verified:?}");
    let switched = engine.execute(&cinema.films(), Verb::Cutover { dry_run: false }).await.unwrap();
    assert!(matches!(switched, Answer::Switch(report) if report.outcome == CutoverOutcome::Switched));

    // The other way round: the copy that stays behind is repaired from the new home.
    let on_m = Vandal::enter(cinema.on_m().await, &cinema).await;
    on_m.breaks("update films_copy.film set title = 'broken' where id = 10").await;
    let repaired = told(&mut engine, &cinema, Verb::Repair { dry_run: false }).await;
    assert_eq!((repaired.repaired.unwrap().written, repaired.state), (1, VerificationState::Clean));
    engine.close().await;
    on_m.leave().await;
    vandal.leave().await;
}

#[tokio::test]
async fn a_repair_under_load_overwrites_nothing_that_is_newer() {
    let cinema = Cinema::new(Version::V15, Version::V17, "forward").await;
    let (mut engine, _canceller) = cinema.engine();
    let workload = cinema.writers(200).await;
    engine.execute(&cinema.films(), Verb::Apply(None)).await.unwrap();
    let vandal = Vandal::enter(cinema.on_n().await, &cinema).await;
    // Rows that the load changes as well: what it changes is mended by the stream, the rest is to be repaired.
    vandal.breaks("update films.film set studio_id = null where id <= 500").await;
    vandal.breaks("insert into films.film (id, code, title) select 1000000000000 + g, 'x' || g, 'extra' from generate_series(1, 20) g").await;
    let repaired = told(&mut engine, &cinema, Verb::Repair { dry_run: false }).await;
    let summary = repaired.repaired.unwrap();
    assert!(summary.written > 0 && summary.removed == 20, "{summary:?}");
    assert!(workload.wait_for(100, LOAD_LIMIT).await, "writers stand still after a repair");
    let record = workload.stop().await.unwrap();
    assert!(record.refused.is_empty(), "{:?}", record.errors);
    // What changed just then was left alone; without writers nothing is.
    let last = told(&mut engine, &cinema, Verb::Repair { dry_run: false }).await;
    assert_eq!(last.state, VerificationState::Clean, "{last:?}");
    engine.execute(&cinema.films(), Verb::Cutover { dry_run: false }).await.unwrap();
    cinema.check(&record, true).await;
    assert_eq!(
        number(&cinema.on_n().await, "select count(*) from films.film where title = 'extra'").await,
        0
    );
    engine.close().await;
    vandal.leave().await;
}

#[tokio::test]
async fn nothing_is_repaired_from_a_side_that_is_not_known_to_be_the_home() {
    let cinema = Cinema::new(Version::V16, Version::V16, "forward").await;
    let (mut engine, _canceller) = cinema.engine();
    engine.execute(&cinema.films(), Verb::Apply(None)).await.unwrap();
    let vandal = Vandal::enter(cinema.on_n().await, &cinema).await;
    vandal.breaks("update films.film set title = 'broken' where id = 1").await;
    let service = cinema.films();
    let pending = format!(
        "update cleave.owner set pending_home = 'products', pending_epoch = 7 where service = '{service}'"
    );
    vandal.breaks(&pending).await;
    let refused = engine.execute(&service, Verb::Repair { dry_run: false }).await.unwrap_err();
    assert_eq!(refused.code(), "C0613", "{refused}");
    assert_eq!(number(&vandal.client, "select count(*) from films.film where title = 'broken'").await, 1);
    let clear = format!(
        "update cleave.owner set pending_home = null, pending_epoch = null where service = '{service}'"
    );
    vandal.breaks(&clear).await;
    engine.execute(&service, Verb::Pause).await.unwrap();
    let paused = engine.execute(&service, Verb::Repair { dry_run: false }).await.unwrap_err();
    assert_eq!(paused.code(), "C0421", "{paused}");
    engine.execute(&service, Verb::Resume).await.unwrap();
    assert_eq!(
        told(&mut engine, &cinema, Verb::Repair { dry_run: false }).await.state,
        VerificationState::Clean
    );
    engine.close().await;
    vandal.leave().await;
}
