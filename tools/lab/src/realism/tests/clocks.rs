//! A venue whose clock is not ours: its journal is a simulated one with every time of the venue
//! moved, so that what has to come out is known.

use super::{rewritten, session, trader};
use crate::realism::calibrate::calibrate;
use crate::realism::recorded::Recorded;
use peregrine::base::Kind;
use peregrine::base::event::flags;
use toml::Value;

/// The venue's clock is ahead by so many nanoseconds.
const AHEAD: i64 = 1_270_000_000;
/// Market events take so long to us.
const LATE: i64 = 4_000_000;

#[test]
fn the_offset_of_the_venues_clock_is_in_no_latency() {
    let dir = tempfile::tempdir().expect("a folder");
    let values = [
        ("paper", "order_latency_us", Value::Integer(9_000)),
        ("paper", "report_latency_us", Value::Integer(2_000)),
    ];
    let own = session(&dir.path().join("own"), &trader(&values), (5, 240));
    // As a real venue tells it: the market moved LATE before we saw it, and an order that meets
    // what we see at t was matched at t - LATE; both in the venue's time.
    let moved = rewritten(&own, &dir.path().join("moved"), &|lane, event| {
        let is_market = event.kind < Kind::SessionStart as u8;
        let is_report = (48..=55).contains(&event.kind);
        if lane == 0 && is_market {
            event.ts_venue = event.ts_recv - LATE + AHEAD;
        } else if lane == 0 && is_report {
            event.flags &= !flags::PAPER;
            event.ts_venue += AHEAD - LATE;
        }
    });
    let recorded = Recorded::read(&moved).expect("a session");
    assert_eq!(recorded.delay(), LATE - AHEAD);
    let found = calibrate(&[moved]).expect("a calibration");
    let middle = |measured: &crate::realism::calibrate::Measured| {
        measured.p50_us.expect("enough requests").value
    };
    assert_eq!([middle(&found.order), middle(&found.report)], [9_000.0, 2_000.0]);
    assert_eq!(middle(&found.feed), (LATE - AHEAD) as f64 / 1e3);
}
