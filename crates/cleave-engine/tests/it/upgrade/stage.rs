//! Two databases of different versions and an upgrade between them.

use crate::trouble::stage::on;
use cleave_api::{CutoverOutcome, VerificationState};
use cleave_config::Config;
use cleave_engine::{Answer, EngineError, Events, Topology, Until, Verb};
use cleave_model::ServiceName;
use cleave_sandbox::{Cluster, Options, Oracle, Record, Verdict, Version};
use cleave_stream::cancellation;
use cleave_testkit::TestDatabase;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::sync::OnceCell;
use tokio_postgres::Client;

/// An upgrade whose name nobody else uses: slots and origins belong to the servers, which tests share.
pub(super) struct Upgrade {
    pub(super) old: TestDatabase,
    pub(super) new: TestDatabase,
    pub(super) name: String,
    /// More lines of `[upgrade]`.
    pub(super) lines: String,
}

impl Upgrade {
    /// On the servers that upgrades share among themselves: they carry all roles of the old one, which are of no concern to
    /// other tests.
    pub(super) async fn between(from: Version, to: Version, hint: &str) -> Self {
        static SERVERS: [OnceCell<Cluster>; Version::ALL.len()] =
            [const { OnceCell::const_new() }; Version::ALL.len()];
        let server = async |version: Version| {
            let place = &SERVERS[(version.major() - Version::V14.major()) as usize];
            place.get_or_init(async || Cluster::start(version, &Options::new()).await.unwrap()).await
        };
        Self::on(server(from).await, server(to).await, hint).await
    }

    /// On servers of its own, for a test with roles.
    pub(super) async fn alone(from: Version, to: Version, hint: &str) -> Self {
        let server = async |version| {
            let cluster: &'static Cluster =
                Box::leak(Box::new(Cluster::start(version, &Options::new()).await.unwrap()));
            cluster
        };
        Self::on(server(from).await, server(to).await, hint).await
    }

