//! How a frame of the market becomes the text of its stream.

use crate::exchange::tape::frames::{Json, Stream};
use tungstenite::Utf8Bytes;

/// A payload inside `{"stream":…,"data":…}`.
pub fn wrapped(name: &str, data: &str) -> Utf8Bytes {
    let mut text = String::with_capacity(name.len() + data.len() + 24);
    text.push_str("{\"stream\":\"");
    text.push_str(name);
    text.push_str("\",\"data\":");
    text.push_str(data);
    text.push('}');
    text.into()
}

/// A payload with the members that the venue has added since the market's own form was recorded:
/// `st` (1: USD-M) and `ps` (the pair), `nq` (the quantity without orders of retail price
/// improvement, of which there are none here), `ap` (the moving average of the mark price).
pub fn extended(kind: Stream, data: &str, pair: &str, average: i64) -> String {
    let mut text = String::with_capacity(data.len() + 48);
    match kind {
        Stream::BookTicker => {
            text.push_str(data.strip_suffix('}').unwrap_or(data));
            push_all(&mut text, &[",\"st\":1,\"ps\":\"", pair, "\"}"]);
        }
        Stream::AggTrade => {
            let quantity = member(data, "q").unwrap_or("0");
            let (before, after) = cut(data, ",\"f\":");
            push_all(&mut text, &[before, ",\"nq\":\"", quantity, "\""]);
            push_all(&mut text, &[after.strip_suffix('}').unwrap_or(after), ",\"st\":1}"]);
        }
        Stream::MarkPrice => {
            let (before, after) = cut(data, ",\"P\":");
            push_all(&mut text, &[before, ",\"ap\":", &fixed(average, 8)]);
            push_all(&mut text, &[after.strip_suffix('}').unwrap_or(after), ",\"st\":1}"]);
        }
        Stream::Depth => {
            let (before, after) = cut(data, ",\"U\":");
            push_all(&mut text, &[before, ",\"ps\":\"", pair, "\",\"st\":1", after]);
        }
        Stream::Trade | Stream::Kline | Stream::ForceOrder => text.push_str(data),
    }
    text
}

/// The text of a member whose value is in quotes.
pub fn member<'a>(data: &'a str, key: &str) -> Option<&'a str> {
    let start = data.find(&format!("\"{key}\":\""))? + key.len() + 4;
    let length = data[start..].find('"')?;
    Some(&data[start..start + length])
}

/// The text of a member whose value is a whole number.
pub fn whole(data: &str, key: &str) -> Option<i64> {
    let start = data.find(&format!("\"{key}\":"))? + key.len() + 3;
    let digits = |byte: u8| byte.is_ascii_digit() || byte == b'-';
    let length = data[start..].bytes().take_while(|&byte| digits(byte)).count();
    data[start..start + length].parse().ok()
}

/// 1e-8 units with exactly `decimals` decimals, in quotes.
pub fn fixed(units: i64, decimals: u32) -> String {
    let mut body = Vec::with_capacity(24);
    Json::new(&mut body).fixed(units, decimals);
    String::from_utf8_lossy(&body).into_owned()
}

fn cut<'a>(data: &'a str, before: &str) -> (&'a str, &'a str) {
    data.split_at(data.find(before).unwrap_or(data.len()))
}

fn push_all(text: &mut String, parts: &[&str]) {
    parts.iter().for_each(|part| text.push_str(part));
}
