//! The parts of the breakers at their bounds, each alone on a board.

mod books;
mod quotes;

use super::board::Board;
use super::latency::Latency;
use super::market::Markets;
use super::outputs::Outputs;
use super::rejects::Rejects;
use super::*;
use crate::base::event::{
    Body, BookTicker, Breaker, Measured, NoDecision, OrderReport, Prediction, flags,
};
use crate::base::{Measure, Px};
use crate::ledger::Position;

const BTC: InstrumentId = InstrumentId(0);
/// At the beginning of a minute.
const START: Nanos = Nanos::from_secs(60 * 1_000_000);

fn board(settings: &BreakerSettings, cool_down: Nanos) -> Board {
    Board::new(1, cool_down, |control| rungs::rungs_of(control, settings, &RiskSettings::default()))
}

fn plain() -> Board {
    board(&BreakerSettings::default(), Nanos::ZERO)
}

fn after(ms: i64) -> Nanos {
    START + Nanos::from_millis(ms)
}

fn event<B: Body>(kind: Kind, body: &B, now: Nanos) -> Event {
    Event { ts_recv: now.0, ..Event::new(kind, BTC, body) }
}

/// A touch a hundredth wide around a whole price.
fn touch(markets: &mut Markets, board: &mut Board, mid: i64, now: Nanos) {
    let half = Px::whole(1).0 / 200;
    let (bid, ask) = (Px(Px::whole(mid).0 - half), Px(Px::whole(mid).0 + half));
    let mut position = Position::default();
    (position.bid, position.ask) = (bid, ask);
    markets.on_touch(board, &event(Kind::BookTicker, &BookTicker::default(), now), &position);
}

fn range(markets: &mut Markets, board: &mut Board, range: i64, now: Nanos) {
    let body = Prediction { atr_px: range, ..Prediction::default() };
    markets.on_prediction(board, &event(Kind::Prediction, &body, now));
}

#[test]
fn a_jump_counts_in_its_bar_and_the_next_one_and_not_over_a_gap() {
    for (way, to) in [("up", 111), ("down", 90)] {
        let (mut board, mut markets) = (plain(), Markets::new(&[true], 60));
        touch(&mut markets, &mut board, 100, after(1));
        assert_eq!(board.level(Control::Jump), Level::Clear);
        touch(&mut markets, &mut board, to, after(2));
        assert_eq!(board.level(Control::Jump), Level::Reduce, "{way}");
        touch(&mut markets, &mut board, to, after(59_999));
        touch(&mut markets, &mut board, to, after(60_000));
        assert_eq!(board.level(Control::Jump), Level::Reduce, "{way}: in the next bar");
        touch(&mut markets, &mut board, to, after(120_000));
        assert_eq!(board.level(Control::Jump), Level::Clear, "{way}: in the one after it");
    }
    let (mut board, mut markets) = (plain(), Markets::new(&[true], 60));
    touch(&mut markets, &mut board, 100, after(1));
    touch(&mut markets, &mut board, 111, after(2));
    touch(&mut markets, &mut board, 111, after(120_000));
    assert_eq!(board.level(Control::Jump), Level::Clear, "a bar without a quote moved nothing");
}

#[test]
fn the_move_of_a_bar_is_from_its_lowest_to_its_highest() {
    // Neither step alone is five hundred of ten thousand; both together are eleven hundred.
    let (mut board, mut markets) = (plain(), Markets::new(&[true], 60));
    for (mid, ms) in [(105, 1), (100, 2), (104, 3), (111, 4)] {
        touch(&mut markets, &mut board, mid, after(ms));
    }
    assert_eq!(board.level(Control::Jump), Level::Reduce);
}

