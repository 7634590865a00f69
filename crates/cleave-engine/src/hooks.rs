//! Commands of cleave.toml around a switch: run by the shell in the file's folder, one after the other, each with a time
//! limit, its end in the journal. What a command prints is shown and never stored.

use crate::{EngineError, Events, context::MoveContext};
use cleave_config::Hooks;
use cleave_journal::{EntryEvent, Lease};
use cleave_model::{DatabaseName, Epoch, ServiceName};
use cleave_pg::Session;
use cleave_plan::cutover::Round;
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::json;
use std::{
    path::Path,
    process::{ExitStatus, Stdio},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::{Child, Command},
    time::timeout,
};

/// What a command prints is shown up to this length; the rest is read and thrown away, so that it can go on.
const SHOWN_BYTES_MAX: usize = 4096;
/// How long the pipes of a command that has ended may stay open: what it left running in the background holds them.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// When a hook runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Before the first lock.
    BeforeSwitch,
    /// While writers wait, before anything decides.
    InPause,
    /// When the home has changed.
    AfterSwitch,
}

impl Moment {
    /// Its key in `[hooks]`.
    fn as_str(self) -> &'static str {
        match self {
            Self::BeforeSwitch => "before_switch",
            Self::InPause => "in_pause",
            Self::AfterSwitch => "after_switch",
        }
    }
}

/// What a hook is told of the switch, in its environment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Occasion<'a> {
    pub(crate) round: Round,
    /// The epoch that the switch sets.
    pub(crate) epoch: Epoch,
    pub(crate) home_from: &'a DatabaseName,
    pub(crate) home_to: &'a DatabaseName,
    /// All services of the switch, where there are several.
    pub(crate) services: &'a [String],
}

/// Whose hooks are run, and where they are written down.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HookSite<'a> {
    pub(crate) hooks: &'a Hooks,
    pub(crate) folder: &'a Path,
    pub(crate) service: &'a ServiceName,
    pub(crate) incarnation: i64,
    pub(crate) lease: &'a Lease,
    pub(crate) events: &'a Events,
}

impl<'a> From<&'a MoveContext> for HookSite<'a> {
    fn from(move_: &'a MoveContext) -> Self {
        Self {
            hooks: &move_.hooks,
            folder: &move_.folder,
            service: &move_.service,
            incarnation: move_.incarnation,
            lease: &move_.m_lease,
            events: &move_.events,
        }
    }
}

impl<'a> Occasion<'a> {
    /// A round of this move, whose switch sets `epoch`.
    pub(crate) fn of(move_: &'a MoveContext, round: Round, epoch: Epoch) -> Self {
        let (m, n) = (&move_.m.name, &move_.n.name);
        let (home_from, home_to) = if round == Round::Cutover { (m, n) } else { (n, m) };
        Self { round, epoch, home_from, home_to, services: &[] }
    }
}

/// The processes of a command that has not ended: whoever gives it up ends them all, not the shell alone.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        // One that is gone already needs no signal.
        let _gone = self.0.map(|group| kill_process_group(group, Signal::KILL));
    }
}

/// Runs the commands of a moment. `journal` is on M, outside the switch's transaction.
///
/// # Errors
/// The first command that fails, does not end within `limit`, or cannot be started; the later ones are not run.
pub(crate) async fn run(
    site: HookSite<'_>,
    journal: &Session,
    moment: Moment,
    occasion: Occasion<'_>,
    limit: Duration,
) -> Result<(), EngineError> {
    let commands = match moment {
        Moment::BeforeSwitch => &site.hooks.before_switch,
        Moment::InPause => &site.hooks.in_pause,
        Moment::AfterSwitch => &site.hooks.after_switch,
    };
    let began = Instant::now();
    for command in commands {
        site.events.note(Some(site.service), format!("runs hook `{command}`"));
        let (started, left) = (Instant::now(), limit.saturating_sub(began.elapsed()));
        let ended = execute(command, site, occasion, left).await;
        let failed = ended.as_ref().err().map(|error| error.reason.clone());
        let event = if failed.is_none() { EntryEvent::Done } else { EntryEvent::Failed };
        let ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let detail =
            json!({ "command": command, "epoch": occasion.epoch.0, "elapsed_ms": ms, "reason": failed });
        let step = format!("{}.hook_{}", occasion.round.as_str(), moment.as_str());
        cleave_journal::append(&**journal, site.lease, site.service, site.incarnation, &step, event, &detail)
            .await?;
        let printed = match &ended {
            Ok(printed) => printed,
            Err(failure) => &failure.printed,
        };
        for line in printed.lines() {
            site.events.note(Some(site.service), format!("hook: {line}"));
        }
        if let Err(failure) = ended {
            return Err(EngineError::Hook {
                command: command.clone(),
                reason: failure.reason,
                switched: moment == Moment::AfterSwitch,
            });
        }
    }
    Ok(())
}

