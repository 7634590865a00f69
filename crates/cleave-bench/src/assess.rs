//! Do the services that `assess services` proposes agree with those that people chose, and how long does it take on a
//! large schema? No rival proposes services for tables, so each line stands alone.

mod known;

use crate::arena::{Arena, Entry, Failure, Metric, say};
use crate::large;
use crate::usage::Usage;
use cleave_assess::communities::adjusted_rand_index;
use cleave_assess::services::{Grain, Recommendation, Wishes};
use cleave_config::Config;
use cleave_engine::{Events, Look, Looked, Topology, doctor, look};
use cleave_model::QualifiedName;
use cleave_model::workload::Workload;
use cleave_pg::Endpoint;
use cleave_sandbox::{Mask, read_script};
use std::path::{Path, PathBuf};
use std::time::Instant;

const RIVAL: &str = "rival";
const ALONE: &str = "neither tbls nor SchemaSpy proposes services for tables";

/// Seeds and masks that agreement is measured over: no answer may be luck.
const SEEDS: [u64; 3] = [1, 2, 3];

pub(crate) async fn entry(arena: &Arena) -> Result<Vec<Entry>, Failure> {
    let mut entries = storefront(arena).await?;
    entries.extend(pagila(arena).await?);
    entries.extend(large(arena).await?);
    Ok(entries)
}

async fn storefront(arena: &Arena) -> Result<Vec<Entry>, Failure> {
    let folder = Path::new("examples/storefront");
    let schema = std::fs::read_to_string(folder.join("schema.sql"))?;
    let looked = looked(arena, "assess_storefront", &schema).await?;
    let script = std::fs::read_to_string(folder.join("workload.sql"))?;
    let workload = read_script(&script, &looked.catalog)?;
    let busy = Looked { workload, ..looked.clone() };
    let known = known::STOREFRONT;
    Ok(vec![
        alone("assess-storefront", over_seeds(&busy, known)?),
        alone("assess-storefront-no-workload", over_seeds(&looked, known)?),
        alone("assess-storefront-no-workload-four-services", into(&looked, known)?),
        alone("assess-storefront-no-names", over_masks(&busy, known)?),
    ])
}

async fn pagila(arena: &Arena) -> Result<Vec<Entry>, Failure> {
    let folder =
        std::env::var_os("PAGILA_DIR").map_or_else(|| PathBuf::from("../shared/data/pagila"), PathBuf::from);
    let Ok(schema) = std::fs::read_to_string(folder.join("pagila-schema.sql")) else {
        say("no Pagila: PAGILA_DIR names its folder");
        return Ok(Vec::new());
    };
    let looked = looked(arena, "assess_pagila", &schema).await?;
    let known = known::PAGILA;
    Ok(vec![
        alone("assess-pagila", over_seeds(&looked, known)?),
        alone("assess-pagila-no-names", over_masks(&looked, known)?),
    ])
}

/// Time and memory on a schema of 2,000 tables.
async fn large(arena: &Arena) -> Result<Vec<Entry>, Failure> {
    let name = "assess_large";
    arena.source.create_database(name).await?;
    let client = cleave_sandbox::connect(&arena.source.url(name)).await?;
    for part in large::schema() {
        client.batch_execute(&part).await?;
    }
    let url = arena.source.url(name);
    let endpoint = Endpoint::parse(&url)?;
    let (mut seconds, mut memory, mut readiness) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..crate::RUNS {
        let usage = Usage::begin()?;
        let began = Instant::now();
        let looked = look(&endpoint, &Look::default(), &silent()).await?;
        let found = looked.recommend(&Wishes::default())?;
        seconds.push(began.elapsed().as_secs_f64());
        memory.push(usage.end()?.memory_mb);
        let services = found.alternative(Grain::Balanced).map_or(0, |shown| shown.services.len());
        say(&format!("{} tables in {services} services", found.tables.len()));
        let text = format!(
            "[databases]\nlarge = {{ url = \"{url}\" }}\nother = {{ url = \"{url}\" }}\n[services.first]\nhome = \"other/first\"\ntables = [\"public.area_0_*\"]\n"
        );
        let config =
            Config::parse(&text, "cleave.toml").map_err(|errors| format!("{:?}", errors.errors()))?;
        let topology = Topology::new(config, &text, Path::new("."));
        let began = Instant::now();
        doctor(&topology, None, &silent()).await?;
        readiness.push(began.elapsed().as_secs_f64());
    }
    let (time, peak) = (Metric::Cost("time"), Metric::Cost("peak memory"));
    let reason = "measured for a limit of our own: 10 s and 300 MB, readiness 5 s";
    Ok(vec![
        Entry::alone("assess-large", RIVAL, (time, "s"), seconds, reason),
        Entry::alone("assess-large", RIVAL, (peak, "MB"), memory, reason),
        Entry::alone("assess-large-readiness", RIVAL, (time, "s"), readiness, reason),
    ])
}

fn alone(name: &'static str, values: Vec<f64>) -> Entry {
    Entry::alone(name, RIVAL, (Metric::Quality("agreement"), "adjusted Rand index"), values, ALONE)
}

fn silent() -> Events {
    Events::new(|_| ())
}

async fn looked(arena: &Arena, name: &str, schema: &str) -> Result<Looked, Failure> {
    arena.source.create_database(name).await?;
    cleave_sandbox::connect(&arena.source.url(name)).await?.batch_execute(schema).await?;
    Ok(look(&Endpoint::parse(&arena.source.url(name))?, &Look::default(), &silent()).await?)
}

fn over_seeds(looked: &Looked, known: known::Services) -> Result<Vec<f64>, Failure> {
    wishing(looked, known, &Wishes::default())
}

/// As many services as are known.
fn into(looked: &Looked, known: known::Services) -> Result<Vec<f64>, Failure> {
    wishing(looked, known, &Wishes { services: Some(known.len()), ..Wishes::default() })
}

fn wishing(looked: &Looked, known: known::Services, wishes: &Wishes) -> Result<Vec<f64>, Failure> {
    let agreements = SEEDS.map(|seed| {
        let found = looked.recommend(&Wishes { seed, ..wishes.clone() })?;
        Ok(agreement(&found, known, QualifiedName::clone))
    });
    agreements.into_iter().collect()
}

fn over_masks(looked: &Looked, known: known::Services) -> Result<Vec<f64>, Failure> {
    let agreements = SEEDS.map(|seed| {
        let mask = Mask::new(&looked.catalog, seed);
        let workload: Workload = mask.workload(&looked.workload);
        let masked = Looked::new(mask.catalog(&looked.catalog), workload);
        let found = masked.recommend(&Wishes { seed, ..Wishes::default() })?;
        Ok(agreement(&found, known, |name| mask.name(name)))
    });
    agreements.into_iter().collect()
}

/// A table that is in no service is alone.
fn agreement(
    found: &Recommendation,
    known: known::Services,
    name: impl Fn(&QualifiedName) -> QualifiedName,
) -> f64 {
    let Some(shown) = found.alternative(Grain::Balanced) else { return 0.0 };
    let (mut chosen, mut proposed) = (Vec::new(), Vec::new());
    for (service, tables) in known {
        for table in *tables {
            if let Some(number) = found.number(&name(&QualifiedName::new("public", *table))) {
                chosen.push(*service);
                proposed.push(shown.service_of(number).ok_or(number));
            }
        }
    }
    adjusted_rand_index(&chosen, &proposed)
}
