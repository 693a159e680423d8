//! What the venue keeps of one account.

use super::MarginMove;
use super::order::{Algo, Order, OrderName, PositionSide, UserTrade};
use super::position::{Position, index_of};
use crate::base::{Money, Nanos};
use crate::exchange::spec::SymbolSpec;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

/// Ended orders kept per account, oldest forgotten first: what was filled of them is summed.
pub const ENDED_ORDERS_MAX: usize = 250_000;
/// Fills kept per account; the oldest quarter is forgotten beyond it.
pub const TRADES_MAX: usize = 500_000;
/// Ended conditional orders kept per account, oldest forgotten first.
pub const ENDED_ALGOS_MAX: usize = 50_000;

/// One account. Maps with unordered keys are only looked up, never walked.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) api_key: String,
    pub(super) hedge: bool,
    pub(super) multi_assets: bool,
    /// One per contract.
    pub(super) slots: Vec<Slot>,
    pub(super) orders: BTreeMap<u64, Order>,
    pub(super) ended: VecDeque<u64>,
    pub(super) trades: Vec<UserTrade>,
    pub(super) algos: BTreeMap<u64, Algo>,
    pub(super) algo_names: HashMap<String, u64>,
    pub(super) ended_algos: VecDeque<u64>,
    /// The conditional order a running order came from.
    pub(super) algo_of: HashMap<u64, u64>,
    pub(super) margin_moves: Vec<MarginMove>,
    /// A margin call for cross positions was sent and the danger has not passed since.
    pub(super) warned: bool,
    pub(super) updated: Nanos,
}

/// One account in one contract.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) leverage: u32,
    pub(super) isolated: bool,
    pub(super) positions: [Position; 3],
    /// Resting orders.
    pub(super) open: BTreeSet<u64>,
    /// The newest order of each client's name.
    pub(super) names: HashMap<String, u64>,
    /// Conditional orders that wait.
    pub(super) algos: BTreeSet<u64>,
    /// When all orders are taken back; zero when no countdown runs.
    pub(super) countdown: Nanos,
    /// Orders that are no longer kept.
    pub(super) forgotten: Forgotten,
}

/// What the orders came to that are no longer kept, of one account in one contract.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Forgotten {
    /// How many.
    pub(super) orders: u64,
    /// Filled quantity of all of them, 1e-8; beyond 64 bits it begins anew from the other end.
    pub(super) filled: i64,
    /// Fees of all of them.
    pub(super) fee: Money,
}

impl Forgotten {
    fn add(&mut self, order: &Order) {
        self.orders += 1;
        self.filled = self.filled.wrapping_add(order.filled.0);
        self.fee += order.fee;
    }
}

impl Slot {
    fn new(leverage: u32) -> Self {
        Self {
            leverage,
            isolated: false,
            positions: [Position::default(); 3],
            open: BTreeSet::new(),
            names: HashMap::new(),
            algos: BTreeSet::new(),
            countdown: Nanos::ZERO,
            forgotten: Forgotten::default(),
        }
    }

    pub(super) const fn position(&self, side: PositionSide) -> &Position {
        &self.positions[index_of(side)]
    }

    pub(super) const fn position_mut(&mut self, side: PositionSide) -> &mut Position {
        &mut self.positions[index_of(side)]
    }

    pub(super) fn has_position(&self) -> bool {
        self.positions.iter().any(|position| position.qty.0 != 0)
    }

    /// Value of resting buy and sell orders that may open.
    pub(super) fn open_value(&self) -> (Money, Money) {
        let sum = |of: fn(&Position) -> Money| {
            self.positions.iter().fold(Money::ZERO, |sum, position| sum + of(position))
        };
        (sum(|position| position.bid_value), sum(|position| position.ask_value))
    }
}

