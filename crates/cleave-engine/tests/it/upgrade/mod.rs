//! Whole databases go to a newer server and back, under writers, and nothing is lost on the way.

mod cleanup;
mod journeys;
mod objects;
mod pooler;
mod stage;
mod trouble;
