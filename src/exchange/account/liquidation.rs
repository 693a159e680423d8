//! Margin calls and liquidation.
//!
//! ```text
//!   maintenance / equity:   ─── 70 % ──── 80 % ──────── 100 % ───
//!                           forget call    MARGIN_CALL    orders expire, positions are closed,
//!                                                         fee to, or shortfall from, insurance
//! ```
//! Equity is wallet plus unrealised profit: of all cross positions together, of an isolated one by
//! itself.

use super::Accounts;
use super::ledger::{Cause, Place, Posting};
use super::margin::maint_margin;
use super::notice::{Execution, News, PositionNews};
use super::order::{NewOrder, OrderKind, PositionSide, PriceMatch, Status, TimeInForce};
use super::place::Expiry;
use super::rules::Ticket;
use crate::base::units::fee;
use crate::base::{Money, Nanos, Px, Side};
use crate::exchange::flow::market::SyntheticMarket;
use crate::exchange::matching::SelfTrade;
use crate::exchange::tape::frames::Print;

/// A margin call is sent above this share of equity, in percent.
const CALL_PERCENT: i128 = 80;
/// Another may be sent once it was below this.
const CALM_PERCENT: i128 = 70;

// Else one swing around a single threshold would send a call each time.
const _: () = assert!(CALM_PERCENT < CALL_PERCENT);

/// How near liquidation a margin is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Health {
    Calm,
    Between,
    Called,
    Gone,
}

fn health_of(equity: Money, maint: Money) -> Health {
    let (equity, part) = (i128::from(equity.0), i128::from(maint.0) * 100);
    if equity * 100 < part {
        Health::Gone
    } else if part > equity * CALL_PERCENT {
        Health::Called
    } else if part < equity * CALM_PERCENT {
        Health::Calm
    } else {
        Health::Between
    }
}

impl Accounts {
    /// A price moved (last trade or mark): conditional orders, margin calls, liquidation.
    pub fn on_prices(&mut self, market: &mut SyntheticMarket, contract: usize, now: Nanos) {
        if market.at(contract).halted {
            return;
        }
        for account in 0..self.list.len() {
            if !self.list[account].slots[contract].algos.is_empty() {
                self.watch_algos(market, account, contract, now);
            }
            let slot = &self.list[account].slots[contract];
            if slot.isolated {
                for side in [PositionSide::Both, PositionSide::Long, PositionSide::Short] {
                    self.watch_isolated(market, account, contract, side, now);
                }
            } else if slot.has_position() {
                self.watch_cross(market, account, now);
            }
        }
        self.follow(market, now);
    }

    fn watch_cross(&mut self, market: &mut SyntheticMarket, account: usize, now: Nanos) {
        let equity = self.cross_equity(market, account);
        let health = health_of(equity, self.cross_maint(market, account));
        let held = &mut self.list[account];
        match health {
            Health::Gone => self.liquidate_cross(market, account, now),
            Health::Called if !held.warned => {
                held.warned = true;
                let positions = self.cross_positions(market, account);
                let cross_wallet = self.cross_wallet(account);
                self.tell(account, now, News::MarginCall { cross_wallet, positions });
            }
            Health::Calm => held.warned = false,
            Health::Called | Health::Between => {}
        }
    }

    fn watch_isolated(
        &mut self,
        market: &mut SyntheticMarket,
        account: usize,
        contract: usize,
        side: PositionSide,
        now: Nanos,
    ) {
        let position = self.list[account].slots[contract].position(side);
        if position.qty.0 == 0 {
            return;
        }
        let mark = market.mark_px(contract);
        let maint = maint_margin(market.spec(contract).brackets, position.notional(mark));
        let health = health_of(position.isolated_wallet + position.unrealized(mark), maint);
        let position = self.list[account].slots[contract].position_mut(side);
        match health {
            Health::Gone => {
                self.expire_orders(market, account, contract, now);
                self.close_by_force(market, account, contract, side, now);
            }
            Health::Called if !position.warned => {
                position.warned = true;
                let positions = vec![self.position_news(market, account, contract, side)];
                let cross_wallet = self.cross_wallet(account);
                self.tell(account, now, News::MarginCall { cross_wallet, positions });
            }
            Health::Calm => position.warned = false,
            Health::Called | Health::Between => {}
        }
    }

    /// Closes cross positions, the one that needs most margin first, until what is left is covered
    /// or nothing more can be closed.
    fn liquidate_cross(&mut self, market: &mut SyntheticMarket, account: usize, now: Nanos) {
        for contract in 0..market.len() {
            if !self.list[account].slots[contract].isolated {
                self.expire_orders(market, account, contract, now);
            }
        }
        let mut positions = self.cross_positions(market, account);
        positions.sort_by_key(|news| (-news.maint_margin.0, news.contract, news.side));
        for PositionNews { contract, side, .. } in positions {
            let maint = self.cross_maint(market, account);
            if self.cross_equity(market, account) >= maint {
                break;
            }
            if !market.at(contract).halted {
                self.close_by_force(market, account, contract, side, now);
            }
        }
    }

