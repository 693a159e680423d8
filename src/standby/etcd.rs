//! Questions to etcd in the JSON of its gateway, and what its answers say. Texts of keys and values
//! travel as base64, 64-bit numbers as texts, and what is zero or false is left out.

use crate::execution::base64;
use serde::Deserialize;
use serde_json::{Value, json};

/// The keys of one group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    prefix: String,
}

/// What a leader must compare itself with: the key that holds it was made at this revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seat {
    /// The lease that the key hangs on.
    pub lease: i64,
    /// Revision at which the key was made; no other key ever has it.
    pub made: i64,
}

/// One question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Everything of the group.
    Look,
    /// Lays down what the group agrees on, where nothing was laid down.
    Agree {
        /// The hashes.
        hashes: String,
    },
    /// A lease of this many seconds.
    Grant {
        /// Seconds.
        ttl_s: u32,
    },
    /// The seat, where it is empty and the group agrees on these hashes.
    Claim {
        /// The lease that holds it.
        lease: i64,
        /// Who claims it.
        node: String,
        /// What the group must have agreed on.
        hashes: String,
    },
    /// A longer life of a lease.
    Renew {
        /// Which.
        lease: i64,
    },
    /// The risk state, where the seat is still ours; `None` only asks whether it is.
    Hold {
        /// Ours.
        seat: Seat,
        /// What is to be kept.
        risk: Option<String>,
    },
    /// The epoch under which we send, where the seat is ours and the epoch is as it was seen.
    Seal {
        /// Ours.
        seat: Seat,
        /// The new epoch.
        epoch: u32,
        /// Revision at which the epoch was last changed; 0 for never.
        seen: i64,
    },
    /// The end of a lease.
    Revoke {
        /// Which.
        lease: i64,
    },
}

/// What the keys of a group hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// Who leads, and the seat; `None` for nobody.
    pub leader: Option<(String, Seat)>,
    /// The highest epoch that anybody sent under; 0 for none.
    pub epoch: u32,
    /// Revision at which it was last changed; 0 for never.
    pub epoch_seen: i64,
    /// What the group agreed on.
    pub agreed: Option<String>,
    /// The risk state that the last leader left.
    pub risk: Option<String>,
}

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// To [`Ask::Look`].
    View(View),
    /// A lease, and how many seconds it lasts.
    Lease {
        /// Its number.
        id: i64,
        /// Seconds; 0 where there is none any more.
        ttl_s: i64,
    },
    /// Whether what was compared was as it had to be, and at which revision.
    Done {
        /// It was, and what was asked is done.
        yes: bool,
        /// Of the store behind it.
        revision: i64,
    },
}

impl Group {
    /// The keys of the group of this name.
    pub fn new(name: &str) -> Self {
        Self { prefix: format!("/peregrine/{name}/") }
    }

    /// Path and body of a question.
    pub fn request(&self, ask: &Ask) -> (&'static str, Value) {
        let key = |name: &str| text(&format!("{}{name}", self.prefix));
        let put = |name: &str, value: &str| json!({"key": key(name), "value": text(value)});
        let ours = |seat: &Seat| {
            json!({"key": key("leader"), "target": "CREATE", "result": "EQUAL",
                "create_revision": seat.made.to_string()})
        };
        let txn = |compare: Value, success: Value| {
            ("/v3/kv/txn", json!({"compare": compare, "success": success}))
        };
        match ask {
            Ask::Look => {
                // A range ends before the first key that does not begin so: '/' and then '0'.
                let end = format!("{}0", self.prefix.trim_end_matches('/'));
                ("/v3/kv/range", json!({"key": text(&self.prefix), "range_end": text(&end)}))
            }
            Ask::Agree { hashes } => txn(
                json!([{"key": key("agreed"), "target": "CREATE", "result": "EQUAL",
                    "create_revision": "0"}]),
                json!([{"request_put": put("agreed", hashes)}]),
            ),
            Ask::Grant { ttl_s } => ("/v3/lease/grant", json!({"TTL": ttl_s.to_string()})),
            Ask::Claim { lease, node, hashes } => {
                let mut seat = put("leader", node);
                seat["lease"] = json!(lease.to_string());
                txn(
                    json!([
                        {"key": key("leader"), "target": "CREATE", "result": "EQUAL",
                            "create_revision": "0"},
                        {"key": key("agreed"), "target": "VALUE", "result": "EQUAL",
                            "value": text(hashes)},
                    ]),
                    json!([{"request_put": seat}]),
                )
            }
            Ask::Renew { lease } => ("/v3/lease/keepalive", json!({"ID": lease.to_string()})),
            Ask::Hold { seat, risk } => txn(
                json!([ours(seat)]),
                match risk {
                    Some(risk) => json!([{"request_put": put("risk", risk)}]),
                    None => json!([]),
                },
            ),
            Ask::Seal { seat, epoch, seen } => txn(
                json!([ours(seat), {"key": key("epoch"), "target": "MOD", "result": "EQUAL",
                    "mod_revision": seen.to_string()}]),
                json!([{"request_put": put("epoch", &epoch.to_string())}]),
            ),
            Ask::Revoke { lease } => ("/v3/lease/revoke", json!({"ID": lease.to_string()})),
        }
    }

