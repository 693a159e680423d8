//! The desk behind a fence, over a way to the venue that takes everything.

use super::OrderDesk;
use crate::base::event::{Command, Event, Kind, Order, OrderReport};
use crate::base::fence::Fence;
use crate::base::hop::Stamp;
use crate::base::{InstrumentId, Nanos, OrderType, Purpose, Reason};
use crate::execution::{RequestKind, RequestText};
use crate::risk::{Origin, Verb};
use crate::venue::budget::{Budget, RateLimits};
use crate::venue::ports::{Ended, EntryPort, Now};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A way that is free or not, and takes what comes.
#[derive(Default)]
struct Way {
    busy: bool,
    sent: Vec<RequestKind>,
}

impl EntryPort for Way {
    fn is_ready(&mut self, _: Instant) -> bool {
        !self.busy
    }

    fn send(&mut self, _: u64, kind: RequestKind, _: &RequestText, _: Instant) {
        self.sent.push(kind);
    }

    fn poll(&mut self, _: Instant, _: &mut dyn FnMut(u64, Ended<'_>)) -> usize {
        0
    }

    fn is_up(&self) -> bool {
        true
    }

    fn last_error(&self) -> Option<&str> {
        None
    }
}

const T0_MS: i64 = 1_700_000_000_000;

struct Bench {
    desk: OrderDesk<Way>,
    began: Instant,
    next: u64,
}

impl Bench {
    /// A desk whose lease ends at 5 s; half a second of it is kept.
    fn new() -> Self {
        let began = Instant::now();
        let fence = Arc::new(Fence::new(Duration::from_millis(500), began));
        fence.extend(Nanos::from_millis(T0_MS + 5_000), began + Duration::from_secs(5));
        let budget = Arc::new(Budget::new(RateLimits::default()));
        let mut desk = OrderDesk::new(Way::default(), budget);
        desk.stand_behind(fence);
        desk.open();
        Self { desk, began, next: 1 }
    }

    fn now(&self, ms: u32) -> Now {
        let wall = Nanos::from_millis(T0_MS + i64::from(ms));
        Now { mono: self.began + Duration::from_millis(u64::from(ms)), wall }
    }

    /// Submits at `ms` what was signed at `signed_ms`.
    fn submit(&mut self, kind: Kind, purpose: Purpose, signed_ms: u32, ms: u32) {
        let stop = purpose == Purpose::Protect;
        let order_type = if stop { OrderType::StopMarket } else { OrderType::Limit };
        let body = Order {
            client_id: self.next,
            qty: 5,
            px: 7,
            purpose: purpose as u8,
            order_type: order_type as u8,
            ..Order::default()
        };
        self.next += 1;
        let event = Event::new(kind, InstrumentId(0), &body);
        let event = Event { ts_recv: self.now(signed_ms).wall.0, ..event };
        let text = RequestText::new(b"x");
        self.desk.submit(&event, &text, self.now(ms), Stamp::default());
    }

    fn sent(&mut self) -> usize {
        std::mem::take(&mut self.desk.entry.sent).len()
    }

    fn refused(&mut self) -> Vec<u16> {
        std::iter::from_fn(|| self.desk.next_report())
            .map(|report| report.body::<OrderReport>().reason)
            .collect()
    }

