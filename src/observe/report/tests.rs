//! Figures against sums done by hand, the picture against a decoder of the test's own.

use super::due::{Due, due};
use super::figures::{Gathering, Tally};
use super::fills::Fills;
use super::picture::{HEIGHT, WIDTH, png};
use super::read::{DAY_NS, Period};
use super::statement::Statement;
use crate::base::Money;
use crate::base::event::{Order, OrderReport, Position, flags};
use crate::base::{Event, InstrumentId, Kind, Purpose};
use std::io::Read;

const UNIT: i64 = 100_000_000;
const HOUR: i64 = 3_600_000_000_000;

fn record(qty: i64, realised: i64, fees: i64, funding: i64, unrealised: i64) -> Position {
    let equity = 1_000 + realised - fees + funding + unrealised;
    Position {
        qty: qty * UNIT,
        realised: realised * UNIT,
        fees: fees * UNIT,
        funding: funding * UNIT,
        unrealised: unrealised * UNIT,
        equity: equity * UNIT,
        ..Position::default()
    }
}

#[test]
fn a_day_is_summed_up_as_by_hand() {
    let day = Period::day(10);
    let mut gathering = Gathering::new(day.from, day.to);
    gathering.session(&[], 1_000 * UNIT, day.from - HOUR);
    // Before the day: a long is opened for a fee of 1.
    gathering.note("BTC", day.from - HOUR / 2, &record(2, 0, 1, 0, 0));
    // Within: it is half closed with +10, then closed with +20, for fees of 1 each: won.
    gathering.note("BTC", day.from + HOUR / 2, &record(1, 10, 2, 0, 5));
    gathering.note("BTC", day.from + HOUR + 1, &record(0, 20, 3, 0, 0));
    // A short, turned into a long at a loss of 30: lost. It pays 2 of funding and stands at -5.
    gathering.note("BTC", day.from + 2 * HOUR + 1, &record(-1, 20, 4, 0, 0));
    gathering.note("BTC", day.from + 3 * HOUR + 1, &record(1, -10, 6, 0, 0));
    gathering.note("BTC", day.from + 4 * HOUR + 1, &record(1, -10, 6, -2, -5));
    // The next day is another's.
    gathering.note("BTC", day.to, &record(0, 500, 9, 0, 0));
    let figures = gathering.end();
    let money = |whole: i64| Money(whole * UNIT);
    // net: -1 at the beginning, -10 - 6 - 2 - 5 = -23 at the end.
    assert_eq!(figures.profit, money(-22));
    assert_eq!((figures.equity_start, figures.equity_end), (money(999), money(977)));
    assert_eq!((figures.fees, figures.funding), (money(5), money(-2)));
    assert_eq!((figures.trades, figures.round_trips, figures.won), (4, 2, 1));
    assert_eq!(figures.win_rate(), Some(0.5));
    // The long left 20 for fees of 3; the short lost 30, paid 3, and began at those 17.
    assert_eq!((figures.gain, figures.loss), (money(17), money(33)));
    assert_eq!(figures.profit_factor(), Some(17.0 / 33.0));
    // Equity runs 999, 1013, 1017, 1016, 984, 977: from 1017 to 977.
    assert!((figures.fall_max - 40.0 / 1_017.0).abs() < 1e-12);
    // Hourly: 999 → 1013 → 1017 → 1016 → 984 → 977; mean and deviation by a spreadsheet.
    let returns: [f64; 5] =
        [14.0 / 999.0, 4.0 / 1_013.0, -1.0 / 1_017.0, -32.0 / 1_016.0, -7.0 / 984.0];
    let mean = returns.iter().sum::<f64>() / 5.0;
    let deviation = (returns.iter().map(|r| (r - mean) * (r - mean)).sum::<f64>() / 4.0).sqrt();
    let sharpe = mean / deviation * 93.594_871_654_380_7;
    assert!((figures.sharpe.unwrap() - sharpe).abs() < 1e-9, "{:?} {sharpe}", figures.sharpe);
}

#[test]
fn a_position_that_a_session_carries_on_is_not_booked_again() {
    let mut gathering = Gathering::new(0, i64::MAX);
    gathering.session(&[], 1_000 * UNIT, 0);
    gathering.note("BTC", 1, &record(1, 0, 1, 0, 0));
    gathering.session(&["BTC".to_owned()], 1_000 * UNIT, 2);
    gathering.note("BTC", 3, &record(1, 0, 1, 0, 7));
    gathering.note("BTC", 4, &record(0, 9, 2, 0, 0));
    let figures = gathering.end();
    assert_eq!(figures.profit, Money(7 * UNIT));
    assert_eq!((figures.trades, figures.round_trips, figures.won), (2, 1, 1));
    assert_eq!((figures.sessions, figures.fees), (2, Money(2 * UNIT)));
}

