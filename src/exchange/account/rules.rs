//! What the venue refuses before an order reaches the book.
//!
//! ```text
//!   kind ─► parameters ─► position side ─► filters ─► client's name ─► open orders
//!                                                                          │
//!                         order ◄─ margin ◄─ largest position ◄─ reduce-only
//! ```

use super::Accounts;
use super::client::Account;
use super::margin::{initial_margin, max_notional, worst_value};
use super::order::{NewOrder, OrderKind, PositionSide, PriceMatch, TimeInForce};
use super::position::value;
use super::refusal::*;
use crate::base::units::{DECIMALS, fee, notional};
use crate::base::{Money, Nanos, Px, Qty, Rate, Side};
use crate::exchange::flow::market::SyntheticMarket;
use crate::exchange::spec::SymbolSpec;
use crate::exchange::wire::error::VenueError;

/// Longest client order id.
const CLIENT_ID_CHARS_MAX: usize = 36;
/// A GTD order must live longer than this.
const GOOD_TILL_MIN: Nanos = Nanos::from_secs(600);
/// A market buy is margined at the best ask and this much more, as the venue publishes it.
const MARKET_SLACK: Rate = Rate(50_000);

/// Largest value of one order, far beyond every bracket and far below what money can count.
const VALUE_MAX: Money = Money::whole(10_000_000_000);

/// An order that may enter: everything left open by the request is decided.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticket {
    pub(super) position_side: PositionSide,
    pub(super) tif: TimeInForce,
    /// Zero for a market order.
    pub(super) px: Px,
    /// Shrunk to the position where it may only shrink it.
    pub(super) qty: Qty,
    pub(super) reduce_only: bool,
    pub(super) good_till: Nanos,
}

/// A change of an order's open value, to be margined.
#[derive(Clone, Copy, Debug)]
pub(super) struct Exposure {
    pub(super) contract: usize,
    pub(super) position_side: PositionSide,
    pub(super) side: Side,
    /// Value it has in the open orders already.
    pub(super) replaced: Money,
    pub(super) qty: Qty,
    pub(super) px: Px,
}

impl Accounts {
    /// Checks an order as [`Accounts::place`] does, and does nothing.
    ///
    /// # Errors
    /// The venue's refusal.
    pub fn test(
        &self,
        market: &SyntheticMarket,
        account: usize,
        new: &NewOrder,
        now: Nanos,
    ) -> Result<(), VenueError> {
        self.check(market, account, new, now).map(|_| ())
    }

    /// What an order becomes, or why it may not enter.
    pub(super) fn check(
        &self,
        market: &SyntheticMarket,
        account: usize,
        new: &NewOrder,
        now: Nanos,
    ) -> Result<Ticket, VenueError> {
        if new.kind.is_conditional() {
            return Err(VenueError::USE_ALGO);
        }
        if new.kind == OrderKind::Liquidation {
            return Err(BAD_TYPE);
        }
        let held = &self.list[account];
        let spec = market.spec(new.contract);
        check_parameters(new)?;
        let position_side = position_side_of(held, new)?;
        let tif = new.tif.unwrap_or(TimeInForce::Gtc);
        let good_till = good_till_of(new, now)?;
        if market.at(new.contract).halted {
            return Err(CLOSED);
        }

        let mut qty = new.qty.ok_or_else(|| missing("quantity"))?;
        let px = price_of(market, new)?;
        check_qty(spec, new.kind, qty)?;
        // In hedge mode an order against its position side can only shrink it: there is no other
        // position it could open.
        let closes_hedge = match position_side {
            PositionSide::Both => false,
            PositionSide::Long => new.side == Side::Sell,
            PositionSide::Short => new.side == Side::Buy,
        };
        let reduce_only = new.reduce_only == Some(true) || closes_hedge;
        check_px(market, new, px)?;
        let at = if new.kind == OrderKind::Market { market.mark_px(new.contract) } else { px };
        let least = spec.min_notional;
        if !reduce_only && value_of(qty, at)? < least {
            let text = format!(
                "Order's notional must be no smaller than {least} (unless you choose reduce only)"
            );
            return Err(VenueError::with(-4164, text));
        }

        check_client_id(held, new.client_id.as_deref())?;
        if held.slots[new.contract].open.len() >= spec.orders_max as usize {
            return Err(MAX_ORDERS);
        }
        if reduce_only {
            let limit = (new.kind == OrderKind::Limit).then_some(px);
            let wanted = (new.side, limit, qty);
            qty = self.reducible(account, new.contract, position_side, wanted, 0)?;
        } else {
            let exposure = Exposure {
                contract: new.contract,
                position_side,
                side: new.side,
                replaced: Money::ZERO,
                qty,
                px: assumed_px(market, new, px),
            };
            self.check_margin(market, account, &exposure)?;
        }
        Ok(Ticket { position_side, tif, px, qty, reduce_only, good_till })
    }

