//! Until when the venue said not to be asked, kept over restarts: whoever asks before a ban has
//! ended makes it longer, and a process that was started anew knows nothing by itself.
//!
//! ```text
//!  refused while a session runs ─► its journal tells it      ┐ the later one: the next start waits
//!  refused at the start or end  ─► the file `asked-not-until`┘ for it, or ends and says until when
//! ```

use super::clock::wall_now;
use super::state::StateFolder;
use crate::base::{Nanos, Reason};
use crate::venue::budget::Budget;
use anyhow::{Result, bail};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Longest time that a start waits; what is longer is for whoever starts the process again.
pub const WAIT_MAX: Nanos = Nanos::from_secs(120);
/// Time between two looks at the clock.
const LOOK: Duration = Duration::from_millis(100);

/// A time in words, UTC.
fn words(time: Nanos) -> String {
    let at = jiff::Timestamp::from_nanosecond(i128::from(time.0));
    at.map_or_else(|_| time.0.to_string(), |at| at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
}

/// What a start at `now` has to do about a stop that lasts until `until`: nothing, wait so long,
/// or end.
///
/// # Errors
/// Says until when, where that is too long to wait for.
pub fn wait_for(until: Nanos, now: Nanos) -> Result<Duration> {
    let left = until - now;
    if left <= Nanos::ZERO {
        return Ok(Duration::ZERO);
    }
    if left > WAIT_MAX {
        bail!(
            "the venue said not to be asked before {} (in {} s), and a request before that makes \
             it longer: nothing was asked; start again then",
            words(until),
            left.0 / 1_000_000_000
        );
    }
    Ok(Duration::from_nanos(left.0.unsigned_abs()))
}

/// Waits until the venue may be asked, as it told an earlier process. `carried` is what its journal
/// tells.
///
/// # Errors
/// Says until when, where that is too long to wait for; or that it was stopped meanwhile.
pub fn wait(state: &StateFolder, carried: Nanos, stop: &AtomicBool) -> Result<()> {
    let until = state.stopped_until()?.max(carried);
    if wait_for(until, wall_now())? > Duration::ZERO {
        tracing::warn!(until = words(until), "the venue does not want to be asked yet: waiting");
    }
    while wall_now() < until {
        if stop.load(Ordering::Relaxed) {
            bail!("stopped while waiting for {}, when the venue may be asked again", words(until));
        }
        std::thread::sleep(LOOK);
    }
    Ok(())
}

/// Keeps what was learned without a journal to tell it: why, and until when in words.
pub fn keep(state: &StateFolder, budget: &Budget) -> Option<(Reason, String)> {
    let (reason, until) = budget.stopped(wall_now())?;
    if let Err(error) = state.stop_until(until) {
        tracing::error!(%error, "until when the venue may not be asked was not kept");
    }
    Some((reason, words(until)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fault_r07_a_start_waits_for_a_short_stop_and_ends_for_a_long_one_saying_until_when() {
        let noon = Nanos::from_secs(1_795_435_200);
        assert_eq!(wait_for(Nanos::ZERO, noon).unwrap(), Duration::ZERO);
        assert_eq!(wait_for(noon, noon).unwrap(), Duration::ZERO, "it is over");
        let minute = Nanos::from_secs(60);
        assert_eq!(wait_for(noon + minute, noon).unwrap(), Duration::from_secs(60));
        let error = wait_for(noon + Nanos(60 * minute.0), noon).unwrap_err().to_string();
        assert!(error.contains("2026-11-23 13:00:00 UTC (in 3600 s)"), "{error}");
    }

    #[test]
    fn fault_r07_a_ban_told_at_the_start_or_end_is_known_to_the_next_process() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateFolder::open(dir.path()).unwrap();
        let stop = AtomicBool::new(false);
        wait(&state, Nanos::ZERO, &stop).unwrap();
        let hour = wall_now() + Nanos::from_secs(3_600);
        state.stop_until(hour).unwrap();
        state.stop_until(wall_now()).unwrap();
        assert_eq!(state.stopped_until().unwrap(), hour, "a later word does not make it shorter");
        assert!(
            wait(&state, Nanos::ZERO, &stop).unwrap_err().to_string().contains("not to be asked")
        );
        drop(state);
        let state = StateFolder::open(dir.path()).unwrap();
        assert!(wait(&state, Nanos::ZERO, &stop).is_err());
        // As the journal tells it; and one who waits can be stopped.
        let other = tempfile::tempdir().unwrap();
        let fresh = StateFolder::open(other.path()).unwrap();
        assert!(wait(&fresh, hour, &stop).is_err());
        stop.store(true, Ordering::Relaxed);
        let soon = wall_now() + Nanos::from_secs(60);
        assert!(
            wait(&fresh, soon, &stop).unwrap_err().to_string().contains("stopped while waiting")
        );
    }
}
