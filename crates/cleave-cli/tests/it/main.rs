//! Tests of the command line: the binary as a user runs it, and the drawing of every report.

#![expect(clippy::unwrap_used, reason = "a test stops at the first thing that is not as expected")]

mod arguments;
mod assess_services;
mod assessing;
mod bad_input;
mod browser;
mod comparison;
mod config;
mod demo;
mod deployments;
mod explain;
mod graph;
mod in_place;
mod interrupts;
mod journey;
mod kill_points;
mod packaging;
mod proof;
mod report_page;
mod reports;
mod runner;
mod second_operator;
mod service;
mod store;
mod surroundings;
mod upgrade;
mod workload;
