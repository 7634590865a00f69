//! What nobody should do while a service moves: alter its tables, or write where only copies are.

use super::servers::verified;
use super::stage::{House, on, switched};
use cleave_engine::{Answer, Events, Verb};
use cleave_model::QualifiedName;

#[tokio::test]
async fn a_column_added_after_the_verification_is_a_reason_to_verify_again() {
    let house = House::verified("added_column").await;
    let stage = &house.stage;
    stage.on_m("alter table inventory add column note text").await;
    stage.on_m("alter table film add column year int").await;
    assert_eq!(
        stage.said(stage.cutover().await),
        "C0710 exit 4: altered since the verification: public.film (source)\nnext: cleave verify SERVICE"
    );
    assert_eq!(stage.home().await, "monolith");
}

#[tokio::test]
async fn an_index_dropped_after_the_verification_is_a_reason_to_verify_again() {
    let house = House::verified("dropped_index").await;
    let stage = &house.stage;
    stage.on_n("drop index films.film_title").await;
    assert_eq!(
        stage.said(stage.cutover().await),
        "C0710 exit 4: altered since the verification: films.film (new home)\nnext: cleave verify SERVICE"
    );
    stage.verb(Verb::Verify).await.unwrap();
    switched(stage.cutover().await);
}

const CHANGED: &str = "C0506 exit 1: table public.film has changed: it has a column year that the stream does not know\n\
    hint: changes written since then are in the log in the new form; `cleave cancel SERVICE`, then `cleave apply \
    SERVICE` copies anew\nnext: cleave explain C0506";

#[tokio::test]
async fn a_column_added_while_the_target_follows_stops_the_stream_by_name() {
    let house = House::verified("ddl_stops").await;
    let stage = &house.stage;
    let running = stage.run();
    stage
        .on_m("alter table film add column year int; insert into film (title, year) values ('later', 1999)")
        .await;
    let problem = running.problem("C0506").await;
    assert_eq!(stage.say(&problem), CHANGED);
    let status = cleave_engine::status(&stage.topology(), Some(&stage.service())).await.unwrap();
    assert_eq!(status.services[0].problems.first().map(|problem| problem.code.as_str()), Some("C0506"));
    // `status` reads what was stored.
    let stored = stage.say(&status.services[0].problems[0]);
    assert_eq!(stored, CHANGED.rsplit_once('\n').unwrap().0);
    let Answer::Elsewhere(exit, value) = stage.cutover().await.unwrap() else { panic!() };
    assert_eq!((exit.code(), &value["problem"]["code"]), (4, &"C0708".into()), "{value}");
    running.stop().await;
    // The way that the hint shows leads on.
    stage.verb(Verb::Cancel).await.unwrap();
    stage.apply().await.unwrap();
    verified(stage).await;
    switched(stage.cutover().await);
}

#[tokio::test]
async fn a_write_past_the_fence_of_the_new_home_stops_the_way_back() {
    let house = House::verified("stray_n").await;
    let stage = &house.stage;
    let running = stage.run();
    // A superuser may leave the fence out.
    let stray = "alter table films.film disable trigger all;
                 insert into films.film (id, title) values (-1, 'stray');
                 alter table films.film enable always trigger cleave_fence";
    stage.on_n(stray).await;
    let problem = running.problem("C0505").await;
    assert_eq!(
        stage.say(&problem),
        "C0505 exit 1: a write reached a copy: films.film of the back stream's source, which is not the home of \
         SERVICE\nhint: the home is not touched by it; `cleave cancel SERVICE`, then `cleave apply SERVICE` copies \
         anew\nnext: cleave explain C0505"
    );
    running.stop().await;
    let said = stage.said(stage.cutover().await);
    // Either the stream has met the write again, or what it has withdrawn is missed first.
    let stopped = "C0708 exit 4: the back stream has stopped: a write reached a copy: films.film";
    assert!(
        said.starts_with(stopped) || said.starts_with("C0710 exit 4: service SERVICE is not verified"),
        "{said}"
    );
    assert_eq!(stage.home().await, "monolith");
    // What is taken back has no problem any more.
    stage.verb(Verb::Cancel).await.unwrap();
    let settled = "select state = 'cancelled' and problem is null from cleave.move where service = 'SERVICE'";
    stage.until(&stage.m, settled).await;
}

