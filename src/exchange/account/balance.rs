//! Balances and positions at the market's prices.

use super::client::Slot;
use super::ledger::Place;
use super::margin::{
    Leg, bracket_of, initial_margin, liquidation_px, maint_margin, max_notional, worst_value,
};
use super::notice::PositionNews;
use super::order::PositionSide;
use super::position::Position;
use super::{Accounts, Balance, PositionView};
use crate::base::{Money, Px};
use crate::exchange::flow::market::SyntheticMarket;

impl Accounts {
    /// Balances and margin at the market's prices.
    pub fn balance(&self, market: &SyntheticMarket, account: usize) -> Balance {
        let held = &self.list[account];
        let mut balance = Balance {
            wallet: self.ledger.balance(Place::Wallet(account)),
            updated: held.updated,
            ..Balance::default()
        };
        balance.cross_wallet = balance.wallet;
        let mut cross_margin = Money::ZERO;
        for (contract, slot) in held.slots.iter().enumerate() {
            let mark = market.mark_px(contract);
            for position in slot.positions.iter().filter(|position| is_used(position)) {
                let unrealized = position.unrealized(mark);
                let notional = position.notional(mark);
                let (own, orders) = margins(slot, position, mark);
                balance.unrealized += unrealized;
                balance.position_margin += own;
                balance.order_margin += orders;
                balance.maint_margin += maint_margin(market.spec(contract).brackets, notional);
                balance.cross_wallet -= position.isolated_wallet;
                if !slot.isolated {
                    balance.cross_unrealized += unrealized;
                    cross_margin += own;
                }
            }
        }
        // Isolated positions have set their margin aside; their orders have not yet.
        let bound = cross_margin + balance.order_margin;
        let spare = balance.cross_wallet + balance.cross_unrealized - bound;
        balance.available = spare.max(Money::ZERO);
        balance
    }

    /// What new orders may use; below zero where open ones need more than there is.
    pub(super) fn spare(&self, market: &SyntheticMarket, account: usize) -> Money {
        self.balance(market, account).available
    }

    /// Wallet less what isolated positions have set aside.
    pub(super) fn cross_wallet(&self, account: usize) -> Money {
        let positions = self.list[account].slots.iter().flat_map(|slot| &slot.positions);
        let wallet = self.ledger.balance(Place::Wallet(account));
        positions.fold(wallet, |left, position| left - position.isolated_wallet)
    }

    /// Positions of an account: in one-way mode one per contract, in hedge mode two.
    pub fn positions(&self, market: &SyntheticMarket, account: usize) -> Vec<PositionView> {
        let held = &self.list[account];
        let balance = self.balance(market, account);
        let mut views = Vec::new();
        for (contract, slot) in held.slots.iter().enumerate() {
            let spec = market.spec(contract);
            let mark = market.mark_px(contract);
            for &side in held.position_sides() {
                let position = slot.position(side);
                let (position_margin, order_margin) = margins(slot, position, mark);
                views.push(PositionView {
                    news: self.position_news(market, account, contract, side),
                    notional: position.notional(mark),
                    position_margin,
                    order_margin,
                    bid_notional: position.bid_value,
                    ask_notional: position.ask_value,
                    liquidation_px: skewed(
                        self.liquidation_px(market, account, contract, side, &balance),
                        market.at(contract).liquidation_skew_bps,
                    ),
                    leverage: slot.leverage,
                    max_notional: max_notional(spec.brackets, slot.leverage),
                    updated: position.updated,
                    cost: position.cost,
                });
            }
        }
        views
    }

    /// A position as the stream tells it.
    pub(super) fn position_news(
        &self,
        market: &SyntheticMarket,
        account: usize,
        contract: usize,
        side: PositionSide,
    ) -> PositionNews {
        let slot = &self.list[account].slots[contract];
        let position = slot.position(side);
        let mark_px = market.mark_px(contract);
        let notional = position.notional(mark_px);
        PositionNews {
            contract,
            side,
            qty: position.qty,
            entry_px: position.entry_px(),
            break_even_px: position.break_even_px(),
            mark_px,
            realized: position.realized,
            unrealized: position.unrealized(mark_px),
            isolated: slot.isolated,
            isolated_wallet: position.isolated_wallet,
            maint_margin: maint_margin(market.spec(contract).brackets, notional),
        }
    }

    /// Price at which a position would be liquidated; zero where none would. Cross positions of one
    /// contract share it. Where the position is in another bracket at that price than at the mark
    /// price, the venue asks to compute again with that bracket.
    fn liquidation_px(
        &self,
        market: &SyntheticMarket,
        account: usize,
        contract: usize,
        side: PositionSide,
        balance: &Balance,
    ) -> Px {
        let held = &self.list[account];
        let slot = &held.slots[contract];
        if slot.position(side).qty.0 == 0 {
            return Px::ZERO;
        }
        let brackets = market.spec(contract).brackets;
        let mark = market.mark_px(contract);
        let sides = if slot.isolated { std::slice::from_ref(&side) } else { held.position_sides() };
        let positions = || sides.iter().map(|side| slot.position(*side));
        let mut backing = slot.position(side).isolated_wallet;
        if !slot.isolated {
            backing =
                balance.cross_wallet + balance.cross_unrealized - self.cross_maint(market, account);
            for position in positions() {
                backing -= position.unrealized(mark);
                backing += maint_margin(brackets, position.notional(mark));
            }
        }
        let mut px = mark;
        for _ in brackets {
            let leg = |position: &Position| {
                let bracket = bracket_of(brackets, position.notional(px));
                let (rate, cum) = (bracket.maint_rate, bracket.cum);
                Leg { qty: position.qty, cost: position.cost, rate, cum }
            };
            let legs: Vec<Leg> = positions().map(leg).collect();
            let found = liquidation_px(backing, &legs);
            let settled = positions().all(|position| {
                let at = |px| bracket_of(brackets, position.notional(px)).floor;
                at(found) == at(px)
            });
            px = found;
            if settled {
                break;
            }
        }
        px
    }

    /// Maintenance margin of all cross positions.
    pub(super) fn cross_maint(&self, market: &SyntheticMarket, account: usize) -> Money {
        let mut sum = Money::ZERO;
        for (contract, slot) in self.list[account].slots.iter().enumerate() {
            let brackets = market.spec(contract).brackets;
            let mark = market.mark_px(contract);
            for position in slot.positions.iter().filter(|_| !slot.isolated) {
                sum += maint_margin(brackets, position.notional(mark));
            }
        }
        sum
    }
}

fn is_used(position: &Position) -> bool {
    let Position { qty, bid_value, ask_value, isolated_wallet, .. } = position;
    qty.0 != 0 || bid_value.0 != 0 || ask_value.0 != 0 || isolated_wallet.0 != 0
}

/// Initial margin of a position and of the orders around it. Orders need what the worse side of
/// them would add to the position.
fn margins(slot: &Slot, position: &Position, mark: Px) -> (Money, Money) {
    let notional = position.notional(mark);
    let own = initial_margin(notional, slot.leverage);
    let worst = worst_value(notional, position.bid_value, position.ask_value);
    (own, initial_margin(worst, slot.leverage) - own)
}

/// A price that is told wrongly by so many basis points.
fn skewed(px: Px, bps: i64) -> Px {
    let off = i128::from(px.0) * i128::from(bps) / 10_000;
    Px(px.0.saturating_add(i64::try_from(off).unwrap_or(0)))
}
