//! An independent copy of what happened (RC-30): the venue's own lists of trades and income against
//! the fills and payments that stand in the journal.
//!
//! ```text
//!   the river ── fills, funding ──► heard ─┐  of one span of time, (since, until]
//!   the venue ── trades, income ──► told ──┴─► quantity, value, fees    per contract, exact
//!                                              funding, fees, profit    to a tick times a lot
//! ```
//! The sums share no code with the ledger: profit here is value against mean entry price, and the
//! venue's is its own. A difference has to stand in [`ATTEMPTS`] readings before it is told: lists
//! may be behind what the stream told.

use super::ask::{Ask, Income, IncomeSort, Seen, Trade};
use crate::base::event::{FundingPayment, OrderReport, PositionCarried, VenueStatus, flags};
use crate::base::ring::queue;
use crate::base::settings::InstrumentSettings;
use crate::base::units::SCALE;
use crate::base::{Event, InstrumentId, Kind, Nanos, Reason, Side, Symbol};
use crate::execution::reconcile::PAGE_ROWS;
use crate::ledger::{FillMemory, Payment, PaymentMemory};
use std::collections::VecDeque;

/// Fills and payments heard since the last comparison. Twice a thousand an hour, and four times.
const HEARD_MAX: usize = 8_192;
/// Readings that must differ before it is told.
const ATTEMPTS: u32 = 3;
/// Time between them.
const AGAIN: Nanos = Nanos::from_secs(5);
/// The same at the end of a session.
const SOON: Nanos = Nanos::from_millis(500);
/// What the venue's lists may be behind by: a span ends so long ago.
const LAG: Nanos = Nanos::from_secs(10);

/// Which sum differs, as told in `venue_code`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Figure {
    /// Signed quantity traded.
    Quantity = 1,
    /// Signed value traded.
    Value = 2,
    /// Fees by the list of trades.
    Fees = 3,
    /// Fees by the list of income.
    FeesOfIncome = 4,
    /// Funding.
    Funding = 5,
    /// Profit of what was closed.
    Realised = 6,
}

/// A fill or a payment as the river told it.
#[derive(Clone, Copy, Debug)]
struct Heard {
    instrument: usize,
    /// 0 for a payment.
    trade_id: u64,
    ts: Nanos,
    qty: i128,
    value: i128,
    fee: i128,
    realised: i128,
    funding: i128,
}

/// A position by mean entry price: cost of what is held.
#[derive(Clone, Copy, Debug, Default)]
struct Held {
    qty: i128,
    cost: i128,
}

impl Held {
    /// Takes a trade in; the profit of what it closed.
    fn trade(&mut self, qty: i128, px: i128) -> i128 {
        let value = |qty: i128| qty * px / i128::from(SCALE);
        let closes = self.qty.signum() == -qty.signum();
        let closed = if closes { qty.abs().min(self.qty.abs()) } else { 0 };
        let mut realised = 0;
        if closed > 0 {
            let share = self.cost * closed / self.qty.abs();
            realised = value(closed * self.qty.signum()) - share;
            self.cost -= share;
            self.qty += closed * qty.signum();
        }
        let opened = (qty.abs() - closed) * qty.signum();
        self.qty += opened;
        self.cost += value(opened);
        realised
    }
}

/// What is done at the moment.
#[derive(Debug)]
enum Phase {
    Idle,
    /// Lists of the span up to `until` are being read.
    Reading {
        until: Nanos,
        income: Vec<Income>,
        trades: Vec<Vec<Trade>>,
        place: usize,
    },
}

/// See the head of this file.
#[derive(Debug)]
pub struct DropCopy {
    every: Nanos,
    symbols: Vec<Symbol>,
    /// A tick times a lot of each contract, 1e-8.
    grain: Vec<i64>,
    held: Vec<Held>,
    heard: VecDeque<Heard>,
    /// Trades that were taken in.
    fills: FillMemory,
    /// Payments that were.
    payments: PaymentMemory,
    /// Something heard had no room: the span cannot be compared.
    lost: bool,
    since: Option<Nanos>,
    due: Nanos,
    failures: u32,
    unequal: u32,
    phase: Phase,
    /// The session ends: this is the last comparison, up to this time.
    last: Option<Nanos>,
    /// Told that it could not be made.
    unread: bool,
}

