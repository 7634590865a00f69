//! A plan of either kind, as it is stored, saved and run.

use crate::{Crossing, Finding, MovePlan, SchemaPlan, Weight};
use serde_json::{Value, error::Error};

/// What a service's move does.
#[derive(Clone, Debug, PartialEq)]
pub enum Plan {
    /// Into another database: copy, follow, switch.
    Live(Box<MovePlan>),
    /// Into another schema of the same database: the catalog only.
    Schema(Box<SchemaPlan>),
}

impl Plan {
    /// Reads the stored form.
    ///
    /// # Errors
    /// What serde says of a value that is no plan.
    pub fn from_value(value: Value) -> Result<Self, Error> {
        if value.get("kind").and_then(Value::as_str) == Some(SchemaPlan::KIND) {
            return serde_json::from_value(value).map(|plan| Self::Schema(Box::new(plan)));
        }
        serde_json::from_value(value).map(|plan| Self::Live(Box::new(plan)))
    }

    /// The stored form.
    ///
    /// # Errors
    /// Nothing in a plan makes it fail.
    pub fn to_value(&self) -> Result<Value, Error> {
        match self {
            Self::Live(plan) => serde_json::to_value(plan),
            Self::Schema(plan) => serde_json::to_value(plan),
        }
    }

    /// The service.
    pub fn service(&self) -> &str {
        match self {
            Self::Live(plan) => &plan.service,
            Self::Schema(plan) => &plan.service,
        }
    }

    /// [`crate::PLAN_VERSION`] of the program that made it.
    pub fn version(&self) -> u32 {
        match self {
            Self::Live(plan) => plan.version,
            Self::Schema(plan) => plan.version,
        }
    }

    /// What was found.
    pub fn findings(&self) -> &[Finding] {
        match self {
            Self::Live(plan) => &plan.findings,
            Self::Schema(plan) => &plan.findings,
        }
    }

    /// Of the tables when the plan was made.
    pub fn fingerprint(&self) -> &str {
        match self {
            Self::Live(plan) => &plan.fingerprint,
            Self::Schema(plan) => &plan.fingerprint,
        }
    }

    /// True if `apply` will not start.
    pub fn is_refused(&self) -> bool {
        self.findings().iter().any(|finding| finding.weight == Weight::Refusal)
    }

    /// True if both do the same to the same objects.
    pub fn does_the_same_as(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Live(a), Self::Live(b)) => a.does_the_same_as(b),
            (Self::Schema(a), Self::Schema(b)) => a.does_the_same_as(b),
            _ => false,
        }
    }

    /// How many sequences move.
    pub fn sequences(&self) -> usize {
        match self {
            Self::Live(plan) => plan.sequences.len(),
            Self::Schema(plan) => plan.sequences.len(),
        }
    }

    /// What leaves the boundary.
    pub fn crossings(&self) -> &[Crossing] {
        match self {
            Self::Live(plan) => &plan.crossings,
            Self::Schema(plan) => &plan.crossings,
        }
    }

    /// Names of the tables when the plan was made.
    pub fn sources(&self) -> Vec<cleave_model::QualifiedName> {
        match self {
            Self::Live(plan) => plan.tables.iter().map(|table| table.source.qualified()).collect(),
            Self::Schema(plan) => plan.tables.iter().map(|table| table.from.qualified()).collect(),
        }
    }
}
