//! What an API key may do, as the venue's wallet tells it, and what of it a key that trades live
//! must have or must not have: futures trading alone, from addresses that are named.
//!
//! The wallet is another host than the one that is traded at, with limits of its own. A right that
//! is not told is not taken for one that is off: the whole answer cannot be read then.

use super::answers::parse;
use super::job::{Access, RestRequest};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// Where the wallet's host tells it.
const PATH: &str = "/sapi/v1/account/apiRestrictions";

/// One right of a key, or what it is bound by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Right {
    /// The venue's name for it.
    pub name: &'static str,
    /// What it has to be.
    pub wanted: bool,
    /// What it means that it is otherwise.
    pub meaning: &'static str,
}

const fn needed(name: &'static str, meaning: &'static str) -> Right {
    Right { name, wanted: true, meaning }
}

const fn unlawful(name: &'static str, meaning: &'static str) -> Right {
    Right { name, wanted: false, meaning }
}

/// All that are judged, the most dangerous first; their places are the bits of
/// [`KeyRights::wrong`].
pub const RIGHTS: [Right; 10] = [
    unlawful("enableWithdrawals", "the key may withdraw"),
    unlawful("enableInternalTransfer", "the key may move money between accounts"),
    unlawful("permitsUniversalTransfer", "the key may move money between wallets"),
    unlawful("enableMargin", "the key may borrow"),
    unlawful("enableSpotAndMarginTrading", "the key may trade spot and margin"),
    unlawful("enableVanillaOptions", "the key may trade options"),
    unlawful("enableFixApiTrade", "the key may trade over FIX"),
    needed("enableFutures", "the key may not trade futures"),
    needed("enableReading", "the key may not read"),
    needed("ipRestrict", "the key works from any address"),
];

/// Fields beside those that say nothing of what a key may change.
const READS: [&str; 1] = ["enableFixReadOnly"];

/// See the head of this file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRights {
    told: [bool; RIGHTS.len()],
    /// What else is on, by the venue's names: nothing is known of it.
    pub beside: Vec<String>,
}

/// All but the right of FIX stands in every form of the answer that was ever published; a key from
/// before FIX has no such right.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    enable_withdrawals: bool,
    enable_internal_transfer: bool,
    permits_universal_transfer: bool,
    enable_margin: bool,
    enable_spot_and_margin_trading: bool,
    enable_vanilla_options: bool,
    #[serde(default)]
    enable_fix_api_trade: bool,
    enable_futures: bool,
    enable_reading: bool,
    ip_restrict: bool,
    #[serde(flatten)]
    others: BTreeMap<String, Value>,
}

impl KeyRights {
    /// Reads the wallet's answer.
    ///
    /// # Errors
    /// What is missing or not of its form, in words.
    pub fn read(body: &[u8]) -> Result<Self, String> {
        let body: Body = parse(body)?;
        let is_unknown = |(name, value): (String, Value)| {
            (value == Value::Bool(true) && !READS.contains(&name.as_str())).then_some(name)
        };
        Ok(Self {
            told: [
                body.enable_withdrawals,
                body.enable_internal_transfer,
                body.permits_universal_transfer,
                body.enable_margin,
                body.enable_spot_and_margin_trading,
                body.enable_vanilla_options,
                body.enable_fix_api_trade,
                body.enable_futures,
                body.enable_reading,
                body.ip_restrict,
            ],
            beside: body.others.into_iter().filter_map(is_unknown).collect(),
        })
    }

    /// Each that is not as it has to be, as a bit at its place in [`RIGHTS`]; 0 where all are.
    pub fn wrong(&self) -> i64 {
        let of =
            |(place, right): (usize, &Right)| i64::from(self.told[place] != right.wanted) << place;
        RIGHTS.iter().enumerate().map(of).sum()
    }

    /// The same in words; `None` where all are as they have to be.
    pub fn fault(&self) -> Option<String> {
        let wrong = RIGHTS.iter().zip(self.told).filter(|(right, told)| *told != right.wanted);
        let words =
            wrong.map(|(right, told)| format!("{} is {told}: {}", right.name, right.meaning));
        let all: Vec<String> = words.collect();
        (!all.is_empty()).then(|| all.join("; "))
    }
}

/// The question, to the wallet's host.
pub(super) fn request() -> RestRequest {
    RestRequest::new("GET", PATH, Access::Signed)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A key as it has to be, in the order of the venue's own example.
    const RIGHT: &str = concat!(
        r#"{"ipRestrict":true,"createTime":1698645219000,"enableReading":true,"#,
        r#""enableWithdrawals":false,"enableInternalTransfer":false,"enableMargin":false,"#,
        r#""enableFutures":true,"permitsUniversalTransfer":false,"enableVanillaOptions":false,"#,
        r#""enableFixApiTrade":false,"enableFixReadOnly":true,"#,
        r#""enableSpotAndMarginTrading":false,"enablePortfolioMarginTrading":false}"#,
    );

    fn read(text: &str) -> Result<KeyRights, String> {
        KeyRights::read(text.as_bytes())
    }

    #[test]
    fn a_key_for_futures_alone_from_named_addresses_is_right() {
        let rights = read(RIGHT).unwrap();
        assert_eq!((rights.wrong(), rights.fault()), (0, None));
        assert!(rights.beside.is_empty(), "{:?}", rights.beside);
    }

    #[test]
    fn each_right_that_is_not_as_it_has_to_be_is_wrong_by_its_own_name_and_bit() {
        for (place, right) in RIGHTS.iter().enumerate() {
            let (is, other) = (right.wanted, !right.wanted);
            let name = right.name;
            let text = RIGHT.replace(&format!("\"{name}\":{is}"), &format!("\"{name}\":{other}"));
            assert_ne!(text, RIGHT, "{name}");
            let rights = read(&text).unwrap();
            assert_eq!(rights.wrong(), 1 << place, "{name}");
            let fault = rights.fault().unwrap();
            assert!(fault.starts_with(&format!("{name} is {other}: ")), "{fault}");
            assert!(!fault.contains(';'), "{fault}");
        }
    }

    #[test]
    fn a_right_that_is_missing_twice_there_or_no_truth_value_makes_the_answer_unreadable() {
        for right in RIGHTS {
            let (name, is) = (right.name, right.wanted);
            let field = format!("\"{name}\":{is},");
            let without = RIGHT.replace(&field, "");
            assert_ne!(without, RIGHT, "{name}");
            let missing = read(&without);
            // FIX is younger than the question: a key that is not told to have it has it not.
            assert_eq!(missing.is_ok(), name == "enableFixApiTrade", "{name}: {missing:?}");
            assert!(read(&RIGHT.replace(&field, &format!("{field}{field}"))).is_err(), "{name}");
            for form in ["null", "0", "\"false\"", "[]"] {
                let text = RIGHT.replace(&field, &format!("\"{name}\":{form},"));
                assert!(read(&text).is_err(), "{name}: {form}");
            }
        }
        for text in ["", "{}", "[]", "null", "<html>", &RIGHT[..RIGHT.len() - 1]] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_on_and_not_known_is_told_by_its_name_and_what_is_off_is_not() {
        let more = RIGHT.replace(
            "\"enablePortfolioMarginTrading\":false",
            concat!(
                r#""enablePortfolioMarginTrading":true,"enableLoans":true,"enableGifts":false,"#,
                r#""tradingAuthorityExpirationTime":1628985600000"#,
            ),
        );
        let rights = read(&more).unwrap();
        assert_eq!(rights.beside, ["enableLoans", "enablePortfolioMarginTrading"]);
        assert_eq!(rights.wrong(), 0);
    }
}
