//! The risk state kept twice, held against each other once a second: a bit that flips in memory, or
//! a limit that moves, is no longer the state that was agreed on.
//!
//! | kept by | held against |
//! |---|---|
//! | a position's quantity, fees, funding | the sums of its reports, see `balance` |
//! | its cost and realised profit | the sum of its fills' values |
//! | a live order | the same order over there |
//! | the account's sums | the sums of the positions |
//! | orders and entries the gate counted | approvals counted over there |
//! | every limit | its fingerprint at the start |

use super::balance::Balance;
use crate::base::{InstrumentId, Money};
use crate::ledger::{Ledger, Position};

/// What the gate counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GateCounts {
    /// Orders approved since the session began.
    pub orders: u32,
    /// Entries on this UTC day.
    pub entries: u32,
}

/// True while both ways of keeping the state agree.
pub(super) fn holds(balance: &Balance, ledger: &Ledger, gate: GateCounts) -> bool {
    let counts = u64::from(gate.orders) == balance.approvals && gate.entries == balance.entries;
    counts && positions_agree(balance, ledger) && orders_agree(balance, ledger)
}

fn positions_agree(balance: &Balance, ledger: &Ledger) -> bool {
    let (mut realised, mut unrealised, mut fees, mut funding) = (0_i128, 0_i128, 0_i128, 0_i128);
    for (place, twin) in balance.twins.iter().enumerate() {
        let instrument = InstrumentId(u16::try_from(place).unwrap_or(u16::MAX));
        let Some(position) = ledger.position(instrument) else { return false };
        let Position { qty, cost, .. } = *position;
        let same = qty.0 == twin.qty
            && cost.0.checked_sub(position.realised.0) == Some(twin.paid)
            && position.fees.0 == twin.fees
            && position.funding.0 == twin.funding;
        if !same {
            return false;
        }
        realised += i128::from(position.realised.0);
        unrealised += i128::from(position.unrealised.0);
        fees += i128::from(position.fees.0);
        funding += i128::from(position.funding.0);
    }
    let start = i128::from(ledger.starting_equity().0);
    let equity = start + realised + unrealised - fees + funding;
    i64::try_from(equity) == Ok(ledger.equity().0) && ledger.peak_equity() >= Money(equity as i64)
}

fn orders_agree(balance: &Balance, ledger: &Ledger) -> bool {
    balance.live.len() == ledger.orders().len()
        && balance.live.iter().all(|live| {
            ledger.orders().iter().any(|order| {
                order.id.0 == live.id
                    && order.instrument == live.instrument
                    && order.qty.0 == live.qty
                    && order.filled.0 == live.filled
                    && order.reported.0 == live.reported
                    && order.purpose == live.purpose
            })
        })
}
