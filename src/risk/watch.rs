//! What the watch of the venue tells, judged by the thresholds of `[watch]`: what reduces, what
//! halts, and what keeps entries of one contract away.
//!
//! ```text
//!  of one contract
//!   dropped by an operator        no entries, left where that is wanted
//!   not trading, delivered soon   left, no entries
//!   filters                       taken over; halted where they fit none of our orders
//!   mark price                    far from the touch: no entries, until within half of it
//!   next funding                  no entries around it
//!  of the account
//!   equity never told             no entries
//!   offset of the clocks          clock_reduce_ms: exits only, until below four fifths of it
//!                                 clock_halt_ms: halted
//!   refused by filters            halted where they have not changed
//!   liquidation price             below liquidation_reduce_bps: exits only
//!                                 below liquidation_critical_bps: half is taken back
//!                                 until liquidation_entry_bps
//!   the same by us                apart twice in a row: exits only, until they agree
//!   equity                        less than the ledger's twice: exits only, until within half
//!   modes, drop copy              not as wanted, differs: halted
//!   maintenance                   exits only, positions left before it
//!   nothing, for too long         exits only
//! ```
//!
//! Where orders go to no venue there is no account to be told of, and its ages are not asked for.
//! Time is the events'. Nothing allocates after [`Watch::new`].

use super::checks::Trip;
use super::gap::{Gap, diverges};
use super::state::TradingState;
use super::venue::Conditions;
use crate::base::event::{
    ContractStatus, MarkPrice, SessionStart, SymbolChange, VenueStatus, flags,
};
use crate::base::settings::{InstrumentSettings, WatchSettings};
use crate::base::{Event, InstrumentId, Kind, Money, Nanos, Px, Qty, Reason, SymbolState};
use crate::ledger::{Ledger, Position};

/// Refusals by filters that changed so lately are explained by it.
const RELOADED: Nanos = Nanos::from_secs(10);
/// Readings in a row that must say the same before they count.
const TWICE: u8 = 2;
/// A liquidation price so far from the mark price, in parts of it, is compared with none: it is
/// where rounding makes all the difference and nothing depends on it.
const FAR_PART: i64 = 10;

/// What is known of one contract.
#[derive(Clone, Copy, Debug)]
struct Contract {
    /// It does not trade, or is delivered soon.
    ending: bool,
    /// It trades.
    trading: bool,
    delivery: Nanos,
    /// Mark price and touch are too far apart.
    diverged: bool,
    funding_next: Nanos,
    funding_last: Nanos,
    /// Readings in a row in which the liquidation prices did not agree.
    disagrees: u8,
    /// The mark price is near the liquidation price: none, near, critical.
    near: Nearness,
    /// Whether an operator dropped it.
    state: SymbolState,
    /// Its position is to be left at once.
    flat: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Nearness {
    Far,
    Near,
    Critical,
}

const FRESH: Contract = Contract {
    ending: false,
    trading: true,
    delivery: Nanos::ZERO,
    diverged: false,
    funding_next: Nanos::ZERO,
    funding_last: Nanos(i64::MIN),
    disagrees: 0,
    near: Nearness::Far,
    state: SymbolState::Awake,
    flat: false,
};

/// What filters mean for the session's own.
enum Refit {
    Same,
    Others(InstrumentSettings),
    Unfit,
}

/// See the head of this file.
#[derive(Clone, Debug)]
pub(super) struct Watch {
    settings: WatchSettings,
    /// Orders go to a venue: there is an account.
    at_venue: bool,
    /// The venue has told what the account holds.
    account_known: bool,
    /// Since when what was never told is missing; `None` where nobody looks.
    since: Option<Nanos>,
    clock_at: Option<Nanos>,
    filters_at: Option<Nanos>,
    modes_at: Option<Nanos>,
    contracts: Vec<Contract>,
    /// An order was refused by filters: what they are is to be told.
    refused: bool,
    /// When filters were last others.
    reloaded_at: Nanos,
    /// What the venue counted more than the ledger when it was first told.
    equity_base: Option<i128>,
    short: u8,
    /// Positions are left until then.
    flat_until: Nanos,
}

/// The trading state that follows at once, if any.
type Entered = Option<(TradingState, Reason)>;

impl Watch {
    pub(super) fn new(settings: &WatchSettings, count: usize, at_venue: bool) -> Self {
        Self {
            settings: settings.clone(),
            at_venue,
            account_known: false,
            since: None,
            clock_at: None,
            filters_at: None,
            modes_at: None,
            contracts: vec![FRESH; count],
            refused: false,
            reloaded_at: Nanos(i64::MIN),
            equity_base: None,
            short: 0,
            flat_until: Nanos(i64::MIN),
        }
    }

