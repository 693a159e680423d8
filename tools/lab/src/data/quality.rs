//! What is wrong with a table: gaps, what cannot be, what is unlikely. Nothing is mended here:
//! what to do about it is decided where the data is used.

use peregrine::venue::dataset::{DataError, Gap, Rows, Stream};

/// A change of the close by more than this share is told.
const JUMP: f64 = 0.10;
/// A funding rate beyond this share of the position is told, 1e-8.
const RATE_MAX: i64 = 750_000;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quality {
    /// Time of the first and the last row, milliseconds.
    pub span_ms: (i64, i64),
    /// Rows seen.
    pub rows: u64,
    /// Where rows are missing.
    pub gaps: Vec<Gap>,
    /// Times of candles whose high or low does not bound open and close, or with a price that is
    /// not above zero.
    pub impossible: Vec<i64>,
    /// Times at which the close jumped by more than a tenth.
    pub jumps: Vec<i64>,
    /// Times of candles in which nothing was traded.
    pub idle: Vec<i64>,
    /// Times of funding rates beyond what the venue allows.
    pub extreme_rates: Vec<i64>,
    /// Numbers missing between two trades.
    pub trades_missing: u64,
    /// Finest step of the prices, 1e-8; 0 without prices.
    pub tick: i64,
    /// Finest step of the quantities, 1e-8; 0 without quantities.
    pub lot: i64,
}

/// Looks at every row of a table.
///
/// # Errors
/// A damaged file.
pub fn quality(rows: &mut Rows, stream: Stream, interval_ms: i64) -> Result<Quality, DataError> {
    let mut found = Quality::default();
    let mut last: Option<Vec<i64>> = None;
    while let Some(row) = rows.next_row()? {
        let time = row[0];
        if found.rows == 0 {
            found.span_ms.0 = time;
        }
        found.rows += 1;
        found.span_ms.1 = time;
        if let Some(last) = &last {
            found.between(stream, interval_ms, last, row);
        }
        found.alone(stream, row);
        last = Some(row.to_vec());
    }
    Ok(found)
}

impl Quality {
    fn between(&mut self, stream: Stream, interval_ms: i64, last: &[i64], row: &[i64]) {
        // Half a candle of tolerance: settlements lie milliseconds behind the hour.
        if interval_ms > 0 && row[0] - last[0] > interval_ms + interval_ms / 2 {
            self.gaps.push(Gap { after_ms: last[0], until_ms: row[0] });
        }
        match stream {
            Stream::Bars | Stream::MarkBars => {
                let ratio = row[4] as f64 / last[4].max(1) as f64;
                if (ratio - 1.0).abs() > JUMP {
                    self.jumps.push(row[0]);
                }
            }
            Stream::Trades => self.trades_missing += (row[1] - last[1] - 1).max(0) as u64,
            Stream::Funding | Stream::OpenInterest => {}
        }
    }

    fn alone(&mut self, stream: Stream, row: &[i64]) {
        match (stream, row) {
            (Stream::Bars | Stream::MarkBars, &[time, open, high, low, close, ref rest @ ..]) => {
                let bounds = low <= open.min(close) && high >= open.max(close) && low > 0;
                if !bounds {
                    self.impossible.push(time);
                }
                for px in [open, high, low, close] {
                    self.tick = finer(self.tick, px);
                }
                if let &[volume] = rest {
                    self.lot = finer(self.lot, volume);
                    if volume == 0 {
                        self.idle.push(time);
                    }
                }
            }
            (Stream::Trades, &[time, _, px, qty, _]) => {
                if px <= 0 || qty <= 0 {
                    self.impossible.push(time);
                }
                self.tick = finer(self.tick, px);
                self.lot = finer(self.lot, qty);
            }
            (Stream::Funding, &[time, rate]) if rate.abs() > RATE_MAX => {
                self.extreme_rates.push(time);
            }
            (Stream::OpenInterest, &[time, interest]) if interest < 0 => self.impossible.push(time),
            _ => {}
        }
    }

    /// Lines for people, worst first; none for a table without a blemish.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut tell = |what: &str, times: &[i64]| {
            if let Some(first) = times.first() {
                lines.push(format!("{} {what}, the first at {}", times.len(), at(*first)));
            }
        };
        tell("candles that cannot be", &self.impossible);
        tell("jumps of more than a tenth", &self.jumps);
        tell("candles without a trade", &self.idle);
        tell("funding rates beyond the venue's bounds", &self.extreme_rates);
        for gap in &self.gaps {
            lines.push(format!("nothing between {} and {}", at(gap.after_ms), at(gap.until_ms)));
        }
        if self.trades_missing > 0 {
            lines.push(format!("{} numbers of trades are missing", self.trades_missing));
        }
        lines
    }
}

/// The largest power of ten that divides both a step, 0 for none yet, and a value.
fn finer(step: i64, value: i64) -> i64 {
    let mut step = if step == 0 { 100_000_000_000 } else { step };
    while step > 1 && value % step != 0 {
        step /= 10;
    }
    step
}

/// A time for people.
pub fn at(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |time| time.to_string())
}
