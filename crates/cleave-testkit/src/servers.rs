//! The clusters that all tests of one process share, one per version, started when first asked for.

use cleave_sandbox::{Cluster, Error, Options, Version};
use futures_util::future::try_join_all;
use tokio::sync::OnceCell;

/// Never dropped, as statics are not: the clusters' watchdogs clean up when the process has ended.
static CLUSTERS: [OnceCell<Cluster>; Version::ALL.len()] =
    [const { OnceCell::const_new() }; Version::ALL.len()];

/// The shared cluster of a version. Tests must not stop it, nor change what belongs to the whole cluster (settings,
/// roles, slots, origins) except under names of their own: a test that has to starts a [`Cluster`] for itself.
///
/// # Errors
/// When the cluster does not start; the next caller tries again.
pub async fn server(version: Version) -> Result<&'static Cluster, Error> {
    let slot = (version.major() - Version::V14.major()) as usize;
    CLUSTERS[slot].get_or_try_init(|| async { Cluster::start(version, &Options::new()).await }).await
}

/// The shared clusters of several versions, started in parallel, in the order asked for.
///
/// # Errors
/// When one of them does not start.
pub async fn servers(versions: &[Version]) -> Result<Vec<&'static Cluster>, Error> {
    try_join_all(versions.iter().map(|version| server(*version))).await
}
