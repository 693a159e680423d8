//! The feed stage with a paper venue beside it: every input goes in here, every order that leaves
//! execution comes back here. Live loops and backtests share it.

use super::clock::CycleProbe;
use crate::base::event::{Event, Kind};
use crate::base::ids::InstrumentId;
use crate::base::time::Nanos;
use crate::engine::{Crossing, FeedStage, Halt, With};
use crate::venue::paper::PaperVenue;
use rtrb::Consumer;

/// See the head of this file.
pub struct Inlet {
    /// The first stage.
    pub feed: FeedStage,
    /// Where orders go in paper trading and backtests.
    pub paper: PaperVenue,
    /// What execution let go.
    pub orders: Consumer<Crossing<Event>>,
    /// Books that inference asks to have synchronised anew.
    pub lost_books: Consumer<InstrumentId>,
    /// This thread's latency probe.
    pub probe: CycleProbe,
}

impl Inlet {
    /// One call into the feed. The paper venue sees every numbered input after it has flowed on,
    /// and so does `watch`.
    ///
    /// # Errors
    /// [`Halt`] when trading must stop.
    pub fn call(
        &mut self,
        watch: &mut dyn FnMut(&Event),
        call: impl FnOnce(&mut FeedStage, &mut With<'_, CycleProbe>) -> Result<(), Halt>,
    ) -> Result<(), Halt> {
        let paper = &mut self.paper;
        let mut seen = |event: &Event| {
            paper.on_market(event);
            watch(event);
        };
        call(&mut self.feed, &mut With { probe: &mut self.probe, watch: &mut seen })
    }

    /// Takes what execution let go: requests to the venue, findings into the river. `sent_at` is
    /// the time the requests leave; `None` takes the time of the input that caused each.
    ///
    /// # Errors
    /// [`Halt`] when trading must stop.
    pub fn settle(&mut self, sent_at: Option<Nanos>) -> Result<usize, Halt> {
        let mut taken = 0;
        while let Ok(Crossing { message, .. }) = self.orders.pop() {
            taken += 1;
            let at = sent_at.unwrap_or(message.now()).max(message.now());
            match message.kind() {
                Some(Kind::OrderApproved) => self.paper.submit(&message, at),
                Some(Kind::CancelApproved) => self.paper.cancel(&message, at),
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

    /// Feeds the paper venue's reports that are due at `now` into the river.
    ///
    /// # Errors
    /// [`Halt`] when trading must stop.
    pub fn take_reports(&mut self, now: Nanos) -> Result<usize, Halt> {
        let mut taken = 0;
        while let Some(report) = self.paper.poll(now) {
            taken += 1;
            let at = report.now();
            self.call(&mut |_| {}, |feed, with| feed.on_event(report, at, with))?;
        }
        Ok(taken)
    }
}
