//! Texts made wrong: what a parser must survive and a book must not believe.

use super::kind::Kind;
use serde_json::{Map, Value, json};

/// Keys that hold prices, in the venue's short and long spellings.
const PRICES: [&str; 14] =
    ["p", "b", "a", "L", "ap", "o", "c", "h", "l", "i", "sp", "price", "lastPrice", "markPrice"];
/// Keys that hold numbers of updates, trades and orders.
const IDS: [&str; 7] = ["u", "U", "pu", "t", "i", "orderId", "lastUpdateId"];

/// The text as a fault leaves it. What holds nothing of the kind is left as it is.
pub fn garble(kind: Kind, text: &str, times: i64) -> String {
    if kind == Kind::MalformedJson {
        // Cut in the middle of a value, and left unclosed.
        let mut end = text.len() * 2 / 3;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        return text[..end].to_owned();
    }
    let Ok(mut whole) = serde_json::from_str::<Value>(text) else { return text.to_owned() };
    let inner = match whole.get_mut("data") {
        Some(data) if data.is_object() => data,
        _ => &mut whole,
    };
    // A user event holds what it is about one level further down.
    let body = match inner.get("o") {
        Some(Value::Object(_)) => inner.get_mut("o").expect("it was looked at"),
        _ => inner,
    };
    let Some(map) = body.as_object_mut() else { return text.to_owned() };
    match kind {
        Kind::UnknownField => {
            map.insert("zz".to_owned(), json!({"new": [1, "two", null], "st": 1}));
        }
        Kind::WrongSymbol => {
            map.entry("s").and_modify(|symbol| *symbol = json!("NOSUCHUSDT"));
        }
        Kind::MissingField => drop_field(map),
        Kind::WrongType => wrong_type(map),
        Kind::HugeId => huge_id(map),
        Kind::ZeroPrice => prices(map, |_| "0".to_owned()),
        Kind::NegativePrice => prices(map, |price| format!("-{price}")),
        Kind::PriceJump => prices(map, |price| multiplied(price, times)),
        _ => {}
    }
    if kind == Kind::UnknownEvent {
        let inner = if whole.get("data").is_some() { &mut whole["data"] } else { &mut whole };
        if let Some(map) = inner.as_object_mut() {
            map.insert("e".to_owned(), json!("somethingNew"));
        }
    }
    whole.to_string()
}

/// Takes out the first price, or the first number of an update.
fn drop_field(map: &mut Map<String, Value>) {
    let found = PRICES.iter().chain(&IDS).find(|key| map.contains_key(**key));
    if let Some(key) = found {
        map.shift_remove(*key);
    }
}

/// Prices become numbers with an exponent, numbers become texts.
fn wrong_type(map: &mut Map<String, Value>) {
    for (key, value) in map.iter_mut() {
        match value {
            Value::String(text) if PRICES.contains(&key.as_str()) => {
                if let Ok(number) = text.parse::<f64>() {
                    *value = json!(number * 1e-30);
                }
            }
            Value::Number(number) => *value = json!(number.to_string()),
            _ => {}
        }
    }
}

fn huge_id(map: &mut Map<String, Value>) {
    for key in IDS {
        if let Some(Value::Number(number)) = map.get_mut(key) {
            // 2^63 is one more than a signed word holds.
            *number = (1_u64 << 63).into();
            return;
        }
    }
}

/// Changes every price, those of book levels included.
fn prices(map: &mut Map<String, Value>, change: impl Fn(&str) -> String) {
    for (key, value) in map.iter_mut() {
        if !PRICES.contains(&key.as_str()) {
            continue;
        }
        match value {
            Value::String(text) if is_decimal(text) => *text = change(text),
            Value::Array(levels) => {
                let firsts = levels.iter_mut().filter_map(|level| level.get_mut(0));
                firsts.for_each(|price| {
                    if let Value::String(text) = price {
                        *text = change(text);
                    }
                });
            }
            _ => {}
        }
    }
}

fn is_decimal(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
}

/// A decimal times a whole number, with the decimals it had.
fn multiplied(price: &str, times: i64) -> String {
    let decimals = price.split_once('.').map_or(0, |(_, after)| after.len());
    let digits: String = price.chars().filter(char::is_ascii_digit).collect();
    let Some(product) = digits.parse::<i128>().ok().and_then(|n| n.checked_mul(times.into()))
    else {
        return price.to_owned();
    };
    let text = format!("{product:0width$}", width = decimals + 1);
    let (whole, after) = text.split_at(text.len() - decimals);
    if after.is_empty() { whole.to_owned() } else { format!("{whole}.{after}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICKER: &str = concat!(
        r#"{"stream":"btcusdt@bookTicker","data":{"e":"bookTicker","u":512,"s":"BTCUSDT","#,
        r#""b":"60000.10","B":"3.5","a":"60000.20","A":"1.0","T":1,"E":2}}"#
    );
    const DEPTH: &str =
        r#"{"e":"depthUpdate","s":"BTCUSDT","U":1,"u":2,"pu":0,"b":[["9.50","1"]],"a":[]}"#;

    fn data(kind: Kind, text: &str) -> Value {
        let value: Value = serde_json::from_str(&garble(kind, text, 10)).unwrap();
        if value["data"].is_object() { value["data"].clone() } else { value }
    }

    #[test]
    fn each_kind_changes_what_it_says_and_leaves_the_rest() {
        assert!(serde_json::from_str::<Value>(&garble(Kind::MalformedJson, TICKER, 0)).is_err());
        assert_eq!(data(Kind::UnknownEvent, TICKER)["e"], "somethingNew");
        assert_eq!(data(Kind::UnknownEvent, TICKER)["b"], "60000.10");
        assert!(data(Kind::UnknownField, TICKER)["zz"].is_object());
        assert!(data(Kind::MissingField, TICKER).get("b").is_none());
        assert_eq!(data(Kind::WrongSymbol, TICKER)["s"], "NOSUCHUSDT");
        let odd = data(Kind::WrongType, TICKER);
        assert!(odd["b"].is_f64() && odd["u"] == "512", "{odd}");
        assert_eq!(data(Kind::HugeId, TICKER)["u"], 9_223_372_036_854_775_808_u64);
        assert_eq!(data(Kind::ZeroPrice, TICKER)["a"], "0");
        assert_eq!(data(Kind::NegativePrice, TICKER)["b"], "-60000.10");
        assert_eq!(data(Kind::PriceJump, TICKER)["b"], "600001.00");
        assert_eq!(data(Kind::PriceJump, DEPTH)["b"][0][0], "95.00");
        assert_eq!(data(Kind::ZeroPrice, DEPTH)["b"][0][1], "1", "quantities stay");
    }

    #[test]
    fn what_is_no_json_is_left_alone() {
        assert_eq!(garble(Kind::ZeroPrice, "pong", 0), "pong");
        assert_eq!(garble(Kind::ZeroPrice, "[1]", 0), "[1]");
        assert_eq!(garble(Kind::MalformedJson, "", 0), "");
    }
}
