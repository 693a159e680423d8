//! Whatever is asked, in whatever order: what was approved satisfies every limit, recomputed from
//! nothing but the list of what was approved and filled.

use super::*;
use proptest::prelude::*;

#[derive(Clone, Debug)]
struct Ask {
    which: u16,
    buy: bool,
    lots: i64,
    ticks: i64,
    exit: bool,
    wait_ms: i64,
    fate: u8,
}

fn ask() -> impl Strategy<Value = Ask> {
    let numbers = (0_u16..2, any::<bool>(), 1_i64..400, 950_i64..1_050);
    (numbers, prop::bool::weighted(0.3), 0_i64..4_000, 0_u8..6).prop_map(
        |((which, buy, lots, ticks), exit, wait_ms, fate)| Ask {
            which,
            buy,
            lots,
            ticks,
            exit,
            wait_ms,
            fate,
        },
    )
}

struct Live {
    id: u64,
    which: u16,
    sign: i128,
    qty: i128,
}

fn settings() -> RiskSettings {
    RiskSettings {
        order_notional_max: Some(Money::whole(300)),
        position_notional_max: Some(Money::whole(500)),
        gross_notional_max: Some(Money::whole(800)),
        collar_mark_bps: Some(300),
        collar_touch_bps: Some(200),
        open_orders_max: Some(5),
        orders_per_10s_max: Some(6),
        entries_per_day_max: Some(40),
        duplicate_window_ms: Some(500),
        ..generous()
    }
}

/// Largest reachable magnitude by the naive list.
fn worst(held: i128, live: &[Live], which: u16) -> i128 {
    let sum = |sign: i128| -> i128 {
        live.iter().filter(|o| o.which == which && o.sign == sign).map(|o| o.qty).sum()
    };
    (held + sum(1)).abs().max((held - sum(-1)).abs())
}

/// What becomes of an approved order: filled, filled in part and cancelled, cancelled, accepted, or
/// nothing heard of. How much was filled.
fn tell_fate(desk: &mut Desk, ask: &Ask, order: &Order, trade_id: u64) -> i128 {
    let instrument = InstrumentId(ask.which);
    let filled = match ask.fate {
        0 => order.qty,
        1 => order.qty / 2,
        _ => 0,
    };
    let told = OrderReport {
        client_id: order.client_id,
        trade_id,
        qty: order.qty,
        last_qty: filled,
        cum_qty: filled,
        last_px: order.px,
        ..OrderReport::default()
    };
    if filled > 0 {
        let side = if ask.buy { Side::Buy } else { Side::Sell };
        let mut event = Event::new(Kind::OrderFilled, instrument, &told);
        event.ts_recv = desk.now.0;
        desk.ledger.on_event(&event.with_flags(side_flag(side)));
    }
    match ask.fate {
        1 | 2 => desk.hear(Kind::OrderCancelled, instrument, &OrderReport { last_qty: 0, ..told }),
        3 => desk.hear(Kind::OrderAccepted, instrument, &told),
        _ => {}
    }
    filled.into()
}

proptest! {
    #[test]
    fn every_approved_order_satisfies_all_limits_recomputed_naively(
        asks in prop::collection::vec(ask(), 1..60),
    ) {
        const SCALE: i128 = 100_000_000;
        let limits = settings();
        let mut desk = Desk::new(&limits);
        let mut held = [0_i128; 2];
        let mut live: Vec<Live> = Vec::new();
        let mut approvals: Vec<i64> = Vec::new();
        let mut entries = 0;
        for (i, ask) in asks.iter().enumerate() {
            desk.now = desk.now + Nanos::from_millis(ask.wait_ms);
            for id in [BTC, ETH] {
                desk.ledger.on_touch(id, px("99.9"), px("100.1"), desk.now);
            }
            let side = if ask.buy { Side::Buy } else { Side::Sell };
            let wanted = Wanted {
                instrument: InstrumentId(ask.which),
                side,
                qty: Qty(ask.lots * 1_000_000),
                px: Px(ask.ticks * 10_000_000),
                purpose: if ask.exit { Purpose::ExitSignal } else { Purpose::Entry },
                ..entry()
            };
            let before = live.len();
            let recent = approvals.iter().filter(|&&at| desk.now.0 - at < 10_000_000_000).count();
            let Verdict::Approved(approved) = desk.admit(&wanted) else { continue };
            let order: Order = *approved.event().body();
            let (qty, at_px) = (i128::from(wanted.qty.0), i128::from(wanted.px.0));
            let slot = usize::from(ask.which);
            approvals.push(desk.now.0);
            let sign = i128::from(side.sign());
            live.push(Live { id: order.client_id, which: ask.which, sign, qty });
            if ask.exit {
                prop_assert!(held[slot] * sign < 0 && qty <= held[slot].abs());
                prop_assert!(recent < 12);
            } else {
                entries += 1;
                prop_assert!(recent < 6 && before < 5 && entries <= 40);
                let worst_px = at_px.max(i128::from(px("100.1").0));
                let value = |qty: i128| qty * worst_px;
                prop_assert!(value(qty) <= i128::from(Money::whole(300).0) * SCALE);
                let here = value(worst(held[slot], &live, ask.which));
                prop_assert!(here <= i128::from(Money::whole(500).0) * SCALE);
                let other = 1 - ask.which;
                let there = worst(held[usize::from(other)], &live, other);
                let there = there * i128::from(Px::whole(100).0);
                prop_assert!(here + there <= i128::from(Money::whole(800).0) * SCALE);
                // 97 to 103 and 97.902 to 102.102, as ticks of 0.1.
                prop_assert!((980..=1_021).contains(&ask.ticks));
                let crosses = live.iter().take(before).any(|open| {
                    open.which == ask.which && open.sign == -sign && {
                        let px = desk.ledger.order(crate::base::ClientOrderId(open.id));
                        let px = i128::from(px.unwrap().px.0);
                        sign * (at_px - px) >= 0
                    }
                });
                prop_assert!(!crosses, "meets our own order");
            }
            held[slot] += sign * tell_fate(&mut desk, ask, &order, i as u64 + 1);
            if ask.fate <= 2 {
                live.pop();
            }
        }
    }
}
