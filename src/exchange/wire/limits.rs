//! What a caller may ask for: weight per address and minute, orders per account, and what follows
//! when it goes on regardless.
//!
//! ```text
//!   within the limit ──► 200 ──► over it ──► 429 until the minute ends
//!                                              │ still calling, `patience` times
//!                                              ▼
//!                                            418 for two minutes, then four, … three days at most
//! ```
//! Windows are the server's: minutes and tens of seconds counted from the epoch. REST and the
//! trading WebSocket API share the counts.

use super::error::VenueError;
use crate::base::Nanos;
use std::collections::BTreeMap;
use std::net::IpAddr;

const MINUTE: Nanos = Nanos::from_secs(60);
const TEN_SECONDS: Nanos = Nanos::from_secs(10);
/// Addresses remembered before those with nothing to remember are forgotten.
const CALLERS_MAX: usize = 10_000;

/// How much is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitSettings {
    /// Weight of one address in a minute.
    pub weight_minute: u32,
    /// Orders of one account in ten seconds.
    pub orders_ten_seconds: u32,
    /// Orders of one account in a minute.
    pub orders_minute: u32,
    /// Refused calls of one address in a minute before it is banned.
    pub patience: u32,
    /// Length of the first ban; each further one is twice as long.
    pub ban: Nanos,
    /// Length of the longest ban.
    pub ban_max: Nanos,
}

impl Default for LimitSettings {
    fn default() -> Self {
        Self {
            weight_minute: 2_400,
            orders_ten_seconds: 300,
            orders_minute: 1_200,
            patience: 10,
            ban: Nanos::from_secs(120),
            ban_max: Nanos::from_secs(3 * 86_400),
        }
    }
}

/// A call that was refused, and when to try again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The venue's words, under status 429 or 418.
    pub error: VenueError,
    /// Whole seconds until it may be tried again, as `retry-after` tells them.
    pub retry_after: i64,
}

/// What orders count, in both windows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OrderCount {
    /// In the ten-second window.
    pub ten_seconds: u32,
    /// In the minute.
    pub minute: u32,
}

/// A count that begins anew with each window.
#[derive(Clone, Copy, Debug, Default)]
struct Window {
    started: Nanos,
    count: u32,
}

