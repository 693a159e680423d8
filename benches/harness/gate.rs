//! The gate alone: an entry is judged by every check, with a position and twenty working orders on
//! the book, every limit set, breakers and the watch in force as in a session.

use super::pipeline::{Trading, parts};
use super::{Bench, histogram, record_nanos};
use hdrhistogram::Histogram;
use peregrine::base::event::{
    AccountStatus, BookTicker, Command, Event, Kind, MarginStatus, MarkPrice, Order, OrderReport,
    Timer,
};
use peregrine::base::settings::Settings;
use peregrine::base::{
    InstrumentId, Money, Nanos, OrderType, Purpose, Px, Qty, Reason, Side, TimeInForce,
};
use peregrine::exchange::spec::SymbolSpec;
use peregrine::ledger::Ledger;
use peregrine::policy::{Intent, Plan, Wanted};
use peregrine::risk::{Check, Gate, GateSession, Trading as TradingControl, Verdict};
use std::hint::black_box;

const BTC: InstrumentId = InstrumentId(0);
const BID: i64 = 6_180_020_000_000;
const ASK: i64 = 6_180_030_000_000;
const TICK: i64 = 10_000_000;
/// A thousandth.
const LOT: i64 = 100_000;
/// Working orders on the book.
pub const WORKING: i64 = 20;
/// Entries that differ in their quantity, each within the limit of an order.
const KINDS: i64 = 12;
const STEP: Nanos = Nanos::from_millis(20);
/// Within it an entry is not made twice: nearly the time until the same quantity comes again.
const WINDOW_MS: u32 = 220;
/// Orders in ten seconds: some more than there are, one every [`STEP`].
const ORDERS_PER_10S: u32 = 600;
/// More than are made in all rounds.
const ENTRIES_PER_DAY: u32 = 10_000_000;
/// Lots held.
const HELD: i64 = 1;

/// See the head of this file.
pub struct GateDesk {
    gate: Gate,
    ledger: Ledger,
    settings: Settings,
    now: Nanos,
    seq: u64,
    /// What each judgement took.
    pub times: Histogram<u64>,
}

impl GateDesk {
    /// Armed, with the working orders resting on both sides.
    pub fn new() -> Self {
        let instruments = [SymbolSpec::btcusdt().instrument()];
        let mut settings = parts(&instruments, Trading::Eager).settings;
        settings.risk.duplicate_window_ms = Some(WINDOW_MS);
        settings.risk.orders_per_10s_max = Some(ORDERS_PER_10S);
        settings.risk.entries_per_day_max = Some(ENTRIES_PER_DAY);
        let session = GateSession { epoch: 1, strategy: 1, model: 1, mode: settings.mode };
        let gate = Gate::new(&settings.risk, &instruments, session, TradingControl::new())
            .expect("the numbers fit an order id")
            .with_breakers(&settings.breakers, &settings.risk)
            .with_watch(&settings.watch, false);
        let equity = settings.risk.starting_equity.unwrap_or(Money::ZERO);
        let now = Nanos::from_secs(1_700_000_000);
        let ledger = Ledger::new(1, equity);
        let mut desk = Self { gate, ledger, settings, now, seq: 0, times: histogram() };
        desk.market();
        let account = AccountStatus { equity: equity.0, ..AccountStatus::default() };
        desk.told(Kind::AccountStatus, InstrumentId::NONE, &account);
        let arm = Command { verb: 4, actor: 1_000, ..Command::default() };
        let arm = desk.told(Kind::Command, InstrumentId::NONE, &arm);
        let _ = desk.gate.on_command(&arm, &mut desk.ledger);
        let _ = desk.gate.on_reconciled(&arm).expect("an armed gate becomes active");
        desk.hold();
        for i in 0..WORKING {
            desk.rest(i);
        }
        desk
    }

    /// A position, with its margin as the venue tells it.
    fn hold(&mut self) {
        self.market();
        let order = self.admit(&entry(HELD)).expect("the book is empty");
        let (last_px, last_qty) = (order.px, order.qty);
        let filled = OrderReport {
            client_id: order.client_id,
            trade_id: 1,
            last_px,
            last_qty,
            cum_qty: last_qty,
            fee: last_px / 1_000 / 2_000,
            ..OrderReport::default()
        };
        self.told(Kind::OrderFilled, BTC, &filled);
        let (liquidation_px, mark_px) = (BID / 2, BID);
        let margin = MarginStatus {
            qty: last_qty,
            liquidation_px,
            computed_px: liquidation_px,
            mark_px,
            ..MarginStatus::default()
        };
        self.told(Kind::MarginStatus, BTC, &margin);
        let held = self.ledger.position(BTC).expect("it is in the table");
        assert_eq!((held.qty.0, self.ledger.orders().len()), (HELD * LOT, 0));
    }

    fn told<B: zerocopy::IntoBytes + zerocopy::Immutable + peregrine::base::event::Body>(
        &mut self,
        kind: Kind,
        instrument: InstrumentId,
        body: &B,
    ) -> Event {
        self.seq += 1;
        let mut event = Event::new(kind, instrument, body);
        (event.seq, event.ts_recv, event.ts_venue) = (self.seq, self.now.0, self.now.0);
        let change = self.ledger.on_event(&event);
        self.gate.on_event(&event, change, &self.ledger);
        self.gate.observe(&event, change, &self.ledger);
        let _ = self.gate.on_watched(&event, &self.ledger);
        event
    }

