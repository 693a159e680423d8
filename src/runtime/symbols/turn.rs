//! The part of the feed's thread in which instruments are traded: it lets changes flow, and has the
//! connections follow.

use super::SymbolOrder;
use crate::base::event::{Event, Kind};
use crate::base::{Nanos, SymbolState};
use crate::engine::Halt;
use crate::runtime::feed_thread::FeedThread;
use crate::venue::ports::{Now, Outside, StreamPort};

impl<O: Outside> FeedThread<O> {
    /// Obeys orders, and puts to sleep what has nothing left.
    ///
    /// # Errors
    /// [`Halt`] when trading must stop.
    pub(in crate::runtime) fn turn_symbols(&mut self, now: Now) -> Result<(), Halt> {
        while let Ok(order) = self.roster.orders.try_recv() {
            self.obey_symbol(&order, now)?;
        }
        if !self.roster.is_any_leaving() {
            return Ok(());
        }
        let counters = &self.counters;
        if let Some((instrument, change)) = self.roster.next_asleep(|id| counters.rests_since(id)) {
            let event = Event::new(Kind::SymbolChange, instrument, &change);
            self.change_symbol(event, now.wall)?;
            self.carry_symbols(now)?;
        }
        Ok(())
    }

    fn obey_symbol(&mut self, order: &SymbolOrder, now: Now) -> Result<(), Halt> {
        if let Err(why) = self.roster.permits(order) {
            // Whoever asked is told by the page: it was so a moment ago.
            tracing::warn!(instrument = order.instrument.0, why, "a symbol does not change");
            return Ok(());
        }
        let event = Event::new(Kind::SymbolChange, order.instrument, &order.change);
        self.change_symbol(event, now.wall)?;
        self.carry_symbols(now)
    }

    /// Lets a change flow. Nothing of the instrument's market comes behind the one that puts it to
    /// sleep, or before the one that wakes it.
    ///
    /// # Errors
    /// [`Halt`] when trading must stop.
    pub(in crate::runtime) fn change_symbol(
        &mut self,
        event: Event,
        wall: Nanos,
    ) -> Result<(), Halt> {
        let (instrument, state) = (event.instrument(), event.symbol_state());
        if state == Some(SymbolState::Asleep) {
            self.inlet.feed.feed_mut().sleep(instrument);
        }
        let mut since = 0;
        let mut seen = |event: &Event| {
            if event.kind() == Some(Kind::SymbolChange) {
                since = event.seq;
            }
        };
        self.inlet.call(&mut seen, |feed, with| feed.on_event(event, wall, with))?;
        if state == Some(SymbolState::Awake) {
            self.inlet.feed.feed_mut().wake(instrument);
        }
        self.roster.note(&event, since);
        Ok(())
    }

    /// Has each connection bring the streams of who is awake.
    ///
    /// # Errors
    /// [`Halt`] when trading must stop.
    pub(in crate::runtime) fn carry_symbols(&mut self, now: Now) -> Result<(), Halt> {
        while let Some((place, url, was_lost)) = self.roster.next_carry() {
            let roster = &self.roster;
            if let Some(stream) = self.streams.get_mut(place) {
                stream.carry(url, &|id| !roster.is_asleep(id), now.mono);
            }
            if was_lost {
                // It is not awaited any more, so nobody waits for its return.
                let connection = place as u64 + 1;
                self.inlet.call(&mut |_| {}, |feed, with| {
                    feed.on_stream(connection, true, now.wall, with)
                })?;
            }
        }
        Ok(())
    }
}
