//! Fields of control events (kinds 32 to 47).

use super::{Field, ORDER_TYPES, PURPOSES, TIMES_IN_FORCE, Visit, side};
use crate::base::ClientOrderId;
use crate::base::event::{self as body, Event};

const MODES: &[&str] = &["backtest", "paper", "testnet", "live"];
const EXECUTORS: &[&str] = &["", "native", "tract"];
const SWAPS: &[&str] = &["refused", "champion", "canary", "own"];
const VERBS: &[&str] = &["", "pause", "graceful kill", "immediate kill", "arm", "clear", "model"];
const SYMBOL_STATES: &[&str] = &["", "awake", "leaving", "asleep"];
const ORIGINS: &[&str] =
    &["operator", "session", "signal", "http", "telegram", "latch file", "breaker", "dead man"];

pub(super) fn session_start(body: &body::SessionStart, visit: &mut Visit<'_>) {
    visit("config_sha256", Field::Bytes(&body.config_sha256));
    visit("schema_hash", Field::Hash(body.schema_hash));
    visit("seed", Field::Count(body.seed));
    visit("epoch", Field::Count(u64::from(body.epoch)));
    visit("mode", Field::Choice(u64::from(body.mode), MODES));
    visit("event_version", Field::Count(u64::from(body.event_version)));
    visit("instrument_count", Field::Count(u64::from(body.instrument_count)));
    visit("account", Field::Hash(body.account));
}

pub(super) fn instrument(body: &body::Instrument, visit: &mut Visit<'_>) {
    visit("symbol", Field::Text(&body.symbol));
    visit("tick_size", Field::Fixed(body.tick_size));
    visit("lot_size", Field::Fixed(body.lot_size));
    visit("min_qty", Field::Fixed(body.min_qty));
    visit("max_qty", Field::Fixed(body.max_qty));
    visit("min_notional", Field::Fixed(body.min_notional));
    visit("maker_fee", Field::Fixed(body.maker_fee));
    visit("taker_fee", Field::Fixed(body.taker_fee));
}

pub(super) fn model_loaded(body: &body::ModelLoaded, visit: &mut Visit<'_>) {
    visit("sha256", Field::Bytes(&body.sha256));
    visit("version", Field::Text(&body.version));
    visit("schema_hash", Field::Hash(body.schema_hash));
    visit("executor", Field::Choice(u64::from(body.executor), EXECUTORS));
}

pub(super) fn model_swap(body: &body::ModelSwap, visit: &mut Visit<'_>) {
    visit("role", Field::Choice(u64::from(body.role), SWAPS));
    visit("version", Field::Text(&body.version));
    visit("sha256", Field::Bytes(&body.sha256));
    visit("reason", Field::Reason(body.reason));
    visit("actor", Field::Count(u64::from(body.actor)));
    visit("slot", Field::Count(u64::from(body.slot)));
    visit("share_bps", Field::Count(u64::from(body.share_bps)));
    visit("block_ms", Field::Count(u64::from(body.block_ms)));
    visit("seed", Field::Count(body.seed));
    visit("card", Field::Hash(body.card));
}

pub(super) fn symbol_change(body: &body::SymbolChange, visit: &mut Visit<'_>) {
    visit("symbol_state", Field::Choice(u64::from(body.state), SYMBOL_STATES));
    visit("flat", Field::Count(u64::from(body.flat)));
    visit("actor", Field::Count(u64::from(body.actor)));
    visit("command_reason", Field::Text(&body.reason));
}

pub(super) fn command(body: &body::Command, visit: &mut Visit<'_>) {
    visit("verb", Field::Choice(u64::from(body.verb), VERBS));
    visit("actor", Field::Count(u64::from(body.actor)));
    visit("origin", Field::Choice(u64::from(body.origin), ORIGINS));
    visit("command_reason", Field::Text(&body.reason));
}

