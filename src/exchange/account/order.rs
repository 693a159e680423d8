//! Orders as they are asked for and as they are kept.

use crate::base::{Money, Nanos, Px, Qty, Rate, Side};
use crate::exchange::matching::SelfTrade;

/// What kind of order it is. All but the first two are conditional and go to the algo service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OrderKind {
    /// At a price or better.
    Limit,
    /// At whatever price.
    Market,
    /// Limit, once the price ran against the position.
    Stop,
    /// Market, once the price ran against the position.
    StopMarket,
    /// Limit, once the price ran for the position.
    TakeProfit,
    /// Market, once the price ran for the position.
    TakeProfitMarket,
    /// Market, once the price came back from its best by the callback rate.
    TrailingStopMarket,
    /// What the venue itself sends to end a position.
    Liquidation,
}

impl OrderKind {
    /// As the protocol spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Limit => "LIMIT",
            Self::Market => "MARKET",
            Self::Stop => "STOP",
            Self::StopMarket => "STOP_MARKET",
            Self::TakeProfit => "TAKE_PROFIT",
            Self::TakeProfitMarket => "TAKE_PROFIT_MARKET",
            Self::TrailingStopMarket => "TRAILING_STOP_MARKET",
            Self::Liquidation => "LIQUIDATION",
        }
    }

    /// From the protocol's spelling; the venue's own kinds cannot be asked for.
    pub fn parse(text: &str) -> Option<Self> {
        [
            Self::Limit,
            Self::Market,
            Self::Stop,
            Self::StopMarket,
            Self::TakeProfit,
            Self::TakeProfitMarket,
            Self::TrailingStopMarket,
        ]
        .into_iter()
        .find(|kind| kind.name() == text)
    }

    /// True for what waits for a price before it becomes an order.
    pub const fn is_conditional(self) -> bool {
        !matches!(self, Self::Limit | Self::Market | Self::Liquidation)
    }
}

/// How long an order lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TimeInForce {
    /// Until cancelled.
    Gtc,
    /// Fill now, the rest expires.
    Ioc,
    /// All now or nothing.
    Fok,
    /// Rest only: refused where it would take.
    Gtx,
    /// Until a given time.
    Gtd,
}

impl TimeInForce {
    /// As the protocol spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gtc => "GTC",
            Self::Ioc => "IOC",
            Self::Fok => "FOK",
            Self::Gtx => "GTX",
            Self::Gtd => "GTD",
        }
    }

    /// From the protocol's spelling.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Gtc, Self::Ioc, Self::Fok, Self::Gtx, Self::Gtd]
            .into_iter()
            .find(|tif| tif.name() == text)
    }
}

/// Which position an order belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PositionSide {
    /// The one position of one-way mode.
    Both,
    /// The long one of hedge mode.
    Long,
    /// The short one of hedge mode.
    Short,
}

impl PositionSide {
    /// As the protocol spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Both => "BOTH",
            Self::Long => "LONG",
            Self::Short => "SHORT",
        }
    }

    /// From the protocol's spelling.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Both, Self::Long, Self::Short].into_iter().find(|side| side.name() == text)
    }
}

/// Which price triggers a conditional order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkingType {
    /// The last trade's.
    Contract,
    /// The mark price.
    Mark,
}

impl WorkingType {
    /// As the protocol spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Contract => "CONTRACT_PRICE",
            Self::Mark => "MARK_PRICE",
        }
    }
}

/// A price taken from the book instead of being given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PriceMatch {
    /// The price is given.
    None,
    /// The `n`th best price of the other side (1, 5).
    Opponent(u8),
    /// The `n`th best price of the own side (1, 5, 10, 20).
    Queue(u8),
}

impl PriceMatch {
    /// Every spelling the protocol knows.
    pub const ALL: [(&'static str, Self); 7] = [
        ("NONE", Self::None),
        ("OPPONENT", Self::Opponent(1)),
        ("OPPONENT_5", Self::Opponent(5)),
        ("QUEUE", Self::Queue(1)),
        ("QUEUE_5", Self::Queue(5)),
        ("QUEUE_10", Self::Queue(10)),
        ("QUEUE_20", Self::Queue(20)),
    ];

    /// As the protocol spells it.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, value)| *value == self).map_or("NONE", |(name, _)| name)
    }
}

