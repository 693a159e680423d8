//! Two connections that deliver the same: what goes on into the river, once and in order, and when
//! the older one may go.
//!
//! ```text
//!  front  99 100 101 102 103 │ closed
//!  back           101 102 103 104       101, 102 wait until the front has delivered 101;
//!  river  99 100 101 102 103 104        from there on whoever is first is heard
//! ```
//! A market stream counts its events upward, so what is not above the newest one delivered is a
//! repetition; so it goes on for a while after the front is gone, for the back may be behind. It
//! may be ahead, too: until the front has reached the back's first event, the back's are held, or
//! what lies between would be lost. Nothing is held for longer than half a second: then the front
//! is behind or mute, and if that left a hole, the book and the trades notice by their ids.
//!
//! The account's own stream has no such numbers. Its events are told apart by their content without
//! the time of sending; order among them is not needed, for any order of reports is understood.

use super::ages::Ages;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How long an event of the back may wait for the front.
const HOLD_MAX: Duration = Duration::from_millis(500);
/// Events held at once; recorded markets bring some hundred in half a second.
const HELD_MAX: usize = 4_096;
/// Contents remembered of the account's own stream.
const CONTENTS_MAX: usize = 512;
/// Time the back has for what the front delivered of the account.
const ACCOUNT_LAG_MAX: Duration = Duration::from_secs(2);

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    /// Key of the newest event delivered.
    newest: Option<u64>,
    /// Key of the back's first event.
    back_first: Option<u64>,
    front_spoke: bool,
    /// Front and back meet: nothing lies between.
    is_bridged: bool,
}

#[derive(Debug)]
struct Held {
    slot: usize,
    key: u64,
    since: Instant,
    frame: Vec<u8>,
}

/// See the head of this file. Sans-IO; it allocates while two connections are open, which is rare.
#[derive(Debug, Default)]
pub(super) struct Overlap {
    slots: Vec<Slot>,
    held: VecDeque<Held>,
    contents: VecDeque<u64>,
    /// What the front alone delivered of the account while the back was open.
    missing: VecDeque<(u64, Instant)>,
}

type Deliver<'d> = &'d mut dyn FnMut(&[u8]);

impl Overlap {
    /// A second connection is opened. What is known of the first one stays.
    pub fn begin(&mut self, streams: usize) {
        self.slots.resize(streams, Slot::default());
        self.restart();
    }

    /// Nothing is known any more.
    pub fn forget(&mut self) {
        self.slots.clear();
        self.contents.clear();
        self.restart();
    }

    /// The back is another connection from here on.
    pub fn restart(&mut self) {
        for slot in &mut self.slots {
            *slot = Slot { newest: slot.newest, ..Slot::default() };
        }
        self.held.clear();
        self.missing.clear();
    }

    /// A market frame of the front.
    pub fn front(&mut self, ages: &Ages, frame: &[u8], deliver: Deliver<'_>) {
        let Some((place, key)) = identify(ages, frame) else { return deliver(frame) };
        let slot = &mut self.slots[place];
        slot.front_spoke = true;
        if slot.newest.is_none_or(|newest| key > newest) {
            slot.newest = Some(key);
            deliver(frame);
        }
        if !slot.is_bridged && slot.back_first.is_some_and(|first| first <= key) {
            self.bridge(place, deliver);
        }
    }

    /// A market frame of the back.
    pub fn back(&mut self, ages: &Ages, frame: &[u8], now: Instant, deliver: Deliver<'_>) {
        // What cannot be told apart goes on once: from the front.
        let Some((place, key)) = identify(ages, frame) else { return };
        let slot = &mut self.slots[place];
        slot.back_first.get_or_insert(key);
        let is_old = slot.newest.is_some_and(|newest| key <= newest);
        if slot.is_bridged && !is_old {
            slot.newest = Some(key);
            deliver(frame);
        } else if is_old {
            self.bridge(place, deliver);
        } else {
            if self.held.len() >= HELD_MAX {
                self.release(now, Duration::ZERO, deliver);
            }
            self.held.push_back(Held { slot: place, key, since: now, frame: frame.to_vec() });
        }
    }

    /// Lets go of what was held for long enough.
    pub fn release(&mut self, now: Instant, hold: Duration, deliver: Deliver<'_>) {
        while let Some(first) = self.held.front()
            && now.saturating_duration_since(first.since) >= hold
        {
            let place = first.slot;
            self.bridge(place, deliver);
        }
    }

    /// The same with the usual patience.
    pub fn tick(&mut self, now: Instant, deliver: Deliver<'_>) {
        self.release(now, HOLD_MAX, deliver);
    }

    /// From here on both are heard: what was held of this stream goes on, unless delivered.
    fn bridge(&mut self, place: usize, deliver: Deliver<'_>) {
        let slot = &mut self.slots[place];
        slot.is_bridged = true;
        self.held.retain(|held| {
            if held.slot != place {
                return true;
            }
            if slot.newest.is_none_or(|newest| held.key > newest) {
                slot.newest = Some(held.key);
                deliver(&held.frame);
            }
            false
        });
    }

    /// A frame of the account, of the front or the back; the back is open since `back_since`.
    pub fn account(
        &mut self,
        is_front: bool,
        back_since: Option<Instant>,
        frame: &[u8],
        now: Instant,
        deliver: Deliver<'_>,
    ) {
        let content = content_of(frame);
        if self.contents.contains(&content) {
            if !is_front {
                self.missing.retain(|(missing, _)| *missing != content);
            }
            return;
        }
        if self.contents.len() >= CONTENTS_MAX {
            self.contents.pop_front();
        }
        self.contents.push_back(content);
        if is_front && back_since.is_some() && self.missing.len() < CONTENTS_MAX {
            self.missing.push_back((content, now));
        }
        deliver(frame);
    }

    /// True when the back has delivered every stream that the front delivered meanwhile, and
    /// nothing waits.
    pub fn is_covered(&self, back_since: Instant, now: Instant) -> bool {
        let covered =
            |slot: &Slot| !slot.front_spoke || (slot.is_bridged && slot.back_first.is_some());
        // What was under way when the back opened may have gone to the front alone.
        let counts = |at: Instant| at.saturating_duration_since(back_since) > ACCOUNT_LAG_MAX / 2;
        let waits = |at: Instant| now.saturating_duration_since(at) <= ACCOUNT_LAG_MAX;
        let missing = self.missing.iter().any(|&(_, at)| counts(at) || waits(at));
        self.held.is_empty() && !missing && self.slots.iter().all(covered)
    }
}

fn identify(ages: &Ages, frame: &[u8]) -> Option<(usize, u64)> {
    let (place, text) = ages.slot_of(frame)?;
    Some((place, ages.key_of(place, text)?))
}

/// A hash of a frame without its time of sending, in which two connections may differ.
fn content_of(frame: &[u8]) -> u64 {
    use xxhash_rust::xxh3::xxh3_64;
    const TIME: &[u8] = b"\"E\":";
    let Some(at) = frame.windows(TIME.len()).position(|window| window == TIME) else {
        return xxh3_64(frame);
    };
    let after = &frame[at + TIME.len()..];
    let digits = after.iter().take_while(|byte| byte.is_ascii_digit() || **byte == b' ').count();
    xxh3_64(&frame[..at]).rotate_left(1) ^ xxh3_64(&after[digits..])
}
