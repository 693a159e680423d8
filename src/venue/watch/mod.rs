//! Watches the venue and our account there, and says in the river what it sees. Without sockets and
//! without a clock: it says what to ask, takes the answers and makes events of them. What follows
//! from them is for `risk` to say.
//!
//! | asked | told as | every |
//! |---|---|---|
//! | the venue's clock | `VenueStatus`, offset of the clocks | `clock_every_s` |
//! | contracts, funding rules | `ContractStatus`, the last flagged | `filters_every_s`, refusals |
//! | positions, then the account | `AccountStatus`, `MarginStatus` | `account_every_s`, fills |
//! | how it is set up | `VenueStatus`, account mode: `ON` is as wanted | `modes_every_s` |
//! | what the key may do, live | the same | the same |
//! | income and trades | `VenueStatus`, drop copy | `drop_copy_every_s`, at the end |
//!
//! Maintenance that the configuration announces is told when its time comes. One question is under
//! way at a time; a read that fails says nothing and is made again.
//!
//! | file | holds |
//! |---|---|
//! | `ask`, `read` | what is asked, and how answers are read |
//! | `clock` | how far the clocks are apart |
//! | `margin` | the liquidation price by the published formula |
//! | `account` | what is seen of the account, as events |
//! | `drop_copy` | the venue's list of what we earned and paid against ours |

mod account;
pub mod ask;
mod clock;
mod drop_copy;
mod margin;
mod read;
#[cfg(test)]
mod tests;

pub use ask::{Ask, Seen};
pub use drop_copy::Figure;
pub use margin::Bracket;

use crate::base::event::{ContractStatus, OrderReport, VenueStatus, flags};
use crate::base::settings::{InstrumentSettings, OrderRoute, Settings, WatchSettings};
use crate::base::{Event, InstrumentId, Kind, Nanos, Reason, Symbol};
use crate::venue::listing::OwnBounds;
use account::AccountView;
use ask::{Contract, FundingRule};
use clock::ClockGauge;
use drop_copy::DropCopy;
use std::collections::VecDeque;

/// First and longest wait after a read that failed.
const RETRY: (Nanos, Nanos) = (Nanos::from_secs(1), Nanos::from_secs(30));
/// How soon the account is looked at after something happened on it.
const SOON: Nanos = Nanos::from_millis(500);
/// Least time between two looks at the contracts.
const CONTRACTS_REST: Nanos = Nanos::from_secs(2);
/// How long the end of a session waits for the last comparison.
const LAST_MAX: Nanos = Nanos::from_secs(8);

/// The looks that are taken, in the order in which they are when due at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    Clock,
    Contracts,
    Account,
    Modes,
}

/// One look: when it is due, and how often.
#[derive(Clone, Copy, Debug)]
struct Round {
    every: Nanos,
    due: Nanos,
    last: Nanos,
}

impl Round {
    fn of(every_s: u32) -> Self {
        let every = Nanos::from_secs(i64::from(every_s));
        let due = if every_s == 0 { Nanos(i64::MAX) } else { Nanos(i64::MIN) };
        Self { every, due, last: Nanos(i64::MIN) }
    }

    const fn is_on(&self) -> bool {
        self.every.0 > 0
    }

    /// It is wanted by `at` at the latest.
    fn want(&mut self, at: Nanos) {
        if self.is_on() {
            self.due = self.due.min(at);
        }
    }
}

/// What is under way: the question, when it was asked, and the look it belongs to.
#[derive(Clone, Copy, Debug)]
struct Asked {
    ask: Ask,
    at: Nanos,
    look: Option<Look>,
}

/// See the head of this file.
#[derive(Debug)]
pub struct VenueWatch {
    settings: WatchSettings,
    symbols: Vec<Symbol>,
    /// Our limits that must lie within the venue's.
    own: OwnBounds,
    dead_man_ms: u32,
    rounds: [Round; 4],
    /// Questions of the look under way that are still to be asked.
    queue: VecDeque<Ask>,
    look: Option<Look>,
    asked: Option<Asked>,
    /// Nothing is asked before.
    rest_until: Nanos,
    wait: Nanos,
    gauge: ClockGauge,
    account: AccountView,
    /// The key's rights are read with the modes.
    reads_key: bool,
    copy: DropCopy,
    funding_rules: Option<Vec<FundingRule>>,
    /// The next maintenance in the list, and whether its begin was told.
    window: (usize, bool),
    /// When the session began to end.
    ending: Option<Nanos>,
    out: VecDeque<Event>,
}