    async fn on(from: &'static Cluster, to: &'static Cluster, hint: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("up_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let old = TestDatabase::create_on(from, &format!("{hint}_old")).await.unwrap();
        let new = TestDatabase::create_on(to, &format!("{hint}_new")).await.unwrap();
        Self { old, new, name, lines: String::new() }
    }

    pub(super) fn topology(&self) -> Topology {
        let tools = cleave_sandbox::client_tools().unwrap();
        let text = format!(
            "[databases]\nold = {{ url = {:?} }}\nnew = {{ url = {:?} }}\n\
             [upgrade]\nfrom = \"old\"\nto = \"new\"\nname = {:?}\nclient_tools = {:?}\n{}\n\
             [limits]\nwrite_pause = \"5s\"\nlock_timeout = \"300ms\"\nlock_budget = \"20s\"\n",
            self.old.url(),
            self.new.url(),
            self.name,
            tools.display().to_string(),
            self.lines
        );
        Topology::new(Config::parse(&text, "cleave.toml").unwrap(), &text, Path::new("/"))
    }

    pub(super) fn service(&self) -> ServiceName {
        ServiceName::parse(&self.name).unwrap()
    }

    pub(super) async fn on_old(&self, sql: &str) -> Client {
        on(&self.old.url(), sql).await
    }

    pub(super) async fn on_new(&self, sql: &str) -> Client {
        on(&self.new.url(), sql).await
    }

    pub(super) async fn try_apply(&self) -> Result<Answer, EngineError> {
        let (_canceller, cancelled) = cancellation();
        let ways = (&Events::silent(), &cancelled);
        cleave_engine::apply(&self.topology(), &self.service(), None, Until::Following, ways).await
    }

    pub(super) async fn apply(&self) {
        if let Err(error) = self.try_apply().await {
            panic!("{}", said(&error));
        }
    }

    pub(super) async fn verb(&self, verb: Verb) -> Result<Answer, EngineError> {
        let (_canceller, cancelled) = cancellation();
        cleave_engine::execute(&self.topology(), &self.service(), verb, &Events::silent(), &cancelled).await
    }

    pub(super) async fn verify(&self) {
        match self.verb(Verb::Verify).await {
            Ok(Answer::Verification(report)) => {
                assert_eq!(report.state, VerificationState::Clean, "{report:?}")
            }
            Ok(other) => panic!("{other:?}"),
            Err(error) => panic!("{}", said(&error)),
        }
    }

    pub(super) async fn cutover(&self) {
        self.switch(Verb::Cutover { dry_run: false }).await;
    }

    pub(super) async fn rollback(&self) {
        self.switch(Verb::Rollback { dry_run: false }).await;
    }

    async fn switch(&self, verb: Verb) {
        match self.verb(verb).await {
            Ok(Answer::Switch(report)) => assert_eq!(report.outcome, CutoverOutcome::Switched, "{report:?}"),
            Ok(other) => panic!("{other:?}"),
            Err(error) => panic!("{}", said(&error)),
        }
    }

    /// What a verb that is refused says.
    pub(super) async fn refused(&self, verb: Verb) -> String {
        match self.verb(verb).await {
            Ok(answer) => panic!("it was not refused: {answer:?}"),
            Err(error) => said(&error),
        }
    }

    pub(super) async fn end(&self, verb: Verb) {
        if let Err(error) = self.verb(verb).await {
            panic!("{}", said(&error));
        }
    }

    /// Each acknowledged token stands once in the new database.
    pub(super) async fn check(&self, record: &Record, sql: &str, kinds: &[&'static str]) -> Verdict {
        let mut oracle = Oracle::new().place("new", self.new.url(), sql);
        for kind in kinds {
            oracle = oracle.home(cleave_sandbox::Kind::new(kind), &["new"]);
        }
        let verdict = oracle.check(&[record]).await.unwrap();
        assert!(verdict.is_clean(), "{verdict:?}");
        assert!(verdict.acknowledged > 0, "{verdict:?}");
        verdict
    }

    /// The schema of both sides as one and the same pg_dump prints it.
    pub(super) fn same_schema(&self) {
        let (old, new) = (schema(&self.old.url()), schema(&self.new.url()));
        assert!(old.len() > 1000, "{old}");
        if old == new {
            return;
        }
        let known: Vec<&str> = old.lines().collect();
        let there: Vec<&str> = new.lines().collect();
        let gone: Vec<&&str> = known.iter().filter(|line| !there.contains(line)).collect();
        let come: Vec<&&str> = there.iter().filter(|line| !known.contains(line)).collect();
        panic!("only old: {gone:#?}\nonly new: {come:#?}");
    }
}

/// An error with its causes, as people read it.
pub(super) fn said(error: &EngineError) -> String {
    let problem = error.problem();
    let mut lines = vec![format!("{} exit {}: {}", problem.code, problem.exit.code(), problem.message)];
    lines.extend(problem.causes.iter().map(|cause| format!("cause: {cause}")));
    lines.extend(problem.hint.iter().map(|hint| format!("hint: {hint}")));
    lines.join("\n")
}

/// Without Cleave's own objects, and without what says which server it is.
fn schema(url: &str) -> String {
    let tools = cleave_sandbox::client_tools().unwrap();
    let output = Command::new(tools.join("pg_dump"))
        .args(["--schema-only", "--exclude-schema=cleave", "--no-publications", "--dbname", url])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let ours = |line: &&str| {
        line.starts_with("-- Dumped") || line.starts_with("\\restrict") || line.starts_with("\\unrestrict")
    };
    let mut kept: Vec<&str> = text.lines().filter(|line| !ours(line)).collect();
    kept.retain(|line| !line.contains("cleave_fence"));
    kept.retain(|line| !line.is_empty() && *line != "--");
    without_qualifiers(&kept).join("\n")
}

/// From 16 on views print columns of their only table without its name.
fn without_qualifiers(lines: &[&str]) -> Vec<String> {
    let mut in_view = false;
    let mut kept = Vec::new();
    for line in lines {
        let begins = ["CREATE VIEW ", "CREATE OR REPLACE VIEW ", "CREATE MATERIALIZED VIEW "];
        in_view |= begins.iter().any(|begin| line.starts_with(begin));
        let ends = line.ends_with(';');
        if in_view && line.starts_with(' ') && !line.trim_start().starts_with("FROM ") {
            let words = line.split_inclusive([' ', '(', ',']).map(|word| match word.split_once('.') {
                Some((table, column)) if table.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') => {
                    column
                }
                _ => word,
            });
            kept.push(words.collect());
        } else {
            kept.push((*line).to_owned());
        }
        in_view &= !ends;
    }
    kept
}
