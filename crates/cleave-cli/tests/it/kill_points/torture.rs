//! A service goes there and back while commands are killed, servers die, the network fails and people get in the way, at
//! moments that nobody chose. `TORTURE_SECONDS` says for how long, `TORTURE_SEED` repeats the choices of a run.

use super::STANDSTILL_LIMIT;
use super::sample::Sample;
use super::stage::{Shape, Side, Stage, Verb};
use cleave_sandbox::Version;
use cleave_testkit::Proxy;
use std::time::{Duration, Instant};

/// How long a command may take when nothing is in its way any more.
const CALM_LIMIT: Duration = Duration::from_secs(240);
/// How long a command is watched while something is.
const ROUGH_LIMIT: Duration = Duration::from_secs(30);
/// How often a command is repeated until it has done what it was asked for.
const TRIES: u32 = 12;

/// What happens while a command runs.
#[derive(Clone, Copy, Debug)]
enum Mishap {
    Nothing,
    /// SIGKILL.
    Kill,
    /// A server dies as in a crash and comes back.
    Crash(Side),
    /// Connections between Cleave and a server are reset, and new ones, for a while.
    Cut(Side),
    /// The network says nothing for a while.
    Silence(Side),
    /// A reader holds a table.
    Reader,
    /// An index comes and goes on a table that stays.
    Index,
    /// A table that moves is vacuumed.
    Vacuum,
}

impl Mishap {
    fn draw(dice: &mut Sample) -> Self {
        let side = if dice.below(2) == 0 { Side::M } else { Side::N };
        match dice.below(16) {
            0..3 => Self::Nothing,
            3..7 => Self::Kill,
            7..9 => Self::Crash(side),
            9..11 => Self::Cut(side),
            11..13 => Self::Silence(side),
            13 => Self::Reader,
            14 => Self::Index,
            _ => Self::Vacuum,
        }
    }
}

struct Torture {
    stage: Stage,
    proxies: [Proxy; 2],
    dice: Sample,
    began: Instant,
}

impl Torture {
    /// Runs a verb with a mishap in the middle of it, and again until it is done.
    async fn insist(&mut self, verb: Verb) {
        let mishap = Mishap::draw(&mut self.dice);
        let after = Duration::from_millis(self.dice.below(2_500));
        tell(format!(
            "{:>6} ms: {verb:?}, {mishap:?} after {} ms",
            self.began.elapsed().as_millis(),
            after.as_millis()
        ));
        let mut command = self.stage.begin(verb);
        let mut ended = command.ended(after).await;
        self.befall(mishap).await;
        if ended.is_none() && !matches!(mishap, Mishap::Kill) {
            ended = command.ended(ROUGH_LIMIT).await;
        }
        drop(command);
        self.stage.assert_one_writer(&format!("{verb:?}, {mishap:?}")).await;
        if !matches!(ended, Some((Some(0), _))) {
            self.repeat(verb).await;
        }
    }

    async fn repeat(&mut self, verb: Verb) {
        let mut said = String::new();
        for _ in 0..TRIES {
            // The time that a dead command's lease has left is not waited for.
            self.stage.let_leases_run_out().await;
            match self.stage.begin(verb).ended(CALM_LIMIT).await {
                Some((Some(0), _)) => return,
                Some((code, errors)) => said = format!("exit {code:?}: {errors}"),
                None => panic!("{verb:?} does not end"),
            }
            // A gate asks for it after the tables' servers have changed their minds about anything.
            if verb == Verb::Cutover {
                drop(self.stage.begin(Verb::Verify).ended(CALM_LIMIT).await);
            }
        }
        panic!("{verb:?} is not done after {TRIES} tries: {said}");
    }

    async fn befall(&mut self, mishap: Mishap) {
        let a_while = Duration::from_millis(200 + self.dice.below(2_500));
        let proxy = |side: Side| &self.proxies[usize::from(side == Side::N)];
        match mishap {
            Mishap::Nothing | Mishap::Kill => {}
            Mishap::Crash(side) => self.stage.restart(side).await,
            Mishap::Cut(side) => {
                proxy(side).cut();
                tokio::time::sleep(a_while).await;
                proxy(side).heal();
            }
            Mishap::Silence(side) => {
                proxy(side).black_hole();
                tokio::time::sleep(a_while).await;
                proxy(side).heal();
            }
            Mishap::Reader => {
                let read = format!(
                    "begin; select count(*) from film_part; select pg_sleep({}); commit",
                    a_while.as_secs_f64()
                );
                self.stage.on_m(&read).await;
            }
            Mishap::Index => {
                self.stage.on_m("create index inventory_token on inventory (token)").await;
                self.stage.on_m("drop index if exists inventory_token").await;
            }
            Mishap::Vacuum => self.stage.on_m("vacuum (freeze) film").await,
        }
    }
}

#[expect(clippy::print_stderr, reason = "a run that fails is repeated by what it has told")]
fn tell(line: String) {
    eprintln!("{line}");
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn torture_of_a_service_on_its_way_there_and_back_loses_nothing() {
    let began = Instant::now();
    let seed = number("TORTURE_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    let limit = Duration::from_secs(number("TORTURE_SECONDS").unwrap_or(60));
    tell(format!("TORTURE_SEED={seed} repeats these choices"));
    let shape = Shape { from: Version::V15, to: Version::V17, bridge: "forward", copy_kept: true };
    let (stage, proxies) = Stage::behind_proxies(shape).await;
    let mut torture = Torture { stage, proxies, dice: Sample::seeded(seed), began };
    let writer = torture.stage.writer().await;
    torture.insist(Verb::Apply).await;
    while began.elapsed() < limit {
        torture.insist(Verb::Verify).await;
        torture.insist(Verb::Cutover).await;
        assert!(
            writer.wait_for(3, STANDSTILL_LIMIT).await,
            "seed {seed}: writers stand still at the new home"
        );
        torture.insist(Verb::Rollback).await;
        assert!(
            writer.wait_for(3, STANDSTILL_LIMIT).await,
            "seed {seed}: writers stand still at the old home"
        );
    }
    assert_eq!(torture.stage.home().await, Side::M, "seed {seed}");
    torture.repeat(Verb::Verify).await;
    let record = writer.stop().await.unwrap();
    torture.stage.check_after_crashes(&record, Side::M).await;
    tell(format!("{} commits were acknowledged, and each is there once", record.acknowledged.len()));
}
