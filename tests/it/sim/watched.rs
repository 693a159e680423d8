//! The tests: what the watch of the venue sees at the simulated exchange under the fault that
//! should trip it, and what follows: entries stop, exits and cancels go on, it ends where it may.

use super::parts::OPENED;
use super::plan::{Deed, Plan, fault};
use super::run::Run;
use TradingState::{Active, Halted, Reducing};
use peregrine::base::event::{
    ContractStatus, Denied, Event, FundingPayment, Kind, MarginStatus, Order, VenueStatus,
};
use peregrine::base::{Nanos, Purpose, Reason};
use peregrine::risk::TradingState;
use serde_json::json;

const SEED: u64 = 7;
/// The number of BTCUSDT.
const BTC: u16 = 0;
/// Looks often.
const OFTEN: [(&str, &str, &str); 4] = [
    // What is over is over soon.
    ("breakers", "cool_down_s", "1"),
    ("watch", "clock_every_s", "1"),
    ("watch", "filters_every_s", "2"),
    ("watch", "account_every_s", "1"),
];
/// Twenty-five seconds before funding is paid.
const BEFORE_FUNDING: Nanos = Nanos::from_secs(1_795_374_780 + 17_220 - 25);

/// A session under way in a calm world with these faults of the exchange.
fn watched(faults: &[(&str, serde_json::Value, serde_json::Value)], more: &[Change]) -> Run {
    let faults = faults.iter().map(|(kind, what, when)| fault(kind, what.clone(), when.clone()));
    begin(Plan { faults: faults.collect(), ..Plan::calm() }, more, OPENED)
}

