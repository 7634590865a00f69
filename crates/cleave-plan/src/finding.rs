//! What the planner has to say about an object: a refusal, a warning or a note.

use serde::{Deserialize, Serialize};

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Weight {
    /// Worth knowing.
    Note,
    /// Works, but somebody should look.
    Warning,
    /// `apply` will not start.
    Refusal,
}

/// One finding. Codes `C02xx`; each has a page of `cleave explain`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Stable code.
    pub code: String,
    /// Weight.
    pub weight: Weight,
    /// The object it is about, as people name it.
    pub object: String,
    /// What is so, in one sentence without a full stop.
    pub message: String,
    /// SQL or setting that changes it, if there is one.
    pub fix: Option<String>,
}

impl Finding {
    pub(crate) fn refusal(code: &str, object: impl ToString, message: impl Into<String>) -> Self {
        Self::new(Weight::Refusal, code, object, message)
    }

    pub(crate) fn warning(code: &str, object: impl ToString, message: impl Into<String>) -> Self {
        Self::new(Weight::Warning, code, object, message)
    }

    pub(crate) fn note(code: &str, object: impl ToString, message: impl Into<String>) -> Self {
        Self::new(Weight::Note, code, object, message)
    }

    fn new(weight: Weight, code: &str, object: impl ToString, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), weight, object: object.to_string(), message: message.into(), fix: None }
    }

    pub(crate) fn fix(self, fix: impl Into<String>) -> Self {
        Self { fix: Some(fix.into()), ..self }
    }
}
