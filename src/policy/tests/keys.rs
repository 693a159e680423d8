//! Every key of `[policy]`, `[sizing]` and `[exits]` has an effect: the parser tells them, and for
//! each there is a market in which changing it changes what is wanted.

use super::*;
use crate::base::event::MarkPrice;
use crate::base::settings::{Settings, parse, parse_document, policy_keys};

const SHIPPED: &str = include_str!("../../../config/paper.toml");
/// Length of the market in quarters of a second.
const STEPS: i64 = 800;

type Change = (&'static str, &'static str, &'static str);

/// Nothing bounds an entry but its full size, and nothing leaves a position but its end of time.
const BASE: &[Change] = &[
    ("policy", "enter_edge", "0.5"),
    ("policy", "exit_edge", "-1.0"),
    ("policy", "decision_interval_ms", "0"),
    ("sizing", "risk_bps", "500"),
    ("sizing", "share_bps", "10000"),
    ("sizing", "volatility_reference_bps", "0.0"),
    ("sizing", "impact_bps", "0.0"),
    ("sizing", "min_edge_bps", "-10000"),
    ("exits", "stop_atr", "0.0"),
    ("exits", "take_profit_r", "0.0"),
    ("exits", "trail_r", "0.0"),
    ("exits", "hold_bars", "0"),
    ("exits", "hold_ms_max", "100000"),
    ("exits", "volatility_high", "0.0"),
    ("exits", "volatility_low", "0.0"),
];

/// What else is so, what it is changed to, and the key.
struct Case {
    key: (&'static str, &'static str),
    given: &'static [Change],
    value: &'static str,
}

const fn case(
    section: &'static str,
    key: &'static str,
    given: &'static [Change],
    value: &'static str,
) -> Case {
    Case { key: (section, key), given, value }
}

const SCALED: &[Change] = &[("sizing", "volatility_reference_bps", "100.0")];
const WILD: &[Change] = &[("sizing", "volatility_reference_bps", "50.0")];
const KELLY: &[Change] = &[
    ("sizing", "kelly_fraction", "0.0001"),
    ("sizing", "kelly_shrink", "0.1"),
    ("sizing", "slippage_bps", "0.0"),
];
const DEAR: &[Change] = &[("sizing", "min_edge_bps", "10"), ("sizing", "slippage_bps", "10.0")];
const STOP: &[Change] = &[("exits", "stop_atr", "1.0")];
const PROFIT: &[Change] = &[("exits", "stop_atr", "1.0"), ("exits", "take_profit_r", "1.0")];
const TOLD: &[Change] = &[
    ("exits", "stop_atr", "1.0"),
    ("exits", "take_profit_r", "1.0"),
    ("market", "quantiles", "true"),
];
const TRAIL: &[Change] =
    &[("exits", "stop_atr", "1.0"), ("exits", "trail_r", "0.3"), ("exits", "trail_start_r", "0.5")];
const FUNDED: &[Change] = &[("exits", "funding_bps", "2.0")];
const VENUE_STOP: &[Change] = &[("exits", "protective_stop_bps", "200")];
const NO_STOP: &[Change] = &[("exits", "protective_stop_bps", "200"), ("market", "deaf", "true")];
const RESTING: &[Change] = &[("policy", "enter_as_maker", "true")];

const CASES: &[Case] = &[
    case("policy", "decision_interval_ms", &[("exits", "hold_ms_max", "7000")], "5000"),
    case("policy", "enter_edge", &[], "0.7"),
    case("policy", "exit_edge", &[], "0.0"),
    case("policy", "position_notional", &[], "\"400\""),
    case("policy", "enter_as_maker", &[], "true"),
    case("policy", "entry_rest_ms_max", RESTING, "5000"),
    case("policy", "take_through_bps", &[], "50"),
    case("sizing", "risk_bps", &[], "1"),
    case("sizing", "share_bps", &[], "1"),
    case("sizing", "kelly_fraction", KELLY, "0.0002"),
    case("sizing", "kelly_shrink", KELLY, "0.5"),
    case("sizing", "volatility_reference_bps", &[], "50.0"),
    case("sizing", "volatility_slope", SCALED, "3.0"),
    case("sizing", "volatility_scale_min", WILD, "0.9"),
    case("sizing", "volatility_scale_max", SCALED, "1.1"),
    case("sizing", "notional_min", &[], "\"600\""),
    case("sizing", "min_edge_bps", &[], "1000"),
    case("sizing", "move_atr", DEAR, "0.1"),
    case("sizing", "slippage_bps", DEAR, "100.0"),
    case(
        "sizing",
        "slippage_volatility_max",
        &[
            ("sizing", "min_edge_bps", "10"),
            ("sizing", "slippage_bps", "10.0"),
            ("sizing", "volatility_reference_bps", "10.0"),
        ],
        "10.0",
    ),
    case("sizing", "impact_bps", DEAR, "1000.0"),
    case("exits", "stop_atr", STOP, "2.0"),
    case("exits", "stop_bps_min", STOP, "250"),
    case("exits", "stop_bps_max", STOP, "50"),
    case("exits", "take_profit_r", PROFIT, "0.5"),
    case("exits", "take_profit_model", TOLD, "0.0"),
    case("exits", "trail_start_r", TRAIL, "5.0"),
    case("exits", "trail_r", TRAIL, "0.1"),
    case("exits", "hold_bars", &[], "10"),
    case("exits", "hold_ms_max", &[], "5000"),
    case("exits", "volatility_high", &[], "1.1"),
    case("exits", "volatility_low", &[], "0.9"),
    case("exits", "funding_bps", &[], "2.0"),
    case("exits", "funding_ahead_s", FUNDED, "10"),
    case("exits", "protective_stop_bps", &[], "200"),
    case("exits", "protective_ms_max", NO_STOP, "5000"),
];

fn settings(changes: &[Change]) -> Settings {
    let mut document = parse_document(SHIPPED).unwrap();
    document.remove("risk_file");
    let risk = "[risk]\nstarting_equity = \"10000\"\nleverage_max_percent = 300\n";
    document.extend(risk.parse::<toml::Table>().unwrap());
    for (section, key, text) in changes.iter().filter(|(section, ..)| *section != "market") {
        let value = format!("v = {text}").parse::<toml::Table>().unwrap()["v"].clone();
        document[*section].as_table_mut().unwrap().insert((*key).to_owned(), value);
    }
    parse(document).unwrap()
}

fn has(changes: &[Change], key: &str) -> bool {
    changes.iter().any(|(section, name, _)| (*section, *name) == ("market", key))
}

/// A market of waves with everything in it, and a venue that fills at once.
struct Market {
    desk: Desk,
    orders: u64,
    quantiles: bool,
    /// The venue answers no stop.
    deaf: bool,
    told: Vec<String>,
}

impl Market {
    fn new(changes: &[Change]) -> Self {
        let mut desk = Desk::new(|_| {});
        let mut facts = facts();
        (facts.maker_fee, facts.taker_fee) = (Rate(20_000), Rate(50_000));
        desk.policy = Policy::new(Rules::new(&settings(changes)), &[facts]);
        let (quantiles, deaf) = (has(changes, "quantiles"), has(changes, "deaf"));
        Self { desk, orders: 0, quantiles, deaf, told: Vec::new() }
    }

    /// What the policy wanted, and when.
    fn run(mut self) -> Vec<String> {
        for step in 0..STEPS {
            self.step(step);
        }
        self.told
    }

    fn step(&mut self, step: i64) {
        let ms = step * 250;
        let now = Nanos::from_millis(ms);
        let wave = |period: f64| (step as f64 / period).sin();
        let fixed = |value: f64| (value * 100.0).round() as i64 * 1_000_000;
        let mid = 100.0 + 3.0 * wave(40.0);
        let (bid, ask) = (fixed(mid - 0.05), fixed(mid + 0.05));
        let atr_px = fixed(1.0 + 0.6 * wave(25.0));
        let edge = (0.8 * (step as f64 / 30.0).cos()) as f32;
        if step % 4 == 0 {
            let ts_next_funding = (ms / 60_000 + 1) * 60_000_000_000;
            let body = MarkPrice {
                mark_px: fixed(mid),
                funding_rate: 30_000,
                ts_next_funding,
                ..MarkPrice::default()
            };
            self.desk.policy.on_mark(&Event::new(Kind::MarkPrice, BTC, &body));
        }
        self.desk.ledger.on_touch(BTC, Px(bid), Px(ask), now);
        let checked = self.desk.policy.check(BTC, now, &self.desk.ledger);
        self.act(step, checked);
        let protected = self.desk.policy.protect(BTC, now, &self.desk.ledger);
        self.act(step, protected);
        let mean = edge * 0.02;
        let quantile = if self.quantiles { [mean - 0.02, mean, mean + 0.02] } else { [0.0; 3] };
        let body = Prediction {
            probability: [0.5 - edge / 2.0, 0.0, 0.5 + edge / 2.0],
            quantile,
            bid_px: bid,
            ask_px: ask,
            atr_px,
            ..Prediction::default()
        };
        let mut event = Event::new(Kind::Prediction, BTC, &body);
        event.ts_recv = now.0;
        self.desk.ledger.on_event(&event);
        let decided = self.desk.policy.decide(&event, &self.desk.ledger, 100);
        self.act(step, decided);
    }

    fn act(&mut self, step: i64, intent: Intent) {
        if !matches!(intent, Intent::None | Intent::HoldBack(_)) {
            self.told.push(format!("{step} {intent:?}"));
        }
        let ms = step * 250;
        match intent {
            Intent::Enter(wanted) | Intent::Exit(wanted) => {
                self.orders += 1;
                self.desk.send(self.orders, ms, &wanted);
                if wanted.time_in_force == TimeInForce::Ioc {
                    self.fill(ms, &wanted);
                }
            }
            Intent::Protect(wanted) => {
                self.orders += 1;
                self.desk.send(self.orders, ms, &wanted);
                if !self.deaf {
                    self.desk.report(Kind::OrderAccepted, self.orders);
                }
            }
            Intent::Cancel { id, .. } => self.desk.report(Kind::OrderCancelled, id.0),
            Intent::None | Intent::HoldBack(_) => {}
        }
    }

    fn fill(&mut self, ms: i64, wanted: &Wanted) {
        let body = OrderReport {
            client_id: self.orders,
            trade_id: self.orders,
            last_qty: wanted.qty.0,
            cum_qty: wanted.qty.0,
            last_px: wanted.px.0,
            ..OrderReport::default()
        };
        let event = Event::new(Kind::OrderFilled, BTC, &body).with_flags(side_flag(wanted.side));
        self.desk.ledger.on_event(&Event { ts_recv: Nanos::from_millis(ms).0, ..event });
    }
}

#[test]
fn every_key_that_decides_has_an_effect() {
    let document = parse_document(SHIPPED).unwrap();
    let mut idle = Vec::new();
    for path in policy_keys() {
        let (section, key) = path.split_once('.').unwrap();
        assert!(document[section].as_table().unwrap().contains_key(key), "{path} is not shipped");
        let case = CASES.iter().find(|case| case.key == (section, key));
        let Some(case @ Case { given, value, .. }) = case else {
            panic!("{path} has no case: nothing shows what it does");
        };
        let before = [BASE, given].concat();
        let after = [&before[..], &[(case.key.0, case.key.1, *value)]].concat();
        if Market::new(&before).run() == Market::new(&after).run() {
            idle.push(format!("{path} = {value}"));
        }
    }
    assert!(idle.is_empty(), "without effect: {idle:?}");
    let known = |case: &Case| document[case.key.0].as_table().unwrap().contains_key(case.key.1);
    assert!(CASES.iter().all(known), "a case for a key that is not in the file");
}

#[test]
fn the_same_market_is_decided_the_same_twice() {
    let changes = [BASE, TRAIL, VENUE_STOP].concat();
    assert_eq!(Market::new(&changes).run(), Market::new(&changes).run());
}
