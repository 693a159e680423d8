//! Policy, gate, ledger and paper venue together over a recorded market: the two sets of books
//! agree to the unit, limits hold at the venue, and a second run repeats the first byte for byte.

use flate2::read::GzDecoder;
use peregrine::base::event::{
    self, BookTicker, Event, Kind, MarkPrice, OrderReport, Prediction, flags, side_flag,
};
use peregrine::base::settings::{
    BreakerSettings, ExitSettings, InstrumentSettings, Mode, PaperSettings, PolicySettings,
    PortfolioSettings, QueueModel, RiskSettings, SizingSettings, StageSettings,
};
use peregrine::base::units::{notional, parse_fixed};
use peregrine::base::{InstrumentId, Money, Nanos, Px, Qty, Rate, Side, Symbol};
use peregrine::execution::{Execution, Signer};
use peregrine::ledger::{Ledger, LedgerChange};
use peregrine::policy::{Intent, Policy, Rules};
use peregrine::risk::{Actor, Gate, GateSession, Trading, TradingState, Verdict};
use peregrine::venue::paper::PaperVenue;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;

const BTC: InstrumentId = InstrumentId(0);
const LIMIT: Money = Money::whole(400);

fn data_dir() -> Option<PathBuf> {
    let given = std::env::var_os("PEREGRINE_DATA").map(PathBuf::from);
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    given.into_iter().chain([beside]).find(|path| path.is_dir())
}

fn number(frame: &serde_json::Value, key: &str) -> i64 {
    parse_fixed(frame[key].as_str().unwrap().as_bytes()).unwrap()
}

/// The market events of a recording whose times are in microseconds, read by a plain JSON parser.
fn recorded() -> Option<Vec<Event>> {
    let path = data_dir()?.join("hftbacktest-playground/btcusdt_20230404.dat.gz");
    let file = std::fs::File::open(path).ok()?;
    let mut events = Vec::new();
    for line in BufReader::new(GzDecoder::new(file)).lines() {
        let line = line.unwrap();
        let (time, json) = line.split_once(' ').unwrap();
        let json: serde_json::Value = serde_json::from_str(json).unwrap();
        let frame = &json["data"];
        let mut event = match frame["e"].as_str() {
            Some("bookTicker") => {
                let body = BookTicker {
                    bid_px: number(frame, "b"),
                    bid_qty: number(frame, "B"),
                    ask_px: number(frame, "a"),
                    ask_qty: number(frame, "A"),
                    ..BookTicker::default()
                };
                Event::new(Kind::BookTicker, BTC, &body)
            }
            Some("trade") if frame["X"] == "MARKET" => {
                let body = event::Trade {
                    px: number(frame, "p"),
                    qty: number(frame, "q"),
                    ..event::Trade::default()
                };
                let taker = if frame["m"] == true { Side::Sell } else { Side::Buy };
                Event::new(Kind::Trade, BTC, &body).with_flags(side_flag(taker))
            }
            Some("markPriceUpdate") => {
                let body = MarkPrice {
                    mark_px: number(frame, "p"),
                    funding_rate: number(frame, "r"),
                    ts_next_funding: frame["T"].as_i64().unwrap() * 1_000_000,
                    ..MarkPrice::default()
                };
                Event::new(Kind::MarkPrice, BTC, &body)
            }
            _ => continue,
        };
        event.ts_recv = time.parse::<i64>().unwrap() * 1_000;
        event.seq = events.len() as u64 + 1;
        events.push(event);
    }
    // The recording ends at the eve of a funding time: one more mark lets it come.
    let last = *events.iter().rev().find(|event| event.kind() == Some(Kind::MarkPrice)).unwrap();
    let mut funded = last;
    funded.ts_recv = last.body::<MarkPrice>().ts_next_funding + 1_000_000_000;
    events.push(funded);
    Some(events)
}

fn instrument() -> InstrumentSettings {
    InstrumentSettings {
        symbol: Symbol::new(b"BTCUSDT").unwrap(),
        tick_size: Px::parse("0.1").unwrap(),
        lot_size: Qty::parse("0.001").unwrap(),
        min_qty: Qty::parse("0.001").unwrap(),
        max_qty: Qty::whole(1_000),
        min_notional: Money::whole(5),
        maker_fee: Rate(20_000),
        taker_fee: Rate(50_000),
    }
}

