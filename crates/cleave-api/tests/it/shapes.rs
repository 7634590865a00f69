//! One snapshot per report.

use cleave_api::*;
use serde::Serialize;

fn json(value: &impl Serialize) -> String {
    serde_json::to_string_pretty(value).unwrap()
}

fn verify_next() -> NextStep {
    NextStep::cleave(["verify", "films"], "verification is 26 h old", Risk::Read)
}

#[test]
fn a_status_with_a_stream_and_a_copy() {
    let stream = StreamStatus {
        direction: StreamDirection::Forward,
        source: "monolith".into(),
        target: "products".into(),
        armed: true,
        running: true,
        slot: "cleave_films_forward_1".into(),
        wal_status: WalStatus::Reserved,
        retained_bytes: Some(22_000_000),
        lag_bytes: Some(1_200),
        lag_ms: Some(300),
        position: Some("16/B374D848".into()),
        replication: Some(ReplicationStatus {
            pid: Some(4711),
            state: Some("streaming".into()),
            sent: Some("16/B374DD00".into()),
            confirmed: Some("16/B374D848".into()),
            last_answer_ms: Some(900),
            safe_wal_bytes: None,
            origin: "cleave_films_forward".into(),
        }),
    };
    let service = ServiceStatus {
        kind: cleave_api::MoveKind::Live,
        name: "films".into(),
        state: ServiceState::Following,
        paused: false,
        home: "monolith".into(),
        wanted: "products/films".into(),
        epoch: 0,
        streams: vec![stream],
        copy: Some(CopyProgress {
            tables_done: 2,
            tables: 6,
            rows: 1000,
            bytes: 64_000,
            ..Default::default()
        }),
        bridge: None,
        verification: VerificationStatus {
            state: VerificationState::Stale,
            at: Some("2026-11-22T09:00:00Z".into()),
            age_ms: Some(93_600_000),
            rows: 1000,
            differences: 0,
        },
        problems: vec![],
    };
    let status = StatusReport { services: vec![service], engine: Some("cleave run on host-a".into()) };
    insta::assert_snapshot!(json(&Output::new(status).with_next([verify_next()])));
}

#[test]
fn a_plan_with_every_part() {
    let plan = PlanReport {
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
            rows: 1000,
            bytes: 450_560,
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
            reason: "owns the schema films".into(),
            sql: "create role \"films_svc\" login".into(),
        }],
        steps: vec![PlanStep {
            name: "schema".into(),
            summary: "make schema films and its tables with keys only".into(),
            side: ChangeSide::Target,
            sql: vec!["create schema \"films\"".into()],
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
        findings: vec![
            Problem::error("C0204", "`public.log` has no key that identifies a row")
                .about("public.log")
                .hint("add a primary key"),
        ],
    };
    insta::assert_snapshot!(json(&Output::new(plan)));
}

#[test]
fn a_verification_with_a_difference() {
    let report = VerifyReport {
        service: "films".into(),
        state: VerificationState::Different,
        aligned: true,
        at: "2026-11-22T09:00:00Z".into(),
        elapsed_ms: 812,
        rows: 1000,
        resumed: 0,
        since: None,
        repaired: None,
        tables: vec![TableVerdict {
            table: "films.film".into(),
            rows: 1000,
            rechecked: 3,
            unproven: 0,
            differences: 1,
            entries: 1,
        }],
        differences: vec![Difference {
            table: "films.film".into(),
            key: vec![("film_id".into(), "17".into())],
            kind: DifferenceKind::Changed,
            columns: vec!["title".into()],
            values: Vec::new(),
        }],
    };
    insta::assert_snapshot!(json(&Output::new(report)));
}

#[test]
fn a_cutover_with_its_steps() {
    let report = CutoverReport {
        service: "films".into(),
        direction: SwitchDirection::Cutover,
        outcome: CutoverOutcome::Switched,
        pause_ms: 236,
        budget_ms: 500,
        steps: vec![StepTime { name: "fence".into(), ms: 12 }, StepTime { name: "drain".into(), ms: 41 }],
        epoch: 1,
        home: "products".into(),
        reason: None,
        with: Vec::new(),
    };
    let undo = NextStep::cleave(["rollback", "films"], "any time before complete", Risk::Reversible);
    insta::assert_snapshot!(json(&Output::new(report).with_next([undo])));
}

#[test]
fn a_history_entry() {
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
    insta::assert_snapshot!(json(&Output::new(History { entries: vec![entry] })));
}

#[test]
fn a_doctors_finding() {
    let finding = Finding {
        code: "C0801".into(),
        severity: Severity::Error,
        database: "monolith".into(),
        object: Some("wal_level".into()),
        objects: vec!["wal_level".into()],
        objects_more: 0,
        seen: "wal_level is replica".into(),
        why: "changes cannot be decoded".into(),
        fix_sql: Some("alter system set wal_level = logical".into()),
    };
    insta::assert_snapshot!(json(&Output::new(DoctorReport { findings: vec![finding], checks: 14 })));
}

#[test]
fn a_demonstrations_proof_has_the_documented_keys() {
    let report = DemoReport {
        acknowledged: 40_000,
        found: 40_000,
        rounds: 3,
        pause_ms: PauseSummary { p50: 80, p95: 120, max: 120 },
        rows_moved: 1_000_000,
        seconds: 61.5,
        ..Default::default()
    };
    assert!(report.holds());
    insta::assert_snapshot!(json(&report));
}