pub(super) fn kill_round(body: &body::KillRound, visit: &mut Visit<'_>) {
    // A count that could not be had is no number.
    let count =
        |count: u32| if count == u32::MAX { Field::Whole(-1) } else { Field::Count(count.into()) };
    visit("round", Field::Count(body.round.into()));
    visit("orders", count(body.orders));
    visit("algo_entries", count(body.algo_entries));
    visit("stops", count(body.stops));
    visit("positions", count(body.positions));
    visit("empty", Field::Count(body.empty.into()));
    visit("elapsed_ms", Field::Count(body.elapsed_ms));
    visit("mode", Field::Choice(body.mode.into(), VERBS));
    visit("reason", Field::Reason(body.reason));
}

pub(super) fn position_carried(body: &body::PositionCarried, visit: &mut Visit<'_>) {
    visit("qty", Field::Fixed(body.qty));
    visit("cost", Field::Fixed(body.cost));
    visit("realised", Field::Fixed(body.realised));
    visit("fees", Field::Fixed(body.fees));
    visit("funding", Field::Fixed(body.funding));
    visit("trades_from", Field::Count(body.trades_from));
    visit("ts_opened", Field::Time(body.ts_opened));
    visit("round_trip", Field::Fixed(body.round_trip));
    visit("atr_px", Field::Fixed(body.atr_px));
    visit("target_px", Field::Fixed(body.target_px));
    visit("best_px", Field::Fixed(body.best_px));
}

pub(super) fn order_carried(event: &Event, visit: &mut Visit<'_>) {
    let body: &body::OrderCarried = event.body();
    visit("client_id", Field::Order(ClientOrderId(body.client_id)));
    visit("venue_id", Field::Count(body.venue_id));
    side(event, visit);
    visit("px", Field::Fixed(body.px));
    visit("qty", Field::Fixed(body.qty));
    visit("filled", Field::Fixed(body.filled));
    visit("reported", Field::Fixed(body.reported));
    visit("ts_sent", Field::Time(body.ts_sent));
    visit("order_type", Field::Choice(u64::from(body.order_type), ORDER_TYPES));
    visit("time_in_force", Field::Choice(u64::from(body.time_in_force), TIMES_IN_FORCE));
    visit("purpose", Field::Choice(u64::from(body.purpose), PURPOSES));
    visit("state", Field::Count(u64::from(body.state)));
    visit("atr_px", Field::Fixed(body.atr_px));
    visit("target_px", Field::Fixed(body.target_px));
}

pub(super) fn session_carried(body: &body::SessionCarried, visit: &mut Visit<'_>) {
    visit("starting_equity", Field::Fixed(body.starting_equity));
    visit("peak_equity", Field::Fixed(body.peak_equity));
    visit("day_start_equity", Field::Fixed(body.day_start_equity));
    visit("day", Field::Whole(body.day));
    visit("epoch", Field::Count(u64::from(body.epoch)));
    visit("losses_in_a_row", Field::Count(u64::from(body.losses_in_a_row)));
    visit("entries_today", Field::Count(u64::from(body.entries_today)));
    visit("state", Field::Count(u64::from(body.state)));
    visit("lossy", Field::Count(u64::from(body.lossy)));
    visit("reason", Field::Reason(body.reason));
    visit("ts_last", Field::Time(body.ts_last));
    visit("funding_since", Field::Time(body.funding_since));
    visit("restart_percent", Field::Count(u64::from(body.restart_percent)));
    visit("restart_trips", Field::Count(u64::from(body.restart_trips)));
    visit("ts_restart", Field::Time(body.ts_restart));
}

pub(super) fn booked_carried(body: &body::BookedCarried, visit: &mut Visit<'_>) {
    const TRADES: [&str; 4] = ["trade_id_0", "trade_id_1", "trade_id_2", "trade_id_3"];
    const TIMES: [&str; 4] = ["ts_funding_0", "ts_funding_1", "ts_funding_2", "ts_funding_3"];
    const AMOUNTS: [&str; 4] = ["funding_0", "funding_1", "funding_2", "funding_3"];
    for i in 0..4 {
        visit(TRADES[i], Field::Count(body.trade_ids[i]));
        visit(TIMES[i], Field::Time(body.ts_funding[i]));
        visit(AMOUNTS[i], Field::Fixed(body.funding[i]));
    }
}
