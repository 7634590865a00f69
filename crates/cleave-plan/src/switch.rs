//! Makes the statements of a round from fresh catalogs.

use crate::{BackScript, BridgeKind, FenceScript, Finding, MovePlan, SwitchScript};
use cleave_config::{Bridge, Service};
use cleave_ddl::{Carried, Target, bridge, carry, fence, fill, references, switch};
use cleave_model::catalog::{Catalog, ObjectRef};
use cleave_model::{Ident, QualifiedName, ServiceName, labels};
use std::collections::BTreeSet;

/// How the old home's server reaches the new one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HomeAddress {
    /// Host name, address or socket folder.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Name of the database on its server.
    pub database: String,
}

/// The name that a sequence has while a switch holds it: a rename is the only lock that stops `nextval`.
pub fn retired_sequence_name(source_oid: u32) -> String {
    format!("cleave_retired_{source_oid}")
}

/// The three bodies of the fence on the new home. `since` is for the message of a refused write.
pub fn fence_script(plan: &MovePlan, service: &ServiceName, since: &str) -> FenceScript {
    let closed = match plan.whole {
        Some(_) => crate::upgrade::closed(&plan.source, since, &plan.applier_roles[1]),
        None => closed(&plan.source, since, &plan.applier_roles[1]),
    };
    let fence::Fence::Closed(notice) = closed.clone() else { return FenceScript::default() };
    let half_open = fence::Fence::HalfOpen { bridge_role: labels::bridge_role(service), notice };
    FenceScript {
        closed: fence::function(service, &closed),
        half_open: fence::function(service, &half_open),
        open: fence::function(service, &fence::Fence::Open),
    }
}

pub(crate) fn closed(home: &str, since: &str, applier: &str) -> fence::Fence {
    fence::Fence::Closed(fence::Notice {
        home: home.to_owned(),
        since: since.to_owned(),
        applier_role: Ident::new(applier),
        way: fence::Way::Bridge,
    })
}

/// What will read the copy although names lead elsewhere.
pub(crate) fn bound_objects(service: &Service, source: &Catalog, carried: &Carried<'_>) -> Vec<Finding> {
    let mode = match service.bridge.value {
        Bridge::Forward => bridge::Mode::Forward,
        Bridge::Local => bridge::Mode::Local,
        Bridge::None => bridge::Mode::None,
    };
    if mode != bridge::Mode::Forward {
        return Vec::new();
    }
    let copy_schema = service.copy_schema();
    let switch =
        switch::Switch { service: &service.name, catalog: source, carried, copy_schema: &copy_schema, mode };
    let bound = switch::stays_bound(&switch);
    bound.into_iter().map(|object| Finding::note("C0231", object.object, object.reason)).collect()
}

/// A script, with its locks on sequences, which are the last of its locks.
pub(crate) struct Made {
    pub(crate) script: SwitchScript,
    pub(crate) sequence_locks: Vec<String>,
}

pub(crate) fn mode_of(bridge: BridgeKind) -> bridge::Mode {
    match bridge {
        BridgeKind::Forward => bridge::Mode::Forward,
        BridgeKind::Local => bridge::Mode::Local,
        BridgeKind::None => bridge::Mode::None,
    }
}

/// The statements of the cutover that is about to run, and of its rollback. `source` is M before the switch; `since`
/// is the time, for people.
///
/// # Errors
/// A finding when the tables of the plan are not there as planned.
pub(crate) fn make(
    plan: &MovePlan,
    (source, target): (&Catalog, &Catalog),
    home: &HomeAddress,
    service: &ServiceName,
    since: &str,
) -> Result<Made, Box<Finding>> {
    let roots: Vec<QualifiedName> = plan
        .tables
        .iter()
        .filter(|table| !table.is_partition)
        .map(|table| table.source.qualified())
        .collect();
    let carried = carry::carry(source, &roots);
    if carried.tables.len() != plan.tables.len() {
        let message = format!(
            "the plan has {} tables and partitions, the source has {}",
            plan.tables.len(),
            carried.tables.len()
        );
        return Err(Box::new(Finding::refusal("C0711", format!("service {service}"), message)));
    }
    columns_are_planned(plan, (source, target), service)?;
    let source_schema = roots.first().map_or_else(|| Ident::new("public"), |name| name.schema.clone());
    let (schema, copy_schema) = (plan.target_schema(), plan.copy_schema());
    let extra_path: Vec<Ident> = target.extensions.iter().map(|extension| extension.schema.clone()).collect();
    let place = Target { source_schema: &source_schema, schema: &schema, extra_path: &extra_path };
    let mode = mode_of(plan.bridge);
    let names =
        switch::Switch { service, catalog: source, carried: &carried, copy_schema: &copy_schema, mode };
    let application = if source.facts.major() >= 15 { APPLICATION_BY_WHOM } else { APPLICATION };
    let round = Round { plan, service, names, place, home, since, application };
    let mut bridge_role = bridge::role_grants(service, &carried, &place);
    // Columns that came, or are called otherwise, since the plan was made are filled too.
    let filled = fill::create(service, &carried, &place, &labels::bridge_role(service));
    bridge_role.extend(filled.into_iter().filter(|statement| !plan.script.finish.contains(statement)));
    let script = SwitchScript {
        fingerprint_oids: fingerprint_oids(source, &carried),
        bridge_role,
        bridge: round.bridge(),
        locks: round.locks(switch::LockOrder::MovedFirst),
        locks_turned: round.locks(switch::LockOrder::StayingFirst),
        switch: round.switch(),
        target_fence: fence_script(plan, service, since),
        back: round.back(source),
    };
    Ok(Made { script, sequence_locks: round.sequence_locks() })
}

