//! Which records are alerts, and how severe. Reads lanes 0 and 2 in any interleaving; every record
//! alerts by what it says itself.

use super::{Alert, Class, Severity};
use crate::base::event::{
    Breaker, Command, Gap, Instrument, KillRound, ModelLoaded, ModelSwap, OrderReport,
    SessionCarried, SessionStart, SizeChange, StateChange, StreamStatus, VenueStatus, carries,
    flags,
};
use crate::base::{ClientOrderId, Control, Event, InstrumentId, Kind, Level, Reason, Symbol};
use crate::observe::audit::entry::{padded, reason_name, state_name, swap_name, verb_name, who};
use crate::risk::{Origin, TradingState, Verb, reason_of};
use std::collections::BTreeMap;

/// Nanoseconds of a minute of event time, over which denials are counted.
const MINUTE_NS: i64 = 60_000_000_000;

/// See the head of this file.
pub struct Rules {
    symbols: Vec<String>,
    denials_per_minute: u32,
    denied: Window,
    refused: Window,
}

/// One minute of denials or refusals.
#[derive(Default)]
struct Window {
    minute: i64,
    count: u32,
    reasons: BTreeMap<&'static str, u32>,
    told: bool,
}

impl Rules {
    /// An alert from `denials_per_minute` denied or refused orders in a minute of event time on.
    pub fn new(denials_per_minute: u32) -> Self {
        Self {
            symbols: Vec::new(),
            denials_per_minute,
            denied: Window::default(),
            refused: Window::default(),
        }
    }

    /// The alert that a record of lane 0 or 2 is.
    pub fn on_event(&mut self, event: &Event) -> Option<Alert> {
        // Market events are nearly all there is; they end here.
        if event.kind < Kind::Gap as u8 {
            return None;
        }
        match event.kind()? {
            Kind::StateChange => Some(state(event)),
            Kind::Breaker => Some(self.breaker(event)),
            Kind::SizeChange => {
                let percent = event.body::<SizeChange>().percent;
                let text = format!("entries have {percent} % of their size");
                Some(of(event, Severity::P2, Class::State, "size", &text))
            }
            Kind::Denied => self.denied(event),
            Kind::Command => command(event),
            Kind::KillRound => kill_round(event),
            Kind::OrderUnknown => Some(self.unknown(event)),
            Kind::OrderRejected => self.refused(event),
            Kind::VenueStatus => self.venue(event),
            Kind::StreamStatus => self.stream(event),
            Kind::Gap => {
                let reason = reason_name(event.body::<Gap>().reason);
                let symbol = self.symbol(event.instrument());
                let text = format!("{symbol}: a hole in the stream ({reason})");
                let key = format!("gap:{symbol}");
                Some(of(event, Severity::P3, Class::Stream, key, &text))
            }
            Kind::Instrument => {
                let symbol = Symbol::from_bytes(&event.body::<Instrument>().symbol);
                self.symbols.push(symbol.unwrap_or_default().to_string());
                None
            }
            Kind::ModelLoaded => {
                let body: &ModelLoaded = event.body();
                let text = format!(
                    "model {} decides, SHA-256 {}",
                    padded(&body.version),
                    crate::model::artifact::hex(&body.sha256)
                );
                Some(of(event, Severity::P3, Class::Model, "model", &text))
            }
            // A part of the opening, as configured: up to sixty of them, and nothing has changed.
            Kind::ModelSwap if swap_name(event.body()) == "own" => None,
            Kind::ModelSwap => Some(swapped(event)),
            Kind::SessionStart => {
                let body: &SessionStart = event.body();
                let config = crate::model::artifact::hex(&body.config_sha256);
                let text = format!("session {} starts, configuration {config}", body.epoch);
                Some(of(event, Severity::P3, Class::Session, "start", &text))
            }
            Kind::SessionCarried => carried(event),
            Kind::SessionEnd => {
                Some(of(event, Severity::P3, Class::Session, "end", "the session ended in order"))
            }
            _ => None,
        }
    }

    fn symbol(&self, id: InstrumentId) -> String {
        match self.symbols.get(id.index()) {
            Some(symbol) => symbol.clone(),
            None if id == InstrumentId::NONE => "all symbols".to_owned(),
            None => format!("instrument {}", id.0),
        }
    }

