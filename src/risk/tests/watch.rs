//! Each threshold of the watch: at it, one unit inside, and where it ends.

use super::*;
use crate::base::event::{
    AccountStatus, ContractStatus, MarginStatus, MarkPrice, SessionStart, StateChange, Timer,
    VenueStatus, flags,
};
use crate::base::settings::WatchSettings;
use TradingState::{Active, Halted, Reducing};

/// A desk whose gate has the default thresholds, where orders go to a venue.
pub(super) fn watching(change: impl FnOnce(&mut WatchSettings)) -> Desk {
    let mut settings = WatchSettings { filters_every_s: 1_800, ..WatchSettings::asking_nothing() };
    change(&mut settings);
    let mut desk = Desk::new(&generous());
    desk.gate = desk.gate.clone().with_watch(&settings, true);
    let start = SessionStart { mode: 2, ..SessionStart::default() };
    let started = desk.watched(Event::new(Kind::SessionStart, InstrumentId::NONE, &start));
    assert_eq!(started, None);
    desk
}

impl Desk {
    /// Shows an event to ledger and gate, as the risk stage does; the state it led to.
    pub(super) fn watched(&mut self, event: Event) -> Option<(TradingState, Reason)> {
        let event = Event { ts_recv: self.now.0, ..event };
        self.gate.on_time(self.now);
        self.ledger.on_event(&event);
        let told = event.kind() == Some(Kind::VenueStatus);
        let by_status = told.then(|| self.gate.on_venue_status(&event)).flatten();
        let by_watch = self.gate.on_watched(&event, &self.ledger);
        let body = *by_watch.or(by_status)?.body::<StateChange>();
        Some((TradingState::from_u8(body.to)?, Reason::from_u16(body.reason)?))
    }

    pub(super) fn status(
        &mut self,
        reason: Reason,
        told: i64,
        bits: u8,
    ) -> Option<(TradingState, Reason)> {
        let body = VenueStatus { reason: reason as u16, told, ..VenueStatus::default() };
        let event = Event::new(Kind::VenueStatus, InstrumentId::NONE, &body);
        self.watched(event.with_flags(bits))
    }

    pub(super) fn timer(&mut self, seconds: i64) -> Option<(TradingState, Reason)> {
        self.now = NOON + Nanos::from_secs(seconds);
        self.watched(Event::new(Kind::Timer, InstrumentId::NONE, &Timer::default()))
    }

    pub(super) fn contract(&mut self, body: ContractStatus) -> Option<(TradingState, Reason)> {
        let event = Event::new(Kind::ContractStatus, BTC, &body);
        self.watched(event.with_flags(flags::LAST))
    }

    pub(super) fn account(&mut self, equity: Money) -> Option<(TradingState, Reason)> {
        let body = AccountStatus { equity: equity.0, ..AccountStatus::default() };
        self.watched(Event::new(Kind::AccountStatus, InstrumentId::NONE, &body))
    }

    pub(super) fn margin(&mut self, venue: i64, ours: i64) -> Option<(TradingState, Reason)> {
        let held = self.ledger.position(BTC).unwrap().qty;
        let body = MarginStatus {
            qty: held.0,
            mark_px: px("100").0,
            liquidation_px: venue,
            computed_px: ours,
            ..MarginStatus::default()
        };
        self.watched(Event::new(Kind::MarginStatus, BTC, &body))
    }

    fn mark(&mut self, mark: Px, next: Nanos) -> Option<(TradingState, Reason)> {
        let (mark_px, ts_next_funding) = (mark.0, next.0);
        let body = MarkPrice { mark_px, ts_next_funding, ..MarkPrice::default() };
        self.watched(Event::new(Kind::MarkPrice, BTC, &body))
    }

    /// Entries are blocked, and an exit passes.
    #[track_caller]
    fn only_exits(&mut self, reason: Reason) {
        self.hold(BTC, Side::Buy, qty("2"), px("100"));
        self.is_denied(&entry(), reason);
        self.passes(&exit());
        self.end_orders();
    }
}

pub(super) fn listed() -> ContractStatus {
    let facts = instrument("BTCUSDT");
    let mut state = [0; 24];
    state[..7].copy_from_slice(b"TRADING");
    ContractStatus {
        tick_size: facts.tick_size.0,
        lot_size: facts.lot_size.0,
        min_qty: facts.min_qty.0,
        max_qty: facts.max_qty.0,
        min_notional: facts.min_notional.0,
        state,
        trading: 1,
        ..ContractStatus::default()
    }
}

