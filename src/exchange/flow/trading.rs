//! Orders take, trades are printed: the crowd's and clients' alike.

use super::client::Resting;
use super::contract::{Contract, Moment};
use crate::base::{Nanos, Side};
use crate::exchange::matching::{Hit, Owner, SelfTrade, Taker};
use crate::exchange::tape::frames::{self, Print, Stream};
use rand::Rng;

/// Something that happened to a client's order, as taker or as maker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fill {
    /// What.
    pub hit: Hit,
    /// Number of the trade; 0 where none took place.
    pub trade_id: i64,
    /// The taker's side.
    pub taker: Side,
    /// When.
    pub ts: Nanos,
}

impl Contract {
    /// An order of the crowd takes up to `lots` at `tick` or better.
    pub fn take(&mut self, at: &mut Moment<'_>, taker: Side, tick: i64, lots: i64) {
        let order = Taker {
            owner: Owner::CROWD,
            side: taker,
            limit: Some(tick),
            lots,
            self_trade: SelfTrade::Allow,
        };
        let (_, hits) = self.take_as(at, &order);
        // Only clients' orders are told of; the crowd has no name to be told by.
        self.fills.extend(hits.iter().filter(|fill| is_clients(&fill.hit)));
        let opened: f64 = self.rng.random_range(-0.5..0.5);
        self.open_interest += (opened * lots as f64) as i64;
    }

    /// Any order takes what it can: the book, the trades and their aggregates. The lots it could
    /// not take, and what happened.
    pub fn take_as(&mut self, at: &mut Moment<'_>, order: &Taker) -> (i64, Vec<Fill>) {
        self.stamp(at);
        let mut hits = std::mem::take(&mut self.hits);
        hits.clear();
        let left = self.book.take(order, &mut hits);
        let mut fills = Vec::new();
        let mut first = self.trade_id + 1;
        for (i, hit) in hits.iter().enumerate() {
            let mut trade_id = 0;
            if let Hit::Trade { tick, lots, .. } = *hit {
                let print = Print { tick, lots, taker: order.side };
                self.trade(
                    at,
                    print,
                    order.owner == Owner::CROWD && !is_clients(hit) && !self.replayed,
                );
                trade_id = self.trade_id;
                let same = |next: &&Hit| matches!(next, Hit::Trade { tick: t, .. } if *t == tick);
                let is_trade = |next: &&Hit| matches!(next, Hit::Trade { .. });
                // An order that expired in between does not cut an aggregate in two.
                if hits[i + 1..].iter().find(is_trade).filter(same).is_none() {
                    let lots = lots_at(&hits, tick);
                    self.aggregate(at, first, Print { lots, ..print });
                    first = self.trade_id + 1;
                }
            }
            if order.owner != Owner::CROWD || is_clients(hit) {
                fills.push(Fill { hit: *hit, trade_id, taker: order.side, ts: at.now });
            }
        }
        self.hits = hits;
        (left, fills)
    }

    /// The crowd takes a client's resting order out of turn, whatever stands before it.
    pub fn take_this(&mut self, at: &mut Moment<'_>, order: Resting) {
        self.stamp(at);
        let Resting { owner, order, side, tick, .. } = order;
        let Some(lots) = self.book.cut(side, tick, order, 0).filter(|lots| *lots > 0) else {
            return;
        };
        let print = Print { tick, lots, taker: side.opposite() };
        self.trade(at, print, false);
        self.aggregate(at, self.trade_id, print);
        let hit = Hit::Trade { maker: owner, order, tick, lots };
        self.fills.push(Fill { hit, trade_id: self.trade_id, taker: print.taker, ts: at.now });
    }

    /// Lots change hands at one price: one trade, or up to three where only the crowd trades.
    fn trade(&mut self, at: &mut Moment<'_>, print: Print, may_split: bool) {
        let Print { tick, lots, taker } = print;
        self.last_tick = tick;
        let mut left = lots;
        let parts = if may_split { self.rng.random_range(1..=3) } else { 1 };
        for part in 0..parts {
            if left == 0 {
                break;
            }
            let share = if part == parts - 1 { left } else { self.rng.random_range(1..=left) };
            left -= share;
            self.trade_id += 1;
            let print = Print { tick, lots: share, taker };
            self.candle.add(&self.spec, self.trade_id, print);
            if let Some(history) = &mut self.history {
                history.on_trade(at.now, self.trade_id, print);
            }
            let (id, name) = (self.trade_id, &self.names[Stream::Trade as usize]);
            at.out.push(at.now, self.index, Stream::Trade, name, |json| {
                frames::trade(json, &self.spec, at.now, id, print);
            });
        }
    }

    /// A forced order was filled; told of at most once a second, as the venue does.
    pub fn forced(&mut self, at: &mut Moment<'_>, print: Print) {
        if at.now - self.forced_at >= Nanos::from_secs(1) {
            self.forced_at = at.now;
            let name = &self.names[Stream::ForceOrder as usize];
            at.out.push(at.now, self.index, Stream::ForceOrder, name, |json| {
                frames::force_order(json, &self.spec, at.now, print);
            });
        }
    }

    /// The trades since `first` as one aggregate.
    fn aggregate(&mut self, at: &mut Moment<'_>, first: i64, print: Print) {
        self.agg_id += 1;
        let ids = (first, self.trade_id);
        if let Some(history) = &mut self.history {
            history.on_aggregate(at.now, self.agg_id, ids, print);
        }
        let name = &self.names[Stream::AggTrade as usize];
        at.out.push(at.now, self.index, Stream::AggTrade, name, |json| {
            frames::agg_trade(json, &self.spec, at.now, self.agg_id, ids, print);
        });
    }
}

const fn is_clients(hit: &Hit) -> bool {
    !matches!(hit, Hit::Trade { maker: Owner::CROWD, .. })
}

/// Lots traded at a tick.
fn lots_at(hits: &[Hit], at: i64) -> i64 {
    let lots = |hit: &Hit| match *hit {
        Hit::Trade { tick, lots, .. } if tick == at => lots,
        _ => 0,
    };
    hits.iter().map(lots).sum()
}
