//! One look at everything, answer by answer.

use super::mirror::Mirror;
use super::{AGAIN, AGAIN_SOON, PAGE_ROWS, Question, Reconciler, Told, VenueHolding, VenueOrder};
use crate::base::event::{
    Event, FundingPayment, OrderReport, Reconciled, VenuePosition, VenueStatus, flags, side_flag,
};
use crate::base::{ClientOrderId, InstrumentId, Kind, Nanos, Qty, Reason, Symbol};
use crate::execution::OrderState;
use crate::execution::reconcile::{Standing, VenueFunding, VenueTrade};
use crate::ledger::Payment;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Pairs of position reads that may differ from one another, or from what we hold, before a round
/// ends without having settled it.
const PASSES_MAX: u32 = 4;
/// Longest time the venue may take to accept a request of ours, plus a margin: after that, an order
/// that is nowhere can never come about.
pub(super) const ARRIVAL_MAX: Nanos = Nanos::from_secs(1 + 5);
/// How far the venue's clock may be behind ours where trades are asked for by a time of ours.
/// Those of the margin count once, by their numbers, and only where they are of an order of ours.
pub const CLOCK_MARGIN: Nanos = Nanos::from_secs(10);
/// Names of orders that the venue itself makes.
const VENUE_NAMES: [&str; 3] = ["autoclose-", "adl_autoclose", "settlement_autoclose-"];

/// The state of one round.
#[derive(Debug)]
pub struct Round {
    plan: VecDeque<Question>,
    symbols: Vec<Symbol>,
    /// Lists of open orders still to come before orders are looked up one by one.
    lists: usize,
    /// Orders that could change when the round began.
    pub(super) live: Vec<ClientOrderId>,
    pub(super) open: BTreeSet<u64>,
    pub(super) absent: BTreeSet<u64>,
    /// Orders that the venue calls filled, with how much, 1e-8.
    pub(super) ended: BTreeMap<u64, i64>,
    first: Option<(Vec<VenueHolding>, Vec<u64>)>,
    /// What the pass before found: a difference counts when trades were read after it was seen
    /// first and did not explain it. What fills between the reads of one pass is no mismatch.
    before: Option<(Vec<VenueHolding>, Vec<u64>)>,
    passes: u32,
    /// A trade belongs to an order that may be ours and has no number yet.
    unclear: bool,
}

impl Round {
    /// Everything to be asked; `wide` asks about every symbol of the account.
    pub fn new(symbols: &[Symbol], mirror: &mut Mirror, wide: bool) -> Self {
        let whose: Vec<Option<Symbol>> = match wide {
            true => vec![None],
            false => symbols.iter().copied().map(Some).collect(),
        };
        let mut plan = VecDeque::new();
        plan.extend(whose.iter().map(|&symbol| Question::OpenOrders { symbol }));
        plan.extend(whose.iter().map(|&symbol| Question::OpenAlgoOrders { symbol }));
        let lists = plan.len();
        let live = mirror.live().iter().map(|order| order.id).collect();
        let mut round = Self {
            plan,
            symbols: symbols.to_vec(),
            lists,
            live,
            open: BTreeSet::new(),
            absent: BTreeSet::new(),
            ended: BTreeMap::new(),
            first: None,
            before: None,
            passes: 0,
            unclear: false,
        };
        round.plan_positions(mirror);
        round
    }

    /// The next question.
    pub fn next(&mut self) -> Option<Question> {
        self.plan.pop_front()
    }

    /// Trades of every symbol between nothing and the first read of positions; funding between the
    /// two reads.
    fn plan_positions(&mut self, mirror: &Mirror) {
        for index in 0..self.symbols.len() {
            self.plan.extend(self.trades_of(index, mirror));
        }
        let since = mirror.funding_since;
        let rest = [Question::Positions, Question::Funding { since }, Question::Positions];
        self.plan.extend(rest);
        self.first = None;
    }

