//! Every type and every shape of table makes the whole journey, and both sides are equal at each stop.

mod every_type;
mod journey;
mod refusals;
mod shapes;

mod values;
