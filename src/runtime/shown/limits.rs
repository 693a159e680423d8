//! Each limit and how much of it is used, in the worst case: with every open entry filled.

use super::{Books, Orders};
use crate::base::Nanos;
use crate::base::settings::{RiskSettings, StageName};
use crate::base::units::Money;
use crate::observe::Snapshot;
use crate::observe::snapshot::{LimitView, OrderView};

/// What is at stake, in quote currency.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Stake {
    /// The largest of one instrument.
    largest: f64,
    gross: f64,
    net: f64,
    /// Instruments with a position or an open entry.
    count: u32,
}

/// The rows, as of `now`; `page` has ages and not receive times.
pub fn limits(
    page: &Snapshot,
    settings: &RiskSettings,
    books: &Books,
    orders: &mut Orders,
    now: Nanos,
) -> Vec<LimitView> {
    let s = settings;
    // RC-37: sizes and entries a day have the share that the stage leaves them.
    let percent = f64::from(s.stage.limits_percent.unwrap_or(100).min(100)) / 100.0;
    let whole = |limit: Option<Money>| limit.map(Money::to_f64);
    let amount = |limit: Option<Money>| whole(limit).map(|most| most * percent);
    let count = |limit: Option<u32>| limit.map(f64::from);
    let stake = stake(page);
    let equity = page.account.equity.to_f64();
    let leverage = if equity > 0.0 { stake.gross / equity * 100.0 } else { 0.0 };
    let day_loss = books.day_loss(page.account.equity).to_f64();
    // In a limited stage what was lost on other days counts as well.
    let lost = match s.stage.name {
        StageName::LimitedLive => day_loss.max(books.fall(page.account.equity).to_f64()),
        _ => day_loss,
    };
    let margin = stake.gross / s.leverage_max_percent.map_or(1.0, |most| f64::from(most) / 100.0);
    let capital = s.capital().map(|most| most.min(s.starting_equity.unwrap_or(most)));
    let open = page.orders.iter().filter(|order| order.open).count();
    let ages = page.markets.iter().map(|market| market.age_seconds * 1e3);
    let row = |name, unit, used: f64, limit: Option<f64>| {
        let tripped = limit.is_none_or(|most| used >= most && used > 0.0);
        LimitView { name, unit, used, limit, tripped }
    };
    let p = &s.portfolio;
    let bps = page.account.drawdown_ratio * 1e4;
    let losses = books.losses_in_a_row();
    vec![
        row("position_notional_max", "quote", stake.largest, amount(s.position_notional_max)),
        row("gross_notional_max", "quote", stake.gross, amount(s.gross_notional_max)),
        row("net_notional_max", "quote", stake.net, amount(p.net_notional_max)),
        row("leverage_max_percent", "percent", leverage, count(s.leverage_max_percent)),
        row("capital_max", "quote", margin + lost, whole(capital)),
        row("positions_max", "count", f64::from(stake.count), count(p.positions_max)),
        row("daily_loss_max", "quote", day_loss, whole(s.daily_loss_max)),
        row("drawdown_bps_max", "bps", bps, count(s.drawdown_bps_max)),
        row("losses_in_a_row_max", "count", f64::from(losses), count(s.losses_in_a_row_max)),
        row("open_orders_max", "count", open as f64, count(s.open_orders_max)),
        row(
            "orders_per_10s_max",
            "count",
            orders.in_window(now) as f64,
            count(s.orders_per_10s_max),
        ),
        row(
            "entries_per_day_max",
            "count",
            f64::from(orders.entries_on(now)),
            count(s.entries_per_day_max).map(|most| (most * percent).floor()),
        ),
        row("market_age_ms_max", "ms", ages.fold(0.0, f64::max), count(s.market_age_ms_max)),
    ]
}

fn stake(page: &Snapshot) -> Stake {
    let mut stake = Stake::default();
    let (mut long, mut short) = (0.0, 0.0);
    for (position, market) in page.positions.iter().zip(&page.markets) {
        let left = |side: &str| -> f64 {
            let entry =
                |o: &&OrderView| o.open && o.purpose == "entry" && o.symbol == position.symbol;
            let own = page.orders.iter().filter(entry).filter(|o| o.side == side);
            own.map(|o| (o.qty - o.cum_qty).to_f64()).sum()
        };
        let px = if position.mark_px.is_positive() { position.mark_px } else { market.mark_px };
        let (held, px) = (position.qty.to_f64(), px.to_f64());
        let (most, least) = (held + left("buy"), held - left("sell"));
        let worst = most.abs().max(least.abs()) * px;
        stake.largest = stake.largest.max(worst);
        stake.gross += worst;
        stake.count += u32::from(worst > 0.0);
        long += most * px;
        short += least * px;
    }
    stake.net = long.abs().max(short.abs());
    stake
}