impl DropCopy {
    /// For the session's instruments, in table order; `every` zero is never.
    pub fn new(instruments: &[InstrumentSettings], every: Nanos) -> Self {
        let grain = |facts: &InstrumentSettings| {
            let grain = i128::from(facts.tick_size.0) * i128::from(facts.lot_size.0);
            i64::try_from(grain / i128::from(SCALE)).unwrap_or(i64::MAX).max(1)
        };
        let on = every > Nanos::ZERO;
        Self {
            every,
            symbols: instruments.iter().map(|facts| facts.symbol).collect(),
            grain: instruments.iter().map(grain).collect(),
            held: vec![Held::default(); instruments.len()],
            heard: queue(if on { HEARD_MAX } else { 0 }),
            fills: FillMemory::new(),
            payments: PaymentMemory::new(),
            lost: false,
            since: None,
            due: Nanos(i64::MAX),
            failures: 0,
            unequal: 0,
            phase: Phase::Idle,
            last: None,
            unread: false,
        }
    }

    /// True when the last comparison has been made, or none is wanted.
    pub fn has_ended(&self) -> bool {
        self.since.is_none_or(|since| self.last.is_some_and(|last| since >= last))
    }

    /// The session ends at `now`: what happened up to here is compared now.
    pub fn finish(&mut self, now: Nanos) {
        if self.last.is_none() && self.since.is_some() {
            self.last = Some(millis(now));
            (self.due, self.unequal, self.phase) = (now, 0, Phase::Idle);
        }
    }

    /// Hears a numbered input.
    pub fn hear(&mut self, event: &Event) {
        if self.every == Nanos::ZERO {
            return;
        }
        match event.kind() {
            Some(Kind::SessionStart) if self.since.is_none() => {
                self.since = Some(millis(event.now()));
                self.due = event.now() + self.every;
            }
            Some(Kind::BookedCarried) => self.fills.carry(event),
            Some(Kind::PositionCarried) => {
                self.fills.carry(event);
                let body: &PositionCarried = event.body();
                if let Some(held) = self.held.get_mut(event.instrument().index()) {
                    *held = Held { qty: body.qty.into(), cost: body.cost.into() };
                }
            }
            Some(Kind::OrderFilled) => self.hear_fill(event),
            Some(Kind::FundingPayment) if self.payments.is_new(Payment::of(event)) => {
                let body: &FundingPayment = event.body();
                let instrument = event.instrument().index();
                let (ts, funding) = (Nanos(event.ts_venue), i128::from(body.amount));
                let empty = (0, 0, 0, 0);
                self.keep(instrument, 0, ts, empty, funding);
            }
            _ => {}
        }
    }

    fn hear_fill(&mut self, event: &Event) {
        let body: &OrderReport = event.body();
        let instrument = event.instrument().index();
        let (id, ts) = (body.trade_id, Nanos(event.ts_venue));
        if !self.fills.is_new(event.instrument(), id) {
            return;
        }
        let sign = if event.side() == Side::Buy { 1 } else { -1 };
        let (qty, px) = (i128::from(body.last_qty) * sign, i128::from(body.last_px));
        let Some(held) = self.held.get_mut(instrument) else { return };
        let realised = held.trade(qty, px);
        let sums = (qty, qty * px / i128::from(SCALE), i128::from(body.fee), realised);
        self.keep(instrument, id, ts, sums, 0);
    }

    fn keep(
        &mut self,
        instrument: usize,
        trade_id: u64,
        ts: Nanos,
        (qty, value, fee, realised): (i128, i128, i128, i128),
        funding: i128,
    ) {
        if self.heard.len() >= HEARD_MAX {
            // Without room for it the span is not compared; the next one begins with it.
            (self.lost, self.due) = (true, self.due.min(ts));
            return;
        }
        self.heard.push_back(Heard {
            instrument,
            trade_id,
            ts,
            qty,
            value,
            fee,
            realised,
            funding,
        });
        if self.heard.len() == HEARD_MAX / 2 {
            self.due = self.due.min(ts + LAG);
        }
    }

    /// What to ask at `now`; `calm` says that nothing of the account is being searched for.
    pub fn question(&mut self, now: Nanos, calm: bool) -> Option<Ask> {
        let since = self.since?;
        if let Phase::Idle = self.phase {
            if now < self.due || !(calm || self.last.is_some()) {
                return None;
            }
            let until = self.last.unwrap_or_else(|| millis(now - LAG));
            if until <= since {
                return None;
            }
            let trades = vec![Vec::new(); self.symbols.len()];
            self.phase = Phase::Reading { until, income: Vec::new(), trades, place: 0 };
            return Some(Ask::Income { since: after(since), until });
        }
        self.next_question(since)
    }

