//! Which alert goes where and when. Pure: the time is handed in, messages are handed out.
//!
//! ```text
//!  take ─► same again?  ──yes──► counted ──┐                once a minute
//!        ─► minute used up? ──► counted ───┴──────────────► one summary
//!        ─► queue full? ─────► least severe and oldest dropped, counted
//!        ─► waiting ─► first channel ── delivered ─► done
//!                         │ not within escalate_after, or P0
//!                         └──────────► all other channels as well
//! ```
//! A channel carries one message at a time, which holds all that waits for it, and begins at most
//! one a second; P0 does not wait for the second. A failed message is tried again after a wait that
//! doubles, and never before the moment that the other side named.

use super::{Alert, Class, Severity};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt::Write;
use std::time::{Duration, Instant};

/// Between two messages of one channel.
const MESSAGE_EVERY: Duration = Duration::from_secs(1);
/// What the per-minute count and the summary count over.
const MINUTE: Duration = Duration::from_secs(60);
/// First wait after a failed message; it doubles with each further one.
const RETRY_FIRST: Duration = Duration::from_millis(500);
/// Longest wait while an alert of severity P0 waits.
const RETRY_P0_MAX: Duration = Duration::from_secs(4);
/// Longest wait otherwise.
const RETRY_MAX: Duration = Duration::from_secs(30);
/// Longest wait that another side may ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);
/// Alerts told one by one in a message; of the others it tells how many there are.
const LINES_MAX: usize = 20;
/// Longest message in bytes; the Bot API takes 4096 characters.
const MESSAGE_BYTES_MAX: usize = 3_500;
/// Keys remembered at once. Beyond it the oldest go, and may be sent again.
const KEYS_MAX: usize = 8_192;
/// Keys named in a minute's summary.
const SUMMARY_LINES_MAX: usize = 10;
/// Channels a set of bits holds.
const WAYS_MAX: usize = 8;

/// What a dispatcher goes by.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Channels, the first one first; at most 8.
    pub ways: usize,
    /// The least severe alert that is sent.
    pub severity_max: Severity,
    /// When the other channels are used as well.
    pub escalate_after: Duration,
    /// Alerts waiting at once.
    pub queue: usize,
    /// How long the same alert again is only counted.
    pub repeat: Duration,
    /// Alerts below P0 sent on their own in one minute.
    pub per_minute_max: u32,
}

/// What one channel is asked to carry.
#[derive(Clone, Debug)]
pub struct Message {
    /// Counts the messages of all channels, from 1.
    pub number: u64,
    /// The most severe of its alerts.
    pub severity: Severity,
    /// What to show.
    pub text: String,
    /// The alerts told one by one.
    pub alerts: Vec<Alert>,
    /// How many more there are.
    pub more: usize,
}

/// Why a message was not delivered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Undelivered {
    /// In words, without secrets.
    pub what: String,
    /// The other side named this wait.
    pub retry_after: Option<Duration>,
}

/// What became of an alert that was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// Waits for delivery.
    Waiting,
    /// Counted for the minute's summary.
    Held,
    /// Less severe than what is sent.
    Below,
    /// No room: counted as dropped.
    Dropped,
}

/// Counts since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Alerts taken, by severity.
    pub taken: [u64; 4],
    /// Only counted for a summary.
    pub held: u64,
    /// Dropped because the queue was full.
    pub dropped: u64,
    /// Went to the other channels because the first was too slow.
    pub escalated: u64,
    /// Waiting now.
    pub waiting: usize,
    /// Messages delivered, and attempts that failed, by channel.
    pub ways: Vec<(u64, u64)>,
}

struct Waiting {
    id: u64,
    alert: Alert,
    since: Instant,
    /// Bits of channels that are to carry it, and that have.
    wanted: u8,
    done: u8,
    escalated: bool,
}

#[derive(Default)]
struct Way {
    in_flight: Vec<u64>,
    next_at: Option<Instant>,
    retry_at: Option<Instant>,
    failures: u32,
}

#[derive(Default)]
struct Minute {
    began: Option<Instant>,
    sent: u32,
    /// Held back, by key: how often, and its newest text.
    held: BTreeMap<String, (u64, String)>,
    /// Held back beyond the keys that are remembered.
    others: u64,
}

/// See the head of this file.
pub struct Dispatcher {
    plan: Plan,
    waiting: VecDeque<Waiting>,
    ways: Vec<Way>,
    seen: HashMap<String, Instant>,
    minute: Minute,
    next_id: u64,
    messages: u64,
    figures: Figures,
}

