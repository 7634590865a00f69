//! Readiness: what of a database or its server stands in the way of a move, or is worth knowing before one.
//!
//! One file per finding: its code, how much it weighs, why it matters, what changes it, an example that has it and one
//! that does not, and the check. The pages of `cleave explain` are made from these files ([`page`]), and a test runs the
//! examples on a real server. To add a finding: write its file, and one line in [`rules`].

mod form;
mod ground;
mod judge;
mod page;
mod rules;

pub use form::{Check, Example, Found, Hit, Rule, Severity, Side};
pub use ground::{Ground, Observed};
pub use judge::{Finding, Judgement, PlanSpeaks, judge, judge_pair};
pub use page::{page, reference};
pub use rules::RULES;
