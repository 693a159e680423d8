//! A desk to judge intents at, and the tests by subject.

mod breakers;
mod correlated;
mod damaged;
mod denials;
mod dropped;
mod each_check;
mod every_limit;
mod gate;
mod glance;
mod moves;
mod no_limits;
mod property;
mod stages;
mod stops;
mod sums;
mod trading_state;
mod venue;
mod watch;
mod watch_bounds;

use super::*;
use crate::base::event::{
    AccountStatus, Body, Command, Denied, FundingPayment, Order, OrderReport, side_flag,
};
use crate::base::settings::{
    InstrumentSettings, Mode, PortfolioSettings, RiskSettings, StageSettings,
};
use crate::base::{
    Event, InstrumentId, Kind, Money, Nanos, OrderType, Purpose, Px, Qty, Rate, Reason, Side,
    Symbol, TimeInForce,
};
use crate::ledger::{Ledger, LedgerChange};
use crate::policy::{Intent, Plan, Wanted};

pub(super) const BTC: InstrumentId = InstrumentId(0);
pub(super) const ETH: InstrumentId = InstrumentId(1);
/// Noon of a day, so that tests may go a few hours either way.
pub(super) const NOON: Nanos = Nanos::from_secs(86_400 * 20_000 + 43_200);

pub(super) fn px(text: &str) -> Px {
    Px::parse(text).unwrap()
}

pub(super) fn qty(text: &str) -> Qty {
    Qty::parse(text).unwrap()
}

pub(super) fn money(text: &str) -> Money {
    Money::parse(text).unwrap()
}

pub(super) fn instrument(symbol: &str) -> InstrumentSettings {
    InstrumentSettings {
        symbol: Symbol::new(symbol.as_bytes()).unwrap(),
        tick_size: px("0.1"),
        lot_size: qty("0.01"),
        min_qty: qty("0.01"),
        max_qty: qty("1000"),
        min_notional: money("0.5"),
        maker_fee: Rate(20_000),
        taker_fee: Rate(50_000),
    }
}

/// Limits that nothing in these tests reaches unless the test moves one.
pub(crate) fn generous() -> RiskSettings {
    RiskSettings {
        starting_equity: Some(Money::whole(1_000_000)),
        allow: vec![Symbol::new(b"BTCUSDT").unwrap(), Symbol::new(b"ETHUSDT").unwrap()],
        qty_max: Vec::new(),
        order_notional_max: Some(Money::whole(500_000)),
        collar_mark_bps: Some(5_000),
        collar_touch_bps: Some(5_000),
        position_notional_max: Some(Money::whole(500_000)),
        gross_notional_max: Some(Money::whole(500_000)),
        leverage_max_percent: Some(1_000),
        duplicate_window_ms: Some(1),
        orders_per_10s_max: Some(1_000),
        entries_per_day_max: Some(1_000),
        open_orders_max: Some(200),
        market_age_ms_max: Some(60_000),
        decision_age_ms_max: Some(60_000),
        daily_loss_max: Some(Money::whole(500_000)),
        drawdown_bps_max: Some(9_999),
        losses_in_a_row_max: Some(100),
        collar_cumulative_bps: Some(9_000),
        collar_denials_per_min_max: Some(64),
        capital_max: Some(Money::whole(1_000_000)),
        rate_denials_per_10s_max: Some(64),
        identical_entries_per_min_max: Some(32),
        model_identical_max: Some(1_000),
        model_one_sided_window: Some(1_000),
        model_one_sided_percent_max: Some(100),
        late_percent_max: Some(100),
        liquidation_distance_bps_min: Some(1),
        reduce_s: Some(60),
        portfolio: PortfolioSettings {
            net_notional_max: Some(Money::whole(500_000)),
            positions_max: Some(1_000),
            correlation_max_percent: Some(70),
            correlation_bar_s: Some(60),
            correlation_bars: Some(8),
            correlated_notional_max: Some(Money::whole(500_000)),
            budgets: Vec::new(),
        },
        stage: StageSettings::default(),
    }
}

/// An active gate with its ledger: mark 100, touch 99.9 to 100.1.
pub(super) struct Desk {
    pub(super) gate: Gate,
    pub(super) ledger: Ledger,
    pub(super) now: Nanos,
    trade_id: u64,
    /// Place in the river of the next cause.
    seq: u64,
    /// How long the next causes were on their way from the venue.
    pub(super) lag: Nanos,
}

impl Desk {
    pub(super) fn new(settings: &RiskSettings) -> Self {
        Self::with(settings, &[instrument("BTCUSDT"), instrument("ETHUSDT")], Mode::Live)
    }

    pub(super) fn with(
        settings: &RiskSettings,
        instruments: &[InstrumentSettings],
        mode: Mode,
    ) -> Self {
        let session = GateSession { epoch: 3, strategy: 1, model: 2, mode };
        let mut gate = Gate::new(settings, instruments, session, Trading::new()).unwrap();
        let mut ledger = Ledger::new(instruments.len(), settings.starting_equity.unwrap());
        let arm = Command { verb: Verb::Arm as u32, actor: 1_000, ..Command::default() };
        let arm = Event::new(Kind::Command, InstrumentId::NONE, &arm);
        assert_eq!(gate.on_command(&arm, &mut ledger), None, "armed, but not reconciled");
        gate.on_reconciled(&arm).unwrap();
        let mut desk = Self { gate, ledger, now: NOON, trade_id: 0, seq: 0, lag: Nanos::ZERO };
        for id in 0..instruments.len() as u16 {
            desk.ledger.on_mark(InstrumentId(id), Px::whole(100), NOON);
            desk.ledger.on_touch(InstrumentId(id), px("99.9"), px("100.1"), NOON);
        }
        let equity = settings.starting_equity.unwrap().0;
        let account = AccountStatus { equity, ..AccountStatus::default() };
        desk.told(Kind::AccountStatus, InstrumentId::NONE, &account);
        desk
    }

