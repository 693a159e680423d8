//! What may leave, and what follows from a refusal.

use super::*;
use crate::base::{InstrumentId, Symbol};
use crate::execution::reconcile::Question;
use crate::venue::watch::Ask;

const NOON: Nanos = Nanos::from_secs(1_700_000_040);

fn refusal(reason: Reason, message: &str, retry_after_s: Option<u32>) -> Refusal<'_> {
    Refusal { reason, code: 0, message: message.as_bytes(), retry_after_s, client_id: 0 }
}

#[test]
fn entries_leave_the_reserve_to_exits_and_questions_theirs_to_the_truth_and_to_cancels() {
    let limits = RateLimits { weight_1m: 20, orders_1m: 1_000, orders_10s: 10 };
    let budget = Budget::new(limits);
    let mut left = 0;
    while budget.permits(Use::Entry, NOON).is_ok() {
        budget.count(Use::Entry, NOON);
        left += 1;
    }
    assert_eq!(left, 9, "one of ten is kept back");
    assert_eq!(budget.permits(Use::Exit, NOON), Ok(()));
    budget.count(Use::Exit, NOON);
    assert_eq!(budget.permits(Use::Exit, NOON), Err(Reason::RateLimited));
    // A quarter of 20 is kept back, of that 2 for cancels.
    assert_eq!(budget.permits(Use::Question(15), NOON), Ok(()));
    assert_eq!(budget.permits(Use::Question(16), NOON), Err(Reason::RateLimited));
    budget.count(Use::Question(15), NOON);
    assert_eq!(budget.permits(Use::Question(1), NOON), Err(Reason::RateLimited));
    assert_eq!(budget.permits(Use::Truth(3), NOON), Ok(()));
    assert_eq!(budget.permits(Use::Truth(4), NOON), Err(Reason::RateLimited));
    budget.count(Use::Truth(3), NOON);
    assert_eq!(budget.permits(Use::Truth(1), NOON), Err(Reason::RateLimited));
    assert_eq!(budget.permits(Use::Cancel, NOON), Ok(()));
    assert_eq!(budget.permits(Use::Start(2), NOON), Ok(()), "positions wait for a start");
    assert_eq!(budget.permits(Use::Start(3), NOON), Err(Reason::RateLimited));
    assert_eq!(budget.permits(Use::Entry, NOON + Nanos::from_secs(10)), Ok(()), "new window");
    let told = AnswerLimits { orders_10s: Some(9), used_weight: Some(20), ..Default::default() };
    budget.on_limits(&told, NOON + Nanos::from_secs(10));
    let later = NOON + Nanos::from_secs(11);
    assert_eq!(budget.permits(Use::Entry, later), Err(Reason::RateLimited), "others' orders");
    assert_eq!(budget.permits(Use::Cancel, later), Err(Reason::RateLimited), "all is used up");
}

#[test]
fn fault_r06_a_429_lets_nothing_but_cancels_through_until_it_says() {
    for (retry, until) in [(Some(7), NOON + Nanos::from_secs(7)), (None, NOON + Nanos(MINUTE))] {
        let budget = Budget::new(RateLimits::default());
        budget.on_refusal(&refusal(Reason::RateLimited, "", retry), NOON);
        for usage in [Use::Entry, Use::Exit, Use::Question(1), Use::Truth(1)] {
            assert_eq!(budget.permits(usage, Nanos(until.0 - 1)), Err(Reason::RateLimited));
            assert_eq!(budget.permits(usage, until), Ok(()));
        }
        assert_eq!(budget.permits(Use::Cancel, NOON), Ok(()));
        let told = budget.news().unwrap();
        assert_eq!((told.reason, told.ts_until), (Reason::RateLimited as u16, until.0));
        budget.on_refusal(&refusal(Reason::RateLimited, "", retry), NOON);
        assert_eq!(budget.news(), None, "the same again is no news");
    }
}

#[test]
fn fault_r07_a_ban_lets_nothing_through_before_it_ends() {
    let until = NOON + Nanos::from_secs(300);
    let text = format!("Way too many requests; IP banned until {}.", until.to_millis());
    let cases = [
        (text.as_str(), None, until),
        ("", Some(150), NOON + Nanos::from_secs(150)),
        ("", None, NOON + BAN_MIN),
    ];
    for (message, retry, until) in cases {
        let budget = Budget::new(RateLimits::default());
        budget.on_refusal(&refusal(Reason::Banned, message, retry), NOON);
        for usage in [Use::Entry, Use::Exit, Use::Cancel, Use::Question(1), Use::Truth(1)] {
            assert_eq!(budget.permits(usage, Nanos(until.0 - 1)), Err(Reason::Banned));
            assert_eq!(budget.permits(usage, until), Ok(()));
        }
        assert_eq!(budget.news().map(|told| told.ts_until), Some(until.0));
    }
}

