//! What a new leader does before its session: takes over the venue's timer, cancels what earlier
//! leaders left to enter and leave by, and makes what is left at the venue, protective stops and
//! positions, into what the session starts from.
//!
//! Nothing that an earlier leader signed can arrive any more when this begins: the wait before it
//! is longer than a lease, the venue's window and the clocks together. So what the venue tells
//! twice is what there is.

use super::Term;
use crate::base::counters::Counters;
use crate::base::event::{OrderCarried, PositionCarried, SessionCarried, flags};
use crate::base::fence::Fence;
use crate::base::settings::Settings;
use crate::base::units::notional;
use crate::base::{InstrumentId, Money, Nanos, OrderType, Purpose, Qty, Reason, Side, Symbol};
use crate::execution::OrderState;
use crate::execution::reconcile::{Question, Told, VenueHolding, VenueOrder};
use crate::model::ArtifactFiles;
use crate::risk::TradingState;
use crate::runtime::access::Asking;
use crate::runtime::clock::wall_now;
use crate::runtime::kill::latch::{Cleared, Latch};
use crate::runtime::own::OwnModels;
use crate::runtime::patience::Patience;
use crate::runtime::recover::Carried;
use crate::runtime::rig::VenueAccess;
use crate::runtime::state::StateFolder;
use crate::standby::{SharedRisk, View};
use crate::venue::account::AccountClient;
use crate::venue::job::{CANCELS_MAX, RestJob, RestReply};
use anyhow::{Context, Result, anyhow, bail};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Longest time to find the venue steady.
const PATIENCE: Duration = Duration::from_secs(30);
/// Time between two looks.
const PAUSE: Duration = Duration::from_millis(100);
/// Looks in a row that must find no order.
const EMPTY_LOOKS: u32 = 2;

impl Term {
    /// That the model which was chosen is the group's.
    ///
    /// # Errors
    /// When it changed since this process started.
    pub fn check(&self, files: &ArtifactFiles) -> Result<()> {
        if files.sha256 == self.agreed.model {
            return Ok(());
        }
        bail!("the model is another one than when this node joined its group; start it again")
    }

    /// Refuses other models of symbols' own than those that the group agreed on.
    ///
    /// # Errors
    /// When one changed since this process started.
    pub fn check_own(&self, own: &OwnModels) -> Result<()> {
        if own.hash() == self.agreed.own {
            return Ok(());
        }
        bail!("model.own: a model is another one than when this node joined its group; start again")
    }

    /// Does what the head of this file says; `own` is what this node's journals left. It comes back
    /// with what the session starts from, and the highest epoch that anybody sent under.
    ///
    /// # Errors
    /// When the venue does not answer, or does not come to rest in time.
    pub fn take_over(
        &self,
        own: Carried,
        settings: &Settings,
        (access, patience): (&VenueAccess, &Patience<'_>),
        state: &StateFolder,
    ) -> Result<(Carried, u32)> {
        let url = &settings.venue.rest_url;
        let account = AccountClient::new(url, access.credentials.clone(), wall_now);
        let asking = Asking { account, budget: &access.budget, patience };
        let at_venue = AtVenue { settings, asking, fence: &self.fence, began: Instant::now() };
        at_venue.take_timer()?;
        let newest = at_venue.cancel_orders()?;
        let view = &self.view;
        let last = view.epoch.max(newest);
        tracing::info!(group = view.epoch, newest, own = own.session.epoch, "epochs");
        let wallet = settings.risk.starting_equity.unwrap_or(Money::ZERO);
        let is_older = is_older(&own, view, newest);
        let mut carried = match goes_on(&own, last) {
            true => own,
            false => at_venue.carried(&own, last, wallet)?,
        };
        worsen(&mut carried, view, is_older);
        // A kill that was cleared on this node stays cleared.
        if Latch::read(state.dir()).is_none() {
            carried.heed(None, Cleared::read(state.dir()).as_ref());
        }
        Ok((carried, last))
    }

    /// Makes the epoch the group's before anything is sent under it.
    ///
    /// # Errors
    /// When the lease is over, or the epoch is not the group's highest.
    pub fn seal(&self, epoch: u32) -> Result<()> {
        self.keeper.seal(epoch)
    }

    /// From here on the risk state is kept for the next leader.
    pub fn watch(&self, counters: Arc<Counters>, epoch: u32) {
        self.keeper.watch(counters, epoch);
    }
}

/// True where this node's own journal is the newest: it led last. The journal of a node that stood
/// by is behind, and the venue alone tells what is there.
fn goes_on(own: &Carried, last: u32) -> bool {
    last == 0 || own.from.is_some() && own.session.epoch >= last
}

/// True where etcd is older than what the venue or this node's journal knows. One that knows no
/// epoch is new, or was emptied: then the one machine that was there before goes on, and no other.
fn is_older(own: &Carried, view: &View, newest: u32) -> bool {
    match view.epoch {
        0 => newest > own.session.epoch,
        epoch => newest.max(own.session.epoch) > epoch,
    }
}

/// Takes in the risk state of the group: the worse of two counts. Where the venue knows an epoch
/// that the group does not, etcd holds an older state than there was: somebody has to look.
fn worsen(carried: &mut Carried, view: &View, is_older: bool) {
    let halt = |session: &mut SessionCarried| {
        if session.state != TradingState::Killed as u8 {
            (session.state, session.reason) = (TradingState::Halted as u8, Reason::Fenced as u16);
        }
    };
    let session = &mut carried.session;
    match view.risk.as_deref().map(SharedRisk::from_text) {
        Some(Some(risk)) => {
            risk.worsen(session);
            carried.paused |= risk.is_reduced();
        }
        Some(None) => {
            tracing::error!("the group's risk state cannot be read: halted");
            halt(session);
        }
        None => {}
    }
    if is_older {
        tracing::error!("the venue knows orders of a later epoch than the group: halted");
        halt(session);
    }
}

/// The account, as it is asked here.
struct AtVenue<'a> {
    settings: &'a Settings,
    asking: Asking<'a>,
    fence: &'a Fence,
    began: Instant,
}

