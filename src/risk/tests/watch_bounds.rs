//! The watch of the venue at its edges: to the unit, to the nanosecond, and where nothing is told.

use super::watch::{listed, watching};
use super::*;
use crate::base::event::{ContractStatus, MarginStatus, MarkPrice};
use crate::base::settings::WatchSettings;
use crate::risk::watch::Watch;
use TradingState::{Active, Halted, Reducing};

const NANO: Nanos = Nanos(1);

/// A watch of one contract, asked without a gate.
struct Bare {
    watch: Watch,
    ledger: Ledger,
    facts: InstrumentSettings,
    conditions: Conditions,
}

impl Bare {
    fn new(equity: Money, change: impl FnOnce(&mut WatchSettings)) -> Self {
        let mut settings = WatchSettings::asking_nothing();
        change(&mut settings);
        Self {
            watch: Watch::new(&settings, 1, true),
            ledger: Ledger::new(1, equity),
            facts: instrument("BTCUSDT"),
            conditions: Conditions::default(),
        }
    }

    fn show<B: Body>(&mut self, kind: Kind, body: &B) -> Option<(TradingState, Reason)> {
        let event = Event { ts_recv: NOON.0, ..Event::new(kind, BTC, body) };
        self.ledger.on_event(&event);
        self.watch.on_event(&event, &self.ledger, Some(&mut self.facts), &mut self.conditions)
    }

    fn mark(&mut self, mark: Px, next: Nanos) {
        let (mark_px, ts_next_funding) = (mark.0, next.0);
        let body = MarkPrice { mark_px, ts_next_funding, ..MarkPrice::default() };
        assert_eq!(self.show(Kind::MarkPrice, &body), None);
    }

    /// The venue counts so many units of equity.
    fn account(&mut self, equity: i64) {
        let body = AccountStatus { equity, ..AccountStatus::default() };
        assert_eq!(self.show(Kind::AccountStatus, &body), None);
    }

    fn touch(&mut self, bid: Px, ask: Px) {
        self.ledger.on_touch(BTC, bid, ask, NOON);
    }

    /// Why there are no entries: reason, value, limit.
    fn block(&mut self, now: Nanos) -> Option<(Reason, i64, i64)> {
        let position = *self.ledger.position(BTC)?;
        let trip = self.watch.block(BTC, &position, now)?;
        Some((trip.reason, trip.value, trip.limit))
    }
}

#[test]
fn rc_21_a_payment_s_window_is_closed_to_the_nanosecond_and_tells_when_the_next_one_is() {
    let window = Nanos::from_secs(10);
    let (paid, next) = (NOON, NOON + Nanos::from_secs(28_800));
    let mut bare = Bare::new(Money(1), |s| s.funding_window_s = 10);
    assert_eq!(bare.block(Nanos(5)), None, "never told, and the epoch is no payment");
    let closed = |of: Nanos, now: Nanos| Some((Reason::FundingWindow, (of - now).0, window.0));
    bare.mark(Px::ZERO, paid);
    for now in [paid - window, paid, paid + window - NANO] {
        assert_eq!(bare.block(now), closed(paid, now), "{now:?}");
    }
    for now in [paid - window - NANO, paid + window] {
        assert_eq!(bare.block(now), None, "{now:?}");
    }
    // However often the next one is told, the last one stays what it was.
    for _ in 0..2 {
        bare.mark(Px::ZERO, next);
        for now in [paid, paid + window - NANO, next - window, next] {
            assert_eq!(bare.block(now), closed(next, now), "{now:?}");
        }
        for now in [paid - NANO, paid + window, next - window - NANO] {
            assert_eq!(bare.block(now), None, "{now:?}");
        }
    }
}

#[test]
fn rc_21_a_window_of_nothing_closes_nothing() {
    let mut bare = Bare::new(Money(1), |s| s.funding_window_s = 0);
    for next in [NOON, NOON + Nanos::from_secs(28_800)] {
        bare.mark(Px::ZERO, next);
        for now in [NOON - NANO, NOON, NOON + NANO] {
            assert_eq!(bare.block(now), None, "{next:?} {now:?}");
        }
    }
}

#[test]
fn fault_x10_the_gap_is_the_least_number_of_basis_points_that_holds_it() {
    for (mark, mid) in
        [(100, 99), (99, 98), (98, 99), (101, 100), (10_000, 9_999), (10_001, 10_000), (9, 9)]
    {
        let mut bare = Bare::new(Money(1), |s| s.mark_gap_bps_max = 1);
        bare.touch(Px(mid - 1), Px(mid + 1));
        bare.mark(Px(mark), Nanos::ZERO);
        let gap = (0..).find(|bps| bps * mark >= i64::abs(mark - mid) * 10_000).unwrap();
        let told = (gap > 1).then_some((Reason::MarkDiverged, gap, 1));
        assert_eq!(bare.block(NOON), told, "{mark} {mid}");
    }
}