impl Window {
    fn at(&mut self, now: Nanos, span: Nanos) -> &mut u32 {
        let started = now.floor_to(span);
        if self.started != started {
            *self = Self { started, count: 0 };
        }
        &mut self.count
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Caller {
    weight: Window,
    refused: Window,
    banned_until: Nanos,
    bans: u32,
}

#[derive(Clone, Copy, Debug, Default)]
struct Orders {
    ten_seconds: Window,
    minute: Window,
}

/// All counts. See the head of this file.
#[derive(Debug, Default)]
pub struct Limits {
    /// How much is allowed; may be changed at any time.
    pub settings: LimitSettings,
    callers: BTreeMap<IpAddr, Caller>,
    orders: BTreeMap<usize, Orders>,
    refuse_calls_until: Nanos,
    refuse_orders_until: Nanos,
    ban_all_until: Nanos,
}

impl Limits {
    /// Counts a call of `weight` from an address.
    ///
    /// # Errors
    /// 429 beyond the limit, 418 for an address that is banned.
    pub fn call(&mut self, peer: IpAddr, weight: u32, now: Nanos) -> Result<(), Refusal> {
        let settings = self.settings;
        if self.callers.len() >= CALLERS_MAX {
            let window = now.floor_to(MINUTE);
            self.callers.retain(|_, c| c.banned_until > now || c.weight.started == window);
        }
        let caller = self.callers.entry(peer).or_default();
        let banned_until = caller.banned_until.max(self.ban_all_until);
        if banned_until > now {
            return Err(banned(banned_until, now));
        }
        let used = caller.weight.at(now, MINUTE);
        *used = used.saturating_add(weight);
        let forced = self.refuse_calls_until > now;
        if *used <= settings.weight_minute && !forced {
            return Ok(());
        }
        let refused = caller.refused.at(now, MINUTE);
        *refused += 1;
        if *refused > settings.patience {
            let doubled = settings.ban.0.saturating_mul(1 << caller.bans.min(30));
            caller.bans += 1;
            caller.banned_until = now + Nanos(doubled.min(settings.ban_max.0));
            return Err(banned(caller.banned_until, now));
        }
        let window = now.floor_to(MINUTE) + MINUTE;
        let until = if forced { self.refuse_calls_until } else { window };
        Err(too_many_calls(settings.weight_minute, until, now))
    }

    /// Counts orders of an account.
    ///
    /// # Errors
    /// 429 where one of the two limits would be passed; nothing is counted then.
    pub fn order(&mut self, account: usize, count: OrderCount, now: Nanos) -> Result<(), Refusal> {
        let settings = self.settings;
        if self.refuse_orders_until > now {
            let until = self.refuse_orders_until;
            return Err(too_many_orders(settings.orders_ten_seconds, "TEN_SECONDS", until, now));
        }
        let orders = self.orders.entry(account).or_default();
        let minute = orders.minute.at(now, MINUTE);
        if minute.saturating_add(count.minute) > settings.orders_minute {
            let until = now.floor_to(MINUTE) + MINUTE;
            return Err(too_many_orders(settings.orders_minute, "MINUTE", until, now));
        }
        let ten = orders.ten_seconds.at(now, TEN_SECONDS);
        if ten.saturating_add(count.ten_seconds) > settings.orders_ten_seconds {
            let until = now.floor_to(TEN_SECONDS) + TEN_SECONDS;
            let limit = settings.orders_ten_seconds;
            return Err(too_many_orders(limit, "TEN_SECONDS", until, now));
        }
        *minute += count.minute;
        *ten += count.ten_seconds;
        Ok(())
    }

    /// Weight an address has used in this minute.
    pub fn used(&self, peer: IpAddr, now: Nanos) -> u32 {
        let caller = self.callers.get(&peer).copied().unwrap_or_default();
        *caller.weight.clone().at(now, MINUTE)
    }

    /// Orders an account has counted in both windows.
    pub fn ordered(&self, account: usize, now: Nanos) -> OrderCount {
        let orders = self.orders.get(&account).copied().unwrap_or_default();
        OrderCount {
            ten_seconds: *orders.ten_seconds.clone().at(now, TEN_SECONDS),
            minute: *orders.minute.clone().at(now, MINUTE),
        }
    }

    /// Refuses every call with 429 until `until`; who goes on is banned as usual.
    pub fn refuse_calls(&mut self, until: Nanos) {
        self.refuse_calls_until = until;
    }

    /// Refuses every order with 429 until `until`.
    pub fn refuse_orders(&mut self, until: Nanos) {
        self.refuse_orders_until = until;
    }

    /// Bans an address, or with `None` everyone, until `until`. A time that has passed lifts it.
    pub fn ban(&mut self, peer: Option<IpAddr>, until: Nanos) {
        match peer {
            Some(peer) => self.callers.entry(peer).or_default().banned_until = until,
            None => self.ban_all_until = until,
        }
    }

    /// Until when an address is banned; `None` where it is not.
    pub fn banned_until(&self, peer: IpAddr, now: Nanos) -> Option<Nanos> {
        let own = self.callers.get(&peer).map_or(Nanos::ZERO, |caller| caller.banned_until);
        Some(own.max(self.ban_all_until)).filter(|&until| until > now)
    }
}

fn banned(until: Nanos, now: Nanos) -> Refusal {
    let advice = "Please use the websocket for live updates to avoid bans.";
    let millis = until.to_millis();
    let text = format!("Way too many requests; IP banned until {millis}. {advice}");
    Refusal { error: VenueError::with(-1003, text).under(418), retry_after: seconds(until, now) }
}

fn too_many_calls(limit: u32, until: Nanos, now: Nanos) -> Refusal {
    let advice = "Please use the websocket for live updates to avoid polling the API.";
    let text = format!("Too many requests; current limit is {limit} requests per minute. {advice}");
    Refusal { error: VenueError::with(-1003, text).under(429), retry_after: seconds(until, now) }
}

fn too_many_orders(limit: u32, window: &str, until: Nanos, now: Nanos) -> Refusal {
    let text = format!("Too many new orders; current limit is {limit} orders per {window}.");
    Refusal { error: VenueError::with(-1015, text).under(429), retry_after: seconds(until, now) }
}

/// Whole seconds, rounded up: a second early would be refused again.
fn seconds(until: Nanos, now: Nanos) -> i64 {
    let second = Nanos::from_secs(1).0;
    ((until - now).0 + second - 1).div_euclid(second)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn at(seconds: i64) -> Nanos {
        // 2026-11-22 19:13:00 UTC begins a minute: 1 795 374 780 is a multiple of 60.
        Nanos::from_secs(1_795_374_780 + seconds)
    }

    fn limits(weight_minute: u32, patience: u32) -> Limits {
        let settings = LimitSettings { weight_minute, patience, ..LimitSettings::default() };
        Limits { settings, ..Limits::default() }
    }

    #[test]
    fn weight_is_counted_by_the_servers_minute_and_begins_anew_with_it() {
        let mut limits = limits(40, 10);
        assert_eq!(limits.call(PEER, 40, at(59)), Ok(()));
        let refusal = limits.call(PEER, 1, at(59)).unwrap_err();
        let text = "Too many requests; current limit is 40 requests per minute. \
                    Please use the websocket for live updates to avoid polling the API.";
        assert_eq!(refusal.error, VenueError::new(-1003, text).under(429));
        assert_eq!(refusal.retry_after, 1);
        assert_eq!(limits.call(PEER, 40, at(60)), Ok(()));
        assert_eq!(limits.used(PEER, at(61)), 40);
        assert_eq!(limits.used(PEER, at(120)), 0);
    }

    #[test]
    fn addresses_do_not_share_their_weight() {
        let mut limits = limits(10, 10);
        assert!(limits.call(PEER, 10, at(0)).is_ok());
        let other = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 2));
        assert!(limits.call(other, 10, at(0)).is_ok());
    }

