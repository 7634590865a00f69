//! What every verb on services needs: the topology, the chosen service, events on their way to the terminal, the
//! user's wish to stop, and what a verb that another engine has executed came to.

use crate::context::Context;
use crate::failure::Failure;
use crate::load::Loaded;
use crate::next;
use cleave_api::{Event, ExitCode, NextStep, Problem, ServiceStatus};
use cleave_config::Service;
use cleave_engine::{Answer, EngineError, Events, Topology, Verb, Wishes};
use cleave_model::ServiceName;
use cleave_stream::{Cancelled, cancellation};
use std::sync::{Arc, Mutex, PoisonError};

/// The loaded configuration and the ways into the engine.
pub struct Work {
    /// The configuration with its text.
    pub loaded: Loaded,
    /// The same, as the engine takes it.
    pub topology: Topology,
    /// Feeds the terminal.
    pub events: Events,
    /// Set by Ctrl-C.
    pub cancelled: Cancelled,
    /// What each finished step has said.
    done: Arc<Mutex<Vec<String>>>,
}

impl Work {
    /// Adds what is said beside the verb.
    pub fn wish(&mut self, wish: impl FnOnce(&mut Wishes)) {
        let mut wishes = self.topology.wishes().clone();
        wish(&mut wishes);
        self.topology = self.topology.clone().wishing(wishes);
    }

    /// Reads the configuration and listens for Ctrl-C.
    ///
    /// # Errors
    /// A configuration file that cannot be read or has errors.
    pub fn begin(context: &Context) -> Result<Self, Failure> {
        let loaded = context.load()?;
        let topology = Topology::new(loaded.config.clone(), &loaded.text, &loaded.folder)
            .wishing(Wishes { reason: context.globals.reason.clone(), ..Wishes::default() });
        let output = context.output.clone();
        let done = Arc::new(Mutex::new(Vec::new()));
        let summaries = Arc::clone(&done);
        let events = Events::new(move |event| {
            if let Event::StepFinished { step, summary, .. } = &event {
                let mut summaries = summaries.lock().unwrap_or_else(PoisonError::into_inner);
                summaries.push(format!("{step}: {summary}"));
            }
            output.event(&event);
        });
        Ok(Self { loaded, topology, events, cancelled: cancelled(context), done })
    }

    /// The service of that name, or the only one of the file.
    ///
    /// # Errors
    /// C0420 for a name that is not in the file, C0908 if none is given and the file has several.
    pub fn service(&self, name: Option<&str>) -> Result<&Service, Failure> {
        let services = &self.loaded.config.services;
        let known = || services.iter().map(|service| service.name.to_string()).collect::<Vec<_>>();
        match (name, services.as_slice()) {
            (Some(name), _) => self.loaded.config.service(name).ok_or_else(|| {
                let file = self.loaded.config.file.clone();
                EngineError::NoSuchService { name: name.to_owned(), file, known: known() }.into()
            }),
            (None, [only]) => Ok(only),
            (None, _) => Err(Problem::error("C0908", "the command is for one service, and none is named")
                .hint(format!("{} has {}", self.loaded.config.file, known().join(", ")))
                .exit(ExitCode::Usage)
                .into()),
        }
    }

    /// The service or split of that name, or the only one of the file.
    ///
    /// # Errors
    /// C0420 for a name that is not in the file, C0908 if none is given and the file has several.
    pub fn named(&self, name: Option<&str>) -> Result<ServiceName, Failure> {
        let config = &self.loaded.config;
        match (name, config.splits.as_slice()) {
            (Some(name), _) if config.split(name).is_some() => {
                Ok(ServiceName::parse(name).map_err(|error| {
                    Problem::error("C0420", format!("`{name}` is no name of a split: {error}"))
                        .exit(ExitCode::Usage)
                })?)
            }
            (None, [only]) if config.services.is_empty() => Ok(only.name.clone()),
            (None, [_, ..]) => Err(self.several().into()),
            _ => Ok(self.service(name)?.name.clone()),
        }
    }

    /// True if the name is a split's.
    pub fn is_split(&self, name: &ServiceName) -> bool {
        self.loaded.config.split(name.as_str()).is_some()
    }

