//! When each stream of a connection last delivered. An open connection proves nothing: one of its
//! streams may be silent while the others talk.
//!
//! | stream | silent when |
//! |---|---|
//! | changes of the book | nothing for two seconds, and another stream of the symbol talked since |
//! | best bid and offer | the same with ten seconds: deep levels move without it |
//! | mark price | nothing for a little over two of its own intervals |
//! | trades, candles and the rest | never: nobody may be trading |
//!
//! A new connection has five seconds for the first payload of each. Sans-IO.

use crate::base::InstrumentId;
use crate::base::event::carries;
use std::time::{Duration, Instant};

/// Silence of a stream whose siblings talk.
const DEPTH_MAX: Duration = Duration::from_secs(2);
const TOUCH_MAX: Duration = Duration::from_secs(10);
/// A stream told every second, or every three.
const MARK_FAST_MAX: Duration = Duration::from_millis(2_200);
const MARK_SLOW_MAX: Duration = Duration::from_millis(6_600);
/// The first payload of each stream of a connection.
const FIRST_MAX: Duration = Duration::from_secs(5);
/// How often is looked.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// One stream of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamName {
    /// As the venue writes it, `btcusdt@depth@100ms`.
    pub name: String,
    /// Whose.
    pub instrument: InstrumentId,
}

/// What identifies an event of a stream: a number that grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// Update id, `u`.
    Update,
    /// Number of the aggregated trade, `a`.
    AggTrade,
    /// Number of the trade, `t`.
    Trade,
    /// Event time, `E`.
    Time,
}

/// A stream fell silent, or talks again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamEdge {
    /// Whose stream.
    pub instrument: InstrumentId,
    /// What it brings, a bit of [`carries`].
    pub carries: u16,
    /// It fell silent.
    pub is_silent: bool,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    instrument: InstrumentId,
    carries: u16,
    key: Key,
    /// `None` where silence is ordinary.
    silence_max: Option<Duration>,
    last: Option<Instant>,
    is_silent: bool,
    /// Nobody wants it: it is not subscribed, or soon not any more.
    is_asleep: bool,
    /// When it was wanted again.
    woken_at: Option<Instant>,
}

/// See the head of this file.
#[derive(Debug)]
pub struct Ages {
    /// Hash of the name and place in `slots`, sorted.
    index: Vec<(u64, u16)>,
    /// Those of one instrument stand side by side.
    slots: Vec<Slot>,
    up_at: Option<Instant>,
    looked_at: Option<Instant>,
    newest: Option<Instant>,
}

impl Ages {
    /// Of these streams, none of which has delivered.
    pub fn new(names: &[StreamName]) -> Self {
        let mut names: Vec<&StreamName> = names.iter().collect();
        names.sort_by_key(|name| name.instrument);
        let slots: Vec<Slot> = names.iter().map(|name| Slot::of(name)).collect();
        let place = |i: usize| u16::try_from(i).unwrap_or(u16::MAX);
        let hash = |name: &&StreamName| xxhash_rust::xxh3::xxh3_64(name.name.as_bytes());
        let mut index: Vec<(u64, u16)> =
            names.iter().enumerate().map(|(i, name)| (hash(name), place(i))).collect();
        index.sort_unstable();
        Self { index, slots, up_at: None, looked_at: None, newest: None }
    }

    /// The sum of what its streams bring, as bits of [`carries`].
    pub fn carries(&self) -> u16 {
        self.slots.iter().fold(0, |sum, slot| sum | slot.carries)
    }

    /// The streams of the instruments that are `awake` are awaited from here on, and no others.
    pub fn wake(&mut self, awake: &dyn Fn(InstrumentId) -> bool, now: Instant) {
        for slot in &mut self.slots {
            let is_asleep = !awake(slot.instrument);
            if is_asleep == slot.is_asleep {
                continue;
            }
            (slot.is_asleep, slot.is_silent, slot.last) = (is_asleep, false, None);
            slot.woken_at = (!is_asleep).then_some(now);
        }
    }

    /// True for a frame of a stream that nobody wants.
    pub(super) fn is_unwanted(&self, frame: &[u8]) -> bool {
        self.slot_of(frame).is_some_and(|(slot, _)| self.slots[slot].is_asleep)
    }

    /// A connection came up: every stream has its time for a first payload again.
    pub fn start(&mut self, now: Instant) {
        self.up_at = Some(now);
        self.newest = Some(now);
        for slot in &mut self.slots {
            slot.last = None;
        }
    }

    /// The connection is gone; that is told otherwise.
    pub fn stop(&mut self) {
        self.up_at = None;
    }

