//! The rules of readiness on real servers: each finds what its own bad example has, and is silent about the good one.

use crate::places::run;
use cleave_assess::readiness::{
    Check, Example, Finding, Ground, Observed, PlanSpeaks, RULES, Rule, Severity, Side, judge, judge_pair,
};
use cleave_pg::{During as _, Endpoint};
use cleave_sandbox::{Pooler, Version};
use cleave_testkit::TestDatabase;
use futures_util::StreamExt as _;

/// Databases at once.
const AT_ONCE: usize = 4;

async fn observe(url: &str) -> Observed {
    let endpoint = Endpoint::parse(url).unwrap();
    let session = cleave_pg::connect(&endpoint, "test").await.unwrap();
    let catalog = cleave_pg::catalog::read_catalog(&session).await.unwrap();
    let mut instance = cleave_pg::instance::read_instance(&session).await.unwrap();
    instance.connection = cleave_pg::instance::look_at_connection(&endpoint).await.unwrap();
    Observed { catalog, instance }
}

/// What all rules say of an example, where the database that has it is a source as well as a target. `empty` is what an
/// empty database looks like.
async fn judged(rule: &Rule, example: &Example, hint: &str, empty: &Observed) -> Vec<Finding> {
    let mut observed = if example.sql().is_empty() {
        empty.clone()
    } else {
        let database = TestDatabase::create(Version::V18, &format!("{}_{hint}", rule.code)).await.unwrap();
        run(&database.url(), example.sql()).await;
        let observed = observe(&database.url()).await;
        for subscription in &observed.catalog.subscriptions {
            let name = subscription.name.quoted();
            let sql = format!("alter subscription {name} set (slot_name = none); drop subscription {name}");
            run(&database.url(), &sql).await;
        }
        observed
    };
    match example {
        Example::Sql(_) => {}
        Example::Observed(_, _, change) => change(&mut observed),
        Example::Pair(_, _, change) => {
            let mut target = empty.clone();
            change(&mut observed, &mut target);
            let (source, target) = (Ground::whole(&observed), Ground::whole(&target));
            return judge_pair(&source, &target, PlanSpeaks::Not).findings;
        }
    }
    judge(&Ground::whole(&observed), &[Side::Source, Side::Target], PlanSpeaks::Not).findings
}

async fn check_examples(rule: &'static Rule, empty: &Observed) -> Vec<String> {
    let bad = judged(rule, &rule.bad, "bad", empty).await;
    let good = judged(rule, &rule.good, "good", empty).await;
    let mut wrong = Vec::new();
    match bad.iter().filter(|finding| finding.code == rule.code).max_by_key(|finding| finding.severity) {
        None => wrong.push(format!("{}: not found in its bad example: {bad:#?}", rule.code)),
        Some(found) if found.severity != rule.severity => {
            wrong.push(format!(
                "{}: weighs {:?}, and its page says {:?}",
                rule.code, found.severity, rule.severity
            ));
        }
        Some(_) => {}
    }
    if let Some(found) = good.iter().find(|finding| finding.code == rule.code) {
        wrong.push(format!("{}: found in its good example: {found:#?}", rule.code));
    }
    wrong
}

