//! What API keys may do. It is told and nothing more: this exchange refuses no order for it.

use super::Accounts;
use std::collections::BTreeMap;

/// A key for futures alone, from addresses that are named, in the order in which it is told.
const USUAL: [(&str, bool); 12] = [
    ("ipRestrict", true),
    ("enableReading", true),
    ("enableWithdrawals", false),
    ("enableInternalTransfer", false),
    ("enableMargin", false),
    ("enableFutures", true),
    ("permitsUniversalTransfer", false),
    ("enableVanillaOptions", false),
    ("enableFixApiTrade", false),
    ("enableFixReadOnly", true),
    ("enableSpotAndMarginTrading", false),
    ("enablePortfolioMarginTrading", false),
];

/// What each key may do where it is not the usual.
pub(super) type Rights = BTreeMap<(String, &'static str), bool>;

impl Accounts {
    /// What a key may do, by the venue's names.
    pub fn rights(&self, api_key: &str) -> Vec<(&'static str, bool)> {
        let of = |(name, usual): (&'static str, bool)| {
            let own = self.rights.get(&(api_key.to_owned(), name));
            (name, own.copied().unwrap_or(usual))
        };
        USUAL.into_iter().map(of).collect()
    }

    /// Gives a right to a key, or takes it away.
    ///
    /// # Errors
    /// For a key nobody has, and for what is no right.
    pub fn set_right(&mut self, api_key: &str, name: &str, on: bool) -> Result<(), String> {
        if !self.keys.contains_key(api_key) {
            return Err("api_key: nobody has it".to_owned());
        }
        let known = USUAL.into_iter().map(|(known, _)| known).find(|known| *known == name);
        let known = known.ok_or_else(|| format!("{name}: no right of a key"))?;
        self.rights.insert((api_key.to_owned(), known), on);
        Ok(())
    }
}
