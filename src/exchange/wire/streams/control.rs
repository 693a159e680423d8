//! Control messages: `SUBSCRIBE`, `UNSUBSCRIBE`, `LIST_SUBSCRIPTIONS`, `SET_PROPERTY`,
//! `GET_PROPERTY`.

use serde_json::{Value, json};

const METHODS: &str =
    "`SUBSCRIBE`, `UNSUBSCRIBE`, `LIST_SUBSCRIPTIONS`, `SET_PROPERTY`, `GET_PROPERTY`";

/// Bytes of a stream's name; every one that is asked for is kept as long as its connection.
const NAME_BYTES_MAX: usize = 256;

/// What a control message asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Streams wanted.
    Subscribe(Vec<String>),
    /// Streams no longer wanted.
    Unsubscribe(Vec<String>),
    /// Which streams there are.
    List,
    /// Frames with or without their stream's name around them.
    SetCombined(bool),
    /// Which of both.
    Combined,
}

/// A refused control message: the venue's number and words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal(pub u8, pub String);

fn invalid<T>(why: &str) -> Result<T, Refusal> {
    Err(Refusal(2, format!("Invalid request: {why}")))
}

/// Reads a control message: the id to be echoed, whatever its type, and what is asked for.
pub fn read(text: &str) -> (Value, Result<Wish, Refusal>) {
    match serde_json::from_str::<Value>(text) {
        Ok(request) => (request.get("id").cloned().unwrap_or(Value::Null), wish(&request, text)),
        Err(error) => {
            let (line, column) = (error.line(), error.column());
            let text = format!("Invalid JSON: expected value at line {line} column {column}");
            (Value::Null, Err(Refusal(3, text)))
        }
    }
}

/// The answer to a message that was granted.
pub fn granted(id: &Value, result: &Value) -> String {
    json!({"result": result, "id": id}).to_string()
}

/// The answer to a message that was refused.
pub fn refused(id: &Value, refusal: &Refusal) -> String {
    json!({"error": {"code": refusal.0, "msg": refusal.1}, "id": id}).to_string()
}

fn wish(request: &Value, text: &str) -> Result<Wish, Refusal> {
    let end = text.len();
    let Some(method) = request.get("method") else {
        return invalid(&format!("missing field `method` at line 1 column {end}"));
    };
    let params = request.get("params").and_then(Value::as_array);
    let at = || format!("at line 1 column {end}");
    match method.as_str() {
        Some("SUBSCRIBE") => Ok(Wish::Subscribe(names(params, end)?)),
        Some("UNSUBSCRIBE") => Ok(Wish::Unsubscribe(names(params, end)?)),
        Some("LIST_SUBSCRIPTIONS") => Ok(Wish::List),
        Some("SET_PROPERTY") => match params.map(Vec::as_slice) {
            Some([key, value]) => {
                is_combined(key)?;
                match value {
                    Value::Bool(on) => Ok(Wish::SetCombined(*on)),
                    _ => Err(Refusal(1, "Invalid value type: expected Boolean".to_owned())),
                }
            }
            Some([_, _, _, ..]) => invalid("too many parameters"),
            _ => invalid(&format!("missing field `params` {}", at())),
        },
        Some("GET_PROPERTY") => match params.map(Vec::as_slice) {
            Some([key]) => is_combined(key).map(|()| Wish::Combined),
            Some([_, _, ..]) => invalid("too many parameters"),
            _ => invalid(&format!("missing field `params` {}", at())),
        },
        Some(other) => {
            invalid(&format!("unknown variant `{other}`, expected one of {METHODS} {}", at()))
        }
        None => invalid(&format!("unknown variant `{method}`, expected one of {METHODS} {}", at())),
    }
}

fn names(params: Option<&Vec<Value>>, end: usize) -> Result<Vec<String>, Refusal> {
    let Some(params) = params else {
        return invalid(&format!("missing field `params` at line 1 column {end}"));
    };
    let is_name = |name: &&str| {
        (1..=NAME_BYTES_MAX).contains(&name.len()) && !name.contains(char::is_whitespace)
    };
    let name = |value: &Value| value.as_str().filter(is_name).map(str::to_owned);
    params.iter().map(name).collect::<Option<_>>().map_or_else(|| invalid("invalid stream"), Ok)
}

fn is_combined(key: &Value) -> Result<(), Refusal> {
    match key.as_str() {
        Some("combined") => Ok(()),
        Some(_) => Err(Refusal(0, "Unknown property".to_owned())),
        None => invalid("property name must be a string"),
    }
}