    fn trades_of(&self, index: usize, mirror: &Mirror) -> Option<Question> {
        let (symbol, holding) = (*self.symbols.get(index)?, mirror.holding(index)?);
        let instrument = InstrumentId(u16::try_from(index).ok()?);
        Some(match (holding.cursor, holding.since) {
            (Some(newest), _) => Question::Trades { instrument, symbol, from: Some(newest + 1) },
            (None, Some(since)) => {
                Question::TradesSince { instrument, symbol, since: since - CLOCK_MARGIN }
            }
            (None, None) => Question::Trades { instrument, symbol, from: None },
        })
    }

    fn place(&self, symbol: &Symbol) -> Option<usize> {
        self.symbols.iter().position(|own| own == symbol)
    }
}

impl Reconciler {
    /// Takes the answer to a question of the round under way.
    pub(super) fn on_round_answer(
        &mut self,
        mut round: Round,
        question: &Question,
        told: &Told,
        now: Nanos,
    ) {
        let mut done = false;
        match (question, told) {
            (Question::OpenOrders { .. } | Question::OpenAlgoOrders { .. }, Told::Orders(open)) => {
                self.on_list(&mut round, question, open, now);
            }
            (Question::Order { symbol, id }, Told::Order(Some(order))) => {
                self.adopt(order);
                if order.standing == Standing::Filled {
                    round.ended.insert(id.0, order.filled.0);
                }
                if order.standing == Standing::Triggered {
                    round.plan.push_front(Question::Order { symbol: *symbol, id: *id });
                }
            }
            (Question::AlgoOrder { id }, Told::Order(Some(order))) => {
                self.adopt(order);
                if order.standing == Standing::Triggered {
                    let symbol = order.symbol;
                    round.plan.push_front(Question::Order { symbol, id: *id });
                }
            }
            (Question::Order { id, .. } | Question::AlgoOrder { id }, Told::Order(None)) => {
                round.absent.insert(id.0);
            }
            (Question::OrderNumbered { number, .. }, Told::Order(order)) => {
                self.on_numbered(*number, order.as_ref());
            }
            (
                Question::Trades { instrument, .. } | Question::TradesSince { instrument, .. },
                Told::Trades(trades),
            ) => self.on_trades(&mut round, *instrument, question, trades),
            (Question::Funding { .. }, Told::Funding(paid)) => self.on_funding(&mut round, paid),
            (Question::Positions, Told::Positions(held)) => {
                done = self.on_positions(&mut round, held, now);
            }
            _ => {}
        }
        self.round = (!done).then_some(round);
    }

    fn on_list(&mut self, round: &mut Round, question: &Question, open: &[VenueOrder], now: Nanos) {
        let mut again = false;
        for order in open {
            // One that is long over for us is as unexpected as one of somebody else.
            let lives = |id: &ClientOrderId| {
                self.mirror.table.find(*id).is_some_and(|known| {
                    !known.state.is_terminal() || now - known.asked_at <= ARRIVAL_MAX
                })
            };
            if let Some(id) = order.id().filter(lives) {
                round.open.insert(id.0);
                self.adopt(order);
            } else {
                again |= self.on_foreign(order);
            }
        }
        if again {
            // A second read says whether it is really there.
            round.plan.push_front(*question);
            return;
        }
        round.lists = round.lists.saturating_sub(1);
        if round.lists > 0 {
            return;
        }
        for order in self.mirror.live() {
            let wanted = round.live.contains(&order.id) && !round.open.contains(&order.id.0);
            let symbol = round.symbols.get(order.instrument.index()).filter(|_| wanted);
            let Some(&symbol) = symbol else { continue };
            round.plan.push_front(match self.mirror.is_algo(order.id) {
                true => Question::AlgoOrder { id: order.id },
                false => Question::Order { symbol, id: order.id },
            });
        }
    }

    /// An order that is not ours; true when a second read has to confirm it.
    fn on_foreign(&mut self, order: &VenueOrder) -> bool {
        if self.told_foreign.contains(&order.name) {
            return false;
        }
        if self.seen_foreign.insert(order.name.clone()) {
            return true;
        }
        let is_lost = order.id().is_some_and(|id| self.mirror.is_lost_record(id));
        let reason = if is_lost { Reason::JournalLossy } else { meaning_of(&order.name) };
        self.tell_order(order, reason);
        false
    }

