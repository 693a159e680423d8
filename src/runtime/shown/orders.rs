//! Orders and fills as rows of the page.

use crate::base::event::{Event, Kind, Order, OrderReport, OrderState, SessionCarried, flags};
use crate::base::units::{Money, Px, Qty};
use crate::base::{ClientOrderId, Nanos, OrderType, Purpose, Reason, Side};
use crate::execution::OrderState as State;
use crate::observe::Snapshot;
use crate::observe::snapshot::{FillView, OrderView};
use std::collections::VecDeque;

/// The window of `risk.orders_per_10s_max`.
const WINDOW: Nanos = Nanos::from_secs(10);
/// Orders remembered of that window; no limit is near it.
const WINDOW_ORDERS_MAX: usize = 4_096;

/// How many orders there were, see the head of this file.
#[derive(Debug, Default)]
pub struct Orders {
    recent: VecDeque<Nanos>,
    day: i64,
    entries: u32,
}

impl Orders {
    /// What an earlier session left.
    pub fn note_session_carried(&mut self, event: &Event) {
        let body: &SessionCarried = event.body();
        if body.epoch > 0 {
            (self.day, self.entries) = (body.day, body.entries_today);
        }
    }

    /// An order leaves, or its state moved.
    pub fn note(&mut self, event: &Event, symbol: String, page: &mut Snapshot) {
        if event.kind() == Some(Kind::OrderIntent) {
            let body: &Order = event.body();
            let purpose = Purpose::from_u8(body.purpose);
            self.count(event.now(), purpose == Some(Purpose::Entry));
            page.note_order(OrderView {
                client_id: body.id().to_string(),
                ts_ns: event.ts_recv,
                symbol,
                side: side_name(event),
                px: Px(body.px),
                qty: Qty(body.qty),
                order_type: match OrderType::from_u8(body.order_type) {
                    Some(OrderType::Limit) => "limit",
                    Some(OrderType::Market) => "market",
                    Some(OrderType::StopMarket) => "stop",
                    None => "",
                },
                purpose: match purpose {
                    Some(Purpose::Entry) => "entry",
                    Some(Purpose::Protect) => "protect",
                    Some(_) => "exit",
                    None => "",
                },
                open: true,
                state: "sent",
                ..OrderView::default()
            });
            return;
        }
        let body: &OrderState = event.body();
        let id = ClientOrderId(body.client_id).to_string();
        let known = page.orders.iter().rev().find(|order| order.client_id == id).cloned();
        if let Some(mut order) = known {
            let state = State::from_u8(body.to);
            order.cum_qty = Qty(body.cum_qty);
            order.open = !state.is_some_and(State::is_terminal);
            order.state = state.map_or("unknown", State::name);
            let reason = Reason::from_u16(body.reason).filter(|reason| *reason != Reason::None);
            order.reason = reason.map_or("", Reason::name);
            page.note_order(order);
        }
    }

    /// A fill came.
    pub fn note_fill(event: &Event, symbol: String, page: &mut Snapshot) {
        let body: &OrderReport = event.body();
        page.note_fill(FillView {
            client_id: ClientOrderId(body.client_id).to_string(),
            ts_ns: event.ts_recv,
            symbol,
            side: side_name(event),
            px: Px(body.last_px),
            qty: Qty(body.last_qty),
            fee: Money(body.fee),
            maker: event.has(flags::MAKER),
        });
    }

    fn count(&mut self, now: Nanos, entry: bool) {
        if self.recent.len() >= WINDOW_ORDERS_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back(now);
        let today = now.utc_day();
        if today > self.day {
            (self.day, self.entries) = (today, 0);
        }
        self.entries += u32::from(entry);
    }

    /// Orders of the ten seconds before `now`.
    pub fn in_window(&mut self, now: Nanos) -> usize {
        while self.recent.front().is_some_and(|&at| now - at >= WINDOW) {
            self.recent.pop_front();
        }
        self.recent.len()
    }

    /// Entries of the UTC day of `now`.
    pub fn entries_on(&self, now: Nanos) -> u32 {
        if now.utc_day() > self.day { 0 } else { self.entries }
    }
}

const fn side_name(event: &Event) -> &'static str {
    match event.side() {
        Side::Buy => "buy",
        Side::Sell => "sell",
    }
}
