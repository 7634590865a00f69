//! Views, functions, triggers and sequences on the line.

use super::{Crossing, Kind, Line, Member, Outcome, Party, listed, services};
use crate::text::Body;
use cleave_config::Bridge;
use cleave_model::catalog::{Function, FunctionKind, Sequence, Table, Trigger, View};
use cleave_model::labels::{FENCE_TRIGGER, TRIGGER_PREFIX};
use cleave_model::{Ident, Oid, QualifiedName};
use cleave_sql::{Resolver, read_function};
use std::collections::{BTreeMap, BTreeSet, HashMap};

pub(super) fn crossings(line: &Line<'_>) -> Vec<Crossing> {
    let texts = Texts::new(line);
    let mut crossings: Vec<Crossing> =
        line.catalog.views.iter().filter_map(|view| of_view(line, view)).collect();
    crossings
        .extend(line.catalog.functions.iter().filter_map(|function| of_function(line, &texts, function)));
    for table in &line.catalog.tables {
        let Some(service) = line.owner(table.oid) else { continue };
        let triggers = table.triggers.iter().filter(|trigger| !trigger.inherited && !is_ours(trigger));
        crossings.extend(triggers.filter_map(|trigger| of_trigger(line, &texts, service, table, trigger)));
    }
    crossings.extend(sequences(line));
    crossings
}

/// Cleave's own triggers stand on tables between moves.
fn is_ours(trigger: &Trigger) -> bool {
    trigger.name.as_str() == FENCE_TRIGGER || trigger.name.as_str().starts_with(TRIGGER_PREFIX)
}

/// A view stays with the monolith, whatever it reads.
fn of_view(line: &Line<'_>, view: &View) -> Option<Crossing> {
    let direct: BTreeSet<&str> =
        view.reads.iter().filter_map(|oid| line.owner(*oid)).map(|service| service.name.as_str()).collect();
    let mut parties = line.parties(tables_under(line, view));
    if services(&parties).is_empty() {
        return None;
    }
    let read = listed(parties.keys().map(Party::name));
    let remedy = match services(&parties).len() {
        1 if parties.len() == 1 => "make it at the new home too, where its readers will be",
        _ => "a join over services: read copies, or keep a projection that the services' changes feed",
    };
    parties.entry(Party::Rest).or_default().insert(view.name.to_string());
    let outcome = |service: &Member| {
        let (label, text) = match (view.materialized, service.bridge?) {
            (true, _) => ("materialized view", "reads the copy"),
            (false, Bridge::Forward) => ("view", "is re-created at the switch and reads the new home"),
            (false, Bridge::Local | Bridge::None) => ("view", "reads the copy"),
        };
        Some(Outcome { service: service.name.clone(), label, text: text.to_owned() })
    };
    let moving = line.services.iter().filter(|service| direct.contains(service.name.as_str()));
    Some(Crossing {
        kind: Kind::View,
        object: view.name.to_string(),
        parties,
        evidence: format!("reads {read}"),
        remedy: remedy.to_owned(),
        outcomes: moving.filter_map(outcome).collect(),
        count: 0,
    })
}

/// Tables that a view reads, through other views too.
pub(super) fn tables_under<'a>(line: &Line<'a>, view: &View) -> Vec<&'a Table> {
    let (mut seen, mut found, mut next) = (BTreeSet::new(), Vec::new(), view.reads.clone());
    while let Some(oid) = next.pop() {
        if !seen.insert(oid) {
            continue;
        }
        found.extend(line.by_oid.get(&oid));
        next.extend(line.views.get(&oid).into_iter().flat_map(|view| &view.reads));
    }
    found
}

/// What the functions' texts name, looked up once, and by which tables' triggers each is called.
struct Texts<'a> {
    named: HashMap<Oid, Named<'a>>,
    callers: HashMap<Oid, Vec<&'a Table>>,
}

/// The tables that a text names, and those that it writes.
struct Named<'a> {
    tables: Vec<&'a Table>,
    written: Vec<&'a Table>,
}

