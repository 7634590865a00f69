//! Rows that nobody writes to any more, compared once: for those that changed too often while everybody did.

use crate::{
    Side, VerifyError, VerifyLimits, VerifyTable,
    connection::{Connection, Parameter},
    pair::{Half, Pair},
    suspects::{Identity, add, columns},
};
use cleave_pg::{During, Endpoint, PgError, Session};
use std::collections::{BTreeMap, BTreeSet};

/// Rows read at once.
const CHUNK_ROWS: usize = 2_000;

/// Rows to be compared, with all that must be known for it: it happens while writers wait.
pub struct RowsCheck {
    follower: Connection,
    tables: Vec<(Pair, Vec<Identity>)>,
}

impl RowsCheck {
    /// Rows by the texts of their keys; tables without a key have none.
    ///
    /// # Errors
    /// As [`crate::verify`].
    pub async fn open(
        home: &Endpoint,
        follower: &Endpoint,
        tables: &[(VerifyTable, Vec<Vec<String>>)],
    ) -> Result<Self, VerifyError> {
        let limit = VerifyLimits::default().snapshot;
        let (home, follower) = tokio::try_join!(
            Connection::open(Side::Home, home, limit),
            Connection::open(Side::Follower, follower, limit)
        )?;
        let mut pairs = Vec::with_capacity(tables.len());
        for (table, rows) in tables {
            let distinct: BTreeSet<Identity> = rows.iter().cloned().collect();
            pairs.push((Pair::read(&home, &follower, table).await?, distinct.into_iter().collect()));
        }
        Ok(Self { follower, tables: pairs })
    }

    /// How many rows are not the same on both sides. Exact only while nothing writes to either, and the follower has
    /// all of what the home committed. `home` is a session that may read its tables: nobody else may where it holds
    /// their locks.
    ///
    /// # Errors
    /// As [`crate::verify`].
    pub async fn differing(&self, home: &Session) -> Result<u64, VerifyError> {
        let mut differing = 0;
        for (pair, rows) in &self.tables {
            for some in rows.chunks(CHUNK_ROWS) {
                let (here, there) = tokio::try_join!(
                    contents(home, &pair.home, some),
                    contents(self.follower.session(), &pair.follower, some)
                )?;
                differing += some.iter().filter(|row| here.get(*row) != there.get(*row)).count() as u64;
            }
        }
        Ok(differing)
    }
}

/// Counts and hashes of rows that are there.
async fn contents(
    session: &Session,
    half: &Half,
    rows: &[Identity],
) -> Result<BTreeMap<Identity, Vec<i64>>, VerifyError> {
    let failed = |source: PgError| VerifyError::of_table(half.side, &half.name, source);
    let columns = columns(rows.iter(), half.statements.identity_columns);
    let parameters: Vec<Parameter<'_>> = columns.iter().map(|column| column as Parameter<'_>).collect();
    let mut contents = BTreeMap::new();
    let what = "reading rows";
    for row in session.query(&half.statements.lookup, &parameters).await.during(what).map_err(failed)? {
        let identity: Identity = row.try_get(0).during(what).map_err(failed)?;
        let content: Vec<i64> = row.try_get(1).during(what).map_err(failed)?;
        add(contents.entry(identity).or_default(), &content);
    }
    Ok(contents)
}