#[test]
fn a_failure_before_there_was_a_report() {
    let span = SourceSpan {
        file: "cleave.toml".into(),
        line: 7,
        column: 1,
        length: 6,
        text: "brigde = \"forward\"".into(),
        label: String::new(),
    };
    let problem = Problem::error("C0002", "[services.films] has no key `brigde`")
        .hint("did you mean `bridge`?")
        .at(span)
        .exit(ExitCode::Usage);
    insta::assert_snapshot!(json(&Output::failed(vec![problem])));
}

#[test]
fn events_are_one_json_line_each() {
    let service = || "films".to_owned();
    let events = [
        Event::StepStarted { service: service(), step: "slot".into(), summary: "make the slot".into() },
        Event::StepFinished {
            service: service(),
            step: "slot".into(),
            summary: "made".into(),
            elapsed_ms: 41,
        },
        Event::CopyProgress {
            service: service(),
            table: Some("public.film".into()),
            progress: CopyProgress { tables: 6, rate_bytes: Some(212_000_000), ..Default::default() },
        },
        Event::Progress {
            service: service(),
            what: "verify".into(),
            done: 10,
            total: Some(100),
            unit: "rows".into(),
        },
        Event::Note { service: None, message: "waiting for an old transaction".into() },
        Event::Problem { service: Some(service()), problem: Problem::warning("C0501", "the target is slow") },
        Event::Next { next: verify_next() },
    ];
    let lines: Vec<String> =
        events.iter().map(|event| serde_json::to_string(&EventLine::from(event)).unwrap()).collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn exit_codes_are_the_documented_numbers() {
    let codes: Vec<u8> = ExitCode::ALL.iter().map(|code| code.code()).collect();
    assert_eq!(codes, [0, 1, 2, 3, 4, 5, 6, 7, 8, 70, 130]);
}

#[test]
fn what_a_change_left_behind() {
    let report = ChangeReport {
        service: "films".into(),
        verb: "complete".into(),
        dry_run: false,
        state: ServiceState::Done,
        home: "products".into(),
        epoch: 1,
        done: vec!["dropped slot cleave_films_back_1".into()],
    };
    insta::assert_snapshot!(json(&Output::new(report)));
}

#[test]
#[expect(clippy::too_many_lines, reason = "one value of each part, written out")]
fn proposed_services_with_every_part() {
    let tie = TableTie {
        table: "public.orders".into(),
        kind: "key".into(),
        seen: "coupon.order_id".into(),
        weight: 0.35,
    };
    let pull =
        ServicePull { service: "orders".into(), share_percent: 60, weight: 0.35, ties: vec![tie.clone()] };
    let used = CutUse {
        text: None,
        count: 1800,
        writes: vec!["public.orders".into(), "public.stock_level".into()],
        reads: vec!["public.coupon".into()],
        services: vec!["orders".into(), "stock".into()],
        remedy: "a saga".into(),
    };
    let object = CutObject {
        object: "public.low_stock".into(),
        services: vec!["orders".into(), "stock".into()],
        remedy: "a copy".into(),
    };
    let alternative = ServicesAlternative {
        grain: "balanced".into(),
        stability_percent: 87,
        services: vec![ProposedService {
            name: "orders".into(),
            decided: false,
            tables: vec![ProposedTable {
                table: "public.orders".into(),
                partitions: 5,
                confidence_percent: 100,
            }],
        }],
        unassigned: vec!["public.lonely".into()],
        unsure: vec![UnsureTable {
            table: "public.coupon".into(),
            service: "orders".into(),
            confidence_percent: 60,
            pulls: vec![pull.clone()],
        }],
        splits: vec![ProposedSplit {
            table: "public.address".into(),
            owners: vec![ProposedOwner {
                reached_by: "public.customer.address_id".into(),
                service: Some("customers".into()),
            }],
            owners_per_row_percent: Some(100),
        }],
        price: BoundaryPrice {
            keys: vec![CutKey {
                key: "public.orders(customer_id) to public.customer".into(),
                constraint: Some("orders_customer_id_fkey".into()),
                from: "orders".into(),
                to: "customers".into(),
                on_delete: "no action".into(),
                to_hub: true,
                remedy: "keep the number".into(),
            }],
            transactions: vec![used.clone()],
            joins: vec![CutUse { text: Some("select $1".into()), ..used }],
            functions: vec![object.clone()],
            triggers: vec![object.clone()],
            views: vec![object],
        },
    };
    let report = ServicesReport {
        database: "shop".into(),
        tables: 25,
        evidence: EvidenceSummary {
            keys: 31,
            functions_unread: vec!["public.f: it is written in c".into()],
            workload: vec!["pg_stat_statements".into()],
            ..EvidenceSummary::default()
        },
        seed: 1,
        shown: "balanced".into(),
        alternatives: vec![alternative],
        hubs: vec![HubTable { table: "public.customer".into(), referring: 5, universal: false }],
        polymorphic: vec![PolymorphicReference {
            table: "public.attachment".into(),
            type_column: "owner_type".into(),
            id_column: "owner_id".into(),
        }],
        aside: vec![AsideTable { table: "public.schema_migrations".into(), reason: "bookkeeping".into() }],
    };
    insta::assert_snapshot!(json(&Output::new(report)));
    let table = TableReport {
        table: "public.coupon".into(),
        service: Some("orders".into()),
        confidence_percent: 60,
        hub: false,
        pulls: vec![pull],
        neighbours: vec![TableNeighbour {
            table: "public.orders".into(),
            service: Some("orders".into()),
            weight: 0.35,
            ties: vec![tie],
        }],
    };
    insta::assert_snapshot!(json(&Output::new(table)));
}
