//! A recording drives the market: its levels are the crowd's, its trades the crowd's takers.
//!
//! Clients trade against it as against the synthetic crowd. A recorded trade first meets the
//! clients' orders that stand better than its price, then the queue at its price; a recorded level
//! that would stand beyond a client's order trades with it. What a client takes out of a recorded
//! level is back with the level's next recorded change: history does not notice us.

use super::contract::{Contract, Moment};
use super::market::SyntheticMarket;
use super::recording::{Act, Recorded, Recording};
use crate::base::{Nanos, Px, Side};
use crate::exchange::matching::{Book, Owner, SelfTrade, Taker};
use crate::exchange::spec::SymbolSpec;
use crate::exchange::tape::frames::Mark;

/// How fast a recording runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// Its own timing times this (1.0 is its own, 10.0 ten times as fast).
    Times(f64),
    /// One record every [`FAST_STEP`] of exchange time, whatever its timing.
    AsFastAsPossible,
}

/// More records a second than a client takes over a socket.
pub const FAST_STEP: Nanos = Nanos(2_000);

/// A recording under way.
#[derive(Debug)]
pub struct Replay {
    recording: Recording,
    pace: Pace,
    /// Exchange time of the recording's first record.
    begins: Nanos,
    /// Recorded time of its first record.
    first: Nanos,
    /// Exchange time of the last record handed out.
    last: Nanos,
    /// Exchange time of the next one; the end of time behind the last.
    due: Nanos,
    done: u64,
}

impl Replay {
    /// Begins at `begins` of exchange time.
    pub fn new(mut recording: Recording, pace: Pace, begins: Nanos) -> Self {
        let first = recording.peek().map_or(Nanos::ZERO, |recorded| recorded.ts);
        let mut replay =
            Self { recording, pace, begins, first, last: begins, due: begins, done: 0 };
        replay.schedule();
        replay
    }

    /// The contracts of the recording.
    pub fn specs(&self) -> &[SymbolSpec] {
        self.recording.specs()
    }

    /// When the next act is due; the end of time behind the last one.
    pub const fn next_due(&self) -> Nanos {
        self.due
    }

    /// Acts done so far.
    pub const fn done(&self) -> u64 {
        self.done
    }

    /// Lets the next act happen in `market`.
    pub fn turn(&mut self, market: &mut SyntheticMarket) {
        let Some(mut recorded) = self.recording.next_act() else { return };
        let due = self.due;
        self.last = due;
        self.done += 1;
        self.schedule();
        if let (Act::Mark(mark), Pace::Times(times)) = (&mut recorded.act, self.pace) {
            mark.next = self.exchange_time(mark.next, times);
        }
        market.replay(due, &recorded);
    }

    fn schedule(&mut self) {
        self.due = match (self.recording.peek(), self.pace) {
            (None, _) => Nanos(i64::MAX),
            (Some(recorded), Pace::Times(times)) => {
                self.exchange_time(recorded.ts, times).max(self.last)
            }
            (Some(_), Pace::AsFastAsPossible) => self.last + FAST_STEP,
        };
    }

    fn exchange_time(&self, recorded: Nanos, times: f64) -> Nanos {
        let since = (recorded - self.first).0;
        let since = if times == 1.0 { since } else { (since as f64 / times) as i64 };
        self.begins + Nanos(since)
    }
}

impl SyntheticMarket {
    /// Lets a recorded act happen.
    pub fn replay(&mut self, now: Nanos, recorded: &Recorded) {
        self.now = self.now.max(now);
        self.with(recorded.contract, |contract, at| contract.replay(at, &recorded.act));
    }
}

impl Contract {
    fn replay(&mut self, at: &mut Moment<'_>, act: &Act) {
        match *act {
            Act::Clear => {
                self.stamp(at);
                for side in [Side::Buy, Side::Sell] {
                    let ticks: Vec<i64> = crowd_ticks(&self.book, side).collect();
                    ticks.into_iter().for_each(|tick| self.book.set_crowd(side, tick, 0));
                }
            }
            Act::Level { side, tick, lots } => self.place(at, side, tick, lots),
            Act::Changed => {
                self.uncross(at);
                self.show(at);
            }
            Act::Quote { bid, ask } => {
                self.quote(at, Side::Buy, bid);
                self.quote(at, Side::Sell, ask);
                self.uncross(at);
                self.show(at);
            }
            Act::Trade { taker, tick, lots } => {
                self.replay_trade(at, taker, tick, lots);
                self.show(at);
            }
            Act::Mark(mark) => self.recorded_mark = Some(mark),
            Act::OpenInterest(lots) => self.open_interest = lots,
        }
    }

