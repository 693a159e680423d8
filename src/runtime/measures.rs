//! What only threads with a clock can know, measured once a second beside the pinned threads and
//! sent down the river: the breakers' view of latency, memory, files, disk and stalled cores.

use super::heartbeat::Heartbeat;
use crate::base::Measure;
use crate::base::hop::Hop;
use crate::journal::{JournalHealth, LANES};
use crate::observe::snapshot::ResourceView;
use crate::observe::{HopCollector, LatencyView};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Time between two measures.
const EVERY: Duration = Duration::from_secs(1);
/// Time after which the journal's growth says how much a day brings.
const SETTLED: Duration = Duration::from_secs(60);
/// Bytes of one record.
const RECORD_BYTES: u64 = crate::base::event::EVENT_BYTES as u64;
const MIB: u64 = 1 << 20;
/// Ticks per second in `/proc/self/stat`: part of the kernel's interface, the same everywhere.
const USER_HZ: f64 = 100.0;

/// What the journal takes of its disk.
#[derive(Clone, Copy, Debug)]
pub struct DiskPlan {
    /// Bytes of one next segment of every lane.
    pub segments: u64,
    /// Hours of journal there must be room for.
    pub reserve_hours: u32,
    /// Most bytes the journal ever takes; `None` where nothing is deleted.
    pub most: Option<u64>,
}

impl DiskPlan {
    /// What is needed over what is free, in percent: for the reserve with two segments, and for the
    /// next segments alone. `None` before anything is known of the disk.
    fn needs(&self, free: u64, written: u64, took: Duration) -> Option<(i64, i64)> {
        if free == 0 {
            return None;
        }
        let settled = took >= SETTLED;
        let a_second = if settled { written / took.as_secs().max(1) } else { 0 };
        let reserve = a_second.saturating_mul(u64::from(self.reserve_hours) * 3_600);
        // Where old segments are deleted, the rest is all that is still to come.
        let reserve = reserve.min(self.most.map_or(u64::MAX, |most| most.saturating_sub(written)));
        let need = reserve.saturating_add(self.segments.saturating_mul(2));
        Some((percent(need, free), percent(self.segments, free)))
    }
}

/// See the head of this file.
pub struct Measures {
    plan: DiskPlan,
    hearts: Vec<(u64, Instant)>,
    longest: Duration,
    due: Instant,
    began: Instant,
    files_max: u64,
}

impl Measures {
    /// For as many pinned threads.
    pub fn new(plan: DiskPlan, threads: usize, now: Instant) -> Self {
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
        Self {
            plan,
            hearts: vec![(u64::MAX, now); threads],
            longest: Duration::ZERO,
            due: now + EVERY,
            began: now,
            files_max: limit.current.unwrap_or(u64::MAX),
        }
    }

