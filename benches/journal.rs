//! Appending a record: the lane writer with its keeper thread, against an unchecked store and
//! against a buffered file with CRC-32.
//!
//! Each record is timed by itself, so every row holds one reading of the clock; the first row is
//! that reading alone.

#[path = "harness/mod.rs"]
mod harness;

use harness::{Bench, Race, heading, histogram, machine, nanos_at, record_nanos, row};
use peregrine::base::InstrumentId;
use peregrine::base::event::{BookTicker, Event, Kind};
use peregrine::base::hop::Stamp;
use peregrine::base::limits::SEGMENT_RECORDS_DEFAULT;
use peregrine::journal::{Journal, JournalSettings, LaneWriter, verify};
use std::cell::RefCell;
use std::hint::black_box;
use std::io::{BufWriter, Write};
use std::path::Path;
use zerocopy::IntoBytes;

const ROUNDS: usize = 7;
const RECORDS: usize = 60_000;
/// Records of the buffer that the unchecked store goes round in.
const BUFFER_RECORDS: usize = 1 << 16;

fn record(number: usize) -> Event {
    let n = number as i64;
    let body = BookTicker {
        bid_px: 6_180_020_000_000 + n,
        bid_qty: 250_700_000,
        ask_px: 6_180_030_000_000 + n,
        ask_qty: 251_000_000,
        update_id: 5_123_107_839_020 + number as u64,
        ..BookTicker::default()
    };
    let mut event = Event::new(Kind::BookTicker, InstrumentId(0), &body);
    event.seq = number as u64;
    event
}

fn settings(records: usize) -> JournalSettings {
    let mut settings = JournalSettings::live(0x0062_656E_6368);
    settings.segment_records = [records, 1_024, 1_024, 1_024, 1_024];
    settings
}

fn verified(dir: &Path, appended: u64) {
    let report = verify(dir);
    assert_eq!(report.first, None, "the journal is damaged");
    assert_eq!(report.records, appended, "the journal does not hold what was appended");
}

fn alternatives(bench: &mut Bench) {
    let records = bench.count(RECORDS, 20);
    let dir = tempfile::tempdir().expect("a temporary folder");
    let all = RECORDS * (ROUNDS + 1);
    let (journal, lanes) =
        machine::on_any_core(|| Journal::create(&dir.path().join("journal"), settings(all)))
            .expect("a journal");
    let lanes = RefCell::new(lanes);
    let mut buffer = vec![Event::EMPTY; BUFFER_RECORDS];
    let file = std::fs::File::create(dir.path().join("buffered")).expect("a file");
    let mut file = BufWriter::with_capacity(1 << 16, file);
    let mut race = Race::new("one record of 128 bytes", 1);
    race.add("lane append, checked", |range| {
        let writer: &mut LaneWriter = &mut lanes.borrow_mut()[0];
        for number in range {
            let _ = black_box(writer.append(&record(number)).expect("the lane has room"));
        }
    });
    race.add("clock and record only", |range| {
        for number in range {
            black_box(record(number));
        }
    });
    race.add("unchecked store to memory", |range| {
        for number in range {
            buffer[number % BUFFER_RECORDS] = black_box(record(number));
        }
    });
    race.add("buffered file, CRC-32", |range| {
        for number in range {
            let event = record(number);
            let mut crc = flate2::Crc::new();
            crc.update(event.as_bytes());
            file.write_all(event.as_bytes()).expect("the disk has room");
            file.write_all(&crc.sum().to_le_bytes()).expect("the disk has room");
        }
    });
    let outcome = race.measure(bench, ROUNDS, records);
    let appended = journal.close(lanes.into_inner()).expect("the journal can be sealed")[0];
    verified(&dir.path().join("journal"), appended);
    outcome.print();
    let append = "lane append, checked";
    for (name, quantile) in [("p50", 0.5), ("p99", 0.99), ("p999", 0.999)] {
        bench.figure(&format!("append_{name}_ns"), outcome.nanos(append, quantile));
    }
    let ratio = outcome.ratio(append, "unchecked store to memory");
    bench.figure("append_over_unchecked", ratio);
    bench.figure("buffered_crc_over_append", outcome.ratio("buffered file, CRC-32", append));
    bench.target("append p99, ns", outcome.nanos(append, 0.99), None, Some(100.0));
}

/// Appends on a schedule through many segments while the keeper flushes: what a session's writer
/// feels. Each time counts from when the record was due, so a wait is not left out.
fn paced(bench: &mut Bench, per_second: u64) {
    const SEGMENT_RECORDS: usize = SEGMENT_RECORDS_DEFAULT;
    let records = bench.count(SEGMENT_RECORDS * 5 / 2, 20_000);
    let dir = tempfile::tempdir().expect("a temporary folder");
    let dir = dir.path().join("journal");
    let (journal, mut lanes) =
        machine::on_any_core(|| Journal::create(&dir, settings(SEGMENT_RECORDS)))
            .expect("a journal");
    let (mut appends, mut delays) = (histogram(), histogram());
    let ticks = 1e9 / per_second as f64 / harness::nanos_per_tick(&bench.clock);
    let start = bench.clock.stamp();
    for number in 0..records {
        let due = Stamp(start.0 + (number as f64 * ticks) as u64);
        let event = record(number);
        let mut now = bench.clock.stamp();
        while now < due {
            std::hint::spin_loop();
            now = bench.clock.stamp();
        }
        if lanes[0].append(&event).is_err() {
            let why = format!("the keeper fell behind after {number} records: a session stops");
            return bench.absent(&format!("paced_{per_second}_append_p99_ns"), &why);
        }
        let done = bench.clock.stamp();
        record_nanos(&mut appends, bench.clock.nanos_between(now, done));
        record_nanos(&mut delays, bench.clock.nanos_between(due, done));
    }
    let appended = journal.close(lanes).expect("the journal can be sealed")[0];
    assert_eq!(appended, records as u64);
    verified(&dir, appended);
    let segments = records.div_ceil(SEGMENT_RECORDS);
    heading(&format!("{per_second} records a second, {segments} segments of 64 MiB"));
    row("append alone", &appends);
    row("from when it was due", &delays);
    bench.figure(&format!("paced_{per_second}_append_p99_ns"), nanos_at(&appends, 0.99));
    bench.figure(&format!("paced_{per_second}_append_p999_ns"), nanos_at(&appends, 0.999));
    bench.figure(&format!("paced_{per_second}_due_p99_ns"), nanos_at(&delays, 0.99));
}

fn main() {
    let mut bench = Bench::start(
        "journal: one record into a lane",
        &["durability: a record survives the process at once, the machine after the next flush"],
    );
    machine::pin_last();
    alternatives(&mut bench);
    paced(&mut bench, 500_000);
    bench.finish();
}
