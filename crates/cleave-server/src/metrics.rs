//! `/metrics` in Prometheus' text format, version 0.0.4.

use cleave_api::{ServiceState, StatusReport, StreamDirection, VerificationState};
use cleave_engine::{Beat, Phase};
use cleave_stream::FollowState;
use std::fmt::Write as _;

/// The media type.
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

const PHASES: [&str; 5] = ["starting", "idle", "waiting", "running", "stopping"];
const STATES: [ServiceState; 8] = [
    ServiceState::Planned,
    ServiceState::Prepared,
    ServiceState::Copying,
    ServiceState::Following,
    ServiceState::Switched,
    ServiceState::Completing,
    ServiceState::Done,
    ServiceState::Stopped,
];
const VERIFICATIONS: [VerificationState; 5] = [
    VerificationState::None,
    VerificationState::Clean,
    VerificationState::Unproven,
    VerificationState::Stale,
    VerificationState::Different,
];

/// All metrics. `status` is what the databases say, if they could be asked.
pub fn metrics(beat: &Beat, status: Option<&StatusReport>, version: &str) -> String {
    let mut page = Page::default();
    engine(&mut page, beat, version);
    page.gauge("cleave_status_readable", "1 if the databases could be asked for the services' states.");
    page.value(&[], f64::from(u8::from(status.is_some())));
    if let Some(status) = status {
        services(&mut page, status);
        slots(&mut page, status);
    }
    streams(&mut page, beat);
    page.text
}

fn engine(page: &mut Page, beat: &Beat, version: &str) {
    page.gauge("cleave_build_info", "The version that runs, as a label.");
    page.value(&[("version", version)], 1.0);
    page.gauge("cleave_engine_phase", "What the engine does: 1 for the phase it is in.");
    for phase in PHASES {
        page.value(&[("phase", phase)], f64::from(u8::from(beat.phase.as_str() == phase)));
    }
    page.gauge("cleave_engine_uptime_seconds", "Time since the process began to be an engine.");
    page.value(&[], beat.since.elapsed().as_secs_f64());
    page.counter(
        "cleave_engine_restarts_total",
        "How often the engine began anew after something had failed.",
    );
    page.value(&[], beat.restarts as f64);
    page.gauge("cleave_lease_held", "1 for each database whose lease this engine holds.");
    for database in &beat.leases {
        page.value(&[("database", database.as_str())], 1.0);
    }
    page.gauge("cleave_engine_problem", "1 for the problem that the engine waits to pass, by its code.");
    if let Phase::Waiting(problem) = &beat.phase {
        page.value(&[("code", &problem.code)], 1.0);
    }
}

fn services(page: &mut Page, status: &StatusReport) {
    page.gauge("cleave_service_state", "How far a service's move is: 1 for its state.");
    for service in &status.services {
        for state in STATES {
            let labels = [("service", service.name.as_str()), ("state", state.as_str())];
            page.value(&labels, f64::from(u8::from(service.state == state)));
        }
    }
    page.gauge("cleave_service_home", "1 for the database that accepts a service's writes.");
    for service in &status.services {
        page.value(&[("service", &service.name), ("database", &service.home)], 1.0);
    }
    page.gauge("cleave_service_paused", "1 if a service's streams were told to stand still.");
    for service in &status.services {
        page.value(&[("service", &service.name)], f64::from(u8::from(service.paused)));
    }
    page.counter("cleave_service_switches_total", "How often a service's home has changed.");
    for service in &status.services {
        page.value(&[("service", &service.name)], service.epoch as f64);
    }
    page.gauge("cleave_service_problem", "1 for each problem of a service, by its code.");
    for service in &status.services {
        let mut codes: Vec<&str> = service.problems.iter().map(|problem| problem.code.as_str()).collect();
        codes.sort_unstable();
        codes.dedup();
        for code in codes {
            page.value(&[("service", &service.name), ("code", code)], 1.0);
        }
    }
    verifications(page, status);
}

fn verifications(page: &mut Page, status: &StatusReport) {
    page.gauge(
        "cleave_verification_state",
        "What is known about the equality of a service's two sides: 1 for its state.",
    );
    for service in &status.services {
        for state in VERIFICATIONS {
            let labels = [("service", service.name.as_str()), ("state", state.as_str())];
            page.value(&labels, f64::from(u8::from(service.verification.state == state)));
        }
    }
    page.gauge("cleave_verification_age_seconds", "Time since the last verification of a service ended.");
    for service in &status.services {
        if let Some(age_ms) = service.verification.age_ms {
            page.value(&[("service", &service.name)], seconds(age_ms));
        }
    }
    page.gauge("cleave_verification_differences", "Differences that the last verification found.");
    for service in status.services.iter().filter(|service| service.verification.age_ms.is_some()) {
        page.value(&[("service", &service.name)], service.verification.differences as f64);
    }
}

