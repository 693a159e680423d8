//! Three instruments of which the second moves with both others, and those two apart.

use super::*;
use crate::base::event::Timer;

const SOL: InstrumentId = InstrumentId(2);
/// As many as a correlation is made of.
const BARS: usize = 8;
/// Steps of the first and the third in each bar: their products cancel out, and either's with their
/// sum are half of what the sum's square is, which is a correlation of 0.7.
const STEPS: [(i64, i64); 4] = [(1, 1), (1, -1), (-1, 1), (-1, -1)];

/// A desk that knows how the three move, with a shared budget.
fn desk(budget: &str) -> Desk {
    let names = ["BTCUSDT", "ETHUSDT", "SOLUSDT"];
    let mut settings = generous();
    settings.allow = names.iter().map(|name| Symbol::new(name.as_bytes()).unwrap()).collect();
    settings.portfolio.correlation_max_percent = Some(50);
    settings.portfolio.correlation_bar_s = Some(1);
    settings.portfolio.correlated_notional_max = Some(money(budget));
    let mut desk = Desk::with(&settings, &names.map(instrument), Mode::Live);
    let mut at = [px("100").0; 3];
    for bar in 0..=BARS {
        for (id, px) in [BTC, ETH, SOL].into_iter().zip(at) {
            desk.ledger.on_mark(id, Px(px), desk.now);
            desk.ledger.on_touch(id, self::px("99.9"), self::px("100.1"), desk.now);
        }
        let _ = desk.told(Kind::Timer, InstrumentId::NONE, &Timer::default());
        let (first, third) = STEPS[bar % STEPS.len()];
        let steps = [first, first + third, third].map(|step| step * px("0.001").0);
        at.iter_mut().zip(steps).for_each(|(px, step)| *px += step);
        desk.now = desk.now + Nanos::from_secs(1);
    }
    for id in [BTC, ETH, SOL] {
        desk.ledger.on_mark(id, px("100"), desk.now);
        desk.ledger.on_touch(id, px("99.9"), px("100.1"), desk.now);
    }
    desk
}

/// An entry of one passes, or is one too many for the shared budget.
#[track_caller]
fn judged(desk: &mut Desk, instrument: InstrumentId, passes: bool) {
    let wanted = Wanted { instrument, ..entry() };
    if passes {
        desk.passes(&wanted);
    } else {
        desk.is_denied(&wanted, Reason::MaxCorrelated);
    }
}

#[test]
fn what_moves_with_a_third_shares_its_budget() {
    // One of each of the others at their mark price, and one at the ask.
    for (budget, passes) in [("300.1", true), ("300.09999999", false)] {
        let mut desk = desk(budget);
        desk.hold(SOL, Side::Sell, qty("1"), px("100"));
        desk.hold(ETH, Side::Buy, qty("1"), px("100"));
        judged(&mut desk, BTC, passes);
    }
}

#[test]
fn what_moves_with_none_that_is_held_has_a_budget_of_its_own() {
    for (budget, passes) in [("100.1", true), ("100.09999999", false)] {
        let mut desk = desk(budget);
        desk.hold(SOL, Side::Sell, qty("9"), px("100"));
        judged(&mut desk, BTC, passes);
    }
    // The second moves with both of them.
    for (budget, passes) in [("200.1", true), ("200.09999999", false)] {
        let mut desk = desk(budget);
        desk.hold(SOL, Side::Sell, qty("1"), px("100"));
        judged(&mut desk, ETH, passes);
    }
}
