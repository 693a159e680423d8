//! Events in, vector out, for one instrument. Every call is bounded, allocates nothing and is a
//! function of the events so far; [`FeatureEngine::compute`] changes nothing.

use super::bars::{BarClock, Passed, TRADE_AHEAD_NS_MAX};
use super::flow::{LiquidationFlow, TradeFlow};
use super::history::BarHistory;
use super::math::sin_cos_turn;
use super::schema::{Feature, INPUTS, Input, Inputs};
use super::slow::{FUNDING_INTERVAL_NS_MAX, FundingSeries, MarkSeries, OpenInterestSeries};
use super::top::{TopFlow, TopOfBook, TopState};
use super::vector::FeatureVector;
use crate::base::event::{Funding, Liquidation, MarkPrice, OpenInterest, Trade};
use crate::base::settings::FeatureSettings;
use crate::base::units::SCALE;
use crate::base::{Event, Kind, Nanos, Px, Reason};

const DAY_NS: i64 = 24 * 3_600 * 1_000_000_000;

/// What an event did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FeatureUpdate {
    /// At least one bar closed: the bar features have changed.
    pub bar_closed: bool,
}

/// All features of one instrument. The caller passes only events of that instrument, and timers.
#[derive(Clone, Debug)]
pub struct FeatureEngine {
    settings: FeatureSettings,
    market_age: Nanos,
    slow_age: Nanos,
    /// Newest receipt seen; it never falls.
    now: Nanos,
    clock: BarClock,
    history: BarHistory,
    open_interest: OpenInterestSeries,
    mark: MarkSeries,
    funding: FundingSeries,
    trades: TradeFlow,
    liquidations: LiquidationFlow,
    top: TopFlow,
    /// Mean bar volume in base units, as of the newest close.
    mean_volume: Option<f64>,
    /// Bar features as of the newest close; the live ones are filled in by `compute`.
    closed: FeatureVector,
    late_trades: u64,
    refused: u64,
}

impl FeatureEngine {
    /// Nothing seen yet.
    pub fn new(settings: &FeatureSettings) -> Self {
        let clock = BarClock::new(settings.bar_interval_ms);
        let mut engine = Self {
            settings: *settings,
            market_age: Nanos::from_millis(i64::from(settings.market_age_ms_max)),
            slow_age: Nanos::from_millis(i64::from(settings.slow_age_ms_max)),
            now: Nanos(i64::MIN),
            history: BarHistory::new(),
            open_interest: OpenInterestSeries::EMPTY,
            mark: MarkSeries::EMPTY,
            funding: FundingSeries::EMPTY,
            trades: TradeFlow::EMPTY,
            liquidations: LiquidationFlow::new(clock.bar_ns()),
            top: TopFlow::EMPTY,
            mean_volume: None,
            closed: FeatureVector::EMPTY,
            late_trades: 0,
            refused: 0,
            clock,
        };
        engine.write_closed();
        engine
    }

    /// Forgets the market: what comes next comes after a time of which nothing is known. Counts and
    /// the time stay.
    pub fn forget(&mut self) {
        let Self { now, late_trades, refused, .. } = *self;
        *self = Self { now, late_trades, refused, ..Self::new(&self.settings) };
    }

    /// Takes one event. Kinds that carry no feature input only move the bar clock.
    #[inline]
    pub fn on_event(&mut self, event: &Event) -> FeatureUpdate {
        let now = self.advance(event.now());
        if let Some(kind @ (Kind::Trade | Kind::AggTrade)) = event.kind() {
            return self.on_trade(kind, event, now);
        }
        let update = self.pass(now);
        match event.kind() {
            Some(Kind::MarkPrice) => {
                self.accept_if(|engine| engine.mark.take(event.body::<MarkPrice>(), now));
            }
            Some(Kind::OpenInterest) => {
                let body = event.body::<OpenInterest>();
                self.accept_if(|engine| engine.open_interest.take(body, now));
            }
            Some(Kind::Funding) => {
                self.accept_if(|engine| engine.funding.take(event.body::<Funding>()));
                self.funding.write(&mut self.closed);
            }
            Some(Kind::Liquidation) => self.on_liquidation(event, now),
            _ => {}
        }
        update
    }

    /// Takes the book's best levels after a change, or a book that became invalid.
    #[inline]
    pub fn on_top(&mut self, top: &TopOfBook, now: Nanos) -> FeatureUpdate {
        let now = self.advance(now);
        let update = self.pass(now);
        self.top.take(top, now);
        update
    }

    /// Computes every feature as of `now`, or as of the newest event if that is later.
    #[inline]
    pub fn compute(&self, now: Nanos, out: &mut FeatureVector) {
        let now = now.max(self.now);
        *out = self.closed;
        self.top.write(now, out);
        self.trades.write(now, out);
        self.mark.write_live(now, out);
        self.liquidations.write(self.mean_volume, now, out);
        let turn = now.0.rem_euclid(DAY_NS) as f64 / DAY_NS as f64;
        let (sin, cos) = sin_cos_turn(turn);
        out.put(Feature::HourSin, Some(sin));
        out.put(Feature::HourCos, Some(cos));
        self.refuse_unfit(now, out);
    }

