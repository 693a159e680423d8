//! What the exchange's books and trades were, noted where they are made; and whether what a session
//! holds and was told is the same.
//!
//! | promise | held against |
//! |---|---|
//! | B1 a book held valid is the exchange's of that update id | its own, price by price |
//! | B2 trades come once, in order, as they were, or the hole is told | what it remembers of them |
//!
//! The exchange's book is copied when the change of that id is published. A snapshot of some levels
//! says nothing of those behind them: there only what changed since is held, and compared.

use peregrine::base::event::{Trade, flags};
use peregrine::base::{Event, Side};
use peregrine::book::Book;
use peregrine::exchange::flow::contract::Contract;
use peregrine::exchange::{Exchange, SyntheticMarket};
use std::collections::{BTreeMap, VecDeque};

/// Books kept of each contract: forty seconds of changes.
const KEPT: usize = 400;

/// Prices and quantities of a side, best first, 1e-8.
pub type Side8 = Vec<(i64, i64)>;

/// One book of the exchange.
#[derive(Clone, Debug)]
struct State {
    id: u64,
    bids: Side8,
    asks: Side8,
}

#[derive(Clone, Debug, Default)]
struct Known {
    states: VecDeque<State>,
    /// Every update id a change was published under.
    published: Vec<u64>,
    /// Prices of the last bid and ask of each snapshot given out, by its id.
    snapshots: BTreeMap<u64, (i64, i64)>,
}

/// See the head of this file.
#[derive(Debug)]
pub struct Books {
    known: Vec<Known>,
    /// Levels of a side that are noted.
    depth: usize,
    /// Books compared so far.
    pub compared: u64,
}

/// Ids of the exchange, which never uses the sign.
fn id_of(id: i64) -> u64 {
    id.unsigned_abs()
}

/// One side of a contract's book.
fn side_of(contract: &Contract, side: Side, depth: usize) -> Side8 {
    let (tick, lot) = (contract.spec.tick_size.0, contract.spec.lot_size.0);
    let scaled = |(px, lots): (i64, i64)| (px * tick, lots * lot);
    match side {
        Side::Buy => contract.book.bids().take(depth).map(scaled).collect(),
        Side::Sell => contract.book.asks().take(depth).map(scaled).collect(),
    }
}

impl Books {
    /// Of so many contracts, noting `depth` levels of a side.
    pub fn new(contracts: usize, depth: usize) -> Self {
        Self { known: vec![Known::default(); contracts], depth, compared: 0 }
    }

    /// To be called after each thing that happens at the exchange: notes what was published.
    pub fn look(&mut self, market: &SyntheticMarket) {
        for (place, known) in self.known.iter_mut().enumerate() {
            let contract = market.at(place);
            let id = id_of(contract.last_id());
            // Between two changes nothing is touched: the book is what the last one made it.
            if contract.book.is_touched() || known.published.last() == Some(&id) {
                continue;
            }
            known.published.push(id);
            if known.states.len() == KEPT {
                known.states.pop_front();
            }
            let [bids, asks] =
                [Side::Buy, Side::Sell].map(|side| side_of(contract, side, self.depth));
            known.states.push_back(State { id, bids, asks });
        }
    }

    /// A snapshot of so many levels is given out.
    pub fn on_snapshot(&mut self, market: &SyntheticMarket, symbol: &str, levels: usize) {
        let Some(place) = market.index_of(symbol) else { return };
        let contract = market.at(place);
        let tick = contract.spec.tick_size.0;
        let bid = contract.book.bids().take(levels).last().map_or(0, |(px, _)| px * tick);
        let ask = contract.book.asks().take(levels).last().map_or(0, |(px, _)| px * tick);
        self.known[place].snapshots.insert(id_of(contract.last_id()), (bid, ask));
    }

    /// B1: how a valid book that rests on the snapshot of this id differs from the exchange's. A
    /// book of so long ago that it is not noted any more is passed over.
    pub fn difference(&mut self, contract: usize, book: &Book, snapshot: u64) -> Option<String> {
        let known = &self.known[contract];
        let id = book.last_id();
        if known.states.front().is_none_or(|first| id < first.id) {
            return None;
        }
        self.compared += 1;
        let Some(state) = known.states.iter().rev().find(|state| state.id == id) else {
            return Some(format!("B1: contract {contract} is held valid at {id}, never published"));
        };
        let Some(&(worst_bid, worst_ask)) = known.snapshots.get(&snapshot) else {
            return Some(format!("B1: contract {contract} rests on {snapshot}, never given out"));
        };
        let sides = [
            (Side::Buy, &state.bids, worst_bid, book.bids()),
            (Side::Sell, &state.asks, worst_ask, book.asks()),
        ];
        sides.into_iter().find_map(|(side, theirs, worst, own)| {
            let own: Side8 = own.map(|level| (level.px, level.qty)).collect();
            let found = differs(side, theirs, worst, &own, theirs.len() < self.depth)?;
            Some(format!("B1: contract {contract} at {id}: {side:?} {found}"))
        })
    }