    /// Takes an event in, after the ledger; `facts` are the session's own of its instrument, and
    /// follow the venue's.
    pub(super) fn on_event(
        &mut self,
        event: &Event,
        ledger: &Ledger,
        facts: Option<&mut InstrumentSettings>,
        conditions: &mut Conditions,
    ) -> Entered {
        let now = event.now();
        match event.kind() {
            Some(Kind::SessionStart) => {
                let body: &SessionStart = event.body();
                // A backtest has no venue to look at.
                self.since = (body.mode != 0).then_some(now);
                None
            }
            Some(Kind::VenueStatus) => self.on_status(event, conditions),
            Some(Kind::ContractStatus) => self.on_contract(event, facts, conditions),
            Some(Kind::AccountStatus) => {
                self.account_known = true;
                self.on_account(ledger, conditions);
                None
            }
            Some(Kind::MarginStatus) => {
                self.on_margin(event.instrument(), ledger, conditions);
                self.on_distance(event.instrument(), ledger, conditions);
                None
            }
            Some(Kind::MarkPrice) => {
                self.on_mark(event, ledger);
                self.on_distance(event.instrument(), ledger, conditions);
                None
            }
            Some(Kind::Timer) => {
                self.on_timer(now, ledger, conditions);
                None
            }
            Some(Kind::SymbolChange) => {
                self.on_symbol_change(event);
                None
            }
            _ => None,
        }
    }

    /// Why the contract takes no entries at `now`, with figures of the reason's unit.
    #[inline(always)]
    pub(super) fn block(
        &mut self,
        instrument: InstrumentId,
        position: &Position,
        now: Nanos,
    ) -> Option<Trip> {
        let contract = self.contracts.get_mut(instrument.index())?;
        let trip = |reason, value, limit| Some(Trip { reason, value, limit });
        if contract.state != SymbolState::Awake {
            return trip(Reason::SymbolDropped, 0, 0);
        }
        if contract.ending {
            return trip(Reason::ContractEnding, contract.delivery.0, now.0);
        }
        // RC-07: an equity that nobody has read yet is not taken for ours.
        if self.at_venue && self.settings.account_every_s > 0 && !self.account_known {
            return trip(Reason::AccountUnread, 0, 0);
        }
        let window = Nanos::from_secs(i64::from(self.settings.funding_window_s));
        let (next, last) = (contract.funding_next, contract.funding_last);
        let around = next > Nanos::ZERO && now >= next - window && now < next + window;
        let after = now >= last && now < last + window;
        if around || after {
            return trip(Reason::FundingWindow, (next - now).0, window.0);
        }
        let gap = Gap::of(position);
        contract.diverged = diverges(contract.diverged, gap, self.settings.mark_gap_bps_max);
        if contract.diverged {
            let most = i64::from(self.settings.mark_gap_bps_max);
            return trip(Reason::MarkDiverged, gap.map_or(i64::MAX, Gap::bps), most);
        }
        None
    }

    /// True while the contract's position is to be left whole: it is delivered soon, dropped so, or
    /// maintenance is near. A contract that does not trade takes no orders.
    pub(super) fn leaves(&self, instrument: InstrumentId, now: Nanos) -> bool {
        let Some(contract) = self.contracts.get(instrument.index()) else { return false };
        contract.trading && (contract.ending || contract.flat || now < self.flat_until)
    }

    /// True while entries of the contract are to be cancelled.
    pub(super) fn is_ending(&self, instrument: InstrumentId) -> bool {
        let contract = self.contracts.get(instrument.index());
        contract.is_some_and(|contract| contract.ending || contract.state != SymbolState::Awake)
    }

    /// True while an operator wants the contract not to be traded.
    pub(super) fn is_dropped(&self, instrument: InstrumentId) -> bool {
        let contract = self.contracts.get(instrument.index());
        contract.is_some_and(|contract| contract.state != SymbolState::Awake)
    }

    fn on_symbol_change(&mut self, event: &Event) {
        let (state, change) = (event.symbol_state(), event.body::<SymbolChange>());
        if let (Some(state), Some(contract)) =
            (state, self.contracts.get_mut(event.instrument().index()))
        {
            (contract.state, contract.flat) = (state, change.flat != 0);
        }
    }

    /// True while half of the position is to be taken back: the mark price is critically near the
    /// liquidation price, which was told for the position as it is.
    pub(super) fn takes_back(&self, instrument: InstrumentId, ledger: &Ledger) -> bool {
        let held = ledger.position(instrument).map(|position| position.qty);
        let told = ledger.margin(instrument).map(|margin| margin.qty);
        let contract = self.contracts.get(instrument.index());
        held == told && contract.is_some_and(|contract| contract.near == Nearness::Critical)
    }