#[test]
fn fault_x10_neither_a_touch_that_moves_alone_nor_a_mark_that_was_away_meanwhile_is_missed() {
    let mut bare = Bare::new(Money(1), |s| s.mark_gap_bps_max = 100);
    bare.touch(px("99.9"), px("100.1"));
    bare.mark(px("100"), Nanos::ZERO);
    assert_eq!(bare.block(NOON), None);
    bare.touch(px("101.9"), px("102.1"));
    assert_eq!(bare.block(NOON), Some((Reason::MarkDiverged, 200, 100)));
    bare.touch(px("99.9"), px("100.1"));
    assert_eq!(bare.block(NOON), None, "it is back");
    // Nobody asks while the mark price is away; 60 basis points are not within half of 100.
    bare.mark(px("102.05"), Nanos::ZERO);
    bare.mark(px("100.6"), Nanos::ZERO);
    assert_eq!(bare.block(NOON), Some((Reason::MarkDiverged, 60, 100)));
}

#[test]
fn rc_19_critical_is_told_beside_low_and_ends_before_it() {
    let mut bare = Bare::new(Money::whole(1_000), |_| ());
    let (one, at) = (qty("1").0, px("100").0);
    let fill = OrderReport { trade_id: 1, last_qty: one, last_px: at, ..OrderReport::default() };
    bare.show(Kind::OrderFilled, &fill);
    for (liquidation, low, critical) in [
        ("75", false, false),
        ("80.01", true, false),
        ("85.01", true, true),
        ("80", true, false),
        ("75", false, false),
    ] {
        let price = px(liquidation).0;
        let body = MarginStatus {
            qty: one,
            mark_px: at,
            liquidation_px: price,
            computed_px: price,
            ..MarginStatus::default()
        };
        assert_eq!(bare.show(Kind::MarginStatus, &body), None);
        let mut told = Conditions::default();
        for (reason, is_so) in [(Reason::MarginLow, low), (Reason::MarginCritical, critical)] {
            if is_so {
                told.begin(reason, Nanos::ZERO);
            }
        }
        assert_eq!(bare.conditions, told, "{liquidation}");
    }
}

#[test]
fn rc_19_liquidation_prices_up_to_a_tenth_of_the_mark_price_are_far_and_not_compared() {
    let tenth = px("10").0;
    for (far, agrees) in [(tenth, true), (tenth + 1, false)] {
        for (venue, ours) in [(far, tenth / 2), (tenth / 2, far)] {
            let mut desk = watching(|_| ());
            desk.hold(BTC, Side::Buy, qty("2"), px("100"));
            assert_eq!(desk.margin(venue, ours), None);
            let told = (!agrees).then_some((Reducing, Reason::MarginDisagrees));
            assert_eq!(desk.margin(venue, ours), told, "{venue} {ours}");
        }
    }
}

#[test]
fn fault_x06_a_reading_that_agrees_between_two_that_do_not_begins_the_count_anew() {
    let mut desk = watching(|_| ());
    let (whole, short) = (money("1000000"), money("980000"));
    for equity in [whole, short, whole, short] {
        assert_eq!(desk.account(equity), None, "{equity}");
    }
    assert_eq!(desk.account(short), Some((Reducing, Reason::EquityShort)));
}

#[test]
fn fault_x06_equity_is_short_of_what_the_ledger_has_become() {
    let mut desk = watching(|_| ());
    assert_eq!(desk.account(money("1000000")), None);
    desk.receive(money("-15000"));
    assert_eq!(desk.ledger.equity(), money("985000"));
    for _ in 0..2 {
        assert_eq!(desk.account(money("985000")), None, "both have lost it");
    }
    desk.receive(money("20000"));
    assert_eq!(desk.ledger.equity(), money("1005000"));
    assert_eq!(desk.account(money("985000")), None);
    let told = Some((Reducing, Reason::EquityShort));
    assert_eq!(desk.account(money("985000")), told, "the ledger alone has earned");
}

#[test]
fn fault_x06_where_there_is_no_equity_a_single_unit_less_is_short_and_none_is_not() {
    // All of the equity may be missing, and of none that is nothing.
    for (own, less, short) in
        [(0, 0, false), (0, 1, true), (-1, 0, false), (-1, 1, true), (1, 1, false), (1, 2, true)]
    {
        let mut bare = Bare::new(Money(own), |s| s.equity_gap_bps_max = 10_000);
        bare.account(50);
        bare.account(50 - less);
        bare.account(50 - less);
        let told = short.then_some(Reason::EquityShort);
        assert_eq!(bare.conditions.first(), told, "{less} of {own}");
    }
}

