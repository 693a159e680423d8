//! What binds the orders of one instrument, together in one place: an order looks there once.

use super::limits::{four_fifths, percent_of, share, stage_percent};
use crate::base::settings::{InstrumentSettings, RiskSettings};
use crate::base::{Money, Qty};

/// See the head of this file.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    /// The contract's facts; they follow the venue's.
    pub(super) facts: InstrumentSettings,
    /// It is on the list of what may be traded.
    pub(super) allowed: bool,
    /// Its own budget, the largest amount where it has none, and four fifths of it.
    pub(super) budget: Money,
    pub(super) ample_budget: i64,
    /// Our own largest quantity of an entry (RC-02), the largest there is where none is set.
    pub(super) qty_max: Qty,
}

impl Terms {
    /// By the settings, as far as the stage goes.
    pub(super) fn new(settings: &RiskSettings, facts: &InstrumentSettings) -> Self {
        let percent = stage_percent(&settings.stage);
        let budgets = &settings.portfolio.budgets;
        let budget = budgets.iter().find(|(symbol, _)| *symbol == facts.symbol);
        let budget = budget.map_or(Money(i64::MAX), |(_, money)| share(*money, percent));
        let qty_max = settings.qty_max.iter().find(|(symbol, _)| *symbol == facts.symbol);
        Self {
            facts: *facts,
            allowed: settings.allow.contains(&facts.symbol),
            budget,
            ample_budget: four_fifths(budget.0),
            qty_max: qty_max.map_or(Qty::MAX, |(_, qty)| Qty(percent_of(qty.0, percent))),
        }
    }
}
