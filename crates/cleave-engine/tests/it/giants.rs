//! A move of a table that is copied in ranges of its key.

use crate::trouble::stage::{House, SCHEMA, Stage, on, switched};
use cleave_api::Event;
use cleave_engine::{Answer, Events, Until, Verb};
use cleave_sandbox::{Cluster, Options, StopMode, Version};
use cleave_stream::cancellation;
use cleave_testkit::TestDatabase;
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

/// Codes are unique, but the table is divided by something else.
const GROW: &str = "
alter table film add column code int, add column wide text;
alter table film alter column wide set storage external;
insert into film (title, code, wide) select 'film ' || n, n, repeat('w', 2500) || n from generate_series(1001, 2500) n;
create unique index film_code on film (code);
alter table film add constraint film_code_once unique (code, title) deferrable initially deferred;
analyze;
";

/// Ranges of 256 kB, each in a snapshot of its own.
fn giant(stage: &Stage) -> Stage {
    stage.with("[limits]", "[limits]\ngiant = \"2MB\"\nsnapshot_age = \"1ms\"\njobs = 1")
}

/// Passes codes from the first rows to the last and back, and moves rows from one end of the key to the other.
fn pass_on(url: &str) -> (Arc<AtomicBool>, tokio::task::JoinHandle<u32>) {
    let stop = Arc::new(AtomicBool::new(false));
    let (told, url) = (Arc::clone(&stop), url.to_owned());
    let task = tokio::spawn(async move {
        let client = cleave_sandbox::connect(&url).await.unwrap();
        let mut round = 0;
        while !told.load(Ordering::Relaxed) {
            let at = round % 400;
            let sql = format!(
                "begin;
                 create temp table code on commit drop as
                   select (select min(id) from film where id > 400 and id % 400 = {at}) as first,
                          (select max(id) from film where id % 400 = {at}) as last;
                 create temp table was on commit drop as
                   select f.code as first, l.code as last from code c, film f, film l where f.id = c.first and l.id = c.last;
                 update film set code = null where id in (select first from code union all select last from code);
                 update film set code = (select last from was) where id = (select first from code);
                 update film set code = (select first from was) where id = (select last from code);
                 update film set id = (select max(id) + 1 from film) where id = (select first from code);
                 commit"
            );
            client.batch_execute(&sql).await.unwrap();
            round += 1;
        }
        round
    });
    (stop, task)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_giant_whose_unique_values_pass_between_its_ranges_moves_and_switches() {
    let house = House::between(Version::V15, Version::V18, "giant").await;
    let stage = giant(&house.stage);
    stage.on_m(GROW).await;
    let (stop, passing) = pass_on(&stage.m);
    stage.apply().await.unwrap();
    stop.store(true, Ordering::Relaxed);
    assert!(passing.await.unwrap() > 10);
    let ages = "select count(distinct start) > 5 and count(*) > 5 from cleave.copied_range";
    stage.until(&stage.n, ages).await;
    let kept = "select count(*) = 3 and bool_and(x.indisvalid and x.indisunique) from pg_index x
                where x.indrelid = 'films.film'::regclass and (x.indisprimary or x.indexrelid::regclass::text like '%code%')";
    stage.until(&stage.n, kept).await;
    let late = "select count(*) = 2 from cleave.copied_range r join cleave.copied c using (source_oid)
                where r.number in (0, 1) and c.start > r.start";
    stage.until(&stage.n, late).await;
    match stage.verb(Verb::Verify).await {
        Ok(Answer::Verification(report)) => assert!(report.differences.is_empty(), "{report:?}"),
        other => panic!("{other:?}"),
    }
    switched(stage.cutover().await);
    stage.on_n("insert into films.film (id, title, code) values (-1, 'at home', -1)").await;
    switched_back(stage.rollback().await);
    stage.until(&stage.m, "select count(*) = 1 from film where code = -1").await;
    stage.verb(Verb::Verify).await.unwrap();
}

fn switched_back(result: Result<Answer, cleave_engine::EngineError>) {
    match result {
        Ok(Answer::Switch(report)) => assert_eq!(report.home, "monolith"),
        other => panic!("{other:?}"),
    }
}

/// On N, before the move: the copy fails when it has read the fourth range.
async fn stop_in_the_middle(stage: &Stage) {
    let mut n = cleave_sandbox::connect(&stage.n).await.unwrap();
    cleave_journal::install(&mut n).await.unwrap();
    n.batch_execute(
        "create function stop() returns trigger language plpgsql as
           'begin if new.number >= 3 then raise ''stopped here''; end if; return new; end';
         create trigger stop before update on cleave.copied_range for each row execute function stop();
         alter table cleave.copied_range enable always trigger stop",
    )
    .await
    .unwrap();
}

const GO_ON: &str = "drop function stop() cascade";

#[tokio::test(flavor = "multi_thread")]
async fn status_counts_the_ranges_that_are_there_and_the_next_apply_reads_the_others() {
    let house = House::between(Version::V18, Version::V14, "giant_status").await;
    let stage = giant(&house.stage);
    stage.on_m(GROW).await;
    stop_in_the_middle(&stage).await;
    let said = stage.said(stage.apply().await);
    assert!(said.contains("stopped here"), "{said}");
    let n = stage.on_n("").await;
    let there: i64 = n.query_one("select count(*) from films.film", &[]).await.unwrap().get(0);
    let report = cleave_engine::status(&stage.topology(), None).await.unwrap();
    let copy = report.services[0].copy.clone().unwrap();
    assert!(there > 0 && copy.bytes > 0);
    assert_eq!((copy.rows, copy.tables_done), (u64::try_from(there).unwrap(), 0));
    let starts = "select array_agg(start order by number)::text from cleave.copied_range where number < 3";
    let before: String = n.query_one(starts, &[]).await.unwrap().get(0);
    n.batch_execute(GO_ON).await.unwrap();
    // As a build leaves it behind that was ended in the middle.
    n.batch_execute(
        "create unique index film_code on films.film (code, id);
         update pg_index set indisvalid = false where indexrelid = 'films.film_code'::regclass",
    )
    .await
    .unwrap();
    let notes: Arc<Mutex<Vec<String>>> = Arc::default();
    let heard = Arc::clone(&notes);
    let events = Events::new(move |event| {
        if let Event::Note { message, .. } = event {
            heard.lock().unwrap().push(message);
        }
    });
    let (_canceller, cancelled) = cancellation();
    let topology = stage.topology();
    let service = stage.service();
    cleave_engine::apply(&topology, &service, None, Until::Following, (&events, &cancelled)).await.unwrap();
    let said = notes.lock().unwrap().join("\n");
    assert!(said.contains("of public.film 3 of ") && said.contains(" ranges are there"), "{said}");
    let after: String = n.query_one(starts, &[]).await.unwrap().get(0);
    assert_eq!(before, after);
    let anew = "select indisvalid and pg_get_indexdef(indexrelid) like '%(code)' from pg_index
                where indexrelid = 'films.film_code'::regclass";
    stage.until(&stage.n, anew).await;
    stage.verb(Verb::Verify).await.unwrap();
}

/// A new slot would begin behind changes of the ranges that are there.
#[tokio::test(flavor = "multi_thread")]
async fn a_slot_that_is_lost_while_ranges_are_copied_is_not_made_anew() {
    let house = House::between(Version::V16, Version::V17, "giant_slot").await;
    let stage = giant(&house.stage);
    stage.on_m(GROW).await;
    stop_in_the_middle(&stage).await;
    stage.apply().await.unwrap_err();
    stage.on_n(GO_ON).await;
    let lost = "select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = current_database()";
    stage.on_m(lost).await;
    let said = stage.said(stage.apply().await);
    assert!(
        said.starts_with("C0502 ") && said.contains("changes of tables that are copied already"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_promoted_between_two_ranges_is_not_copied_on() {
    let cluster = Cluster::start(Version::V16, &Options::new()).await.unwrap();
    cluster.create_database("shop").await.unwrap();
    let n = TestDatabase::create(Version::V18, "giant_promoted").await.unwrap();
    let stage = giant(&Stage::new(&cluster.url("shop"), &n.url()));
    stage.on_m(SCHEMA).await;
    stage.on_m(GROW).await;
    stop_in_the_middle(&stage).await;
    stage.apply().await.unwrap_err();
    stage.on_n(GO_ON).await;
    cluster.stop(StopMode::Fast).await.unwrap();
    std::fs::write(cluster.data_dir().join("standby.signal"), "").unwrap();
    cluster.restart().await.unwrap();
    on(&stage.m, "select pg_promote()").await;
    stage.until(&stage.m, "select not pg_is_in_recovery()").await;
    let said = stage.said(stage.apply().await);
    let expected = "its tables were being copied on timeline 1, and it is on timeline 2 now";
    assert!(said.starts_with("C0532 ") && said.contains(expected), "{said}");
    stage.until(&stage.n, "select count(start) = 3 from cleave.copied_range").await;
    stage.verb(Verb::Cancel).await.unwrap();
    stage.until(&stage.n, "select count(*) = 0 from cleave.copied_range").await;
    stage.apply().await.unwrap();
    stage.verb(Verb::Verify).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_giant_that_cannot_be_divided_is_copied_whole_and_the_plan_says_why() {
    let house = House::between(Version::V17, Version::V18, "giant_whole").await;
    let stage = giant(&house.stage);
    stage.on_m(GROW).await;
    // Rows in no order.
    let anew = "truncate film cascade;
                insert into film (id, title, code, wide) select n, '', n, repeat('w', 2500) || n
                from generate_series(1, 1500) n order by md5(n::text);
                analyze film";
    stage.on_m(anew).await;
    let findings = async || {
        let plan = cleave_engine::plan(&stage.topology(), &stage.service()).await.unwrap();
        let own = plan.findings().iter().filter(|finding| finding.code.starts_with("C055"));
        own.map(|finding| format!("{} {}", finding.code, finding.message)).collect::<Vec<_>>()
    };
    let said = findings().await;
    assert!(
        said.len() == 1 && said[0].starts_with("C0551 has ") && said[0].contains("correlation 0.0"),
        "{said:?}"
    );
    stage.apply().await.unwrap();
    stage.until(&stage.n, "select count(*) = 0 from cleave.copied_range").await;
    stage.verb(Verb::Verify).await.unwrap();
}