#[test]
fn a_running_session_is_told_in_the_longest_steps_of_which_there_are_twelve() {
    const SECOND: i64 = 1_000_000_000;
    let values =
        [1_000, 1_010, 1_005, 1_005, 990, 1_000, 1_020, 1_019, 1_030, 1_000, 1_001, 999, 998];
    let mut gathering = Gathering::new(0, i64::MAX);
    gathering.session(&[], 1_000 * UNIT, 0);
    let record = |value: i64| record(1, 0, 0, 0, value - 1_000);
    for (step, value) in (0..).zip(values) {
        assert_eq!(gathering.ratios().step_seconds, 0.0, "too little to tell");
        gathering.note("BTC", (step * 10 + 5) * SECOND, &record(value));
    }
    let told = gathering.ratios();
    assert_eq!(told.step_seconds, 10.0);
    let before = std::iter::once(1_000).chain(values);
    let returns: Vec<f64> =
        before.zip(values).map(|(old, new)| (new - old) as f64 / old as f64).collect();
    let count = returns.len() as f64;
    let mean = returns.iter().sum::<f64>() / count;
    let variance = returns.iter().map(|r| (r - mean) * (r - mean)).sum::<f64>() / (count - 1.0);
    let below = returns.iter().filter(|r| **r < 0.0).map(|r| r * r).sum::<f64>() / count;
    // A year has 3 153 600 steps of ten seconds.
    let year = 3_153_600_f64.sqrt();
    assert!((told.sharpe.unwrap() - mean / variance.sqrt() * year).abs() < 1e-6);
    assert!((told.sortino.unwrap() - mean / below.sqrt() * year).abs() < 1e-6);
    gathering.note("BTC", 12 * 60 * SECOND + 5 * SECOND, &record(1_000));
    assert_eq!(gathering.ratios().step_seconds, 60.0);
    gathering.note("BTC", 12 * HOUR + 5 * SECOND, &record(1_000));
    assert_eq!(gathering.ratios().step_seconds, 3_600.0);
}

#[test]
fn a_position_that_was_left_is_no_trade_and_its_round_trip_goes_on() {
    let mut gathering = Gathering::new(0, i64::MAX);
    gathering.session(&[], 1_000 * UNIT, 0);
    // Left with 7 realised for fees of 2; its round trip had brought 3 until then.
    gathering.carry("BTC", &record(2, 7, 2, 0, 0), 3 * UNIT);
    gathering.note("BTC", 1, &record(0, 6, 3, 0, 0));
    let figures = gathering.so_far();
    assert_eq!((figures.trades, figures.round_trips, figures.won), (1, 1, 1));
    // 3 before, then 1 lost and 1 paid.
    assert_eq!((figures.gain, figures.profit), (Money(UNIT), Money(-2 * UNIT)));
    assert_eq!(gathering.tally("BTC"), Tally { trades: 1, round_trips: 1, won: 1 });
}

#[test]
fn without_records_there_is_nothing_to_tell_and_no_ratio() {
    let figures = Gathering::new(0, DAY_NS).end();
    assert_eq!((figures.profit, figures.sharpe, figures.win_rate()), (Money(0), None, None));
}

/// CRC-32 bit by bit, as the standard defines it.
fn crc(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    !crc
}

/// The rows of a PNG, by the standard.
fn rows_of(png: &[u8]) -> Vec<Vec<u8>> {
    assert_eq!(png[..8], [137, 80, 78, 71, 13, 10, 26, 10]);
    let (mut at, mut names, mut rows) = (8, Vec::new(), Vec::new());
    while at < png.len() {
        let length = u32::from_be_bytes(png[at..at + 4].try_into().unwrap()) as usize;
        let content = &png[at + 4..at + 8 + length];
        let told = u32::from_be_bytes(png[at + 8 + length..at + 12 + length].try_into().unwrap());
        assert_eq!(told, crc(content));
        names.push(String::from_utf8(content[..4].to_vec()).unwrap());
        if &content[..4] == b"IDAT" {
            flate2::read::ZlibDecoder::new(&content[4..]).read_to_end(&mut rows).unwrap();
        }
        at += 12 + length;
    }
    assert_eq!(names, ["IHDR", "PLTE", "IDAT", "IEND"]);
    assert_eq!(rows.len(), HEIGHT * (WIDTH + 1));
    rows.chunks(WIDTH + 1)
        .map(|row| {
            assert_eq!(row[0], 0, "no filter");
            row[1..].to_vec()
        })
        .collect()
}

#[test]
fn the_picture_is_a_png_whose_curve_rises_with_the_equity() {
    let curve: Vec<(i64, i64)> = (0..100).map(|i| (i, i * UNIT)).collect();
    let rows = rows_of(&png(&curve, 0, 100));
    let height_at = |x: usize| rows.iter().position(|row| row[x] == 2).unwrap();
    let heights: Vec<usize> = (30..600).step_by(30).map(height_at).collect();
    assert!(heights.windows(2).all(|pair| pair[1] < pair[0]), "{heights:?}");
    rows_of(&png(&[], 0, 1));
    rows_of(&png(&[(5, -UNIT), (5, i64::MAX / 2)], 0, 1));
}

