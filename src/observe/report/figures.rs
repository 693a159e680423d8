//! Figures of a period, from position records in their order.
//!
//! ```text
//!   net     = realised − fees + funding + unrealised         of each instrument, cumulative
//!   profit  = Σ (net at the end − net at the beginning)
//!   a round trip is won when it leaves more than nothing after fees and funding
//!   Sharpe  = mean / deviation of hourly returns × √8760     deviation over n − 1
//!   Sortino = the same over √(Σ min(return, 0)² / n)
//! ```
//! The Sharpe ratio is that of W. F. Sharpe, "The Sharpe Ratio" (1994), the other that of F. A.
//! Sortino and L. N. Price (1994), both with a risk-free rate and a target of zero; a year has 8760
//! hours, because the market never closes. A session that has not seen enough hours yet is told in
//! returns over shorter steps, annualised in the same way.

use crate::base::Money;
use crate::base::event::Position;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};

const SECOND_NS: i64 = 1_000_000_000;
const HOUR_NS: i64 = 3_600 * SECOND_NS;
const YEAR_NS: f64 = 8_760.0 * HOUR_NS as f64;
/// Steps that a running session's returns are taken over, the longest first.
const STEPS_NS: [i64; 3] = [HOUR_NS, 60 * SECOND_NS, 10 * SECOND_NS];
/// Returns from which a step's ratios say something.
const RETURNS_MIN: i64 = 12;
/// Points kept of the curve at most; when they are used up every other one goes.
const POINTS_MAX: usize = 8_192;

/// See the head of this file. Amounts in quote currency.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Figures {
    /// Sessions that have a record in the period.
    pub sessions: u32,
    /// Profit after fees and funding, open positions at the mark.
    #[serde(serialize_with = "amount")]
    pub profit: Money,
    /// Equity at the beginning; 0 without any record.
    #[serde(serialize_with = "amount")]
    pub equity_start: Money,
    /// Equity at the end.
    #[serde(serialize_with = "amount")]
    pub equity_end: Money,
    /// Fills: changes of a position.
    pub trades: u64,
    /// Round trips that ended.
    pub round_trips: u64,
    /// Those that left more than nothing.
    pub won: u64,
    /// What those left.
    #[serde(serialize_with = "amount")]
    pub gain: Money,
    /// What the other round trips lost; never below zero.
    #[serde(serialize_with = "amount")]
    pub loss: Money,
    /// Fees paid.
    #[serde(serialize_with = "amount")]
    pub fees: Money,
    /// Funding received; below zero was paid.
    #[serde(serialize_with = "amount")]
    pub funding: Money,
    /// Largest fall of the equity from its highest point in the period, as a fraction.
    pub fall_max: f64,
    /// Annualised; `None` where there is too little to tell.
    pub sharpe: Option<f64>,
    /// What became of each instrument, by symbol.
    pub instruments: BTreeMap<String, Line>,
    /// The equity curve: nanoseconds since the epoch and equity in 1e-8.
    #[serde(skip)]
    pub curve: Vec<(i64, i64)>,
}

/// One instrument in a period, in quote currency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Closed profit before fees and funding.
    #[serde(serialize_with = "amount")]
    pub realised: Money,
    /// Fees paid.
    #[serde(serialize_with = "amount")]
    pub fees: Money,
    /// Funding received; below zero was paid.
    #[serde(serialize_with = "amount")]
    pub funding: Money,
    /// By how much the open profit changed.
    #[serde(serialize_with = "amount")]
    pub unrealised: Money,
}

impl Line {
    /// What is left.
    pub fn net(&self) -> Money {
        self.realised - self.fees + self.funding + self.unrealised
    }
}

impl Figures {
    /// Share of the round trips that were won; `None` without any.
    pub fn win_rate(&self) -> Option<f64> {
        (self.round_trips > 0).then(|| self.won as f64 / self.round_trips as f64)
    }

    /// What the won round trips left, over what the others lost; `None` while nothing was lost.
    pub fn profit_factor(&self) -> Option<f64> {
        self.loss.is_positive().then(|| self.gain.to_f64() / self.loss.to_f64())
    }

    /// In a few words.
    pub fn text(&self) -> String {
        let percent = |part: f64| format!("{:.2} %", part * 100.0);
        let start = self.equity_start.to_f64();
        let share = if start > 0.0 { self.profit.to_f64() / start } else { 0.0 };
        format!(
            "profit {} ({}), {} trades, {} round trips, won {}, Sharpe {}, largest fall {}, \
             fees {}, funding {}, equity {}",
            self.profit,
            percent(share),
            self.trades,
            self.round_trips,
            self.win_rate().map_or("–".to_owned(), percent),
            self.sharpe.map_or("–".to_owned(), |sharpe| format!("{sharpe:.2}")),
            percent(self.fall_max),
            self.fees,
            self.funding,
            self.equity_end,
        )
    }
}