    fn several(&self) -> Problem {
        let config = &self.loaded.config;
        let services = config.services.iter().map(|service| service.name.to_string());
        let names: Vec<String> =
            services.chain(config.splits.iter().map(|split| split.name.to_string())).collect();
        Problem::error("C0908", "the command is for one service or split, and none is named")
            .hint(format!("{} has {}", config.file, names.join(", ")))
            .exit(ExitCode::Usage)
    }

    /// The services of these names, or all of the file.
    ///
    /// # Errors
    /// C0420 for a name that is not in the file.
    pub fn services(&self, names: &[String]) -> Result<Vec<ServiceName>, Failure> {
        if names.is_empty() {
            return Ok(self.loaded.config.services.iter().map(|service| service.name.clone()).collect());
        }
        names.iter().map(|name| Ok(self.service(Some(name))?.name.clone())).collect()
    }

    /// Where a service stands.
    ///
    /// # Errors
    /// Its source database cannot be read.
    pub async fn status(&self, service: &ServiceName) -> Result<ServiceStatus, Failure> {
        let report = cleave_engine::status(&self.topology, Some(service)).await?;
        report.services.into_iter().next().ok_or_else(|| {
            Problem::error("C0420", format!("service {service} is not in the configuration")).into()
        })
    }

    /// What each finished step has said so far.
    pub fn done(&self) -> Vec<String> {
        self.done.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What to run next for a service.
    ///
    /// # Errors
    /// Its source database cannot be read.
    pub async fn next(&self, service: &ServiceName) -> Result<Vec<NextStep>, Failure> {
        let report = cleave_engine::status(&self.topology, Some(service)).await?;
        let engine = report.engine.is_some();
        Ok(report.services.iter().flat_map(|status| next::steps(status, engine)).collect())
    }

    /// Executes a verb, here or in the engine that runs the service.
    ///
    /// # Errors
    /// What the verb says, here or there.
    pub async fn execute(&self, service: &ServiceName, verb: Verb) -> Result<Answer, Failure> {
        let answer =
            cleave_engine::execute(&self.topology, service, verb, &self.events, &self.cancelled).await?;
        settled(answer)
    }
}

/// For work that needs no configuration: feeds the terminal, and is set by Ctrl-C.
pub fn events(context: &Context) -> (Events, Cancelled) {
    let output = context.output.clone();
    (Events::new(move |event| output.event(&event)), cancelled(context))
}

/// Set by Ctrl-C.
fn cancelled(context: &Context) -> Cancelled {
    let (canceller, cancelled) = cancellation();
    let mut interrupt = context.interrupt.clone();
    tokio::spawn(async move {
        interrupt.asked().await;
        canceller.cancel();
    });
    cancelled
}

/// An answer as if it had been given here: what another engine has reported is read back.
///
/// # Errors
/// The other engine's problem; C0909 if its answer cannot be read.
pub fn settled(answer: Answer) -> Result<Answer, Failure> {
    let Answer::Elsewhere(exit, mut value) = answer else { return Ok(answer) };
    let mut part = |name: &str| value.get_mut(name).map(serde_json::Value::take);
    let unreadable =
        |error: serde_json::Error| -> Failure { unknown_answer().caused_by(Some(&error)).into() };
    if let Some(problem) = part("problem") {
        let problem: Problem = serde_json::from_value(problem).map_err(unreadable)?;
        return Err(problem.exit(exit).into());
    }
    if let Some(switch) = part("switch") {
        return Ok(Answer::Switch(serde_json::from_value(switch).map_err(unreadable)?));
    }
    if let Some(verification) = part("verification") {
        return Ok(Answer::Verification(serde_json::from_value(verification).map_err(unreadable)?));
    }
    match part("state") {
        Some(serde_json::Value::String(state)) => Ok(Answer::State(state)),
        _ => Err(unknown_answer().into()),
    }
}

/// The answer of an engine of another version.
pub fn unknown_answer() -> Problem {
    Problem::error("C0909", "the engine that runs the service gave an answer that is not known here")
        .hint("run the same version of cleave everywhere")
}
