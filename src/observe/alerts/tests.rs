//! Grouping, rates, escalation, retries: with a time that is handed in.

use super::dispatch::{Dispatcher, Plan, Taken, Undelivered};
use super::{Alert, Class, Severity};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A dispatcher and its clock.
struct World {
    dispatcher: Dispatcher,
    now: Instant,
}

fn plan(ways: usize) -> Plan {
    Plan {
        ways,
        severity_max: Severity::P2,
        escalate_after: Duration::from_secs(3),
        queue: 100,
        repeat: Duration::from_secs(60),
        per_minute_max: 20,
    }
}

fn alert(severity: Severity, key: &str) -> Alert {
    Alert::new(severity, Class::Venue, key, &format!("{key} happened"), (7, 0))
}

impl World {
    fn new(plan: Plan) -> Self {
        Self { dispatcher: Dispatcher::new(plan), now: Instant::now() }
    }

    fn pass(&mut self, millis: u64) {
        self.now += Duration::from_millis(millis);
        self.dispatcher.turn(self.now);
    }

    fn take(&mut self, severity: Severity, key: &str) -> Taken {
        self.dispatcher.take(alert(severity, key), self.now)
    }

    /// The next message of a channel, delivered at once.
    fn deliver(&mut self, way: usize) -> Option<String> {
        let message = self.dispatcher.next(way, self.now)?;
        self.dispatcher.outcome(way, &Ok(()), self.now);
        Some(message.text)
    }

    fn fail(&mut self, way: usize, retry_after: Option<u64>) -> bool {
        if self.dispatcher.next(way, self.now).is_none() {
            return false;
        }
        let retry_after = retry_after.map(Duration::from_secs);
        let failure = Undelivered { what: "no".to_owned(), retry_after };
        self.dispatcher.outcome(way, &Err(failure), self.now);
        true
    }
}

#[test]
fn the_same_alert_again_is_counted_and_told_once_a_minute() {
    let mut world = World::new(plan(1));
    assert_eq!(world.take(Severity::P1, "a"), Taken::Waiting);
    for _ in 0..500 {
        assert_eq!(world.take(Severity::P1, "a"), Taken::Held);
    }
    assert!(world.deliver(0).unwrap().contains("a happened"));
    world.pass(59_000);
    assert!(world.deliver(0).is_none(), "nothing before the minute is over");
    world.pass(1_000);
    let summary = world.deliver(0).unwrap();
    assert!(
        summary.contains("500 more alerts") && summary.contains("500 × a happened"),
        "{summary}"
    );
    assert!(world.dispatcher.is_idle());
    assert_eq!(world.take(Severity::P1, "a"), Taken::Waiting, "after the time it is news again");
}

#[test]
fn an_alert_that_the_first_channel_does_not_deliver_goes_to_the_second_in_time() {
    let mut world = World::new(plan(2));
    world.take(Severity::P1, "a");
    assert!(world.fail(0, None));
    assert!(world.deliver(1).is_none(), "the first has its time");
    let mut waited = 0;
    let told = loop {
        world.pass(100);
        waited += 100;
        world.fail(0, None);
        if let Some(text) = world.deliver(1) {
            break text;
        }
    };
    assert!(waited <= 5_000, "{waited} ms");
    assert!(told.contains("a happened") && told.contains("[escalated]"));
    assert_eq!(world.dispatcher.figures().escalated, 1);
    world.pass(60_000);
    assert!(world.deliver(0).unwrap().contains("a happened"), "the first tells it when it can");
    assert!(world.dispatcher.is_idle());
}

#[test]
fn p0_goes_to_every_channel_at_once_and_waits_for_no_rate() {
    let mut world = World::new(plan(2));
    world.take(Severity::P2, "quiet");
    assert!(world.deliver(0).is_some());
    world.take(Severity::P0, "loud");
    assert!(world.deliver(0).unwrap().contains("loud happened"), "within the same second");
    assert!(world.deliver(1).unwrap().contains("loud happened"));
    world.take(Severity::P2, "later");
    assert!(world.deliver(0).is_none(), "one message a second for all others");
    world.pass(1_000);
    assert!(world.deliver(0).unwrap().contains("later happened"));
}