#[tokio::test]
async fn a_write_to_the_copy_that_stays_behind_stops_the_forward_stream() {
    let house = House::verified("stray_m").await;
    let stage = &house.stage;
    switched(stage.cutover().await);
    let running = stage.run();
    let refused = on(&stage.m, "").await.batch_execute("delete from films_copy.film").await.unwrap_err();
    assert!(refused.as_db_error().unwrap().message().contains("products"), "{refused:?}");
    stage
        .on_m(
            "alter table films_copy.film disable trigger all;
             insert into films_copy.film (id, title) values (-1, 'stray');
             alter table films_copy.film enable always trigger cleave_fence",
        )
        .await;
    let problem = running.problem("C0505").await;
    assert_eq!(
        stage.say(&problem),
        "C0505 exit 1: a write reached a copy: films_copy.film of the forward stream's source, which is not the home \
         of SERVICE\nhint: the home is not touched by it; there is no rollback any more: `cleave complete SERVICE` \
         ends the move\nnext: cleave explain C0505"
    );
    // The home goes on meanwhile, and the copy with it.
    stage.on_m("insert into film (title) values ('at home')").await;
    stage.until(&stage.m, "select count(*) = 1 from films_copy.film where title = 'at home'").await;
    running.stop().await;
    let said = stage.said(stage.rollback().await);
    assert!(
        said.starts_with(
            "C0708 exit 4: the forward stream has stopped: a write reached a copy: films_copy.film"
        ),
        "{said}"
    );
    stage.verb(Verb::Complete).await.unwrap();
}

#[tokio::test]
async fn a_fence_that_its_owner_has_disabled_or_dropped_is_told_by_status_and_doctor() {
    let house = House::verified("fence_off").await;
    let stage = &house.stage;
    let told = || async {
        let status = cleave_engine::status(&stage.topology(), Some(&stage.service())).await.unwrap();
        let problems = status.services[0].problems.iter();
        problems.map(|problem| stage.say(problem)).collect::<Vec<_>>().join("\n")
    };
    let expected = |place: &str, state: &str, fix: &str| {
        format!(
            "C0721 exit 0: the fence of {place} {state}: writes there would not be stopped\nhint: find out who \
             changed it, run `{fix}` there, and compare with `cleave verify SERVICE`"
        )
    };
    let fix = |table: &str| {
        let statements = cleave_ddl::fence::triggers(&stage.service(), &[QualifiedName::new(table, "film")]);
        statements.join("; ").replace(stage.service().as_str(), "SERVICE")
    };
    assert_eq!(told().await, "");
    stage.on_n("alter table films.film disable trigger cleave_fence").await;
    assert_eq!(told().await, expected("films.film in products", "does not fire always", &fix("films")));
    stage.on_n("alter table films.film enable trigger cleave_fence").await;
    assert_eq!(told().await, expected("films.film in products", "does not fire always", &fix("films")));
    let warned = |report: &cleave_api::DoctorReport| {
        let warned = report.findings.iter().filter(|finding| finding.code == "C0721");
        warned.map(|finding| (finding.seen.clone(), finding.fix_sql.clone())).collect::<Vec<_>>()
    };
    stage.on_n("drop trigger cleave_fence on films.film").await;
    assert_eq!(told().await, expected("films.film in products", "is missing", &fix("films")));
    let seen = "the fence of films.film in products is missing".to_owned();
    let repair = fix("films").replace("SERVICE", stage.service().as_str());
    let doctor = async || {
        let services = [stage.service()];
        cleave_engine::doctor(&stage.topology(), Some(&services), &Events::silent()).await.unwrap()
    };
    assert_eq!(warned(&doctor().await), [(seen, Some(repair))]);
    stage.on_n(&fix("films").replace("SERVICE", stage.service().as_str())).await;
    assert_eq!(told().await, "");
    assert_eq!(warned(&doctor().await), []);
    verified(stage).await;
    switched(stage.cutover().await);
    assert_eq!(told().await, "");
    stage.on_m("alter table films_copy.film disable trigger user").await;
    assert_eq!(
        told().await,
        expected("films_copy.film in monolith", "does not fire always", &fix("films_copy"))
    );
}
