//! Per-hop latency without waiting: a pinned thread records into a set of histograms it owns alone,
//! and now and then swaps it for a clean one.
//!
//! ```text
//!             full sets (ring of 2)
//!  HopRecorder ─────────────────────► HopCollector ──► interval and since-start histograms
//!   pinned     ◄─────────────────────  observer
//!             clean sets (ring of 2)
//! ```
//!
//! Exactly two sets exist per recorder, so neither ring can overflow. If the observer is slow there
//! is no clean set to swap for, and the recorder goes on in the set it has: nothing is lost and
//! nobody waits. Histograms have two significant digits (error below 0.8 %) and 4-byte counters,
//! 14 KB a hop, so that they do not push the hot path's data out of the cache; sums and maxima are
//! kept exactly beside them.
//!
//! A collector that is asked to also keeps every passage: a set then carries them as they came,
//! with the input that passed, and the observer makes records of them (`stamps`).

use super::hop::Hop;
use super::stamps::{Kept, Packer};
use super::worst::Worst;
use crate::base::event::{Event, Passage};
use crate::base::ids::Seq;
use crate::base::time::Nanos;
use hdrhistogram::Histogram;
use rtrb::{Consumer, Producer, RingBuffer};
use serde::ser::{Serialize, SerializeMap, Serializer};
use std::fmt::Write as _;

/// Longest latency told apart, in nanoseconds: 10 s. Longer ones are counted as this long; the
/// maximum still tells their length.
pub const HOP_NS_MAX: u64 = 10_000_000_000;
/// Significant decimal digits of a percentile.
pub const HOP_DIGITS: u8 = 2;
/// Records after which a busy thread looks for a clean set on its own: with an idle turn every few
/// microseconds it never comes to this.
const RECORDS_PER_SWAP_CHECK: u32 = 4_096;
/// Passages a set keeps for the observer: 16 bytes each, 512 KB a set, of which a thread touches as
/// many as it records between two turns of the observer, 50 ms. What is beyond is counted.
const PASSAGES_KEPT_MAX: usize = 32_768;

/// Records hop latencies on one thread. No call allocates, locks, waits or panics.
#[derive(Debug)]
pub struct HopRecorder {
    current: Box<HopSet>,
    full: Producer<Box<HopSet>>,
    clean: Consumer<Box<HopSet>>,
    unchecked: u32,
}

impl HopRecorder {
    /// Counts one passage of `hop` by the input `seq` that took `ns` nanoseconds.
    #[inline]
    pub fn record(&mut self, hop: Hop, seq: Seq, ns: u64) {
        self.current.record(hop, seq, ns);
        self.unchecked += 1;
        if self.unchecked >= RECORDS_PER_SWAP_CHECK {
            self.publish();
        }
    }

    /// Hands what was recorded to the observer if a clean set is at hand; says whether it did. Call
    /// it from the loop's idle turn.
    #[inline]
    pub fn publish(&mut self) -> bool {
        self.unchecked = 0;
        if self.current.records == 0 {
            return false;
        }
        let Ok(clean) = self.clean.pop() else {
            return false;
        };
        let full = std::mem::replace(&mut self.current, clean);
        self.full.push(full).is_ok()
    }
}

impl Drop for HopRecorder {
    /// The last records reach the observer: the ring has room for both sets.
    fn drop(&mut self) {
        if self.current.records > 0 {
            let last = std::mem::replace(&mut self.current, Box::new(HopSet::empty()));
            let _ = self.full.push(last);
        }
    }
}

/// Merges what the recorders hand over. Lives on the observer thread.
#[derive(Debug)]
pub struct HopCollector {
    sources: Vec<Source>,
    /// Passages each set keeps.
    kept_max: usize,
    packer: Packer,
    interval: HopTotals,
    since_start: HopTotals,
}

impl Default for HopCollector {
    fn default() -> Self {
        Self::new()
    }
}

impl HopCollector {
    /// No recorders yet.
    pub fn new() -> Self {
        Self {
            sources: Vec::new(),
            kept_max: 0,
            packer: Packer::default(),
            interval: HopTotals::new(),
            since_start: HopTotals::new(),
        }
    }

