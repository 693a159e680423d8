//! What the sessions before this one left: found in the newest journal of their chain, carried into
//! the opening of the next.
//!
//! ```text
//!  state/journal/0000007-paper   killed before its opening was whole: passed over
//!                0000006-paper   the newest with a whole opening: read to its end
//!                0000005-paper   lies in what 6 carried
//!
//!  lane 0  inputs ─────────┐ merged by number
//!  lane 2  state changes ──┼─► ledger, orders, trading state ─► PositionCarried, BookedCarried,
//!  lane 3  intents ────────┘                                    OrderCarried, SessionCarried
//! ```
//! What was missed before a crash is found as well: the venue is asked from the last clean look on,
//! not from the newest trade and payment that came, and what came since is known by its number.

//! A chain is the sessions of one name and one way of orders in one state folder, of one account. A
//! session writes its opening to the last record before any order leaves, so a journal without it
//! never saw one. A journal that is damaged, or is not there although it was begun, refuses the
//! start: what it held cannot be known. An intent without an answer may have arrived.

mod books;
mod find;
#[cfg(test)]
mod tests;

pub use find::{Chain, newest_epoch};

use crate::base::event::{
    BookedCarried, Command, Event, Kind, OrderCarried, PositionCarried, SessionCarried,
    SymbolChange,
};
use crate::base::ids::{InstrumentId, Symbol};
use crate::base::settings::InstrumentSettings;
use crate::base::units::Money;
use crate::base::{Nanos, SymbolState};
use crate::risk::TradingState;
use crate::runtime::kill::latch::{Cleared, Latch};
use anyhow::{Result, bail};
use std::path::{Path, PathBuf};

/// What the sessions of a chain left.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Carried {
    /// Hash of the account's name at the venue; 0 on paper.
    pub account: u64,
    /// The journal it was read from; `None` for the first session of a chain.
    pub from: Option<PathBuf>,
    /// Books by symbol.
    pub positions: Vec<(Symbol, PositionCarried)>,
    /// What is in the books and will be told again by the venue's lists.
    pub booked: Vec<(Symbol, BookedCarried)>,
    /// Orders that are open, of unknown outcome, or still to be settled; with the header's flags.
    pub orders: Vec<(Symbol, u8, OrderCarried)>,
    /// The rest. All zero for the first session of a chain.
    pub session: SessionCarried,
    /// An operator paused the session: the next one does not arm itself.
    pub paused: bool,
    /// Until when the venue told the session not to ask it; zero for never.
    pub stopped_until: Nanos,
    /// What operators made of symbols: the newest change of each that one changed.
    pub symbols: Vec<(Symbol, SymbolChange)>,
    /// Commands that stand in the opening before what is carried: a kill, or its clear.
    pub commands: Vec<Command>,
}

impl Carried {
    /// The first session of an account's chain.
    pub fn fresh(account: u64) -> Self {
        Self { account, ..Self::default() }
    }

    /// Reads what the newest session of `chain` in the folder `journals` left. `begun` names the
    /// journal that was begun last, where that is known.
    ///
    /// # Errors
    /// When that journal is missing, damaged, or not one this program can go on from; the text says
    /// how to go on.
    pub fn read(journals: &Path, chain: &Chain, begun: Option<&str>) -> Result<Self> {
        let Some(found) = find::find(journals, chain, begun)? else { return Ok(Self::default()) };
        let mut carried = books::read(&found)?;
        if !chain.at_venue {
            carried.end_with_the_process();
        }
        Ok(carried)
    }

    /// The same for a session of `account`.
    ///
    /// # Errors
    /// When the chain is another account's.
    pub fn of_account(mut self, account: u64) -> Result<Self> {
        if let Some(from) = &self.from
            && self.account != account
        {
            bail!(
                "{}: it is the journal of another account's key than the one that is given. Each \
                 account needs a session.state_dir of its own; where it is the same account and \
                 its key was replaced, say so once with --account-key-rotated",
                from.display()
            );
        }
        self.account = account;
        Ok(self)
    }

    /// The same where an operator says that the account has another key than it had: the journal is
    /// the account's, whose key `account` is of. Nothing is armed before a person has looked.
    ///
    /// # Errors
    /// When there is no journal to go on from, or its key is the one given: what is said is then
    /// wrong, or was said once already.
    pub fn of_rotated_key(mut self, account: u64) -> Result<Self> {
        let Some(from) = &self.from else {
            bail!("--account-key-rotated: there is no earlier session to go on from; leave it out");
        };
        if self.account == account {
            bail!(
                "--account-key-rotated: {} is of the key that is given; leave it out",
                from.display()
            );
        }
        (self.account, self.paused) = (account, true);
        Ok(self)
    }

    /// The paper venue ends with its process, and with it what it held; the day's entries and a
    /// halt stay.
    fn end_with_the_process(&mut self) {
        self.positions.clear();
        self.booked.clear();
        self.orders.clear();
        self.session.losses_in_a_row = 0;
        (self.session.starting_equity, self.session.peak_equity) = (0, 0);
        self.session.day_start_equity = 0;
    }