#[test]
fn rc_18_clocks_reduce_at_250_ms_until_below_200_and_halt_at_500() {
    let ms = 1_000_000;
    for sign in [1, -1] {
        let mut desk = watching(|_| ());
        assert_eq!(desk.status(Reason::ClockOff, sign * (250 * ms - 1), 0), None);
        let told = desk.status(Reason::ClockOff, sign * 250 * ms, 0);
        assert_eq!(told, Some((Reducing, Reason::ClockFar)));
        desk.only_exits(Reason::TradingState);
        assert_eq!(desk.status(Reason::ClockOff, sign * 200 * ms, 0), None, "not yet");
        let over = desk.status(Reason::ClockOff, sign * (200 * ms - 1), 0);
        assert_eq!(over, Some((Active, Reason::None)));
        let far = desk.status(Reason::ClockOff, sign * (500 * ms - 1), 0);
        assert_eq!(far, Some((Reducing, Reason::ClockFar)));
        let broken = desk.status(Reason::ClockOff, sign * 500 * ms, 0);
        assert_eq!(broken, Some((Halted, Reason::ClockBroken)));
        assert_eq!(desk.status(Reason::ClockOff, 0, 0), None, "an operator ends it");
    }
}

#[test]
fn rc_18_rc_13_rc_07_rc_20_what_was_not_read_for_too_long_reduces_until_it_is() {
    type Case = (fn(&mut WatchSettings), fn(&mut Desk), Reason);
    let unread: [Case; 4] = [
        (
            |s| (s.clock_every_s, s.clock_age_s_max) = (1, 60),
            |desk| _ = desk.status(Reason::ClockOff, 0, 0),
            Reason::ClockUnread,
        ),
        (
            |s| (s.filters_every_s, s.filters_age_s_max) = (1, 60),
            |desk| _ = desk.contract(listed()),
            Reason::FiltersOld,
        ),
        (
            |s| (s.account_every_s, s.account_age_s_max) = (1, 60),
            |desk| _ = desk.account(Money(1)),
            Reason::AccountUnread,
        ),
        (
            |s| (s.modes_every_s, s.modes_age_s_max) = (1, 60),
            |desk| _ = desk.status(Reason::AccountMode, 0, flags::ON),
            Reason::ModesUnread,
        ),
    ];
    for (set, read, reason) in unread {
        let mut desk = watching(|s| {
            s.filters_every_s = 0;
            set(s);
        });
        assert_eq!(desk.timer(60), None, "{reason:?}");
        assert_eq!(desk.timer(61), Some((Reducing, reason)), "never read");
        read(&mut desk);
        assert_eq!(desk.timer(62), Some((Active, Reason::None)), "{reason:?}");
        assert_eq!(desk.timer(121), None, "{reason:?}");
        assert_eq!(desk.timer(122), Some((Reducing, reason)), "60 s after 61");
    }
}

#[test]
fn on_paper_nothing_is_missed_that_was_never_told_and_a_backtest_misses_nothing() {
    let all = |s: &mut WatchSettings| {
        (s.clock_every_s, s.account_every_s, s.modes_every_s) = (1, 1, 1);
    };
    let mut desk = watching(all);
    desk.gate = desk
        .gate
        .clone()
        .with_watch(&WatchSettings { clock_every_s: 1, ..WatchSettings::asking_nothing() }, false);
    assert_eq!(desk.timer(1_000_000), None);
    let mut desk = watching(all);
    let start = SessionStart { mode: 0, ..SessionStart::default() };
    desk.watched(Event::new(Kind::SessionStart, InstrumentId::NONE, &start));
    assert_eq!(desk.timer(1_000_000), None);
    let mut desk = watching(all);
    assert!(desk.timer(1_000_000).is_some(), "at a venue all of it is");
}

#[test]
fn fault_x01_a_contract_that_trades_no_more_or_ends_within_the_lead_takes_exits_alone() {
    let lead = Nanos::from_secs(3_600);
    let soon = ContractStatus { ts_delivery: (NOON + lead).0, ..listed() };
    let later = ContractStatus { ts_delivery: (NOON + lead).0 + 1, ..listed() };
    let closed = ContractStatus { trading: 0, ..listed() };
    let gone = ContractStatus::default();
    for (told, ends, leaves) in
        [(soon, true, true), (later, false, false), (closed, true, false), (gone, true, false)]
    {
        let mut desk = watching(|_| ());
        assert_eq!(desk.contract(told), None, "the others go on");
        assert_eq!((desk.gate.is_ending(BTC), desk.gate.leaves(BTC, NOON)), (ends, leaves));
        if ends {
            desk.only_exits(Reason::ContractEnding);
            desk.contract(listed());
        }
        desk.passes(&entry());
    }
    // The lead begins while nothing is told.
    let mut desk = watching(|_| ());
    desk.contract(later);
    desk.timer(1);
    assert!(desk.gate.is_ending(BTC));
}