    /// A breaker's level: what was found, and where the bound is. The state it leads to alerts on
    /// its own.
    fn breaker(&self, event: &Event) -> Alert {
        let body: &Breaker = event.body();
        let level = Level::from_u8(body.to).unwrap_or(Level::Kill);
        let severity = match level {
            _ if !event.has(flags::ON) => Severity::P3,
            Level::Clear | Level::Warn | Level::Reduce => Severity::P2,
            Level::Halt | Level::Kill => Severity::P1,
        };
        let name = Control::from_u16(body.control).map_or("unknown", Control::name);
        let of_what = match event.instrument() {
            InstrumentId::NONE => String::new(),
            id => format!("{}: ", self.symbol(id)),
        };
        let (level, found, bound) = (level.name(), body.value, body.limit);
        let text = format!("{of_what}breaker {name}: {level}, found {found}, bound {bound}");
        of(event, severity, Class::State, format!("breaker:{name}:{level}"), &text)
    }

    fn denied(&mut self, event: &Event) -> Option<Alert> {
        let reason = reason_name(event.body::<crate::base::event::Denied>().reason);
        let told = self.denied.count(event, reason, self.denials_per_minute)?;
        let text = format!("the gate denied {told}");
        Some(of(event, Severity::P2, Class::Denials, "denied", &text))
    }

    fn refused(&mut self, event: &Event) -> Option<Alert> {
        let reason = reason_name(event.body::<OrderReport>().reason);
        let told = self.refused.count(event, reason, self.denials_per_minute)?;
        let text = format!("the venue refused {told}");
        Some(of(event, Severity::P2, Class::Denials, "refused", &text))
    }

    fn unknown(&self, event: &Event) -> Alert {
        let body: &OrderReport = event.body();
        let (id, symbol) = (ClientOrderId(body.client_id), self.symbol(event.instrument()));
        let why = reason_name(body.reason);
        let text = format!("{symbol}: the outcome of {id} is unknown ({why}); no entries there");
        let key = format!("unknown:{id}");
        of(event, Severity::P1, Class::UnknownOrder, key, &text)
    }

    fn venue(&self, event: &Event) -> Option<Alert> {
        let body: &VenueStatus = event.body();
        let reason = Reason::from_u16(body.reason).unwrap_or(Reason::None);
        let over = event.has(flags::ON);
        let is_routine = match reason {
            // Every look tells how far apart the clocks are. How far is too far is for the trading
            // state and for what stands in the way of it; both alert.
            Reason::ClockOff => body.venue_code == 0,
            // So does every look at the account that finds it as it has to be.
            Reason::AccountMode => over,
            _ => false,
        };
        if is_routine {
            return None;
        }
        let (severity, class) = match reason {
            _ if over => (Severity::P3, Class::Venue),
            Reason::ClosedByVenue | Reason::MarginCall | Reason::Banned | Reason::Fenced => {
                (Severity::P0, Class::Venue)
            }
            Reason::PositionMismatch
            | Reason::ForeignOrder
            | Reason::ReconcileFailed
            | Reason::OutcomeUnresolved
            | Reason::NeverArrived => (Severity::P1, Class::Reconcile),
            Reason::CredentialsRefused
            | Reason::AccountMode
            | Reason::OrderEntryDown
            | Reason::AccountStreamDown
            | Reason::Blocked
            | Reason::ThreadStalled => (Severity::P1, Class::Venue),
            _ => (Severity::P2, Class::Venue),
        };
        let symbol = self.symbol(event.instrument());
        let end = if over { " is over" } else { "" };
        let mut text = format!("{symbol}: {}{end}", reason.name());
        if body.client_id != 0 {
            text.push_str(&format!(", order {}", ClientOrderId(body.client_id)));
        }
        if (body.told, body.held) != (0, 0) {
            text.push_str(&format!(", venue {} ours {}", body.told, body.held));
        }
        if body.venue_code != 0 {
            text.push_str(&format!(", code {}", body.venue_code));
        }
        let key = format!("venue:{}:{symbol}{end}", reason.name());
        Some(of(event, severity, class, key, &text))
    }

    fn stream(&self, event: &Event) -> Option<Alert> {
        let body: &StreamStatus = event.body();
        // A connection of some instruments is told once, not once for each of them.
        let is_single = event.instrument() != InstrumentId::NONE;
        if is_single && body.reason == Reason::StreamDown as u16 {
            return None;
        }
        let account = body.has_carried(carries::ACCOUNT) && body.carries != 0;
        let what = if account { "the account's stream" } else { "market data" };
        let symbol = self.symbol(event.instrument());
        let on = event.has(flags::ON);
        let severity = match (on, account) {
            (true, _) => Severity::P3,
            (false, true) => Severity::P1,
            (false, false) => Severity::P2,
        };
        let word = if on { "is back" } else { "is lost" };
        let why = reason_name(body.reason);
        let text = format!("{what} of {symbol} {word} (connection {}, {why})", body.connection);
        let key = format!("stream:{}:{}:{on}", body.connection, event.instrument);
        Some(of(event, severity, Class::Stream, key, &text))
    }
}

