//! No failpoint of the engine stands where no command passes: it would be one that nobody is killed at.

use super::OLDEST_TO_NEWEST;
use super::in_place::{InPlace, JOURNEY};
use super::stage::{Shape, Stage, Verb};
use cleave_sandbox::Version;
use std::collections::BTreeSet;
use std::path::Path;

#[tokio::test(flavor = "multi_thread")]
async fn every_point_of_the_code_is_passed_by_a_command_that_is_killed_there() {
    let mut passed = BTreeSet::new();
    for copy_kept in [true, false] {
        let stage = Stage::new(Shape { copy_kept, ..OLDEST_TO_NEWEST }).await;
        let writer = stage.writer().await;
        for verb in [
            Verb::Apply,
            Verb::Cancel,
            Verb::Apply,
            Verb::Verify,
            Verb::Repair,
            Verb::Recopy,
            Verb::Verify,
            Verb::Cutover,
            Verb::Rollback,
            Verb::Verify,
            Verb::Cutover,
            Verb::Complete,
        ] {
            if verb == Verb::Repair {
                stage.break_copy().await;
            }
            passed.extend(stage.points(verb).await);
        }
        writer.stop().await.unwrap();
        stage.tidy().await;
    }
    let in_place = InPlace::new(Version::V18, "view").await;
    for verb in JOURNEY {
        passed.extend(in_place.points(verb).await);
    }
    let upgrade = Stage::of_upgrade(OLDEST_TO_NEWEST.from, OLDEST_TO_NEWEST.to).await;
    for verb in [Verb::Apply, Verb::Cancel] {
        passed.extend(upgrade.points(verb).await);
    }
    let mut written = BTreeSet::new();
    for name in ["cleave-engine", "cleave-stream"] {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name).join("src");
        collect(&sources, &mut written);
    }
    // Those of splits are passed by splits, those of detached tables by an engine that runs, and that of columns that change by
    // a stream that is dropped.
    let elsewhere = ["split.", "detach.", "rejoin.", "columns."];
    let is_here = |name: &&String| !elsewhere.iter().any(|prefix| name.starts_with(prefix));
    let unpassed: Vec<_> = written.difference(&passed).filter(is_here).collect();
    assert!(written.len() > 30 && unpassed.is_empty(), "passed by no command: {unpassed:?}");
}

/// The names that stand in calls such as `hit_async("slot.made")`.
pub(super) fn collect(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, names);
        } else {
            let text = std::fs::read_to_string(&path).unwrap();
            let calls = text.split("cleave_failpoint::").skip(1);
            let literal = |call: &str| {
                let argument = call.split_once('(')?.1.strip_prefix('"')?;
                Some(argument.split_once('"')?.0.to_owned())
            };
            names.extend(calls.filter_map(literal));
        }
    }
}