    /// Quantity a reduce-only order may have: no more than the position. Resting reduce-only orders
    /// at its price or better are served first; where they leave too little the order conflicts
    /// with them. Those behind it give way to it once it rests.
    pub(super) fn reducible(
        &self,
        account: usize,
        contract: usize,
        position_side: PositionSide,
        (side, limit, qty): (Side, Option<Px>, Qty),
        except: u64,
    ) -> Result<Qty, VenueError> {
        let held = &self.list[account];
        let slot = &held.slots[contract];
        let closable = slot.position(position_side).closable(side);
        if closable.0 == 0 {
            return Err(VenueError::REDUCE_ONLY);
        }
        let qty = Qty(qty.0.min(closable.0));
        let Some(limit) = limit else { return Ok(qty) };
        let ahead = slot.open.iter().filter_map(|id| held.orders.get(id)).filter(|order| {
            let better = side.sign() * (order.px.0 - limit.0) >= 0;
            let same = order.side == side && order.position_side == position_side;
            order.reduce_only && same && better && order.id != except
        });
        let taken: i64 = ahead.map(|order| order.leaves().0).sum();
        if taken + qty.0 > closable.0 { Err(REDUCE_ONLY_CONFLICT) } else { Ok(qty) }
    }

    /// Refuses an order whose margin is not there, or that could make the position larger than its
    /// leverage allows. An order that cannot make the position larger needs nothing.
    ///
    /// The cost is the venue's: initial margin of what the order may open, and the loss it would
    /// open with at the mark price.
    pub(super) fn check_margin(
        &self,
        market: &SyntheticMarket,
        account: usize,
        exposure: &Exposure,
    ) -> Result<(), VenueError> {
        let Exposure { contract, position_side, side, replaced, qty, px } = *exposure;
        let slot = &self.list[account].slots[contract];
        let position = slot.position(position_side);
        let mark = market.mark_px(contract);
        let present = position.notional(mark);
        let (bids, asks) = (position.bid_value, position.ask_value);
        let before = worst_value(present, bids, asks);
        let added = value(qty, px) - replaced;
        let after = match side {
            Side::Buy => worst_value(present, bids + added, asks),
            Side::Sell => worst_value(present, bids, asks + added),
        };
        if after <= before {
            return Ok(());
        }
        if after > max_notional(market.spec(contract).brackets, slot.leverage) {
            return Err(MAX_POSITION);
        }
        let margin = initial_margin(after, slot.leverage) - initial_margin(before, slot.leverage);
        let loss = Px((side.sign() * (px.0 - mark.0)).max(0));
        let cost = margin + value(qty, loss);
        if cost > self.spare(market, account) { Err(VenueError::MARGIN) } else { Ok(()) }
    }
}

/// Value of an order that may open a position. Only sell prices have no bound near the mark price,
/// so only there quantity and price can be more than money can be counted.
pub(super) fn value_of(qty: Qty, px: Px) -> Result<Money, VenueError> {
    notional(qty, px).filter(|value| *value <= VALUE_MAX).ok_or(MAX_POSITION)
}

