//! A position several times as large as the venue's largest market order: the killer ends flat, and
//! none of its orders was larger than the venue takes.

use crate::kill_process::{Books, killer, place};
use crate::pipeline_support::last_json;
use crate::process::wait;
use crate::trader_world::{World, error_of};
use peregrine::base::Qty;
use peregrine::exchange::{ExchangeServer, ServerSettings, SymbolSpec};
use serde_json::{Value, json};

/// Largest market order of this exchange, and a position of three times as much.
const LARGEST: &str = "0.003";
const HELD: &str = "0.009";

/// An exchange whose account holds BTCUSDT, bought by a limit order.
fn world() -> World {
    let market_max_qty = Qty::parse(LARGEST).unwrap();
    let btc = SymbolSpec { market_max_qty, ..SymbolSpec::btcusdt() };
    let symbols = vec![btc, SymbolSpec::ethusdt()];
    let settings = ServerSettings { symbols, ..ServerSettings::default() };
    let world = World::at(ExchangeServer::start(settings).unwrap());
    let order = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=IOC&price=61000&quantity=";
    place(&world.exchange, &format!("{order}{HELD}"));
    wait("the position", || held(&world) == Qty::parse(HELD).unwrap().0);
    world
}

fn held(world: &World) -> i64 {
    let rows = Books::of(&world.exchange).rows("positions");
    rows.iter().map(|row| row["qty"].as_i64().unwrap()).sum()
}

/// What market orders sold, one by one, in units of 1e-8.
fn sold_at_any_price(world: &World) -> Vec<i64> {
    let orders = Books::of(&world.exchange).rows("orders");
    let market = orders.iter().filter(|row| row["type"] == "MARKET");
    let filled = |row: &Value| row["filled"].as_i64().unwrap();
    market.inspect(|row| assert_eq!(row["side"], "SELL")).map(filled).collect()
}

#[test]
fn the_killer_closes_three_times_the_largest_market_order_in_one_round() {
    let world = world();
    let words = ["--mode", "flatten", "--yes", "--market-after", "0", "--for", "20"];
    let killed = killer(&world, &words);
    assert_eq!(killed.status.code(), Some(0), "{}", error_of(&killed));
    assert_eq!(held(&world), 0);
    let told = last_json(&killed);
    assert_eq!(told["closing_orders"], json!(3), "{told}");
    assert_eq!(sold_at_any_price(&world), [Qty::parse(LARGEST).unwrap().0; 3]);
}
