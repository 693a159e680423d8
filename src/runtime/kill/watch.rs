//! The rounds of a kill beside the feed: it begins when the risk stage says killed, puts each round
//! into the river, and tells when the session may end.

use super::rounds::{Found, Rounds};
use crate::base::event::{Event, Kind};
use crate::base::settings::KillSettings;
use crate::base::{InstrumentId, Symbol};
use crate::engine::Halt;
use crate::risk::TradingWord;
use crate::runtime::inlet::{Inlet, OrderVenue};
use crate::venue::paper::PaperVenue;
use crate::venue::ports::{EntryPort, Now, RestPort};

/// See the head of this file.
pub struct KillWatch<R> {
    settings: KillSettings,
    symbols: Vec<Symbol>,
    /// A line of its own: nobody else's questions stand before those of a kill.
    rest: Option<R>,
    rounds: Option<Rounds>,
}

impl<R: RestPort> KillWatch<R> {
    /// For the session's contracts; without a line orders are filled on paper.
    pub fn new(settings: KillSettings, symbols: &[Symbol], rest: Option<R>) -> Self {
        Self { settings, symbols: symbols.to_vec(), rest, rounds: None }
    }

    /// The line, at the end of a session.
    pub fn into_line(self) -> Option<R> {
        self.rest
    }

    /// The line, to tell it the time.
    pub fn line_mut(&mut self) -> Option<&mut R> {
        self.rest.as_mut()
    }

    /// True once the venue was found empty, twice in a row.
    pub fn is_done(&self) -> bool {
        self.rounds.as_ref().is_some_and(Rounds::is_done)
    }

    /// One look, where trading is killed.
    ///
    /// # Errors
    /// [`Halt`] when trading must stop.
    pub fn turn(
        &mut self,
        now: Now,
        word: TradingWord,
        inlet: &mut Inlet<impl EntryPort>,
    ) -> Result<(), Halt> {
        if !word.is_killed() {
            self.rounds = None;
            return Ok(());
        }
        // Another node may lead: what is open may be its own, unless an operator wants it gone.
        if inlet.venue.desk_mut().is_some_and(|desk| desk.is_kept_back()) {
            return Ok(());
        }
        if self.rounds.is_none() {
            tracing::error!(flattens = word.flattens, "killed: no entry leaves any more");
        }
        let begin = || Rounds::new(self.settings, &self.symbols, word.flattens, now.mono);
        let rounds = self.rounds.get_or_insert_with(begin);
        if word.flattens {
            rounds.flatten();
        }
        match (&mut inlet.venue, &mut self.rest) {
            (OrderVenue::Desk { desk, .. }, Some(rest)) => {
                let under_way = desk.may_an_entry_arrive(now.mono);
                rounds.turn(now.mono, under_way, rest);
            }
            (OrderVenue::Desk { .. }, None) => {}
            (OrderVenue::Paper(paper), _) => {
                let under_way = paper.is_anything_under_way();
                rounds.look(now.mono, under_way, || on_paper(paper, &self.symbols));
            }
        }
        while let Some(body) = rounds.record() {
            tracing::warn!(
                round = body.round,
                orders = body.orders,
                algo_entries = body.algo_entries,
                stops = body.stops,
                positions = body.positions,
                elapsed_ms = body.elapsed_ms,
                "kill"
            );
            let event = Event::new(Kind::KillRound, InstrumentId::NONE, &body);
            inlet.call(&mut |_| {}, |feed, with| feed.on_event(event, now.wall, with))?;
        }
        Ok(())
    }
}

/// What there is in the books of the paper venue. Its orders are cancelled over the river.
fn on_paper(paper: &PaperVenue, symbols: &[Symbol]) -> Found {
    let held = (0..symbols.len()).filter(|&place| {
        let id = InstrumentId(u16::try_from(place).unwrap_or(u16::MAX));
        paper.account().held(id).0 != 0
    });
    let orders = symbols.first().map(|&symbol| vec![(symbol, 0); paper.orders().len()]);
    Found {
        orders: orders.or_else(|| Some(Vec::new())),
        algo_entries: Some(Vec::new()),
        stops: Some(u32::try_from(paper.stops().len()).unwrap_or(u32::MAX)),
        positions: Some(u32::try_from(held.count()).unwrap_or(u32::MAX)),
    }
}
