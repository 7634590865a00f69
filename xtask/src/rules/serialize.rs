//! What the outside reads is defined in one place: only cleave-api derives `Serialize`.

use super::Finding;
use super::repository::Repository;

/// Who may, and why. What is stored is read back by the same crate, and its form is that crate's own business.
const ALLOWED: &[(&str, &str)] = &[
    ("cleave-api", "the public contract: outputs, events, problems"),
    ("cleave-plan", "a plan is saved to a file and read back by `apply`"),
    ("cleave-journal", "the payload of a journal row is read back after a crash"),
];

/// One finding per derive or implementation elsewhere.
pub(super) fn check(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (package, path, source) in repository.production() {
        if ALLOWED.iter().any(|(allowed, _why)| *allowed == package) {
            continue;
        }
        for line in source.lines().filter(|line| names_serialize(&line.code)) {
            let allowed: Vec<&str> = ALLOWED.iter().map(|(allowed, _why)| *allowed).collect();
            let reason = format!(
                "{package} makes a format of its own: what the outside reads is a type of cleave-api (allowed: {})",
                allowed.join(", ")
            );
            findings.push(Finding::new(path, line.number, reason));
        }
    }
    findings
}

/// The name on its own: neither `Deserialize` nor `SerializeError`. An import alone is found as well.
fn names_serialize(code: &str) -> bool {
    code.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == "Serialize")
}

#[cfg(test)]
mod tests {
    use super::super::tests::expect;
    use super::check;

    #[test]
    fn a_derive_outside_the_contract_is_found() {
        let text = "/// A lag.\n#[derive(Debug, serde::Serialize)]\npub struct Lag;\n";
        expect(check, &[("crates/cleave-stream/src/lag.rs", text)], &["crates/cleave-stream/src/lag.rs:2"]);
    }

    #[test]
    fn the_contract_may_derive_and_everyone_may_read() {
        expect(check, &[("crates/cleave-api/src/lag.rs", "#[derive(Serialize)]\npub struct Lag;\n")], &[]);
        expect(check, &[("crates/cleave-pg/src/lag.rs", "#[derive(Deserialize)]\npub struct Lag;\n")], &[]);
    }
}
