//! `cleave doctor` on real servers: what is missing is found, and what it says fixes it does.

use crate::places::{Places, run};
use cleave_api::{DoctorReport, Severity};
use cleave_engine::{EngineError, Events, doctor};
use cleave_model::ServiceName;
use cleave_sandbox::{Cluster, Options, Version};
use cleave_testkit::TestDatabase;

const FILMS: &str = r#"
home = "products/films"
tables = ["public.film"]
copies = ["monolith/films_copy"]
"#;

fn codes(report: &DoctorReport, severity: Severity) -> Vec<&str> {
    let mut codes: Vec<&str> =
        report.findings.iter().filter(|f| f.severity == severity).map(|f| f.code.as_str()).collect();
    codes.sort_unstable();
    codes.dedup();
    codes
}

async fn examine(places: &Places) -> DoctorReport {
    doctor(&places.topology(), None, &Events::silent()).await.unwrap()
}

async fn database(version: Version, hint: &str) -> TestDatabase {
    let database = TestDatabase::create(version, hint).await.unwrap();
    run(&database.url(), "create table film (id int primary key, title text)").await;
    database
}

#[tokio::test]
async fn two_ready_servers_have_no_errors_and_no_warnings_that_stop_a_move() {
    let (monolith, products) = (
        database(Version::V14, "doctor_ready_m").await,
        TestDatabase::create(Version::V18, "doctor_ready_n").await.unwrap(),
    );
    let places = Places::new(&monolith.url(), &products.url(), FILMS);
    let report = examine(&places).await;
    assert_eq!(codes(&report, Severity::Error), Vec::<&str>::new(), "{:#?}", report.findings);
    assert!(report.checks > 20, "{}", report.checks);
    assert!(codes(&report, Severity::Note).contains(&"C0829"), "both URLs name a superuser");
    assert!(codes(&report, Severity::Note).contains(&"C0826"), "the bridge's address is said");
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_a_finding_and_the_other_side_is_checked_all_the_same() {
    let monolith = database(Version::V16, "doctor_unreachable").await;
    let places = Places::new(&monolith.url(), "postgres://nobody:hush@127.0.0.1:1/nothing", FILMS);
    let report = examine(&places).await;
    let found = report.findings.iter().find(|finding| finding.code == "C0800").unwrap();
    assert_eq!((found.database.as_str(), found.severity), ("products", Severity::Error));
    assert!(found.seen.contains("127.0.0.1:1") && !found.seen.contains("hush"), "{}", found.seen);
    assert!(found.why.contains("C0101"), "{}", found.why);
    assert!(report.findings.iter().any(|finding| finding.database == "monolith"));
}

#[tokio::test]
async fn a_missing_variable_is_a_finding_too() {
    let monolith = database(Version::V16, "doctor_variable").await;
    let places = Places::new(&monolith.url(), "env:CLEAVE_TEST_NOT_SET", FILMS);
    let report = examine(&places).await;
    let found = report.findings.iter().find(|finding| finding.code == "C0800").unwrap();
    assert!(found.seen.contains("CLEAVE_TEST_NOT_SET is not set"), "{}", found.seen);
}

#[tokio::test]
async fn a_service_that_the_file_does_not_have_is_an_error() {
    let places = Places::new("postgres://a@h/d", "postgres://a@h/e", FILMS);
    let name = ServiceName::parse("film").unwrap();
    let error = doctor(&places.topology(), Some(&[name]), &Events::silent()).await.unwrap_err();
    assert!(matches!(error, EngineError::NoSuchService { known, .. } if known == ["films"]));
}

#[tokio::test]
async fn what_a_server_has_too_little_of_is_named_with_the_setting_that_gives_more() {
    let options = Options::new()
        .setting("wal_level", "replica")
        .setting("max_replication_slots", "1")
        .setting("max_wal_senders", "1")
        .setting("max_active_replication_origins", "1")
        .setting("max_connections", "10")
        .setting("wal_sender_timeout", "0")
        .setting("max_slot_wal_keep_size", "64MB");
    let cluster = Cluster::start(Version::V18, &options).await.unwrap();
    let url = cluster.url("postgres");
    run(&url, "create table film (id int primary key)").await;
    let report = examine(&Places::new(&url, &url, FILMS)).await;
    let errors = codes(&report, Severity::Error);
    for code in ["C0801", "C0803", "C0804", "C0805", "C0806"] {
        assert!(errors.contains(&code), "{code} {:#?}", report.findings);
    }
    let warnings = codes(&report, Severity::Warning);
    assert!(warnings.contains(&"C0823") && warnings.contains(&"C0824"), "{:#?}", report.findings);
    let fixes: Vec<&str> = report.findings.iter().filter_map(|f| f.fix_sql.as_deref()).collect();
    for setting in ["wal_level = 'logical'", "max_wal_senders = ", "max_active_replication_origins = "] {
        assert!(fixes.iter().any(|fix| fix.contains(setting)), "{setting} {fixes:#?}");
    }
}

#[tokio::test]
async fn after_its_fixes_a_server_has_what_was_missing() {
    let options = Options::new().setting("max_replication_slots", "1").setting("max_wal_senders", "2");
    let cluster = Cluster::start(Version::V15, &options).await.unwrap();
    let url = cluster.url("postgres");
    run(&url, "create table film (id int primary key)").await;
    let places = Places::new(&url, &url, FILMS);
    for finding in examine(&places).await.findings.iter().filter(|f| f.severity == Severity::Error) {
        for statement in finding.fix_sql.as_deref().unwrap().split_inclusive(';') {
            run(&url, statement).await;
        }
    }
    cluster.restart().await.unwrap();
    let report = examine(&places).await;
    assert_eq!(codes(&report, Severity::Error), Vec::<&str>::new(), "{:#?}", report.findings);
}

#[tokio::test]
async fn a_standby_and_a_prepared_transaction_are_found() {
    let cluster = Cluster::start(Version::V17, &Options::new()).await.unwrap();
    let url = cluster.url("postgres");
    run(&url, "create table film (id int primary key)").await;
    run(&url, "begin; insert into film values (1); prepare transaction 'two''phase'").await;
    let places = Places::new(&url, &url, FILMS);
    let report = examine(&places).await;
    let prepared = report.findings.iter().find(|finding| finding.code == "C0820").unwrap();
    assert_eq!(prepared.object.as_deref(), Some("two'phase"));
    assert!(prepared.fix_sql.as_deref().unwrap().starts_with("rollback prepared 'two''phase';"));

    std::fs::write(cluster.data_dir().join("standby.signal"), "").unwrap();
    cluster.restart().await.unwrap();
    let report = examine(&places).await;
    assert!(codes(&report, Severity::Error).contains(&"C0821"), "{:#?}", report.findings);
}

#[tokio::test]
async fn tables_that_cannot_be_followed_and_names_that_fit_nothing_are_found_before_a_plan() {
    let monolith = database(Version::V15, "doctor_tables").await;
    run(&monolith.url(), "create table film_text (film_id int, words text)").await;
    let films = FILMS.replace("\"public.film\"", "\"public.film*\", \"public.actor\"");
    let places = Places::new(&monolith.url(), &monolith.url(), &films);
    let report = examine(&places).await;
    let keyless = report.findings.iter().find(|finding| finding.code == "C0208").unwrap();
    assert_eq!(keyless.object.as_deref(), Some("public.film_text"));
    assert!(keyless.fix_sql.as_deref().unwrap().contains("replica identity full"));
    let missing = report.findings.iter().find(|finding| finding.code == "C0817").unwrap();
    assert!(missing.seen.contains("public.actor"), "{}", missing.seen);
}

/// A role that may only log in hears of everything that it lacks; with what it is told, nothing is missing.
async fn check_missing_rights_are_found_and_fixed(version: Version) {
    let hint = format!("doctor_rights_{}", version.major());
    let database = TestDatabase::create(version, &hint).await.unwrap();
    let (role, owner) = (format!("{}_cleave", database.name()), format!("{}_app", database.name()));
    let admin = database.url();
    run(
        &admin,
        &format!(
            "create role {role} login password 'secret'; create role {owner};
             create table film (id int primary key, title text); alter table film owner to {owner};
             alter table film enable row level security, force row level security"
        ),
    )
    .await;
    let films = format!("{FILMS}owner = \"{owner}2\"\n");
    let url = database.url_as(&role, "secret");
    let places = Places::new(&url, &url, &films);
    let report = examine(&places).await;
    let errors = codes(&report, Severity::Error);
    // On 14 everybody may create in schema public.
    let schema = (version > Version::V14).then_some("C0811");
    let rights = ["C0807", "C0808", "C0809", "C0810", "C0812", "C0813", "C0814", "C0815", "C0818", "C0827"];
    for code in rights.into_iter().chain(schema) {
        assert!(errors.contains(&code), "{version} {code} {:#?}", report.findings);
    }
    assert!(codes(&report, Severity::Warning).contains(&"C0816"), "{:#?}", report.findings);

    // The rights on the owner that is missing can be asked for only once it is there.
    for _ in 0..2 {
        for finding in examine(&places).await.findings.iter().filter(|f| f.severity == Severity::Error) {
            run(&admin, finding.fix_sql.as_deref().unwrap_or_default()).await;
        }
    }
    let report = examine(&places).await;
    // Replica mode on 14 and the bridge's role need functions, which the script makes.
    let left: &[&str] = if version == Version::V14 { &["C0813", "C0815"] } else { &["C0815"] };
    assert_eq!(codes(&report, Severity::Error), left, "{:#?}", report.findings);
}

#[tokio::test]
async fn rights_that_a_role_lacks_are_found_and_fixed_on_14() {
    check_missing_rights_are_found_and_fixed(Version::V14).await;
}

#[tokio::test]
async fn rights_that_a_role_lacks_are_found_and_fixed_on_15() {
    check_missing_rights_are_found_and_fixed(Version::V15).await;
}

#[tokio::test]
async fn rights_that_a_role_lacks_are_found_and_fixed_on_16() {
    check_missing_rights_are_found_and_fixed(Version::V16).await;
}

#[tokio::test]
async fn rights_that_a_role_lacks_are_found_and_fixed_on_17() {
    check_missing_rights_are_found_and_fixed(Version::V17).await;
}

#[tokio::test]
async fn rights_that_a_role_lacks_are_found_and_fixed_on_18() {
    check_missing_rights_are_found_and_fixed(Version::V18).await;
}