/// Where an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// In the book, nothing filled.
    New,
    /// In the book, partly filled.
    PartiallyFilled,
    /// Done.
    Filled,
    /// Taken back.
    Canceled,
    /// Ended by its own terms.
    Expired,
    /// Ended by self-trade prevention.
    ExpiredInMatch,
}

impl Status {
    /// As the protocol spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::New => "NEW",
            Self::PartiallyFilled => "PARTIALLY_FILLED",
            Self::Filled => "FILLED",
            Self::Canceled => "CANCELED",
            Self::Expired => "EXPIRED",
            Self::ExpiredInMatch => "EXPIRED_IN_MATCH",
        }
    }

    /// True while the order can still be filled.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::New | Self::PartiallyFilled)
    }
}

/// A new order as asked for, checked for form alone.
#[derive(Clone, Debug, PartialEq)]
pub struct NewOrder {
    /// Index of the contract.
    pub contract: usize,
    /// Buying or selling.
    pub side: Side,
    /// Which position.
    pub position_side: Option<PositionSide>,
    /// `LIMIT` or `MARKET`.
    pub kind: OrderKind,
    /// `None` takes the kind's own: a limit order must say.
    pub tif: Option<TimeInForce>,
    /// Quantity; `None` where it was not sent.
    pub qty: Option<Qty>,
    /// Price; `None` where it was not sent.
    pub px: Option<Px>,
    /// May only shrink a position; `None` where it was not sent.
    pub reduce_only: Option<bool>,
    /// The client's name for it; `None` lets the venue choose.
    pub client_id: Option<String>,
    /// Against the account's own orders.
    pub self_trade: SelfTrade,
    /// A price out of the book.
    pub price_match: PriceMatch,
    /// End of a GTD order; zero for others.
    pub good_till: Nanos,
}

impl NewOrder {
    /// The order it becomes, untouched by the market. What was not sent is what the venue takes it
    /// for: no price, no quantity, good till cancelled, the one position.
    pub fn order(&self, id: u64, client_id: String, now: Nanos) -> Order {
        Order {
            id,
            client_id,
            contract: self.contract,
            side: self.side,
            position_side: self.position_side.unwrap_or(PositionSide::Both),
            kind: self.kind,
            orig_kind: self.kind,
            tif: self.tif.unwrap_or(TimeInForce::Gtc),
            px: self.px.unwrap_or(Px::ZERO),
            qty: self.qty.unwrap_or(Qty::ZERO),
            filled: Qty::ZERO,
            quote: Money::ZERO,
            fee: Money::ZERO,
            reduce_only: self.reduce_only.unwrap_or(false),
            close_position: false,
            self_trade: self.self_trade,
            price_match: self.price_match,
            good_till: self.good_till,
            status: Status::New,
            expire_reason: 0,
            created: now,
            updated: now,
            amendments: 0,
            stop_px: Px::ZERO,
            working: WorkingType::Contract,
            price_protect: false,
            activate_px: Px::ZERO,
            callback: Rate::ZERO,
        }
    }
}

/// A conditional order as asked for, checked for form alone.
#[derive(Clone, Debug, PartialEq)]
pub struct NewAlgo {
    /// What it becomes; `kind` is conditional, `client_id` is the `clientAlgoId`.
    pub order: NewOrder,
    /// Price that triggers it; zero for a trailing stop without an activation.
    pub trigger_px: Px,
    /// Which price is compared.
    pub working: WorkingType,
    /// Closes the whole position, whatever its size.
    pub close_position: bool,
    /// Do not trigger while last and mark price are far apart.
    pub price_protect: bool,
    /// Trailing stop: price from which it trails; zero trails at once.
    pub activate_px: Px,
    /// Trailing stop: how far the price must come back (0.01 is 1 %).
    pub callback: Rate,
}

/// How a request names an order. Both may be given; the number wins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OrderName {
    /// The venue's number.
    pub id: Option<u64>,
    /// The client's name.
    pub client_id: Option<String>,
}