impl Window {
    /// Counts one; the minute's list once it reaches `most`.
    fn count(&mut self, event: &Event, reason: &'static str, most: u32) -> Option<String> {
        let minute = event.ts_recv.div_euclid(MINUTE_NS);
        if minute != self.minute {
            *self = Self { minute, ..Self::default() };
        }
        self.count += 1;
        *self.reasons.entry(reason).or_default() += 1;
        if self.told || self.count < most {
            return None;
        }
        self.told = true;
        let reasons: Vec<String> =
            self.reasons.iter().map(|(reason, count)| format!("{count} × {reason}")).collect();
        Some(format!("{} orders within a minute: {}", self.count, reasons.join(", ")))
    }
}

fn of(
    event: &Event,
    severity: Severity,
    class: Class,
    key: impl Into<String>,
    text: &str,
) -> Alert {
    Alert::new(severity, class, key, text, (event.seq, event.ts_recv))
}

/// Every change of the trading state is an alert of its own: one that follows another within a
/// minute is as true as the first.
fn state(event: &Event) -> Alert {
    let body: &StateChange = event.body();
    let by_system = body.actor == u32::MAX;
    let to = TradingState::from_u8(body.to);
    let (severity, class) = match to {
        Some(TradingState::Killed) => (Severity::P0, Class::Kill),
        // The ordinary end of a start that nobody has armed.
        Some(TradingState::Halted) if body.reason == Reason::Reconciled as u16 => {
            (Severity::P2, Class::State)
        }
        Some(TradingState::Halted) if by_system => (Severity::P0, Class::State),
        Some(TradingState::Reducing) | None => (Severity::P1, Class::State),
        Some(_) => (Severity::P2, Class::State),
    };
    let name = state_name(body.to);
    let text = format!("trading is {name} ({})", reason_name(body.reason));
    of(event, severity, class, format!("state:{}", event.seq), &text)
}

fn command(event: &Event) -> Option<Alert> {
    let body: &Command = event.body();
    let severity = match Verb::from_u32(body.verb)? {
        Verb::Pause | Verb::Arm => Severity::P2,
        Verb::KillGraceful | Verb::KillImmediate | Verb::Clear => Severity::P1,
    };
    let origin = Origin::from_u32(body.origin).map_or("unknown", Origin::name);
    let (verb, by, why) = (verb_name(body.verb), who(body.actor), reason_of(body));
    let text = format!("command {verb} by {by} ({origin}): {why}");
    Some(of(event, severity, Class::Command, format!("command:{}", event.seq), &text))
}

/// Another model decides, or was to. What nobody asked for needs a look; a champion that is left,
/// or should be, needs one now.
fn swapped(event: &Event) -> Alert {
    let body: &ModelSwap = event.body();
    let asked =
        Reason::Operator as u16 == body.reason || Reason::ChampionMoved as u16 == body.reason;
    let by_itself = !asked && body.actor == u32::MAX;
    // A refused model is not known by its hash; one that has to stay is.
    let stays = body.role == 0 && body.sha256 != [0; 32];
    let severity = match body.role {
        1 if by_itself => Severity::P1,
        0 if stays => Severity::P1,
        0 => Severity::P2,
        _ if asked => Severity::P3,
        _ => Severity::P2,
    };
    let (version, why) = (padded(&body.version), reason_name(body.reason));
    let hash = crate::model::artifact::hex(&body.sha256);
    let text = match swap_name(body) {
        "champion" if by_itself => {
            format!("the session went back by itself ({why}): model {version} decides from here on")
        }
        "champion" => format!("model {version} decides from here on ({why}), SHA-256 {hash}"),
        "canary" => format!(
            "model {version} decides {} basis points of blocks of {} ms ({why}), SHA-256 {hash}",
            body.share_bps, body.block_ms
        ),
        "canary ends" => format!("the trial of model {version} is over ({why})"),
        _ if stays => {
            format!("model {version} has to go ({why}) and there is none before it: entries stop")
        }
        _ => format!("model {version} was refused ({why}); what decided goes on"),
    };
    of(event, severity, Class::Model, format!("swap:{}", event.seq), &text)
}

