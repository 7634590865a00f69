//! The texts by themselves.

use cleave_api::{
    Problem, ServiceState, ServiceStatus, StatusReport, StreamDirection, StreamStatus, VerificationState,
    VerificationStatus, WalStatus,
};
use cleave_engine::{Beat, Phase, Pulse, StreamBeat};
use cleave_model::{DatabaseName, ServiceName};
use cleave_server::{health, metrics, readiness};
use cleave_stream::{FollowCounters, FollowState, FollowStatus};
use std::collections::BTreeSet;
use std::time::Duration;

fn running(state: FollowState) -> Beat {
    let counters = FollowCounters { transactions: 7, rows: 40, bytes: 9000, ..FollowCounters::default() };
    let status = FollowStatus {
        state,
        armed: Some(true),
        lag_bytes: 512,
        lag_ms: 1500,
        counters,
        ..Default::default()
    };
    let stream = StreamBeat { direction: StreamDirection::Forward, status };
    Beat {
        phase: Phase::Running,
        leases: vec![DatabaseName::parse("monolith").unwrap()],
        streams: [(ServiceName::parse("films").unwrap(), vec![stream])].into(),
        ..Pulse::default().beat()
    }
}

fn status() -> StatusReport {
    StatusReport {
        engine: Some("cleave on here".to_owned()),
        services: vec![ServiceStatus {
            name: "films".to_owned(),
            kind: cleave_api::MoveKind::Live,
            state: ServiceState::Following,
            paused: false,
            home: "monolith".to_owned(),
            wanted: "products/films".to_owned(),
            epoch: 2,
            streams: vec![StreamStatus {
                direction: StreamDirection::Forward,
                source: "monolith".to_owned(),
                target: "products".to_owned(),
                armed: true,
                running: true,
                slot: "cleave_films_forward_1".to_owned(),
                wal_status: WalStatus::Unreserved,
                retained_bytes: Some(22_000_000),
                lag_bytes: Some(512),
                lag_ms: Some(1500),
                position: Some("0/1".to_owned()),
                replication: None,
            }],
            copy: None,
            bridge: None,
            verification: VerificationStatus {
                state: VerificationState::Clean,
                at: None,
                age_ms: Some(90_000),
                rows: 5,
                differences: 0,
            },
            problems: vec![Problem::warning("C0714", "secret \"words\"\n")],
        }],
    }
}

#[test]
fn metrics_say_lag_rates_retention_verification_state_and_lease() {
    let page = metrics(&running(FollowState::Following), Some(&status()), "1.2.3");
    for line in [
        "cleave_build_info{version=\"1.2.3\"} 1",
        "cleave_engine_phase{phase=\"running\"} 1",
        "cleave_engine_phase{phase=\"waiting\"} 0",
        "cleave_lease_held{database=\"monolith\"} 1",
        "cleave_status_readable 1",
        "cleave_service_state{service=\"films\",state=\"following\"} 1",
        "cleave_service_state{service=\"films\",state=\"stopped\"} 0",
        "cleave_service_home{service=\"films\",database=\"monolith\"} 1",
        "cleave_service_switches_total{service=\"films\"} 2",
        "cleave_service_problem{service=\"films\",code=\"C0714\"} 1",
        "cleave_verification_state{service=\"films\",state=\"clean\"} 1",
        "cleave_verification_age_seconds{service=\"films\"} 90",
        "cleave_slot_retained_bytes{service=\"films\",slot=\"cleave_films_forward_1\",database=\"monolith\"} 22000000",
        "cleave_slot_at_risk{service=\"films\",slot=\"cleave_films_forward_1\",database=\"monolith\"} 1",
        "cleave_stream_running{service=\"films\",direction=\"forward\"} 1",
        "cleave_stream_lag_bytes{service=\"films\",direction=\"forward\"} 512",
        "cleave_stream_lag_seconds{service=\"films\",direction=\"forward\"} 1.5",
        "cleave_stream_rows_total{service=\"films\",direction=\"forward\"} 40",
    ] {
        assert!(page.lines().any(|found| found == line), "no `{line}` in\n{page}");
    }
    assert!(!page.contains("secret"), "a problem's words are not for a collector");
}

#[test]
fn every_metric_is_described_once_and_its_lines_stand_together() {
    let page = metrics(&running(FollowState::Failed), Some(&status()), "1.2.3");
    let mut described = BTreeSet::new();
    let mut current = String::new();
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(described.insert(name.to_owned()), "{name} is described twice");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{name} is a {kind}");
            name.clone_into(&mut current);
        } else if !line.starts_with('#') {
            let name = line.split(['{', ' ']).next().unwrap();
            assert_eq!(name, current, "{line}");
            assert!(line.rsplit(' ').next().unwrap().parse::<f64>().is_ok(), "{line}");
        }
    }
    assert!(described.len() > 20);
}

#[test]
fn an_engine_is_ready_when_it_does_its_work_or_has_none() {
    let phase = |phase: Phase| Beat { phase, ..Pulse::default().beat() };
    assert!(readiness(&running(FollowState::Following)).good);
    assert!(readiness(&running(FollowState::Retrying)).good, "a connection that is made again is work");
    assert!(readiness(&phase(Phase::Idle)).good);
    let stopped = readiness(&running(FollowState::Failed));
    assert!(!stopped.good && stopped.text.contains("films"), "{stopped:?}");
    let waits =
        readiness(&phase(Phase::Waiting(Box::new(Problem::error("C0401", "host and pid of another")))));
    assert!(!waits.good && waits.text.contains("C0401") && !waits.text.contains("host and pid"), "{waits:?}");
    assert!(!readiness(&phase(Phase::Starting)).good && !readiness(&phase(Phase::Stopping)).good);
}

#[test]
fn only_silence_makes_an_engine_unhealthy() {
    let mut beat = running(FollowState::Failed);
    assert!(health(&beat).good, "a stopped stream is not mended by a restart");
    beat.at = beat.at.checked_sub(Duration::from_secs(120)).unwrap();
    assert!(!health(&beat).good && !readiness(&beat).good);
}
