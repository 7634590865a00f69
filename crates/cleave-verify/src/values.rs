//! The values of rows that differ, for the user's eyes only.

use crate::{
    ColumnValues, DifferenceKind, Values, VerifyError,
    connection::{Connection, Parameter},
    pair::{Half, Pair},
    recheck::Decided,
    suspects::{Identity, columns},
};
use std::collections::BTreeMap;

type Texts = Vec<Option<String>>;

/// What both sides have of rows, as read after it was decided about them.
#[derive(Default)]
pub(crate) struct Read {
    home: BTreeMap<Identity, Texts>,
    follower: BTreeMap<Identity, Texts>,
}

impl Read {
    /// Rows whose values are held at a time: a row may be large.
    pub(crate) const ROWS_MAX: usize = 50;

    /// Reads the rows that are proven to differ, in the order they were decided, up to `limit` rows.
    pub(crate) async fn decided(
        (home, follower): (&Connection, &Connection),
        pair: &Pair,
        decided: &[Decided],
        limit: usize,
    ) -> Result<Self, VerifyError> {
        let mut all = Self::default();
        if !pair.keyed {
            return Ok(all);
        }
        let proven = decided.iter().filter_map(|decided| match decided {
            Decided::Different(identity, _) => Some(identity),
            Decided::Unproven(..) => None,
        });
        let rows: Vec<&Identity> = proven.take(limit).collect();
        if !rows.is_empty() {
            (all.home, all.follower) =
                tokio::try_join!(read(home, &pair.home, &rows), read(follower, &pair.follower, &rows))?;
        }
        Ok(all)
    }

    /// A row's values, of the columns that matter for its kind of difference.
    pub(crate) fn of(&mut self, pair: &Pair, identity: &Identity, kind: &DifferenceKind) -> Values {
        let (home, follower) = (self.home.remove(identity), self.follower.remove(identity));
        if home.is_none() && follower.is_none() {
            return Values::default();
        }
        let differs = |name| match kind {
            DifferenceKind::Different { columns } if !columns.is_empty() => columns.contains(name),
            _ => true,
        };
        let value = |texts: &Option<Texts>, at: usize| texts.as_ref()?.get(at)?.clone();
        let columns = pair.columns.iter().enumerate().filter(|(_, name)| differs(name));
        let column_values = columns.map(|(at, name)| ColumnValues {
            column: name.clone(),
            home: value(&home, at),
            follower: value(&follower, at),
        });
        Values(column_values.collect())
    }
}

async fn read(
    connection: &Connection,
    half: &Half,
    rows: &[&Identity],
) -> Result<BTreeMap<Identity, Texts>, VerifyError> {
    let columns = columns(rows.iter().copied(), half.statements.identity_columns);
    let parameters: Vec<Parameter<'_>> = columns.iter().map(|column| column as Parameter<'_>).collect();
    let mut texts = BTreeMap::new();
    for row in connection.rows(&half.name, &half.statements.values, &parameters).await? {
        texts.insert(connection.value(&half.name, &row, 0)?, connection.value(&half.name, &row, 1)?);
    }
    Ok(texts)
}
