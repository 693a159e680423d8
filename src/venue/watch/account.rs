//! What is seen of the account, as events: margins with our own liquidation price beside the
//! venue's, and whether it is set up as it has to be.

use super::ask::{Balance, Held, Modes, SymbolMode};
use super::instrument;
use super::margin::{Bracket, liquidation_px};
use crate::base::event::{AccountStatus, MarginStatus, VenueStatus, flags};
use crate::base::settings::{MarginType, WatchSettings};
use crate::base::{Event, InstrumentId, Kind, Nanos, Reason, Symbol};
use crate::venue::key_rights::KeyRights;
use std::collections::VecDeque;

/// Reads between whose parts something happened, before what they say is told all the same.
const TORN_MAX: u32 = 3;

/// What of an account's setup is not as it has to be, as told in `venue_code`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub(super) enum Mode {
    /// One position for each symbol.
    OneWay = 1,
    /// Whether other assets count as margin.
    MultiAssets = 2,
    /// What stands behind a position.
    MarginType = 3,
    /// Leverage of a symbol.
    Leverage = 4,
    /// Permission to trade.
    CanTrade = 5,
    /// What the key may do.
    KeyRights = 6,
}

/// See the head of this file.
#[derive(Debug)]
pub(super) struct AccountView {
    pub(super) brackets: Vec<(Symbol, Vec<Bracket>)>,
    symbols: Vec<Symbol>,
    held: Vec<Held>,
    /// Something happened since the positions were asked for.
    changed: bool,
    torn: u32,
    /// Instruments of which a position was told last.
    told: Vec<bool>,
    modes: Option<Modes>,
    /// All of the look under way was as it has to be so far.
    fine: bool,
    multi_assets: bool,
    /// What each symbol has to be set to; what is found first where nothing is configured.
    margin_types: Vec<Option<bool>>,
    leverages: Vec<Option<u32>>,
}

impl AccountView {
    pub(super) fn new(settings: &WatchSettings, symbols: Vec<Symbol>) -> Self {
        let count = symbols.len();
        let isolated = settings.margin_type.map(|wanted| wanted == MarginType::Isolated);
        Self {
            brackets: Vec::new(),
            symbols,
            held: Vec::new(),
            changed: false,
            torn: 0,
            told: vec![false; count],
            modes: None,
            fine: false,
            multi_assets: settings.multi_assets,
            margin_types: vec![isolated; count],
            leverages: vec![settings.leverage; count],
        }
    }

    /// A fill or a payment: positions and balance that were asked for around it do not fit.
    pub(super) const fn on_change(&mut self) {
        self.changed = true;
    }

    pub(super) fn on_positions(&mut self, held: &[Held]) {
        self.held = held.to_vec();
        self.changed = false;
    }

    /// The second half of a look: balance asked for at `asked`.
    pub(super) fn on_balance(
        &mut self,
        balance: &Balance,
        asked: Nanos,
        out: &mut VecDeque<Event>,
    ) {
        let body = AccountStatus {
            wallet: balance.wallet.0,
            equity: balance.equity.0,
            unrealised: balance.unrealised.0,
            initial_margin: balance.initial_margin.0,
            maintenance_margin: balance.maintenance_margin.0,
            available: balance.available.0,
            ts_asked: asked.0,
            ..AccountStatus::default()
        };
        out.push_back(Event::new(Kind::AccountStatus, InstrumentId::NONE, &body));
        self.torn = if self.changed { self.torn + 1 } else { 0 };
        if self.changed && self.torn < TORN_MAX {
            return;
        }
        for place in 0..self.symbols.len() {
            let held = self.held.iter().find(|held| held.symbol == self.symbols[place]);
            if held.is_none() && !self.told[place] {
                continue;
            }
            self.told[place] = held.is_some();
            let body = held.map_or_else(MarginStatus::default, |held| self.margin(held, balance));
            out.push_back(Event::new(Kind::MarginStatus, instrument(place), &body));
        }
    }