impl Account {
    /// `leverage` is taken down to what a contract allows.
    pub(super) fn new(api_key: String, specs: &[SymbolSpec], leverage: u32, now: Nanos) -> Self {
        let slot = |spec: &SymbolSpec| {
            let highest = spec.brackets.iter().map(|bracket| bracket.leverage).max();
            Slot::new(leverage.clamp(1, highest.unwrap_or(1)))
        };
        Self {
            api_key,
            hedge: false,
            multi_assets: false,
            slots: specs.iter().map(slot).collect(),
            orders: BTreeMap::new(),
            ended: VecDeque::new(),
            trades: Vec::new(),
            algos: BTreeMap::new(),
            algo_names: HashMap::new(),
            ended_algos: VecDeque::new(),
            algo_of: HashMap::new(),
            margin_moves: Vec::new(),
            warned: false,
            updated: now,
        }
    }

    pub(super) fn position_sides(&self) -> &'static [PositionSide] {
        if self.hedge { &[PositionSide::Long, PositionSide::Short] } else { &[PositionSide::Both] }
    }

    /// Number of an order of a contract by name; the venue's number wins.
    pub(super) fn find(&self, contract: usize, name: &OrderName) -> Option<u64> {
        let id = match (name.id, &name.client_id) {
            (Some(id), _) => id,
            (None, Some(client_id)) => *self.slots[contract].names.get(client_id)?,
            (None, None) => return None,
        };
        self.orders.get(&id).filter(|order| order.contract == contract).map(|order| order.id)
    }

    /// Number of a conditional order by name; the venue's number wins.
    pub(super) fn find_algo(&self, name: &OrderName) -> Option<u64> {
        let id = match (name.id, &name.client_id) {
            (Some(id), _) => id,
            (None, Some(client_id)) => *self.algo_names.get(client_id)?,
            (None, None) => return None,
        };
        self.algos.contains_key(&id).then_some(id)
    }

    /// True when an open order has this name.
    pub(super) fn is_name_open(&self, client_id: &str) -> bool {
        let open = |slot: &Slot| {
            let order = slot.names.get(client_id).and_then(|id| self.orders.get(id));
            order.is_some_and(|order| order.status.is_open())
        };
        self.slots.iter().any(open)
    }

    /// Resting orders of all contracts.
    pub(super) fn has_open(&self) -> bool {
        self.slots.iter().any(|slot| !slot.open.is_empty() || !slot.algos.is_empty())
    }

    /// Conditional orders that wait, over all contracts.
    pub(super) fn waiting_algos(&self) -> usize {
        self.slots.iter().map(|slot| slot.algos.len()).sum()
    }

    /// An order has ended: the oldest ended one is forgotten where there are too many.
    pub(super) fn keep_ended(&mut self, id: u64) {
        self.ended.push_back(id);
        if self.ended.len() <= ENDED_ORDERS_MAX {
            return;
        }
        let gone = self.ended.pop_front().and_then(|old| self.orders.remove(&old));
        if let Some(order) = gone {
            let slot = &mut self.slots[order.contract];
            slot.forgotten.add(&order);
            if slot.names.get(&order.client_id) == Some(&order.id) {
                slot.names.remove(&order.client_id);
            }
        }
    }

    /// A conditional order has ended: as [`Account::keep_ended`].
    pub(super) fn keep_ended_algo(&mut self, id: u64) {
        self.ended_algos.push_back(id);
        if self.ended_algos.len() <= ENDED_ALGOS_MAX {
            return;
        }
        let gone = self.ended_algos.pop_front().and_then(|old| self.algos.remove(&old));
        if let Some(algo) = gone
            && self.algo_names.get(&algo.client_id) == Some(&algo.id)
        {
            self.algo_names.remove(&algo.client_id);
        }
    }

    pub(super) fn keep_trade(&mut self, trade: UserTrade) {
        if self.trades.len() == TRADES_MAX {
            self.trades.drain(..TRADES_MAX / 4);
        }
        self.trades.push(trade);
    }
}
