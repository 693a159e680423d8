//! Unit tests of the feed. The oracle reads frames with another parser and other code.

#[cfg(feature = "coin-m")]
mod coin_m;
mod differential;
mod frames;
mod numbers;
mod oracle;
mod recorded;
mod synchronising;

use super::checked::Checked;
use super::form::{Form, UsdM};
use super::scan::{self, Sink};
use super::{EventBatch, Feed, SymbolTable};
use crate::base::event::Event;
use crate::base::settings::InstrumentSettings;
use crate::base::{Money, Nanos, Px, Qty, Rate, Reason, Symbol};
use std::path::PathBuf;

/// A session's instruments by symbol; facts that the feed does not look at are arbitrary.
pub(super) fn instruments(symbols: &[&str]) -> Vec<InstrumentSettings> {
    let settings = |symbol: &&str| InstrumentSettings {
        symbol: Symbol::new(symbol.as_bytes()).unwrap(),
        tick_size: Px(1_000_000),
        lot_size: Qty(100_000),
        min_qty: Qty(100_000),
        max_qty: Qty::whole(1_000),
        min_notional: Money::whole(5),
        maker_fee: Rate(20_000),
        taker_fee: Rate(50_000),
    };
    symbols.iter().map(settings).collect()
}

/// The three ways to read a frame.
pub(super) struct Readers {
    pub symbols: SymbolTable,
    pub checked: Checked,
}

pub(super) const TS: Nanos = Nanos(1_700_000_000_000_000_001);

impl Readers {
    pub fn new(symbols: &[&str]) -> Self {
        Self { symbols: SymbolTable::new(&instruments(symbols)), checked: Checked::new() }
    }

    /// By hand; `None` when declined.
    pub fn by_hand(&self, frame: &[u8]) -> Option<Vec<Event>> {
        self.by_hand_in::<UsdM>(frame)
    }

    pub fn by_hand_in<F: Form>(&self, frame: &[u8]) -> Option<Vec<Event>> {
        let mut out = EventBatch::new();
        let mut sink = Sink { symbols: &self.symbols, ts_recv: TS, out: &mut out };
        scan::frame::<F>(frame, &mut sink).map(|()| out.as_slice().to_vec())
    }

    /// By the checked decoder.
    pub fn checked(&mut self, frame: &[u8]) -> Result<Vec<Event>, Reason> {
        self.checked_in::<UsdM>(frame)
    }

    pub fn checked_in<F: Form>(&mut self, frame: &[u8]) -> Result<Vec<Event>, Reason> {
        let mut out = EventBatch::new();
        let mut sink = Sink { symbols: &self.symbols, ts_recv: TS, out: &mut out };
        match self.checked.frame::<F>(frame, &mut sink) {
            Ok(()) => Ok(out.as_slice().to_vec()),
            Err((fail, _)) => Err(fail.reason),
        }
    }

    /// All three, and what they agree on: events, or `None` for a frame that gives none.
    pub fn agreed(&mut self, frame: &[u8]) -> Option<Vec<Event>> {
        let text = String::from_utf8_lossy(frame).into_owned();
        let checked = self.checked(frame).ok();
        if let Some(by_hand) = self.by_hand(frame) {
            assert_eq!(Some(&by_hand), checked.as_ref(), "by hand and checked differ: {text}");
        }
        let oracle = oracle::read(frame, &self.symbols);
        assert_eq!(checked, oracle, "checked and oracle differ: {text}");
        checked
    }
}

/// The folder of recorded data, if it is there.
pub(super) fn data_dir() -> Option<PathBuf> {
    let path = std::env::var_os("PEREGRINE_DATA").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data"),
        PathBuf::from,
    );
    if !path.is_dir() {
        println!("no recorded data at {}: nothing checked", path.display());
        return None;
    }
    Some(path)
}

pub(super) fn feed(symbols: &[&str]) -> Feed {
    Feed::new(&instruments(symbols))
}