#[test]
fn fault_x02_other_steps_are_taken_over_and_those_that_fit_none_of_ours_halt() {
    let tenth = px("0.1").0;
    for (tick, becomes) in [(tenth, tenth), (5 * tenth, 5 * tenth), (tenth / 10, tenth)] {
        let mut desk = watching(|_| ());
        let least = money("7").0;
        let told = ContractStatus { tick_size: tick, min_notional: least, ..listed() };
        assert_eq!(desk.contract(told), None);
        let facts = desk.gate.facts(BTC).unwrap();
        assert_eq!((facts.tick_size, facts.min_notional), (Px(becomes), money("7")));
    }
    let mut desk = watching(|_| ());
    let unfit = ContractStatus { tick_size: 15 * tenth / 10, ..listed() };
    assert_eq!(desk.contract(unfit), Some((Halted, Reason::FiltersChanged)));
}

#[test]
fn fault_x02_a_refusal_by_filters_waits_for_them_and_halts_where_they_are_what_they_were() {
    let mut desk = watching(|_| ());
    let refused = desk.status(Reason::FiltersChanged, 0, 0);
    assert_eq!(refused, Some((Reducing, Reason::FiltersChanged)));
    desk.only_exits(Reason::TradingState);
    let told = ContractStatus { tick_size: 2 * listed().tick_size, ..listed() };
    assert_eq!(desk.contract(told), Some((Active, Reason::None)), "they explain it");
    // An order that left before is refused behind it.
    desk.now = desk.now + Nanos::from_secs(9);
    assert_ne!(desk.gate.state(), Halted);
    desk.status(Reason::FiltersChanged, 0, 0);
    assert_eq!(desk.gate.state(), Active);
    desk.now = desk.now + Nanos::from_secs(2);
    assert_eq!(desk.status(Reason::FiltersChanged, 0, 0).unwrap().0, Reducing);
    assert_eq!(desk.contract(told), Some((Halted, Reason::FiltersChanged)));
    let mut desk = watching(|s| s.filters_every_s = 0);
    let refused = desk.status(Reason::FiltersChanged, 0, 0);
    assert_eq!(refused, Some((Halted, Reason::FiltersChanged)), "nobody looks");
}

#[test]
fn rc_19_near_liquidation_it_reduces_below_a_fifth_takes_back_below_15_percent_until_a_quarter() {
    let mut desk = watching(|_| ());
    desk.hold(BTC, Side::Buy, qty("2"), px("100"));
    assert_eq!(desk.margin(px("80").0, px("80").0), None, "exactly a fifth");
    let low = desk.margin(px("80.01").0, px("80.01").0);
    assert_eq!(low, Some((Reducing, Reason::MarginLow)));
    assert!(!desk.gate.takes_back(BTC, &desk.ledger));
    desk.only_exits(Reason::TradingState);
    desk.margin(px("85").0, px("85").0);
    assert!(!desk.gate.takes_back(BTC, &desk.ledger), "exactly 15 percent");
    desk.margin(px("85.01").0, px("85.01").0);
    assert!(desk.gate.takes_back(BTC, &desk.ledger));
    desk.hold(BTC, Side::Sell, qty("1"), px("100"));
    assert!(!desk.gate.takes_back(BTC, &desk.ledger), "told of more than is held now");
    desk.margin(px("80.01").0, px("80.01").0);
    assert!(desk.gate.takes_back(BTC, &desk.ledger), "it takes more than that to end it");
    desk.margin(px("80").0, px("80").0);
    assert!(!desk.gate.takes_back(BTC, &desk.ledger));
    assert_eq!(desk.margin(px("75.01").0, px("75.01").0), None);
    assert_eq!(desk.margin(px("75").0, px("75").0), Some((Active, Reason::None)));
    // The mark price moves there by itself: 25 of 93.74 are less than 26.67 percent.
    assert_eq!(desk.mark(px("93.75"), Nanos::ZERO), None, "exactly a fifth");
    assert_eq!(desk.mark(px("93.74"), Nanos::ZERO), Some((Reducing, Reason::MarginLow)));
}

#[test]
fn rc_19_liquidation_prices_that_differ_by_more_than_a_hundredth_twice_reduce() {
    let mut desk = watching(|_| ());
    desk.hold(BTC, Side::Sell, qty("2"), px("100"));
    let (venue, inside, outside) = (px("200").0, px("198").0, px("197.99").0);
    assert_eq!(desk.margin(venue, inside), None);
    assert_eq!(desk.margin(venue, inside), None);
    assert_eq!(desk.margin(venue, outside), None, "one reading may be torn");
    let twice = desk.margin(venue, outside);
    assert_eq!(twice, Some((Reducing, Reason::MarginDisagrees)));
    assert_eq!(desk.margin(venue, inside), Some((Active, Reason::None)));
    assert_eq!(desk.margin(venue, outside), None);
    assert_eq!(desk.margin(venue, -1), None, "ours is not known");
    assert_eq!(desk.margin(venue, 0), None);
    assert!(desk.margin(venue, 0).is_some(), "ours says that nothing liquidates it");
}

