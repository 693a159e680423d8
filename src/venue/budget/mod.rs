//! How much may still be asked of the venue, and what it said when it was too much.
//!
//! ```text
//!  weight a minute   ├── questions ──┤ reserve: books, timer ┤ cancels ┤ limit
//!  orders a window   ├──────── entries ──────────────────────┤ exits   ┤ limit
//!
//!  429      nothing but cancels until Retry-After, else until the next minute
//!  418      nothing at all until the ban ends
//!  403      no question and no entry for a while: asking on makes it worse
//! ```
//! Limits come from `exchangeInfo`; counts are our own, set right by each answer's head, for others
//! behind our address use them up as well. Windows are those of the wall clock. One budget is
//! shared by the order desk and by everything else that is asked.

use super::job::{RestFailure, RestJob};
use super::ports::{AnswerLimits, RestPort};
use super::rest::RestAnswer;
use crate::base::event::VenueStatus;
use crate::base::{Nanos, Reason};
use crate::execution::outcome::{Outcome, banned_until_ms, classify};
use serde::Deserialize;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering::Relaxed};

/// A ban of unknown end; the venue's shortest.
const BAN_MIN: Nanos = Nanos::from_secs(120);
/// How long nothing new is asked of a gateway that blocked us.
const BLOCKED: Nanos = Nanos::from_secs(60);
/// How long entries stay away from a venue that sheds load.
const OVERLOADED: Nanos = Nanos::from_secs(2);
/// How long entries stay away after a refusal that time may heal: clocks, margin, a service down.
const SOON: Nanos = Nanos::from_secs(10);
/// Percent of the order limits that entries leave to exits.
const EXITS_PERCENT: u32 = 10;
/// Percent of the weight that questions leave to cancels and to what finds the truth.
const RESERVE_PERCENT: u32 = 25;
/// Percent of the weight that is for cancels alone: a search without an end must not keep an order
/// at the venue.
const CANCELS_PERCENT: u32 = 10;
/// What finds the truth has a part of the reserve to itself.
const _: () = assert!(CANCELS_PERCENT < RESERVE_PERCENT && RESERVE_PERCENT < 100);
const MINUTE: i64 = 60_000_000_000;

/// The venue's limits of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimits {
    /// Request weight a minute, by address.
    pub weight_1m: u32,
    /// Orders a minute, by account.
    pub orders_1m: u32,
    /// Orders in ten seconds, by account.
    pub orders_10s: u32,
}

impl Default for RateLimits {
    /// Those of July 2026.
    fn default() -> Self {
        Self { weight_1m: 2_400, orders_1m: 1_200, orders_10s: 300 }
    }
}

impl RateLimits {
    /// Reads `rateLimits` of `exchangeInfo`; what is not there keeps its default.
    pub fn from_exchange_info(body: &[u8]) -> Self {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Limit<'a> {
            rate_limit_type: &'a str,
            interval: &'a str,
            interval_num: u32,
            limit: u32,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Info<'a> {
            #[serde(borrow)]
            rate_limits: Vec<Limit<'a>>,
        }
        let mut limits = Self::default();
        let told: Option<Info<'_>> = serde_json::from_slice(body).ok();
        for row in told.map(|info| info.rate_limits).unwrap_or_default() {
            let place = match (row.rate_limit_type, row.interval, row.interval_num) {
                ("REQUEST_WEIGHT", "MINUTE", 1) => &mut limits.weight_1m,
                ("ORDERS", "MINUTE", 1) => &mut limits.orders_1m,
                ("ORDERS", "SECOND", 10) => &mut limits.orders_10s,
                _ => continue,
            };
            *place = row.limit;
        }
        limits
    }
}

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// An order that opens risk.
    Entry,
    /// An order that takes risk back.
    Exit,
    /// A cancel, of weight 1.
    Cancel,
    /// A question of this weight.
    Question(u32),
    /// Something of this weight that the truth about orders and positions rests on.
    Truth(u32),
    /// A question of this weight without which no session starts: positions wait for it.
    Start(u32),
}