impl VenueWatch {
    /// For the session's instruments, in table order. Without orders at a venue there is no account
    /// to look at, and where no venue is named nothing is asked at all.
    pub fn new(settings: &Settings, instruments: &[InstrumentSettings]) -> Self {
        let mut watch = settings.watch.clone();
        if settings.venue.orders != OrderRoute::Venue {
            (watch.account_every_s, watch.modes_every_s, watch.drop_copy_every_s) = (0, 0, 0);
        }
        if settings.venue.orders == OrderRoute::Nowhere {
            // Filters and margins bound orders; the clock dates what is recorded.
            watch.filters_every_s = 0;
        }
        if settings.venue.rest_url.is_empty() {
            (watch.clock_every_s, watch.filters_every_s) = (0, 0);
        }
        let own = OwnBounds::of(settings);
        let mut watch = Self::over(watch, instruments, own, settings.venue.dead_man_ms);
        watch.reads_key = settings.reads_key_rights();
        watch
    }

    /// One that never looks: where there is no venue.
    pub fn none() -> Self {
        let watch = WatchSettings::asking_nothing();
        Self::over(watch, &[], OwnBounds::default(), 0)
    }

    fn over(
        settings: WatchSettings,
        instruments: &[InstrumentSettings],
        own: OwnBounds,
        dead_man_ms: u32,
    ) -> Self {
        let every = [
            settings.clock_every_s,
            settings.filters_every_s,
            settings.account_every_s,
            settings.modes_every_s,
        ];
        let copy_every = Nanos::from_secs(i64::from(settings.drop_copy_every_s));
        let symbols: Vec<Symbol> = instruments.iter().map(|facts| facts.symbol).collect();
        Self {
            rounds: every.map(Round::of),
            account: AccountView::new(&settings, symbols.clone()),
            reads_key: false,
            copy: DropCopy::new(instruments, copy_every),
            settings,
            symbols,
            own,
            dead_man_ms,
            queue: VecDeque::new(),
            look: None,
            asked: None,
            rest_until: Nanos(i64::MIN),
            wait: RETRY.0,
            gauge: ClockGauge::default(),
            funding_rules: None,
            window: (0, false),
            ending: None,
            out: VecDeque::new(),
        }
    }

    /// Hears a numbered input of the river.
    pub fn hear(&mut self, event: &Event) {
        // The market is most of what there is, and says nothing to this.
        if event.kind < Kind::SessionStart as u8 {
            return;
        }
        self.copy.hear(event);
        let now = event.now();
        match event.kind() {
            Some(Kind::OrderFilled | Kind::FundingPayment) => {
                self.account.on_change();
                self.round(Look::Account).want(now + SOON);
            }
            Some(Kind::Reconciled) => self.round(Look::Account).want(now),
            Some(Kind::OrderRejected) => {
                let report: &OrderReport = event.body();
                self.on_reason(Reason::from_u16(report.reason), now);
            }
            Some(Kind::VenueStatus) => {
                let status: &VenueStatus = event.body();
                // A mode that was told from here was just looked at.
                let ours = status.reason == Reason::AccountMode as u16 && status.ts_until != 0;
                if !ours {
                    self.on_reason(Reason::from_u16(status.reason), now);
                }
            }
            _ => {}
        }
    }

    /// The venue refused or told something that a look explains.
    fn on_reason(&mut self, reason: Option<Reason>, now: Nanos) {
        match reason {
            Some(Reason::FiltersChanged | Reason::NotTrading) => {
                let round = self.round(Look::Contracts);
                let rested = round.last.0.saturating_add(CONTRACTS_REST.0);
                round.want(now.max(Nanos(rested)));
            }
            Some(Reason::ClockSkew | Reason::ThreadStalled) => self.round(Look::Clock).want(now),
            Some(Reason::AccountMode) => self.round(Look::Modes).want(now),
            Some(Reason::MarginShort | Reason::MarginCall) => self.round(Look::Account).want(now),
            _ => {}
        }
    }

    const fn round(&mut self, look: Look) -> &mut Round {
        &mut self.rounds[look as usize]
    }

