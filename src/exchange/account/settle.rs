//! What fills do: ledger, position, order, and who is told.

use super::Accounts;
use super::ledger::{Cause, Place, Posting};
use super::margin::initial_margin;
use super::notice::{Execution, News};
use super::order::{Order, OrderKind, PositionSide, Status, UserTrade};
use super::place::Expiry;
use super::position::value;
use crate::base::units::fee;
use crate::base::{Money, Nanos, Px, Qty, Side};
use crate::exchange::flow::client::{px_of, qty_of};
use crate::exchange::flow::market::SyntheticMarket;
use crate::exchange::flow::trading::Fill;
use crate::exchange::matching::Hit;

/// One client's part in a trade.
#[derive(Clone, Copy, Debug)]
struct Deal {
    px: Px,
    qty: Qty,
    trade_id: i64,
    maker: bool,
    ts: Nanos,
}

impl Accounts {
    /// Takes in what the crowd did to resting orders.
    pub fn on_fills(&mut self, market: &mut SyntheticMarket, fills: &[(usize, Fill)]) {
        for (contract, fill) in fills {
            self.settle(market, *contract, None, std::slice::from_ref(fill));
        }
        let now = fills.last().map_or(Nanos::ZERO, |(_, fill)| fill.ts);
        self.follow(market, now);
    }

    /// Settles what happened while an order took; `taker` is its account and number, `None` for the
    /// crowd's.
    pub(super) fn settle(
        &mut self,
        market: &SyntheticMarket,
        contract: usize,
        taker: Option<(usize, u64)>,
        fills: &[Fill],
    ) {
        for fill in fills {
            match fill.hit {
                Hit::Trade { maker, order, tick, lots } => {
                    let spec = market.spec(contract);
                    let deal = Deal {
                        px: px_of(spec, tick),
                        qty: qty_of(spec, lots),
                        trade_id: fill.trade_id,
                        maker: false,
                        ts: fill.ts,
                    };
                    if let Some((account, id)) = taker {
                        self.fill(market, account, id, deal);
                    }
                    if let Some(account) = maker.index() {
                        self.fill(market, account, order, Deal { maker: true, ..deal });
                    }
                }
                Hit::MakerExpired { order, .. } => {
                    if let Some((account, _)) = taker {
                        let (status, why) = (Status::ExpiredInMatch, Expiry::SelfTrade);
                        self.end(account, order, status, why, fill.ts);
                    }
                }
                Hit::TakerExpired => {}
            }
        }
    }

    /// Settles one client's part in a trade.
    ///
    /// A reduce-only order never takes part beyond the position: where one sweep met several orders
    /// of an account and the position is gone before the last of them, the rest of the trade is
    /// between the taker and the crowd, and the order ends whatever the position becomes.
    fn fill(&mut self, market: &SyntheticMarket, account: usize, id: u64, deal: Deal) {
        let held = &mut self.list[account];
        let Some(order) = held.orders.get_mut(&id) else { return };
        let spec = market.spec(order.contract);
        let slot = &mut held.slots[order.contract];
        let position = &mut slot.positions[super::position::index_of(order.position_side)];
        let mut qty = deal.qty;
        if order.reduce_only {
            qty = qty.min(position.closable(order.side));
            if deal.maker && qty < deal.qty {
                self.overtaken.push((account, id));
            }
            self.touched.push((account, order.contract, order.position_side));
            if qty.0 == 0 {
                return;
            }
        }
        let quote = value(qty, deal.px);
        let rate = if deal.maker { spec.maker_fee } else { spec.taker_fee };
        let paid = fee(quote, rate).expect("a fee is smaller than the value");
        if deal.maker && !order.reduce_only {
            let open = value(qty, order.px);
            match order.side {
                Side::Buy => position.bid_value -= open,
                Side::Sell => position.ask_value -= open,
            }
        }

        let change = position.fill(order.side, qty, deal.px, paid);
        if slot.isolated {
            position.isolated_wallet += initial_margin(change.opened, slot.leverage);
        }
        position.updated = deal.ts;
        if change.closed.0 > 0 {
            self.touched.push((account, order.contract, order.position_side));
        }
        order.filled += qty;
        order.quote += quote;
        order.fee += paid;
        order.updated = deal.ts;
        let done = order.leaves().0 == 0;
        order.status = if done { Status::Filled } else { Status::PartiallyFilled };
        let trade = UserTrade {
            contract: order.contract,
            trade_id: deal.trade_id,
            order: id,
            side: order.side,
            position_side: order.position_side,
            px: deal.px,
            qty,
            quote,
            fee: paid,
            realized: change.realized,
            maker: deal.maker,
            ts: deal.ts,
        };
        let told = Box::new(order.clone());
        held.keep_trade(trade);
        held.updated = deal.ts;
        self.post_trade(account, &trade);
        self.tell_trade(market, account, told, trade);
        if done {
            self.retire(account, id, deal.ts);
        }
    }