    /// Says of an order of ours what the venue says and the river has not told.
    pub(super) fn adopt(&mut self, order: &VenueOrder) {
        let Some(id) = order.id() else { return };
        self.mirror.name(order.venue_id, id);
        self.mirror.name(order.became, id);
        let Some(known) = self.mirror.table.find(id).copied() else { return };
        if known.state.is_terminal() {
            return;
        }
        let settled = matches!(known.state, OrderState::Working | OrderState::PartiallyFilled);
        let (kind, reason) = match order.standing {
            // Where it waits as we believe, there is nothing to say.
            Standing::Open if settled && known.venue_id != 0 => return,
            Standing::Open => (Kind::OrderAccepted, Reason::Reconciled),
            // Its fills say so, one by one.
            Standing::Filled | Standing::Triggered => return,
            Standing::Cancelled => (Kind::OrderCancelled, Reason::Reconciled),
            Standing::Expired => (Kind::OrderExpired, Reason::ImmediateRest),
            Standing::Rejected => (Kind::OrderRejected, Reason::VenueRejected),
        };
        let body = OrderReport {
            client_id: id.0,
            venue_id: order.venue_id,
            px: order.px.0,
            qty: order.qty.0,
            cum_qty: order.filled.0,
            reason: reason as u16,
            ..OrderReport::default()
        };
        let reduce = if order.reduce_only { flags::REDUCE_ONLY } else { 0 };
        let event = Event::new(kind, known.instrument, &body);
        let event = event.with_flags(side_flag(order.side) | reduce);
        self.out.push_back(Event { ts_venue: order.updated.0, ..event });
        if kind == Kind::OrderAccepted && order.qty.is_positive() && order.qty != known.qty {
            let (told, held) = (order.qty.0, known.qty.0);
            let body = VenueStatus { client_id: id.0, told, held, ..VenueStatus::default() };
            self.tell(known.instrument, Reason::VenueAdjusted, body);
        }
    }

    fn on_trades(
        &mut self,
        round: &mut Round,
        instrument: InstrumentId,
        question: &Question,
        trades: &[VenueTrade],
    ) {
        let Some(holding) = self.mirror.holding(instrument.index()).copied() else { return };
        let baseline = holding.cursor.is_none() && holding.since.is_none();
        for trade in trades {
            let early = holding.cursor.is_none()
                && holding.since.is_some_and(|since| trade.ts < since)
                && self.mirror.id_of(trade.order).is_none();
            let new = !early
                && !self.mirror.fills.knows(instrument, trade.id)
                && holding.cursor.is_none_or(|newest| trade.id > newest);
            if !baseline && new && !self.missed(round, instrument, trade) {
                // The number it belongs to is not known yet: nothing behind it is read either.
                round.unclear = true;
                return;
            }
            if let Some(holding) = self.mirror.holding_mut(instrument.index()) {
                holding.cursor = Some(trade.id.max(holding.cursor.unwrap_or(0)));
            }
        }
        let asked_from = matches!(question, Question::Trades { from: Some(_), .. });
        if baseline
            && trades.is_empty()
            && let Some(holding) = self.mirror.holding_mut(instrument.index())
        {
            holding.cursor = Some(0);
        }
        if trades.len() == PAGE_ROWS && (asked_from || !baseline) {
            let more = round.trades_of(instrument.index(), &self.mirror);
            if let Some(more) = more {
                round.plan.push_front(more);
            }
        }
    }

