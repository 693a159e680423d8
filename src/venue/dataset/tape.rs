//! Rows of all tables as frames, merged by time.
//!
//! ```text
//!   a candle of [t, t + Δ)        open    first extreme    other extreme      close
//!                                  t        t + Δ/4          t + Δ/2       t + Δ − 1 ms
//! ```
//! A falling candle is taken to have seen its high first, a rising one its low. Each of the four is
//! a change of the book, a quote and a trade of a quarter of the volume. Candles without volume are
//! quotes alone: nothing was traded. What really happened inside a candle is not known; a model
//! that needs it needs trades.

use super::frames::{Quoter, mark};
use super::stream::Stream;
use super::table::Rows;
use super::{DataError, DataSet};
use crate::base::{Nanos, Symbol};
use crate::venue::capture::Payload;
use std::collections::VecDeque;

/// Full spread of the quotes around a candle's prices, in hundredths of a percent.
const SPREAD_BPS: i64 = 1;
/// Time between two mark prices.
const MARK_EVERY_MS: i64 = 60_000;
/// What a settlement's time may lie behind the full hour: recorded ones lie up to 16 ms.
const SETTLED_LATE_MS: i64 = 100;

/// What a data set's rows are read as.
#[derive(Debug)]
pub struct Tape {
    lanes: Vec<Lane>,
    /// From this time on nothing is told: it is held out.
    until_ms: Option<i64>,
    text: String,
}

impl Tape {
    /// All symbols of a data set.
    ///
    /// # Errors
    /// A file that is not the listed one.
    pub fn open(set: &DataSet) -> Result<Self, DataError> {
        Self::open_at(set, None)
    }

    /// The same without the rows before `from`: it begins with snapshots of its own, so that books
    /// are known from its first row on.
    ///
    /// # Errors
    /// A file that is not the listed one.
    pub fn open_at(set: &DataSet, from: Option<Nanos>) -> Result<Self, DataError> {
        let contracts = set.instruments()?;
        let lanes = set.manifest().symbols.iter().zip(contracts).map(|(facts, contract)| {
            let rows = |stream| Series::open(set, &facts.symbol, stream);
            let mut lane = Lane {
                symbol: contract.symbol,
                quoter: Quoter::new(contract.symbol, facts.tick, facts.lot, SPREAD_BPS),
                bars: rows(Stream::Bars)?,
                trades: rows(Stream::Trades)?,
                marks: rows(Stream::MarkBars)?,
                funding: rows(Stream::Funding)?,
                due: VecDeque::new(),
                is_open: false,
                marked: i64::MIN / 2,
                rate: 0,
            };
            if let Some(from) = from {
                lane.bars.pass(from)?;
                lane.trades.pass(from)?;
            }
            lane.fill()?;
            Ok(lane)
        });
        let lanes = lanes.collect::<Result<_, DataError>>()?;
        Ok(Self { lanes, until_ms: set.held_out_from_ms(), text: String::new() })
    }

    /// The next frame with its time of receipt; `None` at the end. Equal times go in the order of
    /// symbols.
    ///
    /// # Errors
    /// A damaged file.
    pub fn next_payload(&mut self) -> Result<Option<(Nanos, Payload<'_>)>, DataError> {
        let times = self
            .lanes
            .iter()
            .enumerate()
            .filter_map(|(at, lane)| lane.due.front().map(|step| (step.ms, at)));
        let Some((ms, at)) = times.min() else { return Ok(None) };
        if self.until_ms.is_some_and(|until| ms >= until) {
            return Ok(None);
        }
        let lane = &mut self.lanes[at];
        let is_snapshot = lane.print_next(&mut self.text);
        if lane.due.is_empty() {
            lane.fill()?;
        }
        let (symbol, body) = (lane.symbol, self.text.as_bytes());
        let payload = match is_snapshot {
            true => Payload::Snapshot { symbol, body },
            false => Payload::Frame(body),
        };
        Ok(Some((Nanos::from_millis(ms), payload)))
    }
}

/// One symbol.
#[derive(Debug)]
struct Lane {
    symbol: Symbol,
    quoter: Quoter,
    bars: Series,
    trades: Series,
    marks: Series,
    funding: Series,
    /// What is to be printed of the rows at hand.
    due: VecDeque<Step>,
    /// The first snapshot was given.
    is_open: bool,
    /// When the mark price was told last.
    marked: i64,
    /// Rate of the last settlement, 1e-8.
    rate: i64,
}

/// A frame to print.
#[derive(Clone, Copy, Debug)]
struct Step {
    ms: i64,
    what: What,
}

#[derive(Clone, Copy, Debug)]
enum What {
    Book { px: i64, volume: i64 },
    Snapshot { volume: i64 },
    Ticker { volume: i64 },
    Trade { px: i64, qty: i64 },
    Mark { px: i64, rate: i64, next_ms: i64 },
}

impl Lane {
    /// Takes the next row, whichever comes first, apart into steps.
    fn fill(&mut self) -> Result<(), DataError> {
        let bar = self.bars.peek()?.map(|row| row[0]);
        let trade = self.trades.peek()?.map(|row| row[0]);
        match (bar, trade) {
            (None, None) => Ok(()),
            (Some(bar), trade) if trade.is_none_or(|trade| bar <= trade) => self.fill_bar(),
            _ => self.fill_trade(),
        }
    }