    fn next_question(&mut self, since: Nanos) -> Option<Ask> {
        let Phase::Reading { until, income, trades, place } = &mut self.phase else { return None };
        let until = *until;
        if *place == 0 {
            let since = income.last().map_or(after(since), |last| last.ts);
            return Some(Ask::Income { since, until });
        }
        let index = *place - 1;
        let symbol = *self.symbols.get(index)?;
        let since = trades[index].last().map_or(after(since), |last| last.ts);
        Some(Ask::Trades { symbol, since, until })
    }

    /// The venue's answer; `None` for one that failed. What follows for the river.
    pub fn on_answer(&mut self, seen: Option<&Seen>, now: Nanos, out: &mut VecDeque<Event>) {
        let Some(since) = self.since else { return };
        let Phase::Reading { income, trades, place, .. } = &mut self.phase else { return };
        let more = match (seen, *place) {
            (Some(Seen::Income(rows)), 0) => {
                // Rows come in the order of time, and a page begins with the last one's.
                let known = |row: &Income| {
                    income.iter().rev().take_while(|own| own.ts >= row.ts).any(|own| own == row)
                };
                let fresh: Vec<Income> = rows.iter().filter(|row| !known(row)).copied().collect();
                income.extend(&fresh);
                rows.len() >= PAGE_ROWS && !fresh.is_empty()
            }
            (Some(Seen::Trades(rows)), place) if place > 0 => {
                let own = &mut trades[place - 1];
                let newest = own.last().map_or(0, |last| last.id);
                let before = own.len();
                own.extend(rows.iter().filter(|row| row.id > newest));
                rows.len() >= PAGE_ROWS && own.len() > before
            }
            _ => return self.fail(now, out),
        };
        if more {
            return;
        }
        *place += 1;
        // Only contracts in which something happened, by either side, are asked for.
        while *place <= self.symbols.len() {
            let (index, symbol) = (*place - 1, self.symbols[*place - 1]);
            let heard = self.heard.iter().any(|h| h.instrument == index && h.trade_id != 0);
            if heard || income.iter().any(|row| row.symbol == Some(symbol)) {
                return;
            }
            *place += 1;
        }
        self.compare(since, now, out);
    }

    fn fail(&mut self, now: Nanos, out: &mut VecDeque<Event>) {
        self.phase = Phase::Idle;
        self.failures += 1;
        self.due = now + AGAIN;
        if self.failures >= ATTEMPTS && !std::mem::replace(&mut self.unread, true) {
            out.push_back(status(InstrumentId::NONE, Reason::DropCopyUnread, 0, 0, 0));
        }
    }

    fn compare(&mut self, since: Nanos, now: Nanos, out: &mut VecDeque<Event>) {
        let Phase::Reading { until, income, trades, .. } =
            std::mem::replace(&mut self.phase, Phase::Idle)
        else {
            return;
        };
        self.failures = 0;
        self.due = now + self.every;
        if std::mem::take(&mut self.lost) {
            out.push_back(status(InstrumentId::NONE, Reason::DropCopyUnread, 0, 0, 0));
            (self.unread, self.since) = (true, Some(millis(now)));
            self.heard.clear();
            return;
        }
        let found = self.differences(since, until, &income, &trades);
        self.unequal += 1;
        if !found.is_empty() && self.unequal < ATTEMPTS {
            self.due = now + if self.last.is_some() { SOON } else { AGAIN };
            return;
        }
        if found.is_empty() {
            let told = count(trades.iter().map(Vec::len).sum());
            let rows = count(income.len());
            out.push_back(status(InstrumentId::NONE, Reason::DropCopyAgrees, 0, told, rows));
        }
        out.extend(found);
        if std::mem::take(&mut self.unread) {
            let over = status(InstrumentId::NONE, Reason::DropCopyUnread, 0, 0, 0);
            out.push_back(over.with_flags(flags::ON));
        }
        self.heard.retain(|heard| millis(heard.ts) > until);
        (self.since, self.unequal) = (Some(until), 0);
    }

