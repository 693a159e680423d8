//! The log: one line an event on standard error, JSON or `key=value`, bounded in every way.
//!
//! ```text
//!  any thread ─ format, pace ─► queue of 4 096 lines ─► thread `log` ─► standard error
//!                                   full: dropped, counted, told
//! ```
//! Texts may come from the venue or from whoever writes to a bot. A value is cut at 256 characters,
//! and no character of it can end a line, move a cursor or look like another field. An event that
//! comes again and again is told 20 times in ten seconds, then counted until it is told again. A
//! reader that does not read makes nobody wait.

use crossbeam::channel::{Receiver, Sender, bounded};
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tracing::callsite::Identifier;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::registry::LookupSpan;

/// The variable that chooses the form: `json` or `text`.
const FORM: &str = "PEREGRINE_LOG";
/// Characters of a value that are shown.
const VALUE_CHARS_MAX: usize = 256;
/// Lines that wait for standard error.
const QUEUE_LINES: usize = 4_096;
/// An event is told so often in one window.
const WINDOW_LINES: u32 = 20;
const WINDOW: Duration = Duration::from_secs(10);
/// Longest wait for what still has to be written at the end.
const FLUSH_MAX: Duration = Duration::from_secs(2);

/// Starts the log: `RUST_LOG` filters it; warnings and worse by default. `PEREGRINE_LOG` is `json`
/// or `text`; without it text on a terminal and JSON elsewhere. What is returned writes the rest
/// when it is dropped.
pub fn start() -> Flush {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    let json = match std::env::var(FORM).as_deref() {
        Ok("json") => true,
        Ok("text") => false,
        _ => !io::stderr().is_terminal(),
    };
    let (queue, lines) = bounded(QUEUE_LINES);
    let dropped = Arc::new(AtomicU64::new(0));
    let own = Arc::clone(&dropped);
    let thread = std::thread::Builder::new().name("log".to_owned()).spawn(move || {
        carry(&lines, &own, &mut io::stderr());
    });
    if thread.is_err() {
        // No thread, no log: what has to be said of that nobody could write either.
        return Flush(None);
    }
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(Queue { lines: queue.clone(), dropped })
        .event_format(Lines { json, paces: Mutex::default() });
    // A second start, as in tests, keeps the first.
    let _ = log.try_init();
    Flush(Some(queue))
}

/// Writes what waits when it is dropped.
pub struct Flush(Option<Sender<Item>>);

impl Drop for Flush {
    fn drop(&mut self) {
        let Some(queue) = self.0.take() else { return };
        let (done, written) = bounded(1);
        if queue.send_timeout(Item::Tell(done), FLUSH_MAX).is_ok() {
            let _ = written.recv_timeout(FLUSH_MAX);
        }
    }
}

/// What the log's thread is handed.
enum Item {
    Line(Vec<u8>),
    /// Everything before it is written.
    Tell(Sender<()>),
}

/// Writes line by line; an error of the output is nobody's to hear.
fn carry(lines: &Receiver<Item>, dropped: &AtomicU64, out: &mut dyn Write) {
    for item in lines {
        match item {
            Item::Line(line) => {
                let _ = out.write_all(&line);
            }
            Item::Tell(done) => {
                let _ = out.flush();
                let _ = done.try_send(());
            }
        }
        let lost = dropped.swap(0, Ordering::Relaxed);
        if lost > 0 {
            let _ =
                writeln!(out, "{{\"level\":\"WARN\",\"message\":\"lines lost\",\"count\":{lost}}}");
        }
    }
}

/// The sending side: takes whole lines and never waits.
#[derive(Clone)]
struct Queue {
    lines: Sender<Item>,
    dropped: Arc<AtomicU64>,
}