impl AtVenue<'_> {
    fn symbols(&self) -> &[Symbol] {
        &self.settings.instruments.symbols
    }

    /// The first call replaces the timer of the leader before, which could cancel our orders.
    fn take_timer(&self) -> Result<()> {
        let after_ms = self.settings.venue.dead_man_ms;
        if after_ms == 0 {
            return Ok(());
        }
        for &symbol in self.symbols() {
            let taken = self.asking.ask(RestJob::Countdown { symbol, after_ms });
            taken.map_err(|what| anyhow!("the venue's timer: {what}"))?;
        }
        Ok(())
    }

    /// Cancels plain orders of earlier epochs until there is none, looked at twice; the highest
    /// epoch among all orders of ours.
    fn cancel_orders(&self) -> Result<u32> {
        let (mut newest, mut empty) = (0, 0);
        while empty < EMPTY_LOOKS {
            let open = self.orders(Question::OpenOrders { symbol: None })?;
            let stops = self.orders(Question::OpenAlgoOrders { symbol: None })?;
            let epochs = open.iter().chain(&stops).filter_map(VenueOrder::id);
            newest = epochs.map(|id| id.epoch()).fold(newest, u32::max);
            let ours = |order: &&VenueOrder| order.id().is_some();
            let own: Vec<&VenueOrder> = open.iter().filter(ours).collect();
            empty = if own.is_empty() { empty + 1 } else { 0 };
            for &symbol in self.symbols() {
                let left = own.iter().filter(|order| order.symbol == symbol);
                let left: Vec<u64> = left.map(|order| order.venue_id).collect();
                for some in left.chunks(CANCELS_MAX) {
                    let mut orders = [0; CANCELS_MAX];
                    orders[..some.len()].copy_from_slice(some);
                    tracing::warn!(%symbol, count = some.len(), "orders of an earlier leader");
                    if let Err(what) = self.asking.ask(RestJob::CancelBatch { symbol, orders }) {
                        tracing::error!(what, "orders of an earlier leader were not cancelled");
                    }
                }
            }
            self.pause("orders of an earlier leader are still open")?;
        }
        Ok(newest)
    }

    /// What is at the venue, as a session starts from it: two looks that tell the same. Of this
    /// node's `own` it has what is not of a session: the account, a kill or its clear.
    fn carried(&self, own: &Carried, epoch: u32, wallet: Money) -> Result<Carried> {
        let mut before = None;
        let found = loop {
            let found = self.found()?;
            if before.as_ref() == Some(&found) {
                break found;
            }
            before = Some(found);
            self.pause("positions and trades do not come to rest")?;
        };
        let now = wall_now();
        let mut carried = Carried {
            account: own.account,
            commands: own.commands.clone(),
            session: SessionCarried {
                starting_equity: wallet.0,
                peak_equity: wallet.0,
                day_start_equity: wallet.0,
                day: now.utc_day(),
                epoch,
                ts_last: now.0,
                funding_since: now.0,
                ..SessionCarried::default()
            },
            ..Carried::default()
        };
        for (place, &symbol) in self.symbols().iter().enumerate() {
            let held = found.positions.iter().find(|held| held.symbol == symbol);
            let position = position_of(held, found.trades[place], now);
            if position != PositionCarried::default() {
                carried.positions.push((symbol, position));
            }
        }
        for stop in &found.stops {
            self.carry_stop(stop, &mut carried)?;
        }
        Ok(carried)
    }

    /// A stop goes on where there is a position for it; one that waits for nothing goes.
    fn carry_stop(&self, stop: &VenueOrder, carried: &mut Carried) -> Result<()> {
        let Some(id) = stop.id().filter(|_| self.symbols().contains(&stop.symbol)) else {
            return Ok(());
        };
        let held = carried.position(stop.symbol).map_or(0, |position| position.qty);
        if held == 0 || !stop.reduce_only {
            let cancel = RestJob::CancelAlgo { order: stop.venue_id };
            self.asking.ask(cancel).map_err(|what| anyhow!("a stop without a position: {what}"))?;
            return Ok(());
        }
        let body = OrderCarried {
            client_id: id.0,
            venue_id: stop.venue_id,
            px: stop.px.0,
            qty: if stop.qty.is_positive() { stop.qty.0 } else { held.abs() },
            ts_sent: stop.updated.0,
            order_type: OrderType::StopMarket as u8,
            purpose: Purpose::Protect as u8,
            state: OrderState::Working as u8,
            ..OrderCarried::default()
        };
        let side = if stop.side == Side::Sell { flags::SELL } else { 0 };
        carried.orders.push((stop.symbol, side | flags::REDUCE_ONLY, body));
        Ok(())
    }

    fn found(&self) -> Result<Found> {
        let mut trades = Vec::new();
        for (place, &symbol) in self.symbols().iter().enumerate() {
            let instrument = InstrumentId(u16::try_from(place).unwrap_or(u16::MAX));
            trades.push(match self.tell(Question::Trades { instrument, symbol, from: None })? {
                Told::Trades(trades) => trades.last().map_or(0, |trade| trade.id),
                _ => bail!("our trades were answered by something else"),
            });
        }
        let mut stops = self.orders(Question::OpenAlgoOrders { symbol: None })?;
        stops.sort_by(|a, b| a.name.cmp(&b.name));
        let Told::Positions(mut positions) = self.tell(Question::Positions)? else {
            bail!("positions were answered by something else")
        };
        positions.sort_by_key(|held| held.symbol);
        Ok(Found { positions, stops, trades })
    }

    fn orders(&self, question: Question) -> Result<Vec<VenueOrder>> {
        match self.tell(question)? {
            Told::Orders(orders) => Ok(orders),
            _ => bail!("open orders were answered by something else"),
        }
    }

    fn tell(&self, question: Question) -> Result<Told> {
        match self.asking.ask(RestJob::Ask(question)) {
            Ok(RestReply::Told(told)) => Ok(told),
            Ok(_) => bail!("{question:?} was answered by something else"),
            Err(what) => Err(anyhow!(what)).context("what an earlier leader left is not known"),
        }
    }

    fn pause(&self, what: &'static str) -> Result<()> {
        if self.fence.is_closed() {
            bail!("the lease was over during the takeover");
        }
        if self.began.elapsed() > PATIENCE {
            bail!("{what}");
        }
        std::thread::sleep(PAUSE);
        Ok(())
    }
}

/// What two looks must tell alike.
#[derive(Debug, PartialEq)]
struct Found {
    positions: Vec<VenueHolding>,
    stops: Vec<VenueOrder>,
    /// Number of the newest trade of each symbol; 0 for none.
    trades: Vec<u64>,
}

/// A position by what the venue says of it. What it was decided with is not known.
fn position_of(held: Option<&VenueHolding>, newest_trade: u64, now: Nanos) -> PositionCarried {
    let trades_from = newest_trade.saturating_add(1);
    let Some(held) = held.filter(|held| held.qty != Qty::ZERO) else {
        return PositionCarried { trades_from, ..PositionCarried::default() };
    };
    let cost = notional(held.qty, held.entry_px).map_or(0, |cost| cost.0);
    PositionCarried {
        qty: held.qty.0,
        cost,
        trades_from,
        ts_opened: now.0,
        best_px: held.entry_px.0,
        ..PositionCarried::default()
    }
}

#[cfg(test)]
#[path = "tests/takeover.rs"]
mod tests;
