//! Runs the rules and words what they find.

use super::{Check, Found, Ground, Hit, RULES, Rule, Severity, Side};

/// Objects that a finding lists by name, and statements of its fix.
const LISTED: usize = 5;

/// A finding about a database or a pair of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Stable code; `cleave explain` has its page.
    pub code: &'static str,
    /// Weight.
    pub severity: Severity,
    /// The objects, the first few.
    pub objects: Vec<String>,
    /// How many more there are.
    pub objects_more: usize,
    /// What was seen, without a full stop.
    pub seen: String,
    /// Why it matters.
    pub why: &'static str,
    /// SQL or a setting that changes it.
    pub fix: Option<String>,
}

/// What the rules have said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judgement {
    /// In the order of the registry.
    pub findings: Vec<Finding>,
    /// Rules asked.
    pub checks: usize,
}

/// Asks every rule about one database that stands on these sides. Rules whose subject the plan of a service has findings
/// of its own about are asked only if `plan_speaks` is not.
pub fn judge(ground: &Ground<'_>, sides: &[Side], plan_speaks: PlanSpeaks) -> Judgement {
    let mut judgement = Judgement::default();
    for rule in RULES {
        let Check::One(check) = rule.check else { continue };
        let asked = rule.side == Side::Either || sides.contains(&rule.side);
        if asked && !(rule.in_plan && plan_speaks == PlanSpeaks::Too) {
            judgement.ask(rule, |found| check(ground, found));
        }
    }
    judgement
}

/// Asks the rules about a source and a target together.
pub fn judge_pair(source: &Ground<'_>, target: &Ground<'_>, plan_speaks: PlanSpeaks) -> Judgement {
    let mut judgement = Judgement::default();
    for rule in RULES {
        let Check::Two(check) = rule.check else { continue };
        if !(rule.in_plan && plan_speaks == PlanSpeaks::Too) {
            judgement.ask(rule, |found| check(source, target, found));
        }
    }
    judgement
}

/// Whether somebody shows the plan's findings about the same tables beside these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlanSpeaks {
    /// They are shown too.
    Too,
    /// They are not.
    Not,
}

impl Judgement {
    fn ask(&mut self, rule: &Rule, check: impl FnOnce(&mut Found)) {
        self.checks += 1;
        let mut found = Found::default();
        check(&mut found);
        let (sentences, objects): (Vec<Hit>, Vec<Hit>) =
            found.hits.into_iter().partition(|hit| hit.sentence.is_some());
        self.findings.extend(sentences.into_iter().map(|hit| sentence(rule, hit)));
        // Hits of one weight belong together.
        for severity in [Severity::Blocker, Severity::Warning, Severity::Note] {
            let alike: Vec<&Hit> =
                objects.iter().filter(|hit| hit.severity.unwrap_or(rule.severity) == severity).collect();
            if !alike.is_empty() {
                self.findings.push(together(rule, severity, &alike));
            }
        }
    }
}

fn sentence(rule: &Rule, hit: Hit) -> Finding {
    Finding {
        code: rule.code,
        severity: hit.severity.unwrap_or(rule.severity),
        objects: hit.object.into_iter().collect(),
        objects_more: 0,
        seen: hit.sentence.unwrap_or_default(),
        why: rule.why,
        fix: hit.fix,
    }
}

fn together(rule: &Rule, severity: Severity, hits: &[&Hit]) -> Finding {
    let more = hits.len().saturating_sub(LISTED);
    let name = |hit: &&Hit| hit.object.clone().unwrap_or_default();
    let shown = hits.iter().take(LISTED).map(|hit| match &hit.detail {
        Some(detail) => format!("{} ({detail})", name(hit)),
        None => name(hit),
    });
    let noun = if hits.len() == 1 { rule.nouns.0 } else { rule.nouns.1 };
    let mut seen = format!("{} {noun}: {}", hits.len(), shown.collect::<Vec<_>>().join(", "));
    if more > 0 {
        seen.push_str(&format!(" and {more} more"));
    }
    Finding {
        code: rule.code,
        severity,
        objects: hits.iter().take(LISTED).map(name).collect(),
        objects_more: more,
        seen,
        why: rule.why,
        fix: fixes(hits),
    }
}

/// Equal statements once; the first few, and how many there are.
fn fixes(hits: &[&Hit]) -> Option<String> {
    let mut fixes: Vec<&str> = Vec::new();
    for fix in hits.iter().filter_map(|hit| hit.fix.as_deref()) {
        if !fixes.contains(&fix) {
            fixes.push(fix);
        }
    }
    let more = fixes.len().saturating_sub(LISTED);
    fixes.truncate(LISTED);
    let mut text = fixes.join("\n");
    if more > 0 {
        text.push_str(&format!("\n-- and the same for {more} more"));
    }
    (!text.is_empty()).then_some(text)
}
