//! One table on both sides: described, with its statements, ready to be read.

use crate::{
    VerifyError, VerifyLimits, VerifyTable,
    canonical::Canonical,
    connection::Connection,
    ranges::Ranges,
    relation::Relation,
    sql::{Bytes, Statements},
};
use cleave_model::{Ident, QualifiedName};

/// A table on both sides.
pub(crate) struct Pair {
    pub(crate) home: Half,
    pub(crate) follower: Half,
    /// Names on the home, in the order of the column hashes.
    pub(crate) columns: Vec<Ident>,
    pub(crate) keyed: bool,
    /// If the table is not read at once.
    pub(crate) ranges: Option<Ranges>,
    pub(crate) estimated_rows: u64,
    /// As the home's statistics say now.
    pub(crate) written_rows: i64,
}

/// A table on one side.
pub(crate) struct Half {
    pub(crate) name: QualifiedName,
    pub(crate) statements: Statements,
}

impl Pair {
    pub(crate) async fn read(
        home: &Connection,
        follower: &Connection,
        table: &VerifyTable,
        limits: VerifyLimits,
    ) -> Result<Self, VerifyError> {
        let (mut on_home, mut on_follower) =
            tokio::try_join!(Relation::read(home, table), Relation::read(follower, table))?;
        for (here, there) in on_home.columns.iter_mut().zip(&mut on_follower.columns) {
            here.canonical = Canonical::of(here, there);
            there.canonical = here.canonical;
        }
        let bytes = if on_home.encoding == on_follower.encoding { Bytes::AsStored } else { Bytes::Utf8 };
        let key = table.key.as_deref().filter(|key| tells_rows_apart(key, &on_home, &on_follower));
        let ranges = match key.and_then(<[usize]>::first) {
            Some(first) => Ranges::of([(home, &on_home), (follower, &on_follower)], *first, limits).await?,
            None => None,
        };
        let half = |relation: &Relation| Half {
            name: relation.name.clone(),
            statements: match key {
                Some(key) if ranges.is_some() => Statements::keyed_in_ranges(relation, key, bytes),
                Some(key) => Statements::keyed(relation, key, bytes),
                None => Statements::keyless(relation, bytes),
            },
        };
        Ok(Self {
            home: half(&on_home),
            follower: half(&on_follower),
            columns: table.columns.iter().map(|(home, _)| home.clone()).collect(),
            keyed: key.is_some(),
            ranges: ranges.clone(),
            estimated_rows: on_home.extent.estimated_rows.max(on_follower.extent.estimated_rows),
            written_rows: on_home.extent.written_rows,
        })
    }
}

/// A unique index holds rows with null in the key any number of times, and no index finds them by equality.
fn tells_rows_apart(key: &[usize], home: &Relation, follower: &Relation) -> bool {
    let not_null = |relation: &Relation, at: usize| relation.columns.get(at).is_some_and(|one| one.not_null);
    !key.is_empty() && key.iter().all(|at| not_null(home, *at) && not_null(follower, *at))
}
