//! Compares table and parts, a range of keys at a time: a question of one statement sees one moment, and all that changes
//! a row changes it everywhere in one transaction, so that nothing has to settle.

use super::work::{SplitWork, Started};
use crate::{Answer, EngineError, status::timestamp, switch::sql};
use cleave_api::{TableVerdict, VerificationState, VerifyReport};
use cleave_journal::{EntryEvent, MoveRow, MoveState, Verification, VerificationOutcome};
use cleave_pg::{During, Session};
use serde_json::json;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Keys per question.
const RANGE: i32 = 10_000;

/// What was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) rows: u64,
    pub(super) missing: u64,
    pub(super) different: u64,
    pub(super) misplaced: u64,
    pub(super) lost: u64,
    pub(super) shared: u64,
    pub(super) waiting: u64,
    /// Rows that several services reach, where none may.
    pub(super) forbidden: u64,
}

impl Found {
    pub(super) fn wrong(&self) -> u64 {
        self.missing + self.different + self.misplaced + self.lost + self.forbidden
    }
}

impl SplitWork {
    /// Compares, and keeps the result for the cutover.
    pub(super) async fn verify(&self) -> Result<Answer, EngineError> {
        let session = self.site.connect("verify").await?;
        let allowed = [MoveState::Following, MoveState::Switched];
        let started = self.started(&session, "verify", &allowed, Some("apply")).await?;
        Ok(Answer::Verification(self.compare(&session, &started).await?))
    }

    /// [`Self::verify`] on a session that is there.
    pub(super) async fn compare(
        &self,
        session: &Session,
        started: &Started,
    ) -> Result<VerifyReport, EngineError> {
        let plan = &started.plan;
        let table = plan.table.qualified().to_string();
        let step = self.events.step(&self.name, "split.verify", format!("compares {table} with its parts"));
        let began = Instant::now();
        let found = self.look(session, started).await?;
        let outcome =
            if found.wrong() == 0 { VerificationOutcome::Clean } else { VerificationOutcome::Different };
        let now = SystemTime::now();
        let verification = Verification {
            outcome,
            rows: found.rows,
            differences: found.wrong(),
            epoch: cleave_journal::owner(&**session, &self.name).await?.map_or(0, |owner| owner.epoch.0),
            unproven: Vec::new(),
            at_epoch_s: now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
            fingerprints: [String::new(), String::new()],
            slot: String::new(),
            clusters: [(0, 0), (0, 0)],
        };
        cleave_failpoint::hit_async("split.verify.before").await;
        sql(session, "begin").await?;
        self.lease.check(&**session).await?;
        MoveRow::set_verification(&**session, &self.name, Some(&verification)).await?;
        let detail = json!({
            "rows": found.rows, "missing": found.missing, "different": found.different,
            "misplaced": found.misplaced, "lost": found.lost, "shared": found.shared, "waiting": found.waiting,
        });
        self.journal(session, started.row.id, "split.verify", EntryEvent::Done, &detail).await?;
        sql(session, "commit").await?;
        cleave_failpoint::hit_async("split.verify.after").await;
        step.finish(summary(&found));
        Ok(VerifyReport {
            service: self.name.to_string(),
            state: match outcome {
                VerificationOutcome::Clean => VerificationState::Clean,
                _ => VerificationState::Different,
            },
            aligned: true,
            at: timestamp(now),
            elapsed_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
            rows: found.rows,
            since: None,
            resumed: 0,
            repaired: None,
            tables: vec![TableVerdict {
                table,
                rows: found.rows,
                rechecked: 0,
                unproven: 0,
                entries: found.wrong(),
                differences: found.wrong(),
            }],
            differences: Vec::new(),
        })
    }

    async fn look(&self, session: &Session, started: &Started) -> Result<Found, EngineError> {
        sql(session, "set lock_timeout = 0; set statement_timeout = 0").await?;
        let mut all = Found::default();
        let mut after: Option<String> = None;
        loop {
            self.check_cancelled()?;
            let row = session
                .query_one(&started.plan.script.check, &[&after, &RANGE])
                .await
                .during("comparing table and parts")?;
            let number = |at: usize| u64::try_from(row.get::<_, i64>(at)).unwrap_or(0);
            all.rows += number(1);
            all.missing += number(2);
            all.different += number(3);
            all.misplaced += number(4);
            all.lost += number(5);
            all.shared += number(6);
            all.waiting += number(7);
            after = row.get(0);
            if after.is_none() {
                all.forbidden = if started.plan.shared { 0 } else { all.shared };
                return Ok(all);
            }
        }
    }
}

fn summary(found: &Found) -> String {
    if found.wrong() == 0 {
        return format!(
            "{} rows, each where it belongs; {} in several parts, {} wait for a first reference",
            found.rows, found.shared, found.waiting
        );
    }
    format!(
        "of {} rows {} are missing in a part, {} differ, {} stand where they do not belong, {} are not in one place, {} \
         belong to several services",
        found.rows, found.missing, found.different, found.misplaced, found.lost, found.forbidden
    )
}