    /// The same, whose recorders keep every passage for [`HopCollector::collect_stamps`].
    pub fn with_stamps() -> Self {
        Self { kept_max: PASSAGES_KEPT_MAX, ..Self::new() }
    }

    /// A new recorder for one thread. All memory is taken here.
    pub fn recorder(&mut self) -> HopRecorder {
        let (full, full_out) = RingBuffer::new(2);
        let (mut clean_in, clean) = RingBuffer::new(2);
        // A fresh ring of two has room for one.
        let _ = clean_in.push(Box::new(HopSet::new(self.kept_max)));
        self.sources.push(Source { full: full_out, clean: clean_in });
        HopRecorder { current: Box::new(HopSet::new(self.kept_max)), full, clean, unchecked: 0 }
    }

    /// Takes in every set handed over since the last call and gives it back clean. Cheap when there
    /// is nothing; call it a few times a second.
    pub fn collect(&mut self) {
        self.collect_stamps(Nanos::ZERO, &mut |_| true);
    }

    /// The same, and hands `keep` a record of the passages, as of `now`, for every
    /// [`crate::base::event::PASSAGES_PER_EVENT`] of them. Where it says no, they are missed: the
    /// next record tells how many.
    pub fn collect_stamps(&mut self, now: Nanos, keep: &mut dyn FnMut(&Event) -> bool) {
        for Source { full, clean } in &mut self.sources {
            while let Ok(mut set) = full.pop() {
                self.interval.merge(&set);
                self.since_start.merge(&set);
                if !set.passages.is_empty() {
                    self.packer.pack(&set.passages[..set.kept], set.missed, now, keep);
                }
                set.reset();
                // Refused only when the recorder is gone, and then nobody needs the set.
                let _ = clean.push(set);
            }
        }
    }

    /// Percentiles of everything collected.
    pub fn since_start(&self) -> LatencyView {
        self.since_start.view()
    }

    /// The histograms of everything collected.
    pub const fn totals(&self) -> &HopTotals {
        &self.since_start
    }

    /// The histograms since the last call, and begins a new interval.
    pub fn take_interval(&mut self) -> HopTotals {
        std::mem::take(&mut self.interval)
    }
}

/// The observer's ends of one recorder's rings.
#[derive(Debug)]
struct Source {
    full: Consumer<Box<HopSet>>,
    clean: Producer<Box<HopSet>>,
}

/// Merged histograms of every hop.
#[derive(Clone, Debug)]
pub struct HopTotals {
    histograms: Vec<Histogram<u64>>,
    sum_ns: [u64; Hop::COUNT],
    max_ns: [u64; Hop::COUNT],
    worst: [Worst; Hop::COUNT],
}

impl Default for HopTotals {
    fn default() -> Self {
        Self::new()
    }
}

impl HopTotals {
    /// Nothing counted.
    pub fn new() -> Self {
        let histograms = Hop::ALL.iter().map(|_| new_histogram()).collect();
        Self {
            histograms,
            sum_ns: [0; Hop::COUNT],
            max_ns: [0; Hop::COUNT],
            worst: [Worst::NONE; Hop::COUNT],
        }
    }

    /// The histogram of one hop, in nanoseconds.
    pub fn histogram(&self, hop: Hop) -> &Histogram<u64> {
        &self.histograms[hop as usize]
    }

    /// Counts `count` passages of `ns` nanoseconds each: for histograms read from a log.
    pub fn record_n(&mut self, hop: Hop, ns: u64, count: u64) {
        let i = hop as usize;
        self.histograms[i].saturating_record_n(ns.clamp(1, HOP_NS_MAX), count);
        self.sum_ns[i] = self.sum_ns[i].saturating_add(ns.saturating_mul(count));
        self.max_ns[i] = self.max_ns[i].max(ns);
    }

    /// Counts one passage.
    pub fn record(&mut self, passage: Passage) {
        self.record_n(passage.hop, passage.ns, 1);
        self.worst[passage.hop as usize].note(passage.ns, passage.seq);
    }

