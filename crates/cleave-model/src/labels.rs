//! The names that Cleave gives to what it makes in users' databases. One place, so that clean-up, drift checks and
//! people can recognise them.

use crate::{Direction, Ident, Oid, ServiceName};

/// Schema of the journal, in every database of a move.
pub const CLEAVE_SCHEMA: &str = "cleave";
/// Name of the fence trigger on every fenced table.
pub const FENCE_TRIGGER: &str = "cleave_fence";
/// Name of the trigger at the new home that fills NOT NULL columns left out by a bridge. Sorts before users' triggers
/// with lower-case names, as triggers fire in the order of their names.
pub const FILL_TRIGGER: &str = "_cleave_fill";
/// Prefix of every trigger of ours, but the fence.
pub const TRIGGER_PREFIX: &str = "_cleave";
/// Message prefixes of `pg_logical_emit_message`.
pub const MESSAGE_MARKER: &str = "cleave.marker";
/// A heartbeat moves positions when only filtered or foreign traffic flows.
pub const MESSAGE_HEARTBEAT: &str = "cleave.heartbeat";
/// The switch of a service's home; its content is JSON with service, epoch and home.
pub const MESSAGE_SWITCH: &str = "cleave.switch";

/// Slot of a stream; a new incarnation is a new slot. At most 7 + 24 + 9 + 20 bytes of 63.
pub fn slot(service: &ServiceName, direction: Direction, incarnation: i64) -> String {
    format!("cleave_{service}_{direction}_{incarnation}")
}

/// Temporary slot through which a session looks at what transactions write.
pub fn listening_slot(pid: i32) -> String {
    format!("cleave_listen_{pid}")
}

/// Publication that a stream reads.
pub fn publication(service: &ServiceName, direction: Direction) -> Ident {
    Ident::new(format!("cleave_{service}_{direction}"))
}

/// Replication origin of the applier of a direction, on its target.
pub fn origin(service: &ServiceName, direction: Direction) -> String {
    format!("cleave_{service}_{direction}")
}

/// Replication origin of copy worker `worker`, on the new home.
pub fn copy_origin(service: &ServiceName, worker: usize) -> String {
    format!("cleave_{service}_copy_{worker}")
}

/// Groups of tables that a service can have detached at a time; each has a stream of its own.
pub fn parts() -> std::ops::RangeInclusive<u32> {
    1..=9
}

/// Name of what belongs to a detached group: slot and origin.
pub fn of_part(name: &str, part: u32) -> String {
    format!("{name}_d{part}")
}

/// Key in `cleave.position` of a detached group's stream.
pub fn part_of(stream: &str, part: u32) -> String {
    format!("{stream}/d{part}")
}

/// The name without the mark of a detached group, and the group.
pub fn split_part(name: &str) -> (&str, Option<u32>) {
    let split = name.rsplit_once("_d").and_then(|(rest, part)| Some((rest, part.parse().ok()?)));
    match split {
        Some((rest, part)) if parts().contains(&part) => (rest, Some(part)),
        _ => (name, None),
    }
}

/// True if a transaction with this origin was written by the peer of the stream that reads in `direction`, that is by
/// an applier of the other direction, or by a copy worker when the way back reads.
pub fn is_peer_origin(service: &ServiceName, direction: Direction, name: &str) -> bool {
    let copy = || {
        name.strip_prefix(&format!("cleave_{service}_copy_"))
            .is_some_and(|worker| !worker.is_empty() && worker.bytes().all(|b| b.is_ascii_digit()))
    };
    let of_stream = || split_part(name).0 == origin(service, direction.opposite());
    of_stream() || (direction == Direction::Back && copy())
}

/// Key of a stream in `cleave.position` and `cleave.copied`.
pub fn stream(service: &ServiceName, direction: Direction) -> String {
    format!("{service}/{direction}")
}

/// Name (in schema `cleave`) of a service's fence function.
pub fn fence_function(service: &ServiceName) -> Ident {
    Ident::new(format!("fence_{service}"))
}

/// Name (in schema `cleave`) of the function that fills defaults for one table.
pub fn fill_function(service: &ServiceName, table: Oid) -> Ident {
    Ident::new(format!("fill_{service}_{}", table.0))
}

/// Role at the new home that the bridge's foreign tables log in as.
pub fn bridge_role(service: &ServiceName) -> Ident {
    Ident::new(format!("cleave_bridge_{service}"))
}

