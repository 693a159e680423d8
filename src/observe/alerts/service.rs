//! The threads of the alerts: one that follows the journal and dispatches, one for each channel.
//! Nobody waits for them, and a session whose alerts have died trades on; the page and the metrics
//! say so.

use super::board::AlertBoard;
use super::dispatch::{Dispatcher, Message, Plan, Undelivered};
use super::rules::Rules;
use super::signs::Signs;
use super::ways::{Outcome, Way, serve};
use super::{Alert, Class, Severity, wall_ns};
use crate::base::settings::AlertSettings;
use crate::journal::{Followed, JournalHealth, LaneFollower, RecordIndex};
use crate::observe::snapshot::SnapshotCell;
use crossbeam::channel::{Receiver, Sender, bounded};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Wait between two turns: what a record waits at most before its alert is dispatched.
const TURN: Duration = Duration::from_millis(50);
/// Records of a lane taken in one turn, so that a turn ends.
const RECORDS_PER_TURN: u32 = 65_536;
/// Between two looks at the snapshot.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A channel that has not answered for so long is taken for dead; its own limits are shorter.
const CHANNEL_MAX: Duration = Duration::from_secs(15);
/// How long an end waits for what is not delivered yet.
const FINISH_MAX: Duration = Duration::from_secs(5);
/// Lanes followed.
const LANES_FOLLOWED: [usize; 2] = [0, 2];
/// Alerts from elsewhere that wait at once.
const OTHERS_MAX: usize = 256;

/// What the alerts work with.
pub struct AlertWork {
    /// The table `[alerts]`.
    pub settings: AlertSettings,
    /// The ways, in the order of the settings.
    pub ways: Vec<Way>,
    /// The journal's folder; `None` where no session writes one.
    pub journal: Option<PathBuf>,
    /// Its health.
    pub health: Arc<JournalHealth>,
    /// The newest snapshot.
    pub cell: Arc<SnapshotCell>,
    /// What the page shows.
    pub board: Arc<AlertBoard>,
    /// Set once the session ends: from then on threads stop and the page is not renewed, as they
    /// should.
    pub ending: Arc<AtomicBool>,
}

/// Where other side threads put what no record tells; full, it drops.
pub type AlertSender = Sender<Alert>;

/// See the head of this file.
pub struct AlertService {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    others: AlertSender,
}

impl AlertService {
    /// Starts the threads.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn start(work: AlertWork) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let (others, others_in) = bounded(OTHERS_MAX);
        let (outcomes_out, outcomes) = bounded(work.ways.len() * 2 + 1);
        let mut channels = Vec::new();
        work.board.name_channels(work.ways.iter().map(Way::name).collect());
        for (place, way) in work.ways.into_iter().enumerate() {
            let (messages, messages_in) = bounded::<Message>(1);
            let outcomes = outcomes_out.clone();
            std::thread::Builder::new()
                .name(format!("alert-{}", way.name()))
                .spawn(move || serve(place, way, &messages_in, &outcomes))?;
            channels.push(Channel { messages, busy_since: None });
        }
        let settings = &work.settings;
        let plan = Plan {
            ways: channels.len(),
            severity_max: Severity::ALL[usize::from(settings.severity_max.min(3))],
            escalate_after: Duration::from_millis(u64::from(settings.escalate_after_ms)),
            queue: settings.queue_alerts as usize,
            repeat: Duration::from_secs(u64::from(settings.repeat_s)),
            per_minute_max: settings.per_minute_max,
        };
        let heartbeat = Duration::from_secs(u64::from(settings.heartbeat_s));
        let desk = Desk {
            rules: Rules::new(settings.denials_per_minute),
            signs: Signs::default(),
            dispatcher: Dispatcher::new(plan),
            channels,
            outcomes,
            others: others_in,
            followers: Vec::new(),
            journal: work.journal,
            health: work.health,
            cell: work.cell,
            board: work.board,
            ending: work.ending,
            stop: Arc::clone(&stop),
            look_at: Instant::now(),
            heartbeat: (!heartbeat.is_zero()).then_some(heartbeat),
            heartbeat_at: Instant::now(),
            missed: 0,
            damaged: [false; LANES_FOLLOWED.len()],
        };
        let thread = std::thread::Builder::new().name("alerts".to_owned()).spawn(|| desk.run())?;
        Ok(Self { stop, thread: Some(thread), others })
    }

    /// Where other side threads put their alerts.
    pub fn sender(&self) -> AlertSender {
        self.others.clone()
    }

    /// Raises an alert that no record tells.
    pub fn say(&self, severity: Severity, class: Class, key: &str, text: &str) {
        let alert = Alert::new(severity, class, key, text, (0, wall_ns()));
        if self.others.try_send(alert).is_err() {
            tracing::error!(key, text, "an alert found no room");
        }
    }
}

/// Reads the lanes to their end and waits a few seconds for what is not delivered yet.
impl Drop for AlertService {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A thread that panicked has said so; a session does not end otherwise for it.
            let _ = thread.join();
        }
    }
}

/// A channel as the dispatching thread sees it.
struct Channel {
    messages: Sender<Message>,
    busy_since: Option<Instant>,
}

/// The dispatching thread's state.
struct Desk {
    rules: Rules,
    signs: Signs,
    dispatcher: Dispatcher,
    channels: Vec<Channel>,
    outcomes: Receiver<Outcome>,
    others: Receiver<Alert>,
    followers: Vec<LaneFollower>,
    journal: Option<PathBuf>,
    health: Arc<JournalHealth>,
    cell: Arc<SnapshotCell>,
    board: Arc<AlertBoard>,
    ending: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
    look_at: Instant,
    heartbeat: Option<Duration>,
    heartbeat_at: Instant,
    /// Records that were deleted before they were read.
    missed: u64,
    /// Lanes whose damage was told, until they can be read again.
    damaged: [bool; LANES_FOLLOWED.len()],
}

