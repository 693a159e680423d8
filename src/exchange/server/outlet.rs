//! Bytes on their way to one client, in order, some of them not before a given time.

use crate::base::Nanos;
use std::collections::VecDeque;
use std::io::{ErrorKind, Write};

/// Bytes taken out of the front before the buffer is moved up.
const MOVE_BYTES: usize = 64 << 10;

/// What waits for one client.
#[derive(Debug, Default)]
pub struct Outlet {
    ready: Vec<u8>,
    at: usize,
    later: VecDeque<(Nanos, Vec<u8>)>,
    later_bytes: usize,
    pace: Option<Pace>,
    is_stopped: bool,
}

/// Few bytes at a time.
#[derive(Clone, Copy, Debug)]
struct Pace {
    bytes: usize,
    every: Nanos,
    next: Nanos,
}

/// What became of an attempt to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// All that may go is gone.
    All,
    /// The socket takes no more for now.
    Blocked,
    /// The connection is gone.
    Gone,
}

impl Outlet {
    /// Bytes that wait.
    pub fn backlog(&self) -> usize {
        self.ready.len() - self.at + self.later_bytes
    }

    /// True when nothing waits.
    pub fn is_empty(&self) -> bool {
        self.backlog() == 0
    }

    /// Where to append what may go at once. Behind bytes that wait for their time it waits too.
    pub fn append(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        if let Some((_, bytes)) = self.later.back_mut() {
            let before = bytes.len();
            write(bytes);
            self.later_bytes += bytes.len() - before;
        } else {
            write(&mut self.ready);
        }
    }

    /// Appends bytes that may not go before `due`, nor may anything behind them.
    pub fn append_at(&mut self, due: Nanos, bytes: Vec<u8>) {
        self.later_bytes += bytes.len();
        let last = self.later.back().map_or(Nanos::ZERO, |(due, _)| *due);
        self.later.push_back((due.max(last), bytes));
    }

    /// From here on no more than `bytes` at a time, `every` so often.
    pub fn pace(&mut self, bytes: usize, every: Nanos) {
        self.pace = Some(Pace { bytes: bytes.max(1), every, next: Nanos::ZERO });
    }

    /// From here on nothing leaves any more, though the connection stays open.
    pub fn stop(&mut self) {
        self.is_stopped = true;
        self.clear();
    }

    /// Forgets what waits.
    pub fn clear(&mut self) {
        self.ready.clear();
        self.later.clear();
        (self.at, self.later_bytes) = (0, 0);
    }

    /// When something that waits for its time may go; `None` where nothing does.
    pub fn next_due(&self) -> Option<Nanos> {
        let paced = match self.pace {
            Some(pace) if !self.is_empty() && pace.every > Nanos::ZERO => Some(pace.next),
            _ => None,
        };
        let later = self.later.front().map(|(due, _)| *due);
        if self.ready.len() > self.at { paced } else { paced.into_iter().chain(later).max() }
    }

    /// Writes what may go at `now`.
    pub fn flush(&mut self, stream: &mut impl Write, now: Nanos) -> Written {
        while self.later.front().is_some_and(|(due, _)| *due <= now) {
            let (_, bytes) = self.later.pop_front().expect("the front was looked at");
            self.later_bytes -= bytes.len();
            self.ready.extend_from_slice(&bytes);
        }
        if self.is_stopped {
            self.clear();
        }
        while self.at < self.ready.len() {
            let mut end = self.ready.len();
            if let Some(pace) = &mut self.pace {
                if pace.next > now {
                    break;
                }
                end = end.min(self.at + pace.bytes);
            }
            match stream.write(&self.ready[self.at..end]) {
                Ok(0) => return Written::Gone,
                Ok(count) => self.at += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.tidy();
                    return Written::Blocked;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => return Written::Gone,
            }
            if let Some(pace) = &mut self.pace {
                pace.next = now + pace.every;
            }
        }
        self.tidy();
        Written::All
    }

    fn tidy(&mut self) {
        if self.at == self.ready.len() {
            self.ready.clear();
            self.at = 0;
        } else if self.at >= MOVE_BYTES.max(self.ready.len() / 2) {
            self.ready.drain(..self.at);
            self.at = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flushed(outlet: &mut Outlet, now: i64) -> String {
        let mut out = Vec::new();
        outlet.flush(&mut out, Nanos(now));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn bytes_leave_in_order_and_not_before_their_time() {
        let mut outlet = Outlet::default();
        outlet.append(|out| out.extend(b"a"));
        outlet.append_at(Nanos(5), b"b".to_vec());
        outlet.append(|out| out.extend(b"c"));
        assert_eq!(outlet.backlog(), 3);
        assert_eq!(flushed(&mut outlet, 4), "a");
        assert_eq!(outlet.next_due(), Some(Nanos(5)));
        assert_eq!(flushed(&mut outlet, 5), "bc");
        assert!(outlet.is_empty() && outlet.next_due().is_none());
    }

    #[test]
    fn a_pace_lets_single_bytes_out_and_a_stop_lets_nothing_out() {
        let mut outlet = Outlet::default();
        outlet.pace(1, Nanos(10));
        outlet.append(|out| out.extend(b"abc"));
        assert_eq!(flushed(&mut outlet, 1), "a");
        assert_eq!(outlet.next_due(), Some(Nanos(11)));
        assert_eq!(flushed(&mut outlet, 10), "");
        assert_eq!(flushed(&mut outlet, 11), "b");
        outlet.stop();
        outlet.append(|out| out.extend(b"d"));
        assert_eq!(flushed(&mut outlet, 99), "");
        assert!(outlet.is_empty());
    }
}