    fn differences(
        &self,
        since: Nanos,
        until: Nanos,
        income: &[Income],
        trades: &[Vec<Trade>],
    ) -> Vec<Event> {
        let heard = || self.heard.iter().filter(|h| h.ts > since && millis(h.ts) <= until);
        let mut found = Vec::new();
        let mut compare = |place: usize, figure: Figure, told: i128, held: i128, most: i64| {
            if (told - held).abs() > i128::from(most) {
                let instrument = u16::try_from(place).map_or(InstrumentId::NONE, InstrumentId);
                let (told, held) = (cut(told), cut(held));
                found.push(status(instrument, Reason::DropCopyDiffers, figure as i32, told, held));
            }
        };
        for (place, (rows, grain)) in trades.iter().zip(&self.grain).enumerate() {
            let own = || heard().filter(|h| h.instrument == place);
            let sum = |part: fn(&Heard) -> i128| own().map(part).sum::<i128>();
            let told = |part: &dyn Fn(&Trade) -> i128| rows.iter().map(part).sum::<i128>();
            let value = |t: &Trade| i128::from(t.qty.0) * i128::from(t.px.0) / i128::from(SCALE);
            compare(place, Figure::Quantity, told(&|t| t.qty.0.into()), sum(|h| h.qty), 0);
            compare(place, Figure::Value, told(&value), sum(|h| h.value), *grain);
            compare(place, Figure::Fees, told(&|t| t.fee.0.into()), sum(|h| h.fee), *grain);
            let symbol = self.symbols[place];
            let earned = |sort: IncomeSort| -> i128 {
                let rows = income.iter().filter(|r| r.sort == sort && r.symbol == Some(symbol));
                rows.map(|row| i128::from(row.amount.0)).sum()
            };
            compare(place, Figure::FeesOfIncome, -earned(IncomeSort::Fee), sum(|h| h.fee), *grain);
            let realised = earned(IncomeSort::Realised);
            compare(place, Figure::Realised, realised, sum(|h| h.realised), *grain);
        }
        // Funding without a symbol is booked on the first contract: it is compared as one sum.
        let funding = income.iter().filter(|row| row.sort == IncomeSort::Funding);
        let funding = funding.map(|row| i128::from(row.amount.0)).sum();
        let grain = self.grain.iter().copied().max().unwrap_or(1);
        let own = heard().map(|h| h.funding).sum();
        compare(usize::MAX, Figure::Funding, funding, own, grain);
        found
    }
}

/// The first millisecond after a time that was compared already.
fn after(since: Nanos) -> Nanos {
    Nanos::from_millis(since.to_millis() + 1)
}

fn millis(ts: Nanos) -> Nanos {
    Nanos::from_millis(ts.to_millis())
}

fn cut(value: i128) -> i64 {
    i64::try_from(value).unwrap_or(if value > 0 { i64::MAX } else { i64::MIN })
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn status(instrument: InstrumentId, reason: Reason, code: i32, told: i64, held: i64) -> Event {
    let reason = reason as u16;
    let body = VenueStatus { reason, venue_code: code, told, held, ..VenueStatus::default() };
    Event::new(Kind::VenueStatus, instrument, &body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Money, Px, Qty, Rate};

    #[test]
    fn the_last_comparison_ends_the_copy_also_within_a_millisecond() {
        let facts = InstrumentSettings {
            symbol: Symbol::new(b"BTCUSDT").unwrap(),
            tick_size: Px(10_000_000),
            lot_size: Qty(100_000),
            min_qty: Qty(100_000),
            max_qty: Qty::whole(100),
            min_notional: Money::whole(5),
            maker_fee: Rate(20_000),
            taker_fee: Rate(50_000),
        };
        let mut copy = DropCopy::new(&[facts], Nanos::from_secs(3_600));
        let start = Event { ts_recv: 1_000_000_123, ..Event::EMPTY };
        copy.hear(&Event { kind: Kind::SessionStart as u8, ..start });
        assert!(!copy.has_ended(), "a last comparison is wanted");
        let now = Nanos(20_000_000_456);
        copy.finish(now);
        let mut out = VecDeque::new();
        assert!(matches!(copy.question(now, true), Some(Ask::Income { .. })));
        copy.on_answer(Some(&Seen::Income(Vec::new())), now, &mut out);
        assert!(copy.has_ended());
        assert_eq!(out.len(), 1, "it agrees");
    }
}
