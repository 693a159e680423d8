//! The exchange as a state machine without sockets and without a clock: every input carries its
//! time, every output is a delivery to a connection or the answer to a request. Same settings and
//! same inputs give the same bytes.

use super::account::notice::{News, Notice};
use super::account::{AccountSettings, Accounts};
use super::flow::market::SyntheticMarket;
use super::flow::replay::Replay;
use super::spec::SymbolSpec;
use super::tape::frames::Stream;
use super::wire::http::{Answer, Request};
use super::wire::keys::ListenKeys;
use super::wire::limits::Limits;
use super::wire::private::Records;
use super::wire::route::{Route, Target};
use super::wire::streams::{ConnId, Control, Delivery, Streams};
use super::wire::{api, rest, user};
use crate::base::Nanos;
use std::net::IpAddr;

/// Why a connection is cut off that sends too much.
const TOO_MANY: &str = "Too many requests";

/// What to open.
#[derive(Clone, Debug)]
pub struct ExchangeSettings {
    /// Seed of everything random.
    pub seed: u64,
    /// The contracts.
    pub symbols: Vec<SymbolSpec>,
    /// Market frames per second over all contracts.
    pub rate: f64,
    /// Event time at the opening.
    pub opened_at: Nanos,
    /// The accounts.
    pub accounts: Vec<AccountSettings>,
}

/// See the head of this file.
#[derive(Debug)]
pub struct Exchange {
    /// Contracts, books, order flow.
    pub market: SyntheticMarket,
    /// Accounts, orders, the ledger.
    pub accounts: Accounts,
    /// Keys of user streams.
    pub keys: ListenKeys,
    /// Subscriptions.
    pub streams: Streams,
    /// What callers may ask for.
    pub limits: Limits,
    /// Connections of the trading WebSocket API.
    pub sessions: api::Sessions,
    /// What the protocol tells later and accounts do not keep.
    pub records: Records,
    /// How far the clock that callers see is ahead of the exchange's own.
    pub skew: Nanos,
    /// How far what has happened is behind the clock, on a machine that cannot keep up. Requests
    /// are judged by the clock; zero where time passes by steps.
    pub lag: Nanos,
    replay: Option<Replay>,
    outbox: Vec<Delivery>,
    now: Nanos,
}

impl Exchange {
    /// Opens.
    pub fn new(settings: &ExchangeSettings) -> Self {
        let ExchangeSettings { seed, symbols, rate, opened_at, .. } = settings;
        Self::over(SyntheticMarket::with_rate(*seed, symbols, *opened_at, *rate), settings)
    }

    /// Opens with the contracts of a recording, which drives the market from then on.
    pub fn replaying(settings: &ExchangeSettings, replay: Replay) -> Self {
        let symbols = replay.specs().to_vec();
        let market = SyntheticMarket::recorded(settings.seed, &symbols, settings.opened_at);
        let settings = ExchangeSettings { symbols, ..settings.clone() };
        Self { replay: Some(replay), ..Self::over(market, &settings) }
    }

    /// Opens without anything to tell of the time before: quicker, for many short runs.
    pub fn without_past(settings: &ExchangeSettings) -> Self {
        let ExchangeSettings { seed, symbols, rate, opened_at, .. } = settings;
        let mut market = SyntheticMarket::with_rate(*seed, symbols, *opened_at, *rate);
        market.remember_from_now();
        Self::made_of(market, settings)
    }

    /// Opens over a market of the settings' contracts.
    fn over(mut market: SyntheticMarket, settings: &ExchangeSettings) -> Self {
        market.remember(settings.seed);
        Self::made_of(market, settings)
    }

    fn made_of(market: SyntheticMarket, settings: &ExchangeSettings) -> Self {
        let ExchangeSettings { symbols, opened_at, accounts, .. } = settings;
        Self {
            market,
            accounts: Accounts::new(accounts, symbols, *opened_at),
            keys: ListenKeys::default(),
            streams: Streams::new(symbols),
            limits: Limits::default(),
            sessions: api::Sessions::default(),
            records: Records::default(),
            skew: Nanos::ZERO,
            lag: Nanos::ZERO,
            replay: None,
            outbox: Vec::new(),
            now: *opened_at,
        }
    }

    /// The recording under way.
    pub const fn replay(&self) -> Option<&Replay> {
        self.replay.as_ref()
    }

    /// Event time of the last input.
    pub const fn now(&self) -> Nanos {
        self.now
    }

    /// What the exchange's clock shows at event time `now`.
    pub fn clock(&self, now: Nanos) -> Nanos {
        now + self.lag + self.skew
    }

    /// When something next happens by itself.
    pub fn next_due(&self) -> Nanos {
        let slow = self.keys.next_due().min(self.streams.next_due());
        let replay = self.replay.as_ref().map_or(Nanos(i64::MAX), Replay::next_due);
        self.market.next_due().min(self.accounts.next_due()).min(slow).min(replay)
    }

