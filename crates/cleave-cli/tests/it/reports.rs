//! How each report looks, without its colours.

use cleave_api::*;
use cleave_cli::render::{self, Human};

fn check(report: &impl Human) -> String {
    let text = report.human(1);
    anstream::adapter::strip_str(&text).collect()
}

#[test]
fn a_status_shows_copy_streams_and_verification() {
    let stream = |direction, armed| StreamStatus {
        direction,
        source: "monolith".into(),
        target: "products".into(),
        armed,
        running: true,
        slot: "cleave_films_forward_1".into(),
        wal_status: WalStatus::Reserved,
        retained_bytes: Some(22_000_000),
        lag_bytes: Some(1_200_000),
        lag_ms: Some(300),
        position: Some("16/B374D848".into()),
        replication: Some(ReplicationStatus {
            pid: armed.then_some(4711),
            state: armed.then(|| "streaming".into()),
            sent: armed.then(|| "16/B374DD00".into()),
            confirmed: Some("16/B374D848".into()),
            last_answer_ms: armed.then_some(900),
            safe_wal_bytes: armed.then_some(10_000_000_000),
            origin: format!("cleave_films_{}", if armed { "forward" } else { "back" }),
        }),
    };
    let following = ServiceStatus {
        kind: cleave_api::MoveKind::Live,
        name: "films".into(),
        state: ServiceState::Following,
        paused: false,
        home: "monolith".into(),
        wanted: "products/films".into(),
        epoch: 0,
        streams: vec![stream(StreamDirection::Forward, true), stream(StreamDirection::Back, false)],
        copy: Some(CopyProgress {
            tables_done: 6,
            tables: 6,
            rows: 63_114_902,
            bytes: 38_200_000_000,
            elapsed_ms: Some(842_000),
            ..Default::default()
        }),
        bridge: None,
        verification: VerificationStatus {
            state: VerificationState::Clean,
            at: None,
            age_ms: Some(720_000),
            rows: 63_114_902,
            differences: 0,
        },
        problems: vec![],
    };
    let stopped = ServiceStatus {
        kind: cleave_api::MoveKind::Live,
        name: "stores".into(),
        state: ServiceState::Stopped,
        streams: vec![],
        copy: None,
        problems: vec![
            Problem::error("C0501", "`public.store` has another structure now").hint("cancel the move"),
        ],
        ..following.clone()
    };
    insta::assert_snapshot!(check(&StatusReport { services: vec![following, stopped], engine: None }));
}

fn plan() -> PlanReport {
    PlanReport {
        service: "films".into(),
        source: "monolith".into(),
        home: "products/films".into(),
        copy: Some("monolith/films_copy".into()),
        bridge: "forward".into(),
        owner: Some("films_svc".into()),
        fingerprint: "7f3a".into(),
        tables: vec![PlannedTable {
            name: "public.film".into(),
            target: "films.film".into(),
            rows: 52_000_000,
            bytes: 31_000_000_000,
            identity: "key (film_id)".into(),
            partition: false,
        }],
        sequences: vec!["public.film_film_id_seq".into()],
        crossings: vec![Crossing {
            kind: CrossingKind::ForeignKey,
            object: "public.inventory.inventory_film_id_fkey".into(),
            fate: "becomes a watched reference".into(),
        }],
        functions: Vec::new(),
        missing_roles: vec![MissingRole {
            role: "films_svc".into(),
            database: "products".into(),
            reason: "owns the schema".into(),
            sql: "create role \"films_svc\" login".into(),
        }],
        steps: vec![PlanStep {
            name: "schema".into(),
            summary: "make the schema and its tables".into(),
            side: ChangeSide::Target,
            sql: vec![],
        }],
        locks: vec![LockUse {
            database: "monolith".into(),
            object: "public.film".into(),
            mode: "ACCESS EXCLUSIVE".into(),
            step: "fence".into(),
            length: None,
        }],
        expected_pause_ms: Some(120),
        write_pause_ms: 500,
        workload: None,
        findings: vec![Problem::error("C0204", "`public.log` has no key").hint("add a primary key")],
    }
}

#[test]
fn a_plan_shows_what_moves_what_crosses_and_why_not() {
    insta::assert_snapshot!(check(&plan()));
}

