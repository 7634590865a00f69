//! The findings about one database, as they are collected.

use cleave_api::{DoctorReport, Finding, Problem, Severity};
use cleave_assess::readiness;
use cleave_model::DatabaseName;
use std::error::Error;

/// Collects findings and counts checks.
pub(super) struct Sheet {
    database: String,
    findings: Vec<Finding>,
    checks: u64,
}

impl Sheet {
    pub(super) fn new(database: &DatabaseName) -> Self {
        Self { database: database.to_string(), findings: Vec::new(), checks: 0 }
    }

    /// The database that the sheet is about.
    pub(super) fn database(&self) -> &str {
        &self.database
    }

    /// Notes one check and what it found, if anything.
    pub(super) fn check(&mut self, noted: impl IntoIterator<Item = Noted>) {
        self.checks += 1;
        for noted in noted {
            self.findings.push(Finding { database: self.database.clone(), ..noted.0 });
        }
    }

    /// Notes that a check could not be made.
    pub(super) fn failed(&mut self, what: &str, error: &cleave_pg::PgError) {
        let seen = format!("{what} failed: {}", told(error));
        self.check([Noted::error(error.code(), seen, "what cannot be read cannot be checked")]);
    }

    /// Notes what the rules of readiness have said.
    pub(super) fn judged(&mut self, judgement: readiness::Judgement) {
        self.checks += judgement.checks as u64;
        let database = &self.database;
        self.findings.extend(judgement.findings.into_iter().map(|finding| shown(finding, database)));
    }

    pub(super) fn hand_in(self, report: &mut DoctorReport) {
        report.checks += self.checks;
        report.findings.extend(self.findings);
    }
}

/// A finding of the rules as reports show it.
pub(crate) fn shown(finding: readiness::Finding, database: &str) -> Finding {
    let only = finding.objects.len() == 1 && finding.objects_more == 0;
    Finding {
        code: finding.code.to_owned(),
        severity: match finding.severity {
            readiness::Severity::Note => Severity::Note,
            readiness::Severity::Warning => Severity::Warning,
            readiness::Severity::Blocker => Severity::Error,
        },
        database: database.to_owned(),
        object: only.then(|| finding.objects[0].clone()),
        objects: finding.objects,
        objects_more: finding.objects_more as u64,
        seen: finding.seen,
        why: finding.why.to_owned(),
        fix_sql: finding.fix,
    }
}

/// A finding on its way to a sheet.
pub(super) struct Noted(Finding);

impl Noted {
    /// What stops a move. `seen` and `why` are sentences without a capital and a full stop.
    pub(super) fn error(code: &str, seen: impl Into<String>, why: impl Into<String>) -> Self {
        Self::new(Severity::Error, code, seen, why)
    }

    /// What should be changed but stops nothing.
    pub(super) fn warning(code: &str, seen: impl Into<String>, why: impl Into<String>) -> Self {
        Self::new(Severity::Warning, code, seen, why)
    }

    /// What is worth knowing.
    pub(super) fn note(code: &str, seen: impl Into<String>, why: impl Into<String>) -> Self {
        Self::new(Severity::Note, code, seen, why)
    }

    pub(super) fn new(
        severity: Severity,
        code: &str,
        seen: impl Into<String>,
        why: impl Into<String>,
    ) -> Self {
        Self(Finding {
            code: code.to_owned(),
            severity,
            database: String::new(),
            object: None,
            objects: Vec::new(),
            objects_more: 0,
            seen: seen.into(),
            why: why.into(),
            fix_sql: None,
        })
    }

    /// Names the table, role or setting.
    pub(super) fn about(mut self, object: impl ToString) -> Self {
        self.0.object = Some(object.to_string());
        self.0.objects = vec![object.to_string()];
        self
    }

    /// The SQL or setting that changes it.
    pub(super) fn fix(mut self, sql: impl Into<String>) -> Self {
        self.0.fix_sql = Some(sql.into());
        self
    }
}

/// An error with its causes in one line.
pub(super) fn told(error: &dyn Error) -> String {
    let problem = Problem::from_error("", error);
    let causes = problem.causes.iter().map(|cause| format!(": {cause}"));
    problem.message + &causes.collect::<String>()
}