/// An order as the venue keeps it.
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    /// The venue's number.
    pub id: u64,
    /// The client's name for it.
    pub client_id: String,
    /// Index of the contract.
    pub contract: usize,
    /// Buying or selling.
    pub side: Side,
    /// Which position.
    pub position_side: PositionSide,
    /// What it is in the book.
    pub kind: OrderKind,
    /// What it was asked for as: differs once a conditional order triggered.
    pub orig_kind: OrderKind,
    /// How long it lives.
    pub tif: TimeInForce,
    /// Price; zero for a market order.
    pub px: Px,
    /// Quantity.
    pub qty: Qty,
    /// Filled so far.
    pub filled: Qty,
    /// Value filled so far.
    pub quote: Money,
    /// Fees so far.
    pub fee: Money,
    /// May only shrink a position.
    pub reduce_only: bool,
    /// Closes the whole position.
    pub close_position: bool,
    /// Against the account's own orders.
    pub self_trade: SelfTrade,
    /// Where its price came from.
    pub price_match: PriceMatch,
    /// End of a GTD order; zero for others.
    pub good_till: Nanos,
    /// Where it stands.
    pub status: Status,
    /// Why it expired, in the protocol's numbers (`er`); 0 otherwise.
    pub expire_reason: u8,
    /// When it was taken on.
    pub created: Nanos,
    /// When it last changed.
    pub updated: Nanos,
    /// Changes of price or quantity so far.
    pub amendments: u32,
    /// Trigger price of the conditional order it came from; zero otherwise.
    pub stop_px: Px,
    /// Which price triggered it.
    pub working: WorkingType,
    /// Do not trigger while last and mark price are far apart.
    pub price_protect: bool,
    /// Trailing stop it came from: activation price; zero otherwise.
    pub activate_px: Px,
    /// Trailing stop it came from: callback rate; zero otherwise.
    pub callback: Rate,
}

impl Order {
    /// Still to fill.
    pub fn leaves(&self) -> Qty {
        self.qty - self.filled
    }

    /// Mean price filled at, rounded to the nearest 1e-8; zero before the first fill.
    pub fn average_px(&self) -> Px {
        let (quote, filled) = (i128::from(self.quote.0), i128::from(self.filled.0));
        if filled == 0 {
            return Px::ZERO;
        }
        let scaled = quote * i128::from(crate::base::units::SCALE) + filled / 2;
        Px(i64::try_from(scaled / filled).unwrap_or(i64::MAX))
    }
}

/// One fill of a client's order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UserTrade {
    /// Index of the contract.
    pub contract: usize,
    /// The trade's number.
    pub trade_id: i64,
    /// The order's number.
    pub order: u64,
    /// The order's side.
    pub side: Side,
    /// Which position.
    pub position_side: PositionSide,
    /// Price.
    pub px: Px,
    /// Quantity.
    pub qty: Qty,
    /// Value.
    pub quote: Money,
    /// Fee paid; below zero received.
    pub fee: Money,
    /// Profit realised by it, before the fee.
    pub realized: Money,
    /// It rested.
    pub maker: bool,
    /// When.
    pub ts: Nanos,
}

/// Where a conditional order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlgoStatus {
    /// Waits for its price.
    New,
    /// Taken back.
    Canceled,
    /// Its price came; the order is on its way into the book.
    Triggering,
    /// The order is in the book.
    Triggered,
    /// The order has ended.
    Finished,
    /// The order was refused.
    Rejected,
    /// Ended by its own terms.
    Expired,
}

impl AlgoStatus {
    /// As the protocol spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::New => "NEW",
            Self::Canceled => "CANCELED",
            Self::Triggering => "TRIGGERING",
            Self::Triggered => "TRIGGERED",
            Self::Finished => "FINISHED",
            Self::Rejected => "REJECTED",
            Self::Expired => "EXPIRED",
        }
    }
}

/// A conditional order as the venue keeps it.
#[derive(Clone, Debug, PartialEq)]
pub struct Algo {
    /// The venue's number.
    pub id: u64,
    /// The client's name for it.
    pub client_id: String,
    /// As asked for, position side and time in force resolved.
    pub asked: NewAlgo,
    /// Where it stands.
    pub status: AlgoStatus,
    /// The order it became; `None` before.
    pub order: Option<u64>,
    /// Trailing stop: it trails.
    pub activated: bool,
    /// Trailing stop: best price since it trails.
    pub best_px: Px,
    /// Why it was refused or cancelled by the venue; empty otherwise.
    pub reason: &'static str,
    /// When it was taken on.
    pub created: Nanos,
    /// When it last changed.
    pub updated: Nanos,
    /// When it triggered; zero before.
    pub triggered_at: Nanos,
}
