//! Named failpoints: places where a test can kill, fail, slow down or hold the program. In a build without debug
//! assertions (a release) every function here is empty and reads nothing.
//!
//! A name says where the point is, in lower case with dots: `cutover.marker.after`. What happens there is told
//!
//! - from outside by the variable `CLEAVE_FAILPOINTS`, read once: `cutover.marker.after=exit; apply.batch=3*error`
//!   (see [`Trigger`] for the actions);
//! - from inside the process by [`set`], or for one thread by [`set_here`], until the guard is dropped.
//!
//! With `CLEAVE_FAILPOINTS_LOG=FILE` every point that is passed appends its name to the file as a line, before it acts:
//! a clean run discovers the places where the next runs are to be killed.

#[cfg(debug_assertions)]
mod registry;
#[cfg(debug_assertions)]
mod trigger;

#[cfg(debug_assertions)]
pub use registry::{Armed, ArmedHere, hits, set, set_here};
#[cfg(debug_assertions)]
pub use trigger::{Action, MalformedTrigger, Trigger};

/// Whether failpoints are part of this build.
pub const ENABLED: bool = cfg!(debug_assertions);

/// What a point with the action `error` returns.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("failpoint {name} was told to fail")]
pub struct FailpointError {
    /// The point's name.
    pub name: &'static str,
}

/// Passes a point in code that does not await and cannot fail. `sleep` and `pause` block the thread.
///
/// # Panics
/// When the point was told to return an error, which it cannot: a mistake in the test.
#[inline]
pub fn hit(name: &'static str) {
    #[cfg(debug_assertions)]
    registry::hit(name);
    #[cfg(not(debug_assertions))]
    let _ = name;
}

/// Passes a point in code that awaits and cannot fail here. `sleep` and `pause` let other tasks run.
///
/// # Panics
/// When the point was told to return an error, which it cannot: a mistake in the test.
#[inline]
pub async fn hit_async(name: &'static str) {
    #[cfg(debug_assertions)]
    registry::hit_async(name).await;
    #[cfg(not(debug_assertions))]
    let _ = name;
}

/// Passes a point in code that awaits and can fail.
///
/// # Errors
/// When the point was told to.
#[inline]
pub async fn try_hit(name: &'static str) -> Result<(), FailpointError> {
    #[cfg(debug_assertions)]
    return registry::try_hit(name).await;
    #[cfg(not(debug_assertions))]
    {
        let _ = name;
        Ok(())
    }
}
