//! One price of one side: a queue of the crowd's lots and of clients' orders.
//!
//! Where only the crowd stands, which is nearly everywhere, there is no queue but a number.

use super::{Hit, Owner, SelfTrade, Taker};
use std::collections::VecDeque;

/// Lots that stand together in the queue.
#[derive(Clone, Copy, Debug)]
struct Slot {
    owner: Owner,
    /// 0 for the crowd.
    order: u64,
    /// Above zero.
    lots: i64,
}

/// See the head of this file.
#[derive(Clone, Debug, Default)]
pub(super) struct Level {
    /// Empty while no client stands here.
    queue: VecDeque<Slot>,
    lots: i64,
    crowd: i64,
}

impl Level {
    /// Everyone's lots.
    pub(super) const fn lots(&self) -> i64 {
        self.lots
    }

    /// The crowd's lots.
    pub(super) const fn crowd(&self) -> i64 {
        self.crowd
    }

    /// Lots of one owner.
    pub(super) fn owned(&self, owner: Owner) -> i64 {
        if owner == Owner::CROWD {
            return self.crowd;
        }
        self.queue.iter().filter(|slot| slot.owner == owner).map(|slot| slot.lots).sum()
    }

    /// Lots ahead of a client's order; `None` when it is not here.
    pub(super) fn find(&self, order: u64) -> Option<i64> {
        let mut ahead = 0;
        for slot in &self.queue {
            if slot.order == order {
                return Some(ahead);
            }
            ahead += slot.lots;
        }
        None
    }

    /// The clients' orders, first come first.
    pub(super) fn clients(&self) -> impl Iterator<Item = (Owner, u64, i64)> + '_ {
        let named = self.queue.iter().filter(|slot| slot.owner != Owner::CROWD);
        named.map(|slot| (slot.owner, slot.order, slot.lots))
    }

    /// The crowd's lots become `lots`: more join at the back, fewer leave from the back.
    pub(super) fn set_crowd(&mut self, lots: i64) {
        if lots > self.crowd {
            self.push(Owner::CROWD, 0, lots - self.crowd);
            return;
        }
        let mut leaving = self.crowd - lots;
        self.crowd = lots;
        self.lots -= leaving;
        if self.queue.is_empty() {
            return;
        }
        let mut at = self.queue.len();
        while leaving > 0 {
            at -= 1;
            let slot = &mut self.queue[at];
            if slot.owner == Owner::CROWD {
                let gone = slot.lots.min(leaving);
                slot.lots -= gone;
                leaving -= gone;
            }
        }
        self.queue.retain(|slot| slot.lots > 0);
    }

    /// Lots join the back.
    pub(super) fn push(&mut self, owner: Owner, order: u64, lots: i64) {
        if owner == Owner::CROWD {
            self.lots += lots;
            self.crowd += lots;
            if self.queue.is_empty() {
                return;
            }
            if let Some(last) = self.queue.back_mut()
                && last.owner == Owner::CROWD
            {
                last.lots += lots;
                return;
            }
        } else {
            if self.queue.is_empty() && self.crowd > 0 {
                self.queue.push_back(Slot { owner: Owner::CROWD, order: 0, lots: self.crowd });
            }
            self.lots += lots;
        }
        self.queue.push_back(Slot { owner, order, lots });
    }

    /// Cuts a client's order to `lots`; what it had.
    pub(super) fn cut(&mut self, order: u64, lots: i64) -> Option<i64> {
        let at = self.queue.iter().position(|slot| slot.order == order)?;
        let had = self.queue[at].lots;
        let lots = lots.clamp(0, had);
        self.lots -= had - lots;
        if lots == 0 {
            self.queue.remove(at);
        } else {
            self.queue[at].lots = lots;
        }
        self.forget_plain_queue();
        Some(had)
    }

    /// The last client has left: the crowd needs no queue.
    fn forget_plain_queue(&mut self) {
        if self.lots == self.crowd {
            self.queue.clear();
        }
    }

    /// Serves a taker from the front. The lots it still wants, and whether it expires here.
    pub(super) fn take(
        &mut self,
        taker: &Taker,
        tick: i64,
        wanted: i64,
        hits: &mut Vec<Hit>,
    ) -> (i64, bool) {
        if self.queue.is_empty() {
            let lots = self.crowd.min(wanted);
            self.crowd -= lots;
            self.lots -= lots;
            hits.push(Hit::Trade { maker: Owner::CROWD, order: 0, tick, lots });
            return (wanted - lots, false);
        }
        let mut left = wanted;
        let mut stopped = false;
        while left > 0 && !stopped {
            let Some(slot) = self.queue.front_mut() else { break };
            let own = slot.owner == taker.owner && slot.owner != Owner::CROWD;
            if own && taker.self_trade != SelfTrade::Allow {
                if taker.self_trade == SelfTrade::ExpireTaker {
                    stopped = true;
                    continue;
                }
                let (order, lots) = (slot.order, slot.lots);
                hits.push(Hit::MakerExpired { order, tick, lots });
                self.lots -= lots;
                self.queue.pop_front();
                stopped = taker.self_trade == SelfTrade::ExpireBoth;
                continue;
            }
            let lots = slot.lots.min(left);
            let (maker, order) = (slot.owner, slot.order);
            slot.lots -= lots;
            left -= lots;
            self.lots -= lots;
            if maker == Owner::CROWD {
                self.crowd -= lots;
            }
            if slot.lots == 0 {
                self.queue.pop_front();
            }
            hits.push(Hit::Trade { maker, order, tick, lots });
        }
        self.forget_plain_queue();
        (left, stopped)
    }
}
