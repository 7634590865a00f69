//! Several services that leave one database in one transaction.
//!
//! Each service's script is made as if its fellows' tables had no keys to its own: a key between two tables that both
//! leave has neither a row to check nor a writer to stop at the old home, and its guard would read a fellow's bridge
//! while a rollback holds it. Such keys end in T and come back, not valid, in the T that brings both ends back.

use crate::switch::Made;
use crate::{BridgeKind, Finding, HomeAddress, MovePlan, SwitchScript};
use cleave_ddl::{carry, references::Reference, switch};
use cleave_model::catalog::Catalog;
use cleave_model::{QualifiedName, ServiceName};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One of the services, with where it goes.
#[derive(Clone, Copy, Debug)]
pub struct Leaving<'a> {
    /// The service.
    pub service: &'a ServiceName,
    /// Its plan.
    pub plan: &'a MovePlan,
    /// The catalog of its new home.
    pub target: &'a Catalog,
    /// How the old home's server reaches it.
    pub home: &'a HomeAddress,
}

/// The statements of a switch of one or more services.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SwitchTogether {
    /// Of each service, in the order given.
    pub scripts: Vec<SwitchScript>,
    /// On M in T: every lock of all services in one order.
    pub locks: Vec<String>,
    /// The same with moved and staying tables the other way round.
    pub locks_turned: Vec<String>,
    /// Keys between tables of two of the services.
    pub between: Vec<KeyBetween>,
}

/// A foreign key whose two tables leave together. Stored in the journal by the cutover.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyBetween {
    /// `KEY on SCHEMA.TABLE`.
    pub key: String,
    /// The service of the table that has the key, and that of the table it refers to.
    pub services: [String; 2],
    /// In T of the cutover, under the old names.
    pub drop: String,
    /// In T of the rollback, once both tables have their old names again: not valid.
    pub restore: Vec<String>,
    /// Afterwards, one transaction each.
    pub validate: Vec<String>,
}

/// The statements of a switch of one service, or of several together. All leave the database of `source`.
///
/// # Errors
/// A finding when the tables of a plan are not there as planned, or when the services' bridges differ.
pub fn switch_together(
    leaving: &[Leaving<'_>],
    source: &Catalog,
    since: &str,
) -> Result<SwitchTogether, Box<Finding>> {
    let make = |service: &Leaving<'_>, source: &Catalog| {
        let sides = (source, service.target);
        crate::switch::make(service.plan, sides, service.home, service.service, since)
    };
    if let [only] = leaving {
        let Made { script, .. } = make(only, source)?;
        let (locks, locks_turned) = (script.locks.clone(), script.locks_turned.clone());
        return Ok(SwitchTogether { scripts: vec![script], locks, locks_turned, between: Vec::new() });
    }
    let bridge = one_bridge(leaving)?;
    let owners = owners(leaving);
    let apart = apart(source, &owners);
    let mut scripts = Vec::with_capacity(leaving.len());
    let mut sequences = Vec::new();
    for service in leaving {
        let made = make(service, &apart)?;
        scripts.push(made.script);
        sequences.extend(made.sequence_locks);
    }
    let locks = |order| [relation_locks(leaving, source, bridge, order), sequences.clone()].concat();
    Ok(SwitchTogether {
        scripts,
        locks: locks(switch::LockOrder::MovedFirst),
        locks_turned: locks(switch::LockOrder::StayingFirst),
        between: between(leaving, source, &owners),
    })
}

/// The locks of several rollbacks on the bridges, in one order: each cutover's own, as it stored them.
pub fn locks_back(scripts: &[&SwitchScript]) -> [Vec<String>; 2] {
    let mut straight: Vec<String> = Vec::new();
    let mut turned: Vec<String> = Vec::new();
    for script in scripts {
        straight.extend(script.back.bridge_locks.iter().cloned());
        turned.extend(script.back.bridge_locks_turned.iter().cloned());
    }
    [once(straight), once(turned)]
}

fn once(statements: Vec<String>) -> Vec<String> {
    let mut seen = std::collections::BTreeSet::new();
    statements.into_iter().filter(|statement| seen.insert(statement.clone())).collect()
}

/// A view over tables of two services can follow their names only if both sides lead to the same kind of thing.
fn one_bridge(leaving: &[Leaving<'_>]) -> Result<BridgeKind, Box<Finding>> {
    let Some(first) = leaving.first() else { return Ok(BridgeKind::None) };
    match leaving.iter().find(|other| other.plan.bridge != first.plan.bridge) {
        None => Ok(first.plan.bridge),
        Some(other) => {
            let message = format!("its bridge is of another kind than that of {}", first.service);
            Err(Box::new(Finding::refusal("C0730", format!("service {}", other.service), message)))
        }
    }
}

/// Which service a table of the source leaves with.
fn owners(leaving: &[Leaving<'_>]) -> BTreeMap<QualifiedName, usize> {
    let tables = leaving.iter().enumerate().flat_map(|(at, service)| {
        service.plan.tables.iter().map(move |table| (table.source.qualified(), at))
    });
    tables.collect()
}

/// The source without keys between tables of two services.
fn apart(source: &Catalog, owners: &BTreeMap<QualifiedName, usize>) -> Catalog {
    let mut apart = source.clone();
    for table in &mut apart.tables {
        let Some(own) = owners.get(&table.name) else { continue };
        table.foreign_keys.retain(|key| owners.get(&key.referenced).is_none_or(|other| other == own));
    }
    apart
}

fn between(
    leaving: &[Leaving<'_>],
    source: &Catalog,
    owners: &BTreeMap<QualifiedName, usize>,
) -> Vec<KeyBetween> {
    let mut between = Vec::new();
    for table in &source.tables {
        for key in &table.foreign_keys {
            let (Some(from), Some(to)) = (owners.get(&table.name), owners.get(&key.referenced)) else {
                continue;
            };
            if from == to {
                continue;
            }
            let reference = Reference { number: 0, table, key };
            let back = reference.restore_key(source);
            between.push(KeyBetween {
                key: format!("{} on {}", key.name, table.name),
                services: [from, to].map(|at| leaving[*at].service.to_string()),
                drop: reference.drop_key(&table.name),
                restore: back.add,
                validate: back.validate.into_iter().chain(back.adopt).collect(),
            });
        }
    }
    between
}

/// Views outermost first, then all moved tables, parents before those that refer to them whichever service they are
/// of, and the tables that stay.
fn relation_locks(
    leaving: &[Leaving<'_>],
    source: &Catalog,
    bridge: BridgeKind,
    order: switch::LockOrder,
) -> Vec<String> {
    let roots: Vec<QualifiedName> = leaving
        .iter()
        .flat_map(|service| service.plan.tables.iter().filter(|table| !table.is_partition))
        .map(|table| table.source.qualified())
        .collect();
    let carried = carry::carry(source, &roots);
    let Some(first) = leaving.first() else { return Vec::new() };
    let copy_schema = first.plan.copy_schema();
    let names = switch::Switch {
        service: first.service,
        catalog: source,
        carried: &carried,
        copy_schema: &copy_schema,
        mode: crate::switch::mode_of(bridge),
    };
    names.lock_relations(order)
}
