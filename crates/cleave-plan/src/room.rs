//! Whether the servers have room for what a move holds open.

use crate::Finding;

/// What is free on one server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Of `max_replication_slots`.
    pub slots: i64,
    /// Of `max_wal_senders`.
    pub senders: i64,
    /// Of `max_active_replication_origins` (18), else `max_replication_slots`.
    pub origins: i64,
    /// Of `max_connections`.
    pub connections: i64,
}

/// What a move takes on each side: a slot for its stream and one that lives during the copy; a walsender for each;
/// an origin for the applier (copy workers take theirs one after another at worst); sessions of copy and switch.
const NEEDED: [(&str, i64); 4] = [
    ("max_replication_slots", 2),
    ("max_wal_senders", 2),
    ("max_active_replication_origins", 2),
    ("max_connections", 12),
];

/// Names what is short on the server of `database`.
pub fn check_room(room: &Room, database: &str) -> Vec<Finding> {
    let free = [room.slots, room.senders, room.origins, room.connections];
    let short = NEEDED.iter().zip(free).filter(|((_, needed), free)| free < needed);
    short
        .map(|((setting, needed), free)| {
            let message = format!("{free} free of {setting}, the move takes {needed}");
            let fix = format!("raise {setting} and restart the server, or drop what is no longer used");
            Finding::refusal("C0221", format!("database {database}"), message).fix(fix)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_short_is_named_with_its_setting() {
        let room = Room { slots: 1, senders: 5, origins: 5, connections: 100 };
        let findings = check_room(&room, "monolith");
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].message, "1 free of max_replication_slots, the move takes 2");
        assert!(check_room(&Room { slots: 2, ..room }, "monolith").is_empty());
    }
}