    /// Tells a fill that the river has not seen; false while it is not clear whose it is.
    fn missed(&mut self, round: &mut Round, instrument: InstrumentId, trade: &VenueTrade) -> bool {
        let id = self.mirror.id_of(trade.order);
        let stranger = self.mirror.strangers.get(&trade.order).copied();
        if id.is_none() {
            let may_be_ours = self.mirror.live().iter().any(|order| {
                order.instrument == instrument && order.venue_id == 0 && order.filled < order.qty
            });
            if may_be_ours && !self.search.wants_round() {
                return false;
            }
            if let (None, Some(&symbol)) = (stranger, round.symbols.get(instrument.index())) {
                // Whose it is, the venue can say.
                let number = trade.order;
                round.plan.push_front(Question::OrderNumbered { symbol, number });
                return false;
            }
        }
        let known = id.and_then(|id| self.mirror.table.find(id));
        let filled = known.map_or(0, |order| order.filled.0).saturating_add(trade.qty.0);
        let body = OrderReport {
            client_id: id.map_or(0, |id| id.0),
            venue_id: trade.order,
            qty: known.map_or(0, |order| order.qty.0),
            last_px: trade.px.0,
            last_qty: trade.qty.0,
            cum_qty: if id.is_some() { filled } else { 0 },
            fee: trade.fee.0,
            trade_id: trade.id,
            reason: match id {
                Some(_) => Reason::None,
                None => stranger.unwrap_or(Reason::ForeignOrder),
            } as u16,
            ..OrderReport::default()
        };
        let maker = if trade.is_maker { flags::MAKER } else { 0 };
        let event = Event::new(Kind::OrderFilled, instrument, &body);
        let event = event.with_flags(side_flag(trade.side) | maker);
        self.out.push_back(Event { ts_venue: trade.ts.0, ..event });
        true
    }

    /// Whose an order is that belongs to none we know: its fills are told by the name it has.
    fn on_numbered(&mut self, number: u64, order: Option<&VenueOrder>) {
        let id = order.and_then(VenueOrder::id);
        if let (Some(id), Some(order)) = (id, order)
            && self.mirror.is_lost_record(id)
        {
            self.mirror.name(number, id);
            self.tell_order(order, Reason::JournalLossy);
            return;
        }
        if let Some(id) = id.filter(|id| self.mirror.table.find(*id).is_some()) {
            self.mirror.name(number, id);
            return;
        }
        let name = order.map_or("", |order| order.name.as_str());
        self.mirror.note_stranger(number, meaning_of(name));
    }

    /// Says once that there is an order which is not in our books.
    fn tell_order(&mut self, order: &VenueOrder, reason: Reason) {
        if !self.told_foreign.insert(order.name.clone()) {
            return;
        }
        let place = self.symbols.iter().position(|symbol| *symbol == order.symbol);
        let instrument = place.and_then(|place| u16::try_from(place).ok());
        let instrument = instrument.map_or(InstrumentId::NONE, InstrumentId);
        let client_id = order.id().map_or(0, |id| id.0);
        let body = VenueStatus { client_id, told: order.qty.0, ..VenueStatus::default() };
        self.tell(instrument, reason, body);
    }

    fn on_funding(&mut self, round: &mut Round, paid: &[VenueFunding]) {
        let since = self.mirror.funding_since;
        for payment in paid {
            let Some(place) = round.place(&payment.symbol) else { continue };
            let instrument = InstrumentId(u16::try_from(place).unwrap_or(u16::MAX));
            let body = FundingPayment { amount: payment.amount.0, ..FundingPayment::default() };
            let event = Event::new(Kind::FundingPayment, instrument, &body);
            let told = Event { ts_venue: payment.ts.0, ..event }.with_flags(flags::SNAPSHOT);
            if payment.ts > since && !self.mirror.knows_payment(&Payment::of(&told)) {
                self.out.push_back(told);
            }
        }
        if let Some(newest) = paid.last() {
            // A little overlap: payments of one time may come into the list one after the other.
            let overlap = newest.ts - Nanos::from_secs(60);
            self.mirror.funding_since = since.max(overlap);
            if paid.len() == PAGE_ROWS && overlap > since {
                round.plan.push_front(Question::Funding { since: overlap });
            }
        }
    }

