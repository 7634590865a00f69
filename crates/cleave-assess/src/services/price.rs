//! What a boundary costs: everything that would cross between services.

use crate::evidence::{Gathered, Use};
use cleave_model::catalog::ReferentialAction;
use cleave_model::{Ident, QualifiedName};
use std::collections::BTreeSet;

/// Everything that crosses in one alternative. Services are numbers into its list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Price {
    /// Keys that would no longer be held by the database.
    pub keys: Vec<CutKey>,
    /// Transactions that write tables of several services: each needs a saga.
    pub transactions: Vec<CutUse>,
    /// Statements that touch tables of several services: each needs a copy or a projection.
    pub joins: Vec<CutUse>,
    /// Functions that touch tables of several services.
    pub functions: Vec<CutObject>,
    /// Triggers on a table of one service that touch tables of another.
    pub triggers: Vec<CutObject>,
    /// Views over tables of several services.
    pub views: Vec<CutObject>,
}

/// A key between two services.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CutKey {
    /// The constraint; none for a key that nobody declared.
    pub constraint: Option<Ident>,
    /// The table that refers.
    pub table: QualifiedName,
    /// Its columns.
    pub columns: Vec<Ident>,
    /// The table referred to.
    pub referenced: QualifiedName,
    /// `ON DELETE`.
    pub on_delete: ReferentialAction,
    /// Services: of the table, of what it refers to.
    pub services: (usize, usize),
    /// What is referred to is a hub: identity that all share.
    pub to_hub: bool,
}

/// A transaction or statement over several services.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CutUse {
    /// Its place among the workload's transactions or statements.
    pub at: usize,
    /// How often it was seen.
    pub count: u64,
    /// Tables read and not written.
    pub reads: Vec<QualifiedName>,
    /// Tables written.
    pub writes: Vec<QualifiedName>,
    /// All services that it touches.
    pub services: BTreeSet<usize>,
    /// Services that it writes.
    pub written: BTreeSet<usize>,
}

/// A view, function or trigger over several services.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CutObject {
    /// What it is called.
    pub name: String,
    /// The services.
    pub services: BTreeSet<usize>,
    /// True if it writes in more than one of them.
    pub writes_several: bool,
}

/// `service_of`: each table's service.
pub(super) fn price(gathered: &Gathered<'_>, service_of: &[Option<usize>]) -> Price {
    let name = |table: usize| gathered.tables.nodes[table].name.clone();
    let services = |tables: &BTreeSet<usize>| -> BTreeSet<usize> {
        tables.iter().filter_map(|table| service_of[*table]).collect()
    };
    let mut keys: Vec<CutKey> = Vec::new();
    for key in &gathered.keys {
        let Some((from, to)) = service_of[key.child].zip(service_of[key.parent]) else { continue };
        if from == to {
            continue;
        }
        keys.push(CutKey {
            constraint: key.constraint.clone(),
            table: name(key.child),
            columns: key.columns.clone(),
            referenced: name(key.parent),
            on_delete: key.on_delete,
            services: (from, to),
            to_hub: gathered.hub(key.parent).is_some(),
        });
    }
    let cut = |used: &Use| CutUse {
        at: used.at,
        count: used.count,
        reads: used.reads.iter().map(|table| name(*table)).collect(),
        writes: used.writes.iter().map(|table| name(*table)).collect(),
        services: services(&used.touched()),
        written: services(&used.writes),
    };
    let most_first = |mut uses: Vec<CutUse>| {
        uses.sort_by(|a, b| b.count.cmp(&a.count).then(a.at.cmp(&b.at)));
        uses
    };
    let transactions = gathered.usage.transactions.iter().map(cut).filter(|used| used.written.len() > 1);
    let joins = gathered.usage.statements.iter().map(cut).filter(|used| used.services.len() > 1);
    let object = |name: String, touched: &BTreeSet<usize>, written: &BTreeSet<usize>| {
        let services = services(touched);
        let writes_several =
            written.iter().filter_map(|table| service_of[*table]).collect::<BTreeSet<_>>().len() > 1;
        (services.len() > 1).then_some(CutObject { name, services, writes_several })
    };
    let objects = &gathered.objects;
    let functions = objects.functions.iter().filter_map(|function| {
        let touched = function.reads.union(&function.writes).copied().collect();
        object(format!("{}({})", function.name, function.arguments), &touched, &function.writes)
    });
    let triggers = objects.triggers.iter().filter_map(|trigger| {
        let written: BTreeSet<usize> = trigger.writes.iter().copied().chain([trigger.table]).collect();
        let touched = trigger.reads.union(&written).copied().collect();
        object(trigger.name.clone(), &touched, &written)
    });
    let views = objects.views.iter();
    let views = views.filter_map(|view| object(view.name.to_string(), &view.tables, &BTreeSet::new()));
    Price {
        keys,
        transactions: most_first(transactions.collect()),
        joins: most_first(joins.collect()),
        functions: functions.collect(),
        triggers: triggers.collect(),
        views: views.collect(),
    }
}