fn cutover(outcome: CutoverOutcome) -> CutoverReport {
    CutoverReport {
        service: "films".into(),
        direction: SwitchDirection::Cutover,
        outcome,
        pause_ms: 236,
        budget_ms: 500,
        steps: vec![StepTime { name: "fence".into(), ms: 41 }, StepTime { name: "drain".into(), ms: 195 }],
        epoch: 1,
        home: "products".into(),
        reason: None,
        with: Vec::new(),
    }
}

#[test]
fn each_end_of_a_cutover_says_where_writes_go() {
    let ends = [
        CutoverOutcome::Switched,
        CutoverOutcome::Aborted,
        CutoverOutcome::Refused,
        CutoverOutcome::Rehearsed,
    ];
    insta::assert_snapshot!(ends.map(|outcome| check(&cutover(outcome))).join("\n"));
}

#[test]
fn each_end_of_a_cutover_of_several_services_says_where_writes_to_each_go() {
    let ends = [CutoverOutcome::Switched, CutoverOutcome::Aborted, CutoverOutcome::Rehearsed];
    let several = |outcome| {
        let stores = SwitchedWith { service: "stores".into(), epoch: 3, home: "retail".into() };
        CutoverReport { with: vec![stores], ..cutover(outcome) }
    };
    insta::assert_snapshot!(ends.map(|outcome| check(&several(outcome))).join("\n"));
}

#[test]
fn a_verification_lists_differences_by_key() {
    let report = VerifyReport {
        service: "films".into(),
        state: VerificationState::Different,
        aligned: true,
        at: "2026-11-22T09:00:00Z".into(),
        elapsed_ms: 812,
        rows: 1000,
        resumed: 400,
        since: Some("2026-11-22T08:00:00Z".into()),
        repaired: None,
        tables: vec![TableVerdict {
            table: "films.film".into(),
            rows: 1000,
            rechecked: 3,
            unproven: 0,
            differences: 2,
            entries: 2,
        }],
        differences: vec![Difference {
            table: "films.film".into(),
            key: vec![("film_id".into(), "17".into())],
            kind: DifferenceKind::Changed,
            columns: vec!["title".into()],
            values: Vec::new(),
        }],
    };
    insta::assert_snapshot!(check(&report));
}

#[test]
fn a_history_has_a_line_per_entry() {
    let entry = HistoryEntry {
        id: 7,
        at: "2026-11-22T09:00:00Z".into(),
        database: "monolith".into(),
        service: "films".into(),
        move_id: 1,
        step: "slot".into(),
        event: HistoryEvent::Done,
        detail: serde_json::json!({ "consistent_point": "0/1A2B3C8" }),
    };
    let begin = HistoryEntry { event: HistoryEvent::Begin, detail: serde_json::Value::Null, ..entry.clone() };
    let together = HistoryEntry {
        step: "cutover".into(),
        detail: serde_json::json!({ "epoch": 1, "with": ["stores"] }),
        ..begin.clone()
    };
    insta::assert_snapshot!(check(&History { entries: vec![begin, entry, together] }));
}

#[test]
fn a_finding_says_what_why_and_the_fix() {
    let finding = Finding {
        code: "C0801".into(),
        severity: Severity::Error,
        database: "monolith".into(),
        object: Some("wal_level".into()),
        objects: Vec::new(),
        objects_more: 0,
        seen: "wal_level is replica".into(),
        why: "changes cannot be decoded".into(),
        fix_sql: Some("alter system set wal_level = logical".into()),
    };
    insta::assert_snapshot!(check(&DoctorReport { findings: vec![finding], checks: 14 }));
}

