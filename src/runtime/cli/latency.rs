//! `latency`: per-hop percentiles of a running service, of a journal or of a histogram log; as a
//! table, as JSON, as a histogram log and as a page with a picture.

use super::Failure;
use crate::base::Nanos;
use crate::base::event::{Event, Passage};
use crate::journal::{CorruptRecord, LaneReader, RecordIndex, STAMPS_LANE};
use crate::observe::hlog::{HlogError, read_log, write_log};
use crate::observe::latency::HopTotals;
use crate::observe::stamps::Rebuilt;
use crate::observe::{Hop, LatencyView, plot, worst};
use crate::venue::rest::RestClient;
use anyhow::{Context, Result, anyhow};
use clap::{ArgGroup, Args};
use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

#[derive(Args)]
#[command(after_help = "Example: peregrine latency --url http://127.0.0.1:9464\n\
                        Example: peregrine latency --journal state/journal/0000001-demo --html \
                        latency.html")]
#[command(group(ArgGroup::new("source").args(["journal", "url", "hlog"]).required(true)))]
pub struct LatencyArguments {
    /// A journal's folder: the percentiles are made of its latency stamps again.
    #[arg(long, value_name = "DIR")]
    journal: Option<PathBuf>,
    /// A running service's address.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// A histogram log.
    #[arg(long, value_name = "FILE")]
    hlog: Option<PathBuf>,
    /// Also write a histogram log, for the HdrHistogram tools of every language.
    #[arg(long, value_name = "FILE")]
    hlog_out: Option<PathBuf>,
    /// Also write a page with a picture of the percentiles; it needs nothing else.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Seconds of an interval of a journal, 1 to 86400: one line of the log each.
    #[arg(long, value_name = "SECONDS", default_value_t = 10,
          value_parser = clap::value_parser!(u32).range(1..=86_400))]
    every: u32,
    /// Longest passages shown of each hop, 0 to 8, with their sequence numbers.
    #[arg(long, value_name = "N", default_value_t = 3,
          value_parser = clap::value_parser!(u8).range(0..=8))]
    worst: u8,
    /// Print one JSON object as the last line.
    #[arg(long)]
    json: bool,
}

/// What was measured, from wherever it came.
struct Found {
    /// Where it came from.
    name: String,
    totals: HopTotals,
    /// Percentiles since start.
    view: LatencyView,
    /// The last interval, where there are several.
    recent: Option<LatencyView>,
    longest: Vec<Passage>,
    /// Passages that were measured and are told nowhere.
    missed: u64,
}

/// Prints the table, or the JSON object, and writes the files that are asked for.
pub fn latency(arguments: &LatencyArguments) -> Result<(), Failure> {
    let found = match (&arguments.journal, &arguments.url, &arguments.hlog) {
        (Some(dir), ..) => from_journal(dir, arguments)?,
        (_, Some(url), _) => from_service(url, arguments)?,
        (.., path) => from_log(path.as_deref().unwrap_or(Path::new("")), arguments)?,
    };
    if let Some(path) = &arguments.html {
        let note = match found.missed {
            0 => format!("{}, since start.", found.name),
            missed => format!("{}, since start; {missed} passages are missing.", found.name),
        };
        let page = plot::page("Peregrine: latency by hop", &note, &found.totals, &found.longest)?;
        std::fs::write(path, page).with_context(|| path.display().to_string())?;
    }
    if arguments.json {
        println!("{}", found.to_json());
    } else {
        print!("{}", found.text(usize::from(arguments.worst)));
    }
    Ok(())
}

impl Found {
    fn to_json(&self) -> Value {
        let row = |p: &Passage| json!({ "hop": p.hop.name(), "ns": p.ns, "seq": p.seq });
        json!({
            "since_start_ns": self.view,
            "recent_ns": self.recent,
            "worst": self.longest.iter().map(row).collect::<Vec<_>>(),
            "missed": self.missed,
        })
    }

    fn text(&self, most: usize) -> String {
        let mut text = format!("since start\n{}", self.view.table());
        if let Some(recent) = self.recent.filter(|recent| !recent.is_empty()) {
            text += &format!("\nlast interval\n{}", recent.table());
        }
        let longest = worst::table(self.longest.iter().copied(), most);
        if !longest.is_empty() {
            text += &format!("\n{longest}");
        }
        if self.missed > 0 {
            text += &format!("\n{} passages were measured and are not recorded\n", self.missed);
        }
        text
    }
}

/// One log of one interval, where one is asked for.
fn write_whole(path: Option<&Path>, totals: &HopTotals) -> Result<()> {
    let Some(path) = path else { return Ok(()) };
    let mut file = create(path)?;
    // When it was measured is not known here; a reader of one interval does not need it.
    write_log(&mut file, UNIX_EPOCH, |log| log.interval(totals, Duration::ZERO, Duration::ZERO))
        .with_context(|| path.display().to_string())?;
    file.flush().with_context(|| path.display().to_string())
}

fn create(path: &Path) -> Result<BufWriter<File>> {
    Ok(BufWriter::new(File::create(path).with_context(|| path.display().to_string())?))
}

fn from_log(path: &Path, arguments: &LatencyArguments) -> Result<Found> {
    let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
    let totals = read_log(&bytes).with_context(|| path.display().to_string())?;
    write_whole(arguments.hlog_out.as_deref(), &totals)?;
    let (name, view) = (path.display().to_string(), totals.view());
    Ok(Found { name, totals, view, recent: None, longest: Vec::new(), missed: 0 })
}

