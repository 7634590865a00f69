//! Keys, replica identity and kind of the tables to move: the plan's own checks, made early.

use super::sheet::{Noted, Sheet};
use super::sides::claimed;
use cleave_api::Severity;
use cleave_config::Service;
use cleave_model::catalog::Catalog;
use cleave_plan::{Finding, MovePlan, Scope, Weight, table_findings};

/// What stands against an upgrade can only be said of both servers together: it is the plan's findings.
pub(super) fn upgrade(plan: MovePlan, sheet: &mut Sheet) {
    sheet.check(plan.findings.into_iter().map(noted));
}

/// `target` is the new home's catalog, where it could be read.
pub(super) fn check(catalog: &Catalog, target: Option<&Catalog>, service: &Service, sheet: &mut Sheet) {
    if service.whole.is_some() {
        return;
    }
    let claimed = claimed(service, catalog);
    sheet.check(service.tables.iter().filter_map(|pattern| {
        let found = claimed.iter().any(|name| pattern.value.matches(name));
        let seen = format!("service {} claims `{}`, and no table is called so", service.name, pattern.value);
        let why = "a name that fits nothing is a slip in cleave.toml, or a table that is gone";
        (!found).then(|| Noted::error("C0817", seen, why).about(&pattern.value))
    }));
    let (scope, _) = Scope::new(catalog, &claimed);
    sheet.check(table_findings(&scope, service, target).into_iter().map(noted));
}

fn noted(finding: Finding) -> Noted {
    let severity = match finding.weight {
        Weight::Note => Severity::Note,
        Weight::Warning => Severity::Warning,
        Weight::Refusal => Severity::Error,
    };
    let why = match finding.weight {
        Weight::Refusal => "the plan of the move would be refused",
        Weight::Warning => "the move works, but somebody should look",
        Weight::Note => "the plan says it too",
    };
    let noted = Noted::new(severity, &finding.code, finding.message, why).about(finding.object);
    match finding.fix {
        Some(fix) => noted.fix(fix),
        None => noted,
    }
}