    /// What an answer says.
    ///
    /// # Errors
    /// In words, where it is none to this question.
    pub fn read(&self, ask: &Ask, body: &[u8]) -> Result<Reply, String> {
        // A line of a stream carries its answer one level deeper.
        let parsed: Streamed = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        let answer = match parsed {
            Streamed { error: Some(error), .. } => return Err(error.to_string()),
            Streamed { result: Some(answer), .. } => answer,
            Streamed { plain, .. } => plain,
        };
        Ok(match ask {
            Ask::Look => Reply::View(self.view(&answer)?),
            Ask::Grant { .. } | Ask::Renew { .. } => {
                Reply::Lease { id: number(&answer.id)?, ttl_s: number(&answer.ttl)? }
            }
            Ask::Revoke { .. } => Reply::Done { yes: true, revision: 0 },
            _ => Reply::Done {
                yes: answer.succeeded,
                revision: number(&answer.header.unwrap_or_default().revision)?,
            },
        })
    }

    fn view(&self, answer: &Answer) -> Result<View, String> {
        if answer.header.is_none() {
            return Err("an answer without a header".to_owned());
        }
        let mut view = View::default();
        for row in &answer.kvs {
            let (name, value) = (plain(&row.key)?, plain(&row.value)?);
            match name.strip_prefix(&self.prefix) {
                Some("leader") => {
                    let seat =
                        Seat { lease: number(&row.lease)?, made: number(&row.create_revision)? };
                    view.leader = Some((value, seat));
                }
                Some("epoch") => {
                    view.epoch = value.parse().map_err(|_| format!("{value:?} is no epoch"))?;
                    view.epoch_seen = number(&row.mod_revision)?;
                }
                Some("agreed") => view.agreed = Some(value),
                Some("risk") => view.risk = Some(value),
                _ => {}
            }
        }
        Ok(view)
    }
}

