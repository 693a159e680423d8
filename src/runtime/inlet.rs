//! The feed stage with the order venue beside it: every input goes in here, every order that leaves
//! execution comes back here. Live loops and backtests share it.

use super::clock::CycleProbe;
use crate::base::event::{Event, Kind};
use crate::base::hop::{Hop, Stamp};
use crate::base::ids::InstrumentId;
use crate::base::time::Nanos;
use crate::engine::{Crossing, FeedStage, Halt, Probe, With};
use crate::execution::RequestText;
use crate::execution::reconcile::Reconciler;
use crate::venue::desk::OrderDesk;
use crate::venue::paper::PaperVenue;
use crate::venue::ports::{EntryPort, Now};
use crate::venue::watch::VenueWatch;
use rtrb::Consumer;

/// Where orders go. What comes back from either enters the river through the feed.
pub enum OrderVenue<E> {
    /// Filled on paper against the market as it is seen: paper trading and backtests.
    Paper(Box<PaperVenue>),
    /// Sent to the venue.
    Desk {
        /// Its connections.
        desk: Box<OrderDesk<E>>,
        /// The signed texts, one before each order or cancel.
        texts: Consumer<RequestText>,
        /// What finds out the truth there.
        reconciler: Box<Reconciler>,
    },
}

/// See the head of this file. `E` enters orders at a venue, `P` times the stages.
pub struct Inlet<E, P = CycleProbe> {
    /// The first stage.
    pub feed: FeedStage,
    /// Where orders go.
    pub venue: OrderVenue<E>,
    /// What execution let go.
    pub orders: Consumer<Crossing<Event>>,
    /// Books that inference asks to have synchronised anew.
    pub lost_books: Consumer<InstrumentId>,
    /// Watches the venue and our account there.
    pub watch: VenueWatch,
    /// This thread's latency probe.
    pub probe: P,
}

impl<E: EntryPort> OrderVenue<E> {
    /// Takes in a numbered input.
    fn hear(&mut self, event: &Event) {
        match self {
            Self::Paper(paper) => paper.on_market(event),
            Self::Desk { desk, reconciler, .. } => {
                desk.hear(event);
                reconciler.hear(event);
            }
        }
    }

    /// Takes an order or cancel that leaves at `at`, handed over at `sent`.
    fn take(&mut self, request: &Event, at: Nanos, sent: Stamp, now: Option<Now>) {
        let cancel = request.kind() == Some(Kind::CancelApproved);
        match self {
            Self::Paper(paper) if cancel => paper.cancel(request, at),
            Self::Paper(paper) => paper.submit(request, at),
            Self::Desk { desk, texts, reconciler, .. } => {
                let now = now.expect("where orders go to a venue, time is real");
                let text = texts.pop().expect("a request's text is on its ring before the request");
                reconciler.hear_request(request);
                desk.submit(request, &text, now, sent);
            }
        }
    }

    /// When a report is next due, or something that makes one.
    pub fn next_due(&self) -> Option<Nanos> {
        match self {
            Self::Paper(paper) => paper.next_due(),
            Self::Desk { desk, .. } => desk.has_report().then_some(Nanos(i64::MIN)),
        }
    }

    /// The next report due at `now`, stamped with its receipt.
    pub fn poll(&mut self, now: Nanos) -> Option<Event> {
        match self {
            Self::Paper(paper) => paper.poll(now),
            Self::Desk { desk, .. } => {
                desk.next_report().map(|report| Event { ts_recv: now.0, ..report })
            }
        }
    }

    /// The desk, where orders are sent to the venue.
    pub fn desk_mut(&mut self) -> Option<&mut OrderDesk<E>> {
        match self {
            Self::Paper(_) => None,
            Self::Desk { desk, .. } => Some(desk),
        }
    }

    /// What finds out the truth at the venue, where orders are sent there.
    pub fn reconciler_mut(&mut self) -> Option<&mut Reconciler> {
        match self {
            Self::Paper(_) => None,
            Self::Desk { reconciler, .. } => Some(reconciler),
        }
    }
}

impl<E: EntryPort, P: Probe> Inlet<E, P> {
    /// Turns the order desk, where there is one; the number of requests that ended.
    pub fn turn_desk(&mut self, now: Now) -> usize {
        let OrderVenue::Desk { desk, .. } = &mut self.venue else { return 0 };
        let probe = &mut self.probe;
        desk.poll(now, &mut |seq, sent| {
            let answered = probe.stamp();
            probe.record(Hop::Wire, seq, sent, answered);
        })
    }

    /// What waits on the ring from execution, and how much that holds.
    pub fn ring(&self) -> (usize, usize) {
        (self.orders.slots(), self.orders.buffer().capacity())
    }

    /// One call into the feed. The order venue sees every numbered input after it has flowed on,
    /// and so does `watch`.
    ///
    /// # Errors
    /// [`Halt`] when trading must stop.
    pub fn call(
        &mut self,
        watch: &mut dyn FnMut(&Event),
        call: impl FnOnce(&mut FeedStage, &mut With<'_, P>) -> Result<(), Halt>,
    ) -> Result<(), Halt> {
        let (venue, watching) = (&mut self.venue, &mut self.watch);
        let mut seen = |event: &Event| {
            venue.hear(event);
            watching.hear(event);
            watch(event);
        };
        call(&mut self.feed, &mut With { probe: &mut self.probe, watch: &mut seen })
    }

    /// Takes what execution let go: requests to the venue, findings into the river. `now` is the
    /// time the requests leave; `None` takes the time of the input that caused each.
    ///
    /// # Errors
    /// [`Halt`] when trading must stop.
    pub fn settle(&mut self, now: Option<Now>) -> Result<usize, Halt> {
        let sent_at = now.map(|now| now.wall);
        let mut taken = 0;
        while let Ok(Crossing { message, .. }) = self.orders.pop() {
            taken += 1;
            let at = sent_at.unwrap_or(message.now()).max(message.now());
            match message.kind() {
                Some(Kind::OrderApproved | Kind::CancelApproved) => {
                    let sent = self.probe.stamp();
                    self.venue.take(&message, at, sent, now);
                }
                _ => self.call(&mut |_| {}, |feed, with| feed.on_event(message, at, with))?,
            }
        }
        while let Ok(instrument) = self.lost_books.pop() {
            // Not before the newest input: `None` is the past, which the feed corrects.
            let at = sent_at.unwrap_or(Nanos(i64::MIN));
            self.call(&mut |_| {}, |feed, with| feed.on_lost_book(instrument, at, with))?;
        }
        Ok(taken)
    }

    /// Feeds the reports that are due at `now` into the river.
    ///
    /// # Errors
    /// [`Halt`] when trading must stop.
    pub fn take_reports(&mut self, now: Nanos) -> Result<usize, Halt> {
        let mut taken = 0;
        while let Some(report) = self.venue.poll(now) {
            taken += 1;
            let at = report.now();
            self.call(&mut |_| {}, |feed, with| feed.on_event(report, at, with))?;
        }
        Ok(taken)
    }
}