#[test]
fn a_market_without_a_touch_or_a_permission_is_not_judged() {
    let ticker = event(Kind::BookTicker, &BookTicker::default(), START);
    let (mut board, mut markets) = (plain(), Markets::new(&[true], 60));
    markets.on_touch(&mut board, &ticker, &Position::default());
    let (mut other, mut forbidden) = (plain(), Markets::new(&[false], 60));
    touch(&mut forbidden, &mut other, 100, START);
    let (mut none, mut nowhere) = (plain(), Markets::new(&[], 60));
    touch(&mut nowhere, &mut none, 100, START);
    for second in 0..70 {
        range(&mut markets, &mut board, 0, after(1_000 * second));
        range(&mut forbidden, &mut other, 100, after(1_000 * second));
        range(&mut nowhere, &mut none, 100, after(1_000 * second));
    }
    for board in [&board, &other, &none] {
        for control in [Control::Spread, Control::Jump, Control::Range] {
            assert_eq!(board.count(control).evaluated, 0, "{control:?}");
        }
    }
}

#[test]
fn the_first_quote_of_all_moved_nothing_however_early_it_comes() {
    let least = BreakerSettings { jump_trip_bps: 1, jump_clear_bps: 1, ..Default::default() };
    // In the first bar of time, in the second, and long after both.
    for now in [Nanos(1), Nanos::from_secs(61), START] {
        let (mut board, mut markets) = (board(&least, Nanos::ZERO), Markets::new(&[true], 60));
        touch(&mut markets, &mut board, 100, now);
        assert_eq!(board.count(Control::Jump).evaluated, 1);
        assert_eq!(board.level(Control::Jump), Level::Clear, "{now:?}");
        // And neither did the first one after a gap.
        touch(&mut markets, &mut board, 200, now + Nanos::from_secs(120));
        assert_eq!(board.level(Control::Jump), Level::Clear, "{now:?}");
    }
}

#[test]
fn a_bar_may_be_a_second_long() {
    let (mut board, mut markets) = (plain(), Markets::new(&[true], 1));
    touch(&mut markets, &mut board, 100, after(1));
    touch(&mut markets, &mut board, 111, after(999));
    touch(&mut markets, &mut board, 111, after(1_000));
    assert_eq!(board.level(Control::Jump), Level::Reduce, "in the next second");
    touch(&mut markets, &mut board, 111, after(2_000));
    assert_eq!(board.level(Control::Jump), Level::Clear, "in the one after it");
}

#[test]
fn the_least_prices_and_ranges_there_are_are_judged_too() {
    let (mut board, mut markets) = (plain(), Markets::new(&[true], 60));
    let mut position = Position::default();
    // The middle of 1 and 2 is 1, rounded down: the spread is all of it.
    (position.bid, position.ask) = (Px(1), Px(2));
    let ticker = event(Kind::BookTicker, &BookTicker::default(), START);
    markets.on_touch(&mut board, &ticker, &position);
    assert_eq!(board.level(Control::Spread), Level::Reduce);
    (0..60).for_each(|i| range(&mut markets, &mut board, 1, after(1_000 * i)));
    range(&mut markets, &mut board, 2, after(60_000));
    assert_eq!(board.count(Control::Range).evaluated, 1);
    assert_eq!(board.level(Control::Range), Level::Clear, "twice the usual one");
    range(&mut markets, &mut board, 3, after(61_000));
    assert_eq!(board.level(Control::Range), Level::Reduce, "three times");
}

#[test]
fn a_range_is_held_against_sixty_of_them_a_second_apart() {
    let (mut board, mut markets) = (plain(), Markets::new(&[true], 60));
    // Sixty within a second are one.
    (0..60).for_each(|i| range(&mut markets, &mut board, 100, after(i)));
    range(&mut markets, &mut board, 900, after(1_000));
    assert_eq!(board.count(Control::Range).evaluated, 0);
    let (mut board, mut markets) = (plain(), Markets::new(&[true], 60));
    (0..60).for_each(|i| range(&mut markets, &mut board, 100, after(1_000 * i)));
    assert_eq!(board.count(Control::Range).evaluated, 0);
    range(&mut markets, &mut board, 249, after(60_000));
    assert_eq!(
        (board.count(Control::Range).evaluated, board.level(Control::Range)),
        (1, Level::Clear)
    );
    // The average is 102 by now: (60 · 100 + 249) / 61.
    range(&mut markets, &mut board, 254, after(61_000));
    assert_eq!(board.level(Control::Range), Level::Clear);
    range(&mut markets, &mut board, 262, after(62_000));
    assert_eq!(board.level(Control::Range), Level::Reduce);
}

