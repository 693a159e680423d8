//! A day of the sessions' journals as files of history, and what is wrong with it.
//!
//! ```text
//!   journals of a session's name ─► trades, mark prices, settlements ─► CSV, a file a symbol
//!          │                                                            that `import` takes
//!          └─► replay: do features and decisions come out again, bit for bit? ─► day.json
//! ```
//! Times are those of receipt, as the session's own bars have them.

use super::days::Day;
use crate::files::{read_json, write_json};
use anyhow::{Context, Result};
use flate2::write::GzEncoder;
use flate2::{Compression, GzBuilder};
use peregrine::base::event::{Event, Funding, MarkPrice, Trade, flags};
use peregrine::base::units::{Px, Qty};
use peregrine::base::{Kind, Nanos};
use peregrine::journal::{LaneEnd, LaneReader};
use peregrine::model::artifact::{hex, sha256};
use peregrine::observe::audit::{JOURNALS, keeper::journal_names};
use peregrine::runtime::backtest::Again;
use peregrine::runtime::replay::verify;
use peregrine::venue::dataset::hash_of;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// What is known of a collected day.
pub const DAY_FILE: &str = "day.json";
/// What replays of closed journals found.
const REPLAYS: &str = "replays";
const MINUTE_MS: i64 = 60_000;

/// See [`DAY_FILE`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Collected {
    /// Its name.
    pub day: String,
    /// The first millisecond that was not looked at.
    pub until_ms: i64,
    /// Of the day up to there, milliseconds.
    pub span_ms: i64,
    /// Silences longer than this are not covered, milliseconds.
    pub gap_ms: i64,
    /// By symbol.
    pub symbols: BTreeMap<String, Recorded>,
    /// Journals it was taken from, oldest first.
    pub journals: Vec<String>,
    /// Damage of journals, in words.
    pub damage: Vec<String>,
    /// Its files with their SHA-256.
    pub files: BTreeMap<String, String>,
}

/// What was recorded of a symbol.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recorded {
    /// Time of its first record, milliseconds.
    pub first_ms: i64,
    /// Time of its last record.
    pub last_ms: i64,
    /// Time covered: silences longer than allowed are not counted.
    pub covered_ms: i64,
    /// The longest silence.
    pub silence_ms: i64,
    /// When it began.
    pub silence_after_ms: i64,
    /// Trades.
    pub trades: u64,
    /// Numbers missing between two of them.
    pub trades_missing: u64,
}

impl Recorded {
    fn heard(&mut self, ms: i64, gap_ms: i64) {
        if self.last_ms == 0 {
            (self.first_ms, self.last_ms) = (ms, ms);
            return;
        }
        let silence = ms - self.last_ms;
        if silence > self.silence_ms {
            (self.silence_ms, self.silence_after_ms) = (silence, self.last_ms);
        }
        if silence <= gap_ms {
            self.covered_ms += silence;
        }
        self.last_ms = ms;
    }
}

/// Where from and where to.
#[derive(Clone, Copy, Debug)]
pub struct Source<'s> {
    /// State folder of the trader.
    pub state: &'s Path,
    /// Name of its sessions.
    pub session: &'s str,
    /// Longest silence that counts as covered, milliseconds.
    pub gap_ms: i64,
}

impl Source<'_> {
    /// The session's journals with the time of their first record, oldest first; where that cannot
    /// be read, of the journal before, and the least there is without one.
    ///
    /// # Errors
    /// A folder that cannot be listed.
    pub fn journals(&self) -> Result<Vec<(String, i64)>> {
        let names = journal_names(self.state).with_context(|| self.state.display().to_string())?;
        let own = |name: &String| name.split_once('-').is_some_and(|(_, s)| s == self.session);
        let mut found = Vec::new();
        for name in names.into_iter().filter(own) {
            let dir = self.dir(&name);
            if !dir.join("manifest.json").exists() {
                continue;
            }
            let first = LaneReader::open(&dir, 0).map(|mut lane| lane.next());
            let begins = match first {
                Ok(None) => continue,
                Ok(Some(Ok((_, event)))) => event.now().to_millis(),
                // It counts from the one before on: whatever day it touches is damaged by it.
                _ => found.last().map_or(i64::MIN, |(_, begins)| *begins),
            };
            found.push((name, begins));
        }
        Ok(found)
    }

    fn dir(&self, name: &str) -> PathBuf {
        self.state.join(JOURNALS).join(name)
    }

    /// Writes what the journals tell of `[from, until)` into `out`, a folder that is not there.
    ///
    /// # Errors
    /// A folder that cannot be read or written; damage of a journal is in what comes back.
    pub fn collect(&self, day: Day, until_ms: i64, out: &Path) -> Result<Collected> {
        fs::create_dir_all(out).with_context(|| out.display().to_string())?;
        let mut desk = Desk {
            source: *self,
            span: (day.from_ms(), until_ms),
            out,
            facts: Collected {
                day: day.name(),
                until_ms,
                span_ms: until_ms - day.from_ms(),
                gap_ms: self.gap_ms,
                ..Collected::default()
            },
            lanes: BTreeMap::new(),
        };
        let journals = self.journals()?;
        for (at, (name, begins)) in journals.iter().enumerate() {
            // One session follows the other: what begins before the next one ends before it.
            let ends = journals.get(at + 1).map_or(i64::MAX, |(_, begins)| *begins);
            if *begins < until_ms && ends > day.from_ms() {
                desk.facts.journals.push(name.clone());
                if let Err(damage) = desk.journal(name) {
                    desk.facts.damage.push(format!("{name}: {damage:#}"));
                }
            }
        }
        desk.finish()
    }
}