    /// A person arms.
    pub(super) fn arm(&mut self) {
        let body = Command { verb: Verb::Arm as u32, actor: 1_000, ..Command::default() };
        let arm = self.told(Kind::Command, InstrumentId::NONE, &body);
        let _ = self.gate.on_command(&arm, &mut self.ledger);
    }

    /// An event of this moment, as the stage takes it in.
    pub(super) fn told<B: Body>(
        &mut self,
        kind: Kind,
        instrument: InstrumentId,
        body: &B,
    ) -> Event {
        let mut event = Event::new(kind, instrument, body);
        event.ts_recv = self.now.0;
        self.show(event);
        event
    }

    pub(super) fn cause(&mut self) -> Event {
        self.seq += 1;
        let mut event = Event { instrument: 0, seq: self.seq, ..Event::EMPTY };
        event.ts_recv = self.now.0;
        event.ts_venue = (self.now - self.lag).0;
        event
    }

    pub(super) fn admit(&mut self, wanted: &Wanted) -> Verdict {
        let intent = match wanted.purpose {
            Purpose::Entry => Intent::Enter(*wanted),
            Purpose::Protect => Intent::Protect(*wanted),
            _ => Intent::Exit(*wanted),
        };
        let cause = self.cause();
        let verdict = self.gate.admit(&cause, &intent, &mut self.ledger).unwrap();
        let _ = self.gate.consequence(&cause);
        verdict
    }

    #[track_caller]
    pub(super) fn passes(&mut self, wanted: &Wanted) -> u64 {
        match self.admit(wanted) {
            Verdict::Approved(approved) => approved.event().body::<Order>().client_id,
            Verdict::Denied(event) => {
                let body: &Denied = event.body();
                panic!("denied: {:?} {body:?}", Reason::from_u16(body.reason))
            }
        }
    }

    #[track_caller]
    pub(super) fn is_denied(&mut self, wanted: &Wanted, reason: Reason) {
        match self.admit(wanted) {
            Verdict::Approved(_) => panic!("approved, though {reason:?}"),
            Verdict::Denied(event) => {
                let body: &Denied = event.body();
                assert_eq!(Reason::from_u16(body.reason), Some(reason), "{body:?}");
            }
        }
    }

    pub(super) fn hear(&mut self, kind: Kind, instrument: InstrumentId, body: &OrderReport) {
        self.show(Event::new(kind, instrument, body));
    }

    /// An event as the stage takes it in: ledger first, then the breakers.
    pub(super) fn show(&mut self, mut event: Event) -> LedgerChange {
        event.ts_recv = self.now.0;
        self.gate.on_time(self.now);
        let change = self.ledger.on_event(&event);
        self.gate.on_event(&event, change, &self.ledger);
        self.gate.observe(&event, change, &self.ledger);
        change
    }

    /// What the breakers demand by now.
    pub(super) fn breaks(&mut self, cause: &Event) -> Option<Event> {
        self.gate.observe(cause, LedgerChange::Order, &self.ledger);
        self.gate.break_on(cause, &self.ledger)
    }

    /// The venue cancels everything.
    pub(super) fn end_orders(&mut self) {
        let orders = self.ledger.orders().to_vec();
        for order in orders {
            let ended = OrderReport { client_id: order.id.0, ..OrderReport::default() };
            self.hear(Kind::OrderCancelled, order.instrument, &ended);
        }
    }

    /// Books a fill of an order that is no longer known.
    pub(super) fn hold(&mut self, instrument: InstrumentId, side: Side, qty: Qty, px: Px) {
        self.trade_id += 1;
        let body = OrderReport {
            client_id: 1 << 60,
            trade_id: self.trade_id,
            last_qty: qty.0,
            last_px: px.0,
            ..OrderReport::default()
        };
        let event = Event::new(Kind::OrderFilled, instrument, &body);
        self.show(event.with_flags(side_flag(side)));
    }

    pub(super) fn receive(&mut self, amount: Money) {
        let body = FundingPayment { amount: amount.0, ..FundingPayment::default() };
        self.show(Event::new(Kind::FundingPayment, BTC, &body));
    }
}

/// A buy of 1 at the ask.
pub(crate) fn entry() -> Wanted {
    Wanted {
        instrument: BTC,
        side: Side::Buy,
        qty: qty("1"),
        px: px("100.1"),
        order_type: OrderType::Limit,
        time_in_force: TimeInForce::Ioc,
        purpose: Purpose::Entry,
        reference_px: px("100.1"),
        model_tag: 7,
        plan: Plan::default(),
    }
}

/// A sale of 1 at the bid.
pub(super) fn exit() -> Wanted {
    Wanted {
        side: Side::Sell,
        px: px("99.9"),
        purpose: Purpose::ExitSignal,
        reference_px: px("99.9"),
        ..entry()
    }
}
