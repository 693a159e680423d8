//! A session's books against the exchange's: orders and positions, and money to the unit.

use super::session::Session;
use super::watch::instrument_of;
use peregrine::base::Money;
use peregrine::exchange::Exchange;
use peregrine::ledger::Position;
use std::collections::BTreeSet;

/// In which orders and positions the session and the exchange differ.
pub fn differences(session: &mut Session, exchange: &Exchange) -> Vec<String> {
    let mut found = Vec::new();
    let ledger = session.ledger();
    let mut at_venue = BTreeSet::new();
    for contract in 0..exchange.market.len() {
        let open = exchange.accounts.open_orders(0, contract);
        at_venue.extend(open.map(|order| order.client_id.clone()));
    }
    let own = ledger.orders().iter().map(|order| order.id.to_string());
    let own: BTreeSet<String> = own.collect();
    if own != at_venue {
        found.push(format!("orders: {at_venue:?} at the venue, {own:?} here"));
    }
    for view in exchange.accounts.positions(&exchange.market, 0) {
        let (contract, at_venue) = (view.news.contract, view.news.qty.0);
        let own = ledger.position(instrument_of(contract)).map_or(0, |own| own.qty.0);
        if own != at_venue {
            found.push(format!("position {contract}: {at_venue} at the venue, {own} here"));
        }
    }
    found
}

/// T8: in which sums of money they differ, where orders and positions agree.
pub fn money(session: &mut Session, exchange: &Exchange) -> Vec<String> {
    let at_venue = exchange.accounts.ledger();
    let totals = *at_venue.totals(0);
    let positions = exchange.accounts.positions(&exchange.market, 0);
    let open: i64 = positions.iter().map(|view| view.cost.0).sum();
    let ledger = session.ledger();
    let own: Vec<_> = (0..exchange.market.len())
        .filter_map(|contract| ledger.position(instrument_of(contract)))
        .collect();
    let sum =
        |part: fn(&Position) -> Money| -> i64 { own.iter().map(|position| part(position).0).sum() };
    let (fees, funding) = (sum(|own| own.fees), sum(|own| own.funding));
    // However either side averages: what came in less what went out.
    let cash = sum(|own| own.realised) - sum(|own| own.cost) - fees + funding;
    let rows = [
        ("cash", totals.wallet().0 - totals.deposit.0 - open, cash),
        ("fees", totals.fees.0, fees),
        ("funding", totals.funding.0, funding),
        ("balanced", i64::from(at_venue.is_balanced()), 1),
    ];
    let differ = rows.into_iter().filter(|(_, venue, own)| venue != own);
    differ.map(|(what, venue, own)| format!("T8: {what}: {venue} there, {own} here")).collect()
}
