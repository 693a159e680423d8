//! What a session tells at its end: a table for people, one JSON object for programs.

use super::latency::LatencyView;
use super::snapshot::CounterValues;
use crate::base::Money;
use crate::base::counters::Counter;
use serde::ser::{Serialize, SerializeStruct, Serializer};
use std::fmt::Write;
use std::path::PathBuf;
use std::time::Duration;

/// The figures of one finished session. Serialises as the JSON object that `--json` prints.
#[derive(Clone, Debug)]
pub struct Summary {
    /// The counters' last values.
    pub counters: CounterValues,
    /// How long the session ran.
    pub elapsed: Duration,
    /// Net profit in quote currency: realised + unrealised − fees + funding.
    pub pnl: Money,
    /// The journal's folder; `None` when none was written.
    pub journal: Option<PathBuf>,
    /// Hop percentiles since start.
    pub latency: LatencyView,
    /// Whether the venue's own ledger agrees with the journal's to the last unit; `None` where
    /// there is none to compare with.
    pub ledger_equal: Option<bool>,
    /// What a last look at the venue's orders and positions found: `clean`, `differs` or `unknown`;
    /// `None` where there was none.
    pub last_look: Option<&'static str>,
}

impl Summary {
    /// Input events per second of the session; 0 for a session without length.
    pub fn events_per_second(&self) -> f64 {
        let seconds = self.elapsed.as_secs_f64();
        if seconds > 0.0 { self.counters.get(Counter::Events) as f64 / seconds } else { 0.0 }
    }

    /// The JSON object on one line.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("numbers, texts and text keys always serialise")
    }

    /// The table for people, ending in a line feed.
    pub fn table(&self) -> String {
        let count = |counter| self.counters.get(counter).to_string();
        let journal = self.journal_text();
        let rows = [
            ("time", format!("{:.1} s", self.elapsed.as_secs_f64())),
            ("events", count(Counter::Events)),
            ("events/s", format!("{:.0}", self.events_per_second())),
            ("decisions", count(Counter::Predictions)),
            ("orders", count(Counter::Orders)),
            ("fills", count(Counter::Fills)),
            ("rejected", count(Counter::Rejected)),
            ("denied", count(Counter::Denied)),
            ("dropped", count(Counter::Dropped)),
            ("pnl (quote)", self.pnl.to_string()),
            ("journal", journal.unwrap_or_else(|| "none".to_owned())),
        ];
        let mut text = String::new();
        for (name, value) in rows {
            let _ = writeln!(text, "{name:<12} {value}");
        }
        if let Some(found) = self.last_look {
            let _ = writeln!(text, "last look    {found}");
        }
        if let Some(equal) = self.ledger_equal {
            let told = if equal { "equal" } else { "different" };
            let _ = writeln!(text, "exchange ledger   {told}");
        }
        if !self.latency.is_empty() {
            let _ = write!(text, "\n{}", self.latency.table());
        }
        text
    }

    /// A path need not be Unicode, a JSON text must be.
    fn journal_text(&self) -> Option<String> {
        self.journal.as_ref().map(|path| path.display().to_string())
    }
}

impl Serialize for Summary {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Summary", 13)?;
        let count = |counter| self.counters.get(counter);
        object.serialize_field("elapsed_seconds", &self.elapsed.as_secs_f64())?;
        object.serialize_field("events", &count(Counter::Events))?;
        object.serialize_field("events_per_second", &self.events_per_second())?;
        object.serialize_field("decisions", &count(Counter::Predictions))?;
        object.serialize_field("orders", &count(Counter::Orders))?;
        object.serialize_field("fills", &count(Counter::Fills))?;
        object.serialize_field("rejected", &count(Counter::Rejected))?;
        object.serialize_field("denied", &count(Counter::Denied))?;
        object.serialize_field("dropped", &count(Counter::Dropped))?;
        object.serialize_field("pnl_quote", &self.pnl.to_f64())?;
        object.serialize_field("journal", &self.journal_text())?;
        if let Some(equal) = self.ledger_equal {
            object.serialize_field("ledger_equal", &equal)?;
        }
        if let Some(found) = self.last_look {
            object.serialize_field("last_look", found)?;
        }
        object.serialize_field("latency_ns", &self.latency)?;
        object.end()
    }
}
