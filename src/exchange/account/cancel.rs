//! Taking orders back: by request, by countdown, by their own date.

use super::order::{Order, OrderName, Status};
use super::place::Expiry;
use super::{Accounts, Timer};
use crate::base::Nanos;
use crate::exchange::flow::market::SyntheticMarket;
use crate::exchange::wire::error::VenueError;

impl Accounts {
    /// Takes an order back.
    ///
    /// # Errors
    /// The venue's refusal.
    pub fn cancel(
        &mut self,
        market: &mut SyntheticMarket,
        account: usize,
        contract: usize,
        name: &OrderName,
        now: Nanos,
    ) -> Result<Order, VenueError> {
        let held = &self.list[account];
        let id = held.find(contract, name).ok_or(VenueError::UNKNOWN_ORDER)?;
        if !held.slots[contract].open.contains(&id) {
            return Err(VenueError::UNKNOWN_ORDER);
        }
        self.take_back(market, account, id, now);
        Ok(self.list[account].orders[&id].clone())
    }

    /// Takes all of an account's orders in a contract back; how many there were.
    pub fn cancel_all(
        &mut self,
        market: &mut SyntheticMarket,
        account: usize,
        contract: usize,
        now: Nanos,
    ) -> usize {
        let open: Vec<u64> = self.list[account].slots[contract].open.iter().copied().collect();
        for &id in &open {
            self.take_back(market, account, id, now);
        }
        open.len()
    }

    /// Takes all orders of a contract back when `after` has passed without another call; zero calls
    /// it off. Conditional orders stay.
    pub fn countdown(&mut self, account: usize, contract: usize, after: Nanos, now: Nanos) {
        let slot = &mut self.list[account].slots[contract];
        let timer = Timer::Countdown { account, contract };
        self.timers.remove(&(slot.countdown, timer));
        slot.countdown = Nanos::ZERO;
        if after > Nanos::ZERO {
            slot.countdown = now + after;
            self.timers.insert((slot.countdown, timer));
        }
    }

    /// A GTD order's date has come.
    pub(super) fn end_good_till(
        &mut self,
        market: &mut SyntheticMarket,
        account: usize,
        id: u64,
        now: Nanos,
    ) {
        self.lift(market, account, id, now);
        self.end(account, id, Status::Expired, Expiry::None, now);
    }

    pub(super) fn take_back(
        &mut self,
        market: &mut SyntheticMarket,
        account: usize,
        id: u64,
        now: Nanos,
    ) {
        self.lift(market, account, id, now);
        self.end(account, id, Status::Canceled, Expiry::None, now);
    }
}