impl Write for Queue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if !line.is_empty() && self.lines.try_send(Item::Line(line.to_vec())).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Queue {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// How often one event of the program was told lately.
struct Pace {
    since: Instant,
    told: u32,
    held: u64,
}

/// Makes lines of events.
struct Lines {
    json: bool,
    paces: Mutex<HashMap<Identifier, Pace>>,
}

impl Lines {
    /// How many of the same were held back before this one; `None` holds it back too.
    fn pace(&self, site: Identifier, now: Instant) -> Option<u64> {
        let mut paces = self.paces.lock().unwrap_or_else(PoisonError::into_inner);
        let pace = paces.entry(site).or_insert(Pace { since: now, told: 0, held: 0 });
        if now >= pace.since + WINDOW {
            (pace.since, pace.told) = (now, 0);
        }
        if pace.told >= WINDOW_LINES {
            pace.held += 1;
            return None;
        }
        pace.told += 1;
        Some(std::mem::take(&mut pace.held))
    }
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut out: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let about = event.metadata();
        let Some(held) = self.pace(about.callsite(), Instant::now()) else { return Ok(()) };
        let mut fields = Fields::default();
        fields.text("timestamp", &jiff::Timestamp::now().to_string());
        fields.text("level", about.level().as_str());
        fields.text("target", about.target());
        fields.text("from", std::thread::current().name().unwrap_or("–"));
        event.record(&mut fields);
        if held > 0 {
            fields.put("held_back", held.into());
        }
        if self.json {
            let line = serde_json::to_string(&fields.0).map_err(|_| fmt::Error)?;
            writeln!(out, "{}", without_controls(&line))
        } else {
            writeln!(out, "{}", without_controls(&fields.plain()))
        }
    }
}

/// The fields of an event, cut.
#[derive(Default)]
struct Fields(Map<String, Value>);

impl Fields {
    fn text(&mut self, name: &str, text: &str) {
        let mut kept: String = text.chars().take(VALUE_CHARS_MAX).collect();
        if kept.len() < text.len() {
            kept.push('…');
        }
        self.put(name, kept.into());
    }

    /// A second field of a name stands beside the first, never in its place.
    fn put(&mut self, name: &str, value: Value) {
        let mut name = name.to_owned();
        while self.0.contains_key(&name) {
            name.push('_');
        }
        self.0.insert(name, value);
    }

    /// `key=value`, a value with anything odd in it in quotes.
    fn plain(&self) -> String {
        let mut line = String::new();
        for (name, value) in &self.0 {
            let gap = if line.is_empty() { "" } else { " " };
            let _ = match value {
                Value::String(text) if is_plain(text) => write!(line, "{gap}{name}={text}"),
                Value::String(text) => write!(line, "{gap}{name}=\"{}\"", text.escape_debug()),
                other => write!(line, "{gap}{name}={other}"),
            };
        }
        line
    }
}

fn is_plain(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:/+%".contains(c);
    !text.is_empty() && text.chars().all(plain)
}