    /// A quantile of one hop in nanoseconds, of 0 to 1; zero where nothing passed.
    pub fn at(&self, hop: Hop, quantile: f64) -> u64 {
        // A bucket's upper end can lie above the largest value in it.
        self.histograms[hop as usize].value_at_quantile(quantile).min(self.max_ns[hop as usize])
    }

    /// Percentiles of every hop.
    pub fn view(&self) -> LatencyView {
        let mut view = LatencyView { worst: self.worst, ..LatencyView::default() };
        for hop in Hop::ALL {
            let i = hop as usize;
            let at = |quantile| self.at(hop, quantile);
            view.hops[i] = HopView {
                p50: at(0.5),
                p99: at(0.99),
                p999: at(0.999),
                p9999: at(0.9999),
                max: self.max_ns[i],
                count: self.histograms[i].len(),
                sum_ns: self.sum_ns[i],
            };
        }
        view
    }

    fn merge(&mut self, set: &HopSet) {
        for (i, source) in set.histograms.iter().enumerate() {
            if source.is_empty() {
                continue;
            }
            // Not `add`: it wants counters of one width, and 4 bytes fill up in hours.
            for step in source.iter_recorded() {
                let count = u64::from(step.count_at_value());
                self.histograms[i].saturating_record_n(step.value_iterated_to(), count);
            }
            self.sum_ns[i] = self.sum_ns[i].saturating_add(set.sum_ns[i]);
            self.max_ns[i] = self.max_ns[i].max(set.max_ns[i]);
            self.worst[i].merge(&set.worst[i]);
        }
    }
}

/// One hop's percentiles in nanoseconds; all zero when nothing passed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HopView {
    /// Median.
    pub p50: u64,
    /// 99th percentile.
    pub p99: u64,
    /// 99.9th percentile.
    pub p999: u64,
    /// 99.99th percentile.
    pub p9999: u64,
    /// The longest, exactly.
    pub max: u64,
    /// Passages.
    pub count: u64,
    /// Sum of all passages, exactly.
    pub sum_ns: u64,
}

/// Percentiles of every hop. Serialises as `{hop: {p50, p99, p999, p9999, max, count}}` in
/// nanoseconds, the hops that were passed only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LatencyView {
    hops: [HopView; Hop::COUNT],
    worst: [Worst; Hop::COUNT],
}

impl LatencyView {
    /// From the JSON that it serialises as; what is missing there is zero.
    pub fn from_json(value: &serde_json::Value) -> Self {
        let mut view = Self::default();
        for hop in Hop::ALL {
            let told = |key: &str| value[hop.name()][key].as_u64().unwrap_or(0);
            view.hops[hop as usize] = HopView {
                p50: told("p50"),
                p99: told("p99"),
                p999: told("p999"),
                p9999: told("p9999"),
                max: told("max"),
                count: told("count"),
                sum_ns: 0,
            };
        }
        view
    }

    /// One hop.
    pub fn hop(&self, hop: Hop) -> HopView {
        self.hops[hop as usize]
    }

    /// True when both are of as many passages of every hop.
    pub fn counts_as(&self, other: &Self) -> bool {
        Hop::ALL.into_iter().all(|hop| self.hop(hop).count == other.hop(hop).count)
    }

    /// The longest passages of every hop, hop by hop, longest first, with the inputs that passed.
    pub fn worst(&self) -> impl Iterator<Item = Passage> + '_ {
        let of = |(hop, worst): (Hop, &'_ Worst)| worst.passages(hop).collect::<Vec<_>>();
        Hop::ALL.into_iter().zip(&self.worst).flat_map(of)
    }

    /// True when no hop was passed.
    pub fn is_empty(&self) -> bool {
        self.hops.iter().all(|hop| hop.count == 0)
    }

    /// The aligned table of the hops that were passed, one line each.
    pub fn table(&self) -> String {
        let mut text = String::new();
        let titles = ["p50", "p99", "p99.9", "p99.99", "max"];
        let _ = write!(text, "{:<16}{:>12}", "hop", "count");
        for title in titles {
            let _ = write!(text, "{title:>12}");
        }
        text.push('\n');
        for (hop, view) in self.passed() {
            let _ = write!(text, "{:<16}{:>12}", hop.name(), view.count);
            for ns in [view.p50, view.p99, view.p999, view.p9999, view.max] {
                let _ = write!(text, "{:>12}", readable_ns(ns));
            }
            text.push('\n');
        }
        text
    }