#[test]
fn what_is_never_asked_is_never_missed_and_an_age_of_nothing_is_no_limit() {
    type Set = fn(&mut WatchSettings, u32, u32);
    let sets: [(Set, Reason); 4] = [
        (|s, every, age| (s.clock_every_s, s.clock_age_s_max) = (every, age), Reason::ClockUnread),
        (
            |s, every, age| (s.filters_every_s, s.filters_age_s_max) = (every, age),
            Reason::FiltersOld,
        ),
        (
            |s, every, age| (s.account_every_s, s.account_age_s_max) = (every, age),
            Reason::AccountUnread,
        ),
        (|s, every, age| (s.modes_every_s, s.modes_age_s_max) = (every, age), Reason::ModesUnread),
    ];
    for (set, reason) in sets {
        for (every, age, missed) in [(0, 1, false), (1, 0, false), (1, 1, true), (1, 2, false)] {
            let mut desk = watching(|s| {
                s.filters_every_s = 0;
                set(s, every, age);
            });
            assert_eq!(desk.timer(1), None, "{reason:?} {every} {age}");
            let told = missed.then_some((Reducing, reason));
            assert_eq!(desk.timer(2), told, "{reason:?} {every} {age}");
        }
    }
}

#[test]
fn fault_x02_filters_explain_refusals_for_ten_seconds_and_not_a_nanosecond_more() {
    let told = ContractStatus { tick_size: 2 * listed().tick_size, ..listed() };
    let ten = Nanos::from_secs(10);
    for (after, state, halts) in [(ten - NANO, Active, false), (ten, Reducing, true)] {
        let mut desk = watching(|_| ());
        assert_eq!(desk.contract(told), None);
        desk.now = NOON + after;
        desk.status(Reason::FiltersChanged, 0, 0);
        assert_eq!(desk.gate.state(), state, "{after:?}");
        let halted = halts.then_some((Halted, Reason::FiltersChanged));
        assert_eq!(desk.contract(told), halted, "{after:?}");
    }
}

#[test]
fn fault_x02_filters_told_in_part_change_nothing_and_the_finest_steps_are_taken_over() {
    let (tick, lot, least) = (listed().tick_size, listed().lot_size, money("7").0);
    for (tick_size, lot_size, whole) in
        [(1, lot, true), (tick, 1, true), (0, lot, false), (tick, 0, false), (0, 0, false)]
    {
        let mut desk = watching(|_| ());
        let told = ContractStatus { tick_size, lot_size, min_notional: least, ..listed() };
        assert_eq!(desk.contract(told), None);
        let facts = desk.gate.facts(BTC).unwrap();
        // Ours are multiples of the finest and stay.
        assert_eq!((facts.tick_size, facts.lot_size), (Px(tick), Qty(lot)));
        let becomes = if whole { least } else { listed().min_notional };
        assert_eq!(facts.min_notional, Money(becomes), "{tick_size} {lot_size}");
    }
}

#[test]
fn fault_x02_any_step_is_a_multiple_of_a_single_unit() {
    for step in [1, 2, 3, 10] {
        let mut bare = Bare::new(Money(1), |_| ());
        (bare.facts.tick_size, bare.facts.lot_size) = (Px(1), Qty(1));
        let told = ContractStatus { tick_size: step, lot_size: step, ..listed() };
        assert_eq!(bare.show(Kind::ContractStatus, &told), None, "{step}");
        assert_eq!((bare.facts.tick_size, bare.facts.lot_size), (Px(step), Qty(step)));
    }
}

#[test]
fn a_contract_that_is_none_of_the_session_s_neither_ends_nor_is_left() {
    let desk = watching(|_| ());
    let other = InstrumentId(2);
    let (ends, leaves) = (desk.gate.is_ending(other), desk.gate.leaves(other, NOON));
    assert_eq!((ends, leaves, desk.gate.takes_back(other, &desk.ledger)), (false, false, false));
}

#[test]
fn rc_07_an_equity_that_was_never_told_keeps_entries_away_and_no_exits() {
    let mut desk = watching(|s| (s.account_every_s, s.account_age_s_max) = (1, 60));
    desk.hold(BTC, Side::Buy, qty("1"), px("100"));
    let Verdict::Denied(event) = desk.admit(&entry()) else { panic!("approved") };
    let body: &Denied = event.body();
    let told = (Reason::from_u16(body.reason), body.value, body.limit);
    assert_eq!(told, (Some(Reason::AccountUnread), 0, 0), "there is no figure to tell");
    desk.passes(&exit());
    desk.end_orders();
    assert_eq!(desk.account(Money::whole(1_000_000)), None);
    desk.passes(&Wanted { qty: qty("2"), ..entry() });
    // Where nobody reads it, nobody waits for it.
    watching(|s| s.account_every_s = 0).passes(&entry());
    let mut paper = Desk::new(&generous());
    let settings = WatchSettings { account_every_s: 10, ..WatchSettings::asking_nothing() };
    paper.gate = paper.gate.clone().with_watch(&settings, false);
    paper.passes(&entry());
}
