//! What a list of inputs contains, read naively for the features' oracle: the closed bars with
//! their trades, and every other input with its time.

use peregrine::base::event::{self, Event, Funding, Liquidation, MarkPrice, OpenInterest, Trade};
use peregrine::base::settings::FeatureSettings;
use peregrine::base::{Kind, Nanos, Side};
use peregrine::features::TopOfBook;

/// One input of a feature engine.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    Event(Event),
    Top(TopOfBook, Nanos),
}

impl Step {
    pub fn received(&self) -> i64 {
        match self {
            Step::Event(event) => event.ts_recv,
            Step::Top(_, now) => now.0,
        }
    }
}

#[derive(Clone, Copy)]
pub struct NaiveTrade {
    pub px: f64,
    pub qty: f64,
    pub raw_qty: i128,
    pub buy: bool,
}

/// A closed bar: its trades, and what was known when it closed.
#[derive(Clone, Default)]
pub struct NaiveBar {
    pub trades: Vec<NaiveTrade>,
    pub close: Option<f64>,
    pub oi: Option<f64>,
    pub rate: Option<f64>,
}

impl NaiveBar {
    pub fn high(&self) -> f64 {
        self.trades.iter().map(|t| t.px).reduce(f64::max).unwrap_or(self.close.unwrap())
    }
    pub fn low(&self) -> f64 {
        self.trades.iter().map(|t| t.px).reduce(f64::min).unwrap_or(self.close.unwrap())
    }
    pub fn volume(&self) -> f64 {
        self.trades.iter().map(|t| t.raw_qty).sum::<i128>() as f64 / 1e8
    }
    pub fn buy(&self) -> f64 {
        self.trades.iter().filter(|t| t.buy).map(|t| t.raw_qty).sum::<i128>() as f64 / 1e8
    }
    pub fn quote(&self) -> f64 {
        self.trades.iter().map(|t| t.px * t.qty).sum()
    }
}

/// Everything the inputs up to now contain, sorted by what it is.
#[derive(Default)]
pub struct Seen {
    pub bars: Vec<NaiveBar>,
    pub trades: Vec<(i64, NaiveTrade)>,
    pub tops: Vec<(i64, TopOfBook)>,
    pub top_invalid: bool,
    pub oi: Option<(i64, f64)>,
    pub mark: Option<(i64, MarkPrice)>,
    pub settled: Vec<(i64, f64)>,
    pub liquidations: Vec<(i64, f64)>,
}

pub fn read(settings: &FeatureSettings, steps: &[Step]) -> Seen {
    let bar_ns = i64::from(settings.bar_interval_ms) * 1_000_000;
    let grace = 250_000_000.min(bar_ns / 4);
    let mut seen = Seen::default();
    let (mut now, mut source, mut forming) = (i64::MIN, None, None);
    let (mut open_trades, mut last_px) = (Vec::new(), None);
    for step in steps {
        now = now.max(step.received());
        let trade = match step {
            Step::Event(e) if matches!(e.kind(), Some(Kind::Trade | Kind::AggTrade)) => {
                let body = *e.body::<Trade>();
                let fits = body.px > 0 && body.qty > 0 && *source.get_or_insert(e.kind) == e.kind;
                fits.then_some(body)
            }
            _ => None,
        };
        let clock = match trade {
            Some(t) if t.ts_trade > 0 && t.ts_trade - now <= 60_000_000_000 => t.ts_trade,
            Some(_) => now,
            None => now - grace,
        };
        let index = clock.div_euclid(bar_ns);
        let passed = index - *forming.get_or_insert(index);
        forming = forming.max(Some(index));
        if passed > 128 {
            seen.bars.clear();
            open_trades.clear();
            last_px = None;
        } else {
            for _ in 0..passed {
                seen.bars.push(NaiveBar {
                    trades: std::mem::take(&mut open_trades),
                    close: last_px,
                    oi: seen.oi.map(|(_, qty)| qty),
                    rate: seen.mark.map(|(_, m)| m.funding_rate as f64 / 1e8),
                });
            }
        }
        if let Some(t) = trade {
            let Step::Event(event) = step else { unreachable!() };
            let naive = NaiveTrade {
                px: t.px as f64 / 1e8,
                qty: t.qty as f64 / 1e8,
                raw_qty: i128::from(t.qty),
                buy: event.side() == Side::Buy,
            };
            open_trades.push(naive);
            last_px = Some(naive.px);
            seen.trades.push((now, naive));
        }
        take_other(&mut seen, step, now);
    }
    seen
}

fn take_other(seen: &mut Seen, step: &Step, now: i64) {
    let event = match step {
        Step::Top(top, _) => {
            let crossed = top.ask[0].px <= top.bid[0].px;
            let empty = top.bid[0].px <= 0 || top.bid[0].qty <= 0 || top.ask[0].qty <= 0;
            if top.valid && !crossed && !empty {
                seen.tops.push((now, *top));
                seen.top_invalid = false;
            } else if !seen.tops.is_empty() {
                seen.tops.clear();
                seen.top_invalid = true;
            }
            return;
        }
        Step::Event(event) => event,
    };
    match event.kind() {
        Some(Kind::OpenInterest) => {
            let qty = event.body::<OpenInterest>().qty;
            if qty > 0 {
                seen.oi = Some((now, qty as f64 / 1e8));
            }
        }
        Some(Kind::MarkPrice) => {
            let mark = *event.body::<MarkPrice>();
            if mark.mark_px > 0 {
                seen.mark = Some((now, mark));
            }
        }
        Some(Kind::Funding) => {
            let body = event.body::<Funding>();
            if body.ts_funding > seen.settled.last().map_or(0, |&(at, _)| at) {
                seen.settled.push((body.ts_funding, body.rate as f64 / 1e8));
            }
        }
        Some(Kind::Liquidation) => {
            let qty = event.body::<Liquidation>().filled_qty as f64 / 1e8;
            if qty > 0.0 {
                let sign = if event.has(event::flags::SELL) { -1.0 } else { 1.0 };
                seen.liquidations.push((now, sign * qty));
            }
        }
        _ => {}
    }
}
