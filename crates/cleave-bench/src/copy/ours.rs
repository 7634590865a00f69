//! The real path: `apply` until the target follows, with plan, slot, copy, indexes, keys, statistics and way back.

use super::JOBS;
use super::data::{Source, expect_same};
use crate::arena::Failure;
use cleave_config::Config;
use cleave_engine::{Events, Topology, Until, Verb};
use cleave_model::ServiceName;
use cleave_stream::cancellation;
use std::path::Path;
use std::time::{Duration, Instant};

/// Clones `public` of the source into schema `app` of the target.
pub(super) async fn clone(source: &Source, target: &str) -> Result<Duration, Failure> {
    let text = format!(
        "[databases]\nold = {{ url = {:?} }}\nnew = {{ url = {target:?} }}\n\
         [services.bench]\nhome = \"new/app\"\ntables = [\"public.*\"]\n[limits]\njobs = {JOBS}\n",
        source.url
    );
    let config = Config::parse(&text, "cleave.toml").map_err(|errors| format!("{errors:?}"))?;
    let topology = Topology::new(config, &text, Path::new("."));
    let service = ServiceName::parse("bench")?;
    let (_keep, cancelled) = cancellation();
    let events = Events::silent();
    let began = Instant::now();
    cleave_engine::apply(&topology, &service, None, Until::Following, (&events, &cancelled)).await?;
    let took = began.elapsed();
    expect_same(target, source, "app").await?;
    // The next run is a new move of the same tables.
    cleave_engine::execute(&topology, &service, Verb::Cancel, &events, &cancelled).await?;
    Ok(took)
}