/// A symbol's files on the way.
#[derive(Default)]
struct Lane {
    trades: BTreeMap<&'static str, Trades>,
    minutes: BTreeMap<i64, [i64; 4]>,
    settled: BTreeMap<i64, i64>,
    /// The next settlement as it was last told: its time and rate.
    estimate: Option<(i64, i64)>,
}

/// One stream of a symbol's trades.
struct Trades {
    file: GzEncoder<BufWriter<File>>,
    last: Option<u64>,
    missing: u64,
    count: u64,
}

struct Desk<'d> {
    source: Source<'d>,
    span: (i64, i64),
    out: &'d Path,
    facts: Collected,
    lanes: BTreeMap<String, Lane>,
}

impl Desk<'_> {
    fn journal(&mut self, name: &str) -> Result<()> {
        let dir = self.source.dir(name);
        let instruments = Again::market(&dir).instruments()?;
        for item in LaneReader::open(&dir, 0)? {
            let event = item?.1;
            let ms = event.now().to_millis();
            if ms >= self.span.1 {
                break;
            }
            let is_market = event.kind < Kind::SessionStart as u8;
            if ms < self.span.0 || !is_market {
                continue;
            }
            if let Some(facts) = instruments.get(event.instrument().index()) {
                self.take(facts.symbol.as_str(), &event, ms)?;
            }
        }
        Ok(())
    }

    fn take(&mut self, symbol: &str, event: &Event, ms: i64) -> Result<()> {
        let heard = self.facts.symbols.entry(symbol.to_owned()).or_default();
        heard.heard(ms, self.source.gap_ms);
        let lane = self.lanes.entry(symbol.to_owned()).or_default();
        match event.kind() {
            Some(Kind::AggTrade) => self.trade((symbol, "aggTrades"), event, ms),
            Some(Kind::Trade) => self.trade((symbol, "trades"), event, ms),
            Some(Kind::MarkPrice) => {
                let told: &MarkPrice = event.body();
                let minute = ms.div_euclid(MINUTE_MS) * MINUTE_MS;
                let px = told.mark_px;
                let bar = lane.minutes.entry(minute).or_insert([px; 4]);
                *bar = [bar[0], bar[1].max(px), bar[2].min(px), px];
                let next = Nanos(told.ts_next_funding).to_millis();
                // What was told last before its time is what was settled.
                if let Some((due, rate)) = lane.estimate
                    && due <= ms
                    && next > due
                {
                    lane.settled.entry(due).or_insert(rate);
                }
                lane.estimate = (next > 0).then_some((next, told.funding_rate));
                Ok(())
            }
            Some(Kind::Funding) => {
                let told: &Funding = event.body();
                lane.settled.insert(Nanos(told.ts_funding).to_millis(), told.rate);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn trade(
        &mut self,
        (symbol, stream): (&str, &'static str),
        event: &Event,
        ms: i64,
    ) -> Result<()> {
        let Some(lane) = self.lanes.get_mut(symbol) else { return Ok(()) };
        let told: &Trade = event.body();
        if !lane.trades.contains_key(stream) {
            let path = self.out.join(format!("{symbol}-{stream}-{}.csv.gz", self.facts.day));
            // Without a name and a time in its head, so that the same trades are the same bytes.
            let text = BufWriter::new(File::create(&path)?);
            let mut file = GzBuilder::new().write(text, Compression::default());
            writeln!(file, "time_ms,id,price,quantity,is_buyer_maker")?;
            lane.trades.insert(stream, Trades { file, last: None, missing: 0, count: 0 });
        }
        let Some(trades) = lane.trades.get_mut(stream) else { return Ok(()) };
        if let Some(last) = trades.last {
            trades.missing += told.trade_id.saturating_sub(last + 1);
        }
        trades.last = Some(told.trade_id);
        trades.count += 1;
        let (id, px, qty) = (told.trade_id, Px(told.px), Qty(told.qty));
        Ok(writeln!(trades.file, "{ms},{id},{px},{qty},{}", event.has(flags::SELL))?)
    }

    fn finish(mut self) -> Result<Collected> {
        let day = self.facts.day.clone();
        for (symbol, lane) in std::mem::take(&mut self.lanes) {
            let facts = self.facts.symbols.entry(symbol.clone()).or_default();
            let mut written = Vec::new();
            for (stream, trades) in lane.trades {
                trades.file.finish()?.flush()?;
                let name = format!("{symbol}-{stream}-{day}.csv.gz");
                written.push((stream, name, (trades.count, trades.missing)));
            }
            // Both streams tell the same trades: one of them counts.
            let both = written.len() > 1;
            for (stream, name, counted) in written {
                if both && stream == "trades" {
                    fs::remove_file(self.out.join(name))?;
                    continue;
                }
                (facts.trades, facts.trades_missing) = counted;
                self.facts.files.insert(name, String::new());
            }
            let mut marks = "open_time_ms,open,high,low,close\n".to_owned();
            for (ms, [open, high, low, close]) in &lane.minutes {
                let [open, high, low, close] = [open, high, low, close].map(|px| Px(*px));
                let _ = writeln!(marks, "{ms},{open},{high},{low},{close}");
            }
            let mut settled = "funding_time_ms,funding_rate\n".to_owned();
            for (ms, rate) in &lane.settled {
                let _ = writeln!(settled, "{ms},{}", Px(*rate));
            }
            for (text, stream, rows) in
                [(marks, "mark1m", lane.minutes.len()), (settled, "funding", lane.settled.len())]
            {
                if rows > 0 {
                    let name = format!("{symbol}-{stream}-{day}.csv");
                    fs::write(self.out.join(&name), text)?;
                    self.facts.files.insert(name, String::new());
                }
            }
        }
        for (name, hash) in &mut self.facts.files {
            let mut file = File::open(self.out.join(name))?;
            *hash = hash_of(&mut file)?.0;
            file.sync_all()?;
        }
        write_json(&self.out.join(DAY_FILE), &self.facts)?;
        Ok(self.facts)
    }
}

/// A day that was collected with the same idea of a gap and is whole: every file is there as its
/// facts say.
pub fn known(dir: &Path, gap_ms: i64) -> Option<Collected> {
    let facts: Collected = read_json(&dir.join(DAY_FILE)).ok()??;
    let is_whole = facts.files.iter().all(|(name, told)| {
        let found = File::open(dir.join(name)).and_then(|mut file| hash_of(&mut file));
        found.is_ok_and(|(hash, _)| hash == *told)
    });
    (is_whole && facts.gap_ms == gap_ms).then_some(facts)
}

/// What a replay of a journal found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replayed {
    /// SHA-256 of the journal's manifest.
    pub manifest_sha256: String,
    /// Records held against each other.
    pub records: u64,
    /// Those that came out otherwise.
    pub differences: u64,
    /// The first of them.
    pub first: Option<String>,
}

/// Runs a journal's inputs through the stages again and holds features, predictions and decisions
/// against what was recorded; what was found before is in `work`. `None` while the journal is still
/// written: it is looked at once it is closed.
///
/// # Errors
/// A journal that cannot be run again, in words.
pub fn replayed(
    source: &Source<'_>,
    name: &str,
    (is_newest, work): (bool, &Path),
) -> Result<Option<Replayed>> {
    let dir = source.dir(name);
    let manifest = fs::read(dir.join("manifest.json")).with_context(|| name.to_owned())?;
    let manifest_sha256 = hex(&sha256(&manifest));
    let path = work.join(REPLAYS).join(format!("{name}.json"));
    let before = read_json::<Replayed>(&path).ok().flatten();
    if let Some(before) = before.filter(|before| before.manifest_sha256 == manifest_sha256) {
        return Ok(Some(before));
    }
    if is_newest && is_open(&dir)? {
        return Ok(None);
    }
    let report = verify(&dir)?;
    let found = Replayed {
        manifest_sha256,
        records: report.records,
        differences: report.differences,
        first: report.first,
    };
    write_json(&path, &found)?;
    Ok(Some(found))
}

/// Whether nobody closed the inputs of a journal.
fn is_open(dir: &Path) -> Result<bool> {
    let mut lane = LaneReader::open(dir, 0)?;
    for item in lane.by_ref() {
        item?;
    }
    Ok(matches!(lane.end(), Some(LaneEnd::Open { .. })))
}