/// What comes of a kill: a round alerts where it says that it should.
fn kill_round(event: &Event) -> Option<Alert> {
    let body: &KillRound = event.body();
    let (severity, what) = match Reason::from_u16(body.reason)? {
        Reason::KillNotEmpty => (Severity::P0, "the venue still holds what had to go"),
        Reason::KillStuck => (Severity::P0, "the kill is stuck: act by hand"),
        Reason::KillEmpty => (Severity::P2, "the venue holds nothing that had to go"),
        _ => return None,
    };
    let count = |n: u32| if n == u32::MAX { "unknown".to_owned() } else { n.to_string() };
    let text = format!(
        "{}: {what}; round {}, orders {}, conditional entries {}, stops {}, positions {}, {} ms",
        verb_name(body.mode),
        body.round,
        count(body.orders),
        count(body.algo_entries),
        count(body.stops),
        count(body.positions),
        body.elapsed_ms
    );
    Some(of(event, severity, Class::Kill, format!("kill:{}", body.reason), &text))
}

/// A session that begins where an earlier one was left halted or killed.
fn carried(event: &Event) -> Option<Alert> {
    let body: &SessionCarried = event.body();
    let left = match TradingState::from_u8(body.state)? {
        TradingState::Halted => "halted",
        TradingState::Killed => "killed",
        _ if body.lossy != 0 => "with a lossy journal",
        _ => return None,
    };
    let why = reason_name(body.reason);
    let text = format!("session {} was left {left} ({why}); it stays so", body.epoch);
    Some(of(event, Severity::P1, Class::Session, "carried", &text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_champion_that_is_left_or_has_to_stay_is_told_at_once_and_what_was_asked_for_is_not() {
        let mut rules = Rules::new(10);
        let mut alert = |role: u8, reason: Reason, sha256: [u8; 32]| {
            let actor = if reason == Reason::Operator { 1_000 } else { u32::MAX };
            let reason = reason as u16;
            let body = ModelSwap { role, reason, sha256, actor, ..ModelSwap::default() };
            let event = Event::new(Kind::ModelSwap, InstrumentId::NONE, &body);
            let alert = rules.on_event(&event).unwrap();
            (alert.severity, alert.text)
        };
        let (severity, text) = alert(1, Reason::ChampionDrawdown, [1; 32]);
        assert!(
            severity == Severity::P1 && text.contains("by itself (ChampionDrawdown)"),
            "{text}"
        );
        let (severity, text) = alert(0, Reason::ChampionLosses, [1; 32]);
        assert!(severity == Severity::P1 && text.contains("entries stop"), "{text}");
        assert_eq!(alert(0, Reason::ModelHashMismatch, [0; 32]).0, Severity::P2);
        assert_eq!(alert(1, Reason::Operator, [1; 32]).0, Severity::P3);
        assert_eq!(alert(1, Reason::ChampionMoved, [1; 32]).0, Severity::P3);
    }

    #[test]
    fn a_breaker_alerts_as_severely_as_its_level_with_what_was_found_and_the_bound() {
        let mut rules = Rules::new(10);
        let mut alert = |from: Level, to: Level, instrument| {
            let (control, value, limit) = (Control::Spread as u16, 61, 50);
            let (from, to) = (from as u8, to as u8);
            let body = Breaker { control, from, to, value, limit, ..Breaker::default() };
            let bits = if to > from { flags::ON } else { 0 };
            let event = Event::new(Kind::Breaker, instrument, &body).with_flags(bits);
            rules.on_event(&event).map(|alert| (alert.severity, alert.text))
        };
        let none = InstrumentId::NONE;
        let text = |level| format!("breaker spread: {level}, found 61, bound 50");
        let told = alert(Level::Clear, Level::Warn, none);
        assert_eq!(told, Some((Severity::P2, text("warn"))));
        let told = alert(Level::Clear, Level::Halt, none);
        assert_eq!(told, Some((Severity::P1, text("halt"))));
        let told = alert(Level::Reduce, Level::Clear, none);
        assert_eq!(told, Some((Severity::P3, text("clear"))));
        let (severity, told) = alert(Level::Warn, Level::Kill, InstrumentId(3)).unwrap();
        assert_eq!((severity, told), (Severity::P1, format!("instrument 3: {}", text("kill"))));
    }
}
