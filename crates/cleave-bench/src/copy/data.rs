//! The database that is cloned: many narrow rows, fewer wide ones with `jsonb`, five indexes.

use crate::arena::{Failure, scaled};
use cleave_sandbox::Cluster;

/// Name of the source's database.
const NAME: &str = "clone_source";

/// Tables without keys, and what makes them whole.
pub(super) const TABLES: &str = "
    create table accounts (aid int not null, bid int, abalance int, filler char(84));
    create table orders (
        id bigint not null, account_id int not null, amount numeric(12, 2) not null, currency text not null,
        placed_at timestamptz not null, note text, details jsonb not null);";
pub(super) const KEYS: &str = "
    alter table accounts add primary key (aid);
    alter table orders add primary key (id);
    create index orders_account_id on orders (account_id);
    create index orders_placed_at on orders (placed_at);
    create index orders_currency_amount on orders (currency, amount);";

/// Rows in the narrow table and in the wide one; all of them are about 1.4 GB with indexes.
const ACCOUNTS: u64 = 6_000_000;
const ORDERS: u64 = 2_000_000;

/// How many rows there are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    accounts: u64,
    orders: u64,
}

impl Size {
    pub(super) fn from_environment() -> Result<Self, Failure> {
        Ok(Self { accounts: scaled(ACCOUNTS)?, orders: scaled(ORDERS)? })
    }

    pub(super) fn rows(self) -> u64 {
        self.accounts + self.orders
    }
}

/// The source as it is.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) url: String,
    pub(super) rows: [i64; 2],
    pub(super) gigabytes: f64,
}

/// Makes the source.
pub(super) async fn make(cluster: &Cluster, size: Size) -> Result<Source, Failure> {
    cluster.create_database(NAME).await?;
    let url = cluster.url(NAME);
    let client = cleave_sandbox::connect(&url).await?;
    client.batch_execute(TABLES).await?;
    let fill = format!(
        "insert into accounts select g, g % 60 + 1, 0, '' from generate_series(1, {}) g;
         insert into orders
         select g, g % 100000 + 1, (g % 1000000) / 100.0, (array['EUR', 'USD', 'GBP'])[g % 3 + 1],
                timestamptz '2026-01-01 00:00Z' + g % 5000000 * interval '1 second', md5(g::text),
                jsonb_build_object('lines', g % 9, 'sku', md5((g % 5000)::text), 'gift', g % 2 = 0)
         from generate_series(1, {}) g;",
        size.accounts, size.orders
    );
    client.batch_execute(&fill).await?;
    client.batch_execute(KEYS).await?;
    client.batch_execute("vacuum (analyze) accounts, orders").await?;
    let bytes: i64 = client
        .query_one("select pg_total_relation_size('accounts') + pg_total_relation_size('orders')", &[])
        .await?
        .get(0);
    let rows = [size.accounts, size.orders].map(|rows| i64::try_from(rows).unwrap_or(i64::MAX));
    let full = ACCOUNTS as f64 / size.accounts as f64;
    // The size is a name's part: rounded to what does not change from one run to the next.
    let gigabytes = (bytes as f64 * full / 1e8).round() / 10.0 / full;
    Ok(Source { url, rows, gigabytes })
}

/// Rows, indexes and keys are there.
pub(super) async fn expect_same(target: &str, source: &Source, schema: &str) -> Result<(), Failure> {
    let client = cleave_sandbox::connect(target).await?;
    let mut found = [0; 2];
    for (table, rows) in ["accounts", "orders"].into_iter().zip(&mut found) {
        *rows = client.query_one(&format!("select count(*) from {schema}.{table}"), &[]).await?.get(0);
    }
    let indexes = "select count(*) filter (where i.indisvalid), count(k.oid) from pg_index i
                   join pg_class c on c.oid = i.indrelid
                   left join pg_constraint k on k.conindid = i.indexrelid and k.contype = 'p'
                   where c.relname in ('accounts', 'orders') and c.relnamespace = $1::text::regnamespace";
    let row = client.query_one(indexes, &[&schema]).await?;
    let built: (i64, i64) = (row.get(0), row.get(1));
    if found == source.rows && built == (5, 2) {
        return Ok(());
    }
    Err(format!("{found:?} rows, {} indexes and {} keys arrived", built.0, built.1).into())
}
