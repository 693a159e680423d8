//! Fields of the venue's reports (kinds 48 to 63).

use super::{Field, Visit, side};
use crate::base::ClientOrderId;
use crate::base::event::{self as body, Event};

pub(super) fn position(body: &body::VenuePosition, visit: &mut Visit<'_>) {
    visit("qty", Field::Fixed(body.qty));
    visit("entry_px", Field::Fixed(body.entry_px));
    visit("round", Field::Count(body.round));
    visit("trades_from", Field::Count(body.trades_from));
}

pub(super) fn status(body: &body::VenueStatus, visit: &mut Visit<'_>) {
    visit("reason", Field::Reason(body.reason));
    visit("venue_code", Field::Whole(i64::from(body.venue_code)));
    visit("client_id", Field::Order(ClientOrderId(body.client_id)));
    visit("told", Field::Whole(body.told));
    visit("held", Field::Whole(body.held));
    visit("ts_until", Field::Time(body.ts_until));
}

pub(super) fn order_report(event: &Event, visit: &mut Visit<'_>) {
    let body: &body::OrderReport = event.body();
    visit("client_id", Field::Order(ClientOrderId(body.client_id)));
    visit("venue_id", Field::Count(body.venue_id));
    side(event, visit);
    visit("px", Field::Fixed(body.px));
    visit("qty", Field::Fixed(body.qty));
    visit("last_px", Field::Fixed(body.last_px));
    visit("last_qty", Field::Fixed(body.last_qty));
    visit("cum_qty", Field::Fixed(body.cum_qty));
    visit("fee", Field::Fixed(body.fee));
    visit("trade_id", Field::Count(body.trade_id));
    visit("reason", Field::Reason(body.reason));
    visit("venue_code", Field::Whole(i64::from(body.venue_code)));
}

pub(super) fn funding_payment(body: &body::FundingPayment, visit: &mut Visit<'_>) {
    visit("amount", Field::Fixed(body.amount));
    visit("rate", Field::Fixed(body.rate));
    visit("mark_px", Field::Fixed(body.mark_px));
    visit("position_qty", Field::Fixed(body.position_qty));
}

pub(super) fn account(body: &body::AccountStatus, visit: &mut Visit<'_>) {
    visit("wallet", Field::Fixed(body.wallet));
    visit("equity", Field::Fixed(body.equity));
    visit("unrealised", Field::Fixed(body.unrealised));
    visit("initial_margin", Field::Fixed(body.initial_margin));
    visit("maintenance_margin", Field::Fixed(body.maintenance_margin));
    visit("available", Field::Fixed(body.available));
    visit("ts_asked", Field::Time(body.ts_asked));
}

pub(super) fn margin(body: &body::MarginStatus, visit: &mut Visit<'_>) {
    visit("qty", Field::Fixed(body.qty));
    visit("entry_px", Field::Fixed(body.entry_px));
    visit("mark_px", Field::Fixed(body.mark_px));
    visit("liquidation_px", Field::Fixed(body.liquidation_px));
    visit("computed_px", Field::Fixed(body.computed_px));
    visit("initial_margin", Field::Fixed(body.initial_margin));
    visit("maintenance_margin", Field::Fixed(body.maintenance_margin));
    visit("leverage", Field::Count(u64::from(body.leverage)));
    visit("isolated", Field::Count(u64::from(body.isolated)));
}

pub(super) fn contract(body: &body::ContractStatus, visit: &mut Visit<'_>) {
    visit("tick_size", Field::Fixed(body.tick_size));
    visit("lot_size", Field::Fixed(body.lot_size));
    visit("min_qty", Field::Fixed(body.min_qty));
    visit("max_qty", Field::Fixed(body.max_qty));
    visit("min_notional", Field::Fixed(body.min_notional));
    visit("filters_hash", Field::Hash(body.filters_hash));
    visit("ts_delivery", Field::Time(body.ts_delivery));
    visit("contract_state", Field::Text(&body.state));
    visit("trading", Field::Count(u64::from(body.trading)));
}
