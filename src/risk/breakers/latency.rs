//! RC-40, RC-41: how long the venue's word takes, by event times; and what threads with a clock
//! measured and sent down the river as [`Kind::Measured`](crate::base::Kind::Measured).

use super::board::Board;
use super::rungs::NO_SEGMENT;
use crate::base::event::{Event, Measured};
use crate::base::{Control, Measure, Nanos};

/// Answers remembered.
const SAMPLES: usize = 128;
/// How long an answer counts.
const WINDOW: Nanos = Nanos::from_secs(60);
/// Answers without which there is no percentile.
const LEAST: usize = 5;

/// See the head of this file.
#[derive(Clone, Debug)]
pub(super) struct Latency {
    /// When, and how long it took in milliseconds; a ring.
    samples: [(Nanos, i64); SAMPLES],
    next: usize,
    disk_need: i64,
    segment_need: i64,
}

impl Latency {
    pub(super) fn new() -> Self {
        let never = (Nanos(i64::MIN), 0);
        Self { samples: [never; SAMPLES], next: 0, disk_need: 0, segment_need: 0 }
    }

    /// The venue's first word on an order came.
    pub(super) fn on_answer(&mut self, sent_at: Nanos, now: Nanos) {
        let took = (now - sent_at).0 / 1_000_000;
        self.samples[self.next] = (now, took);
        self.next = (self.next + 1) % SAMPLES;
    }

    /// Once a second: the 95th and the 99th percentile of the last minute, by the nearest rank.
    pub(super) fn on_second(&self, board: &mut Board, now: Nanos) {
        let mut took = [0; SAMPLES];
        let mut held = 0;
        for &(at, ms) in &self.samples {
            if at.0 != i64::MIN && now - at < WINDOW {
                took[held] = ms;
                held += 1;
            }
        }
        let took = &mut took[..held];
        took.sort_unstable();
        let rank = |percent: usize| (held * percent).div_ceil(100) - 1;
        let at = |percent| if held >= LEAST { took[rank(percent)] } else { 0 };
        board.judge(Control::SendToAck, at(99), now);
        board.judge(Control::SendToAckP95, at(95), now);
    }

    /// Something was measured.
    pub(super) fn on_measured(&mut self, board: &mut Board, event: &Event) {
        let Measured { measure, value, .. } = *event.body();
        let Some(measure) = Measure::from_u16(measure) else { return };
        let control = match measure {
            Measure::TickToGate => Control::TickToGate,
            Measure::TickToGateP95 => Control::TickToGateP95,
            Measure::RingDepth => Control::RingDepth,
            Measure::Memory => Control::Memory,
            Measure::Files => Control::Files,
            Measure::CoreStall => Control::CoreStall,
            Measure::DiskNeed | Measure::SegmentNeed => {
                let kept = if measure == Measure::DiskNeed {
                    &mut self.disk_need
                } else {
                    &mut self.segment_need
                };
                *kept = value;
                // Room for the next segments is the last there is.
                let need = if self.segment_need >= 100 {
                    NO_SEGMENT
                } else {
                    self.disk_need.min(NO_SEGMENT - 1)
                };
                return board.judge(Control::Disk, need, event.now());
            }
        };
        board.judge(control, value, event.now());
    }
}
