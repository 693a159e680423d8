//! The room's tests, by file.

mod hlog;
mod latency;
mod metrics;
mod snapshot;
mod summary;
