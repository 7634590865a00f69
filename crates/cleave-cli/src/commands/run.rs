//! `cleave run`: the engine.

use crate::context::Context;
use crate::failure::Failure;
use crate::next;
use crate::notify::Supervisor;
use crate::work::Work;
use cleave_api::{ExitCode, Output, Problem};
use cleave_config::Listen;
use cleave_engine::{EngineError, Pulse};
use cleave_server::Server;
use std::net::{Ipv4Addr, SocketAddr};

/// Where it answers, if nobody says where.
const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9732);

/// Run the engine: keep all streams going, and do what other commands ask for
///
/// Holds the lease, so that there is one engine; runs until SIGTERM or Ctrl-C, then stops at a safe point, confirms what
/// was applied and exits with 0. While it is away, slots keep log: `cleave status` shows how much. While it runs it answers
/// /healthz, /readyz and /metrics (for Prometheus) over HTTP. As a service it runs with --wait, and under systemd it says
/// when it is ready and that it is alive.
#[derive(Debug, clap::Args)]
pub struct RunArgs {
    /// Go on by itself: wait where no service has an open move, another engine holds the lease or a server is away, and begin
    /// anew after what may pass, with pauses from 1 s to 1 min
    #[arg(long)]
    pub wait: bool,

    /// Answer probes and collectors here instead of at the address in cleave.toml or 127.0.0.1:9732; `off` for nowhere
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = Listen::parse)]
    pub listen: Option<Listen>,
}

/// Runs the verb.
pub async fn run(arguments: RunArgs, context: &Context) -> Result<ExitCode, Failure> {
    let work = Work::begin(context)?;
    let pulse = Pulse::default();
    let bound = bind(&arguments, &work, &pulse).await?;
    let said = match &bound {
        Bound::At(server) => Ok(server.address().ok()),
        Bound::Off => Ok(None),
        Bound::Taken(problem) => Err(problem.clone()),
    };
    let supervisor = Supervisor::from_environment();
    supervisor.ready();
    let engine = async {
        let ended = if arguments.wait {
            cleave_engine::serve(&work.topology, &work.events, &work.cancelled, &pulse).await
        } else {
            cleave_engine::run_telling(&work.topology, &work.events, &work.cancelled, &pulse).await
        };
        supervisor.stopping();
        ended
    };
    let answers = async {
        if let Bound::At(server) = bound {
            server.serve(&work.cancelled).await;
        }
        std::future::pending::<()>().await;
    };
    let tells = async {
        pulse.running().await;
        match said {
            Ok(Some(address)) => work.events.tell(cleave_api::Event::Note {
                service: None,
                message: format!("answers /healthz, /readyz and /metrics at http://{address}"),
            }),
            Ok(None) => {}
            Err(problem) => context.output.problem(&problem),
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        ended = engine => ended?,
        () = answers => {}
        () = tells => {}
        () = supervisor.keep_telling(&pulse) => {}
    }
    report(&work, context).await?;
    Ok(ExitCode::Done)
}

/// Where things stand when it leaves.
async fn report(work: &Work, context: &Context) -> Result<(), Failure> {
    match cleave_engine::status(&work.topology, None).await {
        Ok(report) => {
            let steps: Vec<_> =
                report.services.iter().flat_map(|service| next::steps(service, false)).collect();
            context.output.report(Output::new(report).with_next(steps), None)
        }
        // It was told to stop, perhaps because the servers stop too.
        Err(error) => {
            let error: EngineError = error;
            context.output.problem(&error.problem());
            Ok(())
        }
    }
}

/// Where it answers.
enum Bound {
    /// At the server's address.
    At(Server),
    /// Nowhere, as was wished.
    Off,
    /// Nowhere, as somebody else has the usual address.
    Taken(Box<Problem>),
}

/// The flag goes before the file. An address that somebody has chosen must be had; the usual one may be another engine's.
async fn bind(arguments: &RunArgs, work: &Work, pulse: &Pulse) -> Result<Bound, Failure> {
    let chosen = arguments.listen.or(work.loaded.config.server.listen);
    let address = match chosen {
        Some(Listen::Off) => return Ok(Bound::Off),
        Some(Listen::At(address)) => address,
        None => DEFAULT_LISTEN,
    };
    let bound = Server::bind(address, work.topology.clone(), pulse.clone(), env!("CARGO_PKG_VERSION")).await;
    match bound {
        Ok(server) => Ok(Bound::At(server)),
        Err(error) => {
            let message = format!("{address} cannot be listened on");
            let hint = "choose another with --listen or `listen` in [server], or `off`";
            if chosen.is_some() {
                return Err(Problem::error("C0930", message).caused_by(Some(&error)).hint(hint).into());
            }
            let problem = Problem::warning("C0930", message + ": probes and metrics are not answered");
            Ok(Bound::Taken(Box::new(problem.caused_by(Some(&error)).hint(hint))))
        }
    }
}
