//! The registry and reports on an MLflow server: everything once, whatever happens on the way.

mod door;
mod fake;
mod faults;
mod real;
mod sights;
mod world;