impl<'a> Named<'a> {
    /// What a function's statements touch. Where they cannot be read, are put together at run time, or name what the
    /// catalog does not have under that name, every table counts whose name stands in the text.
    fn of(line: &Line<'a>, function: &Function, resolver: &Resolver) -> Option<Self> {
        let body = function.body.as_deref()?;
        let path = [function.name.schema.clone(), Ident::new("public")];
        let found = read_function(function, line.catalog, &resolver.with_path(&path));
        if !found.is_certain() || !found.read.unknown.is_empty() {
            let body = Body::new(body);
            let all = line.catalog.tables.iter();
            let tables: Vec<&Table> = all.filter(|table| body.mentions(&table.name)).collect();
            let written = tables.iter().copied().filter(|table| body.writes_to(&table.name)).collect();
            return Some(Self { tables, written });
        }
        let (mut tables, mut written) = (BTreeMap::new(), BTreeMap::new());
        for used in &found.read.tables {
            for table in behind(line, &used.table) {
                tables.insert(&table.name, table);
                if used.writes {
                    written.insert(&table.name, table);
                }
            }
        }
        Some(Self { tables: tables.into_values().collect(), written: written.into_values().collect() })
    }
}

impl<'a> Texts<'a> {
    fn new(line: &Line<'a>) -> Self {
        let plain = line.catalog.functions.iter().filter(|function| function.kind != FunctionKind::Aggregate);
        let resolver = Resolver::new(line.catalog, &[]);
        let names = |function: &Function| Some((function.oid, Named::of(line, function, &resolver)?));
        let named = plain.filter_map(names).collect();
        let mut callers = HashMap::<Oid, Vec<&Table>>::new();
        for table in &line.catalog.tables {
            for trigger in &table.triggers {
                callers.entry(trigger.function).or_default().push(table);
            }
        }
        Self { named, callers }
    }

    /// True for a function that only the triggers of one service call: it is carried with that service's tables.
    fn is_carried(&self, line: &Line<'_>, function: Oid, service: &Member) -> bool {
        let callers = self.callers.get(&function).map(Vec::as_slice).unwrap_or_default();
        let its = |table: &&Table| line.owner(table.oid).is_some_and(|owner| owner.name == service.name);
        !callers.is_empty() && callers.iter().all(its)
    }
}

fn of_function<'a>(line: &Line<'a>, texts: &Texts<'a>, function: &Function) -> Option<Crossing> {
    let Named { tables: named, written } = texts.named.get(&function.oid)?;
    let is_carried = |service: &&Member| texts.is_carried(line, function.oid, service);
    let touched = |service: &&Member| named.iter().any(|table| service.tables.contains(&table.oid));
    let moving: Vec<&Member> =
        line.services.iter().filter(touched).filter(|service| !is_carried(service)).collect();
    if moving.is_empty() {
        return None;
    }
    let outcome = |service: &&Member| {
        let writes = written.iter().any(|table| service.tables.contains(&table.oid));
        let text = match (service.bridge?, writes) {
            (Bridge::Forward, _) => "goes on through the bridge (its text names a moved table)",
            (Bridge::Local | Bridge::None, false) => "reads the copy (its text names a moved table)",
            (Bridge::Local, true) => {
                "reads the copy and writes through the bridge (its text names a moved table)"
            }
            (Bridge::None, true) => {
                "its writes to a moved table will fail with an error that names the new home"
            }
        };
        Some(Outcome { service: service.name.clone(), label: "function", text: text.to_owned() })
    };
    let mut parties = line.parties(named.iter().copied());
    let writers = line.parties(written.iter().copied()).len();
    let remedy = match (parties.len(), writers) {
        (_, 2..) => "writes on several sides at once: split it, and let a saga or an outbox join the parts",
        (2.., _) => "reads over services: split it, or let it read copies",
        _ => "belongs to the service: carry it there by hand, and let others ask the service",
    };
    let name = format!("{}({})", function.name, function.identity_arguments);
    parties.entry(Party::Rest).or_default().insert(name.clone());
    let writes = match written.is_empty() {
        true => String::new(),
        false => format!(", writes {}", listed(written.iter().map(|table| table.name.to_string()))),
    };
    let names = listed(named.iter().map(|table| table.name.to_string()));
    Some(Crossing {
        kind: Kind::Function,
        object: name,
        parties,
        evidence: format!("its text names {names}{writes}"),
        remedy: remedy.to_owned(),
        outcomes: moving.iter().filter_map(outcome).collect(),
        count: 0,
    })
}

