//! What inference knows of one instrument: book, features, best prices.

use super::inference::InferenceSettings;
use super::outbox::Outbox;
use super::share::Share;
use crate::base::event::{BookState, BookTicker, Event, Kind, Level, flags};
use crate::base::ids::InstrumentId;
use crate::base::limits::TIMER_VISITS_MAX;
use crate::base::reason::Reason;
use crate::base::time::Nanos;
use crate::book::{Book, BookUpdate};
use crate::features::{FeatureEngine, TopOfBook};

/// Everything the stage knows of one instrument.
pub(super) struct Market {
    pub(super) book: Book,
    pub(super) features: FeatureEngine,
    /// Best bid and ask of the newest of book and bookTicker.
    pub(super) bid: Level,
    pub(super) ask: Level,
    newest_id: u64,
    /// Receipt of `bid` and `ask`.
    pub(super) ts_quote: i64,
    pub(super) book_valid: bool,
    /// The book broke in a way only a fresh snapshot mends.
    pub(super) is_lost: bool,
    /// Bars that have closed.
    pub(super) bars: u64,
    pub(super) decided: Nanos,
    /// Why there last was no answer: reason, feature and model.
    pub(super) last_fault: (u16, u16, u64),
}

impl Market {
    pub(super) fn new(settings: &InferenceSettings) -> Self {
        Self {
            book: Book::new(settings.book_levels),
            features: FeatureEngine::new(&settings.features),
            bid: Level::default(),
            ask: Level::default(),
            newest_id: 0,
            ts_quote: 0,
            book_valid: false,
            is_lost: false,
            bars: 0,
            decided: Nanos(i64::MIN / 2),
            last_fault: (0, 0, 0),
        }
    }

    /// Takes in what is of no instrument, and so of all. Time closes the bars of those that nothing
    /// else happens to: a timer visits the next [`TIMER_VISITS_MAX`] of the session's instruments,
    /// from `next` on, as far as they are of this `share`; `markets` are all of it.
    pub(super) fn observe_all(
        markets: &mut [Self],
        share: Share,
        next: &mut usize,
        event: &Event,
        out: &mut Outbox,
    ) {
        if event.kind == Kind::Timer as u8 {
            for _ in 0..share.instruments().min(TIMER_VISITS_MAX) {
                if share.has(*next)
                    && let Some(market) = markets.get_mut(share.place(*next))
                {
                    market.learn(event);
                }
                *next = (*next + 1) % share.instruments();
            }
        } else if event.kind == Kind::StreamStatus as u8 && !event.has(flags::ON) {
            for (place, market) in markets.iter_mut().enumerate() {
                market.apply_to_book(event, share.instrument(place), out);
            }
        }
    }

    /// Nothing is known of the market any more. Closed bars go on being counted.
    fn forget(&mut self) {
        self.features.forget();
        (self.bid, self.ask) = (Level::default(), Level::default());
        (self.newest_id, self.ts_quote) = (0, 0);
        self.last_fault = (0, 0, 0);
    }

    fn learn(&mut self, event: &Event) {
        self.bars += u64::from(self.features.on_event(event).bar_closed);
    }

    /// Takes a market event in; true when it is one to decide on.
    pub(super) fn observe(&mut self, event: &Event, out: &mut Outbox) -> bool {
        match event.kind() {
            Some(Kind::DepthHead | Kind::DepthLevels | Kind::Gap) => {
                self.apply_to_book(event, event.instrument(), out)
            }
            Some(Kind::SymbolChange) if event.puts_to_sleep() => {
                self.apply_to_book(event, event.instrument(), out);
                self.forget();
                false
            }
            Some(Kind::BookTicker) => {
                let ticker = event.body::<BookTicker>();
                self.learn(event);
                if ticker.update_id >= self.newest_id {
                    self.newest_id = ticker.update_id;
                    self.ts_quote = event.ts_recv;
                    self.bid = Level { px: ticker.bid_px, qty: ticker.bid_qty };
                    self.ask = Level { px: ticker.ask_px, qty: ticker.ask_qty };
                }
                true
            }
            Some(Kind::Trade | Kind::AggTrade) => {
                self.learn(event);
                true
            }
            Some(_) => {
                self.learn(event);
                false
            }
            None => false,
        }
    }