fn answers(took_ms: &[i64], settings: &BreakerSettings, after_ms: i64) -> Board {
    let (mut board, mut latency) = (board(settings, Nanos::ZERO), Latency::new());
    for took in took_ms {
        latency.on_answer(START - Nanos::from_millis(*took), START);
    }
    latency.on_second(&mut board, after(after_ms));
    board
}

#[test]
fn five_answers_of_the_last_minute_make_a_percentile_and_four_do_not() {
    let level =
        |took: &[i64], ms| answers(took, &BreakerSettings::default(), ms).level(Control::SendToAck);
    assert_eq!(level(&[500; 4], 0), Level::Clear);
    assert_eq!(level(&[500; 5], 0), Level::Reduce);
    assert_eq!(level(&[499; 5], 0), Level::Clear);
    // The slowest of five is their 99th percentile, wherever it came among them.
    assert_eq!(level(&[500, 1, 1, 1, 1], 0), Level::Reduce);
    assert_eq!(level(&[500; 5], 59_999), Level::Reduce);
    assert_eq!(level(&[500; 5], 60_000), Level::Clear);
    let sharp = BreakerSettings { send_to_ack_ms: 1, ..BreakerSettings::default() };
    assert_eq!(answers(&[], &sharp, 0).level(Control::SendToAck), Level::Clear);
}

#[test]
fn what_the_disk_needs_for_a_day_reduces_however_much_it_is_and_the_next_segments_halt() {
    let (mut board, mut latency) = (plain(), Latency::new());
    let mut measure = |board: &mut Board, measure: Measure, value: i64| {
        let body = Measured { measure: measure as u16, value, ..Measured::default() };
        latency.on_measured(board, &event(Kind::Measured, &body, START));
        board.level(Control::Disk)
    };
    assert_eq!(measure(&mut board, Measure::DiskNeed, 99), Level::Clear);
    assert_eq!(measure(&mut board, Measure::DiskNeed, i64::MAX), Level::Reduce);
    let record = board.take_change(&Event::EMPTY).unwrap();
    assert_eq!(record.body::<Breaker>().value, 999);
    assert_eq!(measure(&mut board, Measure::SegmentNeed, 99), Level::Reduce);
    assert_eq!(measure(&mut board, Measure::SegmentNeed, 100), Level::Halt);
    assert_eq!(
        measure(&mut board, Measure::SegmentNeed, 0),
        Level::Reduce,
        "the day's need is left"
    );
}

#[test]
fn a_day_s_need_that_was_never_told_is_none() {
    let (mut board, mut latency) = (plain(), Latency::new());
    for value in [100, 99] {
        let measure = Measure::SegmentNeed as u16;
        let body = Measured { measure, value, ..Measured::default() };
        latency.on_measured(&mut board, &event(Kind::Measured, &body, START));
    }
    let told: Vec<i64> = std::iter::from_fn(|| board.take_change(&Event::EMPTY))
        .map(|record| record.body::<Breaker>().value)
        .collect();
    assert_eq!(told, [1_000, 0]);
}