    fn passed(&self) -> impl Iterator<Item = (Hop, HopView)> + '_ {
        let all = Hop::ALL.into_iter().map(|hop| (hop, self.hop(hop)));
        all.filter(|(_, view)| view.count > 0)
    }
}

impl Serialize for LatencyView {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (hop, view) in self.passed() {
            map.serialize_entry(hop.name(), &view)?;
        }
        map.end()
    }
}

impl Serialize for HopView {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(6))?;
        map.serialize_entry("p50", &self.p50)?;
        map.serialize_entry("p99", &self.p99)?;
        map.serialize_entry("p999", &self.p999)?;
        map.serialize_entry("p9999", &self.p9999)?;
        map.serialize_entry("max", &self.max)?;
        map.serialize_entry("count", &self.count)?;
        map.end()
    }
}

/// Nanoseconds below 10 µs as `1234 ns`, then as `12.3 µs`, `12.3 ms`, `12.3 s`.
pub fn readable_ns(ns: u64) -> String {
    match ns {
        0..=9_999 => format!("{ns} ns"),
        10_000..=9_999_999 => format!("{:.1} µs", ns as f64 / 1e3),
        10_000_000..=9_999_999_999 => format!("{:.1} ms", ns as f64 / 1e6),
        _ => format!("{:.1} s", ns as f64 / 1e9),
    }
}

/// What one recorder fills: written by its thread, then read and reset by the observer.
#[derive(Debug)]
struct HopSet {
    histograms: Vec<Histogram<u32>>,
    sum_ns: [u64; Hop::COUNT],
    max_ns: [u64; Hop::COUNT],
    records: u64,
    worst: [Worst; Hop::COUNT],
    /// Room for passages, of which `kept` are taken.
    passages: Vec<Kept>,
    kept: usize,
    /// Passages for which there was no room.
    missed: u64,
}

impl HopSet {
    fn new(kept_max: usize) -> Self {
        let mut set = Self::empty();
        set.histograms = Hop::ALL.iter().map(|_| new_histogram()).collect();
        // Not of zeros: memory that was written is there, so the path never waits for a page.
        set.passages = vec![Kept::PLACE; kept_max];
        set
    }

    /// Without histograms: takes the place of a set that was handed over for good.
    const fn empty() -> Self {
        Self {
            histograms: Vec::new(),
            sum_ns: [0; Hop::COUNT],
            max_ns: [0; Hop::COUNT],
            records: 0,
            worst: [Worst::NONE; Hop::COUNT],
            passages: Vec::new(),
            kept: 0,
            missed: 0,
        }
    }

    #[inline]
    fn record(&mut self, hop: Hop, seq: Seq, ns: u64) {
        let i = hop as usize;
        // A clamped value always has a counter, so there is no error to look at.
        let _ = self.histograms[i].record(ns.clamp(1, HOP_NS_MAX));
        self.sum_ns[i] = self.sum_ns[i].saturating_add(ns);
        self.max_ns[i] = self.max_ns[i].max(ns);
        self.worst[i].note(ns, seq);
        self.records += 1;
        match self.passages.get_mut(self.kept) {
            Some(place) => {
                *place = Kept::of(hop, seq, ns);
                self.kept += 1;
            }
            None => self.missed += 1,
        }
    }

    fn reset(&mut self) {
        self.histograms.iter_mut().filter(|h| !h.is_empty()).for_each(Histogram::reset);
        self.sum_ns = [0; Hop::COUNT];
        self.max_ns = [0; Hop::COUNT];
        self.records = 0;
        self.worst = [Worst::NONE; Hop::COUNT];
        (self.kept, self.missed) = (0, 0);
    }
}

fn new_histogram<C: hdrhistogram::Counter>() -> Histogram<C> {
    Histogram::new_with_bounds(1, HOP_NS_MAX, HOP_DIGITS)
        .expect("1 is below half of the bound, and two digits are supported")
}
