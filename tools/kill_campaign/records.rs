//! What the campaign reads out of journals.

use anyhow::Result;
use peregrine::base::event::SessionCarried;
use peregrine::base::{Event, Kind, Reason};
use peregrine::journal::LaneReader;
use peregrine::risk::TradingState;
use std::path::{Path, PathBuf};

/// Folders of a state folder's journals, the oldest first.
pub fn journals(state: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(state.join("journal")).into_iter().flatten();
    let mut dirs: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    dirs.sort_unstable();
    dirs
}

/// A lane's records; none where it was not begun.
pub fn lane(dir: &Path, lane: usize) -> Result<Vec<Event>> {
    let begun = ["manifest.json".to_owned(), format!("lane{lane}-000000.pgj")];
    if !begun.iter().all(|name| dir.join(name).is_file()) {
        return Ok(Vec::new());
    }
    let mut events = Vec::new();
    for item in LaneReader::open(dir, lane)? {
        events.push(item?.1);
    }
    Ok(events)
}

/// The last record of the opening; `None` where the session ended before it was written.
pub fn opening(dir: &Path) -> Result<Option<Event>> {
    Ok(lane(dir, 0)?.into_iter().find(|event| event.kind() == Some(Kind::SessionCarried)))
}

/// Why a session began halted or killed, as the one before it had been left; `None` where it might
/// trade.
pub fn began_halted(dir: &Path) -> Option<String> {
    let opening = opening(dir).ok().flatten()?;
    let carried: &SessionCarried = opening.body();
    let state = TradingState::from_u8(carried.state);
    let stays = matches!(state, Some(TradingState::Halted | TradingState::Killed));
    stays.then(|| Reason::from_u16(carried.reason).map_or("no reason", Reason::name).to_owned())
}

/// Orders that a session which is still writing has sent.
pub fn orders_sent(dir: &Path) -> usize {
    let events = lane(dir, 3).unwrap_or_default();
    events.iter().filter(|event| event.kind() == Some(Kind::OrderIntent)).count()
}
