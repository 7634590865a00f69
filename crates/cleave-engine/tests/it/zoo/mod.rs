//! Every type and every shape of table makes the whole journey, and both sides are equal at each stop.

mod journey;
mod refusals;
mod shapes;
mod types;
mod values;
