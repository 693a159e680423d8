//! Which connections and streams are down at the moment, as the river tells it.

use super::private::CONNECTION;
use crate::base::event::{StreamStatus, flags};
use crate::base::{Event, InstrumentId, Reason};

/// Connections and silent streams remembered; a session has some dozen connections at most.
const SEEN_MAX: usize = 4_096;

/// See the head of this file.
#[derive(Debug, Default)]
pub struct StreamsSeen {
    /// Connection, instrument, what it brings.
    down: Vec<(u64, u16, u16)>,
}

impl StreamsSeen {
    /// Takes a stream status in.
    pub fn note(&mut self, event: &Event) {
        let status: &StreamStatus = event.body();
        // The number 0 is no connection: events were lost between two stages.
        if status.connection == 0 {
            return;
        }
        // What a lost connection brought of each instrument is told with the connection.
        let is_single = event.instrument() != InstrumentId::NONE;
        if is_single && status.reason == Reason::StreamDown as u16 {
            return;
        }
        // What a whole connection brings does not matter; a stream of it is known by that.
        let carries = if is_single { status.carries } else { 0 };
        let what = (status.connection, event.instrument, carries);
        self.down.retain(|known| *known != what);
        if !event.has(flags::ON) && self.down.len() < SEEN_MAX {
            self.down.push(what);
        }
    }

    /// No stream of an instrument is awaited any more.
    pub fn forget(&mut self, instrument: InstrumentId) {
        self.down.retain(|(_, own, _)| *own != instrument.0);
    }

    /// Market connections, and single streams of them, that are down.
    pub fn market_down(&self) -> usize {
        self.down.iter().filter(|(connection, ..)| *connection != CONNECTION).count()
    }

    /// True when a market connection, or a stream of one, is down.
    pub fn is_market_down(&self) -> bool {
        self.market_down() > 0
    }

    /// True when the account's own stream is down.
    pub fn is_account_down(&self) -> bool {
        self.down.iter().any(|(connection, ..)| *connection == CONNECTION)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Kind;
    use crate::base::event::carries;

    fn status(connection: u64, instrument: InstrumentId, carries: u16, on: bool) -> Event {
        let body = StreamStatus { connection, carries, ..StreamStatus::default() };
        let flags = if on { flags::ON } else { 0 };
        Event { flags, ..Event::new(Kind::StreamStatus, instrument, &body) }
    }

    #[test]
    fn every_loss_ends_with_its_own_return_and_with_no_other() {
        let mut seen = StreamsSeen::default();
        let (none, btc) = (InstrumentId::NONE, InstrumentId(0));
        seen.note(&status(1, none, 3, false));
        seen.note(&status(1, btc, carries::DEPTH, false));
        seen.note(&status(CONNECTION, none, carries::ACCOUNT, false));
        assert!(seen.is_market_down() && seen.is_account_down());
        seen.note(&status(CONNECTION, none, carries::ACCOUNT, true));
        assert!(seen.is_market_down() && !seen.is_account_down());
        seen.note(&status(2, none, 12, true));
        seen.note(&status(1, none, 3, true));
        assert_eq!(seen.market_down(), 1, "a stream of it is still silent");
        seen.note(&status(1, btc, carries::DEPTH, true));
        assert!(!seen.is_market_down());
        let (reason, carries) = (Reason::StreamDown as u16, carries::DEPTH);
        let lost = StreamStatus { connection: 2, reason, carries, ..StreamStatus::default() };
        seen.note(&Event::new(Kind::StreamStatus, btc, &lost));
        assert!(!seen.is_market_down(), "its connection is told by itself");
        seen.note(&status(0, none, 0, false));
        assert!(!seen.is_market_down(), "lost between stages: the books tell that");
    }
}
