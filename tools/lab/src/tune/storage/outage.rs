//! A server that goes away is waited for.
//!
//! What is asked over [`Storage::lasting`] may have been carried out though its answer was lost, so
//! that it must come to the same a second time: rows are inserted where they are not there, and a
//! trial that is claimed twice is one whose worker never says that it lives.

use super::super::TuneError;
use super::{Storage, server};
use std::time::{Duration, Instant};

/// Between two tries to connect, doubled from the first to the last: shorter than the silence of a
/// worker that is thought to be gone, so that it can tell in time that it lives.
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(1);
const _: () = assert!(PAUSE_MIN.as_nanos() < PAUSE_MAX.as_nanos(), "the pause grows");

impl Storage {
    /// Sets how long a server that went away is waited for; not at all unless it is said.
    #[must_use]
    pub const fn outlasting(mut self, outage: Duration) -> Self {
        self.outage = outage;
        self
    }

    /// Does what may be done twice, over a new connection where the server went away meanwhile.
    pub(super) fn lasting<T>(
        &mut self,
        mut work: impl FnMut(&mut Self) -> Result<T, TuneError>,
    ) -> Result<T, TuneError> {
        let mut lost = match work(self) {
            Err(error) if self.database.is_lost(&error) => error,
            done => return done,
        };
        let (begun, mut pause) = (Instant::now(), PAUSE_MIN);
        while begun.elapsed() < self.outage {
            std::thread::sleep(pause);
            pause = (pause * 2).min(PAUSE_MAX);
            match self.database.reopen() {
                Err(error) if server::passes(&error) => lost = error,
                Err(error) => return Err(error),
                Ok(()) => match work(self) {
                    Err(error) if self.database.is_lost(&error) => lost = error,
                    done => return done,
                },
            }
        }
        Err(TuneError::Lost { secs: self.outage.as_secs_f64(), why: Box::new(lost) })
    }
}
