//! From a prediction to signed order bytes: ledger, policy, gate, request. Every cycle enters on
//! one prediction, is filled, leaves on the next and is filled again.

use super::pipeline::{Trading, parts};
use super::{Bench, histogram, record_nanos};
use hdrhistogram::Histogram;
use hmac::{Hmac, KeyInit, Mac};
use peregrine::base::event::{
    BookTicker, Command, Event, Kind, Order, OrderReport, Prediction, flags,
};
use peregrine::base::hop::Stamp;
use peregrine::base::{InstrumentId, Money, Nanos, Px, Qty};
use peregrine::exchange::spec::SymbolSpec;
use peregrine::execution::{Execution, Signer};
use peregrine::journal::Recorder;
use peregrine::ledger::{Ledger, LedgerChange};
use peregrine::policy::{Intent, Policy, Rules};
use peregrine::risk::{Approved, Gate, GateSession, Trading as TradingControl, Verdict};
use std::hint::black_box;

const BTC: InstrumentId = InstrumentId(0);
const KEY: &[u8] = b"bench";
const BID: i64 = 6_180_020_000_000;
const ASK: i64 = 6_180_030_000_000;
/// The same entry may be made 32 times a minute: one in two of these.
const STEP: Nanos = Nanos::from_secs(1);

/// One timed step.
#[derive(Clone, Copy)]
pub enum Part {
    /// The ledger takes a best bid and offer.
    LedgerTicker,
    /// The policy decides.
    Policy,
    /// The gate judges an entry.
    Gate,
    /// The gate judges an exit.
    GateExit,
    /// The request is written and signed.
    Send,
    /// The ledger takes a fill.
    LedgerFill,
}

/// Every step: its figure's name and what it is.
pub const PARTS: [(Part, &str, &str); 6] = [
    (Part::LedgerTicker, "ledger_ticker", "ledger takes a best bid and offer"),
    (Part::Policy, "policy", "policy decides on a prediction"),
    (Part::Gate, "gate", "gate judges and approves an entry"),
    (Part::GateExit, "gate_exit", "gate judges and approves an exit"),
    (Part::Send, "send", "request written and signed, order tracked"),
    (Part::LedgerFill, "ledger_fill", "ledger takes a fill"),
];

/// Everything between a prediction and the order's bytes.
pub struct Desk<'b> {
    bench: &'b Bench,
    ledger: Ledger,
    policy: Policy,
    gate: Gate,
    execution: Execution,
    recorder: Recorder,
    now: Nanos,
    seq: u64,
    trade_id: u64,
    /// Times by [`Part`].
    pub times: Vec<Histogram<u64>>,
    /// Bytes of the newest request.
    request: Vec<u8>,
}

impl<'b> Desk<'b> {
    /// Armed and flat.
    pub fn new(bench: &'b Bench) -> Self {
        let instruments = [SymbolSpec::btcusdt().instrument()];
        let settings = parts(&instruments, Trading::Eager).settings;
        let mode = settings.mode;
        let session = GateSession { epoch: 1, strategy: 1, model: 1, mode };
        let mut gate = Gate::new(&settings.risk, &instruments, session, TradingControl::new())
            .expect("the numbers fit an order id");
        let equity = settings.risk.starting_equity.unwrap_or(Money::ZERO);
        let mut ledger = Ledger::new(1, equity);
        let arm = Command { verb: 4, actor: 1_000, ..Command::default() };
        let arm = Event::new(Kind::Command, InstrumentId::NONE, &arm);
        let _ = gate.on_command(&arm, &mut ledger);
        let _ = gate.on_reconciled(&arm).expect("an armed gate becomes active");
        Self {
            bench,
            ledger,
            policy: Policy::new(Rules::new(&settings), &instruments),
            gate,
            execution: Execution::new(&instruments, 1_000, &Signer::new(KEY)),
            recorder: Recorder::count(),
            now: Nanos::from_secs(1_700_000_000),
            seq: 0,
            trade_id: 0,
            times: PARTS.iter().map(|_| histogram()).collect(),
            request: Vec::new(),
        }
    }

    fn keep(&mut self, part: Part, from: Stamp) {
        let nanos = self.bench.since(from);
        record_nanos(&mut self.times[part as usize], nanos);
    }

    fn event<B: zerocopy::IntoBytes + zerocopy::Immutable + peregrine::base::event::Body>(
        &mut self,
        kind: Kind,
        body: &B,
    ) -> Event {
        self.seq += 1;
        let mut event = Event::new(kind, BTC, body);
        (event.seq, event.ts_recv) = (self.seq, self.now.0);
        event
    }