    /// The crowd's best level of a side is this: nothing of the crowd stands before it.
    fn quote(&mut self, at: &mut Moment<'_>, side: Side, (tick, lots): (i64, i64)) {
        self.clear_better(at, side, tick);
        self.place(at, side, tick, lots);
    }

    /// Takes the crowd away from where it stands better than `tick`.
    fn clear_better(&mut self, at: &mut Moment<'_>, side: Side, tick: i64) {
        let better = |other: &i64| side.sign() * (other - tick) > 0;
        let levels = crowd_ticks(&self.book, side);
        let stale: Vec<i64> = levels.take_while(better).collect();
        stale.into_iter().for_each(|tick| self.place(at, side, tick, 0));
    }

    fn replay_trade(&mut self, at: &mut Moment<'_>, taker: Side, tick: i64, lots: i64) {
        if lots <= 0 || self.halted {
            return;
        }
        let maker = taker.opposite();
        // The trade tells that the crowd no longer stood better, and that enough stood here.
        self.clear_better(at, maker, tick);
        let crowd = self.book.crowd(maker, tick);
        if crowd < lots {
            self.place(at, maker, tick, lots);
        }
        self.take(at, taker, tick, lots);
    }

    /// Clients' orders that the crowd has moved through are traded with.
    fn uncross(&mut self, at: &mut Moment<'_>) {
        while let (Some(bid), Some(ask)) = (self.book.best(Side::Buy), self.book.best(Side::Sell))
            && bid >= ask
        {
            let bids = self.book.crowd(Side::Buy, bid);
            let asks = self.book.crowd(Side::Sell, ask);
            let bidding = self.book.lots(Side::Buy, bid) - bids;
            let asking = self.book.lots(Side::Sell, ask) - asks;
            if bids > 0 && asking > 0 {
                self.walk_through(at, Side::Buy, bid, ask, bids.min(asking));
            } else if asks > 0 && bidding > 0 {
                self.walk_through(at, Side::Sell, ask, bid, asks.min(bidding));
            } else if bids > 0 && asks > 0 {
                // Two of the crowd's levels cross: the thinner one is stale.
                let (side, tick) = if bids < asks { (Side::Buy, bid) } else { (Side::Sell, ask) };
                self.place(at, side, tick, 0);
            } else {
                unreachable!("clients' orders that cross have traded when the later one came");
            }
        }
    }

    /// The crowd's level `own` of `side` trades `lots` with the client at `tick`.
    fn walk_through(&mut self, at: &mut Moment<'_>, side: Side, own: i64, tick: i64, lots: i64) {
        if self.halted {
            // Nobody trades: the crowd's level gives way until its next recorded change.
            return self.place(at, side, own, 0);
        }
        // The crowd's stale lots at the client's price do not stand between them.
        self.place(at, side.opposite(), tick, 0);
        if lots > 0 {
            let order = Taker {
                owner: Owner::CROWD,
                side,
                limit: Some(tick),
                lots,
                self_trade: SelfTrade::Allow,
            };
            let (_, fills) = self.take_as(at, &order);
            self.fills.extend(fills);
        }
        let left = self.book.crowd(side, own) - lots;
        self.place(at, side, own, left);
    }

    /// Mark price as recorded, or the middle of the book; false while neither is known.
    pub(super) fn price_as_recorded(&mut self, now: Nanos) -> bool {
        let top = self.book.top();
        let next = self.spec.next_funding(now);
        self.mark = match self.recorded_mark {
            Some(mark) if mark.next > now => mark,
            Some(mark) => Mark { next, ..mark },
            None if top.bid.1 > 0 && top.ask.1 > 0 => {
                let middle = (top.bid.0 + top.ask.0) * self.spec.tick_size.0 / 2;
                let rate = self.mark.rate;
                Mark { mark: middle, settle: middle, index: middle, rate, next }
            }
            None => return false,
        };
        Px(self.mark.mark).is_positive()
    }
}

/// Ticks of a side where the crowd stands, from the best.
fn crowd_ticks(book: &Book, side: Side) -> impl Iterator<Item = i64> + '_ {
    let levels: Box<dyn Iterator<Item = (i64, i64)> + '_> = match side {
        Side::Buy => Box::new(book.bids()),
        Side::Sell => Box::new(book.asks()),
    };
    levels.map(|(tick, _)| tick).filter(move |&tick| book.crowd(side, tick) > 0)
}