    /// Profit and fee of a fill.
    fn post_trade(&mut self, account: usize, trade: &UserTrade) {
        let wallet = Place::Wallet(account);
        let pnl = Posting {
            id: 0,
            ts: trade.ts,
            from: Place::Positions,
            to: wallet,
            amount: trade.realized,
            cause: Cause::RealizedPnl,
            contract: Some(trade.contract),
            trade_id: trade.trade_id,
        };
        let (from, to, amount) = (wallet, Place::Fees, trade.fee);
        self.ledger.post(pnl);
        self.ledger.post(Posting { from, to, amount, cause: Cause::Commission, ..pnl });
    }

    fn tell_trade(
        &mut self,
        market: &SyntheticMarket,
        account: usize,
        order: Box<Order>,
        fill: UserTrade,
    ) {
        self.tell(account, fill.ts, News::TradeLite { order: order.clone(), fill });
        let sides = &[fill.position_side];
        self.tell_account(market, account, "ORDER", fill.contract, sides, fill.ts);
        let forced = order.kind == OrderKind::Liquidation;
        let execution = if forced { Execution::Calculated } else { Execution::Trade };
        let open_value = self.list[account].slots[fill.contract].open_value();
        let news = News::Order { order, execution, fill: Some(fill), open_value };
        self.tell(account, fill.ts, news);
    }

    /// Tells of the balance and of positions of a contract.
    pub(super) fn tell_account(
        &mut self,
        market: &SyntheticMarket,
        account: usize,
        reason: &'static str,
        contract: usize,
        sides: &[PositionSide],
        ts: Nanos,
    ) {
        let news = |side: &PositionSide| self.position_news(market, account, contract, *side);
        let what = News::Account {
            reason,
            contract: Some(contract),
            wallet: self.ledger.balance(Place::Wallet(account)),
            cross_wallet: self.cross_wallet(account),
            change: Money::ZERO,
            positions: sides.iter().map(news).collect(),
        };
        self.tell(account, ts, what);
    }

    /// Lets what waits follow the positions that changed: reduce-only orders that have become too
    /// many expire, and where a position is gone so are the conditional orders that were to close
    /// it and a debt it left.
    pub(super) fn follow(&mut self, market: &mut SyntheticMarket, now: Nanos) {
        for (account, id) in std::mem::take(&mut self.overtaken) {
            if self.list[account].orders.get(&id).is_some_and(|order| order.status.is_open()) {
                self.lift(market, account, id, now);
                self.end(account, id, Status::Expired, Expiry::ReduceOnly, now);
            }
        }
        while let Some((account, contract, side)) = self.touched.pop() {
            self.trim_reduce_only(market, account, contract, now);
            if self.list[account].slots[contract].position(side).qty.0 == 0 {
                self.drop_closing_algos(account, contract, side, now);
                self.cover(account, now);
            }
        }
    }

    /// Expires the reduce-only orders that could open a position if all before them were filled.
    /// The venue words this reason "knocked out by another higher priority RO order or reversed
    /// positions would be opened": the order ends, it is not cut.
    fn trim_reduce_only(
        &mut self,
        market: &mut SyntheticMarket,
        account: usize,
        contract: usize,
        now: Nanos,
    ) {
        let held = &self.list[account];
        let slot = &held.slots[contract];
        let open = slot.open.iter().filter_map(|id| held.orders.get(id));
        let mut reducing: Vec<&Order> = open.filter(|order| order.reduce_only).collect();
        if reducing.is_empty() {
            return;
        }
        // Best price first, then first come.
        reducing.sort_by_key(|order| (-order.side.sign() * order.px.0, order.id));
        let mut left = slot
            .positions
            .map(|position| [position.closable(Side::Buy).0, position.closable(Side::Sell).0]);
        let mut gone = Vec::new();
        for order in reducing {
            let position = &mut left[super::position::index_of(order.position_side)];
            let left = &mut position[order.side as usize];
            if order.leaves().0 <= *left {
                *left -= order.leaves().0;
            } else {
                gone.push(order.id);
            }
        }
        for id in gone {
            self.lift(market, account, id, now);
            self.end(account, id, Status::Expired, Expiry::ReduceOnly, now);
        }
    }
}