    /// A prediction for `up`, through to the bytes of the order it leads to.
    fn order(&mut self, up: f32) -> Option<Order> {
        self.now = self.now + STEP;
        let ticker = BookTicker {
            bid_px: BID,
            bid_qty: 100_000_000,
            ask_px: ASK,
            ask_qty: 100_000_000,
            ..BookTicker::default()
        };
        let ticker = self.event(Kind::BookTicker, &ticker);
        self.gate.on_time(self.now);
        let start = self.bench.clock.stamp();
        black_box(self.ledger.on_event(&ticker));
        self.keep(Part::LedgerTicker, start);
        let body = Prediction {
            probability: [0.9 - up, 0.1, up],
            bid_px: BID,
            bid_qty: 100_000_000,
            ask_px: ASK,
            ask_qty: 100_000_000,
            atr_px: 1_000_000_000,
            market_seq: self.seq,
            ..Prediction::default()
        };
        let prediction = self.event(Kind::Prediction, &body);
        let _ = self.ledger.on_event(&prediction);
        let start = self.bench.clock.stamp();
        let intent = black_box(self.policy.decide(&prediction, &self.ledger, 100));
        self.keep(Part::Policy, start);
        if intent == Intent::None {
            return None;
        }
        let start = self.bench.clock.stamp();
        let verdict = black_box(self.gate.admit(&prediction, &intent, &mut self.ledger));
        let is_exit = matches!(intent, Intent::Exit(_));
        self.keep(if is_exit { Part::GateExit } else { Part::Gate }, start);
        match verdict {
            Some(Verdict::Approved(approved)) => Some(self.send(approved)),
            other => panic!("{intent:?}: {other:?}"),
        }
    }

    fn send(&mut self, approved: Approved) -> Order {
        let order = *approved.event().body::<Order>();
        let intent = Execution::intent(&approved);
        let journaled = self.recorder.append(&intent).expect("counting never fails");
        let start = self.bench.clock.stamp();
        let outgoing = self.execution.send(approved, &journaled).expect("the table has room");
        let done = black_box(outgoing.query()).len();
        self.request.clear();
        self.request.extend_from_slice(outgoing.query());
        assert_eq!(done, self.request.len());
        self.keep(Part::Send, start);
        order
    }

    fn fill(&mut self, order: &Order, sell: bool) {
        self.trade_id += 1;
        let body = OrderReport {
            client_id: order.client_id,
            venue_id: self.trade_id,
            px: order.px,
            qty: order.qty,
            last_px: if sell { BID } else { ASK },
            last_qty: order.qty,
            cum_qty: order.qty,
            trade_id: self.trade_id,
            ..OrderReport::default()
        };
        let mut event = self.event(Kind::OrderFilled, &body);
        event.flags = if sell { flags::SELL } else { 0 };
        let start = self.bench.clock.stamp();
        let change = black_box(self.ledger.on_event(&event));
        self.keep(Part::LedgerFill, start);
        assert!(matches!(change, LedgerChange::Fill(_)), "{change:?}");
        let _ = self.execution.on_report(&event);
    }

    /// In and out again.
    pub fn cycle(&mut self) {
        let entry = self.order(0.8).expect("a strong prediction is followed");
        self.fill(&entry, false);
        let held = self.ledger.position(BTC).map(|position| position.qty);
        assert_eq!(held, Some(Qty(entry.qty)));
        let exit = self.order(0.1).expect("a turned prediction is left");
        assert_eq!(exit.qty, entry.qty);
        self.fill(&exit, true);
        assert_eq!(self.ledger.position(BTC).map(|p| p.qty), Some(Qty::ZERO));
    }

    /// The request carries the order's numbers and a signature another implementation agrees with.
    pub fn check(&mut self) {
        let order = self.order(0.8).expect("a strong prediction is followed");
        let text = String::from_utf8(self.request.clone()).expect("requests are ASCII");
        let (unsigned, signature) = text.split_once("&signature=").expect("requests are signed");
        let mut hmac = Hmac::<sha2::Sha256>::new_from_slice(KEY).expect("any length is a key");
        hmac.update(unsigned.as_bytes());
        let expected: Vec<String> =
            hmac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(signature, expected.concat());
        for part in ["symbol=BTCUSDT", "side=BUY"] {
            assert!(unsigned.contains(part), "{unsigned}");
        }
        println!("checked: {unsigned}");
        assert!(order.px >= ASK && Px(order.px) <= Px(ASK + ASK / 1_000), "{order:?}");
        self.fill(&order, false);
        let exit = self.order(0.1).expect("a turned prediction is left");
        self.fill(&exit, true);
    }
}
