//! A limit on the bytes per second of all workers together.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How much may be sent at once after a pause, as time at the full rate.
const BURST: Duration = Duration::from_millis(100);

/// Parts go out one after the other on this line in time, whoever sends them.
#[derive(Debug)]
pub(super) struct Rate {
    bytes_per_second: u64,
    /// When the last part that was let through is over.
    busy_until: Mutex<Instant>,
}

impl Rate {
    pub(super) fn new(bytes_per_second: u64) -> Self {
        Self { bytes_per_second: bytes_per_second.max(1), busy_until: Mutex::new(Instant::now()) }
    }

    /// Waits until `bytes` more may have been sent.
    pub(super) async fn pass(&self, bytes: u64) {
        tokio::time::sleep(self.wait(bytes, Instant::now())).await;
    }

    fn wait(&self, bytes: u64, now: Instant) -> Duration {
        let mut busy_until = self.busy_until.lock().unwrap_or_else(PoisonError::into_inner);
        let takes = Duration::from_secs_f64(bytes as f64 / self.bytes_per_second as f64);
        *busy_until = (*busy_until).max(now) + takes;
        busy_until.saturating_duration_since(now).saturating_sub(BURST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_parts_together_take_the_time_of_their_bytes() {
        let rate = Rate::new(1_000_000);
        let now = Instant::now() + Duration::from_secs(1);
        assert_eq!(rate.wait(50_000, now), Duration::ZERO);
        assert_eq!(rate.wait(50_000, now), Duration::ZERO);
        for part in 1..=100 {
            assert_eq!(rate.wait(50_000, now), Duration::from_millis(50) * part);
        }
        // What a pause has left unused is not made up for.
        let later = now + Duration::from_secs(3600);
        assert_eq!(rate.wait(300_000, later), Duration::from_millis(200));
    }
}
