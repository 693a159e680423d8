//! What trips each breaker: the fault of the exchange, of a line, of the market, of the model or of
//! the machine that it is there for, and what follows from it.
//!
//! | class | trips |
//! |---|---|
//! | `money` | losses, fees, fills far from their decision |
//! | `orders` | what the venue says of orders: refusals, silence, more than was ordered |
//! | `markets` | prices, and connections that bring none |
//! | `machine` | what is measured beside the river, and a model whose answers are none |

use super::{Case, Strike};
use crate::pipeline_support::softmax_of;
use crate::sim::net::Line;
use crate::sim::plan::{Plan, fault};
use crate::sim::run::Run;
use peregrine::base::{Control, Level, Measure, Nanos, Reason, Side};
use peregrine::exchange::matching::{Owner, SelfTrade, Taker};
use peregrine::features::schema_hash;
use peregrine::model::ArtifactFiles;
use peregrine::risk::TradingState::{Halted, Killed, Reconciling, Reducing};
use serde_json::{Value, json};

const SYMBOLS: [&str; 2] = ["BTCUSDT", "ETHUSDT"];
/// The second of them, as the exchange counts.
const ETH: usize = 1;
/// Where a model's weight times this many basis points is more than a 32-bit float holds.
const OVERFLOWS_BPS: f32 = 34.0;

/// Every case there is.
pub(super) fn all() -> impl Iterator<Item = Case> {
    money().into_iter().chain(orders()).chain(markets()).chain(machine())
}

/// What the cases have in common; a control that halts.
pub(super) fn halts(control: Control, reason: Reason) -> Case {
    Case {
        control,
        keys: &[],
        wrong: |_| (),
        strike: Strike::Itself,
        model: None,
        state: Halted,
        reason,
        level: Level::Halt,
        until_ms: 38_000,
    }
}

fn reduces(control: Control, reason: Reason) -> Case {
    Case { state: Reducing, level: Level::Reduce, ..halts(control, reason) }
}

/// What happens to both contracts from one second to another.
fn to_both(plan: &mut Plan, kind: &str, bps: i64, when: &Value) {
    for symbol in SYMBOLS {
        plan.faults.push(fault(kind, json!({"symbol": symbol, "bps": bps}), when.clone()));
    }
}

/// A mark price ten percent away is four hundred basis points of the account, lost or won.
fn marks_far_away(plan: &mut Plan) {
    to_both(plan, "mark_divergence", 1_000, &json!({"from": 12_000, "until": 25_000}));
}

fn money() -> Vec<Case> {
    vec![
        Case { keys: &[("breakers", "fee_bps", "1")], ..halts(Control::Fee, Reason::FillFee) },
        Case {
            keys: &[("breakers", "day_loss_warn_bps", "1"), ("breakers", "day_loss_halt_bps", "2")],
            ..halts(Control::DayLoss, Reason::DailyLoss)
        },
        Case {
            keys: &[
                ("breakers", "day_loss_warn_bps", "1"),
                ("breakers", "day_loss_halt_bps", "20"),
                ("breakers", "day_loss_kill_bps", "21"),
            ],
            wrong: marks_far_away,
            state: Killed,
            level: Level::Kill,
            ..halts(Control::DayLoss, Reason::DailyLoss)
        },
        Case {
            keys: &[("risk", "daily_loss_max", "\"0.5\"")],
            ..halts(Control::DayLossAmount, Reason::DailyLoss)
        },
        Case {
            keys: &[
                ("breakers", "drawdown_reduce_bps", "20"),
                ("breakers", "drawdown_halt_bps", "21"),
            ],
            wrong: marks_far_away,
            ..halts(Control::Drawdown, Reason::Drawdown)
        },
        Case {
            keys: &[
                ("breakers", "losses_half", "1"),
                ("breakers", "losses_quarter", "2"),
                ("breakers", "losses_halt", "3"),
            ],
            ..halts(Control::LossesInARow, Reason::ConsecutiveLosses)
        },
        Case {
            keys: &[
                ("breakers", "slippage_bps", "10"),
                ("policy", "take_through_bps", "100"),
                ("risk", "collar_touch_bps", "200"),
                ("risk", "collar_mark_bps", "500"),
                ("risk", "collar_cumulative_bps", "1000"),
            ],
            // The market is elsewhere when the order comes, but within what it may pay.
            wrong: |plan| {
                plan.manners[Line::Entry as usize].delay = Nanos::from_millis(200);
                let when = json!({"from": 12_000, "until": 20_000, "every": 400});
                to_both(plan, "price_spike", 20, &when);
            },
            ..reduces(Control::Slippage, Reason::FillSlippage)
        },
    ]
}