/// What was used in the present window of one length.
#[derive(Debug)]
struct Count {
    length: i64,
    limit: AtomicU32,
    /// The window's number, its lower half, above what was used in it: both change in one step.
    used: AtomicU64,
}

impl Count {
    const fn new(length: i64, limit: u32) -> Self {
        Self { length, limit: AtomicU32::new(limit), used: AtomicU64::new(0) }
    }

    /// The number of the window of `now`, its lower half.
    const fn window(&self, now: Nanos) -> u64 {
        now.0.div_euclid(self.length).cast_unsigned() & u32::MAX as u64
    }

    /// Replaces what was used in the window of `now`.
    fn change(&self, now: Nanos, change: impl Fn(u32) -> u32) {
        let window = self.window(now);
        let next = |old: u64| {
            let used = if old >> 32 == window { old as u32 } else { 0 };
            Some(window << 32 | u64::from(change(used)))
        };
        let _ = self.used.fetch_update(Relaxed, Relaxed, next);
    }

    fn used(&self, now: Nanos) -> u32 {
        let word = self.used.load(Relaxed);
        if word >> 32 == self.window(now) { word as u32 } else { 0 }
    }

    fn add(&self, count: u32, now: Nanos) {
        self.change(now, |used| used.saturating_add(count));
    }

    fn told(&self, used: Option<u32>, now: Nanos) {
        if let Some(told) = used {
            self.change(now, |_| told);
        }
    }

    /// Whether `count` more leave so many percent of the limit alone.
    fn has(&self, count: u32, reserve_percent: u32, now: Nanos) -> bool {
        let limit = u64::from(self.limit.load(Relaxed));
        let reserve = limit * u64::from(reserve_percent) / 100;
        u64::from(self.used(now)) + u64::from(count) <= limit - reserve
    }
}

/// See the head of this file. Shared: the start asks under it, then the feed's thread and the timer
/// at the venue, then the end. No call waits, but for news, which are rare.
#[derive(Debug)]
pub struct Budget {
    weight: Count,
    orders_1m: Count,
    orders_10s: Count,
    /// Until when, nanoseconds: 429, 418, 403.
    stopped: [AtomicI64; 3],
    news: std::sync::Mutex<News>,
    has_news: AtomicU32,
}

/// What is to be told to the river; bounded by the reasons there are.
#[derive(Debug, Default)]
struct News {
    fresh: Vec<VenueStatus>,
    /// When each reason was last told, and until when it was said to last.
    told: Vec<(u16, Nanos, i64)>,
}

const STOPS: [Reason; 3] = [Reason::RateLimited, Reason::Banned, Reason::Blocked];
/// The same again within this time is no news.
const NEWS_EVERY: Nanos = Nanos::from_secs(1);

impl Budget {
    /// Nothing used yet.
    pub fn new(limits: RateLimits) -> Self {
        Self {
            weight: Count::new(MINUTE, limits.weight_1m),
            orders_1m: Count::new(MINUTE, limits.orders_1m),
            orders_10s: Count::new(MINUTE / 6, limits.orders_10s),
            stopped: [const { AtomicI64::new(i64::MIN) }; 3],
            news: std::sync::Mutex::new(News {
                fresh: Vec::with_capacity(Reason::ALL.len()),
                told: Vec::with_capacity(Reason::ALL.len()),
            }),
            has_news: AtomicU32::new(0),
        }
    }

    /// The limits that the venue lists, once they are known.
    pub fn set_limits(&self, limits: RateLimits) {
        self.weight.limit.store(limits.weight_1m, Relaxed);
        self.orders_1m.limit.store(limits.orders_1m, Relaxed);
        self.orders_10s.limit.store(limits.orders_10s, Relaxed);
    }

