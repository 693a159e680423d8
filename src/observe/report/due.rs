//! The thread that tells each UTC day, and each week with its Sunday, once it is over: also when
//! nothing ran at midnight, and never twice.

use super::read::{Period, read};
use super::{Figures, picture};
use crate::base::Nanos;
use crate::observe::alerts::service::AlertSender;
use crate::observe::alerts::{Alert, Class, Severity, wall_ns};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The file that holds the newest UTC day that was told.
const TOLD_FILE: &str = "report-day";
/// How long after midnight a day is told: its last records are in the journal by then.
const AFTER_NS: i64 = 60_000_000_000;
/// Between two looks at the clock.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A report that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// Its last UTC day, counted from the epoch.
    pub day: i64,
    /// Of seven days.
    pub week: bool,
}

/// What is due at `now_ns` where `told` is the newest day that was told; only the newest day, and
/// its week if it ends one: what is older nobody waits for.
pub fn due(told: Option<i64>, now_ns: i64) -> Vec<Due> {
    let day = Nanos(now_ns - AFTER_NS).utc_day() - 1;
    if told.is_some_and(|told| told >= day) {
        return Vec::new();
    }
    // The first day of the epoch was a Thursday, so a Sunday is three days behind it.
    let sunday = |day: i64| day.rem_euclid(7) == 3;
    let since = told.map_or(day, |told| told + 1).max(day - 6);
    let week = (since..=day).rev().find(|&day| sunday(day));
    let mut due = vec![Due { day, week: false }];
    due.extend(week.map(|day| Due { day, week: true }));
    due
}

/// The report as an alert with its picture.
pub fn report(due: Due, session: &str, figures: &Figures) -> Alert {
    let period = period(due);
    let last = jiff::Timestamp::from_nanosecond(i128::from(period.to - 1)).unwrap_or_default();
    let what = if due.week { "week to" } else { "day" };
    let text = format!("{session}, {what} {}: {}", last.strftime("%Y-%m-%d"), figures.text());
    let key = format!("report:{}:{}", due.day, due.week);
    let picture = picture::png(&figures.curve, period.from, period.to);
    let at = (0, wall_ns());
    let alert = Alert::new(Severity::P3, Class::Report, key, &text, at);
    Alert { picture: Some(Arc::new(picture)), ..alert }
}

fn period(due: Due) -> Period {
    if due.week { Period::week(due.day) } else { Period::day(due.day) }
}

/// See the head of this file.
pub struct ReportKeeper {
    stop: Arc<AtomicBool>,
}

impl ReportKeeper {
    /// Starts the thread for sessions named `session`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(state: PathBuf, session: String, alerts: AlertSender) -> io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        std::thread::Builder::new()
            .name("reports".to_owned())
            .spawn(move || keep(&state, &session, &alerts, &stopped))?;
        Ok(Self { stop })
    }
}

impl Drop for ReportKeeper {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
    }
}

fn keep(state: &Path, session: &str, alerts: &AlertSender, stop: &AtomicBool) {
    let path = state.join(TOLD_FILE);
    let told = std::fs::read_to_string(&path).ok();
    let mut told = told.and_then(|text| text.trim().parse::<i64>().ok());
    while !stop.load(Ordering::Acquire) {
        let due = due(told, wall_ns());
        let newest = due.first().map(|due| due.day);
        for due in due {
            match read(state, session, period(due)) {
                // A day on which nothing ran is no news.
                Ok(figures) if figures.sessions == 0 => {}
                Ok(figures) => {
                    let _ = alerts.try_send(report(due, session, &figures));
                }
                Err(what) => {
                    let text = format!("no report: {what}");
                    let at = (0, wall_ns());
                    let alert = Alert::new(Severity::P2, Class::Report, "report:failed", &text, at);
                    let _ = alerts.try_send(alert);
                }
            }
        }
        if let Some(day) = newest {
            told = Some(day);
            if let Err(error) = std::fs::write(&path, day.to_string()) {
                tracing::warn!(%error, "report: the day that was told could not be kept");
            }
        }
        std::thread::park_timeout(LOOK_EVERY);
    }
}