#[test]
fn each_day_is_due_once_a_minute_after_midnight_and_a_week_with_its_sunday() {
    // 2026-11-29 is a Sunday: day 20786 of the epoch.
    let sunday = 20_786;
    let midnight = (sunday + 1) * DAY_NS;
    let day = |day| Due { day, week: false };
    assert_eq!(due(Some(sunday - 1), midnight + 59_000_000_000), []);
    let both = [day(sunday), Due { day: sunday, week: true }];
    assert_eq!(due(Some(sunday - 1), midnight + 60_000_000_000), both);
    assert_eq!(due(Some(sunday), midnight + 61_000_000_000), []);
    assert_eq!(due(Some(sunday), midnight + DAY_NS + 60_000_000_000), [day(sunday + 1)]);
    // Asleep from Saturday to Tuesday: the newest day, and the week that ended meanwhile.
    let late = due(Some(sunday - 1), midnight + 2 * DAY_NS);
    assert_eq!(late, [day(sunday + 1), Due { day: sunday, week: true }]);
}

fn intent(client_id: u64, purpose: Purpose, reference: i64, bits: u8) -> Event {
    let order = Order {
        client_id,
        purpose: purpose as u8,
        reference_px: reference * UNIT,
        ..Order::default()
    };
    Event::new(Kind::OrderIntent, InstrumentId(0), &order).with_flags(bits)
}

fn fill(client_id: u64, trade_id: u64, (qty, px): (i64, i64), ts_recv: i64) -> Event {
    let report = OrderReport {
        client_id,
        trade_id,
        last_qty: qty * UNIT,
        last_px: px * UNIT,
        fee: UNIT / 4,
        ..OrderReport::default()
    };
    Event { ts_recv, ..Event::new(Kind::OrderFilled, InstrumentId(0), &report) }
}

#[test]
fn slippage_is_what_fills_cost_beyond_the_prices_they_were_decided_at_as_by_hand() {
    let mut fills = Fills::new(100, 200);
    fills.intent(&intent(1, Purpose::Entry, 1_000, 0));
    fills.intent(&intent(2, Purpose::ExitTime, 1_010, flags::SELL));
    fills.intent(&intent(3, Purpose::Protect, 1_000, flags::SELL));
    fills.session(&["BTCUSDT".to_owned()]);
    // Bought 2 at 1 003: 6 worse. Sold 1 at 1 011 and 1 at 1 005: 1 better, 5 worse.
    fills.input(&fill(1, 71, (2, 1_003), 100));
    fills.input(&fill(2, 72, (1, 1_011), 150).with_flags(flags::SELL | flags::MAKER));
    fills.input(&fill(2, 73, (1, 1_005), 199).with_flags(flags::SELL));
    // Told again, before and behind the period, of a stop, and of nobody's order.
    fills.input(&fill(2, 73, (1, 1_005), 199).with_flags(flags::SELL));
    fills.input(&fill(1, 70, (9, 2_000), 99));
    fills.input(&fill(1, 76, (9, 2_000), 200));
    fills.input(&fill(3, 74, (1, 900), 160).with_flags(flags::SELL));
    fills.input(&fill(4, 75, (1, 900), 160));
    let found = fills.end();
    let all = found.all;
    assert_eq!((all.fills, all.maker, all.undecided), (5, 1, 2));
    assert_eq!(all.slippage, Money(10 * UNIT));
    assert_eq!(all.fees, Money(5 * UNIT / 4));
    // 2 × 1 003 + 1 011 + 1 005 + 900 + 900.
    assert_eq!(all.volume, Money(5_822 * UNIT));
    // 10 of 2 × 1 000 + 2 × 1 010 that were decided.
    assert!((all.slippage_bps.unwrap() - 10.0 / 4_020.0 * 10_000.0).abs() < 1e-9);
    assert_eq!(found.instruments["BTCUSDT"], all);
}

#[test]
fn a_name_that_would_be_markup_is_text_in_either_form_of_a_statement() {
    let figures = Gathering::new(0, DAY_NS).end();
    let session = "<script>x</script>|\n# a\u{1b}[31m".to_owned();
    let period = Period::day(0);
    let (executions, latency) = Default::default();
    let told = Statement { session, period, figures, executions, latency };
    let (page, text) = (told.html(), told.markdown());
    assert!(page.contains("&lt;script&gt;x&lt;/script&gt;") && !page.contains("<script"), "{page}");
    assert!(text.contains("\\<script\\>x") && text.contains("\\|"), "{text}");
    for told in [&page, &text] {
        assert!(!told.contains('\u{1b}') && told.contains("1970-01-01 (UTC)"), "{told}");
    }
    let outside = ["http", "src=", "href=", "url(", "@import"];
    assert!(outside.iter().all(|word| !page.contains(word)), "a page of its own: {page}");
}
