//! Two databases to compare, and the one check that the tests go through.

use cleave_model::{Ident, QualifiedName};
use cleave_pg::Endpoint;
use cleave_sandbox::Version;
use cleave_testkit::TestDatabase;
use cleave_verify::{
    Checkpoints, DifferenceKind, RowKey, Settle, TableOutcome, VerifyError, VerifyLimits, VerifyOutcome,
    VerifySpec, VerifyTable, verify,
};
use std::sync::Arc;
use tokio_postgres::Client;

pub(crate) struct Sides {
    pub(crate) home: Client,
    pub(crate) follower: Client,
    pub(crate) home_url: String,
    pub(crate) follower_url: String,
    _databases: [TestDatabase; 2],
}

impl Sides {
    pub(crate) async fn create(home: Version, follower: Version, hint: &str) -> Self {
        let (home, follower) =
            tokio::try_join!(TestDatabase::create(home, hint), TestDatabase::create(follower, hint)).unwrap();
        Self {
            home: home.connect().await.unwrap(),
            follower: follower.connect().await.unwrap(),
            home_url: home.url(),
            follower_url: follower.url(),
            _databases: [home, follower],
        }
    }

    /// Runs the same statements on both sides.
    pub(crate) async fn both(&self, sql: &str) {
        tokio::try_join!(self.home.batch_execute(sql), self.follower.batch_execute(sql)).unwrap();
    }

    pub(crate) async fn on_follower(&self, sql: &str) {
        self.follower.batch_execute(sql).await.unwrap();
    }

    pub(crate) fn spec(&self, tables: Vec<VerifyTable>) -> VerifySpec {
        VerifySpec {
            home: Endpoint::parse(&self.home_url).unwrap(),
            follower: Endpoint::parse(&self.follower_url).unwrap(),
            tables,
            jobs: 2,
            settle: settled(),
            limits: VerifyLimits::default(),
            found: None,
            checkpoints: Checkpoints::default(),
            cancel: Box::pin(std::future::pending()),
        }
    }

    pub(crate) async fn verify(&self, tables: Vec<VerifyTable>) -> VerifyOutcome {
        verify(self.spec(tables), |_| {}).await.unwrap()
    }

    /// Compares one table and gives its numbers and differences as lines.
    pub(crate) async fn compare(&self, table: VerifyTable) -> Vec<String> {
        described(&self.verify(vec![table]).await.tables[0])
    }
}

/// For sides on which nothing moves.
pub(crate) fn settled() -> Settle {
    Arc::new(|| Box::pin(async { Ok::<(), VerifyError>(()) }))
}

/// A table of one name on both sides, in schema `public`; the first `key` columns are its key.
pub(crate) fn table(name: &str, columns: &[&str], key: usize) -> VerifyTable {
    let columns = columns.iter().map(|column| (Ident::from(*column), Ident::from(*column)));
    let name = QualifiedName::new("public", name);
    VerifyTable::whole(name.clone(), name, columns.collect(), (key > 0).then(|| (0..key).collect()))
}

pub(crate) fn described(outcome: &TableOutcome) -> Vec<String> {
    let mut lines: Vec<String> = outcome
        .differences
        .iter()
        .map(|difference| {
            let kind = match &difference.kind {
                DifferenceKind::Missing => "missing".to_owned(),
                DifferenceKind::Extra => "extra".to_owned(),
                DifferenceKind::Different { columns } => {
                    let columns: Vec<&str> = columns.iter().map(Ident::as_str).collect();
                    format!("different in {}", columns.join(", "))
                }
                DifferenceKind::Unproven => "unproven".to_owned(),
            };
            match &difference.row {
                RowKey::Key(_) => format!("{kind} {}", difference.row),
                RowKey::Keyless { home, follower, .. } => format!("{kind} {home} to {follower}"),
            }
        })
        .collect();
    lines.sort();
    let TableOutcome { rows, equal, missing, extra, different, unproven, .. } = outcome;
    lines.insert(
        0,
        format!(
            "{rows} rows: {equal} equal, {missing} missing, {extra} extra, {different} different, {unproven} unproven"
        ),
    );
    lines
}