    fn expire_orders(
        &mut self,
        market: &mut SyntheticMarket,
        account: usize,
        contract: usize,
        now: Nanos,
    ) {
        let open: Vec<u64> = self.list[account].slots[contract].open.iter().copied().collect();
        for id in open {
            self.lift(market, account, id, now);
            self.end(account, id, Status::Expired, Expiry::Liquidated, now);
        }
    }

    /// Sends the venue's own order against a position, takes the liquidation fee from what is left
    /// of its margin, and has the insurance fund pay what is missing.
    fn close_by_force(
        &mut self,
        market: &mut SyntheticMarket,
        account: usize,
        contract: usize,
        position_side: PositionSide,
        now: Nanos,
    ) {
        let slot = &self.list[account].slots[contract];
        let position = slot.position(position_side);
        let side = if position.qty.0 > 0 { Side::Sell } else { Side::Buy };
        let (isolated, own) = (slot.isolated, position.isolated_wallet);
        let before = self.wallet(account);
        let new = NewOrder {
            contract,
            side,
            position_side: Some(position_side),
            kind: OrderKind::Liquidation,
            tif: None,
            qty: Some(position.qty.abs()),
            px: None,
            reduce_only: None,
            client_id: Some(format!("autoclose-{}{:03}", now.to_millis(), self.last_order % 1_000)),
            self_trade: SelfTrade::Allow,
            price_match: PriceMatch::None,
            good_till: Nanos::ZERO,
        };
        let ticket = Ticket {
            position_side,
            tif: TimeInForce::Ioc,
            px: Px::ZERO,
            qty: position.qty.abs(),
            reduce_only: false,
            good_till: Nanos::ZERO,
        };
        let id = self.open(account, &new, &ticket, now);
        self.tell_order(account, id, Execution::New, None, now);
        self.run(market, account, id, now);

        let order = &self.list[account].orders[&id];
        let (quote, spec) = (order.quote, market.spec(contract));
        if order.filled.0 > 0 {
            let tick = order.average_px().0 / spec.tick_size.0;
            let lots = order.filled.0 / spec.lot_size.0;
            market.client_forced(now, contract, Print { tick, lots, taker: side });
        }
        let left = if isolated {
            // What its own margin became: the part released, and what was realised on it.
            let position = self.list[account].slots[contract].position(position_side);
            own - position.isolated_wallet + self.wallet(account) - before
        } else {
            self.cross_wallet(account)
        };
        let due = fee(quote, market.spec(contract).liquidation_fee).unwrap_or(Money::ZERO);
        let taken = due.min(left.max(Money::ZERO));
        self.clear(account, Some(contract), -taken, now);
        if isolated && left < Money::ZERO {
            self.clear(account, Some(contract), -left, now);
        }
    }

    /// The insurance fund pays the loss of an account that has no cross position left to make it
    /// up.
    pub(super) fn cover(&mut self, account: usize, now: Nanos) {
        let short = self.cross_wallet(account);
        let open = |slot: &super::client::Slot| !slot.isolated && slot.has_position();
        if short < Money::ZERO && !self.list[account].slots.iter().any(open) {
            self.clear(account, None, -short, now);
        }
    }

    /// The insurance fund pays an amount into a wallet, or below zero is paid, and tells.
    fn clear(&mut self, account: usize, contract: Option<usize>, amount: Money, now: Nanos) {
        if amount == Money::ZERO {
            return;
        }
        self.ledger.post(Posting {
            id: 0,
            ts: now,
            from: Place::Insurance,
            to: Place::Wallet(account),
            amount,
            cause: Cause::InsuranceClear,
            contract,
            trade_id: 0,
        });
        self.list[account].updated = now;
        let what = News::Account {
            reason: Cause::InsuranceClear.name(),
            contract,
            wallet: self.wallet(account),
            cross_wallet: self.cross_wallet(account),
            change: amount,
            positions: Vec::new(),
        };
        self.tell(account, now, what);
    }

    /// Cross positions that are open.
    fn cross_positions(&self, market: &SyntheticMarket, account: usize) -> Vec<PositionNews> {
        let held = &self.list[account];
        let mut open = Vec::new();
        for (contract, slot) in held.slots.iter().enumerate().filter(|(_, slot)| !slot.isolated) {
            for &side in held.position_sides() {
                if slot.position(side).qty.0 != 0 {
                    open.push(self.position_news(market, account, contract, side));
                }
            }
        }
        open
    }

    /// Wallet and unrealised profit of all cross positions.
    fn cross_equity(&self, market: &SyntheticMarket, account: usize) -> Money {
        let balance = self.balance(market, account);
        balance.cross_wallet + balance.cross_unrealized
    }
}