/// A trigger goes with its table. What its function names on another side is not there.
fn of_trigger<'a>(
    line: &Line<'a>,
    texts: &Texts<'a>,
    service: &Member,
    table: &Table,
    trigger: &Trigger,
) -> Option<Crossing> {
    let texts = texts.named.get(&trigger.function)?;
    let outside = |tables: &[&'a Table]| -> Vec<&'a Table> {
        tables.iter().copied().filter(|other| !service.tables.contains(&other.oid)).collect()
    };
    let (named, written) = (outside(&texts.tables), outside(&texts.written));
    if named.is_empty() {
        return None;
    }
    let names = |tables: &[&Table]| listed(tables.iter().map(|table| table.name.to_string()));
    let text = if written.is_empty() {
        format!("is carried; {}, which its function names, is not at the new home", names(&named))
    } else {
        format!("stops the plan (C0210): its function writes to {}, which stays", names(&written))
    };
    let outcome = service.bridge.map(|_| Outcome { service: service.name.clone(), label: "trigger", text });
    let remedy = if written.is_empty() {
        "let its function do without, or keep a copy of what it reads at the new home"
    } else {
        "an event instead: write to an outbox of the service, and let the other side follow it"
    };
    Some(Crossing {
        kind: Kind::Trigger,
        object: format!("trigger {} of {}", trigger.name, table.name),
        parties: line.parties(named.iter().copied().chain([table])),
        evidence: format!("its function's text names {}", names(&named)),
        remedy: remedy.to_owned(),
        outcomes: outcome.into_iter().collect(),
        count: 0,
    })
}

/// No bridge leads to a sequence. An identity's has no name that people use.
fn sequences(line: &Line<'_>) -> Vec<Crossing> {
    const LEAVES: &str = "leaves with its tables: nextval and currval of its old name fail after the switch; \
                          leave the column out and read the number with RETURNING";
    let mut readers = HashMap::<Oid, Vec<&Table>>::new();
    for table in &line.catalog.tables {
        let read: BTreeSet<Oid> = table.columns.iter().filter_map(|column| column.default_sequence).collect();
        read.into_iter().for_each(|oid| readers.entry(oid).or_default().push(table));
    }
    let crossing = |sequence: &Sequence| {
        let owner = sequence.owner_column.as_ref();
        let owning = owner.and_then(|owner| line.by_oid.get(&owner.table)).copied();
        let users: Vec<&Table> = readers.remove(&sequence.oid).into_iter().flatten().chain(owning).collect();
        let moving: Vec<&Member> = line
            .services
            .iter()
            .filter(|service| users.iter().any(|table| service.tables.contains(&table.oid)))
            .collect();
        if moving.is_empty() || owner.is_some_and(|owner| owner.identity) {
            return None;
        }
        let mut parties = line.parties(users.iter().copied());
        let shared = parties.len() > 1;
        let names: BTreeSet<String> = users.iter().map(|table| table.name.to_string()).collect();
        let remedy = if shared {
            "give each side a sequence of its own, far enough from the other"
        } else {
            "let code leave the column out and read the number with RETURNING"
        };
        parties.entry(Party::Rest).or_default();
        let outcome = |service: &&Member| Outcome {
            service: service.name.clone(),
            label: "sequence",
            text: LEAVES.to_owned(),
        };
        Some(Crossing {
            kind: Kind::Sequence,
            object: sequence.name.to_string(),
            parties,
            evidence: format!("read by {}", listed(names)),
            remedy: remedy.to_owned(),
            outcomes: moving.iter().filter(|service| service.bridge.is_some()).map(outcome).collect(),
            count: 0,
        })
    };
    line.catalog.sequences.iter().filter_map(crossing).collect()
}

/// The tables behind a name of the workload: a table itself, or what a view reads.
pub(super) fn behind<'a>(line: &Line<'a>, name: &QualifiedName) -> Vec<&'a Table> {
    if let Some(table) = line.table(name) {
        return vec![table];
    }
    line.catalog.view(name).map(|view| tables_under(line, view)).unwrap_or_default()
}