    /// Until when the venue said not to be asked, and why, where that lies ahead.
    pub fn stopped(&self, now: Nanos) -> Option<(Reason, Nanos)> {
        let until = |place: usize| Nanos(self.stopped[place].load(Relaxed));
        let ahead = STOPS.iter().enumerate().map(|(place, &reason)| (reason, until(place)));
        ahead.filter(|(_, until)| *until > now).max_by_key(|(_, until)| *until)
    }

    /// Whether a request may leave at `now`.
    ///
    /// # Errors
    /// Why not.
    pub fn permits(&self, usage: Use, now: Nanos) -> Result<(), Reason> {
        let stopped = |place: usize| now.0 < self.stopped[place].load(Relaxed);
        if stopped(1) {
            return Err(Reason::Banned);
        }
        if usage != Use::Cancel && stopped(0) {
            return Err(Reason::RateLimited);
        }
        if matches!(usage, Use::Entry | Use::Question(_) | Use::Truth(_) | Use::Start(_))
            && stopped(2)
        {
            return Err(Reason::Blocked);
        }
        let orders =
            |reserve| self.orders_10s.has(1, reserve, now) && self.orders_1m.has(1, reserve, now);
        let fits = match usage {
            Use::Entry => orders(EXITS_PERCENT),
            Use::Exit => orders(0),
            Use::Cancel => self.weight.has(1, 0, now),
            Use::Question(weight) => self.weight.has(weight, RESERVE_PERCENT, now),
            Use::Truth(weight) => self.weight.has(weight, CANCELS_PERCENT, now),
            Use::Start(weight) => self.weight.has(weight, 0, now),
        };
        if fits { Ok(()) } else { Err(Reason::RateLimited) }
    }

    /// A request leaves at `now`.
    pub fn count(&self, usage: Use, now: Nanos) {
        match usage {
            Use::Entry | Use::Exit => {
                self.orders_10s.add(1, now);
                self.orders_1m.add(1, now);
            }
            Use::Cancel => self.weight.add(1, now),
            Use::Question(weight) | Use::Truth(weight) | Use::Start(weight) => {
                self.weight.add(weight, now);
            }
        }
    }

    /// What the head of an answer says.
    pub fn on_limits(&self, limits: &AnswerLimits, now: Nanos) {
        self.weight.told(limits.used_weight, now);
        self.orders_10s.told(limits.orders_10s, now);
        self.orders_1m.told(limits.orders_1m, now);
    }

    /// A request was refused: what follows for those after it, and the news of it.
    pub fn on_refusal(&self, refusal: &Refusal<'_>, now: Nanos) {
        let retry = refusal.retry_after_s.map(|seconds| now + Nanos::from_secs(seconds.into()));
        let next_minute = Nanos((now.0.div_euclid(MINUTE) + 1).saturating_mul(MINUTE));
        let until = match refusal.reason {
            Reason::RateLimited => retry.unwrap_or(next_minute),
            Reason::Banned => {
                let told = banned_until_ms(refusal.message).map(Nanos::from_millis);
                told.filter(|until| *until > now).or(retry).unwrap_or(now + BAN_MIN)
            }
            Reason::Blocked => now + BLOCKED,
            Reason::Overloaded => now + OVERLOADED,
            Reason::ClockSkew | Reason::MarginShort | Reason::OrderEntryDown => now + SOON,
            Reason::CredentialsRefused
            | Reason::AccountMode
            | Reason::ClosedByVenue
            | Reason::FiltersChanged
            | Reason::NotTrading
            | Reason::VenueAdjusted
            | Reason::InvariantBroken => Nanos::ZERO,
            _ => return,
        };
        if let Some(place) = STOPS.iter().position(|&reason| reason == refusal.reason) {
            self.stopped[place].fetch_max(until.0, Relaxed);
        }
        let Ok(mut news) = self.news.lock() else { return };
        let number = refusal.reason as u16;
        let known = news.told.iter().position(|(reason, ..)| *reason == number);
        if let Some((_, at, old)) = known.map(|place| news.told[place])
            && now < at + NEWS_EVERY
            && until.0 <= old
        {
            return;
        }
        match known {
            Some(place) => news.told[place] = (number, now, until.0),
            None => news.told.push((number, now, until.0)),
        }
        if news.fresh.len() < news.fresh.capacity() {
            news.fresh.push(VenueStatus {
                reason: number,
                venue_code: refusal.code,
                client_id: refusal.client_id,
                ts_until: until.0,
                ..VenueStatus::default()
            });
            self.has_news.store(1, Relaxed);
        }
    }

