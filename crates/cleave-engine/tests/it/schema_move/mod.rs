//! Moves inside one database, on real servers.

mod drift;
mod isolation;
mod journey;
mod pagila;
mod refusals;
mod shop;
mod storefront;