/// Slots keep log whether their stream runs or not, so they are asked of the databases.
fn slots(page: &mut Page, status: &StatusReport) {
    let slots = || {
        status
            .services
            .iter()
            .flat_map(|service| service.streams.iter().map(move |stream| (service.name.as_str(), stream)))
    };
    page.gauge("cleave_slot_retained_bytes", "Log that a replication slot keeps on its source.");
    for (service, stream) in slots() {
        if let Some(bytes) = stream.retained_bytes {
            let labels =
                [("service", service), ("slot", stream.slot.as_str()), ("database", stream.source.as_str())];
            page.value(&labels, bytes as f64);
        }
    }
    page.gauge(
        "cleave_slot_lag_bytes",
        "Log between what a stream's target has applied and the end of its source's log.",
    );
    for (service, stream) in slots() {
        if let Some(bytes) = stream.lag_bytes {
            let labels =
                [("service", service), ("slot", stream.slot.as_str()), ("database", stream.source.as_str())];
            page.value(&labels, bytes as f64);
        }
    }
    page.gauge("cleave_slot_at_risk", "1 if a slot's log may be removed at the next checkpoint, or is gone.");
    for (service, stream) in slots() {
        use cleave_api::WalStatus;
        let at_risk =
            matches!(stream.wal_status, WalStatus::Unreserved | WalStatus::Lost | WalStatus::Missing);
        let labels =
            [("service", service), ("slot", stream.slot.as_str()), ("database", stream.source.as_str())];
        page.value(&labels, f64::from(u8::from(at_risk)));
    }
}

fn streams(page: &mut Page, beat: &Beat) {
    let mut each = |name: &str, kind: Kind, help: &str, value: &dyn Fn(&cleave_engine::StreamBeat) -> f64| {
        page.metric(name, kind, help);
        for (service, streams) in &beat.streams {
            for stream in streams {
                let labels = [("service", service.as_str()), ("direction", direction(stream.direction))];
                page.value(&labels, value(stream));
            }
        }
    };
    each(
        "cleave_stream_running",
        Kind::Gauge,
        "1 if a stream reads and applies, or waits for a change of the home.",
        &|stream| {
            f64::from(u8::from(matches!(stream.status.state, FollowState::Following | FollowState::Held)))
        },
    );
    each(
        "cleave_stream_failed",
        Kind::Gauge,
        "1 if a stream was stopped by an error that reconnecting does not cure.",
        &|stream| f64::from(u8::from(stream.has_failed())),
    );
    each("cleave_stream_armed", Kind::Gauge, "1 if a stream's source is the service's home.", &|stream| {
        f64::from(u8::from(stream.status.armed == Some(true)))
    });
    each(
        "cleave_stream_lag_bytes",
        Kind::Gauge,
        "Log between what is applied and the end of the source's log.",
        &|stream| stream.status.lag_bytes as f64,
    );
    each(
        "cleave_stream_lag_seconds",
        Kind::Gauge,
        "Age of the last applied commit while changes wait; 0 when none waits.",
        &|stream| seconds(stream.status.lag_ms),
    );
    each(
        "cleave_stream_transactions_total",
        Kind::Counter,
        "Source transactions applied since the stream was started.",
        &|stream| stream.status.counters.transactions as f64,
    );
    each(
        "cleave_stream_rows_total",
        Kind::Counter,
        "Row changes applied since the stream was started.",
        &|stream| stream.status.counters.rows as f64,
    );
    each(
        "cleave_stream_bytes_total",
        Kind::Counter,
        "Bytes of changes applied since the stream was started.",
        &|stream| stream.status.counters.bytes as f64,
    );
    each(
        "cleave_stream_reconnects_total",
        Kind::Counter,
        "Connections lost and made again since the stream was started.",
        &|stream| stream.status.counters.reconnects as f64,
    );
}

fn direction(direction: StreamDirection) -> &'static str {
    match direction {
        StreamDirection::Forward => "forward",
        StreamDirection::Back => "back",
    }
}

fn seconds(ms: u64) -> f64 {
    ms as f64 / 1000.0
}

#[derive(Clone, Copy)]
enum Kind {
    Gauge,
    Counter,
}

/// The text under construction. Every value belongs to the metric that was begun last.
#[derive(Default)]
struct Page {
    text: String,
    name: String,
}

impl Page {
    fn gauge(&mut self, name: &str, help: &str) {
        self.metric(name, Kind::Gauge, help);
    }

    fn counter(&mut self, name: &str, help: &str) {
        self.metric(name, Kind::Counter, help);
    }

    fn metric(&mut self, name: &str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Gauge => "gauge",
            Kind::Counter => "counter",
        };
        name.clone_into(&mut self.name);
        // Writing to a String cannot fail.
        let _ = write!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    fn value(&mut self, labels: &[(&str, &str)], value: f64) {
        self.text.push_str(&self.name);
        if !labels.is_empty() {
            let labels: Vec<String> =
                labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escape(value))).collect();
            let _ = write!(self.text, "{{{}}}", labels.join(","));
        }
        let _ = writeln!(self.text, " {value}");
    }
}

fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
