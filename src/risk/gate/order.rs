//! The checks in their order, the first that trips wins.

use crate::base::Purpose;
use crate::risk::check::Check;
use crate::risk::checks::{Answer, Margin, Question, Trip};
use crate::risk::session::CheckCount;

/// How often each check was made, by its number.
pub(super) type Counts = [CheckCount; Check::ALL.len()];

/// Written out in a row, so that each check is its own few instructions: with a walk over
/// [`Check::ALL`] the whole gate takes a tenth to a fifth longer (`--bench risk`). The order is
/// that of `ALL`, which the compiler holds it to.
macro_rules! in_order {
    ($question:ident, $counts:ident: $($check:ident)*) => {{
        const ORDER: [Check; Check::ALL.len()] = [$(Check::$check),*];
        const _: () = {
            let mut at = 0;
            while at < ORDER.len() {
                assert!(ORDER[at] as usize == at);
                at += 1;
            }
        };
        $(note(Check::$check, $counts, $question.ask(Check::$check))?;)*
    }};
}

/// Makes every check; the first that trips, if one does.
pub(super) fn ask_in_order(
    question: &Question<'_>,
    counts: &mut Counts,
) -> Result<(), (Check, Trip)> {
    if question.limits.is_none() || question.wanted.purpose != Purpose::Entry {
        return ask_the_few(question, counts);
    }
    in_order! { question, counts:
        TradingState LimitSet Allowed TickSize LotSize MinQty MaxQty ReduceOnly Reference
        MinNotional OrderNotional CollarMark CollarTouch CollarCumulative Position SymbolBudget
        GrossExposure NetExposure Correlated Positions Leverage Liquidation Capital DecisionOnce
        Duplicate Identical Rate EntriesPerDay SelfTrade OpenOrders MarketAge MarketRecovering
        ModelOutput DecisionAge DailyLoss Drawdown ConsecutiveLosses UnknownOrders Watched
    }
    Ok(())
}

/// The same for what passes few of them: exits, stops, and a gate without limits.
fn ask_the_few(question: &Question<'_>, counts: &mut Counts) -> Result<(), (Check, Trip)> {
    for check in Check::ALL {
        note(check, counts, question.ask(check))?;
    }
    Ok(())
}

#[inline(always)]
fn note(check: Check, counts: &mut Counts, answer: Answer) -> Result<(), (Check, Trip)> {
    let count = &mut counts[check as usize];
    count.evaluated += 1;
    match answer {
        Ok(margin) => {
            count.near += u64::from(margin == Margin::Near);
            Ok(())
        }
        Err(trip) => {
            count.tripped += 1;
            Err((check, trip))
        }
    }
}