#[test]
fn fault_x06_less_equity_than_the_ledger_s_by_more_than_a_hundredth_twice_reduces() {
    let own = money("1000000");
    let mut desk = watching(|_| ());
    assert_eq!(desk.account(money("1000005")), None, "a deposit of an earlier session");
    let inside = money("990005");
    assert_eq!((desk.account(inside), desk.account(inside)), (None, None));
    let outside = money("990004.99");
    assert_eq!(desk.account(outside), None, "it may have been asked before a fill");
    assert_eq!(desk.account(outside), Some((Reducing, Reason::EquityShort)));
    desk.only_exits(Reason::TradingState);
    desk.hold(BTC, Side::Sell, qty("2"), px("100"));
    assert_eq!(desk.ledger.equity(), own);
    assert_eq!(desk.account(money("995004.99")), None, "until within half of it");
    assert_eq!(desk.account(money("995005")), Some((Active, Reason::None)));
}

#[test]
fn fault_x10_mark_and_touch_apart_freeze_above_100_bps_until_within_50() {
    // The middle of the touch is 100.
    let mut desk = watching(|_| ());
    let last = Nanos::ZERO;
    for (mark, frozen) in [
        ("101.0101", false),
        ("101.0102", true),
        ("100.5026", true),
        ("100.5025", false),
        ("99.01", false),
        ("99.0099", true),
    ] {
        desk.mark(px(mark), last);
        assert_eq!(desk.gate.state(), Active, "its contract alone");
        if frozen {
            desk.only_exits(Reason::MarkDiverged);
        } else {
            desk.passes(&entry());
            desk.end_orders();
        }
        desk.now = desk.now + Nanos::from_millis(2);
    }
}

#[test]
fn rc_21_around_funding_there_are_no_entries_and_exits_pass() {
    let (paid, window) = (NOON + Nanos::from_secs(60), Nanos::from_secs(10));
    let next = paid + Nanos::from_secs(28_800);
    for (after, told, open) in [
        (paid - window - Nanos(1), paid, true),
        (paid - window, paid, false),
        (paid, paid, false),
        (paid + Nanos(1), next, false),
        (paid + window - Nanos(1), next, false),
        (paid + window, next, true),
    ] {
        let mut desk = watching(|_| ());
        desk.mark(px("100"), paid);
        desk.ledger.on_touch(BTC, px("99.9"), px("100.1"), after);
        desk.now = after;
        desk.mark(px("100"), told);
        if open {
            desk.passes(&entry());
        } else {
            desk.only_exits(Reason::FundingWindow);
        }
    }
}

#[test]
fn fault_x07_maintenance_reduces_until_its_end_and_positions_are_left_before_its_begin() {
    for flatten in [true, false] {
        let mut desk = watching(|s| s.maintenance_flatten = flatten);
        let (from, until) = (NOON + Nanos::from_secs(60), NOON + Nanos::from_secs(120));
        let body = VenueStatus {
            reason: Reason::Maintenance as u16,
            told: from.0,
            ts_until: until.0,
            ..VenueStatus::default()
        };
        let told = desk.watched(Event::new(Kind::VenueStatus, InstrumentId::NONE, &body));
        assert_eq!(told, Some((Reducing, Reason::Maintenance)));
        desk.only_exits(Reason::TradingState);
        assert_eq!(desk.gate.leaves(BTC, from - Nanos(1)), flatten);
        assert!(!desk.gate.leaves(BTC, from), "nothing can be left then");
        assert_eq!(desk.timer(119), None);
        assert_eq!(desk.timer(120), Some((Active, Reason::None)));
    }
}

#[test]
fn rc_20_rc_30_an_account_set_up_otherwise_and_a_drop_copy_that_differs_halt() {
    for reason in [Reason::AccountMode, Reason::DropCopyDiffers] {
        let mut desk = watching(|_| ());
        assert_eq!(desk.status(reason, 1, flags::ON), None, "as it has to be");
        assert_eq!(desk.status(reason, 1, 0), Some((Halted, reason)));
        desk.only_exits(Reason::TradingState);
    }
    let mut desk = watching(|_| ());
    let unread = desk.status(Reason::DropCopyUnread, 0, 0);
    assert_eq!(unread, Some((Reducing, Reason::DropCopyUnread)));
    let read = desk.status(Reason::DropCopyUnread, 0, flags::ON);
    assert_eq!(read, Some((Active, Reason::None)));
}
