//! Processor time of everything that takes part: this process, the programs it has run, and both servers. On a machine
//! that others use too it says more than the clock.

use crate::arena::Failure;
use cleave_sandbox::Cluster;
use std::fs;

/// Clock ticks per second: what Linux tells user space, whatever its own timer does.
const TICKS_PER_SECOND: f64 = 100.0;

/// Seconds so far, since the servers began.
pub(crate) fn seconds(servers: [&Cluster; 2]) -> Result<f64, Failure> {
    let mut seconds = with_ended_children("self")? / TICKS_PER_SECOND;
    for server in servers {
        seconds += of_server(server)?;
    }
    Ok(seconds)
}

/// Those of one server.
pub(crate) fn of_server(server: &Cluster) -> Result<f64, Failure> {
    let pid = server.server_pid().ok_or("a server has stopped")?.to_string();
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
    // One that has ended meanwhile counts as an ended child the next time.
    let children = children.split_whitespace().filter_map(|child| own(child).ok()).sum::<f64>();
    Ok((with_ended_children(&pid)? + children) / TICKS_PER_SECOND)
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