fn limits() -> RiskSettings {
    RiskSettings {
        starting_equity: Some(Money::whole(10_000)),
        allow: vec![instrument().symbol],
        qty_max: Vec::new(),
        order_notional_max: Some(LIMIT),
        collar_mark_bps: Some(100),
        collar_touch_bps: Some(30),
        position_notional_max: Some(LIMIT),
        gross_notional_max: Some(LIMIT),
        leverage_max_percent: Some(300),
        duplicate_window_ms: Some(50),
        orders_per_10s_max: Some(150),
        entries_per_day_max: Some(5_000),
        open_orders_max: Some(4),
        market_age_ms_max: Some(1_000),
        decision_age_ms_max: Some(1_000),
        daily_loss_max: Some(Money::whole(1_000)),
        drawdown_bps_max: Some(2_000),
        losses_in_a_row_max: Some(100_000),
        collar_cumulative_bps: Some(100),
        collar_denials_per_min_max: Some(64),
        capital_max: Some(Money::whole(10_000)),
        rate_denials_per_10s_max: Some(64),
        identical_entries_per_min_max: Some(32),
        model_identical_max: Some(50),
        model_one_sided_window: Some(100_000),
        model_one_sided_percent_max: Some(100),
        late_percent_max: Some(100),
        liquidation_distance_bps_min: Some(2_500),
        reduce_s: Some(60),
        portfolio: PortfolioSettings {
            net_notional_max: Some(LIMIT),
            positions_max: Some(1),
            correlation_max_percent: Some(70),
            correlation_bar_s: Some(60),
            correlation_bars: Some(60),
            correlated_notional_max: Some(LIMIT),
            budgets: Vec::new(),
        },
        stage: StageSettings::default(),
    }
}

fn wishes(maker: bool) -> Rules {
    let policy = PolicySettings {
        decision_interval_ms: 20,
        enter_edge: 0.6,
        exit_edge: 0.0,
        position_notional: Money::whole(300),
        enter_as_maker: maker,
        entry_rest_ms_max: 3_000,
        take_through_bps: 2,
    };
    // Whatever it costs: the market is recorded, the predictions are not.
    let sizing =
        SizingSettings { min_edge_bps: -10_000, kelly_fraction: 0.0, ..SizingSettings::default() };
    let exits = ExitSettings {
        stop_atr: 3.0,
        stop_bps_min: 1,
        take_profit_r: 1.0,
        hold_ms_max: 5_000,
        ..ExitSettings::default()
    };
    let bar = Nanos::from_secs(1);
    Rules { policy, sizing, exits, bar, leverage_max_percent: 300 }
}

/// What a run did: everything it wrote, and how it ended.
struct Outcome {
    written: Vec<Event>,
    ledger: Ledger,
    venue: PaperVenue,
    fills: u32,
    makers: u32,
    denied: u32,
}

/// The risk stage and a venue, wired as an engine would wire them.
struct Desk {
    policy: Policy,
    gate: Gate,
    execution: Execution,
    out: Outcome,
}

impl Desk {
    fn new(maker: bool) -> Self {
        let session = GateSession { epoch: 1, strategy: 0, model: 0, mode: Mode::Paper };
        // It loses most of its trades, as a policy of chance does, and is to go on.
        let (losses_half, losses_quarter, losses_halt) = (99_998, 99_999, 100_000);
        let breakers =
            BreakerSettings { losses_half, losses_quarter, losses_halt, ..Default::default() };
        let gate = Gate::new(&limits(), &[instrument()], session, Trading::new()).unwrap();
        let mut gate = gate.with_breakers(&breakers, &limits());
        let cause = Event::EMPTY;
        gate.on_reconciled(&cause).unwrap();
        let operator = Actor::Operator(0);
        let why = peregrine::base::Reason::Operator;
        gate.request(&cause, TradingState::Active, why, operator).unwrap();
        let paper = PaperSettings {
            order_latency_us: 2_000,
            report_latency_us: 1_500,
            queue: QueueModel::Probabilistic,
            ..PaperSettings::default()
        };
        let out = Outcome {
            written: Vec::new(),
            ledger: Ledger::new(1, Money::whole(10_000)),
            venue: PaperVenue::new(&[instrument()], paper, Money::whole(10_000)),
            fills: 0,
            makers: 0,
            denied: 0,
        };
        let execution = Execution::new(&[instrument()], 5_000, &Signer::new(b"paper"));
        Self { policy: Policy::new(wishes(maker), &[instrument()]), gate, execution, out }
    }

    fn hear(&mut self, now: Nanos) {
        while let Some(report) = self.out.venue.poll(now) {
            self.gate.on_time(report.now());
            let change = self.out.ledger.on_event(&report);
            assert!(!matches!(change, LedgerChange::Fault(_) | LedgerChange::Duplicate));
            if report.kind() == Some(Kind::OrderFilled) {
                self.out.fills += 1;
                self.out.makers += u32::from(report.has(flags::MAKER));
            }
            self.gate.observe(&report, change, &self.out.ledger);
            let halted = self.gate.break_on(&report, &self.out.ledger);
            assert_eq!(halted, None);
            self.out.written.push(report);
            self.out.written.extend(self.execution.on_report(&report));
            // The position as the venue sees it never exceeds the limit of the gate.
            let held = self.out.venue.account().held(BTC);
            let px = self.out.ledger.position(BTC).unwrap().value_px;
            assert!(notional(held.abs(), px).unwrap() <= LIMIT);
        }
    }