impl Dispatcher {
    /// Nothing waits.
    pub fn new(plan: Plan) -> Self {
        assert!(plan.ways <= WAYS_MAX, "a set of channels is a byte");
        let figures = Figures { ways: vec![(0, 0); plan.ways], ..Figures::default() };
        Self {
            plan,
            waiting: VecDeque::new(),
            ways: (0..plan.ways).map(|_| Way::default()).collect(),
            seen: HashMap::new(),
            minute: Minute::default(),
            next_id: 0,
            messages: 0,
            figures,
        }
    }

    /// Takes an alert.
    pub fn take(&mut self, alert: Alert, now: Instant) -> Taken {
        self.figures.taken[alert.severity as usize] += 1;
        if alert.severity > self.plan.severity_max {
            return Taken::Below;
        }
        self.begin_minute(now);
        let again = self.seen.get(&alert.key).is_some_and(|at| now < *at + self.plan.repeat);
        let used_up = alert.severity > Severity::P0 && self.minute.sent >= self.plan.per_minute_max;
        if again || used_up {
            self.hold(alert);
            return Taken::Held;
        }
        self.remember(&alert.key, now);
        if alert.severity > Severity::P0 {
            self.minute.sent += 1;
        }
        self.wait(alert, now)
    }

    /// Takes what is sent whatever its severity and however many went before: a heartbeat, a
    /// report.
    pub fn take_always(&mut self, alert: Alert, now: Instant) -> Taken {
        self.figures.taken[alert.severity as usize] += 1;
        self.wait(alert, now)
    }

    /// Lets time pass: escalates what waits for too long, and ends a minute with its summary, which
    /// is given back for the page.
    pub fn turn(&mut self, now: Instant) -> Option<Alert> {
        let all = self.all_ways();
        for waiting in &mut self.waiting {
            let late = now >= waiting.since + self.plan.escalate_after;
            if late && waiting.done == 0 && waiting.wanted != all {
                waiting.wanted = all;
                waiting.escalated = true;
                self.figures.escalated += 1;
            }
        }
        let over = self.minute.began.is_some_and(|began| now >= began + MINUTE);
        if !over {
            return None;
        }
        let minute = std::mem::take(&mut self.minute);
        let summary = summary_of(&minute)?;
        self.wait(summary.clone(), now);
        Some(summary)
    }

    /// The next message of channel `way`, if it is free and may begin one.
    pub fn next(&mut self, way: usize, now: Instant) -> Option<Message> {
        let bit = 1_u8 << way;
        let state = &self.ways[way];
        if !state.in_flight.is_empty() || state.retry_at.is_some_and(|at| now < at) {
            return None;
        }
        let mut ready: Vec<&Waiting> =
            self.waiting.iter().filter(|w| w.wanted & bit != 0 && w.done & bit == 0).collect();
        ready.sort_by_key(|waiting| (waiting.alert.severity, waiting.id));
        let severity = ready.first()?.alert.severity;
        if severity > Severity::P0 && state.next_at.is_some_and(|at| now < at) {
            return None;
        }
        // A picture travels with its own text.
        if ready[0].alert.picture.is_some() {
            ready.truncate(1);
        } else {
            ready.retain(|waiting| waiting.alert.picture.is_none());
        }
        let in_flight = ready.iter().map(|waiting| waiting.id).collect();
        let message = write(self.messages + 1, &ready);
        self.messages += 1;
        let state = &mut self.ways[way];
        state.in_flight = in_flight;
        state.next_at = Some(now + MESSAGE_EVERY);
        Some(message)
    }

    /// What became of the message that channel `way` carried. The time of delivery of each alert
    /// is what its wait is measured by.
    pub fn outcome(&mut self, way: usize, result: &Result<(), Undelivered>, now: Instant) {
        let bit = 1_u8 << way;
        let carried = std::mem::take(&mut self.ways[way].in_flight);
        match result {
            Ok(()) => {
                self.figures.ways[way].0 += 1;
                self.ways[way].failures = 0;
                self.ways[way].retry_at = None;
                for waiting in self.waiting.iter_mut().filter(|w| carried.contains(&w.id)) {
                    waiting.done |= bit;
                }
                self.waiting.retain(|waiting| waiting.done & waiting.wanted != waiting.wanted);
            }
            Err(undelivered) => {
                self.figures.ways[way].1 += 1;
                let urgent = self.waiting.iter().any(|w| {
                    w.alert.severity == Severity::P0 && w.wanted & bit != 0 && w.done & bit == 0
                });
                let longest = if urgent { RETRY_P0_MAX } else { RETRY_MAX };
                let state = &mut self.ways[way];
                let doubled = RETRY_FIRST.saturating_mul(1 << state.failures.min(16));
                state.failures = state.failures.saturating_add(1);
                let named = undelivered.retry_after.unwrap_or_default().min(RETRY_AFTER_MAX);
                state.retry_at = Some(now + doubled.min(longest).max(named));
            }
        }
    }

