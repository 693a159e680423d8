//! A symbol that falls asleep and wakes again, at the breakers of its market.

use super::*;
use crate::base::SymbolState;
use crate::base::event::SymbolChange;

impl Desk {
    fn becomes(&mut self, state: SymbolState) {
        let body = SymbolChange { state: state as u8, ..SymbolChange::default() };
        self.show(Event::new(Kind::SymbolChange, BTC, &body));
        self.settle();
    }

    /// Five seconds without a quote of the first instrument; the other one has its own.
    fn silence(&mut self) {
        for _ in 0..50 {
            self.ledger.on_touch(ETH, px("99.9"), px("100.1"), self.now);
            self.wait(100);
        }
    }
}

#[test]
fn what_falls_asleep_leaves_every_level_of_its_market_at_once() {
    type Reach = fn(&mut Desk);
    let cases: [(Control, Reach); 4] = [
        (Control::Staleness, Desk::silence),
        (Control::Spread, |desk| desk.tick("99.75", "100.25")),
        (Control::Jump, |desk| {
            desk.tick("99.9", "100.1");
            desk.tick("110", "110.2");
        }),
        (Control::Range, |desk| {
            for i in 0..60 {
                desk.quiet(1_000);
                desk.predict(0.5 + i as f32 / 1_000.0, i, "1");
            }
            desk.quiet(1_000);
            desk.predict(0.6, 99, "2.5");
        }),
    ];
    for (control, reach) in cases {
        let mut desk = desk(&alone());
        desk.tick("99.9", "100.1");
        reach(&mut desk);
        assert_eq!(desk.level(control), Level::Reduce, "{control:?}");
        desk.becomes(SymbolState::Leaving);
        assert_eq!(desk.level(control), Level::Reduce, "{control:?}: it is still traded");
        desk.becomes(SymbolState::Asleep);
        assert_eq!(desk.level(control), Level::Clear, "{control:?}");
    }
}

#[test]
fn nobody_misses_a_quote_of_what_sleeps_and_of_what_is_awake_again_everybody_does() {
    let mut desk = desk(&alone());
    desk.tick("99.9", "100.1");
    desk.silence();
    assert!(desk.gate.breakers.to_recover(BTC) > 0);
    desk.becomes(SymbolState::Asleep);
    assert_eq!(desk.gate.breakers.to_recover(BTC), 0);
    // One that was on its way.
    desk.tick("99.9", "100.1");
    desk.silence();
    assert_eq!(desk.level(Control::Staleness), Level::Clear);
    desk.becomes(SymbolState::Awake);
    assert_eq!(desk.gate.breakers.to_recover(BTC), 0, "its next quote is its first");
    desk.tick("99.9", "100.1");
    assert_eq!(desk.level(Control::Staleness), Level::Clear);
    desk.silence();
    assert_eq!(desk.level(Control::Staleness), Level::Reduce);
}

#[test]
fn what_wakes_has_not_jumped_from_where_it_fell_asleep() {
    for (sleeps, level) in [(true, Level::Clear), (false, Level::Reduce)] {
        let mut desk = desk(&alone());
        desk.tick("99.9", "100.1");
        if sleeps {
            desk.becomes(SymbolState::Asleep);
            desk.becomes(SymbolState::Awake);
        }
        desk.tick("150", "150.2");
        assert_eq!(desk.level(Control::Jump), level, "{sleeps}");
    }
}
