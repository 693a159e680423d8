//! The position records of the sessions of one name, in the order of their journals.

use super::figures::{Figures, Gathering};
use crate::base::event::{Instrument, Position, SessionCarried};
use crate::base::{Event, Kind, Symbol};
use crate::journal::LaneReader;
use crate::observe::audit::JOURNALS;
use crate::observe::audit::keeper::journal_names;
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
    let names = journal_names(state).map_err(|error| format!("{}: {error}", state.display()))?;
    let own = |name: &&String| name.split_once('-').is_some_and(|(_, rest)| rest == session);
    let mut gathering = Gathering::new(period.from, period.to);
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
        gathering.session(&opening.carried, opening.starting_equity, opening.ts);
        let lane = LaneReader::open(&dir, 2).map_err(|error| named(error.to_string()))?;
        for item in lane {
            let (_, event) = item.map_err(|damage| named(damage.to_string()))?;
            if event.kind() == Some(Kind::Position)
                && let Some(symbol) = opening.symbols.get(usize::from(event.instrument))
            {
                gathering.note(symbol, event.ts_recv, event.body::<Position>());
            }
        }
    }
    Ok(gathering.end())
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