    /// The next piece of news for the river.
    pub fn news(&self) -> Option<VenueStatus> {
        if self.has_news.load(Relaxed) == 0 {
            return None;
        }
        let Ok(mut news) = self.news.lock() else { return None };
        let next = (!news.fresh.is_empty()).then(|| news.fresh.remove(0));
        self.has_news.store(u32::from(!news.fresh.is_empty()), Relaxed);
        next
    }
}

/// A refusal as far as it concerns others than the request itself.
#[derive(Clone, Copy, Debug)]
pub struct Refusal<'a> {
    /// Why.
    pub reason: Reason,
    /// The venue's code, 0 for none.
    pub code: i32,
    /// Its words.
    pub message: &'a [u8],
    /// Seconds it says to wait.
    pub retry_after_s: Option<u32>,
    /// Whose request it was; 0 for none.
    pub client_id: u64,
}

impl Budget {
    /// What the answer to a question says of those after it.
    pub fn on_answer(&self, reply: Option<&RestFailure>, limits: &AnswerLimits, now: Nanos) {
        self.on_limits(limits, now);
        let Some(RestFailure { status: status @ Some(_), code, message, .. }) = reply else {
            return;
        };
        let message = message.as_bytes();
        // Margin and the like are said of orders; a question is refused for what it is.
        if let Outcome::Rejected(
            reason @ (Reason::RateLimited
            | Reason::Banned
            | Reason::Blocked
            | Reason::ClockSkew
            | Reason::CredentialsRefused),
        ) = classify(*status, *code, message)
        {
            let (code, retry_after_s) = (code.unwrap_or(0), limits.retry_after_s);
            let refusal = Refusal { reason, code, message, retry_after_s, client_id: 0 };
            self.on_refusal(&refusal, now);
        }
    }
}

/// What a job is counted as. Books are compared, the stream that reports orders is kept, and the
/// venue's timer goes on while the market is asked for more than there is.
pub const fn usage_of(job: &RestJob) -> Use {
    match job {
        job if job.is_cancel() => Use::Cancel,
        RestJob::Ask(_)
        | RestJob::ListenKey
        | RestJob::KeepListenKey
        | RestJob::Countdown { .. } => Use::Truth(job.weight()),
        job => Use::Question(job.weight()),
    }
}

/// The REST side under the same budget as the orders: what does not fit is not asked.
pub struct Metered<R> {
    inner: R,
    budget: Arc<Budget>,
    now: Nanos,
}

impl<R: RestPort> Metered<R> {
    /// Over the port itself.
    pub const fn new(inner: R, budget: Arc<Budget>) -> Self {
        Self { inner, budget, now: Nanos::ZERO }
    }

    /// Time passes; told before anything is asked or taken.
    pub const fn on_time(&mut self, now: Nanos) {
        self.now = now;
    }

    /// The port itself.
    pub fn into_inner(self) -> R {
        self.inner
    }
}

impl<R: RestPort> RestPort for Metered<R> {
    fn ask(&mut self, job: RestJob) -> bool {
        let usage = usage_of(&job);
        let may = self.budget.permits(usage, self.now).is_ok() && self.inner.ask(job);
        if may {
            self.budget.count(usage, self.now);
        }
        may
    }

    fn answer(&mut self) -> Option<RestAnswer> {
        let answer = self.inner.answer()?;
        if answer.job.is_of_wallet() {
            // Another host, with limits of its own.
            return Some(answer);
        }
        self.budget.on_answer(answer.reply.as_ref().err(), &answer.limits, self.now);
        Some(answer)
    }
}

#[cfg(test)]
mod tests;