pub(super) fn amount<S: serde::Serializer>(
    value: &Money,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(value.to_f64())
}

/// What became of one instrument.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Fills: changes of the position.
    pub trades: u64,
    /// Round trips that ended.
    pub round_trips: u64,
    /// Those that left more than nothing.
    pub won: u64,
}

/// Annualised ratios of a session that still runs.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Ratios {
    /// Seconds of one return; 0 while there are too few for a ratio.
    pub step_seconds: f64,
    /// `None` where there is too little to tell.
    pub sharpe: Option<f64>,
    /// `None` where there is too little to tell, or nothing was ever lost.
    pub sortino: Option<f64>,
}

/// An instrument as its newest record left it.
#[derive(Clone, Copy, Default)]
struct Held {
    tally: Tally,
    qty: i64,
    realised: i64,
    fees: i64,
    funding: i64,
    unrealised: i64,
    /// `cash` when the open position began.
    opened_at: i64,
}

impl Held {
    fn cash(&self) -> i64 {
        self.realised - self.fees + self.funding
    }

    fn net(&self) -> i64 {
        self.cash() + self.unrealised
    }
}

/// Takes records in, one after the other.
pub struct Gathering {
    from: i64,
    to: i64,
    held: HashMap<String, Held>,
    figures: Figures,
    /// Equity of the newest record before the period.
    before: Option<i64>,
    peak: i64,
    counted: bool,
}

impl Gathering {
    /// For the period from `from` up to, not including, `to`, in nanoseconds since the epoch.
    pub fn new(from: i64, to: i64) -> Self {
        Self {
            from,
            to,
            held: HashMap::new(),
            figures: Figures::default(),
            before: None,
            peak: i64::MIN,
            counted: false,
        }
    }

    /// A session begins that carries on `carried` and starts everything else from nothing.
    /// `equity` is what it begins with.
    pub fn session(&mut self, carried: &[String], equity: i64, ts: i64) {
        self.held.retain(|symbol, _| carried.contains(symbol));
        self.counted = false;
        if self.before.is_none() || ts < self.from {
            self.before = Some(equity);
        }
    }

    /// A position that an earlier session left, with what its round trip has brought so far: no
    /// trade of this one.
    pub fn carry(&mut self, symbol: &str, body: &Position, round_trip: i64) {
        let mut held = Held {
            qty: body.qty,
            realised: body.realised,
            fees: body.fees,
            funding: body.funding,
            unrealised: body.unrealised,
            ..Held::default()
        };
        held.opened_at = held.cash() - round_trip;
        self.held.insert(symbol.to_owned(), held);
    }

    /// A position record.
    pub fn note(&mut self, symbol: &str, ts: i64, body: &Position) {
        if ts >= self.to {
            return;
        }
        let within = ts >= self.from;
        let held = self.held.entry(symbol.to_owned()).or_default();
        let old = *held;
        *held = Held {
            qty: body.qty,
            realised: body.realised,
            fees: body.fees,
            funding: body.funding,
            unrealised: body.unrealised,
            ..old
        };
        let turned = body.qty.signum() != old.qty.signum();
        let closed = turned && old.qty != 0;
        if closed || old.qty == 0 {
            held.opened_at = if closed { held.cash() } else { old.cash() };
        }
        if !within {
            self.before = Some(body.equity);
            return;
        }
        let figures = &mut self.figures;
        figures.profit.0 += held.net() - old.net();
        figures.fees.0 += held.fees - old.fees;
        figures.funding.0 += held.funding - old.funding;
        let line = figures.instruments.entry(symbol.to_owned()).or_default();
        line.realised.0 += held.realised - old.realised;
        line.fees.0 += held.fees - old.fees;
        line.funding.0 += held.funding - old.funding;
        line.unrealised.0 += held.unrealised - old.unrealised;
        let traded = u64::from(body.qty != old.qty);
        figures.trades += traded;
        held.tally.trades += traded;
        if closed {
            let left = held.cash() - old.opened_at;
            figures.round_trips += 1;
            figures.won += u64::from(left > 0);
            figures.gain.0 += left.max(0);
            figures.loss.0 += (-left).max(0);
            held.tally.round_trips += 1;
            held.tally.won += u64::from(left > 0);
        }
        self.value(ts, body.equity);
    }

