//! What is written to the source.

use crate::arena::{Failure, scaled};
use tokio_postgres::Client;

/// A backlog.
pub(super) struct Load {
    pub(super) name: &'static str,
    pub(super) unit: &'static str,
    /// How many of that unit.
    pub(super) count: f64,
    sql: String,
}

impl Load {
    /// 1,000,000 inserts, 500,000 updates, 200,000 deletes, 500 in each transaction.
    pub(super) fn mixed() -> Result<Self, Failure> {
        let (inserts, updates, deletes) = (scaled(2000)?, scaled(1000)?, scaled(400)?);
        let sql = format!(
            "do $$ begin
                for t in 1..{inserts} loop
                    insert into ev (n, label) select g, md5((t * 500 + g)::text) from generate_series(1, 500) g;
                    commit;
                end loop;
                for t in 0..{updates} - 1 loop
                    update ev set n = n + 1, label = md5(label) where id between t * 500 + 1 and t * 500 + 500;
                    commit;
                end loop;
                for t in 0..{deletes} - 1 loop
                    delete from ev where id between t * 500 + 1 and t * 500 + 500;
                    commit;
                end loop;
            end $$"
        );
        let count = ((inserts + updates + deletes) * 500) as f64;
        Ok(Self { name: "apply-mixed", unit: "changes/s", count, sql })
    }

    /// 200,000 transactions of one row: 6 of 10 insert, 3 update, 1 deletes.
    pub(super) fn one_row() -> Result<Self, Failure> {
        let rounds = scaled(20_000)?;
        let sql = format!(
            "do $$ declare last bigint := 0; begin
                for t in 1..{rounds} loop
                    for i in 1..6 loop
                        insert into ev (n, label) values (i, md5(t::text)) returning id into last;
                        commit;
                    end loop;
                    for i in 1..3 loop
                        update ev set n = n + 1, label = md5(label) where id = last - (hashint4(t * i) & 3);
                        commit;
                    end loop;
                    delete from ev where id = last - 4;
                    commit;
                end loop;
            end $$"
        );
        Ok(Self { name: "apply-one-row", unit: "transactions/s", count: (rounds * 10) as f64, sql })
    }

    /// 3,000,000 rows in one transaction.
    pub(super) fn huge() -> Result<Self, Failure> {
        let rows = scaled(3_000_000)?;
        let sql =
            format!("insert into ev (n, label) select g, md5(g::text) from generate_series(1, {rows}) g");
        Ok(Self { name: "apply-huge", unit: "rows/s", count: rows as f64, sql })
    }

    pub(super) async fn write(&self, source: &Client) -> Result<(), Failure> {
        source.batch_execute("set synchronous_commit = off").await?;
        source.batch_execute(&self.sql).await?;
        source.batch_execute("set synchronous_commit = on; checkpoint").await?;
        Ok(())
    }
}
