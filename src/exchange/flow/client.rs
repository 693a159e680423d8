//! What named orders do in the market. Every call happens at the market's own time or later; frames
//! it causes are queued like the crowd's.

use super::contract::{Contract, Moment};
use super::market::SyntheticMarket;
use super::trading::Fill;
use crate::base::{Nanos, Px, Qty, Side};
use crate::exchange::matching::{Book, Owner, Taker};
use crate::exchange::spec::SymbolSpec;
use crate::exchange::tape::frames::{Mark, Print};

/// A client's order that rests.
#[derive(Clone, Copy, Debug)]
pub struct Resting {
    /// Whose.
    pub owner: Owner,
    /// Its number.
    pub order: u64,
    /// Side of the book.
    pub side: Side,
    /// Price.
    pub tick: i64,
    /// Lots that rest, above zero.
    pub lots: i64,
}

impl SyntheticMarket {
    /// Number of contracts.
    pub fn len(&self) -> usize {
        self.contracts.len()
    }

    /// True without contracts.
    pub fn is_empty(&self) -> bool {
        self.contracts.is_empty()
    }

    /// Index of a contract by its upper-case symbol.
    pub fn index_of(&self, symbol: &str) -> Option<usize> {
        self.contracts.iter().position(|contract| contract.spec.symbol.as_str() == symbol)
    }

    /// A contract by its index.
    pub fn at(&self, index: usize) -> &Contract {
        &self.contracts[index]
    }

    /// A contract by its index, to be halted, shocked or given new facts.
    pub fn at_mut(&mut self, index: usize) -> &mut Contract {
        &mut self.contracts[index]
    }

    /// Facts of a contract.
    pub fn spec(&self, index: usize) -> &SymbolSpec {
        &self.contracts[index].spec
    }

    /// Book of a contract.
    pub fn book(&self, index: usize) -> &Book {
        &self.contracts[index].book
    }

    /// Mark price message of a contract as last published.
    pub fn mark(&self, index: usize) -> &Mark {
        self.contracts[index].mark()
    }

    /// Mark price.
    pub fn mark_px(&self, index: usize) -> Px {
        Px(self.mark(index).mark)
    }

    /// Price of the last trade.
    pub fn last_px(&self, index: usize) -> Px {
        let contract = &self.contracts[index];
        Px(contract.last_tick() * contract.spec.tick_size.0)
    }

    /// Lets a client's order take what it can. The lots it could not take, and what happened; the
    /// makers among them that are clients are told here, not by [`SyntheticMarket::take_fills`].
    pub fn client_take(&mut self, now: Nanos, index: usize, order: &Taker) -> (i64, Vec<Fill>) {
        self.as_client(now, index, |contract, at| contract.take_as(at, order))
    }

    /// Puts a client's order into the book, at the back of its price. Nothing is taken: the caller
    /// has let it take before.
    pub fn client_rest(&mut self, now: Nanos, index: usize, order: Resting) {
        self.as_client(now, index, |contract, at| {
            contract.stamp(at);
            let Resting { owner, order, side, tick, lots } = order;
            contract.book.rest(side, tick, owner, order, lots);
        });
    }

    /// Cuts a client's resting order to `lots`, keeping its place; 0 takes it out. The lots it had.
    pub fn client_cut(&mut self, now: Nanos, index: usize, order: Resting) -> Option<i64> {
        self.as_client(now, index, |contract, at| {
            contract.stamp(at);
            contract.book.cut(order.side, order.tick, order.order, order.lots)
        })
    }

    /// Tells the public of a forced order that was filled.
    pub fn client_forced(&mut self, now: Nanos, index: usize, print: Print) {
        self.as_client(now, index, |contract, at| contract.forced(at, print));
    }

    /// Fills a client's resting order out of turn: the crowd takes all of it, whatever stands
    /// before it. What happened is told by [`SyntheticMarket::take_fills`].
    pub fn client_fill(&mut self, now: Nanos, index: usize, order: Resting) {
        self.as_client(now, index, |contract, at| contract.take_this(at, order));
    }

    /// What the crowd did to clients' resting orders since the last call: `(contract, fill)`.
    pub fn take_fills(&mut self) -> Vec<(usize, Fill)> {
        let mut all = Vec::new();
        self.filled.sort_unstable();
        self.filled.dedup();
        for index in self.filled.drain(..) {
            let fills = self.contracts[index].take_fills();
            all.extend(fills.into_iter().map(|fill| (index, fill)));
        }
        all
    }

    pub(super) fn as_client<T>(
        &mut self,
        now: Nanos,
        index: usize,
        act: impl FnOnce(&mut Contract, &mut Moment<'_>) -> T,
    ) -> T {
        self.now = self.now.max(now);
        self.with(index, |contract, at| {
            let result = act(contract, at);
            contract.show(at);
            result
        })
    }
}

/// A price as a whole number of ticks; `None` off the grid.
pub fn tick_of(spec: &SymbolSpec, px: Px) -> Option<i64> {
    px.is_multiple_of(spec.tick_size).then(|| px.0 / spec.tick_size.0)
}

/// A quantity as a whole number of lots; `None` off the grid.
pub fn lots_of(spec: &SymbolSpec, qty: Qty) -> Option<i64> {
    qty.is_multiple_of(spec.lot_size).then(|| qty.0 / spec.lot_size.0)
}

/// Lots as a quantity.
pub fn qty_of(spec: &SymbolSpec, lots: i64) -> Qty {
    Qty(lots * spec.lot_size.0)
}

/// Ticks as a price.
pub fn px_of(spec: &SymbolSpec, tick: i64) -> Px {
    Px(tick * spec.tick_size.0)
}
