//! What a pinned thread does while it has no work.

use crate::base::settings::Wait;
use std::time::Duration;

/// How long a parked thread sleeps: a compromise for topologies that asked to save power.
const PARK: Duration = Duration::from_micros(200);

/// One idle turn. [`Wait::Auto`] was resolved by the topology and yields here.
#[inline]
pub fn idle(wait: Wait) {
    match wait {
        Wait::Spin => std::hint::spin_loop(),
        Wait::Yield | Wait::Auto => std::thread::yield_now(),
        Wait::Park => std::thread::sleep(PARK),
    }
}
