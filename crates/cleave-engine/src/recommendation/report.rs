//! The answer as values of the public contract.

use super::Looked;
use cleave_api as api;
use cleave_assess::evidence::{ImpliedKey, Tie, declared_keys};
use cleave_assess::services::{
    Alternative, CutKey, CutObject, CutUse, Grain, Price, Pull, Recommendation, Wishes, service_names, toml,
};
use cleave_config::Config;
use cleave_model::catalog::ReferentialAction;
use cleave_model::workload::Workload;
use cleave_model::{Ident, QualifiedName, ServiceName};

/// Everything that was found; `shown` is the alternative that people see.
pub fn services_report(
    looked: &Looked,
    found: &Recommendation,
    wishes: &Wishes,
    shown: Grain,
) -> api::ServicesReport {
    let name = |table: usize| found.tables[table].name.to_string();
    let shown = found.alternative(shown).map_or(shown, |alternative| alternative.grain);
    api::ServicesReport {
        database: looked.catalog.facts.database.clone(),
        tables: found.tables.len() as u64,
        evidence: evidence(looked, found),
        seed: wishes.seed,
        shown: shown.as_str().to_owned(),
        alternatives: found
            .alternatives
            .iter()
            .map(|alternative| self::alternative(found, alternative, &looked.workload))
            .collect(),
        hubs: found
            .hubs
            .iter()
            .map(|hub| api::HubTable {
                table: name(hub.table),
                referring: hub.referring as u64,
                universal: hub.universal,
            })
            .collect(),
        polymorphic: found
            .polymorphic
            .iter()
            .map(|pair| api::PolymorphicReference {
                table: pair.table.to_string(),
                type_column: pair.type_column.to_string(),
                id_column: pair.id_column.to_string(),
            })
            .collect(),
        aside: found
            .aside
            .iter()
            .map(|aside| api::AsideTable {
                table: aside.table.to_string(),
                reason: aside.reason.as_str().to_owned(),
            })
            .collect(),
    }
}

/// The alternative as `[services.*]`. A service that `config` has already keeps its home; others get a schema of their
/// name in database `home`.
pub fn services_toml(found: &Recommendation, grain: Grain, config: Option<&Config>, home: &str) -> String {
    let place = |name: &ServiceName| {
        let known = config.and_then(|config| config.service(name.as_str()));
        known.map_or_else(|| format!("{home}/{name}"), |service| service.home.value.to_string())
    };
    found.alternative(grain).map(|alternative| toml(found, alternative, place)).unwrap_or_default()
}

/// Why a table is where it is in an alternative; none if it is not placed at all.
pub fn table_report(found: &Recommendation, grain: Grain, table: &QualifiedName) -> Option<api::TableReport> {
    let number = found.number(table)?;
    let alternative = found.alternative(grain)?;
    let service = alternative.service_of(number);
    let service_name = |at: Option<usize>| Some(alternative.services[at?].name.to_string());
    let placed =
        service.and_then(|at| alternative.services[at].tables.iter().find(|placed| placed.table == number));
    let neighbours = found.ties_of(number).into_iter().map(|(other, ties)| api::TableNeighbour {
        table: found.tables[other].name.to_string(),
        service: service_name(alternative.service_of(other)),
        weight: rounded(ties.iter().map(|tie| tie.weight).sum()),
        ties: {
            let mut ties = ties;
            ties.sort_by(|a, b| b.weight.total_cmp(&a.weight));
            ties.iter().map(|tie| self::tie(found, other, tie)).collect()
        },
    });
    Some(api::TableReport {
        table: table.to_string(),
        service: service_name(service),
        confidence_percent: placed.map_or(0, |placed| percent(placed.confidence)),
        hub: found.hubs.iter().any(|hub| hub.table == number),
        pulls: found
            .pulls(alternative, number)
            .iter()
            .map(|pull| self::pull(found, alternative, pull))
            .collect(),
        neighbours: neighbours.collect(),
    })
}

fn evidence(looked: &Looked, found: &Recommendation) -> api::EvidenceSummary {
    let keys =
        |chosen: &dyn Fn(&ImpliedKey) -> bool| looked.implied.iter().filter(|key| chosen(key)).count() as u64;
    let unread = looked.functions.unread.iter();
    api::EvidenceSummary {
        keys: declared_keys(&looked.catalog) as u64,
        implied_keys: keys(&|key| key.included.is_some() && key.holds()),
        implied_keys_unproven: keys(&|key| key.included.is_none()),
        implied_keys_refuted: keys(&|key| !key.holds()),
        functions: looked.functions.read as u64,
        functions_unread: unread.map(|(name, reason)| format!("{name}: {reason}")).collect(),
        workload: looked.workload.sources.clone(),
        statements: looked.workload.statements.len() as u64,
        statements_unread: looked.workload.unread.len() as u64,
        transactions: looked.workload.transactions.len() as u64,
        pairs: found.pairs() as u64,
    }
}

