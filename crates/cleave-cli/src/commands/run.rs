//! `cleave run`: the engine.

/// Run the engine: keep all streams going, and do what other commands ask for
///
/// Holds the lease, so that there is one engine; runs until SIGTERM or Ctrl-C, and stops at a safe point. Another engine
/// may wait for the lease and take over.
#[derive(Debug, clap::Args)]
pub struct RunArgs {}
