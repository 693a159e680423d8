//! What an account chooses: hedge and multi-assets mode, leverage, isolated margin.

use super::ledger::Place;
use super::margin::{initial_margin, max_notional, worst_value};
use super::notice::News;
use super::order::PositionSide;
use super::refusal::*;
use super::{Accounts, MarginMove};
use crate::base::{Money, Nanos};
use crate::exchange::flow::market::SyntheticMarket;
use crate::exchange::wire::error::VenueError;

/// Moves of isolated margin kept per account; the oldest quarter is forgotten beyond it.
const MARGIN_MOVES_MAX: usize = 10_000;

impl Accounts {
    /// Hedge mode on or off.
    ///
    /// # Errors
    /// The venue's refusal.
    pub fn set_hedge(&mut self, account: usize, on: bool) -> Result<(), VenueError> {
        let held = &mut self.list[account];
        if held.hedge == on {
            return Err(SAME_HEDGE);
        }
        if held.has_open() {
            return Err(HEDGE_ORDERS);
        }
        if held.slots.iter().any(super::client::Slot::has_position) {
            return Err(HEDGE_POSITION);
        }
        held.hedge = on;
        Ok(())
    }

    /// True in hedge mode.
    pub fn is_hedge(&self, account: usize) -> bool {
        self.list[account].hedge
    }

    /// Multi-assets mode on or off. With one asset it changes nothing but what is refused: isolated
    /// margin does not go with it.
    ///
    /// # Errors
    /// The venue's refusal.
    pub fn set_multi_assets(
        &mut self,
        account: usize,
        on: bool,
        now: Nanos,
    ) -> Result<(), VenueError> {
        let held = &mut self.list[account];
        if held.multi_assets == on {
            return Err(SAME_ASSETS);
        }
        if on && held.slots.iter().any(|slot| slot.isolated) {
            return Err(ASSETS_ISOLATED);
        }
        if held.has_open() {
            return Err(ASSETS_ORDERS);
        }
        held.multi_assets = on;
        self.tell(account, now, News::MultiAssets { on });
        Ok(())
    }

    /// True in multi-assets mode.
    pub fn is_multi_assets(&self, account: usize) -> bool {
        self.list[account].multi_assets
    }

    /// Sets a contract's leverage; the largest position value it allows.
    ///
    /// # Errors
    /// The venue's refusal.
    pub fn set_leverage(
        &mut self,
        market: &SyntheticMarket,
        account: usize,
        contract: usize,
        leverage: u32,
        now: Nanos,
    ) -> Result<Money, VenueError> {
        let brackets = market.spec(contract).brackets;
        let highest = brackets.iter().map(|bracket| bracket.leverage).max().unwrap_or(1);
        if leverage == 0 || leverage > highest {
            return Err(VenueError::with(-4028, format!("Leverage {leverage} is not valid")));
        }
        let slot = &self.list[account].slots[contract];
        let largest = max_notional(brackets, leverage);
        let mark = market.mark_px(contract);
        let mut more = Money::ZERO;
        for position in &slot.positions {
            let notional = position.notional(mark);
            let worst = worst_value(notional, position.bid_value, position.ask_value);
            if worst > largest {
                return Err(MAX_POSITION);
            }
            more += initial_margin(worst, leverage) - initial_margin(worst, slot.leverage);
        }
        if leverage < slot.leverage && slot.isolated && slot.has_position() {
            return Err(LEVERAGE_ISOLATED);
        }
        if more > Money::ZERO && more > self.spare(market, account) {
            return Err(LEVERAGE_MARGIN);
        }
        if leverage != slot.leverage {
            self.list[account].slots[contract].leverage = leverage;
            self.tell(account, now, News::Leverage { contract, leverage });
        }
        Ok(largest)
    }

    /// Leverage of a contract.
    pub fn leverage(&self, account: usize, contract: usize) -> u32 {
        self.list[account].slots[contract].leverage
    }

    /// Sets a contract's margin to be the position's own, or shared.
    ///
    /// # Errors
    /// The venue's refusal.
    pub fn set_isolated(
        &mut self,
        account: usize,
        contract: usize,
        isolated: bool,
    ) -> Result<(), VenueError> {
        let held = &mut self.list[account];
        let slot = &mut held.slots[contract];
        if slot.isolated == isolated {
            return Err(SAME_MARGIN_TYPE);
        }
        if !slot.open.is_empty() || !slot.algos.is_empty() {
            return Err(MARGIN_TYPE_ORDERS);
        }
        if slot.has_position() {
            return Err(MARGIN_TYPE_POSITION);
        }
        if isolated && held.multi_assets {
            return Err(ISOLATED_ASSETS);
        }
        slot.isolated = isolated;
        Ok(())
    }

    /// True where a contract's margin is the position's own.
    pub fn is_isolated(&self, account: usize, contract: usize) -> bool {
        self.list[account].slots[contract].isolated
    }

    /// Adds to or takes from an isolated position's margin.
    ///
    /// # Errors
    /// The venue's refusal.
    pub fn move_margin(
        &mut self,
        market: &SyntheticMarket,
        account: usize,
        contract: usize,
        side: PositionSide,
        amount: Money,
        now: Nanos,
    ) -> Result<(), VenueError> {
        let held = &self.list[account];
        let slot = &held.slots[contract];
        if amount == Money::ZERO {
            return Err(AMOUNT);
        }
        if !held.position_sides().contains(&side) {
            return Err(POSITION_SIDE);
        }
        if !slot.isolated {
            return Err(MOVE_CROSS);
        }
        let position = slot.position(side);
        if position.qty.0 == 0 {
            return Err(MOVE_NO_POSITION);
        }
        let mark = market.mark_px(contract);
        let needed = initial_margin(position.notional(mark), slot.leverage);
        let loss = position.unrealized(mark).0.min(0);
        // What may leave: no more than the initial margin and a loss leave over.
        let loose = position.isolated_wallet + Money(loss) - needed;
        if amount > Money::ZERO && amount > self.spare(market, account) {
            return Err(CROSS_SHORT);
        }
        if amount < Money::ZERO && amount.0 < -loose.0.max(0) {
            return Err(ISOLATED_SHORT);
        }
        let held = &mut self.list[account];
        let position = held.slots[contract].position_mut(side);
        position.isolated_wallet += amount;
        position.updated = now;
        held.updated = now;
        if held.margin_moves.len() == MARGIN_MOVES_MAX {
            held.margin_moves.drain(..MARGIN_MOVES_MAX / 4);
        }
        held.margin_moves.push(MarginMove { contract, side, amount, ts: now });
        self.tell_account(market, account, "MARGIN_TRANSFER", contract, &[side], now);
        Ok(())
    }

    /// An account's moves of isolated margin in order of time.
    pub fn margin_moves(&self, account: usize) -> &[MarginMove] {
        &self.list[account].margin_moves
    }

    /// Wallet balance of an account.
    pub fn wallet(&self, account: usize) -> Money {
        self.ledger.balance(Place::Wallet(account))
    }
}