#[tokio::test]
async fn every_finding_is_found_in_its_bad_example_and_not_in_its_good_one() {
    let database = TestDatabase::create(Version::V18, "readiness_examples").await.unwrap();
    let empty = observe(&database.url()).await;
    let checks = futures_util::stream::iter(RULES.iter().map(|rule| check_examples(rule, &empty)));
    let wrong: Vec<String> = checks.buffer_unordered(AT_ONCE).collect::<Vec<_>>().await.concat();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn an_empty_database_of_a_server_as_it_comes_has_no_blocker_and_no_warning_on_any_version() {
    for version in Version::ALL {
        let database = TestDatabase::create(version, "readiness_empty").await.unwrap();
        let mut observed = observe(&database.url()).await;
        // Other tests of this process prepare transactions and hold locks on the same server.
        observed.instance.transactions.clear();
        observed.instance.prepared.clear();
        // Servers of tests run without it.
        assert_eq!(observed.instance.settings.insert("fsync".into(), "on".into()).as_deref(), Some("off"));
        let judgement = judge(&Ground::whole(&observed), &[Side::Source, Side::Target], PlanSpeaks::Not);
        let loud = judgement.findings.iter().filter(|finding| finding.severity > Severity::Note);
        assert_eq!(loud.collect::<Vec<_>>(), Vec::<&Finding>::new(), "{version}");
        assert_eq!(observed.instance.unread, vec![], "{version}: a superuser may read everything");
        let ones = RULES.iter().filter(|rule| matches!(rule.check, Check::One(_))).count();
        assert_eq!(judgement.checks, ones);
    }
}

#[tokio::test]
async fn an_ordinary_role_is_told_what_it_could_not_read_and_reads_the_rest() {
    let database = TestDatabase::create(Version::V17, "readiness_role").await.unwrap();
    let role = format!("{}_reader", database.name());
    run(
        &database.url(),
        &format!("create role {role} login password 'secret'; create unlogged table basket (id int)"),
    )
    .await;
    let observed = observe(&database.url_as(&role, "secret")).await;
    assert!(observed.instance.host_rules.is_none());
    let unread: Vec<&str> = observed.instance.unread.iter().map(|unread| unread.what.as_str()).collect();
    assert_eq!(unread, ["the rules of pg_hba.conf"], "{:?}", observed.instance.unread);
    let judgement = judge(&Ground::whole(&observed), &[Side::Source], PlanSpeaks::Not);
    let codes: Vec<&str> = judgement.findings.iter().map(|finding| finding.code).collect();
    assert!(codes.contains(&"C0840") && codes.contains(&"C0830"), "{codes:?}");
}

/// What a database looks like through a pooler that shares server processes so.
async fn codes_through_a_pooler(database: &TestDatabase, pool_mode: &str) -> Vec<(&'static str, Severity)> {
    let port = database.cluster().port();
    let line =
        format!("shop = host=127.0.0.1 port={port} dbname={} user=postgres pool_size=4", database.name());
    let pooler = Pooler::start(&[line], pool_mode).await.unwrap();
    // Somebody else has used a process before.
    run(&pooler.url("shop"), "select 1").await;
    let endpoint = Endpoint::parse(&pooler.url("shop")).unwrap();
    let connection = cleave_pg::instance::look_at_connection(&endpoint).await.unwrap();
    let mut observed = observe(&database.url()).await;
    observed.instance.connection = connection;
    let findings = judge(&Ground::whole(&observed), &[Side::Source], PlanSpeaks::Not).findings;
    findings.iter().filter(|f| f.code == "C0887").map(|finding| (finding.code, finding.severity)).collect()
}

#[tokio::test]
async fn a_pooler_that_shares_processes_between_transactions_is_recognised() {
    if !Pooler::is_there() {
        return crate::trouble::pooler::skipped(
            "a_pooler_that_shares_processes_between_transactions_is_recognised",
        );
    }
    let database = TestDatabase::create(Version::V16, "readiness_pooler").await.unwrap();
    assert_eq!(codes_through_a_pooler(&database, "transaction").await, [("C0887", Severity::Blocker)]);
    assert_eq!(codes_through_a_pooler(&database, "session").await, [], "each client keeps its process");
}

/// What a shared process does to prepared statements depends on who else is there: either the reading fails of it, or
/// the rule finds it.
#[tokio::test]
async fn an_assessment_through_a_pooler_that_shares_processes_says_so() {
    if !Pooler::is_there() {
        return crate::trouble::pooler::skipped(
            "an_assessment_through_a_pooler_that_shares_processes_says_so",
        );
    }
    let database = TestDatabase::create(Version::V16, "readiness_pooler_assess").await.unwrap();
    let port = database.cluster().port();
    let line =
        format!("shop = host=127.0.0.1 port={port} dbname={} user=postgres pool_size=4", database.name());
    let pooler = Pooler::start(&[line], "transaction").await.unwrap();
    let endpoint = Endpoint::parse(&pooler.url("shop")).unwrap();
    let codes = match cleave_engine::assess(&endpoint).await {
        Ok(report) => report.findings.into_iter().map(|finding| finding.code).collect(),
        Err(error) => vec![error.code().to_owned()],
    };
    assert!(codes.iter().any(|code| code == "C0887"), "{codes:?}");
}

#[tokio::test]
async fn a_statement_that_the_server_no_longer_knows_is_a_sign_of_a_pooler() {
    let database = TestDatabase::create(Version::V16, "readiness_lost_statement").await.unwrap();
    let endpoint = Endpoint::parse(&database.url()).unwrap();
    let session = cleave_pg::connect(&endpoint, "test").await.unwrap();
    let statement = session.prepare("select 1").await.unwrap();
    session.batch_execute("deallocate all").await.unwrap();
    let error = session.query_one(&statement, &[]).await.during("asking").unwrap_err();
    assert_eq!(error.code(), "C0887", "{error}");
}
