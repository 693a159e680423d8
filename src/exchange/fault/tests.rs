//! Decisions: when, what, how often, and the same again for the same seed.

use super::*;
use crate::exchange::wire::route::Route;

fn fault(text: &str) -> Fault {
    script::parse(&format!("[[fault]]\n{text}")).unwrap().remove(0)
}

fn faults(texts: &[&str]) -> Faults {
    let mut faults = Faults::new(7, Nanos::ZERO);
    for text in texts {
        faults.add(fault(text));
    }
    faults
}

fn ms(ms: i64) -> Nanos {
    Nanos::from_millis(ms)
}

fn ticker(connection: u64) -> Subject<'static> {
    on_socket(Route::Public, connection, "btcusdt@bookTicker", "BTCUSDT")
}

#[test]
fn a_fault_strikes_within_its_time_and_no_more_often_than_it_may() {
    let mut all = faults(&["kind = 'drop'\nfrom = 10\nuntil = 20\ncount = 2"]);
    let mut hits = Vec::new();
    for at in [9, 10, 15, 19, 20] {
        let struck = all.strikes(Point::Text, &ticker(1), ms(at)).len();
        hits.push(struck);
    }
    assert_eq!(hits, [0, 1, 1, 0, 0]);
    assert_eq!(all.to_json()[0]["hits"], 2);
}

#[test]
fn the_same_seed_makes_the_same_choices_and_another_fault_does_not_disturb_them() {
    let coin = "kind = 'drop'\nprobability = 0.5";
    let draws = |all: &mut Faults| -> Vec<bool> {
        let struck = |at| {
            let strikes = all.strikes(Point::Text, &ticker(1), ms(at));
            strikes.iter().any(|strike| strike.kind == Kind::Drop)
        };
        (0..200).map(struck).collect()
    };
    let first = draws(&mut faults(&[coin]));
    assert_eq!(first, draws(&mut faults(&[coin])));
    assert_eq!(first, draws(&mut faults(&[coin, "kind = 'duplicate'\nprobability = 0.5"])));
    let hits = first.iter().filter(|struck| **struck).count();
    // Four standard deviations of 200 coin flips are 28.
    assert!((72..=128).contains(&hits), "{hits}");
    let mut other = Faults::new(8, Nanos::ZERO);
    other.add(fault(coin));
    assert_ne!(first, draws(&mut other));
}

#[test]
fn answers_to_control_messages_are_data_to_nobody_who_does_not_say_so() {
    let answer = on_socket(Route::Public, 1, "answer", "");
    let struck = |text: &str| !faults(&[text]).strikes(Point::Text, &answer, ms(1)).is_empty();
    assert!(!struck("kind = 'drop'"));
    assert!(!struck("kind = 'stale'"));
    assert!(struck("kind = 'drop'\ntarget = { stream = 'answer' }"));
    let mut delay = faults(&["kind = 'delay'\nms = 5"]);
    assert_eq!(delay.strikes(Point::Send, &answer, ms(1)).len(), 1, "delays are of the connection");
}

#[test]
fn jitter_stays_within_what_was_asked_for() {
    let mut all = faults(&["kind = 'delay'\nms = 100\njitter_ms = 50"]);
    let mut seen = Vec::new();
    for at in 0..100 {
        seen.extend(all.strikes(Point::Send, &ticker(1), ms(at)).iter().map(|s| s.numbers[0]));
    }
    assert_eq!(seen.len(), 100);
    assert!(seen.iter().all(|ms| (100..=150).contains(ms)), "{seen:?}");
    assert!(seen.iter().any(|ms| *ms != seen[0]));
}

#[test]
fn what_lasts_begins_and_ends_at_its_time_and_repeats_when_asked_to() {
    let mut all = faults(&[
        "kind = 'halt'\nsymbol = 'BTCUSDT'\nfrom = 10\nuntil = 20",
        "kind = 'expire_listen_key'\nat = 5\nevery = 10\ncount = 2",
    ]);
    let mut seen = Vec::new();
    while all.next_due() < Nanos(i64::MAX) {
        let now = all.next_due();
        for change in all.take_changes(now) {
            seen.push((now.to_millis(), change.fault.kind, change.begins));
        }
        if now == ms(10) {
            assert!(all.is_on(Kind::Halt, &Subject::default()));
        }
        assert!(now < ms(100), "it ends");
    }
    assert_eq!(
        seen,
        [
            (5, Kind::ExpireListenKey, true),
            (10, Kind::Halt, true),
            (15, Kind::ExpireListenKey, true),
            (20, Kind::Halt, false),
        ]
    );
}

#[test]
fn taking_out_what_lasts_ends_it() {
    let mut all = faults(&["kind = 'outage'\nfrom = 10", "kind = 'drop'"]);
    all.take_changes(ms(10));
    let ended = all.remove(Some(1)).unwrap();
    assert_eq!((ended.len(), ended[0].begins), (1, false));
    assert!(all.remove(Some(1)).is_none());
    assert_eq!(all.remove(None).unwrap().len(), 0);
    assert!(all.is_empty());
}

#[test]
fn a_grid_cannot_be_coarsened_until_orders_cannot_be_computed() {
    use crate::exchange::{Exchange, ExchangeSettings, SymbolSpec};
    let mut exchange = Exchange::new(&ExchangeSettings {
        seed: 1,
        symbols: vec![SymbolSpec::btcusdt()],
        rate: 100.0,
        opened_at: Nanos::from_secs(1_750_000_000),
        accounts: Vec::new(),
    });
    let text = "kind = 'filter_change'\nsymbol = 'BTCUSDT'\ntick_times = 1000\n\
                step_times = 1000\nnotional_times = 1000";
    let change = Change { fault: fault(text), begins: true };
    let now = exchange.now();
    let done: Vec<bool> =
        (0..9).map(|_| world::apply(&mut exchange, &change, now).is_ok()).collect();
    assert!(done[0] && !done[8], "{done:?}");
    let spec = exchange.market.spec(0);
    assert!(spec.order_tick().is_positive() && spec.order_lot().is_positive());
}