/// The mark price is where the exchange takes nobody's sale: far above the market.
fn sells_are_refused(plan: &mut Plan) {
    to_both(plan, "mark_divergence", 1_000, &json!({"from": 12_000, "until": 18_000}));
}

/// A fill as of twice what was ordered, and nothing else.
fn overfilled(event: &str, text: &str) -> Option<String> {
    let mut whole: Value = serde_json::from_str(text).ok().filter(|_| event == FILLS)?;
    let order = whole.get_mut("o").filter(|order| order["x"] == "TRADE")?;
    let ordered: f64 = order["q"].as_str()?.parse().ok()?;
    let twice = json!(format!("{:.3}", 2.0 * ordered));
    (order["l"], order["z"]) = (twice.clone(), twice);
    Some(whole.to_string())
}

/// The event that tells of them.
const FILLS: &str = "ORDER_TRADE_UPDATE";

/// What becomes of orders is told by the account's own stream alone, and that comes late.
fn gateway_gives_up(run: &mut Run) {
    let orders = json!({"method": "POST", "path": "/fapi/v1/order"});
    let when = json!({"from": 12_000, "until": 18_000});
    let gateway = fault("gateway_after_accept", json!({"target": orders}), when);
    run.world.borrow_mut().faults.add(gateway);
}

fn orders() -> Vec<Case> {
    let lies = Strike::Held(|run| run.world.borrow_mut().lie = Some(overfilled));
    vec![
        Case { strike: lies, ..halts(Control::LedgerFault, Reason::Overfill) },
        // Of two that halt at the same event the first one's reason is the state's.
        Case { strike: lies, ..halts(Control::OrderBalance, Reason::Overfill) },
        Case {
            wrong: |plan| plan.manners[Line::Private as usize].delay = Nanos::from_millis(800),
            strike: Strike::Held(gateway_gives_up),
            state: Reconciling,
            level: Level::Warn,
            ..halts(Control::UnknownOrders, Reason::OrderOutcomeUnknown)
        },
        Case {
            keys: &[("risk", "collar_mark_bps", "2000"), ("watch", "mark_gap_bps_max", "2000")],
            wrong: sells_are_refused,
            ..halts(Control::RejectsInARow, Reason::RejectsInARow)
        },
        Case {
            keys: &[
                ("risk", "collar_mark_bps", "2000"),
                ("watch", "mark_gap_bps_max", "2000"),
                ("breakers", "rejects_in_a_row", "19"),
                ("breakers", "rejects_window", "20"),
            ],
            wrong: sells_are_refused,
            ..halts(Control::RejectRate, Reason::RejectRate)
        },
    ]
}

/// Somebody takes every offer within sixty basis points.
fn offers_are_taken(run: &mut Run) {
    let mut world = run.world.borrow_mut();
    let now = world.venue_time();
    let market = &mut world.exchange.market;
    let ask = market.book(ETH).top().ask.0;
    let (owner, side, lots) = (Owner::CROWD, Side::Buy, i64::MAX / 4);
    let limit = Some(ask + ask * 60 / 10_000);
    market.client_take(now, ETH, &Taker { owner, side, limit, lots, self_trade: SelfTrade::Allow });
}

