//! Resting orders against each queue model: of each order, which share the model fills on the
//! session's market, beside the share that was filled.
//!
//! An order that was filled is followed for another second before the model's is taken back: what
//! fills a moment later is late, not missed. The size of the position is left out of it: a model
//! that is wrong about one order would otherwise be wrong about the next ones.

use super::estimate::{Estimate, mean};
use super::recorded::{Recorded, Request};
use super::shadow::{self, Arrival, Seen};
use anyhow::Result;
use peregrine::base::event::{Event, OrderReport, flags};
use peregrine::base::settings::{PaperSettings, QueueModel};
use peregrine::base::{Kind, Nanos, OrderType, Purpose, Rate, TimeInForce};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// How long an order that was filled is followed.
const FOLLOWED: Nanos = Nanos::from_secs(1);

/// What became of resting orders, and what each model makes of them.
#[derive(Clone, Debug, Default)]
pub struct Passive {
    orders: Vec<Rested>,
}

/// One order.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Rested {
    /// Share filled.
    share: f64,
    /// Seconds until its first fill.
    waited: Option<f64>,
    /// By model: share filled, seconds until the first fill.
    models: [(f64, Option<f64>); QueueModel::ALL.len()],
}

/// A model against what was.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Judged {
    /// Its name.
    pub model: &'static str,
    /// Share that it fills less the share that was filled, an order.
    pub error: Option<Estimate>,
    /// The same without its sign.
    pub error_abs: Option<Estimate>,
    /// Seconds by which its first fill is later, where both fill.
    pub late_s: Option<Estimate>,
}

/// What was found of resting orders.
#[derive(Clone, Debug, Serialize)]
pub struct Queue {
    /// Orders that rested and ended.
    pub orders: usize,
    /// Share filled, an order.
    pub share: Option<Estimate>,
    /// Seconds until the first fill of those that were filled.
    pub waited_s: Option<Estimate>,
    /// Each model.
    pub models: Vec<Judged>,
    /// The model that is nearest, where it is nearer than every other beyond chance.
    pub nearest: Option<&'static str>,
}

impl Passive {
    /// Takes a session in.
    ///
    /// # Errors
    /// Damage of lane 0.
    pub fn session(&mut self, recorded: &Recorded) -> Result<()> {
        let takers = recorded.fills.iter().filter(|fill| !fill.is_maker);
        let takers: BTreeSet<u64> = takers.map(|fill| fill.client_id).collect();
        let own = recorded.requests.iter().filter(|request| {
            has_rested(recorded, request) && !takers.contains(&request.order().client_id)
        });
        let own: Vec<&Request> = own.collect();
        let arrivals = arrivals(recorded, &own);
        let filled = |fills: &mut BTreeMap<u64, (i64, Nanos)>, id: u64, qty: i64, at: Nanos| {
            fills.entry(id).or_insert((0, at)).0 += qty;
        };
        let mut found = vec![BTreeMap::new(); QueueModel::ALL.len()];
        let mut venues = Vec::new();
        for (_, queue) in QueueModel::ALL {
            let settings = PaperSettings { queue, impact: Rate(0), ..PaperSettings::default() };
            venues.push(shadow::venue(&recorded.instruments, settings));
        }
        let mut hear = |place: usize, event: &Event| {
            if event.kind() == Some(Kind::OrderFilled) {
                let report: &OrderReport = event.body();
                let at = Nanos(event.ts_venue);
                filled(&mut found[place], report.client_id, report.last_qty, at);
            }
        };
        shadow::run(recorded, &arrivals, &mut venues, &mut hear, &mut |_: Seen<'_>| {})?;
        let mut real = BTreeMap::new();
        for fill in &recorded.fills {
            filled(&mut real, fill.client_id, fill.qty, fill.acted);
        }
        for request in own {
            let (id, qty) = (request.order().client_id, request.order().qty as f64);
            let from = request.answer.map_or(Nanos::ZERO, |answer| answer.acted);
            let of = |fills: &BTreeMap<u64, (i64, Nanos)>| match fills.get(&id) {
                Some((sum, first)) => (*sum as f64 / qty, Some((*first - from).0 as f64 / 1e9)),
                None => (0.0, None),
            };
            let (share, waited) = of(&real);
            let models = std::array::from_fn(|place| of(&found[place]));
            self.orders.push(Rested { share, waited, models });
        }
        Ok(())
    }

    /// What was found.
    pub fn end(&self) -> Queue {
        let all = |of: &dyn Fn(&Rested) -> Option<f64>| -> Vec<f64> {
            self.orders.iter().filter_map(of).collect()
        };
        let judged = |place: usize| Judged {
            model: QueueModel::ALL[place].0,
            error: mean(&all(&|order| Some(order.models[place].0 - order.share))),
            error_abs: mean(&all(&|order| Some((order.models[place].0 - order.share).abs()))),
            late_s: mean(&all(&|order| Some(order.models[place].1? - order.waited?))),
        };
        Queue {
            orders: self.orders.len(),
            share: mean(&all(&|order| Some(order.share))),
            waited_s: mean(&all(&|order| order.waited)),
            models: (0..QueueModel::ALL.len()).map(judged).collect(),
            nearest: self.nearest(),
        }
    }

    /// The model whose error is smaller than that of every other, order by order, beyond chance.
    fn nearest(&self) -> Option<&'static str> {
        let off = |order: &Rested, place: usize| (order.models[place].0 - order.share).abs();
        let is_nearer = |one: usize, other: usize| {
            let gained: Vec<f64> =
                self.orders.iter().map(|order| off(order, other) - off(order, one)).collect();
            mean(&gained).is_some_and(|gained| gained.low > 0.0)
        };
        let places = 0..QueueModel::ALL.len();
        let nearest =
            |&one: &usize| places.clone().all(|other| other == one || is_nearer(one, other));
        places.clone().find(nearest).map(|place| QueueModel::ALL[place].0)
    }
}

/// True for an order that may rest and whose end is known to be a fill or a cancel.
fn has_rested(recorded: &Recorded, request: &Request) -> bool {
    let order = request.order();
    let rests = [TimeInForce::Gtc as u8, TimeInForce::Gtx as u8].contains(&order.time_in_force);
    let is_plain = order.order_type == OrderType::Limit as u8
        && order.purpose != Purpose::Protect as u8
        && rests
        && !request.is_cancel;
    let is_open = request.answer.is_some_and(|answer| !answer.is_refused);
    let ended = recorded.ended.get(&order.client_id).map(|(_, kind)| *kind);
    let is_known = matches!(ended, Some(Kind::OrderFilled | Kind::OrderCancelled));
    is_plain && is_open && is_known
}

/// The orders, and each one's end.
fn arrivals(recorded: &Recorded, own: &[&Request]) -> Vec<Arrival> {
    let mut arrivals = Vec::new();
    for request in own {
        let mut event = request.event;
        event.flags &= !flags::REDUCE_ONLY;
        let id = request.order().client_id;
        if let (Some(answer), Some((at, kind))) = (request.answer, recorded.ended.get(&id)) {
            let followed = if *kind == Kind::OrderFilled { FOLLOWED } else { Nanos::ZERO };
            arrivals.push(Arrival { at: answer.acted, event, is_cancel: false });
            arrivals.push(Arrival { at: *at + followed, event, is_cancel: true });
        }
    }
    arrivals.sort_by_key(|arrival| arrival.at);
    arrivals
}
