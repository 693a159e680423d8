//! What an order is made of: the codes that events store as bytes, as types.

/// How an order is priced. Numbers as in [`crate::base::event::Order::order_type`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum OrderType {
    /// At the limit price or better.
    Limit = 1,
    /// At any price; only a flattening order may be one.
    Market = 2,
    /// Waits at the venue and leaves the whole position at any price once the mark price reaches
    /// its trigger. Only a protective stop is one.
    StopMarket = 3,
}

impl OrderType {
    /// From its number; `None` for a number that is no type.
    pub const fn from_u8(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Limit),
            2 => Some(Self::Market),
            3 => Some(Self::StopMarket),
            _ => None,
        }
    }
}

/// How long an order lives. Numbers as in [`crate::base::event::Order::time_in_force`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum TimeInForce {
    /// Rests until cancelled.
    Gtc = 1,
    /// Fills what it can at once; the rest expires.
    Ioc = 2,
    /// Fills wholly at once or not at all.
    Fok = 3,
    /// Post only: refused where it would take.
    Gtx = 4,
}

impl TimeInForce {
    /// From its number; `None` for a number that is none.
    pub const fn from_u8(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Gtc),
            2 => Some(Self::Ioc),
            3 => Some(Self::Fok),
            4 => Some(Self::Gtx),
            _ => None,
        }
    }
}

/// Why an order exists. Numbers as in [`crate::base::event::Order::purpose`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Purpose {
    /// Opens or grows a position.
    Entry = 1,
    /// Leaves because the prediction says so.
    ExitSignal = 2,
    /// Leaves because the price went too far against us.
    ExitStop = 3,
    /// Leaves because it held long enough.
    ExitTime = 4,
    /// Leaves because an operator or a breaker wants us flat.
    Flatten = 5,
    /// Rests at the venue as a stop for a position, so that it is left when we cannot leave it.
    Protect = 6,
    /// Leaves with its profit taken.
    ExitProfit = 7,
    /// Leaves because the price fell back from the best it had.
    ExitTrail = 8,
    /// Leaves because the market moves much more or much less than at the entry.
    ExitVolatility = 9,
    /// Leaves ahead of a funding payment.
    ExitFunding = 10,
    /// Leaves because its stop at the venue is not there.
    ExitUnprotected = 11,
}

impl Purpose {
    /// From its number; `None` for a number that is no purpose.
    pub const fn from_u8(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Entry),
            2 => Some(Self::ExitSignal),
            3 => Some(Self::ExitStop),
            4 => Some(Self::ExitTime),
            5 => Some(Self::Flatten),
            6 => Some(Self::Protect),
            7 => Some(Self::ExitProfit),
            8 => Some(Self::ExitTrail),
            9 => Some(Self::ExitVolatility),
            10 => Some(Self::ExitFunding),
            11 => Some(Self::ExitUnprotected),
            _ => None,
        }
    }

    /// True for the one purpose that may add risk.
    pub const fn is_entry(self) -> bool {
        matches!(self, Self::Entry)
    }
}

/// What bound the size of an entry: the least of what was allowed. Numbers as in
/// [`crate::base::event::Order::bound`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Bound {
    /// No entry.
    #[default]
    None = 0,
    /// `policy.position_notional`, scaled by the market's range.
    Full = 1,
    /// What the stop may lose of the equity.
    Risk = 2,
    /// The part of the Kelly bet.
    Kelly = 3,
    /// The share of the equity in one position.
    Share = 4,
    /// A larger one would move the market by more than it is expected to earn.
    Impact = 5,
    /// The venue's largest order.
    Venue = 6,
    /// Breakers let entries have only a part of their size.
    Breakers = 7,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_reads_back_as_the_code_that_has_it_and_as_none_without_one() {
        use Purpose::{Entry, ExitSignal, ExitStop, ExitTime, Flatten, Protect};
        let types = [OrderType::Limit, OrderType::Market, OrderType::StopMarket];
        let times = [TimeInForce::Gtc, TimeInForce::Ioc, TimeInForce::Fok, TimeInForce::Gtx];
        let later = [Purpose::ExitProfit, Purpose::ExitTrail, Purpose::ExitVolatility];
        let last = [Purpose::ExitFunding, Purpose::ExitUnprotected];
        let first = [Entry, ExitSignal, ExitStop, ExitTime, Flatten, Protect];
        let purposes: Vec<Purpose> = first.into_iter().chain(later).chain(last).collect();
        for number in 0..=u8::MAX {
            let kind = types.into_iter().find(|kind| *kind as u8 == number);
            assert_eq!(OrderType::from_u8(number), kind, "{number}");
            let time = times.into_iter().find(|time| *time as u8 == number);
            assert_eq!(TimeInForce::from_u8(number), time, "{number}");
            let purpose = purposes.iter().copied().find(|purpose| *purpose as u8 == number);
            assert_eq!(Purpose::from_u8(number), purpose, "{number}");
        }
        assert!(purposes.iter().all(|purpose| purpose.is_entry() == (*purpose == Entry)));
    }
}
