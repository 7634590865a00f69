//! What the full run remembers: one result per test binary, in `state.json` while it goes on and `report.json` at the end.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use super::binaries::Binary;
use super::stream::Outcome;
use super::tally::Tally;
use crate::error::Error;

/// The result of one binary.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct BinaryResult {
    /// The code that was under test.
    pub(crate) stamp: String,
    /// The sums.
    pub(crate) tally: Tally,
    /// How long it took.
    pub(crate) seconds: f64,
    /// `test: reason`, for each test that could not run.
    pub(crate) skipped: Vec<String>,
}

impl BinaryResult {
    /// Joins what a run came to with what was run.
    pub(crate) fn new(binary: &Binary, outcome: Outcome, seconds: f64) -> BinaryResult {
        BinaryResult { stamp: binary.stamp.clone(), tally: outcome.tally, seconds, skipped: outcome.skipped }
    }

    /// Whether this result stands for the binary as it is now. A failure never stands: it is run again.
    pub(crate) fn stands_for(&self, binary: &Binary) -> bool {
        self.tally.failed == 0 && self.stamp == binary.stamp
    }

    fn to_json(&self) -> Value {
        json!({
            "stamp": self.stamp,
            "passed": self.tally.passed,
            "failed": self.tally.failed,
            "skipped": self.tally.skipped,
            "seconds": self.seconds,
            "skipped_tests": self.skipped,
        })
    }

    fn from_json(value: &Value) -> Option<BinaryResult> {
        let count = |key: &str| value[key].as_u64();
        let skipped = value["skipped_tests"].as_array()?;
        Some(BinaryResult {
            stamp: value["stamp"].as_str()?.to_owned(),
            tally: Tally { passed: count("passed")?, failed: count("failed")?, skipped: count("skipped")? },
            seconds: value["seconds"].as_f64()?,
            skipped: skipped.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        })
    }
}

/// Results by the name of the binary.
pub(crate) type Results = BTreeMap<String, BinaryResult>;

/// Reads the results of earlier runs. A missing or unreadable file is no results: everything runs again.
pub(crate) fn load(path: &Path) -> Results {
    let Ok(text) = std::fs::read_to_string(path) else { return Results::new() };
    let Ok(Value::Object(entries)) = serde_json::from_str(&text) else { return Results::new() };
    entries.iter().filter_map(|(name, value)| Some((name.clone(), BinaryResult::from_json(value)?))).collect()
}

/// Writes the results so that a run killed at any instant leaves the old file or the new one.
pub(crate) fn save(path: &Path, results: &Results) -> Result<(), Error> {
    let entries: serde_json::Map<String, Value> =
        results.iter().map(|(name, result)| (name.clone(), result.to_json())).collect();
    write(path, &Value::Object(entries))
}

/// Writes the report: each binary of the workspace, and whether all of them have a result.
pub(crate) fn report(path: &Path, binaries: &[Binary], results: &Results) -> Result<(), Error> {
    let mut list = Vec::new();
    let mut total = Tally::default();
    let mut complete = true;
    for binary in binaries {
        let Some(result) = results.get(&binary.name).filter(|result| result.stamp == binary.stamp) else {
            complete = false;
            list.push(json!({ "name": binary.name, "ran": false }));
            continue;
        };
        total.add(result.tally);
        let mut entry = result.to_json();
        if let Some(entry) = entry.as_object_mut() {
            entry.remove("stamp");
        }
        entry["name"] = json!(binary.name);
        entry["ran"] = json!(true);
        list.push(entry);
    }
    let value = json!({
        "complete": complete,
        "passed": total.passed,
        "failed": total.failed,
        "skipped": total.skipped,
        "binaries": list,
    });
    write(path, &value)
}

fn write(path: &Path, value: &Value) -> Result<(), Error> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|source| Error::Json { path: path.to_path_buf(), source })?;
    let beside = path.with_extension("new");
    std::fs::write(&beside, text + "\n").map_err(Error::file("write", &beside))?;
    std::fs::rename(&beside, path).map_err(Error::file("write", path))
}

#[cfg(test)]
mod tests {
    use super::{BinaryResult, Tally};

    #[test]
    fn a_result_survives_being_written_and_read() {
        let result = BinaryResult {
            stamp: "it 10 20".to_owned(),
            tally: Tally { passed: 3, failed: 1, skipped: 2 },
            seconds: 1.5,
            skipped: vec!["a: no input".to_owned()],
        };
        assert_eq!(BinaryResult::from_json(&result.to_json()), Some(result));
    }
}
