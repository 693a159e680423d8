//! Funding between longs and shorts.

use super::Accounts;
use super::ledger::{Cause, Place, Posting};
use super::notice::News;
use super::order::PositionSide;
use crate::base::units::SCALE;
use crate::base::{Money, Nanos, Px, Qty, Rate};
use crate::exchange::flow::market::SyntheticMarket;

impl Accounts {
    /// Settles funding of a contract at the mark price last published and the rate before it.
    pub(super) fn settle_funding(&mut self, market: &SyntheticMarket, contract: usize, now: Nanos) {
        let rate = market.settled_rate(contract, now);
        let mark = market.mark_px(contract);
        for account in 0..self.list.len() {
            let isolated = self.list[account].slots[contract].isolated;
            let mut change = Money::ZERO;
            let mut paid = Vec::new();
            for side in [PositionSide::Both, PositionSide::Long, PositionSide::Short] {
                let position = self.list[account].slots[contract].position_mut(side);
                let amount = funding(position.qty, mark, rate);
                if position.qty.0 == 0 {
                    continue;
                }
                if isolated {
                    position.isolated_wallet += amount;
                }
                change += amount;
                paid.push(side);
                self.ledger.post(Posting {
                    id: 0,
                    ts: now,
                    from: Place::Funding,
                    to: Place::Wallet(account),
                    amount,
                    cause: Cause::FundingFee,
                    contract: Some(contract),
                    trade_id: 0,
                });
            }
            if paid.is_empty() {
                continue;
            }
            self.list[account].updated = now;
            // The venue tells of isolated positions alone.
            paid.retain(|_| isolated);
            let news = |side: &PositionSide| self.position_news(market, account, contract, *side);
            let what = News::Account {
                reason: "FUNDING_FEE",
                contract: Some(contract),
                wallet: self.ledger.balance(Place::Wallet(account)),
                cross_wallet: self.cross_wallet(account),
                change,
                positions: paid.iter().map(news).collect(),
            };
            self.tell(account, now, what);
        }
    }
}

/// What a position receives: −quantity × mark × rate, so that longs pay when the rate is above
/// zero. Rounded toward zero; what rounding leaves stays where it was.
pub(super) fn funding(qty: Qty, mark: Px, rate: Rate) -> Money {
    // Up to 1e13 × 1e15 × 1e8 units: beyond i64, within i128.
    let exact = i128::from(qty.0) * i128::from(mark.0) * i128::from(rate.0);
    let amount = -exact / (i128::from(SCALE) * i128::from(SCALE));
    Money(i64::try_from(amount).expect("funding is a small part of a position's value"))
}