#[test]
fn outputs_are_counted_by_the_minute_and_the_full_minute_is_what_ends_it() {
    let (mut board, mut outputs) = (plain(), Outputs::default());
    outputs.on_time(&mut board, START);
    let reason = Reason::ModelFailed as u16;
    let bad = event(Kind::NoDecision, &NoDecision { reason, ..NoDecision::default() }, START);
    (0..10).for_each(|_| outputs.on_no_decision(&mut board, &bad));
    assert_eq!(board.level(Control::InvalidOutputs), Level::Reduce);
    outputs.on_time(&mut board, after(59_999));
    assert_eq!(board.level(Control::InvalidOutputs), Level::Reduce);
    // The first full minute had ten of them, and the second has none.
    outputs.on_time(&mut board, after(60_000));
    assert_eq!(board.level(Control::InvalidOutputs), Level::Reduce);
    outputs.on_time(&mut board, after(120_000));
    assert_eq!(board.level(Control::InvalidOutputs), Level::Clear);
    let cold = NoDecision { reason: Reason::FeatureInputStale as u16, ..NoDecision::default() };
    let before = board.count(Control::InvalidOutputs).evaluated;
    outputs.on_no_decision(&mut board, &event(Kind::NoDecision, &cold, START));
    assert_eq!(board.count(Control::InvalidOutputs).evaluated, before, "not ready is not invalid");
}

fn refusals(reasons: &[Reason], window: u32) -> Board {
    let (mut board, mut rejects) = (plain(), Rejects::new(window));
    for reason in reasons {
        let body = OrderReport { reason: *reason as u16, ..OrderReport::default() };
        rejects.on_report(&event(Kind::OrderRejected, &body, START), &mut board);
    }
    board
}

#[test]
fn refusals_of_different_classes_are_no_row_and_of_one_class_they_are() {
    use Reason::*;
    let classes = [
        MarginShort,
        FiltersChanged,
        ReduceOnlyRefused,
        WouldTrigger,
        CredentialsRefused,
        VenueRejected,
    ];
    for (i, one) in classes.into_iter().enumerate() {
        assert_eq!(refusals(&[one; 5], 50).level(Control::RejectsInARow), Level::Halt, "{one:?}");
        for other in classes.into_iter().skip(i + 1) {
            let mixed = [one, one, other, other, one, one, other, other];
            let board = refusals(&mixed, 256);
            assert_eq!(board.level(Control::RejectsInARow), Level::Clear, "{one:?} {other:?}");
            let row = [one, one, one, one, other];
            assert_eq!(refusals(&row, 256).level(Control::RejectsInARow), Level::Clear);
        }
    }
    assert_eq!(
        refusals(&[FiltersChanged, VenuePriceBand].repeat(3), 50).level(Control::RejectsInARow),
        Level::Halt
    );
    assert_eq!(
        refusals(&[CredentialsRefused, AccountMode].repeat(3), 50).level(Control::RejectsInARow),
        Level::Halt
    );
    assert_eq!(refusals(&[RateLimited; 9], 10).level(Control::RejectRate), Level::Clear);
}

#[test]
fn a_share_is_of_the_whole_window_and_the_oldest_outcome_leaves_it() {
    let (mut board, mut rejects) = (plain(), Rejects::new(10));
    let mut hear = |board: &mut Board, kind: Kind| {
        let reason = Reason::VenueRejected as u16;
        let body = OrderReport { reason, ..OrderReport::default() };
        rejects.on_report(&event(kind, &body, START), board);
        board.level(Control::RejectRate)
    };
    assert_eq!(hear(&mut board, Kind::OrderRejected), Level::Clear, "one of ten");
    assert_eq!(hear(&mut board, Kind::OrderAccepted), Level::Clear);
    assert_eq!(hear(&mut board, Kind::OrderRejected), Level::Halt, "two of ten");
    for _ in 0..7 {
        assert_eq!(hear(&mut board, Kind::OrderAccepted), Level::Halt);
    }
    assert_eq!(hear(&mut board, Kind::OrderFilled), Level::Clear, "the first of them is forgotten");
    assert_eq!(hear(&mut board, Kind::OrderRejected), Level::Halt);
}