/// A column that came after the plan is not copied, and nothing tells while no row changes: it would be lost.
pub(crate) fn columns_are_planned(
    plan: &MovePlan,
    (source, target): (&Catalog, &Catalog),
    service: &ServiceName,
) -> Result<(), Box<Finding>> {
    let refuse = |message| Err(Box::new(Finding::refusal("C0711", format!("service {service}"), message)));
    let unseen = |message| Err(Box::new(Finding::refusal("C0542", format!("service {service}"), message)));
    for planned in plan.tables.iter().filter(|table| table.holds_rows()) {
        let Some(here) = source.tables.iter().find(|table| table.oid == planned.oid()) else {
            return refuse(format!("table {} is not the one that was planned", planned.source.qualified()));
        };
        let Some(there) = target.table(&planned.target.qualified()) else {
            return refuse(format!("table {} is gone from the target", planned.target.qualified()));
        };
        let mut wanted: Vec<&str> = planned.columns.iter().map(|column| column.name.as_str()).collect();
        wanted.sort_unstable();
        for table in [here, there] {
            let written = table.columns.iter().filter(|column| column.is_written());
            let mut found: Vec<&str> = written.map(|column| column.name.as_str()).collect();
            found.sort_unstable();
            if found != wanted {
                return refuse(format!("table {} has other columns than were planned", table.name));
            }
        }
        for ours in &here.columns {
            let (table, column) = (&here.name, &ours.name);
            let Some(theirs) = there.column(&ours.name) else {
                return refuse(format!("column {column} of {table} is not at the target"));
            };
            // What a stream that follows changes of columns cannot see.
            let alter = format!("alter table {} alter column {}", there.name.quoted(), column.quoted());
            if ours.not_null && !theirs.not_null {
                return unseen(format!(
                    "column {column} of {table} takes no nulls, and does at the target: run `{alter} set not null` there"
                ));
            }
            if ours.default.is_some() && theirs.default.is_none() && theirs.identity.is_none() {
                let default = ours.default.as_deref().unwrap_or_default();
                return unseen(format!(
                    "column {column} of {table} has a default, and none at the target: run `{alter} set default {default}` there"
                ));
            }
            // Types of users are named by their schema, which differs; an extension's may be named with its schema.
            let is_same = || bare_type(&ours.type_name, source) == bare_type(&theirs.type_name, target);
            if ours.user_type.is_none() && theirs.user_type.is_none() && !is_same() {
                return refuse(format!("column {column} of {table} has another type than at the target"));
            }
        }
    }
    Ok(())
}

/// A type's name without the schema of an extension: whether it is shown depends on where the table stands.
fn bare_type<'t>(name: &'t str, catalog: &Catalog) -> &'t str {
    let without = |schema: &Ident| {
        let bare = name.strip_prefix(&schema.quoted()).or_else(|| name.strip_prefix(schema.as_str()));
        bare.and_then(|rest| rest.strip_prefix('.'))
    };
    catalog.extensions.iter().find_map(|extension| without(&extension.schema)).unwrap_or(name)
}