#[test]
fn a_named_wait_is_obeyed_even_by_p0_and_nothing_is_lost_over_it() {
    let mut world = World::new(plan(1));
    world.take(Severity::P0, "a");
    assert!(world.fail(0, Some(37)));
    for _ in 0..36 {
        world.pass(1_000);
        assert!(!world.fail(0, None), "asked before its time");
    }
    world.take(Severity::P1, "b");
    world.pass(1_000);
    let text = world.deliver(0).unwrap();
    assert!(text.contains("a happened") && text.contains("b happened"), "{text}");
}

#[test]
fn an_outage_of_an_hour_is_survived_with_bounded_attempts() {
    let mut world = World::new(plan(1));
    world.take(Severity::P1, "a");
    let mut attempts = 0;
    for _ in 0..36_000 {
        world.pass(100);
        attempts += u32::from(world.fail(0, None));
    }
    assert!((100..=140).contains(&attempts), "{attempts} attempts in an hour");
    world.pass(30_000);
    assert!(world.deliver(0).unwrap().contains("a happened"));
    assert!(world.dispatcher.is_idle());
}

#[test]
fn a_flood_of_ten_thousand_is_bounded_in_room_and_in_messages_and_p0_gets_through() {
    let mut world = World::new(Plan { per_minute_max: 60, ..plan(1) });
    let (mut messages, mut told) = (0, String::new());
    for i in 0..10_000 {
        world.take(Severity::P2, &format!("key {i}"));
        if i == 5_000 {
            world.take(Severity::P0, "the one that counts");
        }
        if i % 100 == 0 {
            world.pass(100);
            if let Some(text) = world.deliver(0) {
                assert!(text.len() < 4_096, "a message fits the Bot API");
                messages += 1;
                told.push_str(&text);
            }
        }
        assert!(world.dispatcher.figures().waiting <= 100);
    }
    assert!(messages <= 12, "{messages} messages in ten seconds");
    assert!(told.contains("the one that counts happened"));
    let figures = world.dispatcher.figures();
    assert_eq!(figures.taken.iter().sum::<u64>(), 10_001);
    assert_eq!(figures.held, 10_000 - 60, "counted, every one");
}

#[test]
fn a_full_queue_drops_the_oldest_of_the_least_severe_and_counts_it() {
    let mut world = World::new(Plan { queue: 16, per_minute_max: 60, ..plan(1) });
    for i in 0..16 {
        assert_eq!(world.take(Severity::P2, &format!("old {i}")), Taken::Waiting);
    }
    assert_eq!(world.take(Severity::P1, "new"), Taken::Waiting);
    for i in 0..15 {
        assert_eq!(world.take(Severity::P0, &format!("worst {i}")), Taken::Waiting);
    }
    assert_eq!(world.take(Severity::P2, "least"), Taken::Dropped);
    let text = world.deliver(0).unwrap();
    assert!(text.contains("new happened") && !text.contains("old"), "{text}");
    assert_eq!(world.dispatcher.figures().dropped, 17);
}

/// A channel in simulated time: how the message it carries ends, and when.
struct Carrier {
    ends: Option<(u64, Result<(), Undelivered>, Vec<String>)>,
}

/// Alerts over ten minutes of two channels; the first fails by `draw`, the second answers within
/// 400 ms. How long each took until one channel had told it, in milliseconds.
fn waits(rng: &mut ChaCha8Rng) -> Vec<u64> {
    let mut world = World::new(Plan { escalate_after: Duration::from_millis(3_500), ..plan(2) });
    let (mut taken, mut told) = (BTreeMap::new(), BTreeMap::new());
    let mut carriers = [Carrier { ends: None }, Carrier { ends: None }];
    for now in (0..600_000_u64).step_by(20) {
        world.pass(20);
        if rng.random_bool(0.002) {
            let severity = [Severity::P0, Severity::P1, Severity::P2][rng.random_range(0..3)];
            let key = format!("alert-{now}");
            if world.take(severity, &key) == Taken::Waiting {
                taken.insert(key, now);
            }
        }
        for (way, carrier) in carriers.iter_mut().enumerate() {
            if let Some((_, result, keys)) = carrier.ends.take_if(|(at, ..)| *at <= now) {
                world.dispatcher.outcome(way, &result, world.now);
                let arrived = if result.is_ok() { keys } else { Vec::new() };
                arrived.into_iter().for_each(|key| _ = told.entry(key).or_insert(now));
            }
            if carrier.ends.is_none()
                && let Some(message) = world.dispatcher.next(way, world.now)
            {
                let named = [None, Some(1), Some(5), Some(600)][rng.random_range(0..4)];
                let failed = Undelivered {
                    what: "no".to_owned(),
                    retry_after: named.map(Duration::from_secs),
                };
                // Refused at once, or never answered; the other channel takes it.
                let (lasts, result) = match way {
                    0 => ([30, 4_000][rng.random_range(0..2)], Err(failed)),
                    _ => (rng.random_range(20..400), Ok(())),
                };
                let keys = message.alerts.iter().map(|alert| alert.key.clone()).collect();
                carrier.ends = Some((now + lasts, result, keys));
            }
        }
    }
    let late = |(key, at): (&String, &u64)| told.get(key).map_or(600_000, |end| end - at);
    // What was taken at the very end had no time.
    taken.iter().filter(|(_, at)| **at < 594_000).map(late).collect()
}

