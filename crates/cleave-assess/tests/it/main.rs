//! What cleave-assess makes of a catalog, the pages that are made from its rules, and the recommendation of services on
//! schemas of different kinds whose services are known.

#![cfg(test)]

mod known_answers;
mod notation;
mod pages;
mod scores;
mod wishing;