/// Moved tables, tables with keys into or out of the set, views that read it.
fn fingerprint_oids(source: &Catalog, carried: &Carried<'_>) -> Vec<u32> {
    let moved: BTreeSet<_> = carried.tables.iter().map(|table| table.oid).collect();
    let mut oids: BTreeSet<u32> = moved.iter().map(|oid| oid.0).collect();
    let incoming = references::incoming(source, carried);
    oids.extend(incoming.iter().map(|reference| reference.table.oid.0));
    let outgoing = references::outgoing(carried);
    oids.extend(outgoing.iter().filter_map(|r| source.table(&r.key.referenced)).map(|table| table.oid.0));
    for table in &carried.tables {
        let dependents = source.dependents_of(ObjectRef::Relation(table.oid));
        let views = dependents.filter_map(|object| match object {
            ObjectRef::Relation(oid) => source.views.iter().find(|view| view.oid == oid),
            ObjectRef::Function(_) | ObjectRef::Type(_) => None,
        });
        oids.extend(views.map(|view| view.oid.0));
    }
    oids.into_iter().collect()
}

struct Round<'a> {
    plan: &'a MovePlan,
    service: &'a ServiceName,
    names: switch::Switch<'a>,
    place: Target<'a>,
    home: &'a HomeAddress,
    since: &'a str,
    application: &'static str,
}

/// How sessions of a bridge are called at the new home; from 15 on postgres_fdw says whose they are (manual, F.36.1.1).
const APPLICATION: &str = "cleave bridge";
const APPLICATION_BY_WHOM: &str = "cleave bridge %u %a";

impl Round<'_> {
    fn bridge(&self) -> Vec<String> {
        let port = self.home.port.to_string();
        let options = [
            ("host", self.home.host.as_str()),
            ("port", port.as_str()),
            ("dbname", self.home.database.as_str()),
            ("application_name", self.application),
        ];
        let mut statements = vec![
            format!("create schema if not exists {}", self.names.copy_schema.quoted()),
            "create extension if not exists postgres_fdw schema public".to_owned(),
            bridge::server(self.service, &options),
        ];
        let home = self.plan.target.as_str();
        statements.extend(bridge::prepare(
            self.service,
            self.names.mode,
            home,
            self.names.carried,
            &self.place,
        ));
        statements.extend(self.names.reference_functions());
        statements
    }

    /// The switch's locks and, last, the sequences that tables own, under a name that nobody asks for.
    fn locks(&self, order: switch::LockOrder) -> Vec<String> {
        [self.names.lock_relations(order), self.sequence_locks()].concat()
    }

    fn sequence_locks(&self) -> Vec<String> {
        let mut locks = self.names.lock_sequences();
        let owned = self.plan.sequences.iter().filter(|sequence| sequence.owned);
        locks.extend(
            owned.map(|sequence| rename(&sequence.source.qualified(), &retired(sequence.source_oid))),
        );
        locks
    }

    /// Fence the old tables, then let the names change hands.
    fn switch(&self) -> Vec<String> {
        let closed = closed(&self.plan.target, self.since, &self.plan.applier_roles[0]);
        let mut statements = vec![fence::function(self.service, &closed)];
        statements.extend(fence::triggers(self.service, &self.names.tables()));
        statements.extend(self.names.forward());
        let owned = self.plan.sequences.iter().filter(|sequence| sequence.owned);
        statements.extend(owned.map(|sequence| {
            let name = sequence.source.qualified();
            let held =
                QualifiedName { schema: self.names.copy_schema.clone(), name: retired(sequence.source_oid) };
            rename(&held, &name.name)
        }));
        statements
    }

    fn back(&self, source: &Catalog) -> BackScript {
        let targets: Vec<QualifiedName> =
            self.plan.tables.iter().map(|table| table.target.qualified()).collect();
        let mut home_locks = fence::barrier(&targets);
        home_locks.extend(
            self.plan
                .sequences
                .iter()
                .map(|sequence| rename(&sequence.target.qualified(), &retired(sequence.source_oid))),
        );
        let mut switch = self.names.back();
        switch.extend(fence::drop_triggers(&self.names.tables()));
        let incoming = references::incoming(source, self.names.carried);
        let mut tidy: Vec<String> = incoming
            .iter()
            .flat_map(|reference| references::drop_functions(self.service, reference))
            .collect();
        tidy.extend(bridge::drop(self.service, self.names.mode, self.names.carried));
        BackScript {
            bridge_locks: self.names.lock_bridge(switch::LockOrder::MovedFirst),
            bridge_locks_turned: self.names.lock_bridge(switch::LockOrder::StayingFirst),
            home_locks,
            copy_locks: self.names.lock_copies(),
            switch,
            tidy,
            validate: self.names.validate(),
        }
    }
}

pub(crate) fn retired(source_oid: u32) -> Ident {
    Ident::new(retired_sequence_name(source_oid))
}

pub(crate) fn rename(from: &QualifiedName, to: &Ident) -> String {
    format!("alter sequence {} rename to {}", from.quoted(), to.quoted())
}
