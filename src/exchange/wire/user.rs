//! User stream events in the venue's words.

use crate::exchange::account::notice::Notice;
use crate::exchange::flow::market::SyntheticMarket;

/// The event's name and its text.
pub fn event(_notice: &Notice, _market: &SyntheticMarket) -> (&'static str, String) {
    ("", String::new())
}
