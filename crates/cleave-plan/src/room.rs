//! Whether the servers have room for what a move holds open.

use crate::Finding;

/// What is free on one server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Of `max_replication_slots`.
    pub slots: i64,
    /// Of `max_wal_senders`.
    pub senders: i64,
    /// Of `origins_setting`.
    pub origins: i64,
    /// What bounds the origins: `max_active_replication_origins` from 18 on, `max_replication_slots` before.
    pub origins_setting: &'static str,
    /// Of `max_connections`.
    pub connections: i64,
}

/// What a move takes on each side: a slot for its stream and one that lives during the copy; a walsender for each;
/// an origin for the applier (copy workers take theirs one after another at worst); sessions of copy and switch.
const SLOTS: i64 = 2;
const SENDERS: i64 = 2;
const ORIGINS: i64 = 2;
const CONNECTIONS: i64 = 12;

/// Names what is short on the server of `database`.
pub fn check_room(room: &Room, database: &str) -> Vec<Finding> {
    let wanted = [
        ("slots", "max_replication_slots", room.slots, SLOTS),
        ("walsenders", "max_wal_senders", room.senders, SENDERS),
        ("origins", room.origins_setting, room.origins, ORIGINS),
        ("connections", "max_connections", room.connections, CONNECTIONS),
    ];
    let short = wanted.into_iter().filter(|(_, _, free, needed)| free < needed);
    short
        .map(|(what, setting, free, needed)| {
            let free = free.max(0);
            let message =
                format!("{setting} leaves room for {free} of the {needed} {what} that the move takes");
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
        let origins_setting = "max_replication_slots";
        let room = Room { slots: 1, senders: 5, origins: 1, origins_setting, connections: 100 };
        let said = |room: &Room| -> Vec<String> {
            check_room(room, "monolith").into_iter().map(|finding| finding.message).collect()
        };
        assert_eq!(
            said(&room),
            [
                "max_replication_slots leaves room for 1 of the 2 slots that the move takes",
                "max_replication_slots leaves room for 1 of the 2 origins that the move takes"
            ]
        );
        assert!(said(&Room { slots: 2, origins: 2, ..room }).is_empty());
    }
}
