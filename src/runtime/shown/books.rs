//! Money as position records tell it.

use crate::base::event::{Event, Position, PositionCarried, SessionCarried};
use crate::base::units::{Money, Px, Qty};
use crate::base::{Nanos, Symbol};
use crate::observe::Snapshot;
use crate::observe::report::figures::{Gathering, Ratios};
use crate::observe::snapshot::{EquityPoint, PerformanceView, SymbolView};
use std::time::{Duration, Instant};

/// Time between two computations of the ratios: they go over the whole curve.
const RATIOS_EVERY: Duration = Duration::from_secs(1);

/// See the head of this file.
pub struct Books {
    symbols: Vec<String>,
    /// Newest position record of each instrument.
    newest: Vec<Position>,
    gathering: Gathering,
    ratios: Ratios,
    ratios_at: Option<Instant>,
    starting_equity: Money,
    peak: Money,
    day: i64,
    day_start: Money,
    losses_in_a_row: u32,
}

impl Books {
    /// For a session that began at `started_ns` with this equity.
    pub fn new(symbols: &[Symbol], starting_equity: Money, started_ns: i64) -> Self {
        let mut gathering = Gathering::new(started_ns, i64::MAX);
        gathering.session(&[], starting_equity.0, started_ns);
        Self {
            symbols: symbols.iter().map(ToString::to_string).collect(),
            newest: vec![Position::default(); symbols.len()],
            gathering,
            ratios: Ratios::default(),
            ratios_at: None,
            starting_equity,
            peak: starting_equity,
            day: Nanos(started_ns).utc_day(),
            day_start: starting_equity,
            losses_in_a_row: 0,
        }
    }

    /// A position that an earlier session left.
    pub fn note_position_carried(&mut self, event: &Event) {
        let body: &PositionCarried = event.body();
        let place = usize::from(event.instrument);
        let position = Position {
            qty: body.qty,
            realised: body.realised,
            fees: body.fees,
            funding: body.funding,
            ..Position::default()
        };
        let Some(newest) = self.newest.get_mut(place) else { return };
        *newest = position;
        self.gathering.carry(&self.symbols[place], &position, body.round_trip);
    }

    /// What else an earlier session left.
    pub fn note_session_carried(&mut self, event: &Event) {
        let body: &SessionCarried = event.body();
        self.peak = self.peak.max(Money(body.peak_equity));
        self.losses_in_a_row = body.losses_in_a_row;
        if body.epoch > 0 && body.day >= self.day {
            (self.day, self.day_start) = (body.day, Money(body.day_start_equity));
        }
    }

    /// An operator armed: the count of losses starts anew.
    pub const fn forget_losses(&mut self) {
        self.losses_in_a_row = 0;
    }

    /// Takes a position record in, and shows it on `page`.
    pub fn note(&mut self, event: &Event, page: &mut Snapshot) {
        let body: &Position = event.body();
        let place = usize::from(event.instrument);
        let account = &mut page.account;
        let day = Nanos(event.ts_recv).utc_day();
        if day > self.day {
            (self.day, self.day_start) = (day, account.equity);
        }
        if let Some(newest) = self.newest.get_mut(place) {
            *newest = *body;
            let before = self.gathering.so_far();
            let before = (before.round_trips, before.won);
            self.gathering.note(&self.symbols[place], event.ts_recv, body);
            self.count_losses(before);
        }
        let sum = |part: fn(&Position) -> i64| Money(self.newest.iter().map(part).sum());
        account.realised = sum(|p| p.realised);
        account.unrealised = sum(|p| p.unrealised);
        account.fees = sum(|p| p.fees);
        account.funding = sum(|p| p.funding);
        account.equity = Money(body.equity);
        account.pnl_quote = account.equity - self.starting_equity;
        self.peak = self.peak.max(account.equity);
        let fall = (self.peak - account.equity).to_f64() / self.peak.to_f64().max(1e-9);
        account.drawdown_ratio = fall;
        account.drawdown_ratio_max = account.drawdown_ratio_max.max(fall);
        if let Some(view) = page.positions.get_mut(place) {
            view.qty = Qty(body.qty);
            view.entry_px = Px(body.avg_px);
            view.mark_px = Px(body.mark_px);
            view.unrealised = Money(body.unrealised);
        }
        page.note_equity(EquityPoint {
            ts_ns: event.ts_recv,
            equity: Money(body.equity),
            drawdown_ratio: fall,
        });
    }

    fn count_losses(&mut self, (round_trips, won): (u64, u64)) {
        let after = self.gathering.so_far();
        if after.round_trips > round_trips {
            let lost = after.won == won;
            self.losses_in_a_row = if lost { self.losses_in_a_row + 1 } else { 0 };
        }
    }

    /// Shows how well it trades, and by which instrument.
    pub fn show(&mut self, page: &mut Snapshot, now: Instant) {
        if self.ratios_at.is_none_or(|at| now.saturating_duration_since(at) >= RATIOS_EVERY) {
            self.ratios_at = Some(now);
            self.ratios = self.gathering.ratios();
        }
        let so_far = self.gathering.so_far();
        page.account.sharpe = self.ratios.sharpe;
        page.performance = PerformanceView {
            sharpe: self.ratios.sharpe,
            sortino: self.ratios.sortino,
            step_seconds: self.ratios.step_seconds,
            round_trips: so_far.round_trips,
            won: so_far.won,
            win_rate: so_far.win_rate(),
            profit_factor: so_far.profit_factor(),
            gain: so_far.gain,
            loss: so_far.loss,
        };
        let view = |(symbol, p): (&String, &Position)| {
            let tally = self.gathering.tally(symbol);
            SymbolView {
                symbol: symbol.clone(),
                pnl_quote: Money(p.realised + p.unrealised - p.fees + p.funding),
                realised: Money(p.realised),
                unrealised: Money(p.unrealised),
                fees: Money(p.fees),
                funding: Money(p.funding),
                trades: tally.trades,
                round_trips: tally.round_trips,
                won: tally.won,
            }
        };
        page.symbols = self.symbols.iter().zip(&self.newest).map(view).collect();
    }

    /// Loss since 00:00 UTC; never below zero.
    pub fn day_loss(&self, equity: Money) -> Money {
        (self.day_start - equity).max(Money::ZERO)
    }

    /// Fall from the highest equity there was; never below zero.
    pub fn fall(&self, equity: Money) -> Money {
        (self.peak - equity).max(Money::ZERO)
    }

    /// Equity at 00:00 UTC, or at the start.
    pub const fn day_start(&self) -> Money {
        self.day_start
    }

    /// Losing round trips in a row.
    pub const fn losses_in_a_row(&self) -> u32 {
        self.losses_in_a_row
    }
}