    /// Time passes, and the market stands.
    fn market(&mut self) {
        self.now = self.now + STEP;
        let mark = MarkPrice { mark_px: BID, index_px: BID, ..MarkPrice::default() };
        self.told(Kind::MarkPrice, BTC, &mark);
        self.told(Kind::Timer, InstrumentId::NONE, &Timer::default());
        let (bid_qty, ask_qty) = (100_000_000, 100_000_000);
        let touch = BookTicker { bid_px: BID, bid_qty, ask_px: ASK, ask_qty, ..Default::default() };
        self.told(Kind::BookTicker, BTC, &touch);
    }

    /// A resting order, ten ticks and more away from the touch.
    fn rest(&mut self, i: i64) {
        self.market();
        let (side, px) = match i % 2 {
            0 => (Side::Buy, BID - (10 + i) * TICK),
            _ => (Side::Sell, ASK + (10 + i) * TICK),
        };
        let wanted = Wanted { side, px: Px(px), time_in_force: TimeInForce::Gtx, ..entry(1) };
        let order = self.admit(&wanted).expect("there is room on the book");
        let accepted = OrderReport { client_id: order.client_id, ..OrderReport::default() };
        self.told(Kind::OrderAccepted, BTC, &accepted);
    }

    fn admit(&mut self, wanted: &Wanted) -> Result<Order, Reason> {
        self.seq += 1;
        let cause = Event {
            instrument: BTC.0,
            seq: self.seq,
            ts_recv: self.now.0,
            ts_venue: self.now.0,
            ..Event::EMPTY
        };
        let verdict = self.gate.admit(&cause, &Intent::Enter(*wanted), &mut self.ledger);
        match verdict.expect("something was wanted") {
            Verdict::Approved(approved) => Ok(*approved.event().body::<Order>()),
            Verdict::Denied(denied) => {
                let body: &peregrine::base::event::Denied = denied.body();
                Err(Reason::from_u16(body.reason).unwrap_or(Reason::None))
            }
        }
    }

    /// An entry that is judged, approved, and gone again.
    pub fn cycle(&mut self, bench: &Bench) {
        self.market();
        let wanted = entry(1 + self.now.0 / STEP.0 % KINDS);
        self.seq += 1;
        let mut cause = Event { instrument: BTC.0, seq: self.seq, ..Event::EMPTY };
        (cause.ts_recv, cause.ts_venue) = (self.now.0, self.now.0);
        let intent = Intent::Enter(wanted);
        let start = bench.clock.stamp();
        let verdict = black_box(self.gate.admit(&cause, &intent, &mut self.ledger));
        record_nanos(&mut self.times, bench.since(start));
        let Some(Verdict::Approved(approved)) = verdict else { panic!("{verdict:?}") };
        let client_id = approved.event().body::<Order>().client_id;
        let gone = OrderReport { client_id, ..OrderReport::default() };
        self.told(Kind::OrderExpired, BTC, &gone);
    }

    /// The answers are right: an order's record carries its own numbers and a value computed here,
    /// every check is made, and one lot more than a limit allows is denied for that limit.
    pub fn check(&mut self) {
        self.market();
        let made = |desk: &Self| Check::ALL.map(|check| desk.gate.count(check).evaluated);
        let before = made(self);
        let order = self.admit(&entry(3)).expect("it is within every limit");
        // 0.003 at the ask: 18.540 09, in units of 1e-8.
        let value = 3 * (ASK / 1_000);
        assert_eq!((order.px, order.qty, order.notional), (ASK, 3 * LOT, value), "{order:?}");
        let after = made(self);
        assert!(before.iter().zip(after).all(|(before, after)| after == before + 1));
        assert_eq!(self.ledger.orders().len() as i64, WORKING + 1);
        self.gone(order.client_id);

        let risk = self.settings.risk.clone();
        let lots = |most: Option<Money>| most.expect("it is set").0 / (ASK / 1_000);
        // What is held counts, and one side of the working orders may fill as well: ten lots of it.
        let most = lots(risk.position_notional_max) - HELD - WORKING / 2;
        let largest = lots(risk.order_notional_max);
        let fits = most.min(largest);
        self.market();
        let order = self.admit(&entry(fits)).expect("it is the largest that fits");
        self.gone(order.client_id);
        self.market();
        let reason = if most < largest { Reason::MaxPosition } else { Reason::MaxOrderNotional };
        assert_eq!(self.admit(&entry(fits + 1)).map(|order| order.qty), Err(reason));
        // Longer than an entry counts as made.
        self.now = self.now + Nanos::from_millis(2 * i64::from(WINDOW_MS));
        println!("checked: {fits} lots pass, one more is denied by {reason:?}");
    }

    fn gone(&mut self, client_id: u64) {
        let gone = OrderReport { client_id, ..OrderReport::default() };
        self.told(Kind::OrderExpired, BTC, &gone);
    }

    /// Every judgement approved, every check made for each of them, and the book as it was.
    pub fn check_after(&self, cycles: u64) {
        assert_eq!(self.times.len(), cycles);
        assert_eq!(self.ledger.orders().len() as i64, WORKING);
        let made = Check::ALL.map(|check| self.gate.count(check).evaluated);
        assert!(made.iter().all(|&made| made >= cycles), "{made:?}");
    }
}

/// A buy of some lots at the ask.
fn entry(lots: i64) -> Wanted {
    Wanted {
        instrument: BTC,
        side: Side::Buy,
        qty: Qty(lots * LOT),
        px: Px(ASK),
        order_type: OrderType::Limit,
        time_in_force: TimeInForce::Ioc,
        purpose: Purpose::Entry,
        reference_px: Px(ASK),
        model_tag: 7,
        plan: Plan::default(),
    }
}