    fn on_status(&mut self, event: &Event, conditions: &mut Conditions) -> Entered {
        let body: &VenueStatus = event.body();
        match Reason::from_u16(body.reason) {
            Some(Reason::ClockOff) => return self.on_clock(event.now(), body.told, conditions),
            Some(Reason::AccountMode) if event.has(flags::ON) => self.modes_at = Some(event.now()),
            Some(Reason::FiltersChanged) if self.settings.filters_every_s == 0 => {
                // Nobody looks what they are.
                return Some((TradingState::Halted, Reason::FiltersChanged));
            }
            Some(Reason::FiltersChanged) => {
                let lately = event.now() - self.reloaded_at < RELOADED;
                self.refused = !lately;
                if lately {
                    conditions.end(Reason::FiltersChanged);
                }
            }
            Some(Reason::Maintenance) if self.settings.maintenance_flatten => {
                self.flat_until = Nanos(body.told);
            }
            _ => {}
        }
        None
    }

    fn on_clock(&mut self, now: Nanos, offset: i64, conditions: &mut Conditions) -> Entered {
        self.clock_at = Some(now);
        let apart = offset.unsigned_abs();
        let limit = |ms: u32| u64::from(ms) * 1_000_000;
        if apart >= limit(self.settings.clock_reduce_ms) {
            conditions.begin(Reason::ClockFar, Nanos::ZERO);
        } else if apart < limit(self.settings.clock_reduce_ms) / 5 * 4 {
            conditions.end(Reason::ClockFar);
        }
        let broken = apart >= limit(self.settings.clock_halt_ms);
        broken.then_some((TradingState::Halted, Reason::ClockBroken))
    }

    fn on_contract(
        &mut self,
        event: &Event,
        facts: Option<&mut InstrumentSettings>,
        conditions: &mut Conditions,
    ) -> Entered {
        let body: &ContractStatus = event.body();
        let (now, last) = (event.now(), event.has(flags::LAST));
        let mut entered = None;
        if let Some(contract) = self.contracts.get_mut(event.instrument().index()) {
            contract.trading = body.trading != 0;
            contract.delivery = Nanos(body.ts_delivery);
        }
        self.on_delivery(event.instrument(), now);
        if let (true, Some(facts)) = (body.tick_size > 0 && body.lot_size > 0, facts) {
            match refit(facts, body) {
                Refit::Same => {}
                Refit::Others(others) => (*facts, self.reloaded_at) = (others, now),
                Refit::Unfit => entered = Some((TradingState::Halted, Reason::FiltersChanged)),
            }
        }
        if last {
            self.filters_at = Some(now);
            conditions.end(Reason::FiltersChanged);
            if std::mem::take(&mut self.refused) && now - self.reloaded_at >= RELOADED {
                // The venue refuses what its own filters allow, or we misread them.
                entered = Some((TradingState::Halted, Reason::FiltersChanged));
            }
        }
        entered
    }

    /// Whether a contract ends, by its state and the time of its delivery.
    fn on_delivery(&mut self, instrument: InstrumentId, now: Nanos) {
        let lead = Nanos::from_secs(i64::from(self.settings.delivery_lead_s));
        if let Some(contract) = self.contracts.get_mut(instrument.index()) {
            let soon = contract.delivery > Nanos::ZERO && now >= contract.delivery - lead;
            contract.ending = !contract.trading || soon;
        }
    }

    /// The venue's equity against the ledger's, by what they differed in when it was first told: a
    /// session that goes on from an earlier one may have seen deposits since.
    fn on_account(&mut self, ledger: &Ledger, conditions: &mut Conditions) {
        let Some(account) = ledger.account() else { return };
        let own = i128::from(ledger.equity().0);
        let more = i128::from(account.equity.0) - own;
        let base = *self.equity_base.get_or_insert(more);
        let short = (base - more).max(0) * 10_000;
        let most = own.max(0) * i128::from(self.settings.equity_gap_bps_max);
        if short > most {
            self.short = self.short.saturating_add(1);
            if self.short >= TWICE {
                conditions.begin(Reason::EquityShort, Nanos::ZERO);
            }
        } else {
            self.short = 0;
            if short * 2 <= most {
                conditions.end(Reason::EquityShort);
            }
        }
    }

    fn on_margin(
        &mut self,
        instrument: InstrumentId,
        ledger: &Ledger,
        conditions: &mut Conditions,
    ) {
        let most = i128::from(self.settings.liquidation_gap_bps_max);
        let margin = ledger.margin(instrument);
        let Some(contract) = self.contracts.get_mut(instrument.index()) else { return };
        let agrees = margin.is_none_or(|told| {
            let (venue, ours) = (told.liquidation_px.0, told.computed_px.0);
            let far = |px: i64| px <= told.mark_px.0 / FAR_PART;
            let gap = (i128::from(venue) - i128::from(ours)).abs() * 10_000;
            let unknown = told.qty == Qty::ZERO || ours < 0;
            unknown || far(venue) && far(ours) || gap <= most * i128::from(venue.max(ours))
        });
        contract.disagrees = if agrees { 0 } else { contract.disagrees.saturating_add(1) };
        let any = self.contracts.iter().any(|contract| contract.disagrees >= TWICE);
        change(conditions, Reason::MarginDisagrees, any);
    }

