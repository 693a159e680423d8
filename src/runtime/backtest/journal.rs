//! The market of a journal once more: its inputs, without what a venue answered to the orders.
//!
//! ```text
//!   lane 0 ── market, timers ──────────────► FeedStage ─► …
//!          ── opening, commands, measures ─► the same, where the whole session is run again
//!          ── reports, account ────────────► left out: the paper venue makes them anew
//! ```

use super::{BacktestOrder, Bench};
use crate::base::event::{Event, Instrument, Kind, SessionStart, VenueStatus};
use crate::base::settings::InstrumentSettings;
use crate::journal::LaneReader;
use crate::runtime::assemble::instrument_settings;
use crate::venue::paper::Latencies;
use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// A journal's market, and how it is run again.
#[derive(Clone, Debug)]
pub struct Again {
    /// The journal's folder.
    pub dir: PathBuf,
    /// Run the session again, with its own opening, commands and measures; otherwise its market
    /// alone, for whatever is configured.
    pub as_session: bool,
    /// What orders and reports take, instead of what is configured.
    pub latencies: Option<Latencies>,
    /// Text of the configuration: a session's first record holds its hash.
    pub config_text: String,
}

impl Again {
    /// The market alone.
    pub fn market(dir: &Path) -> Self {
        let config_text = String::new();
        Self { dir: dir.to_path_buf(), as_session: false, latencies: None, config_text }
    }

    /// The instruments of the journal, in table order.
    ///
    /// # Errors
    /// A journal that cannot be read or whose opening is not whole.
    pub fn instruments(&self) -> Result<Vec<InstrumentSettings>> {
        let mut lane = LaneReader::open(&self.dir, 0)?;
        let (_, first) = lane.next().context("lane 0 is empty")??;
        ensure!(
            first.kind() == Some(Kind::SessionStart),
            "lane 0 does not begin with a session record: its first segments were removed"
        );
        let count = first.body::<SessionStart>().instrument_count;
        let mut table = Vec::new();
        for _ in 0..count {
            let (_, event) = lane.next().context("the instrument table is not whole")??;
            ensure!(event.kind() == Some(Kind::Instrument), "the instrument table is not whole");
            table.push(instrument_settings(event.body::<Instrument>())?);
        }
        Ok(table)
    }

    /// True for an input that is run again.
    fn takes(&self, event: &Event) -> bool {
        match event.kind() {
            _ if is_market(event) => true,
            // Of an order of the session: it comes anew or not at all.
            Some(Kind::VenueStatus) => {
                self.as_session && event.body::<VenueStatus>().client_id == 0
            }
            Some(
                Kind::SessionEnd
                | Kind::KillRound
                | Kind::OrderAccepted
                | Kind::OrderFilled
                | Kind::OrderCancelled
                | Kind::OrderRejected
                | Kind::OrderExpired
                | Kind::OrderUnknown
                | Kind::CancelRejected
                | Kind::FundingPayment
                | Kind::VenuePosition
                | Kind::AccountStatus
                | Kind::MarginStatus,
            )
            | None => false,
            Some(_) => self.as_session,
        }
    }
}

/// The market and time: what a journal's inputs are without what a session, an operator or a venue
/// told.
pub fn is_market(event: &Event) -> bool {
    match event.kind() {
        Some(Kind::Timer) => true,
        Some(_) => event.kind < Kind::SessionStart as u8,
        None => false,
    }
}

/// Every input of the journal within the order's time that is run again.
pub(super) fn run(bench: &mut Bench, again: &Again, order: &BacktestOrder) -> Result<()> {
    bench.timers_recorded = true;
    for item in LaneReader::open(&again.dir, 0)? {
        let (_, mut event) = item?;
        let ts = event.now();
        if order.from.is_some_and(|from| ts < from) {
            continue;
        }
        if order.to.is_some_and(|to| ts >= to) {
            break;
        }
        // Time passes with every record: a session opens with the first, whatever it holds.
        bench.pass_to(ts)?;
        if !again.takes(&event) {
            continue;
        }
        if event.kind() == Some(Kind::SessionStart) {
            let mut start: SessionStart = *event.body();
            start.config_sha256 = Sha256::digest(again.config_text.as_bytes()).into();
            event = Event::new(Kind::SessionStart, event.instrument(), &start);
        }
        event.check = 0;
        bench.with_feed(|feed, with| feed.on_event(event, ts, with))?;
    }
    Ok(())
}