type Change = (&'static str, &'static str, &'static str);

fn begin(plan: Plan, more: &[Change], opened: Nanos) -> Run {
    let mut run = Run::with(SEED, plan, &[&OFTEN[..], more].concat(), opened);
    run.start();
    assert_eq!(run.state_after(11_000).0, Active);
    run
}

/// A time of the session in seconds after the opening.
fn second(event: &Event, opened: Nanos) -> i64 {
    (event.now() - opened).to_millis() / 1_000
}

/// Orders approved from one second to another, of an instrument or all, and a sort.
fn approved(run: &Run, from: i64, until: i64, of: impl Fn(&Event) -> bool) -> usize {
    let lane = run.lane(2);
    let within = |event: &&Event| (from..until).contains(&second(event, OPENED)) && of(event);
    lane.iter().filter(|event| event.kind() == Some(Kind::OrderApproved)).filter(within).count()
}

fn enters(event: &Event) -> bool {
    event.body::<Order>().purpose == Purpose::Entry as u8
}

fn denials(run: &Run, reason: Reason) -> usize {
    let is_it = |event: &&Event| {
        let denied = event.kind() == Some(Kind::Denied);
        denied && event.body::<Denied>().reason == reason as u16
    };
    run.lane(2).iter().filter(is_it).count()
}

fn told(run: &Run, reason: Reason) -> Vec<VenueStatus> {
    let lane = run.lane(0);
    let status = lane.iter().filter(|event| event.kind() == Some(Kind::VenueStatus));
    let status = status.map(|event| *event.body::<VenueStatus>());
    status.filter(|body| body.reason == reason as u16).collect()
}

fn held_at_venue(run: &Run, contract: usize) -> i64 {
    let world = run.world.borrow();
    let views = world.exchange.accounts.positions(&world.exchange.market, 0);
    views.iter().filter(|view| view.news.contract == contract).map(|view| view.news.qty.0).sum()
}

/// Nothing promised was broken, and the journal replays to the byte.
fn is_sound(run: Run) {
    let broken = run.finish(None).broken;
    assert!(broken.is_empty(), "{broken:?}");
}

#[test]
fn fault_x01_a_contract_that_is_delivered_soon_is_left_and_entered_again_when_it_is_not() {
    let soon = |after_ms: i64| {
        let what = json!({"symbol": "BTCUSDT", "after_ms": after_ms});
        [("delivery", what, json!({"from": 12_000, "until": 24_000}))]
    };
    let mut run = watched(&soon(3_500_000), &[]);
    assert_eq!(run.state_after(12_900).0, Active, "the other contract goes on");
    assert_eq!(held_at_venue(&run, 0), 0, "left");
    let btc = |event: &Event| event.instrument == BTC && enters(event);
    assert_eq!(approved(&run, 15, 23, btc), 0);
    assert!(approved(&run, 15, 23, |event| event.instrument != BTC && enters(event)) > 0);
    assert!(denials(&run, Reason::ContractEnding) > 0);
    let _ = run.state_after(12_000);
    assert!(approved(&run, 27, 36, btc) > 0, "it is not delivered any more");
    is_sound(run);
    // A minute more than the lead: nothing happens.
    let mut run = watched(&soon(3_660_000), &[]);
    let _ = run.state_after(12_900);
    assert_eq!(denials(&run, Reason::ContractEnding), 0);
    assert!(approved(&run, 15, 23, btc) > 0);
    is_sound(run);
}

#[test]
fn fault_x02_filters_that_are_others_are_read_when_an_order_is_refused_and_traded_by() {
    let what = json!({"symbol": "BTCUSDT", "tick_times": 50});
    let change = [("filter_change", what, json!({"at": 12_000}))];
    let mut run = watched(&change, &[("watch", "filters_every_s", "1800")]);
    let (state, why) = run.state_after(12_000);
    assert_eq!(state, Active, "reduced, read, and went on: {why:?}");
    assert!(!told(&run, Reason::FiltersChanged).is_empty(), "an order was refused");
    let status = |event: &&Event| event.kind() == Some(Kind::ContractStatus);
    let of_btc: Vec<Event> = run
        .lane(0)
        .iter()
        .filter(status)
        .filter(|event| event.instrument == BTC)
        .copied()
        .collect();
    let [first, .., last] = &of_btc[..] else { panic!("{} readings", of_btc.len()) };
    let (first, last): (&ContractStatus, &ContractStatus) = (first.body(), last.body());
    assert_eq!(last.tick_size, 50 * first.tick_size);
    assert_ne!(last.filters_hash, first.filters_hash);
    let btc = |event: &Event| event.instrument == BTC && enters(event);
    assert!(approved(&run, 18, 23, btc) > 0);
    let off = |event: &Event| btc(event) && event.body::<Order>().px % last.tick_size != 0;
    assert_eq!(approved(&run, 18, 23, off), 0, "every price is one of the new steps");
    is_sound(run);
}

#[test]
fn fault_x04_no_entry_leaves_around_funding_and_exits_do() {
    let more = [("watch", "funding_window_s", "6")];
    let mut run = begin(Plan::calm(), &more, BEFORE_FUNDING);
    let _ = run.state_after(29_000);
    let at = |from, until, of: fn(&Event) -> bool| {
        let lane = run.lane(2);
        let time = |event: &&Event| (from..until).contains(&second(event, BEFORE_FUNDING));
        let orders = lane.iter().filter(|event| event.kind() == Some(Kind::OrderApproved));
        orders.filter(time).filter(|event| of(event)).count()
    };
    assert!(at(11, 19, enters) > 0);
    assert_eq!(at(19, 31, enters), 0, "six seconds either side of midnight");
    assert!(at(19, 31, |event| !enters(event)) > 0, "what was held is left");
    assert!(at(32, 40, enters) > 0);
    assert!(denials(&run, Reason::FundingWindow) > 0);
    is_sound(run);
}

#[test]
fn fault_x06_equity_that_something_else_takes_away_reduces_and_a_little_less_does_not() {
    // Of 10 000 USDT a hundredth is allowed.
    for (units, reduces) in [(12_000_000_000_i64, true), (8_000_000_000, false)] {
        let taken = [("withdrawal", json!({"units": units}), json!({"at": 12_000}))];
        let mut run = watched(&taken, &[]);
        let expected = (Reducing, Reason::EquityShort as u16);
        let found = run.state_after(6_000);
        assert_eq!(found == expected, reduces, "{units} {found:?}");
        let entered = approved(&run, 16, 17, enters);
        assert!(!reduces || entered == 0);
        if reduces {
            let _ = run.state_after(6_000);
            assert_eq!((held_at_venue(&run, 0), held_at_venue(&run, 1)), (0, 0), "exits go on");
        }
        is_sound(run);
    }
}

#[test]
fn fault_x07_before_announced_maintenance_positions_are_left_and_after_it_trading_goes_on() {
    let window = "[\"2026-11-22T19:13:17Z/2026-11-22T19:13:23Z\"]";
    let more = [("watch", "maintenance", window), ("watch", "maintenance_lead_s", "4")];
    let mut run = watched(&[], &more);
    assert_eq!(run.state_after(5_500), (Reducing, Reason::Maintenance as u16));
    assert_eq!((held_at_venue(&run, 0), held_at_venue(&run, 1)), (0, 0));
    assert_eq!(run.state_after(5_500), (Reducing, Reason::Maintenance as u16));
    assert_eq!(approved(&run, 14, 22, |_| true), 0, "nothing is open, nothing leaves");
    assert_eq!(run.state_after(3_000).0, Active);
    let _ = run.state_after(8_000);
    assert!(approved(&run, 24, 33, enters) > 0);
    assert_eq!(told(&run, Reason::Maintenance).len(), 1);
    is_sound(run);
}

#[test]
fn fault_x10_a_mark_price_far_from_the_touch_freezes_its_contract_until_it_is_near() {
    let far = |bps: i64| {
        let what = json!({"symbol": "BTCUSDT", "bps": bps});
        [("mark_divergence", what, json!({"from": 12_000, "until": 22_000}))]
    };
    // The order gate's own collar is wide here: it must not be what denies.
    let wide = [("risk", "collar_mark_bps", "500")];
    let btc = |event: &Event| event.instrument == BTC && enters(event);
    let mut run = watched(&far(150), &wide);
    let _ = run.state_after(10_900);
    assert!(denials(&run, Reason::MarkDiverged) > 0);
    assert_eq!(approved(&run, 15, 21, btc), 0);
    let _ = run.state_after(12_000);
    assert!(approved(&run, 26, 33, btc) > 0);
    is_sound(run);
    let mut run = watched(&far(80), &wide);
    let _ = run.state_after(10_900);
    assert_eq!(denials(&run, Reason::MarkDiverged), 0);
    assert!(approved(&run, 15, 21, btc) > 0);
    is_sound(run);
}

#[test]
fn clocks_that_go_apart_reduce_come_back_and_halt_each_at_its_threshold() {
    let jumps = |ms: i64, back: i64| {
        let at = |second, ms| (Nanos::from_secs(second), Deed::Jump { ms });
        Plan { deeds: vec![at(12, ms), at(20, back)], ..Plan::calm() }
    };
    let mut run = begin(jumps(200, 0), &[], OPENED);
    assert_eq!(run.state_after(6_000).0, Active, "a warning is no trip");
    is_sound(run);
    for ms in [300, -300] {
        let mut run = begin(jumps(ms, -ms), &[], OPENED);
        assert_eq!(run.state_after(6_000), (Reducing, Reason::ClockFar as u16), "{ms}");
        assert_eq!(run.state_after(8_000).0, Active, "{ms}: they agree again");
        is_sound(run);
    }
    let mut run = begin(jumps(600, -600), &[], OPENED);
    assert_eq!(run.state_after(6_000), (Halted, Reason::ClockBroken as u16));
    assert_eq!(run.state_after(8_000).0, Halted, "left by an operator alone");
    is_sound(run);
}

#[test]
fn a_venue_whose_clock_and_account_cannot_be_read_is_only_reduced_at_until_they_can() {
    let path = |path: &str| json!({"target": {"on": "rest", "path": path}});
    for (asked, reason, key) in [
        ("/fapi/v1/time", Reason::ClockUnread, "clock_age_s_max"),
        ("/fapi/v3/positionRisk", Reason::AccountUnread, "account_age_s_max"),
    ] {
        let silent = [("unavailable", path(asked), json!({"from": 12_000, "until": 20_000}))];
        let mut run = watched(&silent, &[("watch", key, "4")]);
        assert_eq!(run.state_after(3_500).0, Active, "{asked}: not yet");
        assert_eq!(run.state_after(4_000), (Reducing, reason as u16), "{asked}");
        assert_eq!(run.state_after(18_000).0, Active, "{asked}: it was read");
        is_sound(run);
    }
}

#[test]
fn a_liquidation_price_that_its_brackets_do_not_give_reduces_and_ours_is_the_venue_s_else() {
    let what = json!({"symbol": "BTCUSDT", "bps": 300});
    let wrong = [("liquidation_skew", what, json!({"from": 12_000, "until": 30_000}))];
    let mut run = watched(&wrong, &[("exits", "hold_ms_max", "20000")]);
    let mut reduced = false;
    for _ in 0..16 {
        let (state, reason) = run.state_after(1_000);
        reduced |= state == Reducing && reason == Reason::MarginDisagrees as u16;
    }
    assert!(reduced);
    let margins = |from: i64, until: i64| -> Vec<MarginStatus> {
        let lane = run.lane(0);
        let of = lane.iter().filter(|event| event.kind() == Some(Kind::MarginStatus));
        let of = of.filter(|event| (from..until).contains(&second(event, OPENED)));
        of.map(|event| *event.body::<MarginStatus>()).collect()
    };
    let known = |told: &&MarginStatus| told.computed_px > 0 && told.liquidation_px > 0;
    let sound = margins(0, 12);
    let compared = sound.iter().filter(known);
    for told in compared.clone() {
        let gap = i128::from((told.computed_px - told.liquidation_px).abs()) * 10_000;
        assert!(gap <= i128::from(told.liquidation_px), "{told:?}");
    }
    assert!(compared.count() > 0, "{} were told", sound.len());
    is_sound(run);
}

#[test]
fn an_account_that_is_not_set_up_as_wanted_halts_and_one_that_is_does_not() {
    let every = ("watch", "modes_every_s", "2");
    for (key, value, halts) in [
        ("leverage", "20", false),
        ("leverage", "10", true),
        ("margin_type", "\"cross\"", false),
        ("margin_type", "\"isolated\"", true),
        ("multi_assets", "true", true),
    ] {
        let changes = [&OFTEN[..], &[every, ("watch", key, value)]].concat();
        let mut run = Run::with(SEED, Plan::calm(), &changes, OPENED);
        run.start();
        let found = run.state_after(11_000);
        let expected = (Halted, Reason::AccountMode as u16);
        assert_eq!(found == expected, halts, "{key} {value} {found:?}");
        is_sound(run);
    }
}

#[test]
fn the_venue_s_own_list_of_fees_and_funding_agrees_and_a_fee_that_nobody_told_of_halts() {
    let every = [("watch", "drop_copy_every_s", "10"), ("watch", "funding_window_s", "0")];
    let mut run = begin(Plan::calm(), &every, BEFORE_FUNDING);
    let state = run.state_after(30_000);
    assert_eq!(state.0, Active, "{:?}", told(&run, Reason::DropCopyDiffers));
    let agreed = told(&run, Reason::DropCopyAgrees);
    assert!(agreed.len() >= 3 && agreed.iter().any(|body| body.told > 0), "{agreed:?}");
    let payments = run.lane(0);
    let payments = payments.iter().filter(|event| event.kind() == Some(Kind::FundingPayment));
    let paid: i64 = payments.map(|event| event.body::<FundingPayment>().amount.abs()).sum();
    assert!(paid > 0, "no funding was paid: nothing was compared");
    is_sound(run);
    // A tick times a lot of BTCUSDT is 0.0001 USDT.
    for (units, differs) in [(10_001_i64, true), (9_999, false)] {
        let what = json!({"symbol": "BTCUSDT", "units": units});
        let hidden = [("hidden_fee", what, json!({"at": 5_000}))];
        let mut run = watched(&hidden, &every);
        let found = run.state_after(26_000);
        let expected = (Halted, Reason::DropCopyDiffers as u16);
        assert_eq!(found == expected, differs, "{units} {found:?}");
        is_sound(run);
    }
}