    /// How near the liquidation price is; what once was near is far only beyond the distance that
    /// entries need, and what once was critical beyond the one that reduces.
    fn on_distance(
        &mut self,
        instrument: InstrumentId,
        ledger: &Ledger,
        conditions: &mut Conditions,
    ) {
        let Some(contract) = self.contracts.get_mut(instrument.index()) else { return };
        let settings = &self.settings;
        let near = match ledger.liquidation_bps(instrument) {
            None => Nearness::Far,
            Some(bps) if bps < settings.liquidation_critical_bps => Nearness::Critical,
            Some(bps) if bps < settings.liquidation_reduce_bps => contract.near.max(Nearness::Near),
            Some(bps) if bps < settings.liquidation_entry_bps => contract.near.min(Nearness::Near),
            Some(_) => Nearness::Far,
        };
        if near == contract.near {
            return;
        }
        contract.near = near;
        let any = |least: Nearness| self.contracts.iter().any(|contract| contract.near >= least);
        let (low, critical) = (any(Nearness::Near), any(Nearness::Critical));
        change(conditions, Reason::MarginLow, low);
        change(conditions, Reason::MarginCritical, critical);
    }

    fn on_mark(&mut self, event: &Event, ledger: &Ledger) {
        let body: &MarkPrice = event.body();
        let Some(contract) = self.contracts.get_mut(event.instrument().index()) else { return };
        let next = Nanos(body.ts_next_funding);
        if next > contract.funding_next {
            contract.funding_last = match contract.funding_next {
                Nanos::ZERO => contract.funding_last,
                before => before,
            };
            contract.funding_next = next;
        }
        let gap = ledger.position(event.instrument()).and_then(Gap::of);
        contract.diverged = diverges(contract.diverged, gap, self.settings.mark_gap_bps_max);
    }

    fn on_timer(&mut self, now: Nanos, ledger: &Ledger, conditions: &mut Conditions) {
        let Some(since) = self.since else { return };
        let settings = &self.settings;
        let old = |at: Option<Nanos>, age_s: u32| {
            age_s > 0 && now - at.unwrap_or(since) > Nanos::from_secs(i64::from(age_s))
        };
        // On paper there may be no venue to ask: only what was told once is missed.
        let expects =
            |every_s: u32, at: Option<Nanos>| every_s > 0 && (self.at_venue || at.is_some());
        let clock = expects(settings.clock_every_s, self.clock_at)
            && old(self.clock_at, settings.clock_age_s_max);
        let filters = expects(settings.filters_every_s, self.filters_at)
            && old(self.filters_at, settings.filters_age_s_max);
        let account_at = ledger.account().map(|account| account.at);
        let account = self.at_venue
            && settings.account_every_s > 0
            && old(account_at, settings.account_age_s_max);
        let modes = self.at_venue
            && settings.modes_every_s > 0
            && old(self.modes_at, settings.modes_age_s_max);
        change(conditions, Reason::ClockUnread, clock);
        change(conditions, Reason::FiltersOld, filters);
        change(conditions, Reason::AccountUnread, account);
        change(conditions, Reason::ModesUnread, modes);
        for place in 0..self.contracts.len() {
            self.on_delivery(InstrumentId(u16::try_from(place).unwrap_or(u16::MAX)), now);
        }
    }
}

/// Begins or ends a condition.
fn change(conditions: &mut Conditions, reason: Reason, is_so: bool) {
    if is_so {
        conditions.begin(reason, Nanos::ZERO);
    } else {
        conditions.end(reason);
    }
}

/// What the venue's filters mean for the session's: a step that ours is a multiple of changes
/// nothing, a multiple of ours is taken over, and one that is neither fits no order of ours.
fn refit(own: &InstrumentSettings, told: &ContractStatus) -> Refit {
    let step = |own: i64, told: i64| match (told % own.max(1), own % told) {
        (0, _) => Some(told),
        (_, 0) => Some(own),
        _ => None,
    };
    let steps = (step(own.tick_size.0, told.tick_size), step(own.lot_size.0, told.lot_size));
    let (Some(tick), Some(lot)) = steps else { return Refit::Unfit };
    let others = InstrumentSettings {
        tick_size: Px(tick),
        lot_size: Qty(lot),
        min_qty: Qty(told.min_qty),
        max_qty: Qty(told.max_qty),
        min_notional: Money(told.min_notional),
        ..*own
    };
    if others == *own { Refit::Same } else { Refit::Others(others) }
}