    /// True when the round is over.
    fn on_positions(&mut self, round: &mut Round, held: &[VenueHolding], now: Nanos) -> bool {
        let mut held = held.to_vec();
        held.sort_by_key(|holding| holding.symbol);
        let moves: Vec<u64> = (0..round.symbols.len())
            .map(|index| self.mirror.holding(index).map_or(0, |holding| holding.moves))
            .collect();
        let Some((first, moved)) = round.first.take() else {
            round.first = Some((held, moves));
            return false;
        };
        let agree = |round: &Round, mirror: &Mirror| {
            (0..round.symbols.len()).all(|index| {
                let ours = mirror.holding(index).map_or(0, |holding| holding.qty);
                ours == told_of(&held, &round.symbols[index]).qty.0
            })
        };
        let steady = first == held && moved == moves;
        let agrees = agree(round, &self.mirror);
        let settled = steady && !round.unclear && agrees;
        let found = (held, moves);
        let is_sure = agrees || round.before.as_ref() == Some(&found);
        let held = round.before.insert(found).0.clone();
        round.passes += 1;
        if !settled && round.passes < PASSES_MAX {
            round.unclear = false;
            round.plan.clear();
            round.plan_positions(&self.mirror);
            return false;
        }
        if !steady || round.unclear || !is_sure {
            // It trades, or a trade may belong to an order whose number is still to be told or
            // found out: another time.
            self.due = Some(now + AGAIN);
            return true;
        }
        self.conclude(round, &held, now);
        true
    }

    /// Two reads told the same, and nothing moved in between.
    fn conclude(&mut self, round: &Round, held: &[VenueHolding], now: Nanos) {
        let mut clean = !round.unclear;
        let mut positions = 0;
        for (index, symbol) in round.symbols.iter().enumerate() {
            let told = told_of(held, symbol);
            let ours = self.mirror.holding(index).map_or(0, |holding| holding.qty);
            let instrument = InstrumentId(u16::try_from(index).unwrap_or(u16::MAX));
            positions += u64::from(told.qty != Qty::ZERO);
            let (qty, entry_px) = (told.qty.0, told.entry_px.0);
            let cursor = self.mirror.holding(index).and_then(|holding| holding.cursor);
            let body = VenuePosition {
                qty,
                entry_px,
                round: self.rounds,
                // What the list told up to here is in the river before this record.
                trades_from: cursor.map_or(0, |newest| newest.saturating_add(1)),
                ..VenuePosition::default()
            };
            let event = Event::new(Kind::VenuePosition, instrument, &body);
            self.out.push_back(event.with_flags(flags::LAST));
            if qty != ours {
                clean = false;
                let body = VenueStatus { told: qty, held: ours, ..VenueStatus::default() };
                self.tell(instrument, Reason::PositionMismatch, body);
            }
        }
        for holding in held.iter().filter(|holding| round.place(&holding.symbol).is_none()) {
            if self.told_foreign.insert(format!("position {}", holding.symbol)) {
                let body = VenueStatus { told: holding.qty.0, ..VenueStatus::default() };
                self.tell(InstrumentId::NONE, Reason::PositionMismatch, body);
            }
        }
        let told = self.out.len();
        clean &= self.settle_absent(round, clean, now);
        if !clean {
            // What was just said, or has to be missing once more, is soon looked at again.
            let soon = self.out.len() > told || self.search.is_due_to_be_lost();
            let wait = if soon { AGAIN_SOON } else { AGAIN };
            self.due = Some(self.due.map_or(now + wait, |due| due.min(now + wait)));
            return;
        }
        self.last_clean = Some(now);
        self.search.forget_settled(&self.mirror);
        self.owes_round = !self.search.is_empty();
        let open_orders = round.open.len() as u64;
        let funding_since = self.mirror.funding_since.0;
        let body = Reconciled { open_orders, positions, funding_since, ..Reconciled::default() };
        self.out.push_back(Event::new(Kind::Reconciled, InstrumentId::NONE, &body));
    }
}

/// What an order means that nobody of us sent, by its name.
fn meaning_of(name: &str) -> Reason {
    let by_venue = VENUE_NAMES.iter().any(|start| name.starts_with(start));
    if by_venue { Reason::ClosedByVenue } else { Reason::ForeignOrder }
}

fn told_of(held: &[VenueHolding], symbol: &Symbol) -> VenueHolding {
    let flat = VenueHolding { symbol: *symbol, qty: Qty::ZERO, entry_px: crate::base::Px::ZERO };
    held.iter().find(|holding| holding.symbol == *symbol).copied().unwrap_or(flat)
}