/// What must be sent and what must not.
fn check_parameters(new: &NewOrder) -> Result<(), VenueError> {
    if new.kind == OrderKind::Market {
        if new.tif.is_some() {
            return Err(not_required("timeInForce"));
        }
        if new.qty.is_none() {
            return Err(missing("quantity"));
        }
        if new.px.is_some() {
            return Err(not_required("price"));
        }
        if new.price_match != PriceMatch::None {
            return Err(PRICE_MATCH_KIND);
        }
        return Ok(());
    }
    if new.tif.is_none() {
        return Err(missing("timeInForce"));
    }
    if new.qty.is_none() {
        return Err(missing("quantity"));
    }
    match (new.px, new.price_match) {
        (None, PriceMatch::None) => Err(missing("price")),
        (Some(_), PriceMatch::Opponent(_) | PriceMatch::Queue(_)) => Err(not_required("price")),
        _ => Ok(()),
    }
}

/// The position an order belongs to in the account's mode.
pub(super) fn position_side_of(held: &Account, new: &NewOrder) -> Result<PositionSide, VenueError> {
    match (held.hedge, new.position_side) {
        (false, None | Some(PositionSide::Both)) => Ok(PositionSide::Both),
        (true, Some(side @ (PositionSide::Long | PositionSide::Short))) => {
            // Which orders shrink follows from the position side; it cannot be asked for.
            if new.reduce_only.is_some() { Err(REDUCE_ONLY_HEDGE) } else { Ok(side) }
        }
        _ => Err(POSITION_SIDE),
    }
}

/// End of a GTD order in whole seconds; zero for others.
pub(super) fn good_till_of(new: &NewOrder, now: Nanos) -> Result<Nanos, VenueError> {
    if new.tif != Some(TimeInForce::Gtd) {
        return Ok(Nanos::ZERO);
    }
    if new.good_till == Nanos::ZERO {
        return Err(missing("goodTillDate"));
    }
    // Looked at as sent first: a date far in the past could not be rounded.
    if new.good_till <= now + GOOD_TILL_MIN {
        return Err(GOOD_TILL);
    }
    let end = new.good_till.floor_to(Nanos::from_secs(1));
    if end <= now + GOOD_TILL_MIN { Err(GOOD_TILL) } else { Ok(end) }
}

/// `LOT_SIZE`, or `MARKET_LOT_SIZE` for what becomes a market order.
pub(super) fn check_qty(spec: &SymbolSpec, kind: OrderKind, qty: Qty) -> Result<(), VenueError> {
    let max = match kind {
        OrderKind::Limit | OrderKind::Stop | OrderKind::TakeProfit => spec.max_qty,
        _ => spec.market_max_qty,
    };
    if qty.0 <= 0 {
        Err(QTY_NEGATIVE)
    } else if is_finer(qty.0, spec.qty_decimals) {
        Err(PRECISION)
    } else if qty < spec.min_qty {
        Err(QTY_SMALL)
    } else if qty > max {
        Err(QTY_LARGE)
    } else if !qty.is_multiple_of(spec.order_lot()) {
        Err(QTY_STEP)
    } else {
        Ok(())
    }
}

/// `PRICE_FILTER`.
pub(super) fn check_grid(spec: &SymbolSpec, px: Px) -> Result<(), VenueError> {
    if px.0 < 0 {
        Err(PX_NEGATIVE)
    } else if is_finer(px.0, spec.price_decimals) {
        Err(PRECISION)
    } else if px < spec.min_px {
        Err(PX_SMALL)
    } else if px > spec.max_px {
        Err(PX_LARGE)
    } else if !px.is_multiple_of(spec.order_tick()) {
        Err(PX_STEP)
    } else {
        Ok(())
    }
}