    /// True when the book changed and is valid.
    fn apply_to_book(&mut self, event: &Event, instrument: InstrumentId, out: &mut Outbox) -> bool {
        let update = self.book.apply(event);
        let valid = self.book.is_valid();
        if valid != self.book_valid {
            self.book_valid = valid;
            // A venue that starts counting anew must not be taken for late news.
            self.newest_id = 0;
            let body = BookState {
                last_id: self.book.last_id(),
                bid_px: self.book.best_bid().map_or(0, |l| l.px),
                ask_px: self.book.best_ask().map_or(0, |l| l.px),
                reason: self.book.reason() as u16,
                ..BookState::default()
            };
            self.is_lost = self.book.reason() == Reason::BookCrossed;
            let bits = if valid { flags::ON } else { 0 };
            let event = Event::caused_by(event, Kind::BookState, instrument, &body);
            out.push(event.with_flags(bits));
        }
        let changed = matches!(update, BookUpdate::Applied { .. } | BookUpdate::Synced);
        if !changed && !matches!(update, BookUpdate::Invalid(_)) {
            return false;
        }
        let update = self.features.on_top(&self.top(), event.now());
        self.bars += u64::from(update.bar_closed);
        if valid && self.book.last_id() >= self.newest_id {
            self.newest_id = self.book.last_id();
            self.ts_quote = event.ts_recv;
            self.bid = self.book.best_bid().unwrap_or_default();
            self.ask = self.book.best_ask().unwrap_or_default();
        }
        valid
    }

    fn top(&self) -> TopOfBook {
        let mut top = TopOfBook { valid: self.book.is_valid(), ..TopOfBook::default() };
        for (slot, level) in top.bid.iter_mut().zip(self.book.bids()) {
            *slot = *level;
        }
        for (slot, level) in top.ask.iter_mut().zip(self.book.asks()) {
            *slot = *level;
        }
        top
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::event::{Timer, Trade};
    use crate::base::settings::FeatureSettings;

    /// Bars that each of 150 instruments has after each of some timers, in so many shards.
    fn bars(shards: usize) -> Vec<Vec<u64>> {
        let features = FeatureSettings {
            bar_interval_ms: 1_000,
            market_age_ms_max: 1_000,
            slow_age_ms_max: 1_000,
        };
        let settings =
            InferenceSettings { features, decision_interval: Nanos::ZERO, book_levels: 16 };
        let at = |second, kind| Event { ts_recv: Nanos::from_secs(second).0, ..kind };
        let trade = Trade { px: 100, qty: 1, ..Trade::default() };
        let trade = at(1, Event::new(Kind::AggTrade, InstrumentId(0), &trade));
        let timer = Event::new(Kind::Timer, InstrumentId::NONE, &Timer::default());
        let mut after = vec![vec![0; 150]; 8];
        for share in Share::split(150, shards) {
            let (mut next, mut out) = (0, Outbox::new());
            let mut markets: Vec<Market> =
                (0..share.places()).map(|_| Market::new(&settings)).collect();
            markets.iter_mut().for_each(|market| {
                market.observe(&trade, &mut out);
            });
            for (second, row) in (10..).step_by(10).zip(&mut after) {
                let timer = at(second, timer);
                Market::observe_all(&mut markets, share, &mut next, &timer, &mut out);
                for (place, market) in markets.iter().enumerate() {
                    row[share.instrument(place).index()] = market.bars;
                }
            }
        }
        after
    }

    #[test]
    fn a_timer_closes_the_bars_of_the_same_instruments_however_they_are_shared() {
        let whole = bars(1);
        let closed = whole[0].iter().filter(|bars| **bars > 0).count();
        assert_eq!(closed, TIMER_VISITS_MAX, "by the first timer");
        for shards in [2, 3, 8] {
            assert!(bars(shards) == whole, "{shards} shards");
        }
    }
}
