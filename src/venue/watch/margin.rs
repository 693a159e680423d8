//! The liquidation price by the venue's published formula, from its brackets and what it tells of
//! the account: what its own word is held against.
//!
//! ```text
//!        WB − TMM + UPNL + cum − side × quantity × entry price
//!  LP = ───────────────────────────────────────────────────────
//!              quantity × rate − side × quantity
//! ```
//! WB is the cross wallet less the maintenance margin (TMM) and plus the profit (UPNL) of all other
//! contracts; for a position with a margin of its own it is that margin alone.
//!
//! <https://www.binance.com/en/support/faq/b3c689c1f50a44cabb3a84e663b81d93>

use super::ask::{Balance, Held};
use crate::base::units::SCALE;
use crate::base::{Money, Px, Qty, Rate, Symbol};

/// One leverage bracket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bracket {
    /// Largest position value in it.
    pub cap: Money,
    /// Maintenance margin rate.
    pub rate: Rate,
    /// What is taken off value × rate.
    pub cum: Money,
}

/// The liquidation price of `held`, one of `all`; zero where no price liquidates it, `None` where
/// it cannot be told.
pub fn liquidation_px(
    held: &Held,
    all: &[Held],
    balance: &Balance,
    brackets: &[(Symbol, Vec<Bracket>)],
) -> Option<Px> {
    let (_, own) = brackets.iter().find(|(symbol, _)| *symbol == held.symbol)?;
    let isolated = held.isolated_wallet != Money::ZERO;
    let mut backing =
        i128::from(if isolated { held.isolated_wallet.0 } else { balance.cross_wallet.0 });
    let crossed =
        |other: &&Held| other.isolated_wallet == Money::ZERO && other.symbol != held.symbol;
    for other in all.iter().filter(crossed).filter(|_| !isolated) {
        backing += i128::from(other.unrealised.0) - i128::from(other.maintenance_margin.0);
    }
    let value = i128::from(held.qty.0.abs()) * i128::from(held.mark_px.0) / i128::from(SCALE);
    let inside = |bracket: &&Bracket| value <= i128::from(bracket.cap.0);
    let Bracket { rate, cum, .. } = *own.iter().find(inside).or(own.last())?;
    let (qty, size) = (i128::from(held.qty.0), i128::from(held.qty.0.abs()));
    let cost = qty * i128::from(held.entry_px.0) / i128::from(SCALE);
    let above = backing + i128::from(cum.0) - cost;
    let below = size * i128::from(rate.0) - qty * i128::from(SCALE);
    if held.qty == Qty::ZERO || below == 0 {
        return None;
    }
    // Amounts are in 1e-8 and `below` in 1e-16 units; the price is wanted in 1e-8.
    let px = above.checked_mul(i128::from(SCALE) * i128::from(SCALE))? / below;
    Some(Px(i64::try_from(px.max(0)).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixed(text: &str) -> i64 {
        crate::base::units::parse_fixed(text.as_bytes()).unwrap()
    }

    fn held(symbol: &str, qty: &str, entry: &str, mark: &str, isolated: &str) -> Held {
        Held {
            symbol: Symbol::new(symbol.as_bytes()).unwrap(),
            qty: Qty(fixed(qty)),
            entry_px: Px(fixed(entry)),
            mark_px: Px(fixed(mark)),
            liquidation_px: Px::ZERO,
            unrealised: Money::ZERO,
            initial_margin: Money::ZERO,
            maintenance_margin: Money::ZERO,
            isolated_wallet: Money(fixed(isolated)),
        }
    }

    fn bracket(cap: &str, rate: &str, cum: &str) -> Bracket {
        Bracket { cap: Money(fixed(cap)), rate: Rate(fixed(rate)), cum: Money(fixed(cum)) }
    }

    /// The venue's worked example of cross margin in one-way mode: a wallet of 1 535 443.01;
    /// 3 683.979 ETH at 1 456.84 (10 %, amount 135 365), 109.488 BTC at 32 481.98 (2.5 %, 16 300).
    #[test]
    fn the_published_example_of_two_positions_is_reproduced_to_the_cent() {
        let mut eth = held("ETHUSDT", "3683.979", "1456.84", "1335.18", "0");
        let mut btc = held("BTCUSDT", "109.488", "32481.98", "31967.27", "0");
        let money = |text: &str| Money(fixed(text));
        (eth.unrealised, eth.maintenance_margin) = (money("-448192.89"), money("356512.508"));
        (btc.unrealised, btc.maintenance_margin) = (money("-56354.57"), money("71200.81144"));
        let brackets = vec![
            (eth.symbol, vec![bracket("100000000", "0.1", "135365")]),
            (btc.symbol, vec![bracket("100000000", "0.025", "16300")]),
        ];
        let balance = Balance { cross_wallet: money("1535443.01"), ..Balance::default() };
        for (own, expected) in [(eth, "1153.26"), (btc, "26316.89")] {
            let px = liquidation_px(&own, &[eth, btc], &balance, &brackets).unwrap();
            assert_eq!(format!("{:.2}", px.to_f64()), expected);
        }
    }

    #[test]
    fn what_cannot_be_liquidated_has_no_price_and_without_brackets_none_is_known() {
        let small = held("BTCUSDT", "0.01", "50000", "50000", "0");
        let balance = Balance { cross_wallet: Money(fixed("10000")), ..Balance::default() };
        assert_eq!(liquidation_px(&small, &[small], &balance, &[]), None);
        let brackets = vec![(small.symbol, vec![bracket("50000", "0.004", "0")])];
        assert_eq!(liquidation_px(&small, &[small], &balance, &brackets), Some(Px::ZERO));
        // With a margin of its own of a tenth of its value: 50 000 × 0.9 / (1 − 0.004).
        let own = held("BTCUSDT", "0.01", "50000", "50000", "50");
        let px = liquidation_px(&own, &[own], &balance, &brackets).unwrap();
        assert!((px.to_f64() - 45_000.0 / 0.996).abs() < 1e-6, "{px}");
    }
}
