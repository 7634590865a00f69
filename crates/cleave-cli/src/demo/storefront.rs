//! The sample monolith, embedded: its schema, its generator and its configuration.

use super::error::DemoError;
use super::servers::{Servers, run};
use cleave_config::Config;
use cleave_engine::Topology;
use cleave_sandbox::connect;
use std::path::Path;

const SCHEMA: &str = include_str!("../../../../examples/storefront/schema.sql");
const DATA: &str = include_str!("../../../../examples/storefront/data.sql");
const CONFIG: &str = include_str!("../../../../examples/storefront/cleave.toml");

/// Locks that cannot be had soon are asked for again by the journey, which tells of it.
const LIMITS: &str = "\n[limits]\nlock_budget = \"20s\"\n";

const COUNTS: &str = "
    select count(*), coalesce(sum((xpath('/row/n/text()', query_to_xml(
               format('select count(*) as n from %s', oid::regclass), false, true, '')))[1]::text::bigint), 0)::bigint,
           pg_database_size(current_database())
    from pg_class where relkind in ('r', 'p') and not relispartition and relnamespace = 'public'::regnamespace";

/// How large the sample is.
pub(super) struct Size {
    pub(super) tables: u64,
    pub(super) rows: u64,
    pub(super) bytes: u64,
}

/// Makes schema and rows as the application's role; at scale 1 about a million rows.
pub(super) async fn load(servers: &Servers, scale: f64) -> Result<Size, DemoError> {
    let url = servers.application_url();
    let statements = format!("set storefront.scale = '{scale}'; begin; {SCHEMA};\n{DATA};\ncommit");
    run(&url, "load the sample monolith", &statements).await?;
    let client = connect(&url).await?;
    let failed = |source| DemoError::Statement { action: "count the sample monolith's rows", source };
    let row = client.query_one(COUNTS, &[]).await.map_err(failed)?;
    let number = |column: usize| row.try_get(column).map(i64::unsigned_abs).map_err(failed);
    Ok(Size { tables: number(0)?, rows: number(1)?, bytes: number(2)? })
}

/// The sample's own cleave.toml, with the servers' URLs in place of environment variables.
pub(super) fn topology(servers: &Servers) -> Result<Topology, DemoError> {
    let mut text = format!("{CONFIG}{LIMITS}");
    for (variable, url) in
        [("env:MONOLITH_URL", servers.monolith_url()), ("env:PRODUCTS_URL", servers.products_url())]
    {
        text = text.replace(&format!("{variable:?}"), &format!("{url:?}"));
    }
    let config = Config::parse(&text, "cleave.toml").map_err(|errors| DemoError::Malformed {
        file: "cleave.toml",
        reason: errors.errors().first().map(|error| error.message.clone()).unwrap_or_default(),
    })?;
    Ok(Topology::new(config, &text, Path::new(".")))
}