/// JSON leaves controls beyond ASCII, and marks of direction, as they are; a terminal does not.
fn without_controls(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    for c in line.chars() {
        let turns = matches!(c, '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}');
        if c.is_control() || turns || matches!(c, '\u{2066}'..='\u{2069}' | '\u{feff}') {
            let _ = write!(out, "\\u{:04x}", c as u32);
        } else {
            out.push(c);
        }
    }
    out
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field.name(), &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field.name(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field.name(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field.name(), value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field.name(), value.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing_subscriber::layer::SubscriberExt;

    /// What a venue, or whoever writes to a bot, may try.
    const HOSTILE: [&str; 6] = [
        "x\n{\"level\":\"INFO\",\"message\":\"armed by operator\"}",
        "x\r\nlevel=INFO message=armed",
        "\u{1b}[2J\u{1b}]0;owned\u{7}",
        "\u{9b}31m\u{202e}desrever\u{2066}",
        "\" level=INFO message=\"armed",
        "x\0y\u{feff}\u{2028}z",
    ];

    /// Lines that events make.
    fn lines(json: bool, tell: impl FnOnce()) -> Vec<String> {
        let (queue, items) = bounded(QUEUE_LINES);
        let layer = tracing_subscriber::fmt::layer()
            .event_format(Lines { json, paces: Mutex::default() })
            .with_writer(Queue { lines: queue, dropped: Arc::default() });
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), tell);
        let text = |item| match item {
            Item::Line(line) => String::from_utf8(line).unwrap(),
            Item::Tell(_) => String::new(),
        };
        items.try_iter().map(text).collect()
    }

    #[test]
    fn no_text_can_end_a_line_move_a_cursor_or_forge_a_field() {
        for hostile in HOSTILE {
            let told = lines(true, || tracing::warn!(venue = hostile, %hostile, "{hostile}"));
            let [line] = &told[..] else { panic!("{told:?}") };
            assert_eq!(line.matches('\n').count(), 1);
            assert!(!line.trim_end().chars().any(char::is_control), "{line:?}");
            let read: Value = serde_json::from_str(line).unwrap();
            for field in ["venue", "hostile", "message"] {
                assert_eq!(read[field], hostile, "{line}");
            }
            assert_eq!(read["level"], "WARN");

            let told = lines(false, || tracing::warn!(venue = hostile, %hostile, "{hostile}"));
            let [line] = &told[..] else { panic!("{told:?}") };
            assert_eq!(line.matches('\n').count(), 1);
            assert!(!line.trim_end().chars().any(char::is_control), "{line:?}");
            // Outside of quotes, each name stands once.
            let mut quoted = false;
            let outside: String = line
                .replace("\\\\", "")
                .replace("\\\"", "")
                .chars()
                .filter(|&c| {
                    quoted ^= c == '"';
                    !quoted
                })
                .collect();
            for field in ["level=", "message=", "venue="] {
                assert_eq!(outside.matches(field).count(), 1, "{line}");
            }
        }
    }

    #[test]
    fn a_long_text_is_cut_and_numbers_stay_numbers() {
        let long = "é".repeat(100_000);
        let told = lines(true, || tracing::error!(body = %long, count = 7_u64, "much"));
        let read: Value = serde_json::from_str(&told[0]).unwrap();
        assert_eq!(read["body"].as_str().unwrap().chars().count(), VALUE_CHARS_MAX + 1);
        assert_eq!(read["count"], 7);
        assert!(told[0].len() < 2_000, "{}", told[0].len());
    }

    #[test]
    fn a_field_of_a_known_name_hides_nothing() {
        let told = lines(true, || tracing::error!(level = "calm", message = 35, "not delivered"));
        let read: Value = serde_json::from_str(&told[0]).unwrap();
        assert_eq!((&read["level"], &read["level_"]), (&"ERROR".into(), &"calm".into()));
        let messages = [&read["message"], &read["message_"]];
        assert!(messages.contains(&&Value::from("not delivered")), "{}", told[0]);
        assert!(messages.contains(&&Value::from(35)), "{}", told[0]);
    }

    #[test]
    fn a_storm_of_one_event_is_told_so_often_and_counted_and_hides_no_other() {
        let told = lines(true, || {
            (0..10_000).for_each(|i| tracing::warn!(i, "again"));
            tracing::warn!("another");
        });
        assert_eq!(told.len(), WINDOW_LINES as usize + 1);
        assert!(told.last().unwrap().contains("another"));
        // Told again once the window is over, with how many were not.
        let paces = Lines { json: true, paces: Mutex::default() };
        let site = || tracing::warn_span!("x").metadata().map(|about| about.callsite());
        let subscriber = tracing_subscriber::registry();
        let site = tracing::subscriber::with_default(subscriber, site).unwrap();
        let start = Instant::now();
        let told = |at: Duration| paces.pace(site.clone(), start + at);
        assert_eq!((0..25).filter(|_| told(Duration::ZERO).is_some()).count(), 20);
        assert_eq!(told(WINDOW), Some(5));
        assert_eq!(told(WINDOW), Some(0));
    }

    #[test]
    fn fault_p15_a_reader_that_does_not_read_makes_nobody_wait_and_what_is_lost_is_counted() {
        let (lines, items) = bounded(2);
        let mut queue = Queue { lines, dropped: Arc::default() };
        for _ in 0..10 {
            assert_eq!(queue.write(b"a line\n").unwrap(), 7);
        }
        let dropped = Arc::clone(&queue.dropped);
        assert_eq!(dropped.load(Ordering::Relaxed), 8);
        drop(queue);
        let mut out = Vec::new();
        carry(&items, &dropped, &mut out);
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.matches("a line\n").count(), 2);
        assert_eq!(text.matches("\"lines lost\",\"count\":8").count(), 1, "{text}");
    }
}
