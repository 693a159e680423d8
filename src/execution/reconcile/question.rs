//! What reconciliation asks the venue, and what the venue may say. Plain data: how a question
//! becomes a request and an answer is read is the venue room's business.

use crate::base::{ClientOrderId, InstrumentId, Money, Nanos, Px, Qty, Side, Symbol};

/// Most trades or payments in one answer; a longer history comes in several.
pub const PAGE_ROWS: usize = 1_000;

/// One question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// The orders open on one symbol, or on all of them.
    OpenOrders {
        /// Whose; `None` for all, which costs forty times as much.
        symbol: Option<Symbol>,
    },
    /// The conditional orders that wait for their trigger, on one symbol or on all of them.
    OpenAlgoOrders {
        /// Whose; `None` for all.
        symbol: Option<Symbol>,
    },
    /// Every position.
    Positions,
    /// The wallet balance.
    Wallet,
    /// Our trades of a symbol, from one on, oldest first.
    Trades {
        /// Whose.
        instrument: InstrumentId,
        /// Its symbol.
        symbol: Symbol,
        /// Number of the first trade wanted; `None` for the newest ones.
        from: Option<u64>,
    },
    /// Our trades of a symbol from a time on: where no trade number is known yet.
    TradesSince {
        /// Whose.
        instrument: InstrumentId,
        /// Its symbol.
        symbol: Symbol,
        /// First time wanted.
        since: Nanos,
    },
    /// Funding paid and received from a time on, oldest first.
    Funding {
        /// First time wanted.
        since: Nanos,
    },
    /// One order by our id.
    Order {
        /// Its symbol.
        symbol: Symbol,
        /// Which.
        id: ClientOrderId,
    },
    /// One order by the venue's number: whose a trade is that belongs to none we know.
    OrderNumbered {
        /// Its symbol.
        symbol: Symbol,
        /// The venue's number.
        number: u64,
    },
    /// One conditional order by our id.
    AlgoOrder {
        /// Which.
        id: ClientOrderId,
    },
}

/// What the venue says to a [`Question`].
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    /// Open orders, plain or conditional.
    Orders(Vec<VenueOrder>),
    /// Positions that are not flat.
    Positions(Vec<VenueHolding>),
    /// The wallet balance in the quote currency.
    Wallet(Money),
    /// Trades, oldest first.
    Trades(Vec<VenueTrade>),
    /// Funding, oldest first.
    Funding(Vec<VenueFunding>),
    /// One order; `None` where the venue says that there is none, which proves nothing by itself.
    Order(Option<VenueOrder>),
}

/// Where the venue says an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Open, filled in part or not at all; or a conditional order that waits.
    Open,
    /// Filled wholly.
    Filled,
    /// Cancelled.
    Cancelled,
    /// Expired, the rest of an immediate order included.
    Expired,
    /// Refused.
    Rejected,
    /// A conditional order that became a plain one.
    Triggered,
}

/// An order as the venue tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VenueOrder {
    /// Whose.
    pub symbol: Symbol,
    /// Its name, as the venue writes it.
    pub name: String,
    /// The venue's number; of a conditional order the number in its own service.
    pub venue_id: u64,
    /// Where it stands.
    pub standing: Standing,
    /// True for a conditional order.
    pub is_algo: bool,
    /// Side.
    pub side: Side,
    /// May only shrink a position.
    pub reduce_only: bool,
    /// Limit price; 0 for none.
    pub px: Px,
    /// Quantity; 0 where the whole position is to be closed.
    pub qty: Qty,
    /// Filled so far.
    pub filled: Qty,
    /// When it last changed.
    pub updated: Nanos,
    /// Number of the plain order that a conditional one became; 0 for none.
    pub became: u64,
}

impl VenueOrder {
    /// Our id; `None` for a name that is not of our form.
    pub fn id(&self) -> Option<ClientOrderId> {
        ClientOrderId::from_text(self.name.as_bytes())
    }
}

/// A position as the venue tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VenueHolding {
    /// Whose.
    pub symbol: Symbol,
    /// Signed quantity.
    pub qty: Qty,
    /// Mean entry price, cut to the scale; 0 where not told.
    pub entry_px: Px,
}

/// A trade of ours as the venue tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VenueTrade {
    /// The venue's number of the trade.
    pub id: u64,
    /// The venue's number of the order.
    pub order: u64,
    /// Side of our order.
    pub side: Side,
    /// Price.
    pub px: Px,
    /// Quantity.
    pub qty: Qty,
    /// Fee in the quote currency; below zero is a rebate. 0 where it was taken in another asset.
    pub fee: Money,
    /// We were the maker.
    pub is_maker: bool,
    /// When.
    pub ts: Nanos,
}

/// Funding as the venue tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VenueFunding {
    /// Whose position.
    pub symbol: Symbol,
    /// Amount in the quote currency; below zero is paid.
    pub amount: Money,
    /// When.
    pub ts: Nanos,
}