    fn value(&mut self, ts: i64, equity: i64) {
        if self.figures.curve.is_empty() {
            let start = self.before.unwrap_or(equity);
            self.figures.equity_start = Money(start);
            self.figures.curve.push((self.from.max(0), start));
            self.peak = start;
        }
        if !self.counted {
            self.counted = true;
            self.figures.sessions += 1;
        }
        self.peak = self.peak.max(equity);
        if self.peak > 0 {
            let fall = (self.peak - equity) as f64 / self.peak as f64;
            self.figures.fall_max = self.figures.fall_max.max(fall);
        }
        self.figures.equity_end = Money(equity);
        if self.figures.curve.len() >= POINTS_MAX {
            thin(&mut self.figures.curve);
        }
        self.figures.curve.push((ts, equity));
    }

    /// The figures so far, without a Sharpe ratio.
    pub const fn so_far(&self) -> &Figures {
        &self.figures
    }

    /// What became of one instrument so far.
    pub fn tally(&self, symbol: &str) -> Tally {
        self.held.get(symbol).map_or_else(Tally::default, |held| held.tally)
    }

    /// The ratios so far, over the longest step of which there are enough returns.
    pub fn ratios(&self) -> Ratios {
        let curve = &self.figures.curve;
        let (Some(first), Some(last)) = (curve.get(1), curve.last()) else {
            return Ratios::default();
        };
        let ran = last.0 - first.0;
        let Some(step) = STEPS_NS.into_iter().find(|step| ran / step >= RETURNS_MIN) else {
            return Ratios::default();
        };
        let returns = returns(curve, self.from, self.to, step);
        Ratios {
            step_seconds: (step / SECOND_NS) as f64,
            sharpe: sharpe(&returns, step),
            sortino: sortino(&returns, step),
        }
    }

    /// The figures, with the Sharpe ratio of what was seen.
    pub fn end(mut self) -> Figures {
        if self.figures.curve.is_empty() {
            let equity = Money(self.before.unwrap_or(0));
            (self.figures.equity_start, self.figures.equity_end) = (equity, equity);
        }
        let returns = returns(&self.figures.curve, self.from, self.to, HOUR_NS);
        self.figures.sharpe = sharpe(&returns, HOUR_NS);
        self.figures
    }
}

/// Every other point goes, the last stays.
fn thin(curve: &mut Vec<(i64, i64)>) {
    let last = curve.len() - 1;
    let mut place = 0;
    curve.retain(|_| {
        let keep = place % 2 == 0 || place == last;
        place += 1;
        keep
    });
}

/// The returns of each step. The curve is a step function; its last value holds to the end of the
/// step it lies in.
fn returns(curve: &[(i64, i64)], from: i64, to: i64, step: i64) -> Vec<f64> {
    let (Some(start), Some(first), Some(last)) = (curve.first(), curve.get(1), curve.last()) else {
        return Vec::new();
    };
    let (mut place, mut value) = (0, start.1);
    let (mut returns, mut before) = (Vec::new(), value as f64);
    // Steps before the first record say nothing: nothing ran.
    let mut end = from + (first.0 - from).div_euclid(step) * step;
    while end < to && end <= last.0 {
        end = end.saturating_add(step).min(to);
        while curve.get(place).is_some_and(|(ts, _)| *ts < end) {
            value = curve[place].1;
            place += 1;
        }
        if before > 0.0 {
            returns.push(value as f64 / before - 1.0);
        }
        before = value as f64;
    }
    returns
}

/// See the head of this file.
fn sharpe(returns: &[f64], step: i64) -> Option<f64> {
    if returns.len() < 2 {
        return None;
    }
    let mean = mean(returns);
    let squares = returns.iter().map(|r| (r - mean).powi(2)).sum::<f64>();
    let deviation = (squares / (returns.len() as f64 - 1.0)).sqrt();
    (deviation > 0.0).then(|| mean / deviation * (YEAR_NS / step as f64).sqrt())
}

/// See the head of this file.
fn sortino(returns: &[f64], step: i64) -> Option<f64> {
    if returns.len() < 2 {
        return None;
    }
    let squares = returns.iter().map(|r| r.min(0.0).powi(2)).sum::<f64>();
    let downside = (squares / returns.len() as f64).sqrt();
    (downside > 0.0).then(|| mean(returns) / downside * (YEAR_NS / step as f64).sqrt())
}

fn mean(returns: &[f64]) -> f64 {
    returns.iter().sum::<f64>() / returns.len() as f64
}
