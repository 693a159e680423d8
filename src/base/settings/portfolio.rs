//! `[portfolio]`: limits over many instruments.

use super::SettingsError;
use super::section::Section;
use crate::base::ids::Symbol;
use crate::base::limits::CORRELATION_BARS;
use crate::base::units::Money;
use toml::Table;

/// Limits over many instruments. `None` is unset, and unset means deny.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PortfolioSettings {
    /// RC-06: largest worst-case net exposure, long or short, over all instruments.
    pub net_notional_max: Option<Money>,
    /// Instruments with a position or an entry on its way at once.
    pub positions_max: Option<u32>,
    /// Instruments correlated beyond this, either way, share one budget; in percent. What is not
    /// known yet counts as correlated.
    pub correlation_max_percent: Option<u32>,
    /// Length of a bar whose returns are compared, in seconds.
    pub correlation_bar_s: Option<u32>,
    /// Bars compared: 8 to 64.
    pub correlation_bars: Option<u32>,
    /// Largest worst-case value of an instrument and all that are correlated with it.
    pub correlated_notional_max: Option<Money>,
    /// Largest worst-case position value of single symbols; the others have
    /// `risk.position_notional_max` alone.
    pub budgets: Vec<(Symbol, Money)>,
}

impl PortfolioSettings {
    pub(super) fn read(part: (String, Table), errors: &mut Vec<SettingsError>) -> Self {
        let mut s = Section::new(&part.0, part.1, errors);
        let (mut settings, budgets) = Self::keys(&mut s);
        s.finish();
        let mut s = Section::new(&budgets.0, budgets.1, errors);
        settings.budgets = s.by_symbol(Section::money_opt);
        s.finish();
        settings
    }

    pub(super) fn keys(s: &mut Section<'_>) -> (Self, (String, Table)) {
        let settings = Self {
            net_notional_max: s.money_opt("net_notional_max"),
            positions_max: s.u32_opt("positions_max", 1..=1_024),
            correlation_max_percent: s.u32_opt("correlation_max_percent", 1..=100),
            correlation_bar_s: s.u32_opt("correlation_bar_s", 1..=86_400),
            correlation_bars: s.u32_opt("correlation_bars", CORRELATION_BARS),
            correlated_notional_max: s.money_opt("correlated_notional_max"),
            budgets: Vec::new(),
        };
        (settings, s.table("budgets"))
    }
}
