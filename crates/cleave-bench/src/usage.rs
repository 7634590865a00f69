//! What this process has used, from `/proc/self`.

use crate::arena::Failure;
use std::fs;

/// Clock ticks per second: what Linux tells user space, whatever its own timer does.
const TICKS_PER_SECOND: f64 = 100.0;

/// Of one stretch of work.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    /// Highest resident memory.
    pub(crate) memory_mb: f64,
    /// Processor time, the kernel's for us included.
    pub(crate) cpu_s: f64,
}

impl Usage {
    /// Starts to measure: the highest memory is set back to the present.
    pub(crate) fn begin() -> Result<Self, Failure> {
        fs::write("/proc/self/clear_refs", "5")?;
        Self::now()
    }

    /// What was used since.
    pub(crate) fn end(self) -> Result<Self, Failure> {
        let now = Self::now()?;
        Ok(Self { memory_mb: now.memory_mb, cpu_s: now.cpu_s - self.cpu_s })
    }

    fn now() -> Result<Self, Failure> {
        let status = fs::read_to_string("/proc/self/status")?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak_kb: f64 = peak.and_then(|line| line.split_whitespace().next()).ok_or("no VmHWM")?.parse()?;
        let stat = fs::read_to_string("/proc/self/stat")?;
        // The name in parentheses may hold spaces; user and system time are the 12th and 13th field after it.
        let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
        let ticks: f64 = fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum();
        Ok(Self { memory_mb: peak_kb / 1024.0, cpu_s: ticks / TICKS_PER_SECOND })
    }
}