    #[test]
    fn calling_on_after_429_is_banned_for_two_minutes_and_then_for_four() {
        let mut limits = limits(1, 2);
        assert!(limits.call(PEER, 1, at(0)).is_ok());
        let status = |limits: &mut Limits, second| {
            limits.call(PEER, 1, at(second)).map_or_else(|refusal| refusal.error.status, |()| 200)
        };
        let seen: Vec<u16> = (1..=4).map(|second| status(&mut limits, second)).collect();
        assert_eq!(seen, [429, 429, 418, 418]);
        let refusal = limits.call(PEER, 1, at(5)).unwrap_err();
        // The third refusal came at second 3; two minutes later is 1 795 374 780 + 123 seconds.
        assert!(refusal.error.text.contains("IP banned until 1795374903000."));
        assert_eq!(refusal.retry_after, 118);
        assert_eq!(status(&mut limits, 123), 200);
        let again: Vec<u16> = (124..=126).map(|second| status(&mut limits, second)).collect();
        assert_eq!(again, [429, 429, 418]);
        assert_eq!(limits.banned_until(PEER, at(130)), Some(at(126 + 240)));
    }

    #[test]
    fn orders_are_counted_in_tens_of_seconds_and_in_minutes() {
        let mut limits = Limits::default();
        limits.settings.orders_ten_seconds = 2;
        limits.settings.orders_minute = 3;
        let one = OrderCount { ten_seconds: 1, minute: 1 };
        assert!(limits.order(0, one, at(8)).is_ok() && limits.order(0, one, at(9)).is_ok());
        let refusal = limits.order(0, one, at(9)).unwrap_err();
        let text = "Too many new orders; current limit is 2 orders per TEN_SECONDS.";
        assert_eq!(refusal.error, VenueError::new(-1015, text).under(429));
        assert!(limits.order(1, one, at(9)).is_ok(), "another account has its own count");
        assert!(limits.order(0, one, at(10)).is_ok());
        let refusal = limits.order(0, one, at(11)).unwrap_err();
        assert!(refusal.error.text.ends_with("current limit is 3 orders per MINUTE."));
        assert_eq!(refusal.retry_after, 49);
        assert!(limits.order(0, one, at(60)).is_ok());
        assert_eq!(limits.ordered(0, at(60)), one);
    }

    #[test]
    fn a_batch_counts_five_in_ten_seconds_and_one_in_the_minute() {
        let mut limits = Limits::default();
        let batch = OrderCount { ten_seconds: 5, minute: 1 };
        assert!(limits.order(0, batch, at(0)).is_ok());
        assert_eq!(limits.ordered(0, at(0)), batch);
    }

    #[test]
    fn faults_refuse_and_ban_until_a_time() {
        let mut limits = Limits::default();
        limits.refuse_calls(at(5));
        assert_eq!(limits.call(PEER, 1, at(4)).unwrap_err().error.status, 429);
        assert!(limits.call(PEER, 1, at(5)).is_ok());
        limits.refuse_orders(at(8));
        let one = OrderCount { ten_seconds: 1, minute: 1 };
        assert_eq!(limits.order(0, one, at(7)).unwrap_err().error.code, -1015);
        assert!(limits.order(0, one, at(8)).is_ok());
        limits.ban(None, at(20));
        assert_eq!(limits.call(PEER, 1, at(19)).unwrap_err().error.status, 418);
        limits.ban(None, Nanos::ZERO);
        assert!(limits.call(PEER, 1, at(19)).is_ok());
    }
}