    fn command(&mut self, verb: Verb, origin: Origin) {
        let body = Command { verb: verb as u32, origin: origin as u32, ..Command::default() };
        self.desk.hear(&Event::new(Kind::Command, InstrumentId::NONE, &body));
    }
}

const FENCED: u16 = Reason::Fenced as u16;

#[test]
fn fault_h01_past_the_lease_no_entry_exit_stop_or_cancel_leaves_and_each_is_reported() {
    let everything = [
        (Kind::OrderApproved, Purpose::Entry),
        (Kind::OrderApproved, Purpose::ExitStop),
        (Kind::OrderApproved, Purpose::Flatten),
        (Kind::OrderApproved, Purpose::Protect),
        (Kind::CancelApproved, Purpose::Entry),
        (Kind::CancelApproved, Purpose::Protect),
    ];
    for (kind, purpose) in everything {
        let mut bench = Bench::new();
        bench.submit(kind, purpose, 4_499, 4_499);
        assert_eq!((bench.sent(), bench.refused()), (1, vec![]), "{kind:?} {purpose:?}");
        bench.submit(kind, purpose, 4_500, 4_500);
        assert_eq!((bench.sent(), bench.refused()), (0, vec![FENCED]), "{kind:?} {purpose:?}");
        assert!(bench.desk.is_kept_back());
    }
}

#[test]
fn fault_h04_a_request_that_was_approved_before_a_pause_does_not_leave_after_it() {
    let mut bench = Bench::new();
    bench.desk.entry.busy = true;
    bench.submit(Kind::OrderApproved, Purpose::Entry, 4_000, 4_000);
    assert_eq!((bench.sent(), bench.refused()), (0, vec![]), "it waits for a way");
    bench.desk.entry.busy = false;
    // Within the longest wait, so that nothing else refuses it.
    bench.desk.poll(bench.now(4_600), &mut |_, _| {});
    assert_eq!((bench.sent(), bench.refused()), (0, vec![FENCED]));
    // Signed early and handed over late: the later of the two counts.
    let mut bench = Bench::new();
    bench.submit(Kind::OrderApproved, Purpose::Entry, 100, 60_000);
    assert_eq!((bench.sent(), bench.refused()), (0, vec![FENCED]));
}

#[test]
fn fault_h06_past_the_lease_only_what_a_person_orders_closed_leaves() {
    for origin in [Origin::Operator, Origin::Http, Origin::Telegram, Origin::Signal] {
        let mut bench = Bench::new();
        bench.submit(Kind::OrderApproved, Purpose::Entry, 9_000, 9_000);
        assert!(bench.desk.is_kept_back());
        bench.command(Verb::KillImmediate, origin);
        assert!(!bench.desk.is_kept_back(), "{origin:?}");
        bench.refused();
        bench.submit(Kind::OrderApproved, Purpose::Flatten, 9_001, 9_001);
        assert_eq!((bench.sent(), bench.refused()), (1, vec![]), "{origin:?}");
        bench.submit(Kind::OrderApproved, Purpose::Entry, 9_002, 9_002);
        bench.submit(Kind::OrderApproved, Purpose::ExitTime, 9_002, 9_002);
        assert_eq!((bench.sent(), bench.refused()), (0, vec![FENCED, FENCED]));
    }
    for (verb, origin) in [
        (Verb::KillImmediate, Origin::Breaker),
        (Verb::KillGraceful, Origin::DeadMan),
        (Verb::KillGraceful, Origin::Operator),
        (Verb::Pause, Origin::Operator),
    ] {
        let mut bench = Bench::new();
        bench.submit(Kind::OrderApproved, Purpose::Entry, 9_000, 9_000);
        bench.command(verb, origin);
        assert!(bench.desk.is_kept_back(), "{verb:?} {origin:?}");
        bench.refused();
        bench.submit(Kind::OrderApproved, Purpose::Flatten, 9_001, 9_001);
        assert_eq!((bench.sent(), bench.refused()), (0, vec![FENCED]));
    }
}

#[test]
fn without_a_group_there_is_no_fence() {
    let budget = Arc::new(Budget::new(RateLimits::default()));
    let mut bench = Bench { desk: OrderDesk::new(Way::default(), budget), ..Bench::new() };
    bench.desk.open();
    bench.submit(Kind::OrderApproved, Purpose::Entry, 9_000, 9_000);
    assert_eq!((bench.sent(), bench.refused()), (1, vec![]));
    assert!(!bench.desk.is_kept_back());
}
