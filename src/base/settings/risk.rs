//! `[risk]`: the order gate's limits. `[portfolio]` and `[stage]` belong to the same gate and are
//! kept with them.

use super::section::Section;
use super::{Mode, PortfolioSettings, SettingsError, StageSettings};
use crate::base::ids::Symbol;
use crate::base::limits::{DENIALS_MAX, IDENTICAL_ENTRIES_MAX, OPEN_ORDERS_MAX};
use crate::base::units::{Money, Qty};
use toml::Table;

/// Limits of the order gate. `None` is unset, and unset means deny.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RiskSettings {
    /// Account equity at session start in paper and backtest.
    pub starting_equity: Option<Money>,
    /// Symbols that may be traded; empty denies all.
    pub allow: Vec<Symbol>,
    /// RC-02: largest quantity of an entry by symbol, in base currency. Where live trading is not
    /// asked for, the others have the venue's alone.
    pub qty_max: Vec<(Symbol, Qty)>,
    /// RC-03: largest value of an order in quote currency, at the worst of its prices.
    pub order_notional_max: Option<Money>,
    /// RC-04: band around the mark price in basis points.
    pub collar_mark_bps: Option<u32>,
    /// RC-04: band around the touch in basis points.
    pub collar_touch_bps: Option<u32>,
    /// RC-04: how much worse than the mark price our fills of the session may have been on average,
    /// in basis points.
    pub collar_cumulative_bps: Option<u32>,
    /// RC-04: denials by a collar within 60 s that halt trading.
    pub collar_denials_per_min_max: Option<u32>,
    /// RC-05: largest worst-case position value per instrument.
    pub position_notional_max: Option<Money>,
    /// RC-06: largest gross exposure over all instruments.
    pub gross_notional_max: Option<Money>,
    /// RC-06: gross exposure over equity, in hundredths (300 is 3 ×).
    pub leverage_max_percent: Option<u32>,
    /// RC-07: margin in use and the day's loss together, whatever the equity says.
    pub capital_max: Option<Money>,
    /// RC-08: window in which the same order again is a duplicate, in milliseconds.
    pub duplicate_window_ms: Option<u32>,
    /// RC-09: orders in any ten seconds.
    pub orders_per_10s_max: Option<u32>,
    /// RC-09: denials by that rate within ten seconds that make it reduce.
    pub rate_denials_per_10s_max: Option<u32>,
    /// RC-10: entries per UTC day; the next one halts trading.
    pub entries_per_day_max: Option<u32>,
    /// RC-10: identical entries within 60 s; the next one halts trading.
    pub identical_entries_per_min_max: Option<u32>,
    /// Orders working or in flight at once.
    pub open_orders_max: Option<u32>,
    /// RC-15: oldest market data an entry may rest on, in milliseconds.
    pub market_age_ms_max: Option<u32>,
    /// RC-16: identical predictions in a row that make it reduce.
    pub model_identical_max: Option<u32>,
    /// RC-16: predictions over which one-sidedness is judged.
    pub model_one_sided_window: Option<u32>,
    /// RC-16: largest share of predictions to one side in that window, in percent.
    pub model_one_sided_percent_max: Option<u32>,
    /// RC-17: longest time from the venue's event to the decision on it, in milliseconds.
    pub decision_age_ms_max: Option<u32>,
    /// RC-17: share of decisions within a minute that may be later than that, in percent.
    pub late_percent_max: Option<u32>,
    /// RC-19: least distance of the liquidation from the mark price, in basis points.
    pub liquidation_distance_bps_min: Option<u32>,
    /// Seconds a reduction by one of these limits lasts.
    pub reduce_s: Option<u32>,
    /// RC-22: loss since 00:00 UTC that halts trading.
    pub daily_loss_max: Option<Money>,
    /// RC-23: fall from the equity peak that halts trading, in basis points.
    pub drawdown_bps_max: Option<u32>,
    /// RC-24: losing trades in a row that halt trading.
    pub losses_in_a_row_max: Option<u32>,
    /// Limits over many instruments.
    pub portfolio: PortfolioSettings,
    /// The stage on the way to live trading, and what it caps.
    pub stage: StageSettings,
}

impl RiskSettings {
    /// Most capital that may be at risk: the least of what `risk.capital_max` and the stage leave;
    /// `None` where the former is unset.
    pub fn capital(&self) -> Option<Money> {
        self.capital_max.map(|most| self.stage.capital().map_or(most, |of| of.min(most)))
    }

