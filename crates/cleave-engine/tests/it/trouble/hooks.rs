//! Commands around a switch: what they are told, and what becomes of the switch when they fail.

use super::stage::{House, LIMIT, Stage, aborted, switched};
use cleave_api::{CutoverOutcome, Event};
use cleave_engine::{Answer, EngineError, Events, Verb};
use cleave_stream::cancellation;
use std::path::Path;
use std::sync::{Arc, Mutex};

fn with_hooks(stage: &Stage, hooks: &str) -> Stage {
    stage.with("[limits]", &format!("[hooks]\n{hooks}\n[limits]"))
}

/// A cutover or rollback, and what was told meanwhile.
async fn switch(stage: &Stage, verb: Verb) -> (Result<Answer, EngineError>, Vec<String>) {
    let told: Arc<Mutex<Vec<String>>> = Arc::default();
    let heard = Arc::clone(&told);
    let events = Events::new(move |event| {
        if let Event::Note { message, .. } = event {
            heard.lock().unwrap().push(message);
        }
    });
    let (_canceller, cancelled) = cancellation();
    let result = cleave_engine::execute(&stage.topology(), &stage.service(), verb, &events, &cancelled).await;
    let told = told.lock().unwrap().clone();
    (result, told)
}

const CUTOVER: Verb = Verb::Cutover { dry_run: false };
const ROLLBACK: Verb = Verb::Rollback { dry_run: false };

#[tokio::test]
async fn hooks_are_told_of_the_switch_and_their_ends_are_in_the_journal() {
    let house = House::verified("hooks").await;
    let say = "echo $CLEAVE_SWITCH $CLEAVE_EPOCH $CLEAVE_HOME_FROM $CLEAVE_HOME_TO $CLEAVE_SERVICE";
    let hooks = format!(
        "before_switch = [\"{say} before\"]\nin_pause = [\"{say} pause >&2\"]\nafter_switch = [\"{say} after\", \"exit 3\"]"
    );
    let stage = with_hooks(&house.stage, &hooks);
    let service = stage.service();
    for (verb, line, home) in [
        (CUTOVER, format!("hook: cutover 1 monolith products {service}"), "products"),
        (ROLLBACK, format!("hook: rollback 2 products monolith {service}"), "monolith"),
    ] {
        let (result, told) = switch(&stage, verb).await;
        let printed: Vec<&String> = told.iter().filter(|line| line.starts_with("hook: ")).collect();
        assert_eq!(printed, [&format!("{line} before"), &format!("{line} pause"), &format!("{line} after")]);
        assert_eq!(
            stage.said(result),
            "C0425 exit 1: hook `exit 3` failed: it ended with exit status: 3\n\
             hint: the switch is made and stays; run by hand what the hook should have done"
        );
        assert_eq!(stage.home().await, home);
    }
    stage
        .until(
            &stage.m,
            "select array_agg(step || ' ' || event || ' ' || (detail->>'elapsed_ms' is not null)::text order by id)
                 = array['cutover.hook_before_switch done true', 'cutover.hook_in_pause done true',
                         'cutover.hook_after_switch done true', 'cutover.hook_after_switch failed true',
                         'rollback.hook_before_switch done true', 'rollback.hook_in_pause done true',
                         'rollback.hook_after_switch done true', 'rollback.hook_after_switch failed true']
             from cleave.journal where service = 'SERVICE' and step ~ '[.]hook_'",
        )
        .await;
}

#[tokio::test]
async fn a_hook_that_fails_before_a_switch_leaves_everything_as_it_was() {
    let house = House::verified("hook_before").await;
    let stage = with_hooks(&house.stage, "before_switch = [\"echo not yet >&2; false\"]");
    let (result, told) = switch(&stage, CUTOVER).await;
    assert_eq!(
        stage.said(result),
        "C0425 exit 4: hook `echo not yet >&2; false` failed: it ended with exit status: 1\n\
         hint: the switch was not made, and writers go on where they were"
    );
    assert!(told.contains(&"hook: not yet".to_owned()), "{told:?}");
    assert_eq!(stage.home().await, "monolith");
    let slow = with_hooks(&house.stage, "limit = \"300ms\"\nbefore_switch = [\"sleep 600\"]");
    let said = stage.said(switch(&slow, CUTOVER).await.0);
    assert!(said.contains("hook `sleep 600` failed: it did not end within "), "{said}");
    switched(house.stage.cutover().await);
}

#[tokio::test]
async fn a_hook_that_fails_or_hangs_in_the_pause_undoes_the_switch_and_no_writer_is_refused() {
    let house = House::verified("hook_pause").await;
    let workload = house.stage.writers().await;
    let failing = with_hooks(&house.stage, "in_pause = [\"exit 7\"]");
    let said = aborted(failing.cutover().await);
    assert_eq!(said, "step hooks failed: hook `exit 7` failed: it ended with exit status: 7");
    assert!(workload.wait_for(20, LIMIT).await);

    let folder = std::env::temp_dir().join(format!("cleave_hook_{}", std::process::id()));
    let hanging = with_hooks(
        &house.stage.with("write_pause = \"3s\"", "write_pause = \"1s\""),
        &format!("in_pause = [\"sh -c 'echo $$ > {}; sleep 600; true'\"]", folder.display()),
    );
    let said = aborted(hanging.cutover().await);
    assert!(
        said.contains("step hooks was running when the write pause reached its budget")
            || said.contains("did not end within"),
        "{said}"
    );
    assert!(workload.wait_for(20, LIMIT).await);
    let pid = std::fs::read_to_string(&folder).unwrap();
    std::fs::remove_file(&folder).unwrap();
    let began = std::time::Instant::now();
    while Path::new("/proc").join(pid.trim()).join("cmdline").exists() {
        assert!(began.elapsed() < LIMIT, "the hook goes on for ever");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }

    let (result, _) = switch(&house.stage, CUTOVER).await;
    let Ok(Answer::Switch(report)) = result else { panic!("{result:?}") };
    assert_eq!(report.outcome, CutoverOutcome::Switched);
    assert!(workload.wait_for(20, LIMIT).await);
    let record = workload.stop().await.unwrap();
    assert!(record.refused.is_empty(), "{:?}", record.errors);
    house.stage.check(&record, true).await;
}
