//! A market as bytes in memory: recorded, or synthetic where there is no recording.

use super::data_dir;
use peregrine::base::Nanos;
use peregrine::base::event::Kind;
use peregrine::base::ids::Symbol;
use peregrine::base::settings::InstrumentSettings;
use peregrine::exchange::SyntheticMarket;
use peregrine::exchange::spec::SymbolSpec;
use peregrine::venue::capture::{Capture, Payload, scan_instruments};
use std::ops::Range;

/// Frames a second of the synthetic market: slow enough that a short tape warms every feature.
pub const SYNTHETIC_RATE: f64 = 500.0;

/// What was received.
#[derive(Clone, Debug)]
pub enum Content {
    /// A stream frame.
    Frame(Range<usize>),
    /// A depth snapshot of a symbol.
    Snapshot(Symbol, Range<usize>),
}

/// One receipt.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Time of receipt.
    pub ts: Nanos,
    /// A best bid and offer.
    pub is_ticker: bool,
    /// The bytes' place on the tape.
    pub content: Content,
}

/// A tape; see the head of this file.
pub struct Tape {
    /// What it is.
    pub name: String,
    /// The contracts on it.
    pub instruments: Vec<InstrumentSettings>,
    /// Receipts in time order.
    pub entries: Vec<Entry>,
    bytes: Vec<u8>,
}

impl Tape {
    /// The recorded BTCUSDT and ETHUSDT futures markets, or a synthetic one; at most `limit`
    /// receipts.
    pub fn best(limit: usize) -> Self {
        match data_dir() {
            Some(dir) => {
                let files = ["usdm_btcusdt_20240808.gz", "usdm_ethusdt_20240808.gz"];
                let paths = files.map(|file| dir.join("hftbacktest").join(file));
                Self::recorded(&paths, limit)
            }
            None => Self::synthetic(limit),
        }
    }

    /// From recordings.
    pub fn recorded(paths: &[std::path::PathBuf], limit: usize) -> Self {
        let instruments = scan_instruments(paths).expect("the recording was found");
        let mut capture = Capture::open(paths).expect("the recording was found");
        let mut tape = Self::empty("recorded", instruments);
        while let Some(record) = capture.next() {
            let record = record.expect("every line of the recording is good");
            match record.payload {
                Payload::Frame(frame) => tape.frame(record.ts_recv, frame),
                Payload::Snapshot { symbol, body } => tape.snapshot(record.ts_recv, symbol, body),
                Payload::ExchangeInfo(_) => {}
            }
            if tape.entries.len() >= limit {
                break;
            }
        }
        tape
    }

    /// From the synthetic market: two contracts, a snapshot each once their depth has begun.
    pub fn synthetic(limit: usize) -> Self {
        let specs = SymbolSpec::default_pair();
        let start = Nanos::from_secs(1_700_000_000);
        let mut market = SyntheticMarket::with_rate(7, &specs, start, SYNTHETIC_RATE);
        let mut tape = Self::empty("synthetic", market.instruments());
        let mut body = Vec::new();
        while tape.entries.len() < limit {
            let frame = market.step();
            let ts = frame.ts;
            tape.frame(ts, frame.frame);
            if tape.entries.len() == 1_000 {
                for spec in &specs {
                    body.clear();
                    if market.snapshot(spec.symbol.as_str(), &mut body) {
                        tape.snapshot(ts, spec.symbol, &body);
                    }
                }
            }
        }
        tape
    }

    /// The bytes of a receipt.
    #[inline]
    pub fn bytes(&self, range: &Range<usize>) -> &[u8] {
        &self.bytes[range.clone()]
    }

    /// Frames of `kind` as told by their event name, in order.
    pub fn frames_of(&self, kind: Kind) -> Vec<Vec<u8>> {
        let name: &[u8] = match kind {
            Kind::AggTrade => b"\"e\":\"aggTrade\"",
            Kind::BookTicker => b"\"e\":\"bookTicker\"",
            Kind::DepthHead => b"\"e\":\"depthUpdate\"",
            Kind::Trade => b"\"e\":\"trade\"",
            _ => return Vec::new(),
        };
        let mut frames = Vec::new();
        for entry in &self.entries {
            let Content::Frame(range) = &entry.content else { continue };
            let frame = self.bytes(range);
            if frame.windows(name.len()).take(80).any(|part| part == name) {
                frames.push(frame.to_vec());
            }
        }
        frames
    }

    /// Number of frames.
    pub fn frames(&self) -> usize {
        let is_frame = |entry: &&Entry| matches!(entry.content, Content::Frame(_));
        self.entries.iter().filter(is_frame).count()
    }

    /// One line on what it holds.
    pub fn describe(&self) -> String {
        let mib = self.bytes.len() as f64 / f64::from(1 << 20);
        let names: Vec<_> = self.instruments.iter().map(|facts| facts.symbol.as_str()).collect();
        format!(
            "{} market of {}: {} frames, {mib:.1} MiB",
            self.name,
            names.join(", "),
            self.frames()
        )
    }

    fn empty(name: &str, instruments: Vec<InstrumentSettings>) -> Self {
        Self { name: name.into(), instruments, entries: Vec::new(), bytes: Vec::new() }
    }

    fn store(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        start..self.bytes.len()
    }

    fn frame(&mut self, ts: Nanos, bytes: &[u8]) {
        let content = Content::Frame(self.store(bytes));
        let is_ticker = bytes.windows(11).take(30).any(|part| part == b"@bookTicker");
        self.entries.push(Entry { ts, is_ticker, content });
    }

    fn snapshot(&mut self, ts: Nanos, symbol: Symbol, bytes: &[u8]) {
        let content = Content::Snapshot(symbol, self.store(bytes));
        self.entries.push(Entry { ts, is_ticker: false, content });
    }
}
