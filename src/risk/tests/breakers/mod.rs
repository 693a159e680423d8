//! Breakers at their edges, over a gate and its ledger: each level at its limit and a unit inside,
//! what it leaves open, how it comes back, and that every key of the table bites.

mod edges;
mod keys;
mod records;
mod restart;
mod seal;
mod sleep;

use super::*;
use crate::base::event::{
    BookTicker, Breaker, Measured, NoDecision, Prediction, SizeChange, Timer, VenueStatus, flags,
};
use crate::base::settings::BreakerSettings;
use crate::base::{Control, Level, Measure};

/// Money limits far away, so that one control can be looked at alone; the others as they are.
pub(super) fn alone() -> BreakerSettings {
    BreakerSettings {
        day_loss_warn_bps: 9_997,
        day_loss_halt_bps: 9_998,
        day_loss_kill_bps: 9_999,
        drawdown_reduce_bps: 9_998,
        drawdown_halt_bps: 9_999,
        losses_half: 1_000,
        losses_quarter: 2_000,
        losses_halt: 3_000,
        ..BreakerSettings::default()
    }
}

/// A desk whose breakers have these levels.
pub(super) fn desk(settings: &BreakerSettings) -> Desk {
    let mut risk = generous();
    risk.daily_loss_max = Some(Money::whole(900_000));
    risk.drawdown_bps_max = Some(10_000);
    risk.losses_in_a_row_max = Some(1_000_000);
    let mut desk = Desk::new(&risk);
    desk.gate = desk.gate.with_breakers(settings, &risk);
    desk
}

impl Desk {
    /// What the stage does after each event: the records, and the state they lead to.
    pub(super) fn settle(&mut self) -> Vec<Event> {
        let cause = self.cause();
        let mut records = Vec::new();
        while let Some(record) = self.gate.breaker_record(&cause) {
            records.push(record);
        }
        let _ = self.gate.break_on(&cause, &self.ledger);
        let _ = self.gate.relax(&cause);
        records
    }

    /// Time passes, with the timers that tell it.
    pub(super) fn wait(&mut self, ms: i64) -> Vec<Event> {
        let end = self.now + Nanos::from_millis(ms);
        let mut records = Vec::new();
        while self.now < end {
            self.now = (self.now + Nanos::from_millis(100)).min(end);
            self.show(Event::new(Kind::Timer, InstrumentId::NONE, &Timer::default()));
            records.extend(self.settle());
        }
        records
    }

    /// A quote.
    pub(super) fn tick(&mut self, bid: &str, ask: &str) {
        let body = BookTicker { bid_px: px(bid).0, ask_px: px(ask).0, ..BookTicker::default() };
        let mut event = Event::new(Kind::BookTicker, BTC, &body);
        event.ts_venue = self.now.0;
        self.show(event);
        self.settle();
    }

    /// Quotes and time, as a market that goes on.
    pub(super) fn quiet(&mut self, ms: i64) {
        let end = self.now + Nanos::from_millis(ms);
        while self.now < end {
            for id in [BTC, ETH] {
                self.ledger.on_touch(id, px("99.9"), px("100.1"), self.now);
            }
            self.tick("99.9", "100.1");
            self.wait(100);
        }
    }

    /// The model answers.
    pub(super) fn predict(&mut self, up: f32, features_hash: u64, atr: &str) {
        let body = Prediction {
            probability: [1.0 - up, 0.0, up],
            features_hash,
            atr_px: px(atr).0,
            bid_px: px("99.9").0,
            ask_px: px("100.1").0,
            ..Prediction::default()
        };
        self.show(Event::new(Kind::Prediction, BTC, &body));
        self.settle();
    }

    /// Something is measured.
    pub(super) fn measure(&mut self, measure: Measure, value: i64) {
        let body = Measured { measure: measure as u16, value, ..Measured::default() };
        self.show(Event::new(Kind::Measured, InstrumentId::NONE, &body));
        self.settle();
    }

    /// The venue refuses, or takes, the next order of ours.
    pub(super) fn answer(&mut self, refused: Option<Reason>) {
        self.now = self.now + Nanos::from_millis(20);
        let client_id = self.passes(&Wanted { qty: qty("0.5"), ..exit() });
        let reason = refused.unwrap_or(Reason::None) as u16;
        let body = OrderReport { client_id, reason, ..OrderReport::default() };
        let kind = if refused.is_some() { Kind::OrderRejected } else { Kind::OrderAccepted };
        self.hear(kind, BTC, &body);
        self.settle();
        self.end_orders();
        self.settle();
    }

    /// A round trip of ETH with this result.
    pub(super) fn round_trip(&mut self, close: &str) {
        self.hold(ETH, Side::Buy, qty("1"), px("100"));
        self.hold(ETH, Side::Sell, qty("1"), px(close));
        self.settle();
    }

    /// An entry is approved and filled at `at`, with this fee.
    pub(super) fn fill_entry(&mut self, at: &str, fee: &str) {
        let client_id = self.passes(&entry());
        let body = OrderReport {
            client_id,
            trade_id: client_id,
            last_qty: qty("1").0,
            cum_qty: qty("1").0,
            last_px: px(at).0,
            fee: money(fee).0,
            ..OrderReport::default()
        };
        self.hear(Kind::OrderFilled, BTC, &body);
        self.settle();
    }

    pub(super) fn level(&self, control: Control) -> Level {
        self.gate.breaker_level(control)
    }

    /// A person's word.
    pub(super) fn command(&mut self, verb: Verb) {
        let body = Command { verb: verb as u32, actor: 1_000, ..Command::default() };
        let mut event = Event::new(Kind::Command, InstrumentId::NONE, &body);
        event.ts_recv = self.now.0;
        let _ = self.gate.on_command(&event, &mut self.ledger);
        self.settle();
    }
}

/// The levels that records tell of a control, in order.
pub(super) fn told(records: &[Event], control: Control) -> Vec<(Level, bool)> {
    let breakers = records.iter().filter(|event| event.kind() == Some(Kind::Breaker));
    breakers
        .filter(|event| event.body::<Breaker>().control == control as u16)
        .map(|event| {
            let to = Level::from_u8(event.body::<Breaker>().to).unwrap();
            (to, event.has(flags::ON))
        })
        .collect()
}
