//! What the page and the metrics show of the alerts. Only cold threads touch it; the lock is held
//! for the copy of a row.

use super::dispatch::Figures;
use super::{Alert, Severity};
use crate::observe::snapshot::ROWS_SHOWN_MAX;
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Longest time the thread of the alerts may go without a turn.
pub const SILENCE_MAX: Duration = Duration::from_secs(5);

/// One alert.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AlertView {
    /// When, nanoseconds since the epoch.
    pub ts_ns: i64,
    /// Place in the river of what caused it; 0 where nothing in the river did.
    pub seq: u64,
    /// `info`, `warning`, `error` or `critical`.
    pub severity: &'static str,
    /// `P0` to `P3`.
    pub priority: &'static str,
    /// What it is about.
    pub class: &'static str,
    /// Alerts of the same key are the same alert again.
    pub key: String,
    /// What happened, in a sentence.
    pub text: String,
    /// How often in a row.
    pub count: u64,
}

/// What the alerts' own machine did since the start.
#[derive(Clone, Debug, Default, Serialize)]
pub struct AlertingView {
    /// The thread that follows the journal is running and turns.
    pub alive: bool,
    /// Alerts by severity and class.
    pub raised: Vec<RaisedView>,
    /// Counted only, for a minute's summary.
    pub held: u64,
    /// Dropped because too many waited.
    pub dropped: u64,
    /// Sent on the other channels because the first was too slow.
    pub escalated: u64,
    /// Waiting for delivery.
    pub waiting: usize,
    /// Messages by channel.
    pub channels: Vec<ChannelView>,
    /// Records of lanes that retention deleted before they were read.
    pub missed_records: u64,
}

/// Alerts of one severity and class.
#[derive(Clone, Debug, Serialize)]
pub struct RaisedView {
    /// `P0` to `P3`.
    pub severity: &'static str,
    /// About what.
    pub class: &'static str,
    /// How many.
    pub count: u64,
}

/// One channel.
#[derive(Clone, Debug, Serialize)]
pub struct ChannelView {
    /// `telegram`, `webhook` or `mail`.
    pub name: &'static str,
    /// Messages delivered.
    pub delivered: u64,
    /// Attempts that failed.
    pub failed: u64,
}

#[derive(Debug, Default)]
struct Shown {
    rows: VecDeque<AlertView>,
    raised: BTreeMap<(Severity, &'static str), u64>,
    figures: Figures,
    channels: Vec<&'static str>,
    missed: u64,
    turned: Option<Instant>,
}

/// See the head of this file.
#[derive(Debug, Default)]
pub struct AlertBoard(Mutex<Shown>);

impl AlertBoard {
    fn shown(&self) -> std::sync::MutexGuard<'_, Shown> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Names the channels, in order.
    pub fn name_channels(&self, names: Vec<&'static str>) {
        self.shown().channels = names;
    }

    /// Shows an alert; the same again replaces its row and counts.
    pub fn note(&self, alert: &Alert) {
        let mut shown = self.shown();
        *shown.raised.entry((alert.severity, alert.class.name())).or_default() += 1;
        let newest = shown.rows.back_mut().filter(|row| row.key == alert.key);
        if let Some(row) = newest {
            row.count += 1;
            (row.ts_ns, row.seq) = (alert.ts_ns, alert.seq);
            row.text.clone_from(&alert.text);
            return;
        }
        if shown.rows.len() >= ROWS_SHOWN_MAX {
            shown.rows.pop_front();
        }
        shown.rows.push_back(AlertView {
            ts_ns: alert.ts_ns,
            seq: alert.seq,
            severity: alert.severity.word(),
            priority: alert.severity.name(),
            class: alert.class.name(),
            key: alert.key.clone(),
            text: alert.text.clone(),
            count: 1,
        });
    }

    /// The thread of the alerts turned; what it counted.
    pub fn turned(&self, figures: Figures, missed: u64) {
        let mut shown = self.shown();
        shown.figures = figures;
        shown.missed = missed;
        shown.turned = Some(Instant::now());
    }

    /// The thread of the alerts has ended.
    pub fn ended(&self) {
        self.shown().turned = None;
    }

    /// Rows, newest last, and what was counted.
    pub fn view(&self) -> (VecDeque<AlertView>, AlertingView) {
        let shown = self.shown();
        let figures = &shown.figures;
        let channels = shown.channels.iter().zip(&figures.ways);
        let view = AlertingView {
            alive: shown.turned.is_some_and(|at| at.elapsed() <= SILENCE_MAX),
            raised: shown
                .raised
                .iter()
                .map(|(&(severity, class), &count)| RaisedView {
                    severity: severity.name(),
                    class,
                    count,
                })
                .collect(),
            held: figures.held,
            dropped: figures.dropped,
            escalated: figures.escalated,
            waiting: figures.waiting,
            channels: channels
                .map(|(&name, &(delivered, failed))| ChannelView { name, delivered, failed })
                .collect(),
            missed_records: shown.missed,
        };
        (shown.rows.clone(), view)
    }
}
