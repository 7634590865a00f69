//! What the catalog and the workload say about a database: is it ready, which tables belong together, what crosses a
//! boundary, and how that looks as a picture.
//!
//! Pure: a [`Catalog`](cleave_model::catalog::Catalog) and a [`Workload`](cleave_model::workload::Workload) in, values out.
//! The same input gives the same answer, whatever the day.

pub mod boundary;
pub mod communities;
pub mod evidence;
pub mod picture;
pub mod readiness;
pub mod report;
pub mod services;
pub mod text;
pub mod workload;