    /// Average true range of 14 bars in price units; `None` before it is warm.
    pub fn atr(&self) -> Option<Px> {
        self.history.atr()
    }

    /// Trades that came after their bar had closed and were counted into the next.
    pub const fn late_trades(&self) -> u64 {
        self.late_trades
    }

    /// Inputs refused: prices or quantities that are not positive, trades of the second source,
    /// settlements told again.
    pub const fn refused(&self) -> u64 {
        self.refused
    }

    #[inline]
    fn advance(&mut self, now: Nanos) -> Nanos {
        self.now = self.now.max(now);
        self.now
    }

    /// Closes the bars that ended by the receipt of something other than a trade.
    #[inline]
    fn pass(&mut self, now: Nanos) -> FeatureUpdate {
        let passed = self.clock.other(now);
        self.close_bars(passed)
    }

    #[inline]
    fn on_trade(&mut self, kind: Kind, event: &Event, now: Nanos) -> FeatureUpdate {
        let trade = event.body::<Trade>();
        if trade.px <= 0 || trade.qty <= 0 || !self.trades.accepts(kind) {
            self.refused += 1;
            return self.pass(now);
        }
        // A date out of reach would stop the bar clock for good.
        let matched = match Nanos(trade.ts_trade) {
            at if at.0 > 0 && (at - now).0 <= TRADE_AHEAD_NS_MAX => at,
            _ => now,
        };
        let (passed, late) = self.clock.trade(matched);
        let update = self.close_bars(passed);
        self.late_trades += u64::from(late);
        let buy = !event.has(crate::base::event::flags::SELL);
        self.history.trade(trade.px, trade.qty, buy);
        self.trades.take(trade.qty, buy, now);
        update
    }

    fn on_liquidation(&mut self, event: &Event, now: Nanos) {
        let qty = event.body::<Liquidation>().filled_qty;
        if qty <= 0 {
            self.refused += 1;
            return;
        }
        let signed = event.side().sign() as f64 * (qty as f64 / SCALE as f64);
        self.liquidations.take(signed, now);
    }

    fn accept_if(&mut self, take: impl FnOnce(&mut Self) -> bool) {
        if !take(self) {
            self.refused += 1;
        }
    }

    #[inline]
    fn close_bars(&mut self, passed: Passed) -> FeatureUpdate {
        let bars = match passed {
            Passed::Bars(0) => return FeatureUpdate { bar_closed: false },
            Passed::Bars(bars) => bars,
            Passed::TooMany => {
                self.history = BarHistory::new();
                self.open_interest.forget_bars();
                self.mark.forget_bars();
                0
            }
        };
        for _ in 0..bars {
            self.history.close_bar();
            self.open_interest.close_bar();
            self.mark.close_bar();
        }
        self.write_closed();
        FeatureUpdate { bar_closed: true }
    }

    fn write_closed(&mut self) {
        self.history.write(&mut self.closed);
        self.open_interest.write(self.history.price_change_20(), &mut self.closed);
        self.mark.write(&mut self.closed);
        self.funding.write(&mut self.closed);
        self.mean_volume = self.history.mean_volume();
    }

    /// Marks the features whose inputs are missing, invalid or too old.
    #[inline]
    fn refuse_unfit(&self, now: Nanos, out: &mut FeatureVector) {
        let mut missing = Inputs::NONE;
        let mut stale = Inputs::NONE;
        let mut check = |input: Input, received: Option<Nanos>, age_max: Nanos| match received {
            None => missing = missing.with(input),
            Some(at) if now - at > age_max => stale = stale.with(input),
            Some(_) => {}
        };
        check(Input::Trades, self.trades.received(), self.market_age);
        check(Input::Mark, self.mark.received(), self.slow_age);
        check(Input::OpenInterest, self.open_interest.received(), self.slow_age);
        let settlement_age = Nanos(FUNDING_INTERVAL_NS_MAX) + self.slow_age;
        check(Input::Funding, self.funding.settled(), settlement_age);
        // Forced orders come when they come: silence is no fault once the stream has spoken.
        check(Input::Liquidations, self.liquidations.received(), Nanos(i64::MAX));
        let invalid = match self.top.state() {
            TopState::Invalid => Inputs::of(Input::Top),
            TopState::NeverSeen | TopState::Live => {
                check(Input::Top, self.top.received(), self.market_age);
                Inputs::NONE
            }
        };
        if missing.is_empty() && stale.is_empty() && invalid.is_empty() {
            return;
        }
        for (i, inputs) in INPUTS.iter().enumerate() {
            if inputs.meets(missing) {
                out.refuse(i, Reason::FeatureInputMissing);
            } else if inputs.meets(invalid) {
                out.refuse(i, Reason::BookInvalid);
            } else if inputs.meets(stale) {
                out.refuse(i, Reason::FeatureInputStale);
            }
        }
    }
}