#[test]
fn every_alert_is_told_within_five_seconds_whatever_the_first_channel_does() {
    for seed in 0..40 {
        let waits = waits(&mut ChaCha8Rng::seed_from_u64(seed));
        assert!(waits.len() > 20, "{}", waits.len());
        let longest = waits.iter().max().unwrap();
        assert!(*longest <= 5_000, "seed {seed}: {longest} ms");
    }
}

#[test]
fn alone_a_channel_tells_what_is_urgent_within_five_seconds_of_its_outage_s_end() {
    let mut world = World::new(plan(1));
    world.take(Severity::P0, "a");
    for _ in 0..600 {
        world.fail(0, None);
        world.pass(1_000);
    }
    let mut waited = 0;
    while world.deliver(0).is_none() {
        world.pass(100);
        waited += 100;
        assert!(waited <= 5_000, "{waited} ms");
    }
}

#[test]
fn what_is_less_severe_than_wanted_is_not_sent() {
    let mut world = World::new(plan(1));
    assert_eq!(world.take(Severity::P3, "a"), Taken::Below);
    assert!(world.deliver(0).is_none());
    world.dispatcher.take_always(alert(Severity::P3, "heartbeat"), world.now);
    assert!(world.deliver(0).is_some());
}

#[test]
fn what_stands_in_an_alert_cannot_break_a_line_or_grow_without_end() {
    let made = Alert::new(Severity::P1, Class::Venue, "k", "a\r\x1b[31mb\u{0}c", (0, 0));
    assert_eq!(made.text, "a  [31mb c");
    let long = Alert::new(Severity::P1, Class::Venue, "k", &"ü".repeat(5_000), (0, 0));
    assert_eq!(long.text.len(), super::TEXT_BYTES_MAX);
}

#[test]
fn a_sign_alerts_when_it_begins_and_says_when_it_is_over() {
    use super::signs::Signs;
    use crate::observe::controls::ControlView;
    use crate::observe::snapshot::{NotReady, SessionView, Snapshot, ThreadView};
    let session = SessionView { uptime_seconds: 9.0, ..SessionView::default() };
    let well = Snapshot { session, ..Snapshot::default() };
    let bad = Snapshot {
        threads: vec![ThreadView { name: "risk", beating: false, ..ThreadView::default() }],
        controls: vec![ControlView {
            name: "day_loss".to_owned(),
            dead: true,
            ..ControlView::default()
        }],
        not_ready: vec![NotReady::JournalBehind, NotReady::ClockOff],
        ..well.clone()
    };
    let mut signs = Signs::default();
    let second = Duration::from_secs(1);
    assert_eq!(signs.look(&well, second, false, 0), []);
    let begun = signs.look(&bad, second, true, 0);
    let found = |word: &str| begun.iter().find(|alert| alert.text.contains(word)).unwrap().severity;
    assert_eq!(found("thread risk has stopped"), Severity::P0);
    assert_eq!(found("the journal cannot be written"), Severity::P0);
    assert_eq!(found("disk is nearly full"), Severity::P1);
    assert_eq!(found("the clock is off"), Severity::P1);
    assert_eq!(found("control day_loss was not evaluated for a day"), Severity::P1);
    assert_eq!(signs.look(&bad, second, true, 0), [], "told once");
    let over = signs.look(&well, second, false, 0);
    assert_eq!(over.len(), begun.len());
    assert!(over.iter().all(|alert| alert.text.ends_with(": over")));
    let stale = signs.look(&well, 6 * second, false, 0);
    assert!(stale[0].text.contains("the observer has stopped"), "{stale:?}");
    let young = Snapshot::default();
    assert_eq!(Signs::default().look(&young, 60 * second, false, 0), [], "nothing has begun yet");
}