#[derive(Deserialize)]
struct Streamed {
    result: Option<Answer>,
    error: Option<Value>,
    #[serde(flatten)]
    plain: Answer,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Answer {
    header: Option<Header>,
    #[serde(rename = "ID")]
    id: String,
    #[serde(rename = "TTL")]
    ttl: String,
    succeeded: bool,
    kvs: Vec<Row>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Header {
    revision: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Row {
    key: String,
    value: String,
    create_revision: String,
    mod_revision: String,
    lease: String,
}

fn text(plain: &str) -> String {
    let mut out = vec![0; plain.len().div_ceil(3) * 4];
    let end = base64::encode(&mut out, plain.as_bytes());
    String::from_utf8_lossy(&out[..end]).into_owned()
}

fn plain(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Ok(String::new());
    }
    let bytes = base64::decode(text.as_bytes()).ok_or("a text that is no base64")?;
    String::from_utf8(bytes).map_err(|_| "a value that is no text".to_owned())
}

/// A number as a text; what is left out is zero.
fn number(text: &str) -> Result<i64, String> {
    if text.is_empty() { Ok(0) } else { text.parse().map_err(|_| format!("{text:?} is no number")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_compares_the_empty_seat_and_the_agreed_hashes_and_hangs_on_the_lease() {
        let group = Group::new("g");
        let claim = Ask::Claim { lease: 77, node: "a".to_owned(), hashes: "h".to_owned() };
        let (path, body) = group.request(&claim);
        assert_eq!(path, "/v3/kv/txn");
        // printf '/peregrine/g/leader' | base64
        let leader = "L3BlcmVncmluZS9nL2xlYWRlcg==";
        assert_eq!(body["compare"][0]["key"], leader);
        assert_eq!(body["compare"][0]["create_revision"], "0");
        assert_eq!(body["compare"][1]["value"], "aA==");
        assert_eq!(body["success"][0]["request_put"]["key"], leader);
        assert_eq!(body["success"][0]["request_put"]["lease"], "77");
        assert_eq!(body["success"][0]["request_put"]["value"], "YQ==");
    }

    #[test]
    fn answers_are_read_as_etcd_writes_them() {
        let group = Group::new("g");
        // Answers of etcd 3.4.23's gateway.
        let head = r#""header":{"cluster_id":"1","member_id":"2","revision":"9","raft_term":"2"}"#;
        let granted = format!(r#"{{{head},"ID":"7587","TTL":"5"}}"#);
        let lease = Reply::Lease { id: 7587, ttl_s: 5 };
        let grant = Ask::Grant { ttl_s: 5 };
        assert_eq!(group.read(&grant, granted.as_bytes()), Ok(lease.clone()));
        let renew = Ask::Renew { lease: 7587 };
        let renewed = format!(r#"{{"result":{granted}}}"#);
        assert_eq!(group.read(&renew, renewed.as_bytes()), Ok(lease));
        let gone = format!(r#"{{"result":{{{head},"ID":"7587"}}}}"#);
        assert_eq!(
            group.read(&renew, gone.as_bytes()),
            Ok(Reply::Lease { id: 7587, ttl_s: 0 }),
            "a lease that is gone has no time left"
        );
        let hold = Ask::Hold { seat: Seat { lease: 1, made: 2 }, risk: None };
        let no = group.read(&hold, format!("{{{head}}}").as_bytes());
        assert_eq!(no, Ok(Reply::Done { yes: false, revision: 9 }), "what is false is left out");
        let refused = br#"{"error":"etcdserver: request timed out","code":14}"#;
        assert!(group.read(&hold, refused).is_err());
        assert!(group.read(&hold, b"<html>").is_err());
    }

    #[test]
    fn a_look_tells_every_key_of_the_group_and_of_no_other() {
        let group = Group::new("g");
        let (_, body) = group.request(&Ask::Look);
        assert_eq!(plain(body["key"].as_str().unwrap()).unwrap(), "/peregrine/g/");
        assert_eq!(plain(body["range_end"].as_str().unwrap()).unwrap(), "/peregrine/g0");
        let row = |name: &str, value: &str| {
            let (key, value) = (text(&format!("/peregrine/g/{name}")), text(value));
            let revisions = r#""create_revision":"4","mod_revision":"6","version":"1""#;
            format!(r#"{{"key":"{key}",{revisions},"value":"{value}","lease":"77"}}"#)
        };
        let rows = [row("leader", "a"), row("epoch", "12"), row("agreed", "h"), row("risk", "{}")];
        let answer = format!(r#"{{"header":{{"revision":"9"}},"kvs":[{}]}}"#, rows.join(","));
        let view = View {
            leader: Some(("a".to_owned(), Seat { lease: 77, made: 4 })),
            epoch: 12,
            epoch_seen: 6,
            agreed: Some("h".to_owned()),
            risk: Some("{}".to_owned()),
        };
        assert_eq!(group.read(&Ask::Look, answer.as_bytes()), Ok(Reply::View(view)));
        let empty = br#"{"header":{"revision":"9"}}"#;
        assert_eq!(group.read(&Ask::Look, empty), Ok(Reply::View(View::default())));
        assert!(group.read(&Ask::Look, b"{}").is_err(), "an empty answer is no empty group");
    }
}