    /// Takes in what the state folder tells of a kill and of its clear. What was cleared is carried
    /// as a halt: somebody has to arm.
    pub fn heed(&mut self, latch: Option<&Latch>, cleared: Option<&Cleared>) {
        match (latch, cleared) {
            (Some(latch), _) => self.commands.push(latch.command()),
            (None, Some(cleared))
                if self.session.state == TradingState::Killed as u8
                    && self.session.epoch <= cleared.epoch =>
            {
                self.session.state = TradingState::Halted as u8;
                self.commands.extend(cleared.command());
            }
            _ => {}
        }
    }

    /// True where the next unattended session may arm itself.
    pub fn may_rearm(&self) -> bool {
        let halted = [TradingState::Halted as u8, TradingState::Killed as u8];
        !self.paused && self.session.lossy == 0 && !halted.contains(&self.session.state)
    }

    /// Equity at the start, open positions at their cost. `configured` is what the first session
    /// of a chain starts with.
    pub fn equity(&self, configured: Money) -> Money {
        if self.session.starting_equity == 0 {
            return configured;
        }
        let booked = |p: &PositionCarried| p.realised - p.fees + p.funding;
        let sum: i64 = self.positions.iter().map(|(_, position)| booked(position)).sum();
        Money(self.session.starting_equity + sum)
    }

    /// What a symbol begins with where it is not simply traded: as operators left it, else as it
    /// is `configured`. One that would sleep and has a position or an order, which is nobody's
    /// wish, is left instead.
    pub fn symbol_change(
        &self,
        symbol: Symbol,
        configured: Option<SymbolChange>,
    ) -> Option<SymbolChange> {
        let known = self.symbols.iter().find(|(known, _)| *known == symbol);
        let change = known.map(|(_, change)| *change).or(configured)?;
        let held = self.position(symbol).is_some_and(|body| body.qty != 0);
        let open = self.orders.iter().any(|(known, ..)| *known == symbol);
        let is_asleep = change.state == SymbolState::Asleep as u8;
        let leaving = SymbolChange { state: SymbolState::Leaving as u8, ..change };
        Some(if is_asleep && (held || open) { leaving } else { change })
    }

    /// The books of that contract; `None` where nothing was ever traded in it.
    pub fn position(&self, symbol: Symbol) -> Option<&PositionCarried> {
        self.positions.iter().find(|(known, _)| *known == symbol).map(|(_, body)| body)
    }

    /// What the books of each contract begin with: profit less fees, and funding, 1e-8.
    pub fn booked(&self, symbols: &[Symbol]) -> Vec<i64> {
        let net = |body: &PositionCarried| {
            body.realised.saturating_sub(body.fees).saturating_add(body.funding)
        };
        symbols.iter().map(|symbol| self.position(*symbol).map_or(0, net)).collect()
    }

    /// Refuses an instrument table that leaves out a contract with a position or an order.
    ///
    /// # Errors
    /// Names the contract.
    pub fn check(&self, instruments: &[InstrumentSettings]) -> Result<()> {
        let held = self.positions.iter().filter(|(_, body)| body.qty != 0);
        let held = held.map(|(symbol, _)| (symbol, "a position"));
        let open = self.orders.iter().map(|(symbol, ..)| (symbol, "an order"));
        for (symbol, what) in held.chain(open) {
            if place(instruments, symbol).is_none() {
                bail!(
                    "{symbol}: an earlier session left {what}, and it is not among \
                     instruments.symbols; name it there until it is flat, or use another \
                     session.state_dir"
                );
            }
        }
        Ok(())
    }

    /// The records of the opening that tell it, the last one last. What was earned with contracts
    /// that are not traded any more becomes part of the starting equity. `configured` is what the
    /// first session of a chain starts with.
    pub fn events(&self, instruments: &[InstrumentSettings], configured: Money) -> Vec<Event> {
        let mut session = self.session;
        if session.starting_equity == 0 {
            session.starting_equity = configured.0;
            session.peak_equity = configured.0;
            session.day_start_equity = configured.0;
        }
        let mut events = Vec::new();
        for command in &self.commands {
            events.push(Event::new(Kind::Command, InstrumentId::NONE, command));
        }
        for (symbol, body) in &self.positions {
            match place(instruments, symbol) {
                Some(id) => events.push(Event::new(Kind::PositionCarried, id, body)),
                None => session.starting_equity += body.realised - body.fees + body.funding,
            }
        }
        for (symbol, body) in &self.booked {
            if let Some(id) = place(instruments, symbol) {
                events.push(Event::new(Kind::BookedCarried, id, body));
            }
        }
        for (symbol, flags, body) in &self.orders {
            let id = place(instruments, symbol).unwrap_or(InstrumentId::NONE);
            events.push(Event::new(Kind::OrderCarried, id, body).with_flags(*flags));
        }
        events.push(Event::new(Kind::SessionCarried, InstrumentId::NONE, &session));
        events
    }
}

fn place(instruments: &[InstrumentSettings], symbol: &Symbol) -> Option<InstrumentId> {
    let at = instruments.iter().position(|facts| facts.symbol == *symbol)?;
    Some(InstrumentId(u16::try_from(at).unwrap_or(u16::MAX)))
}
