//! The position records of the sessions of one name, in the order of their journals.

use super::figures::{Figures, Gathering};
use super::fills::Fills;
use super::statement::Statement;
use crate::base::event::{Instrument, Position, SessionCarried};
use crate::base::{Event, Kind, Symbol};
use crate::journal::LaneReader;
use crate::observe::audit::JOURNALS;
use crate::observe::audit::keeper::journal_names;
use crate::observe::stamps::Rebuilt;
use std::path::Path;

/// A period in nanoseconds since the epoch, the end not included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    /// Its first instant.
    pub from: i64,
    /// The first after it.
    pub to: i64,
}

/// Nanoseconds of a day.
pub const DAY_NS: i64 = 86_400_000_000_000;

impl Period {
    /// The UTC day, counted from the epoch.
    pub const fn day(day: i64) -> Self {
        Self { from: day * DAY_NS, to: (day + 1) * DAY_NS }
    }

    /// The seven UTC days that end with `day`.
    pub const fn week(day: i64) -> Self {
        Self { from: (day - 6) * DAY_NS, to: (day + 1) * DAY_NS }
    }
}

/// What opens a session, from its lane 0.
struct Opening {
    symbols: Vec<String>,
    /// Symbols whose position an earlier session left.
    carried: Vec<String>,
    starting_equity: i64,
    ts: i64,
}

/// The figures of the sessions named `session` in the state folder `state`.
///
/// # Errors
/// When a journal cannot be read, in words. What of it was read before counts for nothing: a report
/// over half a day is none.
pub fn read(state: &Path, session: &str, period: Period) -> Result<Figures, String> {
    let mut gathering = Gathering::new(period.from, period.to);
    each(state, session, period, &mut |dir, opening| positions(dir, opening, &mut gathering))?;
    Ok(gathering.end())
}

/// The same with what executions cost, from every lane: it takes as long as the inputs are many.
///
/// # Errors
/// As [`read`].
pub fn statement(state: &Path, session: &str, period: Period) -> Result<Statement, String> {
    let mut gathering = Gathering::new(period.from, period.to);
    let mut fills = Fills::new(period.from, period.to);
    let mut passages = Rebuilt::default();
    each(state, session, period, &mut |dir, opening| {
        positions(dir, opening, &mut gathering)?;
        // An order of this session may fill in a later one, so intents are kept.
        lane(dir, 3, &mut |event| fills.intent(event))?;
        lane(dir, 4, &mut |event| {
            if (period.from..period.to).contains(&event.now().0) {
                passages.take(event);
            }
        })?;
        fills.session(&opening.symbols);
        lane(dir, 0, &mut |event| fills.input(event))
    })?;
    let latency = passages.totals.view();
    let (session, figures, executions) = (session.to_owned(), gathering.end(), fills.end());
    Ok(Statement { session, period, figures, executions, latency })
}

/// Each journal of the period, in order.
fn each(
    state: &Path,
    session: &str,
    period: Period,
    visit: &mut dyn FnMut(&Path, &Opening) -> Result<(), String>,
) -> Result<(), String> {
    let names = journal_names(state).map_err(|error| format!("{}: {error}", state.display()))?;
    let own = |name: &&String| name.split_once('-').is_some_and(|(_, rest)| rest == session);
    for name in names.iter().filter(own) {
        let dir = state.join(JOURNALS).join(name);
        if !dir.join("manifest.json").exists() {
            continue;
        }
        let named = |what: String| format!("{name}: {what}");
        let Some(opening) = opening(&dir).map_err(named)? else { continue };
        if opening.ts >= period.to {
            break;
        }
        visit(&dir, &opening).map_err(named)?;
    }
    Ok(())
}

/// Every record of a lane.
fn lane(dir: &Path, lane: usize, take: &mut dyn FnMut(&Event)) -> Result<(), String> {
    for item in LaneReader::open(dir, lane).map_err(|error| error.to_string())? {
        take(&item.map_err(|damage| damage.to_string())?.1);
    }
    Ok(())
}

fn positions(dir: &Path, opening: &Opening, gathering: &mut Gathering) -> Result<(), String> {
    gathering.session(&opening.carried, opening.starting_equity, opening.ts);
    lane(dir, 2, &mut |event| {
        if event.kind() == Some(Kind::Position)
            && let Some(symbol) = opening.symbols.get(usize::from(event.instrument))
        {
            gathering.note(symbol, event.ts_recv, event.body::<Position>());
        }
    })
}

/// `None` where a session died before its opening was whole.
fn opening(dir: &Path) -> Result<Option<Opening>, String> {
    let mut opening =
        Opening { symbols: Vec::new(), carried: Vec::new(), starting_equity: 0, ts: 0 };
    let lane = LaneReader::open(dir, 0).map_err(|error| error.to_string())?;
    for item in lane {
        let (_, event): (_, Event) = item.map_err(|damage| damage.to_string())?;
        match event.kind() {
            Some(Kind::SessionStart) => opening.ts = event.ts_recv,
            Some(Kind::Instrument) => {
                let symbol = Symbol::from_bytes(&event.body::<Instrument>().symbol);
                opening.symbols.push(symbol.unwrap_or_default().to_string());
            }
            Some(Kind::PositionCarried) => {
                let symbol = opening.symbols.get(usize::from(event.instrument));
                opening.carried.extend(symbol.cloned());
            }
            Some(Kind::SessionCarried) => {
                opening.starting_equity = event.body::<SessionCarried>().starting_equity;
                return Ok(Some(opening));
            }
            _ => {}
        }
    }
    Ok(None)
}
