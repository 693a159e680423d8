//! User events as this exchange words them, one for each sample of the venue's.

use crate::exchange_desk::Desk;
use peregrine::base::{Money, Nanos, Px, Rate};
use peregrine::exchange::account::notice::{Execution, News, Notice, PositionNews};
use peregrine::exchange::account::order::{
    Algo, AlgoStatus, NewAlgo, NewOrder, Order, OrderKind, OrderName, PositionSide, PriceMatch,
    Status, TimeInForce, UserTrade, WorkingType,
};
use peregrine::exchange::matching::SelfTrade;
use peregrine::exchange::wire::user;
use serde_json::Value;

type Tell = fn(&Desk) -> Value;

/// Samples and what is sent for the same event.
pub const EVENTS: &[(&str, Tell)] = &[
    ("user-data-streams--Event-Order-Update", |desk| {
        let order = Order { orig_kind: OrderKind::TrailingStopMarket, ..resting(desk) };
        let order = Order {
            activate_px: Px::whole(1),
            callback: Rate(5_000_000),
            stop_px: Px::whole(1),
            ..order
        };
        told(desk, order_news(order, Execution::New, None))
    }),
    ("user-data-streams--Event-Trade-Lite", lite),
    ("user-data-streams--Event-Balance-and-Position-Update", |desk| told(desk, balance("ORDER"))),
    ("user-data-streams--Event-Algo-Order-Update", |desk| {
        let algo = Algo { reason: "Reduce Only reject", ..algo(AlgoStatus::Canceled) };
        told(desk, News::Algo { algo: Box::new(algo), order: None })
    }),
    ("user-data-streams--Event-Margin-Call", |desk| {
        let positions = vec![position(false)];
        told(desk, News::MarginCall { cross_wallet: Money(316_812_045), positions })
    }),
    ("user-data-streams--Event-Account-Configuration-Update-previous-Leverage-Update", |desk| {
        told(desk, News::Leverage { contract: 0, leverage: 25 })
    }),
    ("user-data-streams--Event-Account-Configuration-Update-previous-Leverage-Update--2", |desk| {
        told(desk, News::MultiAssets { on: true })
    }),
    ("user-data-streams--Event-User-Data-Stream-Expired", |desk| {
        told(desk, News::ListenKeyExpired { key: "k".repeat(64) })
    }),
    ("nautilus/rust-adapter/user_data_json/order_update_new", |desk| {
        told(desk, order_news(resting(desk), Execution::New, None))
    }),
    ("nautilus/rust-adapter/user_data_json/order_update_trade", traded),
    ("nautilus/rust-adapter/user_data_json/order_update_trade_partial", traded),
    ("nautilus/rust-adapter/user_data_json/order_update_calculated", liquidated),
    ("nautilus/rust-adapter/user_data_json/order_update_calculated_pending", |desk| {
        let order = forced(desk);
        told(desk, order_news(order, Execution::New, None))
    }),
    ("nautilus/rust-adapter/user_data_json/trade_lite", lite),
    ("nautilus/rust-adapter/user_data_json/account_update", |desk| told(desk, balance("ORDER"))),
    ("nautilus/rust-adapter/user_data_json/algo_update_new", |desk| {
        told(desk, News::Algo { algo: Box::new(algo(AlgoStatus::New)), order: None })
    }),
    ("nautilus/rust-adapter/user_data_json/algo_update_canceled", |desk| {
        told(desk, News::Algo { algo: Box::new(algo(AlgoStatus::Canceled)), order: None })
    }),
    ("nautilus/py-adapter/ws_futures_algo_update_triggering", |desk| {
        told(desk, News::Algo { algo: Box::new(algo(AlgoStatus::Triggering)), order: None })
    }),
    ("nautilus/py-adapter/ws_futures_algo_update_triggered", |desk| {
        became(desk, AlgoStatus::Triggered)
    }),
    ("nautilus/py-adapter/ws_futures_algo_update_finished", |desk| {
        became(desk, AlgoStatus::Finished)
    }),
    ("nautilus/py-adapter/ws_futures_algo_update_finished_canceled", |desk| {
        became(desk, AlgoStatus::Finished)
    }),
    ("nautilus/py-adapter/ws_futures_order_update_liquidation", liquidated),
    ("nautilus/py-adapter/ws_futures_order_update_new_price_match", |desk| {
        told(desk, order_news(resting(desk), Execution::New, None))
    }),
    ("nautilus/py-adapter/ws_futures_order_update_new_reduce_only_qty", |desk| {
        told(desk, order_news(resting(desk), Execution::New, None))
    }),
    ("nautilus/py-adapter/ws_futures_order_update_trade_reduce_only_qty", traded),
    ("nautilus/py-adapter/ws_futures_trade_lite", lite),
];

fn told(desk: &Desk, what: News) -> Value {
    let notice = Notice { account: 0, ts: desk.now, what };
    let (name, text) = user::event(&notice, &desk.exchange.market);
    let value: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["e"], name);
    value
}