/// Schema at the old home in which a bridge is made ready before the switch.
pub fn bridge_schema(service: &ServiceName) -> Ident {
    Ident::new(format!("cleave_bridge_{service}"))
}

/// Schema at the old home in which the views of a `local` or `none` bridge are made ready: they bear the names of the
/// foreign tables in [`bridge_schema`], so they need a schema of their own.
pub fn bridge_view_schema(service: &ServiceName) -> Ident {
    Ident::new(format!("cleave_bridge_{service}_view"))
}

/// Name of the trigger that stands in for foreign key `number` of a service, on the referencing and on the referenced
/// table.
pub fn reference_trigger(number: usize) -> Ident {
    Ident::new(format!("{TRIGGER_PREFIX}_reference_{number}"))
}

/// Name (in schema `cleave`) of the function that checks a new reference.
pub fn reference_check_function(service: &ServiceName, number: usize) -> Ident {
    Ident::new(format!("reference_{service}_{number}_check"))
}

/// Name (in schema `cleave`) of the function that notes references left dangling by the home.
pub fn reference_guard_function(service: &ServiceName, number: usize) -> Ident {
    Ident::new(format!("reference_{service}_{number}_guard"))
}

/// Foreign server at the old home that leads to the new one.
pub fn foreign_server(service: &ServiceName) -> Ident {
    Ident::new(format!("cleave_{service}"))
}

/// Schema that the old tables move to when no copy was asked for.
pub fn retired_schema(service: &ServiceName) -> Ident {
    Ident::new(format!("cleave_old_{service}"))
}

/// Function (in schema `cleave`) that answers changes of structure under a schema move's old names. Its event triggers
/// bear its name with `_start` and `_end`.
pub fn guard(service: &ServiceName) -> Ident {
    Ident::new(format!("cleave_guard_{service}"))
}

/// Where a split keeps what only it needs: the part of rows that wait for an owner, the place of each key, functions.
pub fn split_schema(split: &ServiceName) -> Ident {
    Ident::new(format!("cleave_split_{split}"))
}

/// Trigger of a split on the table that is split and on its parts.
pub fn split_trigger(split: &ServiceName) -> Ident {
    Ident::new(format!("{TRIGGER_PREFIX}_split_{split}"))
}

/// Its trigger for `TRUNCATE`, on all tables.
pub fn split_truncate_trigger(split: &ServiceName) -> Ident {
    Ident::new(format!("{TRIGGER_PREFIX}_split_{split}_truncate"))
}

/// Triggers of a split on the tables that reach its rows begin like this. They are to fire before the server checks
/// the foreign key that they make true: triggers fire in the order of their names, and the server's own begin with `RI_`.
pub const SPLIT_REFERENCE_PREFIX: &str = "0_cleave_split";

/// Trigger of a split on a table that reaches its rows; `event` is one of `insert`, `update` and `delete`.
pub fn split_reference_trigger(split: &ServiceName, number: usize, event: &str) -> Ident {
    Ident::new(format!("{SPLIT_REFERENCE_PREFIX}_{split}_{number}_{event}"))
}

/// A reference's key to a part, or back to the table, as long as the old one is in force.
pub fn split_key(split: &ServiceName, number: usize, end: &str) -> Ident {
    Ident::new(format!("{TRIGGER_PREFIX}_split_{split}_{number}_{end}"))
}

/// A setting by which a split's triggers know their own writes: from the table to its parts.
pub fn split_down(split: &ServiceName) -> String {
    format!("cleave.split_{split}_down")
}

/// The same for writes from a part to the table.
pub fn split_up(split: &ServiceName) -> String {
    format!("cleave.split_{split}_up")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_peers_own_origins_are_recognised() {
        let films = ServiceName::parse("films").unwrap();
        assert!(is_peer_origin(&films, Direction::Back, "cleave_films_forward"));
        assert!(is_peer_origin(&films, Direction::Back, "cleave_films_copy_3"));
        assert!(is_peer_origin(&films, Direction::Forward, "cleave_films_back"));
        for other in [
            "cleave_films_copy_",
            "cleave_films_copy_x",
            "cleave_films_back",
            "cleave_films2_forward",
            "pg_1",
        ] {
            assert!(!is_peer_origin(&films, Direction::Back, other), "{other}");
        }
    }
}
