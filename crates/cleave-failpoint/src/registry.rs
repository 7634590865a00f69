//! The process's points: what they are told to do, how often each was passed.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Write;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::FailpointError;
use crate::trigger::{Action, Trigger, parse_list};

const TRIGGERS: &str = "CLEAVE_FAILPOINTS";
const LOG: &str = "CLEAVE_FAILPOINTS_LOG";

/// How often a held point looks whether its file is gone.
const GLANCE: Duration = Duration::from_millis(2);

struct Told {
    trigger: Trigger,
    /// How often the point was passed since it was told.
    passed: u64,
    /// Which call of [`set`] told it, so that an old guard does not clear a newer one's.
    ticket: u64,
}

impl Told {
    /// Counts the passing; what is to be done, if it is the one.
    fn pass(&mut self) -> Option<Action> {
        self.passed += 1;
        let now = self.trigger.only_at.is_none_or(|count| count == self.passed);
        now.then(|| self.trigger.action.clone())
    }
}

struct Registry {
    told: HashMap<String, Told>,
    /// In the order in which they were first passed.
    hits: Vec<(&'static str, u64)>,
    log: Option<PathBuf>,
    tickets: u64,
}

static REGISTRY: LazyLock<Mutex<Registry>> = LazyLock::new(|| {
    let text = std::env::var(TRIGGERS).unwrap_or_default();
    // Going on would make a test pass that tested nothing.
    let list = parse_list(&text).unwrap_or_else(|error| panic!("{TRIGGERS}: {error}"));
    let told = list.into_iter().map(|(name, trigger)| (name, Told { trigger, passed: 0, ticket: 0 }));
    let log = std::env::var_os(LOG).map(PathBuf::from);
    Mutex::new(Registry { told: told.collect(), hits: Vec::new(), log, tickets: 0 })
});

fn registry() -> MutexGuard<'static, Registry> {
    REGISTRY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps a point told; dropping it lets the point pass again.
#[derive(Debug)]
#[must_use = "the point passes again as soon as this is dropped"]
pub struct Armed {
    name: String,
    ticket: u64,
}

impl Drop for Armed {
    fn drop(&mut self) {
        let mut registry = registry();
        if registry.told.get(&self.name).is_some_and(|told| told.ticket == self.ticket) {
            registry.told.remove(&self.name);
        }
    }
}

/// Tells a point of this process what to do, instead of what it was told before. Counting starts now. Points belong to
/// the whole process: tests that tell the same point must not run at the same time.
pub fn set(name: impl Into<String>, trigger: impl Into<Trigger>) -> Armed {
    let (name, trigger) = (name.into(), trigger.into());
    let mut registry = registry();
    registry.tickets += 1;
    let ticket = registry.tickets;
    registry.told.insert(name.clone(), Told { trigger, passed: 0, ticket });
    Armed { name, ticket }
}

thread_local! {
    static HERE: RefCell<HashMap<String, Told>> = RefCell::new(HashMap::new());
}

/// Keeps a point told on its thread; dropping it lets the point pass again.
#[derive(Debug)]
#[must_use = "the point passes again as soon as this is dropped"]
pub struct ArmedHere {
    name: String,
    /// The guard belongs to the thread whose point it tells.
    _thread: PhantomData<*const ()>,
}

impl Drop for ArmedHere {
    fn drop(&mut self) {
        HERE.with_borrow_mut(|here| here.remove(&self.name));
    }
}

/// As [`set`], for what passes the point on this thread only: a test on a runtime of one thread does not meet the
/// points of tests beside it. Goes before what [`set`] says.
pub fn set_here(name: impl Into<String>, trigger: impl Into<Trigger>) -> ArmedHere {
    let (name, trigger) = (name.into(), trigger.into());
    HERE.with_borrow_mut(|here| here.insert(name.clone(), Told { trigger, passed: 0, ticket: 0 }));
    ArmedHere { name, _thread: PhantomData }
}

/// The points that this process has passed, in the order of their first passing, and how often.
pub fn hits() -> Vec<(&'static str, u64)> {
    registry().hits.clone()
}

pub(crate) fn hit(name: &'static str) {
    match pass(name) {
        None => {}
        Some(Action::Error) => refuse(name),
        Some(Action::Exit) => exit(),
        Some(Action::Sleep(time)) => std::thread::sleep(time),
        Some(Action::Pause(file)) => {
            announce(name, &file);
            while file.exists() {
                std::thread::sleep(GLANCE);
            }
        }
    }
}

pub(crate) async fn hit_async(name: &'static str) {
    if let Err(error) = try_hit(name).await {
        refuse(error.name);
    }
}

pub(crate) async fn try_hit(name: &'static str) -> Result<(), FailpointError> {
    match pass(name) {
        None => {}
        Some(Action::Error) => return Err(FailpointError { name }),
        Some(Action::Exit) => exit(),
        Some(Action::Sleep(time)) => tokio::time::sleep(time).await,
        Some(Action::Pause(file)) => {
            announce(name, &file);
            while file.exists() {
                tokio::time::sleep(GLANCE).await;
            }
        }
    }
    Ok(())
}

/// Counts and logs the passing and returns what is to be done.
fn pass(name: &'static str) -> Option<Action> {
    let mut registry = registry();
    match registry.hits.iter_mut().find(|(known, _)| *known == name) {
        Some((_, count)) => *count += 1,
        None => registry.hits.push((name, 1)),
    }
    if let Some(log) = &registry.log {
        append(log, name);
    }
    let here = HERE.with_borrow_mut(|here| here.get_mut(name).map(Told::pass));
    here.unwrap_or_else(|| registry.told.get_mut(name)?.pass())
}

/// One write in append mode: several processes may share the log.
fn append(log: &Path, name: &str) {
    let written = File::options()
        .create(true)
        .append(true)
        .open(log)
        .and_then(|mut file| file.write_all(format!("{name}\n").as_bytes()));
    if let Err(error) = written {
        panic!("{LOG}: cannot write to {}: {error}", log.display());
    }
}

fn announce(name: &str, file: &Path) {
    if let Err(error) = fs::write(file, name) {
        panic!("failpoint {name}: cannot create {}: {error}", file.display());
    }
}

fn refuse(name: &str) -> ! {
    panic!("failpoint {name} was told to return an error, but the code there cannot fail");
}

fn exit() -> ! {
    let me = rustix::process::getpid();
    // A process may always kill itself; should that fail nevertheless, the process must not go on.
    let refused = rustix::process::kill_process(me, rustix::process::Signal::KILL);
    panic!("a failpoint could not kill the process: {refused:?}");
}