    /// True when nothing waits for any channel.
    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty()
    }

    /// True when every alert that waits has been delivered on some channel.
    pub fn is_told(&self) -> bool {
        self.waiting.iter().all(|waiting| waiting.done != 0)
    }

    /// Counts since the start.
    pub fn figures(&self) -> Figures {
        Figures { waiting: self.waiting.len(), ..self.figures.clone() }
    }

    fn all_ways(&self) -> u8 {
        ((1_u16 << self.plan.ways) - 1) as u8
    }

    fn begin_minute(&mut self, now: Instant) {
        self.minute.began.get_or_insert(now);
    }

    fn hold(&mut self, alert: Alert) {
        self.figures.held += 1;
        if let Some((count, text)) = self.minute.held.get_mut(&alert.key) {
            *count += 1;
            *text = alert.text;
        } else if self.minute.held.len() < KEYS_MAX {
            self.minute.held.insert(alert.key, (1, alert.text));
        } else {
            self.minute.others += 1;
        }
    }

    fn remember(&mut self, key: &str, now: Instant) {
        if self.seen.len() >= KEYS_MAX {
            let repeat = self.plan.repeat;
            self.seen.retain(|_, at| now < *at + repeat);
        }
        if self.seen.len() >= KEYS_MAX {
            self.seen.clear();
        }
        self.seen.insert(key.to_owned(), now);
    }

    fn wait(&mut self, alert: Alert, now: Instant) -> Taken {
        if self.plan.ways == 0 {
            return Taken::Below;
        }
        if self.waiting.len() >= self.plan.queue && !self.make_room(alert.severity) {
            self.figures.dropped += 1;
            return Taken::Dropped;
        }
        self.next_id += 1;
        let wanted = if alert.severity == Severity::P0 { self.all_ways() } else { 1 };
        self.waiting.push_back(Waiting {
            id: self.next_id,
            alert,
            since: now,
            wanted,
            done: 0,
            escalated: false,
        });
        Taken::Waiting
    }

    /// Drops the oldest of the least severe alerts, if none is more severe than `than`. What has
    /// been told on some channel goes first, whatever its severity.
    fn make_room(&mut self, than: Severity) -> bool {
        let told = self.waiting.iter().position(|waiting| waiting.done != 0);
        let least = || {
            let severities = self.waiting.iter().map(|waiting| waiting.alert.severity);
            let least = severities.max().filter(|least| *least >= than)?;
            self.waiting.iter().position(|waiting| waiting.alert.severity == least)
        };
        let Some(place) = told.or_else(least) else { return false };
        let gone = self.waiting.remove(place);
        if gone.is_some_and(|gone| gone.done == 0) {
            self.figures.dropped += 1;
        }
        true
    }
}

/// The message that tells these alerts, the most severe first.
fn write(number: u64, ready: &[&Waiting]) -> Message {
    let mut text = String::new();
    let mut alerts: Vec<Alert> = Vec::new();
    for waiting in ready {
        let line = waiting.alert.to_string();
        let full = alerts.len() >= LINES_MAX || text.len() + line.len() > MESSAGE_BYTES_MAX;
        if full && !alerts.is_empty() {
            break;
        }
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&line);
        if waiting.escalated {
            text.push_str(" [escalated]");
        }
        alerts.push(waiting.alert.clone());
    }
    let more = ready.len() - alerts.len();
    if more > 0 {
        let mut classes: BTreeMap<Class, usize> = BTreeMap::new();
        for waiting in &ready[alerts.len()..] {
            *classes.entry(waiting.alert.class).or_default() += 1;
        }
        let named: Vec<String> =
            classes.iter().map(|(class, count)| format!("{count} × {}", class.name())).collect();
        let _ = write!(text, "\nand {more} more: {}", named.join(", "));
    }
    let severity = ready.first().map_or(Severity::P3, |waiting| waiting.alert.severity);
    Message { number, severity, text, alerts, more }
}

/// What was held back in a minute; `None` when nothing was.
fn summary_of(minute: &Minute) -> Option<Alert> {
    let total: u64 = minute.held.values().map(|(count, _)| count).sum::<u64>() + minute.others;
    if total == 0 {
        return None;
    }
    let mut rows: Vec<_> = minute.held.iter().collect();
    rows.sort_by(|a, b| b.1.0.cmp(&a.1.0).then(a.0.cmp(b.0)));
    let mut text = format!("{total} more alerts in the last minute");
    for (_, (count, newest)) in rows.iter().take(SUMMARY_LINES_MAX) {
        let _ = write!(text, "; {count} × {newest}");
    }
    if rows.len() > SUMMARY_LINES_MAX || minute.others > 0 {
        text.push_str("; and others");
    }
    Some(Alert::new(Severity::P2, Class::Summary, "summary", &text, (0, super::wall_ns())))
}