#[test]
fn records_alert_by_what_they_say() {
    use super::rules::Rules;
    use crate::base::event::{Denied, OrderReport, SizeChange, StreamStatus, VenueStatus, carries};
    use crate::base::{Event, InstrumentId, Kind, Reason};
    let mut rules = Rules::new(30);
    let mut severity = |event: Event| rules.on_event(&event).map(|alert| alert.severity);
    let none = InstrumentId::NONE;
    let venue = |reason: Reason| {
        let body = VenueStatus { reason: reason as u16, ..VenueStatus::default() };
        Event::new(Kind::VenueStatus, none, &body)
    };
    let stream = |carries| {
        let body = StreamStatus { connection: 3, carries, ..StreamStatus::default() };
        Event::new(Kind::StreamStatus, none, &body)
    };
    let size = SizeChange { percent: 50, ..SizeChange::default() };
    assert_eq!(severity(Event::new(Kind::SizeChange, none, &size)), Some(Severity::P2));
    assert_eq!(severity(venue(Reason::MarginCall)), Some(Severity::P0));
    assert_eq!(severity(venue(Reason::Banned)), Some(Severity::P0));
    assert_eq!(severity(venue(Reason::PositionMismatch)), Some(Severity::P1));
    assert_eq!(severity(venue(Reason::RateLimited)), Some(Severity::P2));
    assert_eq!(severity(stream(carries::ACCOUNT)), Some(Severity::P1));
    assert_eq!(severity(stream(carries::DEPTH)), Some(Severity::P2));
    let unknown = Event::new(Kind::OrderUnknown, InstrumentId(0), &OrderReport::default());
    assert_eq!(severity(unknown), Some(Severity::P1));
    // Denials alert at their rate, once a minute.
    let denied = |ts_recv| Event {
        ts_recv,
        ..Event::new(Kind::Denied, InstrumentId(0), &Denied::default())
    };
    let told = |second: i64, severity: &mut dyn FnMut(Event) -> Option<Severity>| {
        (0..100).filter(|_| severity(denied(second * 1_000_000_000)).is_some()).count()
    };
    assert_eq!(told(0, &mut severity), 1);
    assert_eq!(told(61, &mut severity), 1);
    assert_eq!((0..29).filter_map(|_| severity(denied(120_000_000_000))).count(), 0);
}

#[test]
fn what_every_look_at_a_venue_finds_as_it_should_be_alerts_nobody() {
    use super::rules::Rules;
    use crate::base::event::{VenueStatus, flags};
    use crate::base::{Event, InstrumentId, Kind, Reason};
    let mut rules = Rules::new(30);
    let mut told = |reason: Reason, venue_code, bits| {
        let (told, held) = (-199_708, 1_486_139);
        let reason = reason as u16;
        let body = VenueStatus { reason, venue_code, told, held, ..VenueStatus::default() };
        let event = Event::new(Kind::VenueStatus, InstrumentId::NONE, &body).with_flags(bits);
        rules.on_event(&event).map(|alert| (alert.severity, alert.text))
    };
    assert_eq!(told(Reason::ClockOff, 0, 0), None, "a fifth of a millisecond");
    let stepped = told(Reason::ClockOff, 1, 0).expect("somebody set the clock");
    assert_eq!(stepped.0, Severity::P2);
    assert_eq!(told(Reason::AccountMode, 0, flags::ON), None, "one-way, as it has to be");
    assert_eq!(told(Reason::AccountMode, 2, 0).expect("hedged").0, Severity::P1);
    // The end of a trouble is no trouble.
    let (severity, text) = told(Reason::Banned, 0, flags::ON).expect("it is worth knowing");
    assert_eq!(severity, Severity::P3);
    assert!(text.contains("Banned is over"), "{text}");
}