    fn act(&mut self, cause: &Event, intent: Intent) {
        match self.gate.admit(cause, &intent, &mut self.out.ledger) {
            None => {}
            Some(Verdict::Denied(event)) => {
                self.out.denied += 1;
                self.out.written.push(event);
            }
            Some(Verdict::Approved(approved)) => {
                self.out.written.push(Execution::intent(&approved));
                match approved.event().kind() {
                    Some(Kind::CancelApproved) => {
                        self.out.venue.cancel(approved.event(), cause.now());
                    }
                    _ => self.out.venue.submit(approved.event(), cause.now()),
                }
            }
        }
    }
}

/// Trades on the imbalance of the touch, smoothed: good enough to trade often.
fn run(events: &[Event], maker: bool) -> Outcome {
    let mut desk = Desk::new(maker);
    let mut smooth = 0.0_f32;
    for event in events {
        desk.hear(event.now());
        desk.gate.on_time(event.now());
        desk.out.ledger.on_event(event);
        desk.out.venue.on_market(event);
        if event.kind() != Some(Kind::BookTicker) {
            let intent = desk.policy.check(BTC, event.now(), &desk.out.ledger);
            desk.act(event, intent);
            continue;
        }
        let touch: BookTicker = *event.body();
        let (bid, ask) = (touch.bid_qty as f32, touch.ask_qty as f32);
        smooth += 0.2 * ((bid - ask) / (bid + ask) - smooth);
        let up = 0.5 + smooth / 2.0;
        let body = Prediction {
            probability: [1.0 - up, 0.0, up],
            bid_px: touch.bid_px,
            bid_qty: touch.bid_qty,
            ask_px: touch.ask_px,
            ask_qty: touch.ask_qty,
            atr_px: Px::whole(5).0,
            ..Prediction::default()
        };
        let prediction = Event::caused_by(event, Kind::Prediction, BTC, &body);
        desk.out.ledger.on_event(&prediction);
        let intent = desk.policy.decide(&prediction, &desk.out.ledger, 100);
        desk.act(&prediction, intent);
    }
    while let Some(due) = desk.out.venue.next_due() {
        desk.hear(due);
    }
    desk.out
}

/// What was held before the recording's last event, the funding at midnight.
fn position_at_midnight(out: &Outcome) -> Qty {
    let fills = out.written.iter().filter(|e| e.kind() == Some(Kind::OrderFilled));
    let midnight = 1_680_652_800_000_000_000;
    let sum = fills.filter(|e| e.ts_venue <= midnight).map(|event| {
        let report: &OrderReport = event.body();
        event.side().sign() * report.last_qty
    });
    Qty(sum.sum())
}

#[test]
fn a_recorded_market_leaves_the_ledger_and_the_venue_in_agreement_to_the_unit() {
    let Some(events) = recorded() else {
        println!("the recorded market is absent: nothing was tested");
        return;
    };
    for maker in [false, true] {
        let out = run(&events, maker);
        // A taker trades as often as it decides; a maker only when the market comes to it.
        let (fills, makers) = (out.fills, out.makers);
        assert!(if maker { makers > 0 } else { fills > 20 && makers == 0 }, "{fills} {makers}");
        let funded = out.written.iter().any(|e| e.kind() == Some(Kind::FundingPayment));
        assert_eq!(funded, position_at_midnight(&out) != Qty::ZERO);
        let position = *out.ledger.position(BTC).unwrap();
        assert!(out.venue.account().balances());
        assert_eq!(position.qty, out.venue.account().held(BTC));
        assert_eq!(Some(out.ledger.equity()), out.venue.equity());
        assert_eq!(out.ledger.orders().len(), out.venue.orders().len(), "no order is lost");
        let paid: i64 = out
            .written
            .iter()
            .filter(|event| event.kind() == Some(Kind::OrderFilled))
            .map(|event| event.body::<OrderReport>().fee)
            .sum();
        assert_eq!(position.fees, Money(paid));
    }
}

#[test]
fn a_second_run_over_the_same_market_writes_the_same_bytes() {
    let Some(events) = recorded() else {
        println!("the recorded market is absent: nothing was tested");
        return;
    };
    let (first, second) = (run(&events, true), run(&events, true));
    assert_eq!(first.written, second.written);
}
