//! What a stream name asks for.

use crate::base::Nanos;
use crate::exchange::tape::frames::Stream;
use crate::exchange::tape::history::interval::Interval;
use crate::exchange::wire::route::Route;

/// A stream, by what it shows. Contracts are indices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// What the market publishes by itself.
    Plain(usize, Stream),
    /// The mark price every three seconds.
    SlowMark(usize),
    /// Changes of the book at a pace of its own.
    Diff(usize, Nanos),
    /// The best levels of the book.
    Partial {
        /// Which contract.
        contract: usize,
        /// Levels a side.
        levels: usize,
        /// Its pace.
        every: Nanos,
    },
    /// Candles.
    Kline(usize, Interval),
    /// Candles of the continuous contract.
    Continuous(usize, Interval),
    /// Candles of one second of the continuous contract.
    Seconds(usize),
    /// The last 24 hours in short.
    Mini(usize),
    /// The last 24 hours.
    Ticker(usize),
    /// The largest forced order of a second, of one contract.
    Forced(usize),
    /// The same of every contract.
    AllForced,
    /// Best bid and offer of every contract.
    AllBooks,
    /// Mark prices of every contract, at a pace.
    AllMarks(Nanos),
    /// [`Topic::Mini`] of every contract.
    AllMinis,
    /// [`Topic::Ticker`] of every contract.
    AllTickers,
    /// Changed facts of contracts.
    Facts,
    /// An account's events.
    User,
}

const fn millis(millis: i64) -> Nanos {
    Nanos::from_millis(millis)
}

impl Topic {
    /// What a name asks for; `None` for names that are silent: those of no stream, of no contract
    /// here, and of streams that nothing happens on.
    pub fn parse(name: &str, symbols: &[String]) -> Option<Self> {
        match name {
            "!bookTicker" => return Some(Self::AllBooks),
            "!markPrice@arr" => return Some(Self::AllMarks(millis(3_000))),
            "!markPrice@arr@1s" => return Some(Self::AllMarks(millis(1_000))),
            "!miniTicker@arr" => return Some(Self::AllMinis),
            "!ticker@arr" => return Some(Self::AllTickers),
            "!forceOrder@arr" => return Some(Self::AllForced),
            "!contractInfo" => return Some(Self::Facts),
            _ => {}
        }
        let (symbol, kind) = name.split_once('@')?;
        let index = |symbol: &str| symbols.iter().position(|own| own == symbol);
        if let Some(interval) = kind.strip_prefix("continuousKline_") {
            let contract = index(symbol.strip_suffix("_perpetual")?)?;
            if interval == "1s" {
                return Some(Self::Seconds(contract));
            }
            return Interval::parse(interval).map(|interval| Self::Continuous(contract, interval));
        }
        Self::of_contract(index(symbol)?, kind)
    }

    fn of_contract(contract: usize, kind: &str) -> Option<Self> {
        if let Some(interval) = kind.strip_prefix("kline_") {
            let interval = Interval::parse(interval)?;
            let is_plain = interval == Interval::MINUTE;
            let plain = Self::Plain(contract, Stream::Kline);
            return Some(if is_plain { plain } else { Self::Kline(contract, interval) });
        }
        if let Some(rest) = kind.strip_prefix("depth") {
            return Self::of_depth(contract, rest);
        }
        Some(match kind {
            "bookTicker" => Self::Plain(contract, Stream::BookTicker),
            "trade" => Self::Plain(contract, Stream::Trade),
            "aggTrade" => Self::Plain(contract, Stream::AggTrade),
            "markPrice@1s" => Self::Plain(contract, Stream::MarkPrice),
            "markPrice" | "markPrice@3s" => Self::SlowMark(contract),
            "rpiDepth" | "rpiDepth@500ms" => Self::Diff(contract, millis(500)),
            "forceOrder" => Self::Forced(contract),
            "miniTicker" => Self::Mini(contract),
            "ticker" => Self::Ticker(contract),
            _ => return None,
        })
    }

    /// `rest` is what follows `depth`: levels, then the pace.
    fn of_depth(contract: usize, rest: &str) -> Option<Self> {
        let (levels, pace) = rest.split_once('@').unwrap_or((rest, "250ms"));
        let every = match pace {
            "0ms" | "100ms" => millis(100),
            "250ms" => millis(250),
            "500ms" => millis(500),
            _ => return None,
        };
        match levels {
            "" if every == millis(100) => Some(Self::Plain(contract, Stream::Depth)),
            "" => Some(Self::Diff(contract, every)),
            "5" | "10" | "20" => {
                Some(Self::Partial { contract, levels: levels.parse().ok()?, every })
            }
            _ => None,
        }
    }