#[test]
fn without_a_refusal_the_least_limits_are_not_reached() {
    let least = BreakerSettings { rejects_in_a_row: 1, rejects_percent: 1, ..Default::default() };
    let (mut board, mut rejects) = (board(&least, Nanos::ZERO), Rejects::new(50));
    let mut levels = |board: &mut Board, kind: Option<Kind>| {
        match kind {
            Some(kind) => rejects.on_report(&event(kind, &OrderReport::default(), START), board),
            None => rejects.judge(board, START),
        }
        [Control::RejectsInARow, Control::RejectRate].map(|control| board.level(control))
    };
    assert_eq!(levels(&mut board, None), [Level::Clear; 2]);
    assert_eq!(levels(&mut board, Some(Kind::OrderAccepted)), [Level::Clear; 2]);
    assert_eq!(levels(&mut board, Some(Kind::OrderRejected)), [Level::Halt; 2]);
}

#[test]
fn every_class_has_its_share_and_the_whole_window_is_a_hundred_percent_of_it() {
    use Reason::*;
    let whole = BreakerSettings { rejects_percent: 100, ..BreakerSettings::default() };
    for reason in [
        MarginShort,
        FiltersChanged,
        ReduceOnlyRefused,
        WouldTrigger,
        CredentialsRefused,
        VenueRejected,
    ] {
        let (mut board, mut rejects) = (board(&whole, Nanos::ZERO), Rejects::new(200));
        let body = OrderReport { reason: reason as u16, ..OrderReport::default() };
        let refused = event(Kind::OrderRejected, &body, START);
        // 199 of 200 are 99.5 percent.
        (0..199).for_each(|_| rejects.on_report(&refused, &mut board));
        assert_eq!(board.level(Control::RejectRate), Level::Clear, "{reason:?}");
        rejects.on_report(&refused, &mut board);
        assert_eq!(board.level(Control::RejectRate), Level::Halt, "{reason:?}");
    }
}

#[test]
fn a_window_of_one_outcome_is_the_newest_alone() {
    for window in [0, 1] {
        let (mut board, mut rejects) = (plain(), Rejects::new(window));
        for (kind, level) in [
            (Kind::OrderRejected, Level::Halt),
            (Kind::OrderAccepted, Level::Clear),
            (Kind::OrderRejected, Level::Halt),
            (Kind::OrderFilled, Level::Clear),
        ] {
            rejects.on_report(&event(kind, &OrderReport::default(), START), &mut board);
            assert_eq!(board.level(Control::RejectRate), level, "{window} {kind:?}");
        }
    }
}

#[test]
fn a_level_s_record_tells_value_limit_counts_and_direction() {
    let mut board = plain();
    for value in [400, 401, 500, 499] {
        board.judge(Control::SendToAck, value, START);
    }
    // Nothing is told of what did not change.
    let up = board.take_change(&Event::EMPTY).unwrap();
    assert!(board.take_change(&Event::EMPTY).is_none() && !board.has_changes());
    let body: &Breaker = up.body();
    assert_eq!((body.from, body.to), (Level::Clear as u8, Level::Reduce as u8));
    assert_eq!((body.value, body.limit), (500, 500));
    assert_eq!((body.evaluated, body.near, body.tripped), (3, 1, 1));
    assert_eq!(body.reason, Reason::SendToAckSlow as u16);
    assert!(up.has(flags::ON));
    board.judge(Control::SendToAck, 449, START);
    let down = board.take_change(&Event::EMPTY).unwrap();
    let body: &Breaker = down.body();
    assert_eq!((body.from, body.to), (Level::Reduce as u8, Level::Clear as u8));
    assert_eq!((body.value, body.limit, body.tripped, down.flags), (449, 500, 1, 0));
    assert_eq!(board.demand(), (Level::Clear, Reason::None));
}