/// How often a service is asked until its log and its figures are of one snapshot.
const TRIES: u32 = 5;

fn from_service(url: &str, arguments: &LatencyArguments) -> Result<Found> {
    let client = RestClient::new(url);
    let asked = |path| client.get(path).map_err(|error| anyhow!("{url}: {error}"));
    let mut tries = 0;
    let (log, totals, body, view) = loop {
        let log = asked("/api/v1/latency.hlog")?;
        let totals = read_log(&log).context("/api/v1/latency.hlog")?;
        let body: Value =
            serde_json::from_slice(&asked("/api/v1/latency")?).context("/api/v1/latency")?;
        // Its maxima are exact, those of the log are not.
        let view = LatencyView::from_json(&body["since_start_ns"]);
        tries += 1;
        if tries == TRIES || view.counts_as(&totals.view()) {
            break (log, totals, body, view);
        }
    };
    if let Some(path) = &arguments.hlog_out {
        std::fs::write(path, &log).with_context(|| path.display().to_string())?;
    }
    let longest = body["worst"].as_array().into_iter().flatten().filter_map(passage).collect();
    let recent = Some(LatencyView::from_json(&body["recent_ns"]));
    Ok(Found { name: url.to_owned(), totals, view, recent, longest, missed: 0 })
}

fn passage(row: &Value) -> Option<Passage> {
    let hop = Hop::from_name(row["hop"].as_str()?)?;
    Some(Passage { hop, ns: row["ns"].as_u64()?, seq: row["seq"].as_u64()? })
}

fn from_journal(dir: &Path, arguments: &LatencyArguments) -> Result<Found> {
    let every = Nanos::from_secs(i64::from(arguments.every));
    let mut intervals = Intervals::open(dir, every)?;
    if let Some(path) = &arguments.hlog_out {
        let mut file = create(path)?;
        let mut failed = None;
        let began = intervals.began().unwrap_or(UNIX_EPOCH);
        let written = write_log(&mut file, began, |log| {
            loop {
                match intervals.next() {
                    Ok(true) => {
                        intervals.tell(|totals, at, long| log.interval(totals, at, long))?
                    }
                    Ok(false) => return Ok(()),
                    Err(error) => {
                        failed = Some(error);
                        return Ok(());
                    }
                }
            }
        });
        if let Some(error) = failed {
            return Err(error);
        }
        written.with_context(|| path.display().to_string())?;
        file.flush().with_context(|| path.display().to_string())?;
    } else {
        while intervals.next()? {}
    }
    let Intervals { whole, current, .. } = intervals;
    let view = whole.totals.view();
    let longest = view.worst().collect();
    let (totals, missed) = (whole.totals, whole.missed);
    let (name, recent) = (dir.display().to_string(), Some(current.totals.view()));
    Ok(Found { name, totals, view, recent, longest, missed })
}

type Item = Result<(RecordIndex, Event), CorruptRecord>;

/// Lane 4 of a journal, interval by interval.
struct Intervals {
    lane: std::iter::Peekable<LaneReader>,
    every: Nanos,
    /// Begin of the first interval.
    began: Option<Nanos>,
    whole: Rebuilt,
    /// The newest interval.
    current: Rebuilt,
}

impl Intervals {
    fn open(dir: &Path, every: Nanos) -> Result<Self> {
        let mut lane = LaneReader::open(dir, STAMPS_LANE)?.peekable();
        let began = match lane.peek() {
            Some(Ok((_, event))) => Some(event.now()),
            _ => None,
        };
        let (whole, current) = (Rebuilt::default(), Rebuilt::default());
        Ok(Self { lane, every, began, whole, current })
    }

    fn began(&self) -> Option<SystemTime> {
        self.began.map(|began| UNIX_EPOCH + duration(began))
    }

    /// Reads one interval; false when there was none left, and the last one stays.
    fn next(&mut self) -> Result<bool> {
        if self.lane.peek().is_none() {
            return Ok(false);
        }
        self.current = Rebuilt::default();
        let mut until = None;
        loop {
            let after = |item: &Item| item.as_ref().is_ok_and(|(_, e)| until <= Some(e.now()));
            if until.is_some() && self.lane.peek().is_some_and(after) {
                break;
            }
            let Some(item) = self.lane.next() else { break };
            let (_, event) = item?;
            until.get_or_insert(self.end_of(event.now()));
            self.whole.take(&event);
            self.current.take(&event);
        }
        Ok(true)
    }

    /// The end of the interval that holds `at`: intervals begin at whole steps from the first.
    fn end_of(&self, at: Nanos) -> Nanos {
        let began = self.began.unwrap_or(at);
        began + (at - began).floor_to(self.every) + self.every
    }

    fn tell(
        &self,
        line: impl FnOnce(&HopTotals, Duration, Duration) -> Result<(), HlogError>,
    ) -> Result<(), HlogError> {
        let (Some(began), Some(from)) = (self.began, self.current.from) else { return Ok(()) };
        let at = self.end_of(from) - self.every - began;
        line(&self.current.totals, duration(at), duration(self.every))
    }
}

fn duration(of: Nanos) -> Duration {
    Duration::from_nanos(u64::try_from(of.0).unwrap_or(0))
}
