//! The checks, in the order the gate makes them. Ids `RC-` are those of the control table.
//!
//! Entries pass all of them. Exits skip those that could only keep us in a position: they are bound
//! by RC-14 (never more than the position), a wide collar, and half of the venue's own rate.
//! Protective stops skip more of them, see [`Check::binds_stops`], and have a rate of their own.

use crate::base::Purpose;

/// One check of the gate; its number is its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Check {
    /// The trading state allows the purpose.
    TradingState,
    /// RC-01: every limit is set.
    LimitSet,
    /// RC-12: the instrument is on the allow-list. What is held of one that was taken off it may
    /// leave.
    Allowed,
    /// RC-13: price above zero and a multiple of the tick.
    TickSize,
    /// RC-13: quantity above zero and a multiple of the lot.
    LotSize,
    /// RC-13: least quantity; exits are exempt.
    MinQty,
    /// RC-02: largest quantity, the venue's and for entries our own.
    MaxQty,
    /// RC-14: an exit is no larger than the position and of the other side.
    ReduceOnly,
    /// RC-04: a valid touch and mark price to compare with.
    Reference,
    /// RC-13: least value; exits are exempt.
    MinNotional,
    /// RC-03: largest value.
    OrderNotional,
    /// RC-04: not far from the mark price.
    CollarMark,
    /// RC-04: not far from the touch.
    CollarTouch,
    /// RC-04: our fills of the session were not far from the mark price.
    CollarCumulative,
    /// RC-05: worst-case position.
    Position,
    /// The symbol's own budget.
    SymbolBudget,
    /// RC-06: worst-case value over all instruments.
    GrossExposure,
    /// RC-06: worst-case net value over all instruments.
    NetExposure,
    /// The budget shared by what moves together.
    Correlated,
    /// Instruments with a position or an entry at once.
    Positions,
    /// RC-06: that value over equity.
    Leverage,
    /// RC-19: distance of the liquidation.
    Liquidation,
    /// RC-07: margin and the day's loss within the capital.
    Capital,
    /// RC-08: one decision, one entry.
    DecisionOnce,
    /// RC-08: not the same order again.
    Duplicate,
    /// RC-10: the same entry within a minute.
    Identical,
    /// RC-09: message rate.
    Rate,
    /// RC-10: entries today.
    EntriesPerDay,
    /// RC-11: would not meet our own resting order.
    SelfTrade,
    /// Live orders.
    OpenOrders,
    /// RC-15: age of the market data.
    MarketAge,
    /// RC-15: enough good ticks since a silence.
    MarketRecovering,
    /// RC-16: the model is neither constant nor one-sided.
    ModelOutput,
    /// RC-17: age of the decision.
    DecisionAge,
    /// RC-22: the day's loss.
    DailyLoss,
    /// RC-23: fall from the peak.
    Drawdown,
    /// RC-24: losses in a row.
    ConsecutiveLosses,
    /// RC-27: no order of unknown outcome.
    UnknownOrders,
    /// RC-21 and more: the watch of the venue keeps no entries of the contract away.
    Watched,
}

impl Check {
    /// Every check, in the order it is made.
    pub const ALL: [Check; 39] = [
        Check::TradingState,
        Check::LimitSet,
        Check::Allowed,
        Check::TickSize,
        Check::LotSize,
        Check::MinQty,
        Check::MaxQty,
        Check::ReduceOnly,
        Check::Reference,
        Check::MinNotional,
        Check::OrderNotional,
        Check::CollarMark,
        Check::CollarTouch,
        Check::CollarCumulative,
        Check::Position,
        Check::SymbolBudget,
        Check::GrossExposure,
        Check::NetExposure,
        Check::Correlated,
        Check::Positions,
        Check::Leverage,
        Check::Liquidation,
        Check::Capital,
        Check::DecisionOnce,
        Check::Duplicate,
        Check::Identical,
        Check::Rate,
        Check::EntriesPerDay,
        Check::SelfTrade,
        Check::OpenOrders,
        Check::MarketAge,
        Check::MarketRecovering,
        Check::ModelOutput,
        Check::DecisionAge,
        Check::DailyLoss,
        Check::Drawdown,
        Check::ConsecutiveLosses,
        Check::UnknownOrders,
        Check::Watched,
    ];

    /// True when exits pass it too.
    pub const fn binds_exits(self) -> bool {
        matches!(
            self,
            Self::TradingState
                | Self::TickSize
                | Self::LotSize
                | Self::MaxQty
                | Self::ReduceOnly
                | Self::Reference
                | Self::CollarTouch
                | Self::Duplicate
                | Self::Rate
                | Self::OpenOrders
        )
    }

    /// True when protective stops pass it too. They name a price far from the market and no
    /// quantity, and can only close what is there: nothing that limits risk may deny them.
    pub const fn binds_stops(self) -> bool {
        matches!(
            self,
            Self::TradingState
                | Self::TickSize
                | Self::LotSize
                | Self::ReduceOnly
                | Self::Rate
                | Self::OpenOrders
        )
    }

    /// True when an order of this purpose has to pass it.
    pub const fn binds(self, purpose: Purpose) -> bool {
        match purpose {
            Purpose::Entry => true,
            Purpose::Protect => self.binds_stops(),
            // Slices of a flattening are alike, and follow each other as fast as they fill.
            Purpose::Flatten => self.binds_exits() && !matches!(self, Self::Duplicate),
            _ => self.binds_exits(),
        }
    }
}

const _: () = {
    let mut at = 0;
    while at < Check::ALL.len() {
        // A check's number is stored in `Denied` records and indexes the counters.
        assert!(Check::ALL[at] as usize == at);
        at += 1;
    }
};