#[test]
fn a_soft_limit_ends_a_tenth_below_itself_and_calm_is_no_evaluation() {
    let mut board = plain();
    board.judge(Control::Memory, 8_192, START);
    board.judge(Control::Memory, 7_373, START);
    assert_eq!(board.level(Control::Memory), Level::Reduce, "8192 less 819");
    board.judge(Control::Memory, 7_372, START);
    assert_eq!(board.level(Control::Memory), Level::Clear);
    board.judge(Control::Slippage, 51, START);
    assert_eq!(board.level(Control::Slippage), Level::Reduce);
    board.calm(Control::Slippage, START);
    assert_eq!(
        (board.level(Control::Slippage), board.count(Control::Slippage).evaluated),
        (Level::Clear, 1)
    );
    let told: Vec<i64> = std::iter::from_fn(|| board.take_change(&Event::EMPTY))
        .map(|record| record.body::<Breaker>().value)
        .collect();
    assert_eq!(told, [8_192, 7_372, 51, 0], "what is over has no value any more");
}

#[test]
fn a_control_of_the_account_knows_no_second_place() {
    let mut board = plain();
    board.judge_at(Control::DayLoss, InstrumentId(1), 10_000, START);
    assert_eq!(board.level(Control::DayLoss), Level::Clear);
    board.judge(Control::DayLoss, 10_000, START);
    assert_eq!(board.level(Control::DayLoss), Level::Kill);
}

#[test]
fn of_several_instruments_the_highest_level_stands_until_the_last_one_leaves_it() {
    let settings = BreakerSettings::default();
    let risk = RiskSettings::default();
    let mut board = Board::new(2, Nanos::ZERO, |c| rungs::rungs_of(c, &settings, &risk));
    let other = InstrumentId(1);
    let mut judge = |instrument, value| {
        board.judge_at(Control::Spread, instrument, value, START);
        board.level(Control::Spread)
    };
    assert_eq!(judge(BTC, 50), Level::Reduce);
    assert_eq!(judge(other, 50), Level::Reduce);
    assert_eq!(judge(BTC, 1), Level::Reduce);
    assert_eq!(judge(InstrumentId(2), 50), Level::Reduce, "there is no third");
    assert_eq!(judge(other, 1), Level::Clear);
    assert_eq!(board.take_change(&Event::EMPTY).unwrap().instrument(), BTC);
    assert_eq!(board.take_change(&Event::EMPTY).unwrap().instrument(), other);
}

#[test]
fn rc_36_the_fingerprint_knows_every_limit_and_the_cool_down() {
    let print = |settings: &BreakerSettings, cool_down: i64| {
        board(settings, Nanos::from_secs(cool_down)).limits_hash()
    };
    let plain = BreakerSettings::default();
    assert_eq!(print(&plain, 5), print(&plain, 5));
    assert_ne!(print(&plain, 5), print(&plain, 6));
    assert_ne!(print(&plain, 5), print(&BreakerSettings { fee_bps: 21, ..plain }, 5));
}

#[test]
fn a_limit_of_the_gate_that_is_lower_is_the_breaker_s_and_its_warning_s_too() {
    use Level::{Halt, Reduce, Warn};
    let settings = BreakerSettings {
        losses_half: 3,
        losses_halt: 5,
        drawdown_reduce_bps: 1_500,
        drawdown_halt_bps: 2_000,
        ..BreakerSettings::default()
    };
    let levels = |control, most| {
        let risk = RiskSettings {
            losses_in_a_row_max: most,
            drawdown_bps_max: most,
            ..RiskSettings::default()
        };
        levels_of(control, &settings, &risk)
    };
    for (most, losses) in [(None, [3, 5]), (Some(9), [3, 5]), (Some(4), [3, 4]), (Some(2), [2, 2])]
    {
        let [warn, halt] = losses;
        assert_eq!(levels(Control::LossesInARow, most), [(Warn, warn), (Halt, halt)], "{most:?}");
    }
    for (most, falls) in [(None, [1_500, 2_000]), (Some(1_600), [1_500, 1_600]), (Some(9), [9, 9])]
    {
        let [reduce, halt] = falls;
        assert_eq!(levels(Control::Drawdown, most), [(Reduce, reduce), (Halt, halt)], "{most:?}");
    }
}