    fn margin(&self, held: &Held, balance: &Balance) -> MarginStatus {
        // Parts that do not fit make no price.
        let computed = match self.changed {
            true => None,
            false => liquidation_px(held, &self.held, balance, &self.brackets),
        };
        let place = self.symbols.iter().position(|symbol| *symbol == held.symbol);
        let leverage = place.and_then(|place| self.leverages[place]);
        MarginStatus {
            qty: held.qty.0,
            entry_px: held.entry_px.0,
            mark_px: held.mark_px.0,
            liquidation_px: held.liquidation_px.0,
            computed_px: computed.map_or(-1, |px| px.0),
            initial_margin: held.initial_margin.0,
            maintenance_margin: held.maintenance_margin.0,
            leverage: leverage.unwrap_or(0),
            isolated: u32::from(held.isolated_wallet.0 != 0),
            ..MarginStatus::default()
        }
    }

    pub(super) const fn on_modes(&mut self, modes: &Modes) {
        self.modes = Some(*modes);
    }

    /// The second part of a look at how the account is set up.
    pub(super) fn on_symbol_modes(
        &mut self,
        all: &[SymbolMode],
        now: Nanos,
        out: &mut VecDeque<Event>,
    ) {
        let Some(modes) = self.modes else { return };
        let before = out.len();
        let mut judge = |place: Option<usize>, mode: Mode, told: i64, wanted: i64| {
            if told != wanted {
                tracing::error!(?mode, told, wanted, "the account is not set up as it has to be");
                let at = place.map_or(InstrumentId::NONE, instrument);
                out.push_back(told_mode(at, mode as i32, told, wanted, now));
            }
        };
        judge(None, Mode::OneWay, i64::from(modes.hedged), 0);
        judge(None, Mode::MultiAssets, modes.multi_assets.into(), self.multi_assets.into());
        judge(None, Mode::CanTrade, i64::from(modes.can_trade), 1);
        for (place, symbol) in self.symbols.iter().enumerate() {
            let Some(found) = all.iter().find(|mode| mode.symbol == *symbol) else { continue };
            let isolated = *self.margin_types[place].get_or_insert(found.isolated);
            judge(Some(place), Mode::MarginType, found.isolated.into(), isolated.into());
            let leverage = *self.leverages[place].get_or_insert(found.leverage);
            judge(Some(place), Mode::Leverage, found.leverage.into(), leverage.into());
        }
        self.fine = out.len() == before;
    }

    /// What the key may do, at the end of such a look.
    pub(super) fn on_key_rights(
        &mut self,
        rights: &KeyRights,
        now: Nanos,
        out: &mut VecDeque<Event>,
    ) {
        let wrong = rights.wrong();
        if let Some(fault) = rights.fault() {
            tracing::error!(fault, "the key may not do what it has to do, or may do more");
            out.push_back(told_mode(InstrumentId::NONE, Mode::KeyRights as i32, wrong, 0, now));
            self.fine = false;
        }
    }

    /// The look has ended: that all is as it has to be is told too, for how long ago that was
    /// matters.
    pub(super) fn tell_fine(&mut self, now: Nanos, out: &mut VecDeque<Event>) {
        if std::mem::take(&mut self.fine) {
            let fine = told_mode(InstrumentId::NONE, 0, 0, 0, now);
            out.push_back(fine.with_flags(flags::ON));
        }
    }
}

/// The time tells it from what the account's stream says of the same.
fn told_mode(at: InstrumentId, code: i32, told: i64, wanted: i64, now: Nanos) -> Event {
    let body = VenueStatus {
        reason: Reason::AccountMode as u16,
        venue_code: code,
        told,
        held: wanted,
        ts_until: now.0.max(1),
        ..VenueStatus::default()
    };
    Event::new(Kind::VenueStatus, at, &body)
}
