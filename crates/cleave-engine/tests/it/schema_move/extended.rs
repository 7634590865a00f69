//! The extended protocol as drivers speak it that prepare, bind and pipeline: `tokio-postgres` stands for them.

use futures_util::future::try_join_all;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error};

const OPERATIONS: [&str; 7] = [
    "named statement",
    "generic plan",
    "pipeline",
    "portal in parts",
    "upsert",
    "row lock",
    "binary COPY from",
];

/// Each operation in a session of its own: `ok`, or the SQLSTATE that it met.
pub(super) async fn answers(url: &str, schema: &str) -> Vec<((String, String), String)> {
    let table = if schema.is_empty() { "note".to_owned() } else { format!("{schema}.note") };
    let mut found = Vec::new();
    for operation in OPERATIONS {
        let client = cleave_sandbox::connect(url).await.unwrap();
        let answer = match run(client, operation, &table).await {
            Ok(()) => "ok".to_owned(),
            Err(error) => error.code().unwrap_or_else(|| panic!("{operation}: {error:?}")).code().to_owned(),
        };
        found.push((("tokio-postgres".to_owned(), operation.to_owned()), answer));
    }
    found
}

async fn run(mut client: Client, operation: &str, table: &str) -> Result<(), Error> {
    match operation {
        "named statement" => {
            let sql = format!("insert into {table} (customer_id, body) values ($1, $2) returning id, body");
            let insert = client.prepare(&sql).await?;
            for body in ["one", "two"] {
                let row = client.query_one(&insert, &[&1_i64, &body]).await?;
                assert_eq!((row.get::<_, i32>(0) > 0, row.get::<_, &str>(1)), (true, body));
            }
        }
        // The server plans anew up to the fifth time.
        "generic plan" => {
            let change = client.prepare(&format!("update {table} set body = $2 where id = $1")).await?;
            for time in 0..8 {
                assert_eq!(client.execute(&change, &[&3_i32, &format!("time {time}")]).await?, 1);
            }
        }
        "pipeline" => {
            let all = client.prepare(&format!("select body from {table} where id = any ($1)")).await?;
            let (ids, client) = (vec![1_i32, 2, 3], &client);
            let ids = &ids;
            let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 1] = [ids];
            let asked = (0..20).map(|_| client.query(&all, &parameters));
            assert!(try_join_all(asked).await?.iter().all(|rows| rows.len() == 3));
        }
        "portal in parts" => {
            let transaction = client.transaction().await?;
            let portal =
                transaction.bind(&format!("select id from {table} where id <= $1"), &[&7_i32]).await?;
            let (mut parts, mut rows) = (0, 0);
            while rows < 7 {
                rows += transaction.query_portal(&portal, 3).await?.len();
                parts += 1;
            }
            assert_eq!(parts, 3);
            transaction.commit().await?;
        }
        "upsert" => {
            let sql = format!(
                "insert into {table} (id, customer_id, body) values ($1, 1, 'u')
                 on conflict (id) do update set body = excluded.body || $2::text"
            );
            assert_eq!(client.execute(&sql, &[&5_i32, &"x"]).await?, 1);
        }
        "row lock" => {
            let transaction = client.transaction().await?;
            let sql = format!("select body from {table} where id = $1 for no key update skip locked");
            assert_eq!(transaction.query(&sql, &[&6_i32]).await?.len(), 1);
            transaction.commit().await?;
        }
        "binary COPY from" => {
            let sql = format!("copy {table} (customer_id, body) from stdin (format binary)");
            let sink = client.copy_in(&sql).await?;
            let mut writer = std::pin::pin!(BinaryCopyInWriter::new(sink, &[Type::INT8, Type::TEXT]));
            writer.as_mut().write(&[&1_i64, &"copied"]).await?;
            assert_eq!(writer.finish().await?, 1);
        }
        other => panic!("{other}"),
    }
    Ok(())
}
