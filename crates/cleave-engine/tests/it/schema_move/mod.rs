//! Moves inside one database, on real servers.

mod calls;
mod clients;
mod codes;
mod drift;
mod extended;
mod isolation;
mod journey;
mod libraries;
mod pagila;
mod refusals;
mod shop;
mod storefront;
mod with_split;