    /// Time passes. `calm` says that the account's stream is up and nothing is being searched for.
    /// What to ask now, if anything; its end comes back by [`VenueWatch::on_answer`].
    pub fn question(&mut self, now: Nanos, calm: bool) -> Option<Ask> {
        self.tell_maintenance(now);
        if self.asked.is_some() || now < self.rest_until {
            return None;
        }
        let (ask, look) = match self.queue.pop_front() {
            Some(ask) => (ask, self.look),
            None => match self.begin(now) {
                Some((ask, look)) => (ask, Some(look)),
                None => (self.copy.question(now, calm)?, None),
            },
        };
        self.look = look;
        self.asked = Some(Asked { ask, at: now, look });
        Some(ask)
    }

    /// Begins the look that is due first.
    fn begin(&mut self, now: Nanos) -> Option<(Ask, Look)> {
        if self.ending.is_some() {
            return None;
        }
        let looks = [Look::Clock, Look::Contracts, Look::Account, Look::Modes];
        let look = looks.into_iter().find(|look| self.rounds[*look as usize].due <= now)?;
        let round = self.round(look);
        (round.due, round.last) = (now + round.every, now);
        let asks: &[Ask] = match look {
            Look::Clock => &[Ask::Time],
            Look::Contracts if self.rounds[Look::Account as usize].is_on() => {
                &[Ask::Contracts, Ask::FundingRules, Ask::Brackets]
            }
            Look::Contracts => &[Ask::Contracts, Ask::FundingRules],
            Look::Account => &[Ask::Positions, Ask::Account],
            Look::Modes if self.reads_key => &[Ask::Modes, Ask::SymbolModes, Ask::KeyRights],
            Look::Modes => &[Ask::Modes, Ask::SymbolModes],
        };
        self.queue.extend(&asks[1..]);
        Some((asks[0], look))
    }

    /// The question could not be handed over: it is asked again.
    pub fn put_back(&mut self, now: Nanos) {
        self.rest_until = now + RETRY.0;
        if let Some(asked) = self.asked.take() {
            match asked.look {
                Some(look) => self.repeat(look, now),
                None => self.copy.on_answer(None, now, &mut self.out),
            }
        }
    }

    fn repeat(&mut self, look: Look, now: Nanos) {
        self.queue.clear();
        self.round(look).want(now);
    }

    /// What the venue says; `None` for a read that failed.
    pub fn on_answer(&mut self, ask: &Ask, seen: Option<&Seen>, now: Nanos) {
        let Some(asked) = self.asked.take_if(|asked| asked.ask == *ask) else { return };
        let Some(look) = asked.look else {
            return self.copy.on_answer(seen, now, &mut self.out);
        };
        let Some(seen) = seen else {
            if *ask == Ask::KeyRights {
                // Another host: no other look waits for the next try.
                return self.repeat(look, now + RETRY.1);
            }
            self.rest_until = now + self.wait;
            self.wait = Nanos((self.wait.0 * 2).min(RETRY.1.0));
            return self.repeat(look, now);
        };
        if self.queue.is_empty() {
            self.wait = RETRY.0;
        }
        match seen {
            Seen::Time(told) => self.on_time(asked.at, now, *told),
            Seen::Contracts(all) => self.on_contracts(all),
            Seen::FundingRules(rules) => self.on_funding_rules(rules),
            Seen::Brackets(all) => self.account.brackets = all.clone(),
            Seen::Positions(held) => self.account.on_positions(held),
            Seen::Account(balance) => self.account.on_balance(balance, asked.at, &mut self.out),
            Seen::Modes(modes) => self.account.on_modes(modes),
            Seen::SymbolModes(all) => {
                self.account.on_symbol_modes(all, now, &mut self.out);
                if !self.reads_key {
                    self.account.tell_fine(now, &mut self.out);
                }
            }
            Seen::KeyRights(rights) => {
                self.account.on_key_rights(rights, now, &mut self.out);
                self.account.tell_fine(now, &mut self.out);
            }
            Seen::Income(_) | Seen::Trades(_) => {}
        }
    }

    /// The next event for the river.
    pub fn event(&mut self) -> Option<Event> {
        self.out.pop_front()
    }

    /// The session ends at `now`: one comparison more, and nothing else.
    pub fn finish(&mut self, now: Nanos) {
        if self.ending.is_none() {
            self.ending = Some(now);
            self.queue.clear();
            self.copy.finish(now);
        }
    }

    /// True when there is nothing left to wait for, or the time is up.
    pub fn has_ended(&self, now: Nanos) -> bool {
        self.copy.has_ended() || self.ending.is_some_and(|began| now >= began + LAST_MAX)
    }