    /// Reads `[risk]`, `[portfolio]` and `[stage]`, in this order.
    pub(super) fn read(
        parts: [(String, Table); 3],
        mode: Mode,
        errors: &mut Vec<SettingsError>,
    ) -> Self {
        let [(risk, risk_table), (portfolio, portfolio_table), (stage, stage_table)] = parts;
        let mut s = Section::new(&risk, risk_table, errors);
        let (mut settings, quantities) = Self::keys(&mut s);
        if mode == Mode::Paper && settings.starting_equity.is_none() {
            s.fail("starting_equity", "missing; paper trading needs an account to start from");
        }
        s.finish();
        settings.read_quantities(quantities, mode, errors);
        settings.portfolio = PortfolioSettings::read((portfolio, portfolio_table), errors);
        settings.stage = StageSettings::read((stage, stage_table), errors);
        settings
    }

    /// Live trading has a quantity for every symbol it allows.
    fn read_quantities(
        &mut self,
        (path, table): (String, Table),
        mode: Mode,
        errors: &mut Vec<SettingsError>,
    ) {
        let mut s = Section::new(&path, table, errors);
        self.qty_max = s.by_symbol(Section::qty_opt);
        let bound = |symbol: &&Symbol| self.qty_max.iter().any(|(of, _)| of == *symbol);
        let unbound = self.allow.iter().filter(|symbol| mode == Mode::Live && !bound(symbol));
        for symbol in unbound {
            s.fail(symbol.as_str(), "missing; live trading has no default for it");
        }
        s.finish();
    }

    /// The keys of the table itself, and the table of quantities within it.
    fn keys(s: &mut Section<'_>) -> (Self, (String, Table)) {
        let any = 1..=u32::MAX;
        let settings = Self {
            starting_equity: s.money_opt("starting_equity"),
            allow: s.symbols("allow"),
            order_notional_max: s.money_opt("order_notional_max"),
            collar_mark_bps: s.u32_opt("collar_mark_bps", 1..=10_000),
            collar_touch_bps: s.u32_opt("collar_touch_bps", 1..=10_000),
            collar_cumulative_bps: s.u32_opt("collar_cumulative_bps", 1..=10_000),
            collar_denials_per_min_max: s.u32_opt("collar_denials_per_min_max", 1..=DENIALS_MAX),
            position_notional_max: s.money_opt("position_notional_max"),
            gross_notional_max: s.money_opt("gross_notional_max"),
            leverage_max_percent: s.u32_opt("leverage_max_percent", 1..=12_500),
            capital_max: s.money_opt("capital_max"),
            duplicate_window_ms: s.u32_opt("duplicate_window_ms", any.clone()),
            orders_per_10s_max: s.u32_opt("orders_per_10s_max", any.clone()),
            rate_denials_per_10s_max: s.u32_opt("rate_denials_per_10s_max", 1..=DENIALS_MAX),
            entries_per_day_max: s.u32_opt("entries_per_day_max", any.clone()),
            identical_entries_per_min_max: s
                .u32_opt("identical_entries_per_min_max", 1..=IDENTICAL_ENTRIES_MAX),
            open_orders_max: s.u32_opt("open_orders_max", 1..=OPEN_ORDERS_MAX as u32),
            market_age_ms_max: s.u32_opt("market_age_ms_max", any.clone()),
            model_identical_max: s.u32_opt("model_identical_max", any.clone()),
            model_one_sided_window: s.u32_opt("model_one_sided_window", any.clone()),
            model_one_sided_percent_max: s.u32_opt("model_one_sided_percent_max", 50..=100),
            decision_age_ms_max: s.u32_opt("decision_age_ms_max", any.clone()),
            late_percent_max: s.u32_opt("late_percent_max", 1..=100),
            liquidation_distance_bps_min: s.u32_opt("liquidation_distance_bps_min", 1..=9_999),
            reduce_s: s.u32_opt("reduce_s", any.clone()),
            daily_loss_max: s.money_opt("daily_loss_max"),
            drawdown_bps_max: s.u32_opt("drawdown_bps_max", 1..=10_000),
            losses_in_a_row_max: s.u32_opt("losses_in_a_row_max", any),
            ..Self::default()
        };
        (settings, s.table("qty_max"))
    }
}

/// Every key of the tables `[risk]`, `[portfolio]` and `[stage]` as `table.key`, as the parser asks
/// for them: the schema that tests go through.
pub fn gate_keys() -> Vec<String> {
    let mut errors = Vec::new();
    let mut keys = Vec::new();
    let mut gather = |table: &str, read: &mut dyn FnMut(&mut Section<'_>)| {
        let mut section = Section::new(table, Table::new(), &mut errors);
        read(&mut section);
        keys.extend(section.asked().iter().map(|key| format!("{table}.{key}")));
    };
    gather("risk", &mut |s| drop(RiskSettings::keys(s)));
    gather("portfolio", &mut |s| drop(PortfolioSettings::keys(s)));
    gather("stage", &mut |s| drop(StageSettings::keys(s)));
    keys
}