    /// Lets everything happen that is due by `now`, in order of time.
    pub fn advance(&mut self, now: Nanos) {
        loop {
            self.settle();
            let first = self.next_due();
            if first > now {
                break;
            }
            self.now = self.now.max(first);
            if let Some(replay) = &mut self.replay
                && replay.next_due() == first
            {
                replay.turn(&mut self.market);
                continue;
            }
            // Of what is due at one instant the market moves first and streams show it last.
            if self.market.next_due() == first {
                self.market.turn();
            } else if self.accounts.next_due() == first {
                self.accounts.on_due(&mut self.market, first);
            } else if self.keys.next_due() == first {
                self.expire_key(first);
            } else {
                self.streams.on_due(&self.market, first, &mut self.outbox);
            }
        }
        self.now = self.now.max(now);
    }

    /// Answers a REST request.
    pub fn http(&mut self, request: &Request, peer: IpAddr, now: Nanos) -> Answer {
        self.advance(now);
        let answer = rest::answer(self, request, peer, self.now);
        self.settle();
        answer
    }

    /// A WebSocket connection is open.
    pub fn open(&mut self, conn: ConnId, target: &Target, now: Nanos) {
        self.advance(now);
        if target.route == Route::Api {
            self.sessions.open(conn, self.now);
        }
        self.streams.open(conn, target, self.now);
    }

    /// A text message came in on a connection; the answer is among the deliveries, or the end of
    /// the connection ([`Delivery::closes`]) where it sends too many.
    pub fn message(&mut self, conn: ConnId, route: Route, text: &str, peer: IpAddr, now: Nanos) {
        self.advance(now);
        let reply = match route {
            Route::Api => Control::Answer(api::answer(self, conn, text, peer, self.now)),
            _ => self.streams.control(conn, text, self.now),
        };
        self.outbox.push(match reply {
            Control::Answer(text) => Delivery::answer(conn, self.now, text),
            Control::Close => Delivery::close(conn, self.now, TOO_MANY),
        });
        self.settle();
    }

    /// A ping or pong came in on a connection of streams: it counts as a message.
    pub fn ping(&mut self, conn: ConnId, now: Nanos) {
        self.advance(now);
        if !self.streams.count_incoming(conn, self.now) {
            self.outbox.push(Delivery::close(conn, self.now, TOO_MANY));
        }
    }

    /// A WebSocket connection is gone.
    pub fn close(&mut self, conn: ConnId) {
        self.streams.close(conn);
        self.sessions.close(conn);
    }

    /// What is to be sent since the last call, in order.
    pub fn take_deliveries(&mut self) -> Vec<Delivery> {
        std::mem::take(&mut self.outbox)
    }

    /// Puts deliveries back that were taken and are to be sent with the next ones.
    pub fn put_back(&mut self, deliveries: Vec<Delivery>) {
        self.outbox.extend(deliveries);
    }

    /// Hands on what the market did until nothing follows from it: frames to streams, fills to
    /// accounts, notices to user streams.
    fn settle(&mut self) {
        let mut moved = Vec::new();
        loop {
            moved.clear();
            let mut quiet = true;
            while let Some(frame) = self.market.pop() {
                quiet = false;
                if matches!(frame.kind, Stream::Trade | Stream::MarkPrice) {
                    moved.push(frame.contract);
                }
                self.streams.publish(&frame, &mut self.outbox);
            }
            let fills = self.market.take_fills();
            if !fills.is_empty() {
                quiet = false;
                self.accounts.on_fills(&mut self.market, &fills);
            }
            // Each contract once, in their order.
            moved.sort_unstable();
            moved.dedup();
            for &contract in &moved {
                self.accounts.on_prices(&mut self.market, contract, self.now);
            }
            for notice in self.accounts.take_notices() {
                quiet = false;
                self.tell(&notice);
            }
            if quiet {
                break;
            }
        }
    }

    /// Ends an account's user stream whose key has run out, and tells it before it falls silent.
    pub fn expire_key(&mut self, now: Nanos) {
        if let Some((account, key)) = self.keys.expire(now) {
            let what = News::ListenKeyExpired { key: key.clone() };
            self.tell_by(&key, &Notice { account, ts: now, what });
        }
    }

    fn tell(&mut self, notice: &Notice) {
        if let Some(key) = self.keys.of(notice.account).map(str::to_owned) {
            self.tell_by(&key, notice);
        }
    }

    fn tell_by(&mut self, key: &str, notice: &Notice) {
        let (event, text) = user::event(notice, &self.market);
        self.streams.tell(key, event, &text, notice.ts, &mut self.outbox);
    }
}