/// Says on the board that the thread is gone, however it goes.
struct Gone(Arc<AlertBoard>);

impl Drop for Gone {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!("alerts have died; trading goes on without them");
        }
        self.0.ended();
    }
}

impl Desk {
    fn run(mut self) {
        let _gone = Gone(Arc::clone(&self.board));
        let lanes = LANES_FOLLOWED.iter().filter_map(|lane| Some((self.journal.as_ref()?, *lane)));
        for (journal, lane) in lanes {
            match LaneFollower::open(journal, lane, RecordIndex(0)) {
                Ok(follower) => self.followers.push(follower),
                Err(error) => {
                    tracing::error!(%error, "alerts: the journal cannot be followed");
                    return;
                }
            }
        }
        let mut told_to_stop = None;
        loop {
            let now = Instant::now();
            if self.stop.load(Ordering::Acquire) {
                told_to_stop.get_or_insert(now);
            }
            let caught_up = self.follow(now);
            self.take_others(now);
            if !self.ending.load(Ordering::Relaxed) {
                self.look(now);
            }
            self.dispatch(now);
            self.board.turned(self.dispatcher.figures(), self.missed);
            if let Some(since) = told_to_stop {
                let told = self.dispatcher.is_told() || self.channels.is_empty();
                if caught_up && told || now >= since + FINISH_MAX {
                    return;
                }
            }
            if caught_up {
                std::thread::park_timeout(TURN);
            }
        }
    }

    /// Reads what was appended; true when all of it has been read.
    fn follow(&mut self, now: Instant) -> bool {
        let mut caught_up = true;
        for (place, &lane) in LANES_FOLLOWED.iter().enumerate().take(self.followers.len()) {
            let appended = self.health.appended(lane);
            let mut left = RECORDS_PER_TURN;
            while self.followers[place].position().0 < appended {
                if left == 0 {
                    caught_up = false;
                    break;
                }
                left -= 1;
                match self.followers[place].read() {
                    Ok(Followed::Record(_, event)) => {
                        self.damaged[place] = false;
                        if let Some(alert) = self.rules.on_event(&event) {
                            self.raise(alert, now);
                        }
                    }
                    Ok(Followed::Nothing) => break,
                    Ok(Followed::Retired(from, to)) => self.missed += to.0 - from.0,
                    // Said once: it is looked at again at every turn.
                    Err(_) if self.damaged[place] => break,
                    Err(damage) => {
                        self.damaged[place] = true;
                        let text = format!("the journal is damaged: {damage}");
                        let at = (0, wall_ns());
                        let key = "journal:damaged";
                        self.raise(Alert::new(Severity::P0, Class::Resource, key, &text, at), now);
                        break;
                    }
                }
            }
        }
        caught_up
    }

    fn raise(&mut self, alert: Alert, now: Instant) {
        self.tell(&alert);
        self.dispatcher.take(alert, now);
    }

    /// On the page and in the log.
    fn tell(&self, alert: &Alert) {
        let (severity, class) = (alert.severity.name(), alert.class.name());
        let (key, text, seq) = (&alert.key, &alert.text, alert.seq);
        match alert.severity {
            Severity::P0 | Severity::P1 => {
                tracing::error!(severity, class, key, seq, text, "alert");
            }
            Severity::P2 => tracing::warn!(severity, class, key, seq, text, "alert"),
            Severity::P3 => tracing::info!(severity, class, key, seq, text, "alert"),
        }
        self.board.note(alert);
    }

    fn take_others(&mut self, now: Instant) {
        while let Ok(alert) = self.others.try_recv() {
            if alert.class == Class::Report {
                self.tell(&alert);
                self.dispatcher.take_always(alert, now);
            } else {
                self.raise(alert, now);
            }
        }
    }

    fn look(&mut self, now: Instant) {
        if now < self.look_at {
            return;
        }
        self.look_at = now + LOOK_EVERY;
        let (snapshot, age) = self.cell.load();
        for alert in self.signs.look(&snapshot, age, self.health.low_space(), wall_ns()) {
            self.raise(alert, now);
        }
        if let Some(every) = self.heartbeat
            && now >= self.heartbeat_at
        {
            self.heartbeat_at = now + every;
            let text = format!(
                "alive: trading is {}, equity {}, profit {}",
                snapshot.trading_state, snapshot.account.equity, snapshot.account.pnl_quote
            );
            let at = (0, wall_ns());
            let alert = Alert::new(Severity::P3, Class::Heartbeat, "heartbeat", &text, at);
            self.tell(&alert);
            self.dispatcher.take_always(alert, now);
        }
    }

    fn dispatch(&mut self, now: Instant) {
        while let Ok((place, result)) = self.outcomes.try_recv() {
            self.channels[place].busy_since = None;
            self.dispatcher.outcome(place, &result, now);
        }
        if let Some(summary) = self.dispatcher.turn(now) {
            self.tell(&summary);
        }
        for place in 0..self.channels.len() {
            let channel = &mut self.channels[place];
            if channel.busy_since.is_some_and(|since| now >= since + CHANNEL_MAX) {
                channel.busy_since = None;
                let what = "the channel's thread does not answer".to_owned();
                self.dispatcher.outcome(place, &Err(Undelivered { what, retry_after: None }), now);
            }
            if channel.busy_since.is_none()
                && let Some(message) = self.dispatcher.next(place, now)
            {
                channel.busy_since = Some(now);
                // A full or broken channel is one that does not answer; see above.
                let _ = channel.messages.try_send(message);
            }
        }
    }
}
