//! RC-15 at its bounds: degraded from a second, stale from five, live again after three good ticks.

use super::*;
use crate::base::Money;
use crate::base::limits::TIMER_VISITS_MAX;

struct Quotes {
    board: Board,
    staleness: Staleness,
    ledger: Ledger,
    now: Nanos,
}

impl Quotes {
    fn new(allowed: bool) -> Self {
        let settings = BreakerSettings {
            stale_degraded_ms: 1_000,
            stale_ms: 5_000,
            stale_good_ticks: 3,
            ..BreakerSettings::default()
        };
        Self {
            board: board(&settings, Nanos::ZERO),
            staleness: Staleness::new(&[allowed], &settings),
            ledger: Ledger::new(1, Money::whole(1)),
            now: START,
        }
    }

    /// A quote so many milliseconds later.
    fn quote(&mut self, ms: i64, bid: i64, ask: i64) -> (u32, Level) {
        self.now = self.now + Nanos::from_millis(ms);
        self.ledger.on_touch(BTC, Px(bid), Px(ask), self.now);
        let position = self.ledger.position(BTC).unwrap();
        self.staleness.on_tick(&mut self.board, BTC, position, self.now);
        self.stands()
    }

    fn tick(&mut self, ms: i64) -> (u32, Level) {
        self.quote(ms, 99, 101)
    }

    /// So many milliseconds later there is none.
    fn wait(&mut self, ms: i64) -> (u32, Level) {
        self.now = self.now + Nanos::from_millis(ms);
        self.staleness.on_time(&mut self.board, &self.ledger, self.now);
        self.stands()
    }

    /// Good ticks still to come, and the level.
    fn stands(&self) -> (u32, Level) {
        (self.staleness.to_recover(BTC), self.board.level(Control::Staleness))
    }
}

#[test]
fn a_silence_degrades_at_one_limit_and_owes_good_ticks_from_the_other_on() {
    let mut quotes = Quotes::new(true);
    assert_eq!(quotes.tick(0), (0, Level::Clear));
    assert_eq!(quotes.wait(999), (0, Level::Clear));
    assert_eq!(quotes.wait(1), (0, Level::Warn));
    assert_eq!(quotes.wait(3_999), (0, Level::Warn));
    assert_eq!(quotes.wait(1), (3, Level::Reduce));
}

#[test]
fn a_tick_shows_the_silence_before_it_where_nobody_told_the_time() {
    let mut quotes = Quotes::new(true);
    quotes.tick(0);
    assert_eq!(quotes.tick(4_999), (0, Level::Clear));
    assert_eq!(quotes.tick(5_000), (3, Level::Reduce));
}

#[test]
fn good_ticks_in_a_row_end_it_and_until_the_last_of_them_it_reduces() {
    let mut quotes = Quotes::new(true);
    quotes.tick(0);
    quotes.wait(5_000);
    assert_eq!(quotes.tick(0), (3, Level::Reduce), "the one that ends the silence is late");
    assert_eq!(quotes.tick(999), (2, Level::Reduce));
    assert_eq!(quotes.wait(999), (2, Level::Reduce));
    assert_eq!(quotes.tick(0), (1, Level::Reduce));
    assert_eq!(quotes.tick(10), (0, Level::Clear));
    assert_eq!(quotes.tick(10), (0, Level::Clear));
}

#[test]
fn a_late_a_crossed_and_a_missing_tick_begin_the_row_again() {
    type Step = fn(&mut Quotes) -> (u32, Level);
    let again: [(&str, Step); 4] = [
        ("late", |quotes| quotes.tick(1_000)),
        ("crossed", |quotes| quotes.quote(10, 101, 99)),
        ("empty", |quotes| quotes.quote(10, 0, 0)),
        ("missing", |quotes| quotes.wait(1_000)),
    ];
    for (name, step) in again {
        let mut quotes = Quotes::new(true);
        quotes.tick(0);
        let row = [5_000, 10, 10].map(|ms| quotes.tick(ms).0);
        assert_eq!(row, [3, 2, 1], "{name}");
        assert_eq!(step(&mut quotes), (3, Level::Reduce), "{name}");
    }
}

#[test]
fn what_may_not_be_traded_never_had_a_quote_or_is_not_there_is_nobody_s_concern() {
    let (mut forbidden, mut silent) = (Quotes::new(false), Quotes::new(true));
    forbidden.tick(0);
    for quotes in [&mut forbidden, &mut silent] {
        assert_eq!(quotes.wait(60_000), (0, Level::Clear));
        assert_eq!(quotes.board.count(Control::Staleness).evaluated, 0);
    }
    assert_eq!(silent.staleness.to_recover(InstrumentId(1)), 0);
}

#[test]
fn a_timer_visits_so_many_instruments_and_the_next_one_goes_on_after_them() {
    let count = TIMER_VISITS_MAX + 1;
    let settings = BreakerSettings { stale_ms: 5_000, stale_good_ticks: 3, ..Default::default() };
    let rungs = |control| rungs::rungs_of(control, &settings, &RiskSettings::default());
    let mut board = Board::new(count, Nanos::ZERO, rungs);
    let mut staleness = Staleness::new(&vec![true; count], &settings);
    let mut ledger = Ledger::new(count, Money::whole(1));
    for id in 0..count as u16 {
        ledger.on_touch(InstrumentId(id), Px(99), Px(101), START);
    }
    let owing = |staleness: &Staleness| -> Vec<u16> {
        let owes = |id: &u16| staleness.to_recover(InstrumentId(*id)) > 0;
        (0..count as u16).filter(owes).collect()
    };
    staleness.on_time(&mut board, &ledger, after(5_000));
    assert_eq!(owing(&staleness), Vec::from_iter(0..TIMER_VISITS_MAX as u16));
    staleness.on_time(&mut board, &ledger, after(5_000));
    assert_eq!(owing(&staleness), Vec::from_iter(0..count as u16));
}

#[test]
fn what_is_cleared_is_below_the_least_rung_there_can_be() {
    let settings =
        BreakerSettings { spread_trip_bps: 1, spread_clear_bps: 1, ..BreakerSettings::default() };
    let mut board = board(&settings, Nanos::from_secs(1_000));
    board.judge_at(Control::Spread, BTC, 1, START);
    assert_eq!(board.level(Control::Spread), Level::Reduce);
    board.clear_at(Control::Spread, BTC, START);
    assert_eq!(board.level(Control::Spread), Level::Clear);
}
