//! A statement against the exchange's own ledger: other code, which never saw the journal.

use crate::exchange_sim::Http;
use crate::lanes::{count, read};
use crate::pipeline_support::{EAGER, last_json, peregrine, text};
use crate::session_support::Session;
use peregrine::base::event::{Order, flags};
use peregrine::base::{Kind, Nanos, Purpose};
use peregrine::exchange::ServerSettings;
use serde_json::Value;
use std::collections::BTreeMap;

/// What the exchange's ledger counts in.
const UNIT: f64 = 1e8;

fn near(told: &Value, own: f64, what: &str) {
    let told = told.as_f64().unwrap_or_else(|| panic!("{what}: {told}"));
    assert!((told - own).abs() < 1e-6, "{what}: {told} in the statement, {own} at the exchange");
}

/// Prices that orders were decided at, and whether they sell, by the names they have at a venue.
fn decisions(events: &[peregrine::base::Event]) -> BTreeMap<String, (f64, bool)> {
    let intents = events.iter().filter(|event| event.kind() == Some(Kind::OrderIntent));
    intents
        .filter(|event| event.body::<Order>().purpose != Purpose::Protect as u8)
        .map(|event| {
            let order: &Order = event.body();
            let name = String::from_utf8(order.id().to_text().to_vec()).unwrap();
            (name, (order.reference_px as f64 / UNIT, event.has(flags::SELL)))
        })
        .collect()
}

#[test]
fn profit_fees_funding_volume_and_slippage_are_those_of_the_exchange_s_own_ledger() {
    let mut settings = ServerSettings::default();
    // Funding is part of it, and eight hours are too long to wait for it.
    settings.symbols.iter_mut().for_each(|spec| spec.funding_every = Nanos::from_secs(1));
    let enters_near_funding = [EAGER[0], EAGER[1], ("watch", "funding_window_s", "0")];
    let (exchange, session) = Session::at_exchange(settings, &enters_near_funding);
    session.wait(|told| {
        count(told, Kind::OrderFilled) >= 10 && count(told, Kind::FundingPayment) >= 2
    });
    let (outcome, state) = session.end();
    assert_eq!((outcome.halt, outcome.differences), (None, Vec::new()));

    let ledger = Http::connect(&exchange.rest_url()).request("GET", "/sim/ledger", &[], "");
    let ledger = ledger.unwrap().json();
    let account = &ledger["accounts"][0];
    let (page, sheet) = (state.path().join("day.html"), state.path().join("day.md"));
    let words = ["report", text(state.path()), "--session", "paper", "--json"];
    let files = ["--html", text(&page), "--md", text(&sheet)];
    let told = last_json(&peregrine(&[&words[..], &files].concat()));

    let at_exchange = |name: &str| account[name].as_f64().unwrap() / UNIT;
    near(&told["fees"], at_exchange("fees"), "fees");
    near(&told["executions"]["all"]["fees"], at_exchange("fees"), "fees of fills");
    // Payments after the session had ended are at the exchange alone.
    let orders = account["orders"].as_array().unwrap();
    let decided = decisions(&read(&state.path().join("journal/0000001-paper"), 3));
    let (mut fills, mut volume, mut slipped, mut undecided) = (0, 0.0, 0.0, 0);
    for order in orders {
        for fill in order["fills"].as_array().unwrap() {
            let of = |name: &str| fill[name].as_f64().unwrap() / UNIT;
            fills += 1;
            volume += of("px") * of("qty");
            match decided.get(order["client_id"].as_str().unwrap()) {
                Some((reference, true)) => slipped += (reference - of("px")) * of("qty"),
                Some((reference, false)) => slipped += (of("px") - reference) * of("qty"),
                None => undecided += 1,
            }
        }
    }
    let all = &told["executions"]["all"];
    assert_eq!((&all["fills"], &all["undecided"]), (&fills.into(), &undecided.into()));
    near(&all["volume"], volume, "volume");
    near(&all["slippage"], slipped, "slippage");
    let lines = told["instruments"].as_object().unwrap();
    let sum = |part: &str| lines.values().map(|line| line[part].as_f64().unwrap()).sum::<f64>();
    let cost: f64 =
        account["positions"].as_array().unwrap().iter().map(|p| p["cost"].as_f64().unwrap()).sum();
    if cost == 0.0 {
        near(&sum("realised").into(), at_exchange("realized"), "realised");
    }
    let parts = sum("realised") - sum("fees") + sum("funding") + sum("unrealised");
    near(&told["profit"], parts, "profit of its parts");

    let (page, sheet) =
        (std::fs::read_to_string(page).unwrap(), std::fs::read_to_string(sheet).unwrap());
    for symbol in lines.keys() {
        assert!(page.contains(symbol) && sheet.contains(symbol), "{symbol}");
    }
    for word in ["Profit", "Executions", "slippage against the decision", "funding received"] {
        assert!(page.contains(word) && sheet.contains(word), "{word}");
    }
}
