//! One table on both sides: described, with its statements, ready to be read.

use crate::{
    Side, VerifyError, VerifyLimits, VerifyTable,
    canonical::Canonical,
    connection::Connection,
    order::{may_differ, order},
    parts::{Range, Walk},
    relation::Relation,
    sql::{Bytes, Statements, Subject},
};
use cleave_model::{Ident, QualifiedName};

/// A table on both sides.
pub(crate) struct Pair {
    pub(crate) home: Half,
    pub(crate) follower: Half,
    /// Names on the home, in the order of the column hashes.
    pub(crate) columns: Vec<Ident>,
    pub(crate) keyed: bool,
    /// A row may be in different parts on the two sides.
    pub(crate) parts_may_differ: bool,
    pub(crate) estimated_rows: u64,
    /// As the home's statistics say now.
    pub(crate) written_rows: i64,
    relations: [Relation; 2],
    /// In which columns' order the table is read in parts; none if it cannot be.
    order: Vec<usize>,
    bytes: u64,
}

/// A table on one side.
pub(crate) struct Half {
    pub(crate) name: QualifiedName,
    pub(crate) statements: Statements,
    pub(crate) keyed: bool,
    pub(crate) side: Side,
}

impl Pair {
    pub(crate) async fn read(
        home: &Connection,
        follower: &Connection,
        table: &VerifyTable,
    ) -> Result<Self, VerifyError> {
        let (mut on_home, mut on_follower) =
            tokio::try_join!(Relation::read(home, table), Relation::read(follower, table))?;
        for (here, there) in on_home.columns.iter_mut().zip(&mut on_follower.columns) {
            here.canonical = Canonical::of(here, there);
            there.canonical = here.canonical;
        }
        let bytes = if on_home.encoding == on_follower.encoding { Bytes::AsStored } else { Bytes::Utf8 };
        let key = table.key.as_deref().filter(|key| tells_rows_apart(key, &on_home, &on_follower));
        let order = order([(home, &on_home), (follower, &on_follower)], key).await?.unwrap_or_default();
        let half = |side: Side, relation: &Relation, only: &Option<String>| {
            let subject = Subject { relation, order: &order, only: only.as_deref(), bytes };
            let statements = match key {
                Some(key) => Statements::keyed(&subject, key),
                None => Statements::keyless(&subject),
            };
            Half { name: relation.name.clone(), statements, keyed: key.is_some(), side }
        };
        Ok(Self {
            home: half(Side::Home, &on_home, &table.home_where),
            follower: half(Side::Follower, &on_follower, &table.follower_where),
            columns: table.columns.iter().map(|(home, _)| home.clone()).collect(),
            keyed: key.is_some(),
            parts_may_differ: may_differ([&on_home, &on_follower], &order),
            estimated_rows: on_home.extent.estimated_rows.max(on_follower.extent.estimated_rows),
            written_rows: on_home.extent.written_rows,
            bytes: on_home.extent.bytes.max(on_follower.extent.bytes),
            relations: [on_home, on_follower],
            order,
        })
    }

    /// The table's parts.
    pub(crate) fn walk(&self, limits: VerifyLimits) -> Walk {
        Walk::new([&self.relations[0], &self.relations[1]], &self.order, self.bytes, limits)
    }

    /// All of the table.
    pub(crate) fn whole(&self) -> Range {
        Range::new([None; 2], None, self.order.len())
    }
}

/// A unique index holds rows with null in the key any number of times, and no index finds them by equality.
fn tells_rows_apart(key: &[usize], home: &Relation, follower: &Relation) -> bool {
    let not_null = |relation: &Relation, at: usize| relation.columns.get(at).is_some_and(|one| one.not_null);
    !key.is_empty() && key.iter().all(|at| not_null(home, *at) && not_null(follower, *at))
}