fn markets() -> Vec<Case> {
    vec![
        Case {
            wrong: |plan| {
                let silence = (Nanos::from_secs(13), Nanos::from_secs(40));
                plan.manners[Line::Market as usize].down.push(silence);
            },
            ..reduces(Control::Staleness, Reason::FeedStale)
        },
        Case {
            strike: Strike::Held(offers_are_taken),
            ..reduces(Control::Spread, Reason::SpreadWide)
        },
        Case {
            // A minute of ranges is needed before one of them is wide; few orders until then.
            keys: &[("policy", "decision_interval_ms", "1000")],
            wrong: |plan| {
                let when = json!({"from": 80_000, "until": 81_000});
                to_both(plan, "price_spike", 100, &when);
            },
            until_ms: 90_000,
            ..reduces(Control::Range, Reason::RangeWide)
        },
        Case {
            keys: &[("breakers", "jump_trip_bps", "100"), ("breakers", "jump_clear_bps", "50")],
            wrong: |plan| {
                let numbers = json!({"symbol": "BTCUSDT", "bps": 300});
                let times = json!({"from": 14_000, "until": 15_000});
                plan.faults.push(fault("price_spike", numbers, times));
            },
            ..reduces(Control::Jump, Reason::PriceJump)
        },
    ]
}

/// A model that no longer answers with numbers where the mark price leaves the index too far.
fn overflowing() -> ArtifactFiles {
    let weight = f32::MAX / OVERFLOWS_BPS;
    softmax_of("basis_bps", [-weight, 0.0, weight], schema_hash())
}

fn machine() -> Vec<Case> {
    vec![
        Case {
            keys: &[
                ("breakers", "send_to_ack_ms", "300"),
                ("breakers", "send_to_ack_p95_ms", "300"),
            ],
            // Later than that, and within the time the venue lets a request be under way.
            wrong: |plan| plan.manners[Line::Entry as usize].delay = Nanos::from_millis(250),
            ..reduces(Control::SendToAck, Reason::SendToAckSlow)
        },
        Case {
            keys: &[("breakers", "send_to_ack_p95_ms", "300")],
            wrong: |plan| plan.manners[Line::Entry as usize].delay = Nanos::from_millis(250),
            ..reduces(Control::SendToAckP95, Reason::SendToAckSlow)
        },
        Case {
            strike: Strike::Held(|run| run.session().tell(Measure::CoreStall, 1_500)),
            ..reduces(Control::CoreStall, Reason::CoreStalled)
        },
        Case {
            strike: Strike::Held(|run| run.session().tell(Measure::TickToGate, 200_000)),
            ..reduces(Control::TickToGate, Reason::TickToGateSlow)
        },
        Case {
            strike: Strike::Held(|run| run.session().tell(Measure::TickToGateP95, 60_000)),
            ..reduces(Control::TickToGateP95, Reason::TickToGateSlow)
        },
        Case {
            strike: Strike::Held(|run| run.session().tell(Measure::RingDepth, 60)),
            ..reduces(Control::RingDepth, Reason::RingDeep)
        },
        Case {
            strike: Strike::Held(|run| run.session().tell(Measure::Memory, 10_000)),
            ..reduces(Control::Memory, Reason::MemoryHigh)
        },
        Case {
            strike: Strike::Held(|run| run.session().tell(Measure::Files, 90)),
            ..reduces(Control::Files, Reason::FilesHigh)
        },
        Case {
            strike: Strike::Held(|run| run.session().tell(Measure::SegmentNeed, 120)),
            ..halts(Control::Disk, Reason::DiskShort)
        },
        Case {
            keys: &[("risk", "model_one_sided_window", "1000000")],
            wrong: |plan| {
                let when = json!({"from": 13_000, "until": 25_000});
                to_both(plan, "mark_divergence", 50, &when);
            },
            model: Some(overflowing),
            ..reduces(Control::InvalidOutputs, Reason::OutputsInvalid)
        },
    ]
}
