//! A table that cannot go on does not hold up the others, and tables that are copied again.

use super::servers::verified;
use super::stage::{House, LIMIT, SCHEMA, Stage, on, switched};
use cleave_engine::{Answer, EngineError, Events, Topology, Verb, Wishes};
use cleave_sandbox::{Cluster, Options, Version};
use cleave_stream::cancellation;
use cleave_testkit::TestDatabase;

/// Beside the films: parts of films, tied to them by a key, and actors, tied to nothing.
const MORE: &str = "
create table film_part (film_id bigint references film, part int, primary key (film_id, part));
create table actor (id bigint primary key, name text);
insert into film_part select id, 1 from film;
insert into actor select n, 'actor ' || n from generate_series(1, 100) n;
analyze;
";
const ALL: &str = r#"tables = ["public.film", "public.film_part", "public.actor"]"#;

/// Films, their parts and actors, followed.
async fn house(hint: &str, from: Version, to: Version) -> House {
    let House { stage, m, n } = House::between(from, to, hint).await;
    let stage = stage.with(r#"tables = ["public.film"]"#, ALL);
    stage.on_m(MORE).await;
    stage.apply().await.unwrap();
    House { stage, m, n }
}

/// `resume --recopy`.
async fn recopy(stage: &Stage, patterns: &[&str]) -> Result<Answer, EngineError> {
    let recopy = patterns.iter().map(|&pattern| pattern.to_owned()).collect();
    let topology: Topology = stage.topology().wishing(Wishes { recopy, ..Wishes::default() });
    let (_canceller, cancelled) = cancellation();
    cleave_engine::execute(&topology, &stage.service(), Verb::Resume, &Events::silent(), &cancelled).await
}

/// Code of a verb that another engine has executed.
fn code(result: Result<Answer, EngineError>) -> String {
    match result {
        Ok(Answer::Elsewhere(_, value)) => value["problem"]["code"].as_str().unwrap_or("none").to_owned(),
        Ok(other) => panic!("{other:?}"),
        Err(error) => error.problem().code,
    }
}

/// Something at the new home that refuses a row, what brings such a row, and how it is mended.
struct Poison {
    hint: &'static str,
    at_n: &'static str,
    at_m: &'static str,
    mended: &'static str,
    said: &'static str,
}

const CHECK: Poison = Poison {
    hint: "check",
    at_n: "alter table films.film add constraint poison check (title <> 'poison')",
    at_m: "insert into film (id, title) values (1000, 'poison')",
    mended: "alter table films.film drop constraint poison",
    said: "poison",
};
const UNIQUE: Poison = Poison {
    hint: "unique",
    at_n: "create unique index poison on films.film (title)",
    at_m: "update film set title = 'film 1' where id = 2",
    mended: "drop index films.poison",
    said: "poison",
};
const TRIGGER: Poison = Poison {
    hint: "trigger",
    at_n: "create function films.refuse() returns trigger language plpgsql as 'begin raise ''not that one''; end';
           create trigger poison before delete on films.film for each row execute function films.refuse();
           alter table films.film enable always trigger poison",
    at_m: "delete from film_part where film_id = 300; delete from inventory where film_id = 300; delete from film where id = 300",
    mended: "drop trigger poison on films.film; drop function films.refuse()",
    said: "not that one",
};

async fn check(poison: Poison) {
    let house = house(poison.hint, Version::V14, Version::V18).await;
    let stage = &house.stage;
    stage.on_n(poison.at_n).await;
    let running = stage.run();
    stage.on_m(poison.at_m).await;
    let problem = running.problem("C0561").await;
    assert_eq!(
        problem.message,
        "public.film, public.film_part are detached: they do not follow with the others"
    );
    // Values of rows are for who asks, and not for a log.
    assert!(!problem.causes.iter().any(|cause| cause.contains("key {")), "{problem:?}");
    // The others go on, those that are tied to it do not.
    stage.on_m("insert into film_part values (1, 2); insert into actor values (1000, 'new')").await;
    stage.until(&stage.n, "select count(*) = 1 from films.actor where id = 1000").await;
    let client = stage.on_n("").await;
    let count = client.query_one("select count(*) from films.film_part where part = 2", &[]).await.unwrap();
    assert_eq!(count.get::<_, i64>(0), 0);
    let status = cleave_engine::status(&stage.topology(), Some(&stage.service())).await.unwrap();
    let shown = stage.say(&status.services[0].problems[0]);
    assert!(shown.starts_with("C0561") && shown.contains("C0509") && shown.contains(poison.said), "{shown}");
    assert!(shown.contains(r#"the row of public.film with the key {"id":""#), "{shown}");
    assert!(shown.contains("of log for them") && shown.contains("next: cleave resume"), "{shown}");
    for verb in [Verb::Verify, Verb::Cutover { dry_run: false }, Verb::Repair { dry_run: true }] {
        assert_eq!(code(stage.verb(verb).await), "C0561");
    }
    stage.on_n(poison.mended).await;
    stage.verb(Verb::Resume).await.unwrap();
    stage.until(&stage.n, "select count(*) = 0 from cleave.detached").await;
    stage.until(&stage.n, "select count(*) = 1 from films.film_part where part = 2").await;
    running.stop().await;
    verified(stage).await;
    gone(stage).await;
    switched(stage.cutover().await);
    stage.verb(Verb::Complete).await.unwrap();
}

/// Nothing of a detached group is left on either server.
async fn gone(stage: &Stage) {
    let service = stage.service();
    let slots = format!(
        "select count(*) = 0 from pg_replication_slots where slot_name like 'cleave_{service}_forward_1_d%'"
    );
    stage.until(&stage.m, &slots).await;
    let origins = format!(
        "select count(*) = 0 from pg_replication_origin where roname like 'cleave_{service}_forward_d%'"
    );
    stage.until(&stage.n, &origins).await;
    stage.until(&stage.n, "select count(*) = 0 from cleave.position where stream like '%/d%'").await;
}

#[tokio::test]
async fn a_check_that_refuses_a_row_stops_its_table_and_those_tied_to_it_alone() {
    check(CHECK).await;
}

#[tokio::test]
async fn a_unique_index_that_refuses_a_row_stops_its_table_and_those_tied_to_it_alone() {
    check(UNIQUE).await;
}

#[tokio::test]
async fn a_trigger_that_refuses_a_row_stops_its_table_and_those_tied_to_it_alone() {
    check(TRIGGER).await;
}

#[tokio::test]
async fn tables_are_detached_and_join_again_under_load_and_nothing_is_lost() {
    let house = house("rejoin_load", Version::V16, Version::V16).await;
    let stage = &house.stage;
    stage.on_n(CHECK.at_n).await;
    let running = stage.run();
    let workload = stage.writers().await;
    assert!(workload.wait_for(50, LIMIT).await);
    stage.on_m(CHECK.at_m).await;
    running.problem("C0561").await;
    assert!(workload.wait_for(100, LIMIT).await);
    stage.on_n(CHECK.mended).await;
    stage.verb(Verb::Resume).await.unwrap();
    stage.until(&stage.n, "select count(*) = 0 from cleave.detached").await;
    assert!(workload.wait_for(50, LIMIT).await);
    let record = workload.stop().await.unwrap();
    running.stop().await;
    verified(stage).await;
    stage.check(&record, false).await;
    switched(stage.cutover().await);
    stage.check(&record, true).await;
}

#[tokio::test]
async fn a_service_of_tied_tables_alone_stops_as_a_whole_and_holds_up_no_other_service() {
    let house = House::verified("one_group").await;
    let stage = &house.stage;
    // A second service of the same monolith.
    let n = TestDatabase::create(Version::V16, "one_group_other").await.unwrap();
    let mut other = Stage::new(&stage.m, &n.url());
    let second = format!(
        r#"[services.{}]
home = "actors/films"
tables = ["public.actor"]
copies = ["monolith/actors_copy"]
bridge = "forward"
[limits]"#,
        other.service()
    );
    let database = format!("actors = {{ url = {:?} }}\n[services.", n.url());
    other.text = stage.text.replacen("[services.", &database, 1).replace("[limits]", &second);
    stage.on_m(MORE).await;
    other.apply().await.unwrap();
    stage.on_n(CHECK.at_n).await;
    // One engine runs both.
    let running = other.run();
    // A target that lets the one service wait.
    let lock = stage.on_n("begin; lock table films.film").await;
    stage.on_m("insert into film (title) values ('waits'); insert into actor values (999, 'goes on')").await;
    other.until(&other.n, "select count(*) = 1 from films.actor where id = 999").await;
    lock.batch_execute("rollback").await.unwrap();
    stage.on_m(CHECK.at_m).await;
    let problem = running.problem("C0509").await;
    assert!(problem.message.contains("films.film"), "{problem:?}");
    stage.on_m("insert into actor values (1000, 'new')").await;
    other.until(&other.n, "select count(*) = 1 from films.actor where id = 1000").await;
    stage.until(&stage.n, "select count(*) = 0 from cleave.detached").await;
    running.stop().await;
    other.verb(Verb::Cancel).await.unwrap();
}

#[tokio::test]
async fn what_stops_detached_tables_is_told_anew_when_it_is_another_row() {
    let house = house("next_poison", Version::V16, Version::V16).await;
    let stage = &house.stage;
    stage.on_n(CHECK.at_n).await;
    stage.on_n("alter table films.film_part add constraint second check (part <> 77)").await;
    let running = stage.run();
    stage
        .on_m("insert into film (id, title) values (1000, 'poison'); insert into film_part values (1000, 77)")
        .await;
    running.problem("C0561").await;
    stage.on_n(CHECK.mended).await;
    stage.verb(Verb::Resume).await.unwrap();
    let retold = r#"select count(*) = 1 from cleave.detached
        where cause and table_name = 'public.film_part' and key = '{"film_id": "1000", "part": "77"}'"#;
    stage.until(&stage.n, retold).await;
    stage.on_n("alter table films.film_part drop constraint second").await;
    // Nobody has to say that it was mended.
    stage.until(&stage.n, "select count(*) = 0 from cleave.detached").await;
    running.stop().await;
    verified(stage).await;
}

#[tokio::test]
async fn without_a_free_slot_a_table_that_cannot_go_on_stops_the_stream_as_a_whole() {
    let m =
        Cluster::start(Version::V16, &Options::new().setting("max_replication_slots", "2")).await.unwrap();
    m.create_database("shop").await.unwrap();
    let n = TestDatabase::create(Version::V18, "no_free_slot").await.unwrap();
    let stage = Stage::new(&m.url("shop"), &n.url()).with(r#"tables = ["public.film"]"#, ALL);
    stage.on_m(SCHEMA).await;
    stage.on_m(MORE).await;
    stage.apply().await.unwrap();
    stage.on_m("select pg_create_physical_replication_slot('somebody')").await;
    stage.on_n(CHECK.at_n).await;
    let running = stage.run();
    stage.on_m(CHECK.at_m).await;
    let problem = running.problem("C0509").await;
    assert!(problem.message.contains("films.film"), "{problem:?}");
    stage.on_n(CHECK.mended).await;
    stage.verb(Verb::Resume).await.unwrap();
    stage.until(&stage.n, "select count(*) = 1 from films.film where id = 1000").await;
    running.stop().await;
}

#[tokio::test]
async fn cancel_removes_what_detached_tables_have() {
    let house = house("detached_cancel", Version::V18, Version::V14).await;
    let stage = &house.stage;
    stage.on_n(CHECK.at_n).await;
    let running = stage.run();
    stage.on_m(CHECK.at_m).await;
    running.problem("C0561").await;
    running.stop().await;
    stage.verb(Verb::Cancel).await.unwrap();
    gone(stage).await;
    stage.until(&stage.n, "select count(*) = 0 from cleave.detached").await;
}

/// Changes rows at the new home as nobody should, past fence and streams.
async fn damage(stage: &Stage, sql: &str) {
    let origin = format!("cleave_{}_copy_7", stage.service());
    let client = on(&stage.n, "").await;
    client
        .batch_execute(&format!(
            "select pg_replication_origin_create('{origin}'); select pg_replication_origin_session_setup('{origin}');
             set session_replication_role = replica"
        ))
        .await
        .unwrap();
    client.batch_execute(sql).await.unwrap();
    client.batch_execute("select pg_replication_origin_session_reset()").await.unwrap();
}

#[tokio::test]
async fn a_row_that_is_missing_detaches_its_tables_and_copying_them_again_joins_them() {
    let house = house("recopy_missing", Version::V14, Version::V18).await;
    let stage = &house.stage;
    damage(stage, "delete from films.film where id = 5; update films.film set title = 'wrong' where id = 6")
        .await;
    let running = stage.run();
    stage.on_m("update film set title = 'there' where id = 5").await;
    let problem = running.problem("C0561").await;
    assert!(problem.causes[0].starts_with("C0508 update of films.film met 0 rows"), "{problem:?}");
    assert_eq!(code(recopy(stage, &["public.nothing"]).await), "C0563");
    stage.on_m("insert into actor values (1000, 'goes on')").await;
    stage.until(&stage.n, "select count(*) = 1 from films.actor where id = 1000").await;
    let workload = stage.writers().await;
    assert!(workload.wait_for(20, LIMIT).await);
    recopy(stage, &["public.film"]).await.unwrap();
    stage.until(&stage.n, "select count(*) = 0 from cleave.detached").await;
    let record = workload.stop().await.unwrap();
    running.stop().await;
    verified(stage).await;
    stage.check(&record, false).await;
    gone(stage).await;
    let origins = format!(
        "select count(*) = 0 from pg_replication_origin where roname like 'cleave_{}_copy_%' and roname not like '%_7'",
        stage.service()
    );
    stage.until(&stage.n, &origins).await;
    switched(stage.cutover().await);
    switched(stage.rollback().await);
}

#[tokio::test]
async fn a_lost_slot_is_replaced_when_all_tables_are_copied_again() {
    let house = house("recopy_lost", Version::V16, Version::V18).await;
    let stage = &house.stage;
    let slot = format!("cleave_{}_forward_1", stage.service());
    stage
        .on_m(&format!(
            "select pg_drop_replication_slot('{slot}'); insert into film (title) values ('unseen')"
        ))
        .await;
    let running = stage.run();
    let problem = running.problem("C0502").await;
    assert!(problem.hint.unwrap().contains("--recopy '*.*'"));
    running.stop().await;
    assert_eq!(code(recopy(stage, &["public.film"]).await), "C0563");
    recopy(stage, &["*.*"]).await.unwrap();
    verified(stage).await;
    switched(stage.cutover().await);
}

#[tokio::test]
async fn a_table_whose_trigger_would_fire_is_not_copied_again() {
    let house = house("recopy_trigger", Version::V18, Version::V18).await;
    let stage = &house.stage;
    stage.on_n(TRIGGER.at_n).await;
    let said = stage.said(recopy(stage, &["public.film"]).await);
    assert!(
        said.starts_with("C0564 exit 4: trigger poison of films.film fires for replicated rows"),
        "{said}"
    );
    stage.on_n("alter table films.film disable trigger poison").await;
    recopy(stage, &["public.film"]).await.unwrap();
    verified(stage).await;
}

#[tokio::test]
async fn a_table_with_other_columns_than_the_stream_has_come_to_is_not_copied_again() {
    let house = house("recopy_columns", Version::V16, Version::V16).await;
    let stage = &house.stage;
    stage.on_m("alter table actor add column born int").await;
    let said = stage.said(recopy(stage, &["public.actor"]).await);
    assert!(
        said.starts_with("C0563 exit 4: the columns of public.actor have changed on the source: born"),
        "{said}"
    );
    // The other tables are none of its concern.
    recopy(stage, &["public.film*"]).await.unwrap();
    stage.on_m("insert into film (title) values ('goes on')").await;
    let running = stage.run();
    stage.until(&stage.n, "select count(*) = 1 from films.film where title = 'goes on'").await;
    running.stop().await;
}
