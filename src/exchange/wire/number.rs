//! Numbers as the protocol spells them: decimals in quotes, some padded, some not.

use crate::base::Px;
use crate::base::units::DECIMALS;
use crate::exchange::spec::SymbolSpec;
use crate::exchange::tape::frames::Json;

/// 1e-8 units with exactly `decimals` (at most 8) decimals; finer digits are cut off.
pub fn fixed(units: i64, decimals: u32) -> String {
    let mut quoted = Vec::with_capacity(24);
    Json::new(&mut quoted).fixed(units, decimals.min(DECIMALS));
    let text = String::from_utf8_lossy(&quoted);
    text.trim_matches('"').to_owned()
}

/// All eight decimals, as amounts of money are written.
pub fn full(units: i64) -> String {
    fixed(units, DECIMALS)
}

/// All eight decimals, but `0` for nothing, as position values are written.
pub fn full_or_zero(units: i64) -> String {
    if units == 0 { "0".to_owned() } else { full(units) }
}

/// Without trailing zeros, as user events write prices and quantities.
pub fn plain(units: i64) -> String {
    Px(units).to_string()
}

/// A price of a contract.
pub fn px(units: i64, spec: &SymbolSpec) -> String {
    fixed(units, spec.price_decimals)
}

/// A quantity of a contract.
pub fn qty(units: i64, spec: &SymbolSpec) -> String {
    fixed(units, spec.qty_decimals)
}

/// A filled value of a contract: the product of a price and a quantity has the decimals of both.
pub fn quote(units: i64, spec: &SymbolSpec) -> String {
    fixed(units, spec.price_decimals + spec.qty_decimals)
}

/// A mean price of a contract, three decimals finer than its prices.
pub fn mean_px(units: i64, spec: &SymbolSpec) -> String {
    fixed(units, spec.price_decimals + 3)
}

/// A rate as a JSON number.
pub fn float(units: i64) -> serde_json::Value {
    serde_json::json!(Px(units).to_f64())
}
