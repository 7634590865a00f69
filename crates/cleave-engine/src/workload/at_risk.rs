//! What a move would do to the statements that applications are known to send.

use super::{WorkloadOptions, counted, read_workload};
use crate::{EngineError, Topology};
use cleave_api::{PlanWorkload, Problem, SpanningTransaction, StatementAtRisk};
use cleave_model::workload::Workload;
use cleave_model::{QualifiedName, ServiceName};
use cleave_pg::catalog::read_catalog;
use cleave_plan::{Layer, MovedNames, NameLayer, Plan, StatementVerdict, spanning, verdicts};

/// The bridges of a live move.
const BRIDGES: [Layer; 3] = [Layer::Forward, Layer::Local, Layer::None];
/// Those of a move inside one database.
const IN_PLACE: [Layer; 2] = [Layer::View, Layer::Path];

/// Reads the workload of a plan's source and says what becomes of it; `None` if no source knows anything. What is to be
/// said of the sources, and of statements that would break, are the problems beside it.
///
/// # Errors
/// As [`read_workload`].
pub async fn plan_workload(
    topology: &Topology,
    service: &ServiceName,
    plan: &Plan,
    options: &WorkloadOptions,
) -> Result<(Option<PlanWorkload>, Vec<Problem>), EngineError> {
    let service = crate::planning::service(topology, service.as_str())?;
    let mut session = topology.site(&service.from)?.connect("workload").await?;
    let catalog = read_catalog(&session).await?;
    let reading = read_workload(&mut session, &catalog, options).await?;
    let mut problems = reading.problems;
    if reading.workload.sources.is_empty() {
        return Ok((None, problems));
    }
    let workload = summary(plan, catalog.facts.major(), &reading.workload);
    problems.extend(warning(plan, &workload));
    Ok((Some(workload), problems))
}

/// What old names lead to, and what they might.
fn layers(plan: &Plan) -> (Layer, &'static [Layer]) {
    match plan {
        Plan::Live(plan) => (Layer::from(plan.bridge), &BRIDGES),
        Plan::Schema(plan) => match plan.layer {
            NameLayer::View => (Layer::View, &IN_PLACE),
            NameLayer::Path => (Layer::Path, &IN_PLACE),
        },
    }
}

/// Inside one database, sequences that no column owns keep their names until `complete`.
fn moved(plan: &Plan) -> MovedNames {
    match plan {
        Plan::Live(plan) => {
            let tables = plan.tables.iter().filter(|table| !table.is_partition);
            MovedNames {
                tables: tables.map(|table| table.source.qualified()).collect(),
                sequences: plan.sequences.iter().map(|sequence| sequence.source.qualified()).collect(),
            }
        }
        Plan::Schema(plan) => {
            let tables = plan.tables.iter().filter(|table| !table.is_partition);
            let owned = plan.sequences.iter().filter(|sequence| sequence.owned);
            MovedNames {
                tables: tables.map(|table| table.from.qualified()).collect(),
                sequences: owned.map(|sequence| sequence.from.qualified()).collect(),
            }
        }
    }
}

fn summary(plan: &Plan, major: u32, workload: &Workload) -> PlanWorkload {
    let (moved, (layer, offered)) = (moved(plan), layers(plan));
    let touches = workload.statements.iter().filter(|statement| {
        statement.tables.iter().any(|used| moved.tables.contains(&used.table))
            || statement.sequences.iter().any(|sequence| moved.sequences.contains(sequence))
    });
    let at_risk = verdicts(workload, &moved, layer, major, offered);
    let spanning = spanning(workload, &moved).into_iter().map(|transaction| {
        let (inside, outside): (Vec<_>, Vec<_>) =
            transaction.written.iter().partition(|name| moved.tables.contains(name));
        SpanningTransaction { moved: shown(inside), staying: shown(outside), count: transaction.count }
    });
    PlanWorkload {
        sources: workload.sources.clone(),
        statements: touches.count() as u64,
        unread: workload.unread.len() as u64,
        at_risk: at_risk.into_iter().map(statement).collect(),
        spanning: spanning.collect(),
    }
}

fn shown<'n>(names: impl IntoIterator<Item = &'n QualifiedName>) -> Vec<String> {
    names.into_iter().map(ToString::to_string).collect()
}

fn statement(verdict: StatementVerdict) -> StatementAtRisk {
    let owned = |reasons: Vec<&'static str>| reasons.into_iter().map(str::to_owned).collect();
    StatementAtRisk {
        id: verdict.id,
        text: verdict.text,
        role: verdict.role,
        calls: verdict.calls,
        objects: shown(&verdict.objects),
        breaks: owned(verdict.breaks),
        differs: owned(verdict.differs),
        carried_by: verdict.carried_by.iter().map(|layer| layer.as_str().to_owned()).collect(),
    }
}

/// One warning for all: the statements themselves stand beside it.
fn warning(plan: &Plan, workload: &PlanWorkload) -> Option<Problem> {
    let broken: Vec<&StatementAtRisk> =
        workload.at_risk.iter().filter(|statement| !statement.breaks.is_empty()).collect();
    if broken.is_empty() {
        return None;
    }
    let (bridge, offered) = layers(plan);
    let count = counted(broken.len() as u64, "known statement", "known statements");
    let carriers = offered.iter().filter(|other| {
        **other != bridge && broken.iter().all(|s| s.carried_by.iter().any(|name| name == other.as_str()))
    });
    let carriers: Vec<&str> = carriers.map(|layer| layer.as_str()).collect();
    let hint = match carriers.as_slice() {
        [] if matches!(plan, Plan::Schema(_)) => {
            "have applications name the tables without a schema, or with the new one, before the cutover"
                .to_owned()
        }
        [] => "have applications send them to the new home before the switch, or change them".to_owned(),
        names => format!("bridge = {} would carry all of them", names.join(" or ")),
    };
    let message = format!("{count} would fail under the old names through bridge {bridge}");
    Some(Problem::warning("C1010", message).hint(hint).about(format!("service {}", plan.service())))
}