    fn on_time(&mut self, asked: Nanos, answered: Nanos, told: Nanos) {
        let Some(offset) = self.gauge.on_answer(asked, answered, told) else { return };
        let warn = Nanos::from_millis(i64::from(self.settings.clock_warn_ms));
        if offset.stepped || offset.offset.0.abs() >= warn.0 {
            let (ms, stepped) = (offset.offset.to_millis(), offset.stepped);
            tracing::warn!(ms, stepped, "the venue's clock is not ours");
        }
        let body = VenueStatus {
            reason: Reason::ClockOff as u16,
            venue_code: i32::from(offset.stepped),
            told: offset.offset.0,
            held: offset.error.0,
            ..VenueStatus::default()
        };
        self.out.push_back(Event::new(Kind::VenueStatus, InstrumentId::NONE, &body));
    }

    /// Each of ours; one that is not listed any more has no state.
    fn on_contracts(&mut self, all: &[Contract]) {
        for (place, symbol) in self.symbols.iter().enumerate() {
            let found = all.iter().find(|contract| contract.symbol == *symbol);
            let fits = found.map_or(Ok(()), |contract| self.fits(contract));
            if let Err(key) = fits {
                tracing::warn!(%symbol, key, "no entries: not what the venue lists");
            }
            let body = match found {
                None => ContractStatus::default(),
                Some(found) => ContractStatus {
                    tick_size: found.tick_size.0,
                    lot_size: found.lot_size.0,
                    min_qty: found.min_qty.0,
                    max_qty: found.max_qty.0,
                    min_notional: found.min_notional.0,
                    filters_hash: found.filters_hash,
                    ts_delivery: found.delivery.0,
                    state: found.state,
                    trading: u32::from(found.is_trading() && fits.is_ok()),
                    ..ContractStatus::default()
                },
            };
            let last = if place + 1 == self.symbols.len() { flags::LAST } else { 0 };
            let event = Event::new(Kind::ContractStatus, instrument(place), &body);
            self.out.push_back(event.with_flags(last));
        }
    }

    /// Whether a contract is one to trade with our limits; else the key that says that it is not.
    fn fits(&self, contract: &Contract) -> Result<(), &'static str> {
        let within = |bounds| self.own.within(&bounds).map_err(|misfit| misfit.key);
        contract.listed.and_then(within)
    }

    /// A cap or an interval that is another than before.
    fn on_funding_rules(&mut self, rules: &[FundingRule]) {
        let before = self.funding_rules.replace(rules.to_vec());
        for (place, symbol) in self.symbols.iter().enumerate() {
            let of = |rules: &[FundingRule]| {
                let rule = rules.iter().find(|rule| rule.symbol == *symbol);
                rule.map_or((0, 0), |rule| (rule.cap.0, rule.hours))
            };
            let (told, held) = (of(rules), before.as_deref().map_or_else(|| of(rules), of));
            if told != held {
                tracing::warn!(%symbol, ?told, ?held, "rules of funding: largest rate, hours");
                let body = VenueStatus {
                    reason: Reason::FundingChanged as u16,
                    venue_code: i32::try_from(told.1).unwrap_or(0),
                    told: told.0,
                    held: held.0,
                    ..VenueStatus::default()
                };
                self.out.push_back(Event::new(Kind::VenueStatus, instrument(place), &body));
            }
        }
    }

    /// Tells maintenance when its lead begins. What is told lasts until its end.
    fn tell_maintenance(&mut self, now: Nanos) {
        let (place, told) = self.window;
        let Some(window) = self.settings.maintenance.get(place) else { return };
        if now >= window.until {
            self.window = (place + 1, false);
            return;
        }
        let lead = Nanos::from_secs(i64::from(self.settings.maintenance_lead_s));
        if told || now < window.from - lead {
            return;
        }
        self.window.1 = true;
        // Where the venue's own timer runs out meanwhile, it cancels what is open.
        let dead_man_ms = self.dead_man_ms;
        tracing::warn!(dead_man_ms, "the venue's announced maintenance is near");
        let body = VenueStatus {
            reason: Reason::Maintenance as u16,
            told: window.from.0,
            held: Nanos::from_millis(i64::from(dead_man_ms)).0,
            ts_until: window.until.0,
            ..VenueStatus::default()
        };
        self.out.push_back(Event::new(Kind::VenueStatus, InstrumentId::NONE, &body));
    }
}

fn instrument(place: usize) -> InstrumentId {
    u16::try_from(place).map_or(InstrumentId::NONE, InstrumentId)
}