    /// One look, many times a second; `river` takes what is measured, once a second, and the
    /// percentiles of that second come back.
    pub fn turn(
        &mut self,
        now: Instant,
        hearts: &[(&'static str, Option<usize>, Arc<Heartbeat>)],
        collector: &mut HopCollector,
        health: &JournalHealth,
        river: &Heartbeat,
    ) -> Option<LatencyView> {
        for ((_, _, heart), (turns, seen)) in hearts.iter().zip(&mut self.hearts) {
            // A thread that left its loop is told elsewhere.
            if heart.turns() != *turns || heart.has_ended() {
                (*turns, *seen) = (heart.turns(), now);
            } else {
                self.longest = self.longest.max(now.saturating_duration_since(*seen));
            }
        }
        if now < self.due {
            return None;
        }
        self.due = now + EVERY;
        river.tell(Measure::CoreStall, whole(std::mem::take(&mut self.longest).as_millis()));
        let interval = collector.take_interval();
        let hops = interval.view();
        // Without an order there is nothing that took long.
        let us = |quantile| whole((interval.at(Hop::TickToOrder, quantile) / 1_000).into());
        river.tell(Measure::TickToGate, us(0.99));
        river.tell(Measure::TickToGateP95, us(0.95));
        river.tell(Measure::Memory, whole((resident_bytes() / MIB).into()));
        river.tell(Measure::Files, percent(open_files(), self.files_max));
        let written: u64 = (0..LANES).map(|lane| health.appended(lane)).sum::<u64>() * RECORD_BYTES;
        let took = now.saturating_duration_since(self.began);
        if let Some((day, next)) = self.plan.needs(health.disk_free_bytes(), written, took) {
            river.tell(Measure::DiskNeed, day);
            river.tell(Measure::SegmentNeed, next);
        }
        Some(hops)
    }
}

fn percent(part: u64, whole_part: u64) -> i64 {
    whole(u128::from(part) * 100 / u128::from(whole_part.max(1)))
}

fn whole(value: u128) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Files and sockets that are open.
fn open_files() -> u64 {
    std::fs::read_dir("/proc/self/fd").map_or(0, |dir| dir.count() as u64)
}

/// Memory of a process as the kernel counts it under a key of its status, such as `VmRSS`, in
/// bytes; `None` once it has ended.
pub fn memory_bytes(process: u32, key: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let told = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    let kib: u64 = told.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1_024)
}

/// Resident memory of this process.
fn resident_bytes() -> u64 {
    memory_bytes(std::process::id(), "VmRSS").unwrap_or(0)
}

/// The process's use of the machine, from the kernel's own accounts.
pub(super) fn resources(health: &JournalHealth) -> ResourceView {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Fields after the command's closing parenthesis: utime and stime are the 12th and 13th.
    let after = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks = |n: usize| after.split_whitespace().nth(n).and_then(|t| t.parse::<f64>().ok());
    let cpu = ticks(11).unwrap_or(0.0) + ticks(12).unwrap_or(0.0);
    ResourceView {
        resident_bytes: resident_bytes(),
        open_files: open_files(),
        cpu_seconds: cpu / USER_HZ,
        disk_free_bytes: health.disk_free_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_disk_must_have_room_for_the_hours_ahead_and_the_next_segments() {
        let plan = DiskPlan { segments: 100, reserve_hours: 1, most: None };
        let minute = Duration::from_secs(60);
        assert_eq!(plan.needs(0, 0, minute), None, "nobody has looked yet");
        // 600 bytes in a minute are 36 000 in an hour; with two segments 36 200.
        assert_eq!(plan.needs(36_200, 600, minute), Some((100, 0)));
        assert_eq!(plan.needs(36_201, 600, minute), Some((99, 0)));
        assert_eq!(plan.needs(100, 0, minute).map(|(_, next)| next), Some(100));
        // Before a minute is over nothing is said of an hour.
        assert_eq!(plan.needs(36_200, 600, Duration::from_secs(59)), Some((0, 0)));
        // Where segments are deleted again, the journal has an end.
        let kept = DiskPlan { most: Some(1_600), ..plan };
        assert_eq!(kept.needs(1_200, 600, minute), Some((100, 8)));
    }

    #[test]
    fn a_thread_that_does_not_turn_is_told_with_the_time_it_stood() {
        let began = Instant::now();
        let plan = DiskPlan { segments: 1, reserve_hours: 1, most: None };
        let hearts =
            [("feed", None, Arc::new(Heartbeat::default())), ("risk", None, Arc::default())];
        let (mut collector, health) = (HopCollector::new(), JournalHealth::default());
        let mut measures = Measures::new(plan, hearts.len(), began);
        let river = &hearts[0].2;
        let mut told = Vec::new();
        for ms in (0..2_000).step_by(50) {
            river.beat();
            // The second one stands from 200 ms on, and turns again after half a second.
            if !(200..700).contains(&ms) {
                hearts[1].2.beat();
            }
            let now = began + Duration::from_millis(ms);
            measures.turn(now, &hearts, &mut collector, &health, river);
            told.extend(river.take_measure(Measure::CoreStall));
        }
        // Seen turning at 150 ms for the last time, and standing until 650 ms.
        assert_eq!(told, [500, 0][..told.len()]);
        assert!(!told.is_empty());
    }

    #[test]
    fn fault_n12_open_files_are_told_as_a_share_of_what_the_process_may_have() {
        let began = Instant::now();
        let plan = DiskPlan { segments: 1, reserve_hours: 1, most: None };
        let mut measures = Measures::new(plan, 0, began);
        let (mut collector, health) = (HopCollector::new(), JournalHealth::default());
        let river = Heartbeat::default();
        let held: Vec<_> =
            (0..80).map(|_| std::fs::File::open("/proc/self/stat").unwrap()).collect();
        // Other tests of this process open and close files meanwhile, the 80 stay.
        measures.files_max = 100;
        measures.turn(began + EVERY, &[], &mut collector, &health, &river);
        let told = river.take_measure(Measure::Files).unwrap();
        assert!(told >= 80, "{told} % with {} files held", held.len());
        measures.files_max = 1_000_000;
        measures.turn(began + 2 * EVERY, &[], &mut collector, &health, &river);
        assert!(river.take_measure(Measure::Files).unwrap() < 80);
    }
}