#[test]
fn an_assessment_shows_size_and_findings_by_weight() {
    let finding = |code: &str, severity, seen: &str| Finding {
        code: code.into(),
        severity,
        database: "shop".into(),
        object: None,
        objects: vec!["public.visit".into()],
        objects_more: 1,
        seen: seen.into(),
        why: "updates and deletes could not be followed".into(),
        fix_sql: Some("alter table public.visit replica identity full;".into()),
    };
    let size = SizeFacts {
        tables: 412,
        partitions: 1,
        foreign_keys: 380,
        views: 12,
        functions: 41,
        triggers: 7,
        sequences: 300,
        rows_estimated: 93_000_000,
        bytes: 212_000_000_000,
        log_bytes_per_second: Some(1_200_000),
    };
    let report = ReadinessReport {
        database: "shop".into(),
        server: "PostgreSQL 16.4".into(),
        size,
        blockers: 1,
        warnings: 0,
        notes: 1,
        checks: 70,
        findings: vec![
            finding(
                "C0834",
                Severity::Error,
                "2 tables have no key that identifies a row: public.visit, public.log",
            ),
            finding("C0825", Severity::Note, "idle_in_transaction_session_timeout is 0 (off)"),
        ],
    };
    insta::assert_snapshot!(check(&report));
}

#[test]
fn a_boundary_shows_what_crosses_by_kind_with_who_has_a_part_in_it() {
    let party = |service: Option<&str>, object: &str| BoundaryParty {
        service: service.map(str::to_owned),
        objects: vec![object.to_owned()],
    };
    let crossing = |kind, object: &str, parties: Vec<BoundaryParty>| BoundaryCrossing {
        kind,
        database: "monolith".into(),
        object: object.into(),
        parties,
        evidence: "declared, on delete cascade".into(),
        remedy: "keep the number without the key".into(),
        outcomes: vec![BoundaryOutcome {
            service: "films".into(),
            fate: "becomes a watched reference".into(),
        }],
        count: 0,
    };
    let key = "public.inventory (film_id) → public.film [inventory_film_id_fkey]";
    let report = BoundaryReport {
        services: vec!["films".into(), "stores".into()],
        crossings: vec![
            crossing(
                CrossingKind::ForeignKey,
                key,
                vec![party(Some("films"), "public.film"), party(Some("stores"), "public.inventory")],
            ),
            crossing(
                CrossingKind::Transaction,
                "writes public.film",
                vec![party(Some("films"), "public.film"), party(None, "public.log")],
            ),
        ],
        statements: 63,
        statements_unread: 2,
        transactions: 1,
    };
    insta::assert_snapshot!(check(&report));
    insta::assert_snapshot!("a_boundary_that_nothing_crosses", check(&BoundaryReport::default()));
}

#[test]
fn a_proof_is_a_short_table() {
    let report = DemoReport {
        acknowledged: 40_000,
        found: 39_999,
        lost: 1,
        rounds: 3,
        pause_ms: PauseSummary { p50: 80, p95: 120, max: 120 },
        rows_moved: 1_000_000,
        seconds: 61.5,
        ..Default::default()
    };
    insta::assert_snapshot!(check(&report));
}

#[test]
fn a_rehearsed_change_says_what_would_be_done() {
    let report = ChangeReport {
        service: "films".into(),
        verb: "complete".into(),
        dry_run: true,
        state: ServiceState::Switched,
        home: "products".into(),
        epoch: 1,
        done: vec!["drops slot cleave_films_forward_1".into()],
    };
    insta::assert_snapshot!(check(&report));
}

#[test]
fn the_closing_lines_are_undo_and_next() {
    let undo = NextStep::cleave(["rollback", "films"], "any time before complete", Risk::Reversible);
    let next = NextStep::cleave(["verify", "films"], "proves the way back", Risk::Read);
    let text = render::closing(&[next], Some(&undo));
    let plain: String = anstream::adapter::strip_str(&text).collect();
    insta::assert_snapshot!(plain);
}

#[test]
fn events_without_a_terminal_are_plain_lines() {
    let mut narrator = render::Narrator::new(true);
    let service = || "films".to_owned();
    let events = [
        Event::StepStarted { service: service(), step: "slot".into(), summary: "making the slot".into() },
        Event::CopyProgress { service: service(), table: None, progress: CopyProgress::default() },
        Event::StepFinished {
            service: service(),
            step: "slot".into(),
            summary: "slot made".into(),
            elapsed_ms: 41,
        },
        Event::Note { service: None, message: "waiting for an old transaction".into() },
        Event::Problem { service: None, problem: Problem::warning("C0501", "the target is slow") },
    ];
    let text: String = events.iter().map(|event| narrator.tell(event, false)).collect();
    let plain: String = anstream::adapter::strip_str(&text).collect();
    insta::assert_snapshot!(plain);
}
