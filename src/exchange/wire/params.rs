//! Request parameters: from the query, the body, or a WebSocket request's object.

use super::error::VenueError;
use crate::base::units::{ParseUnitError, parse_fixed};
use crate::base::{Nanos, Px, Qty};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// Decoded parameters in the order sent. Where a name stands in query and body the query's counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params {
    pairs: Vec<(String, String)>,
    /// Where each name stands among the pairs. A body may hold very many.
    places: BTreeMap<String, usize>,
}

impl Params {
    /// From a raw query and a raw form body.
    pub fn of(query: &str, body: &str) -> Self {
        let mut params = Self::default();
        for part in query.split('&').chain(body.split('&')).filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            params.add(decode(name), decode(value));
        }
        params
    }

    /// Adds a parameter unless one of that name is there.
    pub fn add(&mut self, name: String, value: String) {
        if let Entry::Vacant(place) = self.places.entry(name) {
            self.pairs.push((place.key().clone(), value));
            place.insert(self.pairs.len() - 1);
        }
    }

    /// Name and value pairs in the order sent.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// A parameter as sent; `None` where it was not.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.places.get(name).map(|&place| self.pairs[place].1.as_str())
    }

    /// A parameter that must be there and not be empty.
    ///
    /// # Errors
    /// −1102 naming it.
    pub fn need(&self, name: &str) -> Result<&str, VenueError> {
        self.text(name).filter(|value| !value.is_empty()).ok_or_else(|| missing(name))
    }

    /// A whole number; `None` where it was not sent.
    ///
    /// # Errors
    /// −1102 naming it where it is no whole number.
    pub fn int(&self, name: &str) -> Result<Option<i64>, VenueError> {
        self.text(name).map(|text| text.parse().map_err(|_| missing(name))).transpose()
    }

    /// A yes or no, whatever its case; `None` where it was not sent.
    ///
    /// # Errors
    /// −1130 naming it where it is neither.
    pub fn flag(&self, name: &str) -> Result<Option<bool>, VenueError> {
        let flag = |text: &str| match text.to_ascii_lowercase().as_str() {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(invalid(name)),
        };
        self.text(name).map(flag).transpose()
    }

    /// A time in milliseconds; `None` where it was not sent.
    ///
    /// # Errors
    /// As [`Params::int`].
    pub fn time(&self, name: &str) -> Result<Option<Nanos>, VenueError> {
        Ok(self.int(name)?.map(Nanos::from_millis))
    }

    /// A price; `None` where it was not sent.
    ///
    /// # Errors
    /// −1102 for what is no decimal, −1111 for one that is too fine.
    pub fn px(&self, name: &str) -> Result<Option<Px>, VenueError> {
        Ok(self.decimal(name)?.map(Px))
    }

    /// A quantity; `None` where it was not sent.
    ///
    /// # Errors
    /// As [`Params::px`].
    pub fn qty(&self, name: &str) -> Result<Option<Qty>, VenueError> {
        Ok(self.decimal(name)?.map(Qty))
    }

    /// A decimal in 1e-8 units; `None` where it was not sent.
    ///
    /// # Errors
    /// As [`Params::px`].
    pub fn decimal(&self, name: &str) -> Result<Option<i64>, VenueError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        match parse_fixed(text.as_bytes()) {
            Ok(value) => Ok(Some(value)),
            Err(ParseUnitError::TooFine) => {
                let text = "Precision is over the maximum defined for this asset.";
                Err(VenueError::new(-1111, text))
            }
            Err(_) => Err(missing(name)),
        }
    }
}

/// −1102: a parameter is not there, is empty or has no meaning.
pub fn missing(name: &str) -> VenueError {
    let text = "was not sent, was empty/null, or malformed.";
    VenueError::with(-1102, format!("Mandatory parameter '{name}' {text}"))
}

/// −1130: a parameter's value is none of those it may have.
pub fn invalid(name: &str) -> VenueError {
    VenueError::with(-1130, format!("Data sent for parameter '{name}' is not valid."))
}

/// Percent-decodes a name or value; `+` is a blank. What is no valid escape stays as it is.
pub(super) fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = bytes.get(at + 1..at + 3).and_then(|pair| std::str::from_utf8(pair).ok());
        match (bytes[at], hex.and_then(|pair| u8::from_str_radix(pair, 16).ok())) {
            (b'%', Some(byte)) => {
                out.push(byte);
                at += 3;
                continue;
            }
            (b'+', _) => out.push(b' '),
            (byte, _) => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_body_of_names_is_read_in_order_and_the_first_of_a_name_counts() {
        // As many as a body may hold: reading them must not compare each with every other.
        let names = 200_000;
        let body: String = (0..names).map(|i| format!("{i:x}&")).collect();
        let params = Params::of("3=first", &format!("{body}7=late"));
        assert_eq!(params.iter().count(), names);
        assert_eq!((params.text("3"), params.text("7")), (Some("first"), Some("")));
        assert_eq!(params.iter().nth(1), Some(("0", "")));
    }
}