    fn fill_bar(&mut self) -> Result<(), DataError> {
        let Some(row) = self.bars.take()? else { return Ok(()) };
        let &[open_ms, open, high, low, close, volume] = row.as_slice() else { return Ok(()) };
        let span = self.bars.interval_ms.max(4);
        self.mark(open_ms, open)?;
        let (first, second) = if close < open { (high, low) } else { (low, high) };
        let steps = [
            (open_ms, open),
            (open_ms + span / 4, first),
            (open_ms + span / 2, second),
            (open_ms + span - 1, close),
        ];
        for (at, (ms, px)) in steps.into_iter().enumerate() {
            self.quote(ms, px, volume);
            let quarter = volume / 4;
            let qty = if at == 3 { volume - 3 * quarter } else { quarter };
            if qty > 0 {
                self.due.push_back(Step { ms, what: What::Trade { px, qty } });
            }
        }
        self.settle(open_ms + span, close)?;
        self.due.make_contiguous().sort_by_key(|step| step.ms);
        Ok(())
    }

    fn fill_trade(&mut self) -> Result<(), DataError> {
        let Some(row) = self.trades.take()? else { return Ok(()) };
        let &[ms, _, px, qty, _] = row.as_slice() else { return Ok(()) };
        self.mark(ms, px)?;
        self.quote(ms, px, qty);
        self.due.push_back(Step { ms, what: What::Trade { px, qty } });
        Ok(())
    }

    fn quote(&mut self, ms: i64, px: i64, volume: i64) {
        self.due.push_back(Step { ms, what: What::Book { px, volume } });
        if !self.is_open {
            self.is_open = true;
            self.due.push_back(Step { ms, what: What::Snapshot { volume } });
        }
        self.due.push_back(Step { ms, what: What::Ticker { volume } });
    }

    /// The mark price once a minute or a candle, whichever is longer: the open of the candle of
    /// mark prices that begins then, or else the traded price. The rate is that of the last
    /// settlement: the next one is not known yet.
    fn mark(&mut self, ms: i64, traded: i64) -> Result<(), DataError> {
        if ms < self.marked + MARK_EVERY_MS {
            return Ok(());
        }
        self.marked = ms;
        let mut px = traded;
        while let Some(row) = self.marks.peek()?
            && row[0] <= ms
        {
            if row[0] == ms {
                px = row[1];
            }
            self.marks.take()?;
        }
        self.pass_settlements(ms)?;
        let next_ms = self.funding.peek()?.map_or(0, |row| row[0]);
        self.due.push_back(Step { ms, what: What::Mark { px, rate: self.rate, next_ms } });
        Ok(())
    }

    /// The settlement before `until_ms`, if there is one: its rate is told a second ahead, as a
    /// venue's estimate has it by then, so that what is paid is what was paid.
    fn settle(&mut self, until_ms: i64, px: i64) -> Result<(), DataError> {
        let Some(&[at_ms, rate]) = self.funding.peek()? else { return Ok(()) };
        if at_ms > until_ms + SETTLED_LATE_MS || at_ms < self.marked + 1_000 {
            return Ok(());
        }
        let what = What::Mark { px, rate, next_ms: at_ms };
        self.due.push_back(Step { ms: at_ms.min(until_ms) - 1_000, what });
        Ok(())
    }

    /// Takes over the rates of settlements that are past.
    fn pass_settlements(&mut self, ms: i64) -> Result<(), DataError> {
        while let Some(&[at_ms, rate]) = self.funding.peek()?
            && at_ms <= ms + SETTLED_LATE_MS
        {
            self.rate = rate;
            self.funding.take()?;
        }
        Ok(())
    }

    /// Prints the step that is due next; says whether it is a snapshot.
    fn print_next(&mut self, out: &mut String) -> bool {
        let Some(Step { ms, what }) = self.due.pop_front() else { return false };
        match what {
            What::Book { px, volume } => self.quoter.book(px, volume, ms, out),
            What::Snapshot { volume } => self.quoter.snapshot(volume, ms, out),
            What::Ticker { volume } => self.quoter.ticker(volume, ms, out),
            What::Trade { px, qty } => self.quoter.trade(px, qty, ms, out),
            What::Mark { px, rate, next_ms } => mark(self.symbol, px, (rate, next_ms), ms, out),
        }
        matches!(what, What::Snapshot { .. })
    }
}

/// The rows of one stream of a symbol, file after file.
#[derive(Debug)]
struct Series {
    files: VecDeque<Rows>,
    interval_ms: i64,
    next: Option<Vec<i64>>,
}

impl Series {
    fn open(set: &DataSet, symbol: &str, stream: Stream) -> Result<Self, DataError> {
        let mut entries = set.manifest().files_of(symbol, stream);
        // Of candles of several lengths the shortest tell most.
        let shortest = entries.iter().map(|entry| entry.interval_ms).min().unwrap_or(0);
        entries.retain(|entry| entry.interval_ms == shortest);
        let files = entries.into_iter().map(|entry| set.rows(entry)).collect::<Result<_, _>>()?;
        Ok(Self { files, interval_ms: shortest, next: None })
    }

    /// The row at hand.
    fn peek(&mut self) -> Result<Option<&[i64]>, DataError> {
        while self.next.is_none() {
            let Some(rows) = self.files.front_mut() else { return Ok(None) };
            match rows.next_row()? {
                Some(row) => self.next = Some(row.to_vec()),
                None => {
                    self.files.pop_front();
                }
            }
        }
        Ok(self.next.as_deref())
    }

    /// Leaves out the rows before a time.
    fn pass(&mut self, from: Nanos) -> Result<(), DataError> {
        while let Some(row) = self.peek()?
            && Nanos::from_millis(row[0]) < from
        {
            self.next = None;
        }
        Ok(())
    }

    fn take(&mut self) -> Result<Option<Vec<i64>>, DataError> {
        self.peek()?;
        Ok(self.next.take())
    }
}
