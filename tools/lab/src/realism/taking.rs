//! What orders that took paid: against the price they were decided at, and against the best price
//! there was when they arrived.
//!
//! ```text
//!   slippage    side·(paid/decided − 1)              with everything that happened on the way
//!   impact      side·(paid/best on arrival − 1)  =  k·√(taken/displayed)
//! ```

use super::estimate::{Estimate, mean, slope};
use super::recorded::{Fill, Recorded};
use super::shadow::{self, Arrival, Seen, ends_quotes};
use anyhow::Result;
use peregrine::base::event::{BookTicker, Event};
use peregrine::base::{Kind, Purpose, Side};
use serde::Serialize;
use std::collections::BTreeMap;

/// Upper ends of the parts of what was displayed by which slippage is told.
const PARTS: [f64; 4] = [0.1, 0.5, 1.0, f64::INFINITY];

/// Orders that took.
#[derive(Clone, Debug, Default)]
pub struct Taking {
    orders: Vec<Took>,
    /// Orders that paid their limit: their impact is at least that, and not known.
    capped: usize,
}

#[derive(Clone, Copy, Debug)]
struct Took {
    /// Taken on arrival over displayed.
    part: f64,
    /// Basis points against the best price on arrival; `None` where the limit was paid.
    impact_bps: Option<f64>,
    /// Basis points against the price of the decision.
    slippage_bps: f64,
    /// Half a price step in basis points: what a price can tell no closer.
    step_bps: f64,
}

/// Slippage of orders of a size.
#[derive(Clone, Debug, Serialize)]
pub struct OfSize {
    /// They took at most this part of what was displayed; `None` for more than all.
    pub part_max: Option<f64>,
    /// How many.
    pub orders: usize,
    /// Basis points against the price of the decision; `None` for too few.
    pub slippage_bps: Option<Estimate>,
}

/// What was found of orders that took.
#[derive(Clone, Debug, Serialize)]
pub struct Impact {
    /// Orders that took on arrival.
    pub orders: usize,
    /// Of those, orders that paid their limit and say nothing of the impact.
    pub capped: usize,
    /// Basis points that an order pays which takes all that is displayed; `None` for too few.
    pub impact_bps: Option<Estimate>,
    /// By size.
    pub slippage: Vec<OfSize>,
}

/// The market an order met.
#[derive(Clone, Copy, Debug, Default)]
struct Met {
    px: i64,
    qty: i64,
}

impl Taking {
    /// Takes a session in.
    ///
    /// # Errors
    /// Damage of lane 0.
    pub fn session(&mut self, recorded: &Recorded) -> Result<()> {
        let mut best: Vec<BookTicker> = vec![BookTicker::default(); recorded.instruments.len()];
        let mut met: BTreeMap<u64, Met> = BTreeMap::new();
        let mut market = |seen: Seen<'_>| match seen {
            Seen::Market(event) if ends_quotes(event) => best.fill(BookTicker::default()),
            Seen::Market(event) if event.kind() == Some(Kind::BookTicker) => {
                if let Some(best) = best.get_mut(usize::from(event.instrument)) {
                    *best = *event.body();
                }
            }
            Seen::Arrival(Arrival { event, is_cancel: false, .. }) => {
                let id = event.body::<peregrine::base::event::Order>().client_id;
                met.insert(id, met_of(&best, event));
            }
            _ => {}
        };
        let arrivals = shadow::arrivals(&recorded.requests);
        shadow::run(recorded, &arrivals, &mut [], &mut |_, _| {}, &mut market)?;
        let mut fills: BTreeMap<u64, Vec<&Fill>> = BTreeMap::new();
        for fill in recorded.fills.iter().filter(|fill| !fill.is_maker) {
            fills.entry(fill.client_id).or_default().push(fill);
        }
        for request in recorded.requests.iter().filter(|request| !request.is_cancel) {
            let order = request.order();
            let (Some(answer), Some(own)) = (request.answer, fills.get(&order.client_id)) else {
                continue;
            };
            if order.purpose == Purpose::Protect as u8 {
                continue;
            }
            let on_arrival: Vec<&Fill> =
                own.iter().filter(|fill| fill.acted == answer.acted).copied().collect();
            let step = recorded.instruments.get(usize::from(request.event.instrument));
            let step = step.map_or(0, |facts| facts.tick_size.0);
            self.order(
                (order.px, order.reference_px),
                &on_arrival,
                met.get(&order.client_id),
                step,
            );
        }
        Ok(())
    }

    fn order(
        &mut self,
        (limit, decided): (i64, i64),
        fills: &[&Fill],
        met: Option<&Met>,
        step: i64,
    ) {
        let qty: i64 = fills.iter().map(|fill| fill.qty).sum();
        let Some(met) = met.filter(|met| met.px > 0 && met.qty > 0 && qty > 0) else { return };
        let sign = fills[0].sign as f64;
        let value: f64 = fills.iter().map(|fill| fill.px as f64 * fill.qty as f64).sum();
        let paid = value / qty as f64;
        let against = |px: i64| sign * (paid / px as f64 - 1.0) * 1e4;
        let is_capped = limit > 0 && sign * (paid - limit as f64) >= 0.0;
        self.capped += usize::from(is_capped);
        self.orders.push(Took {
            part: qty as f64 / met.qty as f64,
            impact_bps: (!is_capped).then(|| against(met.px)),
            slippage_bps: if decided > 0 { against(decided) } else { 0.0 },
            step_bps: step as f64 / met.px as f64 * 5e3,
        });
    }

    /// What was found.
    pub fn end(&self) -> Impact {
        let point = |took: &Took| Some((took.part.min(1.0).sqrt(), took.impact_bps?));
        let points: Vec<(f64, f64)> = self.orders.iter().filter_map(point).collect();
        let step = self.orders.iter().map(|took| took.step_bps).fold(0.0, f64::max);
        let mut from = 0.0;
        let mut slippage = Vec::new();
        for to in PARTS {
            let own = self.orders.iter().filter(|took| took.part > from && took.part <= to);
            let own: Vec<f64> = own.map(|took| took.slippage_bps).collect();
            slippage.push(OfSize {
                part_max: to.is_finite().then_some(to),
                orders: own.len(),
                slippage_bps: mean(&own),
            });
            from = to;
        }
        let impact_bps = slope(&points).map(|found| found.at_least(step));
        Impact { orders: self.orders.len(), capped: self.capped, impact_bps, slippage }
    }
}

fn met_of(best: &[BookTicker], order: &Event) -> Met {
    let Some(best) = best.get(usize::from(order.instrument)) else { return Met::default() };
    match order.side() {
        Side::Buy => Met { px: best.ask_px, qty: best.ask_qty },
        Side::Sell => Met { px: best.bid_px, qty: best.bid_qty },
    }
}