fn alternative(found: &Recommendation, from: &Alternative, workload: &Workload) -> api::ServicesAlternative {
    let name = |table: usize| found.tables[table].name.to_string();
    let services = from.services.iter().map(|service| api::ProposedService {
        name: service.name.to_string(),
        decided: service.decided,
        tables: service
            .tables
            .iter()
            .map(|placed| api::ProposedTable {
                table: name(placed.table),
                partitions: found.tables[placed.table].partitions as u64,
                confidence_percent: percent(placed.confidence),
            })
            .collect(),
    });
    let unsure = from.unsure.iter().map(|unsure| api::UnsureTable {
        table: name(unsure.table),
        service: from
            .service_of(unsure.table)
            .map(|at| from.services[at].name.to_string())
            .unwrap_or_default(),
        confidence_percent: percent(unsure.confidence),
        pulls: unsure.pulls.iter().map(|pull| self::pull(found, from, pull)).collect(),
    });
    let splits = from.splits.iter().map(|split| api::ProposedSplit {
        table: split.table.to_string(),
        owners: split
            .owners
            .iter()
            .map(|owner| api::ProposedOwner {
                reached_by: format!("{}.{}", owner.table, columns(&owner.columns)),
                service: owner.service.map(|at| from.services[at].name.to_string()),
            })
            .collect(),
        owners_per_row_percent: split.owners_per_row_percent,
    });
    api::ServicesAlternative {
        grain: from.grain.as_str().to_owned(),
        stability_percent: percent(from.stability),
        services: services.collect(),
        unassigned: from.unassigned.iter().map(|table| name(*table)).collect(),
        unsure: unsure.collect(),
        splits: splits.collect(),
        price: price(from, &from.price, workload),
    }
}

fn pull(found: &Recommendation, from: &Alternative, pull: &Pull) -> api::ServicePull {
    api::ServicePull {
        service: from.services[pull.service].name.to_string(),
        share_percent: percent(pull.share),
        weight: rounded(pull.weight),
        ties: pull.ties.iter().map(|(other, tie)| self::tie(found, *other, tie)).collect(),
    }
}

fn tie(found: &Recommendation, other: usize, tie: &Tie) -> api::TableTie {
    api::TableTie {
        table: found.tables[other].name.to_string(),
        kind: tie.kind.as_str().to_owned(),
        seen: tie.seen.clone(),
        weight: rounded(tie.weight),
    }
}

fn price(from: &Alternative, price: &Price, workload: &Workload) -> api::BoundaryPrice {
    let service = |at: usize| from.services[at].name.to_string();
    let names = |names: &[QualifiedName]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    let cut_key = |key: &CutKey| api::CutKey {
        key: format!("{}({}) to {}", key.table, columns(&key.columns), key.referenced),
        constraint: key.constraint.as_ref().map(ToString::to_string),
        from: service(key.services.0),
        to: service(key.services.1),
        on_delete: action(key.on_delete).to_owned(),
        to_hub: key.to_hub,
        remedy: key_remedy(key).to_owned(),
    };
    let cut_use = |used: &CutUse, text: Option<String>, remedy: String| api::CutUse {
        text,
        count: used.count,
        writes: names(&used.writes),
        reads: names(&used.reads),
        services: service_names(from, &used.services),
        remedy,
    };
    let object = |object: &CutObject, remedy: &str| api::CutObject {
        object: object.name.clone(),
        services: service_names(from, &object.services),
        remedy: remedy.to_owned(),
    };
    let saga = |used: &CutUse| {
        let written = service_names(from, &used.written).join(", then ");
        format!("a saga: {written}, each with a step that takes it back")
    };
    let joined = |used: &CutUse| {
        if used.written.len() > 1 {
            return saga(used);
        }
        "a read-only copy of what is foreign to it, or a projection for this question".to_owned()
    };
    let functions = price.functions.iter().map(|function| {
        let both = "split it: a statement of one service no longer writes the other's tables";
        object(function, if function.writes_several { both } else { "read a copy, or ask the other service" })
    });
    let triggers = price.triggers.iter().map(|trigger| {
        let event = "an event of its service that the other one applies";
        object(trigger, if trigger.writes_several { event } else { "read a copy" })
    });
    api::BoundaryPrice {
        keys: price.keys.iter().map(cut_key).collect(),
        transactions: price.transactions.iter().map(|used| cut_use(used, None, saga(used))).collect(),
        joins: price
            .joins
            .iter()
            .map(|used| cut_use(used, workload.statements.get(used.at).map(|s| s.text.clone()), joined(used)))
            .collect(),
        functions: functions.collect(),
        triggers: triggers.collect(),
        views: price
            .views
            .iter()
            .map(|view| object(view, "a copy of the foreign tables under it, or a projection"))
            .collect(),
    }
}

/// What can take a key's place, by what the key does when the row that it refers to goes.
fn key_remedy(key: &CutKey) -> &'static str {
    match key.on_delete {
        ReferentialAction::Cascade => "delete in this service when the other one says that the row is gone",
        ReferentialAction::SetNull | ReferentialAction::SetDefault => {
            "let go of the reference when the other service says that the row is gone"
        }
        ReferentialAction::Restrict | ReferentialAction::NoAction if key.to_hub => {
            "keep the number, and a copy of the hub's rows to check and show"
        }
        ReferentialAction::Restrict | ReferentialAction::NoAction => {
            "the other service asks here before it deletes; new numbers are checked against a copy"
        }
    }
}

fn action(action: ReferentialAction) -> &'static str {
    match action {
        ReferentialAction::NoAction => "no action",
        ReferentialAction::Restrict => "restrict",
        ReferentialAction::Cascade => "cascade",
        ReferentialAction::SetNull => "set null",
        ReferentialAction::SetDefault => "set default",
    }
}

fn columns(columns: &[Ident]) -> String {
    columns.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn percent(share: f64) -> u64 {
    (share * 100.0).round().clamp(0.0, 100.0) as u64
}

fn rounded(weight: f64) -> f64 {
    (weight * 100.0).round() / 100.0
}