/// `PERCENT_PRICE` of a limit price against the mark price.
pub(super) fn check_percent(
    spec: &SymbolSpec,
    mark: Px,
    side: Side,
    px: Px,
) -> Result<(), VenueError> {
    let bound = bound_of(spec, mark, side);
    match side {
        Side::Buy if px > bound => Err(PX_CAP),
        Side::Sell if px < bound => Err(PX_FLOOR),
        _ => Ok(()),
    }
}

/// The worst price `PERCENT_PRICE` allows; also as far as a market order takes.
pub(super) fn bound_of(spec: &SymbolSpec, mark: Px, side: Side) -> Px {
    let rate = if side == Side::Buy { spec.multiplier_up } else { spec.multiplier_down };
    Px(super::margin::scaled(Money(mark.0), rate).0)
}

fn check_px(market: &SyntheticMarket, new: &NewOrder, px: Px) -> Result<(), VenueError> {
    let spec = market.spec(new.contract);
    let mark = market.mark_px(new.contract);
    if new.kind == OrderKind::Limit {
        check_grid(spec, px)?;
        return check_percent(spec, mark, new.side, px);
    }
    let best = market.book(new.contract).best(new.side.opposite());
    let best = best.map(|tick| crate::exchange::flow::client::px_of(spec, tick));
    match best.map(|best| check_percent(spec, mark, new.side, best)) {
        Some(Err(_)) => Err(MARKET_PX),
        _ => Ok(()),
    }
}

/// The order's price: as sent, or out of the book. Zero for a market order.
pub(super) fn price_of(market: &SyntheticMarket, new: &NewOrder) -> Result<Px, VenueError> {
    let (side, nth) = match new.price_match {
        PriceMatch::None => return Ok(new.px.unwrap_or(Px::ZERO)),
        PriceMatch::Opponent(nth) => (new.side.opposite(), nth),
        PriceMatch::Queue(nth) => (new.side, nth),
    };
    let (book, nth) = (market.book(new.contract), usize::from(nth).saturating_sub(1));
    let level = match side {
        Side::Buy => book.bids().nth(nth),
        Side::Sell => book.asks().nth(nth),
    };
    let (tick, _) = level.ok_or(NO_DEPTH)?;
    Ok(crate::exchange::flow::client::px_of(market.spec(new.contract), tick))
}

/// Price at which an order is margined: its own; for a market order the best of the other side,
/// for a buy a little more.
fn assumed_px(market: &SyntheticMarket, new: &NewOrder, px: Px) -> Px {
    if new.kind == OrderKind::Limit {
        return px;
    }
    let spec = market.spec(new.contract);
    let Some(tick) = market.book(new.contract).best(new.side.opposite()) else {
        return market.mark_px(new.contract);
    };
    let best = crate::exchange::flow::client::px_of(spec, tick);
    match new.side {
        Side::Buy => best + Px(fee(Money(best.0), MARKET_SLACK).map_or(0, |slack| slack.0)),
        Side::Sell => best,
    }
}

/// `^[\.A-Z\:/a-z0-9_-]{1,36}$`, and unique among open orders.
fn check_client_id(held: &Account, client_id: Option<&str>) -> Result<(), VenueError> {
    let Some(text) = client_id else { return Ok(()) };
    check_client_text(text)?;
    if held.is_name_open(text) { Err(VenueError::DUPLICATE_CLIENT_ID) } else { Ok(()) }
}

pub(super) fn check_client_text(text: &str) -> Result<(), VenueError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || ".:/_-".contains(c);
    if text.chars().count() > CLIENT_ID_CHARS_MAX {
        Err(CLIENT_ID_LONG)
    } else if text.is_empty() || !text.chars().all(allowed) {
        Err(CLIENT_ID)
    } else {
        Ok(())
    }
}

/// True when a number has more decimals than allowed.
const fn is_finer(number: i64, decimals: u32) -> bool {
    number % 10_i64.pow(DECIMALS - decimals) != 0
}