fn order_news(order: Order, execution: Execution, fill: Option<UserTrade>) -> News {
    let open_value = (Money::whole(588), Money::ZERO);
    News::Order { order: Box::new(order), execution, fill, open_value }
}

/// The open order of the staged account.
fn resting(desk: &Desk) -> Order {
    let name = OrderName { id: None, client_id: Some("open-1".to_owned()) };
    desk.exchange.accounts.order(0, 0, &name).unwrap().clone()
}

/// The staged account's market order and its fill.
fn filled(desk: &Desk) -> (Order, UserTrade) {
    let fill = desk.exchange.accounts.trades(0)[0];
    let name = OrderName { id: Some(fill.order), client_id: None };
    (desk.exchange.accounts.order(0, 0, &name).unwrap().clone(), fill)
}

fn traded(desk: &Desk) -> Value {
    let (order, fill) = filled(desk);
    told(desk, order_news(order, Execution::Trade, Some(fill)))
}

fn lite(desk: &Desk) -> Value {
    let (order, fill) = filled(desk);
    told(desk, News::TradeLite { order: Box::new(order), fill })
}

fn forced(desk: &Desk) -> Order {
    let (order, _) = filled(desk);
    let client_id = "autoclose-1759347763167".to_owned();
    Order { client_id, kind: OrderKind::Liquidation, orig_kind: OrderKind::Liquidation, ..order }
}

fn liquidated(desk: &Desk) -> Value {
    let (_, fill) = filled(desk);
    let news = order_news(forced(desk), Execution::Calculated, Some(fill));
    let event = told(desk, news);
    assert_eq!((&event["o"]["x"], &event["o"]["X"]), (&"CALCULATED".into(), &"FILLED".into()));
    event
}

fn position(isolated: bool) -> PositionNews {
    PositionNews {
        contract: 0,
        side: PositionSide::Both,
        qty: peregrine::base::Qty(132_700_000),
        entry_px: Px(656_366_500_000),
        break_even_px: Px(656_360_000_000),
        mark_px: Px(660_000_000_000),
        realized: Money::whole(200),
        unrealized: Money(-116_607_400),
        isolated,
        isolated_wallet: if isolated { Money(1_320_070_726_908) } else { Money::ZERO },
        maint_margin: Money(161_444_500),
    }
}

fn balance(reason: &'static str) -> News {
    News::Account {
        reason,
        contract: Some(0),
        wallet: Money(12_262_412_345_678),
        cross_wallet: Money(10_012_345_678),
        change: Money(5_012_345_678),
        positions: vec![position(true)],
    }
}

fn algo(status: AlgoStatus) -> Algo {
    let order = NewOrder {
        contract: 0,
        side: peregrine::base::Side::Sell,
        position_side: Some(PositionSide::Both),
        kind: OrderKind::TakeProfit,
        tif: Some(TimeInForce::Gtc),
        qty: Some(peregrine::base::Qty(1_000_000)),
        px: Some(Px::whole(750)),
        reduce_only: Some(false),
        client_id: None,
        self_trade: SelfTrade::ExpireMaker,
        price_match: PriceMatch::None,
        good_till: Nanos::ZERO,
    };
    let asked = NewAlgo {
        order,
        trigger_px: Px::whole(750),
        working: WorkingType::Contract,
        close_position: false,
        price_protect: false,
        activate_px: Px::ZERO,
        callback: Rate::ZERO,
    };
    Algo {
        id: 2_148_719,
        client_id: "Q5xaq5EGKgXXa0fD7fs0Ip".to_owned(),
        asked,
        status,
        order: None,
        activated: false,
        best_px: Px::ZERO,
        reason: "",
        created: Nanos::from_secs(1),
        updated: Nanos::from_secs(2),
        triggered_at: Nanos::ZERO,
    }
}

fn became(desk: &Desk, status: AlgoStatus) -> Value {
    let (order, _) = filled(desk);
    assert_eq!(order.status, Status::Filled);
    let algo = Algo { order: Some(order.id), ..algo(status) };
    told(desk, News::Algo { algo: Box::new(algo), order: Some(Box::new(order)) })
}

#[test]
fn funding_tells_its_symbol_beside_the_reason_and_other_changes_do_not() {
    let desk = Desk::open();
    let funding = told(&desk, balance("FUNDING_FEE"));
    assert_eq!(
        (&funding["a"]["m"], &funding["a"]["S"]),
        (&"FUNDING_FEE".into(), &"BTCUSDT".into())
    );
    assert!(told(&desk, balance("ORDER"))["a"].get("S").is_none());
}

#[test]
fn a_trailing_stop_tells_whether_it_trails() {
    let desk = Desk::open();
    let mut trailing = algo(AlgoStatus::New);
    trailing.asked.order.kind = OrderKind::TrailingStopMarket;
    for activated in [false, true] {
        let algo = Box::new(Algo { activated, ..trailing.clone() });
        assert_eq!(told(&desk, News::Algo { algo, order: None })["o"]["ia"], activated);
    }
}