    /// B2: how a trade differs from the exchange's of its number.
    pub fn wrong_trade(exchange: &Exchange, event: &Event) -> Option<String> {
        let trade: &Trade = event.body();
        let contract = exchange.market.at(usize::from(event.instrument));
        let all = contract.history.as_ref()?.aggregates();
        let first = all.front()?.id;
        let number = i64::try_from(trade.trade_id).unwrap_or(0);
        let Some(theirs) = usize::try_from(number - first).ok().and_then(|at| all.get(at)) else {
            return Some(format!("B2: trade {number} never was"));
        };
        let (tick, lot) = (contract.spec.tick_size.0, contract.spec.lot_size.0);
        let taker = if event.has(flags::SELL) { Side::Sell } else { Side::Buy };
        let own = (number, trade.px, trade.qty, taker);
        let print = theirs.print;
        let wanted = (theirs.id, print.tick * tick, print.lots * lot, print.taker);
        (own != wanted).then(|| format!("B2: trade {own:?}, at the exchange {wanted:?}"))
    }
}

/// The best price at which both differ, as far as both can be known: the exchange's side down to
/// where it was noted (`whole`: all of it), ours where the snapshot or a change told of it.
pub fn differs(side: Side, theirs: &Side8, worst: i64, own: &Side8, whole: bool) -> Option<String> {
    let rank = |px: i64| -px * side.sign();
    let noted = theirs.last().map_or(i64::MIN, |(px, _)| rank(*px));
    let (mut i, mut j) = (0, 0);
    while i < theirs.len() || j < own.len() {
        let next =
            [theirs.get(i), own.get(j)].into_iter().flatten().map(|(px, _)| rank(*px)).min()?;
        let take = |levels: &Side8, at: &mut usize| match levels.get(*at) {
            Some((px, qty)) if rank(*px) == next => {
                *at += 1;
                *qty
            }
            _ => 0,
        };
        let (there, here) = (take(theirs, &mut i), take(own, &mut j));
        if !whole && next > noted {
            return None;
        }
        let is_told = next <= rank(worst) || here > 0;
        if there != here && is_told {
            return Some(format!("{there} at {}, held {here}", -next * side.sign()));
        }
    }
    None
}

#[test]
fn b1_finds_a_level_that_is_missing_too_many_or_of_another_quantity() {
    let bids = vec![(100, 5), (99, 4), (97, 3), (96, 2)];
    let found = |own: &[(i64, i64)], worst| differs(Side::Buy, &bids, worst, &own.to_vec(), true);
    assert_eq!(found(&bids, 96), None);
    // Behind the snapshot's last level only what changed since is held.
    assert_eq!(found(&bids[..2], 99), None);
    assert_eq!(found(&[(100, 5), (99, 4), (96, 2)], 99), None);
    for (own, worst, what) in [
        (&bids[..3], 96, "2 at 96, held 0"),
        (&[(100, 5), (99, 1), (97, 3), (96, 2)][..], 96, "4 at 99, held 1"),
        (&[(101, 1), (100, 5), (99, 4)][..], 99, "0 at 101, held 1"),
        (&[(100, 5), (99, 4), (96, 7)][..], 99, "2 at 96, held 7"),
        (&[][..], 100, "5 at 100, held 0"),
    ] {
        assert_eq!(found(own, worst).as_deref(), Some(what), "{own:?}");
    }
    let asks = vec![(100, 5), (101, 4)];
    assert_eq!(differs(Side::Sell, &asks, 101, &asks, true), None);
    let own = vec![(101, 4)];
    assert_eq!(differs(Side::Sell, &asks, 101, &own, true).as_deref(), Some("5 at 100, held 0"));
    // No deeper than it was noted.
    assert_eq!(differs(Side::Sell, &asks, 103, &vec![(100, 5), (101, 4), (102, 9)], false), None);
}