/// A command that did not succeed.
struct Failure {
    reason: String,
    printed: String,
}

async fn execute(
    command: &str,
    site: HookSite<'_>,
    occasion: Occasion<'_>,
    limit: Duration,
) -> Result<String, Failure> {
    let unheard = |error: std::io::Error| Failure { reason: error.to_string(), printed: String::new() };
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(command).current_dir(site.folder).process_group(0);
    shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    shell.env("CLEAVE_SERVICE", site.service.as_str()).env("CLEAVE_SWITCH", occasion.round.as_str());
    shell.env("CLEAVE_EPOCH", occasion.epoch.to_string());
    let services = match occasion.services {
        [] => site.service.to_string(),
        several => several.join(" "),
    };
    shell.env("CLEAVE_SERVICES", services);
    shell
        .env("CLEAVE_HOME_FROM", occasion.home_from.as_str())
        .env("CLEAVE_HOME_TO", occasion.home_to.as_str());
    let mut child = shell.spawn().map_err(unheard)?;
    let mut group = Group(child.id().and_then(|id| Pid::from_raw(id.cast_signed())));
    let (mut output, mut errors) = (Vec::new(), Vec::new());
    let ended = attend(&mut child, &mut output, &mut errors, limit).await;
    if ended.is_some() {
        // What a command leaves in the background on purpose is its own affair.
        group.0 = None;
    }
    output.append(&mut errors);
    let printed = String::from_utf8_lossy(&output).into_owned();
    match ended {
        Some(Ok(status)) if status.success() => Ok(printed),
        Some(Ok(status)) => Err(Failure { reason: format!("it ended with {status}"), printed }),
        Some(Err(error)) => Err(Failure { reason: error.to_string(), printed }),
        None => {
            drop(group);
            let _reaped = timeout(LAST_WORDS, child.wait()).await;
            let reason = format!("it did not end within {} ms", limit.as_millis());
            Err(Failure { reason, printed })
        }
    }
}

/// Reads what the command prints until it ends; `None` when the limit passes first.
async fn attend(
    child: &mut Child,
    output: &mut Vec<u8>,
    errors: &mut Vec<u8>,
    limit: Duration,
) -> Option<std::io::Result<ExitStatus>> {
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let reading = async { tokio::join!(drain(stdout, output), drain(stderr, errors)) };
    tokio::pin!(reading);
    let mut all_read = false;
    let ended = timeout(limit, async {
        loop {
            tokio::select! {
                _ = &mut reading, if !all_read => all_read = true,
                status = child.wait() => return status,
            }
        }
    })
    .await
    .ok()?;
    if !all_read {
        let _left_open = timeout(LAST_WORDS, reading).await;
    }
    Some(ended)
}

/// Reads to the end and keeps the beginning.
async fn drain(pipe: Option<impl AsyncRead + Unpin>, kept: &mut Vec<u8>) {
    let Some(mut pipe) = pipe else { return };
    let mut buffer = [0; 1024];
    while let Ok(read @ 1..) = pipe.read(&mut buffer).await {
        let room = SHOWN_BYTES_MAX.saturating_sub(kept.len());
        kept.extend(buffer.iter().take(read.min(room)));
    }
}