    /// True when a connection of `route` is sent it.
    pub fn is_carried_by(self, route: Route) -> bool {
        match self {
            // Without a route a user stream is served as it always was.
            Self::User => route == Route::Private || route == Route::Public,
            Self::Plain(_, Stream::BookTicker | Stream::Trade | Stream::Depth)
            | Self::Diff(..)
            | Self::Partial { .. }
            | Self::AllBooks => route == Route::Public,
            _ => route == Route::Market,
        }
    }

    /// Which frames of the market it is made of: the contract (`None` is all of them) and the kind.
    pub const fn source(self) -> Option<(Option<usize>, Stream)> {
        match self {
            Self::Plain(contract, stream) => Some((Some(contract), stream)),
            Self::SlowMark(contract) => Some((Some(contract), Stream::MarkPrice)),
            Self::Diff(contract, _) => Some((Some(contract), Stream::Depth)),
            Self::Forced(contract) => Some((Some(contract), Stream::ForceOrder)),
            Self::AllForced => Some((None, Stream::ForceOrder)),
            _ => None,
        }
    }

    /// How often it is looked at beside that.
    pub const fn pace(self) -> Option<Nanos> {
        match self {
            Self::Plain(..) | Self::SlowMark(_) | Self::User => None,
            Self::Diff(_, every) | Self::Partial { every, .. } | Self::AllMarks(every) => {
                Some(every)
            }
            Self::Kline(..) | Self::Continuous(..) | Self::Seconds(_) => Some(millis(250)),
            Self::Mini(_) | Self::Ticker(_) => Some(millis(2_000)),
            Self::Forced(_) | Self::AllForced | Self::Facts => Some(millis(1_000)),
            Self::AllMinis | Self::AllTickers => Some(millis(1_000)),
            Self::AllBooks => Some(millis(5_000)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Topic;
    use crate::exchange::wire::route::Route;

    /// Every stream of the documentation, by its page.
    const DOCUMENTED: [&str; 30] = [
        "btcusdt@aggTrade",
        "btcusdt@markPrice",
        "btcusdt@markPrice@1s",
        "!markPrice@arr",
        "!markPrice@arr@1s",
        "btcusdt@kline_1m",
        "btcusdt@kline_1M",
        "btcusdt_perpetual@continuousKline_1s",
        "btcusdt_perpetual@continuousKline_1h",
        "btcusdt@miniTicker",
        "!miniTicker@arr",
        "btcusdt@ticker",
        "!ticker@arr",
        "btcusdt@bookTicker",
        "!bookTicker",
        "btcusdt@forceOrder",
        "!forceOrder@arr",
        "btcusdt@depth5",
        "btcusdt@depth10@500ms",
        "btcusdt@depth20@100ms",
        "btcusdt@depth20@250ms",
        "btcusdt@depth",
        "btcusdt@depth@500ms",
        "btcusdt@depth@100ms",
        "btcusdt@depth@250ms",
        "btcusdt@rpiDepth@500ms",
        "btcusdt@trade",
        "!contractInfo",
        "ethusdt@kline_3d",
        "ethusdt@depth@0ms",
    ];

    fn symbols() -> Vec<String> {
        ["btcusdt", "ethusdt"].map(str::to_owned).to_vec()
    }

    #[test]
    fn every_documented_stream_is_served_and_by_one_route_alone() {
        for name in DOCUMENTED {
            let topic = Topic::parse(name, &symbols()).unwrap_or_else(|| panic!("{name}"));
            let carriers = [Route::Public, Route::Market, Route::Private, Route::Api]
                .map(|route| topic.is_carried_by(route));
            // The book and what happens in it; everything else is market data.
            let book = ["bookTicker", "epth", "@trade"];
            let public = book.iter().any(|part| name.contains(part));
            assert_eq!(carriers, [public, !public, false, false], "{name}");
        }
    }

    #[test]
    fn other_names_are_silent() {
        let names = "BTCUSDT@trade,xrpusdt@trade,btcusdt@depth7,btcusdt@depth@200ms,\
                     btcusdt@kline_1s,\
                     btcusdt@continuousKline_1m,defiusdt@compositeIndex,!assetIndex@arr,\
                     tradingSession,btcusdt,1,";
        for name in names.split(',') {
            assert_eq!(Topic::parse(name, &symbols()), None, "{name}");
        }
    }
}
