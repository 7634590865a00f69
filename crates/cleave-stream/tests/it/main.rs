//! Integration tests of copy, follow and apply, on real servers.

#![cfg(test)]

mod arming;
mod catching_up;
mod chunks;
mod columns;
mod commits;
mod content;
mod copy;
mod giants;
mod in_progress;
mod known_losses;
mod neighbours;
mod pair;
mod promotion;
mod resume;
mod schema_change;
mod sets;
mod standby;
mod target_trouble;
mod throttle;