    /// The stream of a frame in its wrapper: its place, and the text behind its name.
    pub(super) fn slot_of<'f>(&self, frame: &'f [u8]) -> Option<(usize, &'f [u8])> {
        let rest = frame.strip_prefix(b"{\"stream\":\"")?;
        let end = rest.iter().take(96).position(|&byte| byte == b'"')?;
        let hash = xxhash_rust::xxh3::xxh3_64(&rest[..end]);
        let at = self.index.binary_search_by_key(&hash, |(hash, _)| *hash).ok()?;
        Some((usize::from(self.index[at].1), &rest[end..]))
    }

    /// What identifies the event of a frame of this stream.
    pub(super) fn key_of(&self, slot: usize, text: &[u8]) -> Option<u64> {
        let name: &[u8] = match self.slots[slot].key {
            Key::Update => b"\"u\":",
            Key::AggTrade => b"\"a\":",
            Key::Trade => b"\"t\":",
            Key::Time => b"\"E\":",
        };
        let key = number_after(name, &text[..text.len().min(320)])?;
        // The feed refuses such a frame; as the newest of its stream it would silence the stream.
        (key <= i64::MAX as u64).then_some(key)
    }

    pub(super) fn count(&self) -> usize {
        self.slots.len()
    }

    /// A frame came; of which stream, if of one of these.
    pub fn note(&mut self, frame: &[u8], now: Instant) -> Option<usize> {
        let (slot, _) = self.slot_of(frame)?;
        self.note_slot(slot, now);
        Some(slot)
    }

    pub(super) fn note_slot(&mut self, slot: usize, now: Instant) {
        self.slots[slot].last = Some(now);
        self.newest = Some(now);
    }

    /// True when nothing that is expected to talk did for two seconds.
    pub fn is_mute(&self, now: Instant) -> bool {
        let talks = |slot: &Slot| slot.silence_max.is_some_and(|most| most < TOUCH_MAX);
        let expected = self.slots.iter().any(|slot| talks(slot) && !slot.is_asleep);
        let old = |at: Instant| now.saturating_duration_since(at) > MARK_FAST_MAX;
        expected && self.up_at.is_some() && self.newest.is_some_and(old)
    }

    /// The next stream that fell silent, or talks again; each is told once.
    pub fn edge(&mut self, now: Instant) -> Option<StreamEdge> {
        let up_at = self.up_at?;
        let is_soon = |at: Instant| now.saturating_duration_since(at) < LOOK_EVERY;
        if self.looked_at.is_some_and(is_soon) {
            return None;
        }
        for place in 0..self.slots.len() {
            let is_silent = self.is_silent(place, up_at, now);
            let slot = &mut self.slots[place];
            // One that has not delivered over a new connection yet does not talk again.
            if slot.is_silent != is_silent && (is_silent || slot.last.is_some()) {
                slot.is_silent = is_silent;
                let (instrument, carries) = (slot.instrument, slot.carries);
                return Some(StreamEdge { instrument, carries, is_silent });
            }
        }
        self.looked_at = Some(now);
        None
    }

    fn is_silent(&self, place: usize, up_at: Instant, now: Instant) -> bool {
        let slot = &self.slots[place];
        let Some(silence_max) = slot.silence_max.filter(|_| !slot.is_asleep) else { return false };
        let up_at = slot.woken_at.map_or(up_at, |woken| woken.max(up_at));
        let (since, most) = match slot.last {
            Some(last) => (last, silence_max),
            None => (up_at, FIRST_MAX.max(silence_max)),
        };
        if now.saturating_duration_since(since) <= most {
            return false;
        }
        // The mark price has a clock of its own; what follows the market needs a witness.
        let witness = |other: &Slot| {
            other.carries != slot.carries && other.last.is_some_and(|last| last > since)
        };
        let is_own = |other: &&Slot| other.instrument == slot.instrument;
        let (before, after) = self.slots.split_at(place);
        let mut own = before.iter().rev().take_while(is_own);
        slot.carries == carries::MARK
            || own.any(witness)
            || after.iter().take_while(is_own).any(witness)
    }
}

impl Slot {
    fn of(stream: &StreamName) -> Self {
        let kind = stream.name.split_once('@').map_or("", |(_, kind)| kind);
        let (carries, key, silence_max) = match kind {
            "bookTicker" => (carries::TOUCH, Key::Update, Some(TOUCH_MAX)),
            "aggTrade" => (carries::TRADES, Key::AggTrade, None),
            "trade" => (carries::TRADES, Key::Trade, None),
            "markPrice@1s" => (carries::MARK, Key::Time, Some(MARK_FAST_MAX)),
            "markPrice" => (carries::MARK, Key::Time, Some(MARK_SLOW_MAX)),
            _ if kind.starts_with("depth") => (carries::DEPTH, Key::Update, Some(DEPTH_MAX)),
            _ => (carries::TRADES, Key::Time, None),
        };
        let instrument = stream.instrument;
        Self {
            instrument,
            carries,
            key,
            silence_max,
            last: None,
            is_silent: false,
            is_asleep: false,
            woken_at: None,
        }
    }
}

/// The number behind `name`, which may be followed by blanks.
pub(super) fn number_after(name: &[u8], text: &[u8]) -> Option<u64> {
    let at = text.windows(name.len()).position(|window| window == name)? + name.len();
    let digits = text[at..].trim_ascii_start();
    let count = digits.iter().position(|byte| !byte.is_ascii_digit())?;
    std::str::from_utf8(&digits[..count]).ok()?.parse().ok()
}
