//! The registry and reports on an MLflow server: everything once, whatever happens on the way.

mod door;
mod fake;
mod faults;
#[path = "../python/mod.rs"]
mod python;
mod real;
mod sights;
mod world;
