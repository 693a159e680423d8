//! A challenger's share of the session's trading, as the session's own records deal it.

use crate::base::Reason;
use crate::base::event::ModelSwap;
use crate::base::ids::InstrumentId;
use crate::base::split::Split;
use crate::base::time::Nanos;
use crate::engine::SwapRole;
use crate::promotion::{Assigned, Assignment};

/// See the head of this file.
#[derive(Clone, Copy, Debug, Default)]
pub struct Deal {
    split: Option<Split>,
    /// Why the share was taken away by itself, until a line has told it.
    tripped: Option<&'static str>,
}

impl Deal {
    /// Takes in a change of the session's models; `is_its` says whether it names this one.
    pub fn on_swap(&mut self, swap: &ModelSwap, is_its: bool) {
        let canary = swap.role == SwapRole::Canary as u8;
        if canary && swap.share_bps > 0 {
            // There is one place for a share: another model's ends this one's.
            let ModelSwap { seed, share_bps, block_ms, .. } = *swap;
            let split = is_its.then_some(Split { seed, share_bps, block_ms });
            *self = Self { split, tripped: None };
        } else if canary && self.split.is_some() {
            let reason = Reason::from_u16(swap.reason);
            if matches!(reason, Some(Reason::Operator | Reason::ChampionMoved)) {
                self.split = None;
            } else {
                self.tripped = Some(reason.map_or("unknown", Reason::name));
            }
        } else if swap.role == SwapRole::Champion as u8 && is_its {
            // It has all of the trading now.
            *self = Self::default();
        }
    }

    /// Who trades `instrument` at `now`, while there is a share, with the first `carry_over` of
    /// each block counting for nobody; and what took the share away, told once and last.
    pub fn at(
        &mut self,
        instrument: InstrumentId,
        now: Nanos,
        carry_over: Nanos,
    ) -> (Option<Assigned>, Option<String>) {
        let Some(split) = self.split else { return (None, None) };
        let counted = Assignment::new(split, carry_over).map(|deal| deal.at(instrument, now));
        // Blocks that are all carry-over: traded, and nothing of it counts.
        let traded = || {
            let deal = Assignment::new(split, Nanos::ZERO)?;
            Some(Assigned { carry_over: true, ..deal.at(instrument, now) })
        };
        let assigned = counted.or_else(traded);
        let tripped = self.tripped.take();
        if tripped.is_some() {
            self.split = None;
        }
        (assigned, tripped.map(str::to_owned))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promotion::Arm;

    const PLACE: InstrumentId = InstrumentId(0);

    fn swap(role: SwapRole, share_bps: u16, reason: Reason) -> ModelSwap {
        let (role, reason) = (role as u8, reason as u16);
        ModelSwap { role, share_bps, reason, block_ms: 10_000, seed: 4, ..ModelSwap::default() }
    }

    #[test]
    fn a_share_is_dealt_as_the_session_deals_it_from_its_beginning_to_its_end() {
        let mut deal = Deal::default();
        let second = Nanos::from_secs;
        assert_eq!(deal.at(PLACE, second(1), second(2)), (None, None));
        deal.on_swap(&swap(SwapRole::Canary, 2_000, Reason::Operator), true);
        let split = Split { seed: 4, share_bps: 2_000, block_ms: 10_000 };
        let mut arms = [0, 0];
        for at in 0..2_000 {
            let (assigned, tripped) = deal.at(PLACE, second(at), second(2));
            let assigned = assigned.unwrap();
            let canary = split.is_canary(PLACE, second(at));
            assert_eq!(assigned.arm == Arm::Canary, canary);
            assert_eq!((assigned.block, assigned.carry_over), (at / 10, at % 10 < 2));
            assert_eq!(tripped, None);
            arms[usize::from(canary)] += 1;
        }
        assert!(arms[0] > arms[1] && arms[1] > 0, "{arms:?}");
        deal.on_swap(&swap(SwapRole::Canary, 0, Reason::Operator), true);
        assert_eq!(deal.at(PLACE, second(1), second(2)), (None, None));
        deal.on_swap(&swap(SwapRole::Canary, 2_000, Reason::Operator), true);
        deal.on_swap(&swap(SwapRole::Canary, 1_000, Reason::Operator), false);
        assert_eq!(deal.at(PLACE, second(1), second(2)), (None, None), "another has the share");
    }

    #[test]
    fn what_took_the_share_away_by_itself_is_told_once_on_its_last_line() {
        let mut deal = Deal::default();
        deal.on_swap(&swap(SwapRole::Canary, 2_000, Reason::Operator), true);
        deal.on_swap(&swap(SwapRole::Refused, 0, Reason::ModelRefused), false);
        assert!(deal.at(PLACE, Nanos::ZERO, Nanos::ZERO).0.is_some(), "nothing changed");
        deal.on_swap(&swap(SwapRole::Canary, 0, Reason::ModelErrors), true);
        let (assigned, tripped) = deal.at(PLACE, Nanos::ZERO, Nanos::ZERO);
        assert!(assigned.is_some());
        assert_eq!(tripped.as_deref(), Some(Reason::ModelErrors.name()));
        assert_eq!(deal.at(PLACE, Nanos::ZERO, Nanos::ZERO), (None, None));
    }

    #[test]
    fn blocks_no_longer_than_the_horizon_count_for_nobody() {
        let mut deal = Deal::default();
        deal.on_swap(&swap(SwapRole::Canary, 5_000, Reason::Operator), true);
        for at in 0..100 {
            let (assigned, _) = deal.at(PLACE, Nanos::from_secs(at), Nanos::from_secs(10));
            assert!(assigned.unwrap().carry_over);
        }
    }
}
