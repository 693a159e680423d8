//! Which venue a session speaks to, or which dialect of one, and what that forbids other keys.
//!
//! What a dialect looks like on the wire is said in `feed` and `venue`; no other room asks which it
//! is. `docs/VENUES.md` says how to add one.

use super::{OrderRoute, Settings, SettingsError};
use crate::base::Symbol;

/// A venue, or one of its dialects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// Contracts over an amount of the coin, settled in USDT or USDC: linear in the price.
    #[default]
    UsdM,
    /// Contracts over an amount of dollars, settled in the coin: profit is linear in 1 / price.
    #[cfg(feature = "coin-m")]
    CoinM,
}

impl Dialect {
    /// Every dialect, by its name in a configuration.
    pub const ALL: &[(&str, Self)] = &[
        ("usd-m", Self::UsdM),
        #[cfg(feature = "coin-m")]
        ("coin-m", Self::CoinM),
    ];

    /// Its name in a configuration.
    pub fn name(self) -> &'static str {
        let found = Self::ALL.iter().find(|(_, dialect)| *dialect == self);
        found.map_or("", |(name, _)| name)
    }

    /// True where profit is linear in the price, which is what the ledger, the limits and the paper
    /// venue reckon with.
    pub const fn is_linear(self) -> bool {
        match self {
            Self::UsdM => true,
            #[cfg(feature = "coin-m")]
            Self::CoinM => false,
        }
    }

    /// True for a symbol in the form of its contracts: `BTCUSDT`, `BTCUSDT_261225` of one,
    /// `BTCUSD_PERP`, `BTCUSD_261225` of the other.
    pub fn names(self, symbol: &Symbol) -> bool {
        let pair = symbol.as_str().split_once('_').map(|(pair, _)| pair);
        let of_dollars = pair.is_some_and(|pair| pair.ends_with("USD"));
        match self {
            Self::UsdM => !of_dollars,
            #[cfg(feature = "coin-m")]
            Self::CoinM => of_dollars,
        }
    }

    /// True where the feed makes events of candles. COIN-M's count volume in contracts and turnover
    /// in the coin; the event's turnover is in the quote currency.
    pub const fn has_candles(self) -> bool {
        match self {
            Self::UsdM => true,
            #[cfg(feature = "coin-m")]
            Self::CoinM => false,
        }
    }
}

/// Reports every key that the dialect forbids.
pub(super) fn check(settings: &Settings, errors: &mut Vec<SettingsError>) {
    let (venue, dialect) = (&settings.venue, settings.venue.dialect);
    let name = dialect.name();
    let mut fail = |key: &str, what: String| {
        errors.push(SettingsError { key: key.to_owned(), what });
    };
    if !dialect.is_linear() && venue.orders != OrderRoute::Nowhere {
        let what = format!(
            "must be \"none\" with dialect = {name:?}: profit of contracts that are settled in \
             their coin is not linear in the price, and the ledger's is"
        );
        fail("venue.orders", what);
    }
    let streams = [
        ("venue.public_streams", &venue.public_streams),
        ("venue.market_streams", &venue.market_streams),
    ];
    let reads = |kind: &str| dialect.has_candles() || !kind.starts_with("kline");
    for (key, kinds) in streams {
        for kind in kinds.iter().filter(|kind| !reads(kind)) {
            fail(key, format!("{kind:?} is not read with dialect = {name:?}"));
        }
    }
    let list = &settings.instruments;
    let facts = list.facts.iter().map(|facts| ("instruments.facts", &facts.symbol));
    let asleep = list.asleep.iter().map(|symbol| ("instruments.asleep", symbol));
    let named = list.symbols.iter().map(|symbol| ("instruments.symbols", symbol));
    let named = named.chain(asleep).chain(facts);
    for (key, symbol) in named.filter(|(_, symbol)| !dialect.names(symbol)) {
        fail(key, format!("{symbol} is no contract of venue.dialect = {name:?}"));
    }
}
