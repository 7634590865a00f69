//! Processor time of everything that takes part: this process, the programs it has run, and both servers. On a machine
//! that others use too it says more than the clock.

use super::Servers;
use crate::arena::Failure;
use std::fs;

/// Clock ticks per second: what Linux tells user space, whatever its own timer does.
const TICKS_PER_SECOND: f64 = 100.0;

/// Seconds so far, since the servers began.
pub(super) fn seconds(servers: &Servers) -> Result<f64, Failure> {
    let mut ticks = with_ended_children("self")?;
    for server in [&servers.source, &servers.target] {
        let pid = server.server_pid().ok_or("a server has stopped")?.to_string();
        ticks += with_ended_children(&pid)?;
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
        // One that has ended meanwhile counts as an ended child the next time.
        ticks += children.split_whitespace().filter_map(|child| own(child).ok()).sum::<f64>();
    }
    Ok(ticks / TICKS_PER_SECOND)
}

fn own(pid: &str) -> Result<f64, Failure> {
    Ok(times(pid)?.iter().take(2).sum())
}

fn with_ended_children(pid: &str) -> Result<f64, Failure> {
    Ok(times(pid)?.iter().sum())
}

/// User and system time of a process, then those of its children that have ended: fields 14 to 17 of `stat`.
fn times(pid: &str) -> Result<Vec<f64>, Failure> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name in parentheses may hold spaces.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    Ok(fields.skip(11).take(4).filter_map(|ticks| ticks.parse().ok()).collect())
}