#[test]
fn limits_are_those_that_the_venue_lists() {
    let body = br#"{"timezone":"UTC","rateLimits":[
        {"rateLimitType":"REQUEST_WEIGHT","interval":"MINUTE","intervalNum":1,"limit":1200},
        {"rateLimitType":"ORDERS","interval":"SECOND","intervalNum":10,"limit":50},
        {"rateLimitType":"RAW","interval":"MINUTE","intervalNum":5,"limit":7}],"symbols":[]}"#;
    let limits = RateLimits::from_exchange_info(body);
    let expected = RateLimits { weight_1m: 1_200, orders_1m: 1_200, orders_10s: 50 };
    assert_eq!(limits, expected);
    assert_eq!(RateLimits::from_exchange_info(b"<html>"), RateLimits::default());
}

#[test]
fn what_the_truth_rests_on_may_be_asked_when_the_market_may_not() {
    let (instrument, symbol) = (InstrumentId(0), Symbol::new(b"BTCUSDT").unwrap());
    let kept = [
        RestJob::Ask(Question::Positions),
        RestJob::Ask(Question::OpenOrders { symbol: None }),
        RestJob::ListenKey,
        RestJob::KeepListenKey,
        RestJob::Countdown { symbol, after_ms: 60_000 },
        RestJob::CancelAll { symbol },
        RestJob::CancelAlgo { order: 7 },
    ];
    let routine = [
        RestJob::Snapshot { instrument, symbol, levels: 1_000 },
        RestJob::OpenInterest { instrument, symbol },
        RestJob::Trades { instrument, symbol, from_id: 1 },
        RestJob::Watch(Ask::Contracts),
        RestJob::Watch(Ask::Account),
        RestJob::PositionMode,
        RestJob::Contracts,
    ];
    // 2400 a minute: questions may have 1800 of it.
    let budget = Budget::new(RateLimits::default());
    for job in kept.iter().chain(&routine) {
        assert_eq!(budget.permits(usage_of(job), NOON), Ok(()), "{job:?}");
    }
    budget.count(Use::Question(1_800), NOON);
    for job in &kept {
        assert_eq!(budget.permits(usage_of(job), NOON), Ok(()), "{job:?}");
    }
    for job in &routine {
        assert_eq!(budget.permits(usage_of(job), NOON), Err(Reason::RateLimited), "{job:?}");
    }
    budget.count(Use::Truth(360), NOON);
    for job in &kept {
        assert_eq!(budget.permits(usage_of(job), NOON).is_ok(), job.is_cancel(), "{job:?}");
    }
}

#[test]
fn what_several_threads_use_is_counted_to_the_last_request() {
    let budget = Budget::new(RateLimits { weight_1m: u32::MAX, ..RateLimits::default() });
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..10_000).for_each(|_| budget.count(Use::Question(3), NOON)));
        }
    });
    assert_eq!(budget.weight.used(NOON), 4 * 10_000 * 3);
    budget.count(Use::Cancel, NOON + Nanos(MINUTE));
    assert_eq!(budget.weight.used(NOON + Nanos(MINUTE)), 1, "a new window begins at none");
}

#[test]
fn the_longest_stop_is_told_until_it_is_over() {
    let budget = Budget::new(RateLimits::default());
    assert_eq!(budget.stopped(NOON), None);
    budget.on_refusal(&refusal(Reason::RateLimited, "", Some(5)), NOON);
    budget.on_refusal(&refusal(Reason::Banned, "", Some(150)), NOON);
    let until = NOON + Nanos::from_secs(150);
    assert_eq!(budget.stopped(NOON), Some((Reason::Banned, until)));
    assert_eq!(budget.stopped(until), None);
}

#[test]
fn what_the_wallet_s_host_says_of_its_limits_stops_nothing_at_the_venue() {
    /// Answers every job with a ban.
    #[derive(Default)]
    struct Banning(Vec<RestJob>);

    impl RestPort for Banning {
        fn ask(&mut self, job: RestJob) -> bool {
            self.0.push(job);
            true
        }

        fn answer(&mut self) -> Option<RestAnswer> {
            let (job, message) = (self.0.pop()?, "banned".to_owned());
            let failure = RestFailure { status: Some(418), code: Some(-1003), message, sent: true };
            let limits = AnswerLimits { used_weight: Some(2_400), ..AnswerLimits::default() };
            Some(RestAnswer { job, reply: Err(failure), limits })
        }
    }

    let budget = Arc::new(Budget::new(RateLimits::default()));
    let mut metered = Metered::new(Banning::default(), Arc::clone(&budget));
    metered.on_time(NOON);
    let of_wallet = RestJob::Watch(crate::venue::watch::Ask::KeyRights);
    for (job, banned) in [(of_wallet, false), (RestJob::PositionMode, true)] {
        assert!(metered.ask(job) && metered.answer().is_some());
        assert_eq!(budget.stopped(NOON).is_some(), banned, "{job:?}");
        assert_eq!(budget.permits(Use::Entry, NOON).is_err(), banned, "{job:?}");
    }
}
