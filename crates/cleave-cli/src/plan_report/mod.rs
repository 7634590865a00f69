//! A plan as the contract shows it: [`MovePlan`] is what the engine runs, [`PlanReport`] is what people and scripts
//! read.

mod locks;
mod schema_move;
mod steps;

use cleave_api::{Crossing, CrossingKind, MissingRole, PlanReport, PlannedTable, Problem, Severity};
use cleave_config::Limits;
use cleave_plan::{BridgeKind, Finding, MovePlan, Name, Plan, RowIdentity, Weight};

/// Codes of findings about roles that the target lacks.
const OWNER_MISSING: &str = "C0217";
const GRANTEE_MISSING: &str = "C0218";

/// Characters of a fingerprint that are shown.
const FINGERPRINT_SHOWN: usize = 12;

/// The report of a plan. Pure.
pub fn report(plan: &Plan, limits: &Limits) -> PlanReport {
    match plan {
        Plan::Live(plan) => live(plan, limits),
        Plan::Schema(plan) => schema_move::report(plan, limits),
    }
}

/// All SQL that is known beforehand, with a comment per step.
pub fn sql(plan: &Plan) -> String {
    match plan {
        Plan::Live(plan) => steps::sql(plan),
        Plan::Schema(plan) => schema_move::sql(plan),
    }
}

fn live(plan: &MovePlan, limits: &Limits) -> PlanReport {
    PlanReport {
        service: plan.service.clone(),
        source: plan.source.clone(),
        home: match plan.whole {
            Some(_) => plan.target.clone(),
            None => format!("{}/{}", plan.target, plan.target_schema),
        },
        copy: plan.copy_kept.then(|| format!("{}/{}", plan.source, plan.copy_schema)),
        bridge: bridge(plan.bridge).to_owned(),
        owner: plan.owner_role.clone(),
        fingerprint: plan.fingerprint.chars().take(FINGERPRINT_SHOWN).collect(),
        tables: plan.tables.iter().map(table).collect(),
        sequences: plan.sequences.iter().map(|sequence| dotted(&sequence.source)).collect(),
        crossings: plan.crossings.iter().map(crossing).collect(),
        functions: Vec::new(),
        missing_roles: plan.findings.iter().filter_map(|finding| missing_role(plan, finding)).collect(),
        steps: steps::steps(plan),
        locks: locks::locks(plan),
        expected_pause_ms: None,
        write_pause_ms: u64::try_from(limits.write_pause.as_millis()).unwrap_or(u64::MAX),
        workload: None,
        findings: plan.findings.iter().map(problem).collect(),
    }
}

fn bridge(kind: BridgeKind) -> &'static str {
    match kind {
        BridgeKind::Forward => "forward",
        BridgeKind::Local => "local",
        BridgeKind::None => "none",
    }
}

/// `schema.name`, quoted where SQL would need it.
pub(crate) fn dotted(name: &Name) -> String {
    name.qualified().to_string()
}

fn table(table: &cleave_plan::PlannedTable) -> PlannedTable {
    PlannedTable {
        name: dotted(&table.source),
        target: dotted(&table.target),
        rows: table.rows,
        bytes: table.bytes,
        identity: match &table.identity {
            Some(RowIdentity::Key(columns)) => format!("key ({})", columns.join(", ")),
            Some(RowIdentity::Full) => "full row".to_owned(),
            None => "by partition".to_owned(),
        },
        partition: table.is_partition,
    }
}

pub(crate) fn crossing(crossing: &cleave_plan::Crossing) -> Crossing {
    let kind = match crossing.kind.as_str() {
        kind if kind.starts_with("foreign key") => CrossingKind::ForeignKey,
        "view" => CrossingKind::View,
        "materialized view" => CrossingKind::MaterializedView,
        "trigger" => CrossingKind::Trigger,
        "sequence" => CrossingKind::Sequence,
        _ => CrossingKind::Function,
    };
    Crossing { kind, object: crossing.object.clone(), fate: crossing.outcome.clone() }
}

fn missing_role(plan: &MovePlan, finding: &Finding) -> Option<MissingRole> {
    let role = match finding.code.as_str() {
        OWNER_MISSING => plan.owner_role.clone()?,
        GRANTEE_MISSING => finding.object.strip_prefix("role ")?.to_owned(),
        _ => return None,
    };
    let reason = match finding.code.as_str() {
        OWNER_MISSING => format!("owns schema {} and what is in it", plan.target_schema),
        _ => "has rights on moved tables; without it they are left out".to_owned(),
    };
    let sql = finding.fix.as_deref()?.trim_end_matches(';').to_owned();
    Some(MissingRole { role, database: plan.target.clone(), reason, sql })
}

/// A finding as a problem; its fix is the hint.
pub(crate) fn problem(finding: &Finding) -> Problem {
    let message = format!("{}: {}", finding.object, finding.message);
    let problem = Problem {
        severity: match finding.weight {
            Weight::Refusal => Severity::Error,
            Weight::Warning => Severity::Warning,
            Weight::Note => Severity::Note,
        },
        hint: finding.fix.clone(),
        ..Problem::error(&finding.code, message)
    };
    problem.about(&finding.object)
}
