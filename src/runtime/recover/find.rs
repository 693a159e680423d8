//! Which journal a session goes on from.

use crate::base::event::{EVENT_VERSION, Event, Instrument, Kind, SessionStart};
use crate::base::ids::Symbol;
use crate::base::settings::{OrderRoute, Settings};
use crate::journal::{LaneReader, read_attachment};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};

/// Ending of a segment's file name.
const SEGMENT: &str = ".pgj";

/// The sessions that a session goes on from: those of its name and its way of orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chain {
    /// What follows the epoch in the journal's name.
    pub name: &'static str,
    /// Orders go to the venue.
    pub at_venue: bool,
}

impl Chain {
    /// The chain of a session with these settings.
    pub fn new(name: &'static str, settings: &Settings) -> Self {
        Self { name, at_venue: settings.venue.orders == OrderRoute::Venue }
    }
}

/// A journal with a whole opening.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Its folder.
    pub dir: PathBuf,
    /// Its first record.
    pub start: SessionStart,
    /// Symbols in table order.
    pub symbols: Vec<Symbol>,
}

/// How to go on where a journal cannot be used.
pub const GO_ON: &str = "nothing is traded, because what it held cannot be known; `peregrine \
    journal verify` tells the damage and `repair` cuts it, or give session.state_dir a new folder \
    after looking at the account";

/// The newest journal of `chain` in the folder `journals` with a whole opening; `None` where there
/// is none. `begun` is the name of the journal that was begun last.
///
/// # Errors
/// When a journal is missing or damaged, or was written for something else.
pub fn find(journals: &Path, chain: &Chain, begun: Option<&str>) -> Result<Option<Found>> {
    let names = names(journals, chain.name)?;
    if let Some(begun) = begun.filter(|begun| named(begun) == Some(chain.name))
        && !names.iter().any(|(_, name)| name == begun)
    {
        bail!("{}: the last session's journal is missing; {GO_ON}", journals.join(begun).display());
    }
    for (_, name) in names {
        let dir = journals.join(name);
        let look = || format!("{}: {GO_ON}", dir.display());
        match look_at(&dir, chain).with_context(look)? {
            Look::Found(found) => return Ok(Some(*found)),
            Look::PassedOver => {}
        }
    }
    Ok(None)
}

/// The newest epoch that a journal in the folder is named by; 0 without any.
///
/// # Errors
/// When the folder cannot be listed.
pub fn newest_epoch(journals: &Path) -> Result<u32> {
    let entries = list(journals)?;
    Ok(entries.iter().filter_map(|name| epoch_of(name)).max().unwrap_or(0))
}

/// Names of a chain's journals, the newest first.
fn names(journals: &Path, chain: &str) -> Result<Vec<(u32, String)>> {
    let mut names: Vec<(u32, String)> = list(journals)?
        .into_iter()
        .filter(|name| named(name) == Some(chain))
        .filter_map(|name| Some((epoch_of(&name)?, name)))
        .collect();
    names.sort_unstable();
    names.reverse();
    Ok(names)
}

fn list(journals: &Path) -> Result<Vec<String>> {
    let entries = match std::fs::read_dir(journals) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).context(journals.display().to_string()),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.with_context(|| journals.display().to_string())?;
        names.extend(entry.file_name().into_string());
    }
    Ok(names)
}

fn epoch_of(name: &str) -> Option<u32> {
    name.split_once('-')?.0.parse().ok()
}

fn named(name: &str) -> Option<&str> {
    epoch_of(name)?;
    Some(name.split_once('-')?.1)
}

enum Look {
    Found(Box<Found>),
    /// It never sent an order, or is another chain's.
    PassedOver,
}

fn look_at(dir: &Path, chain: &Chain) -> Result<Look> {
    if !dir.join("manifest.json").exists() {
        // A session that dies while it makes its folder has made no lane yet.
        let lanes = list(dir)?.into_iter().find(|name| name.ends_with(SEGMENT));
        return match lanes {
            None => Ok(Look::PassedOver),
            Some(lane) => bail!("{lane} is there, manifest.json is not"),
        };
    }
    // Lanes are made one after the other: a session may die in between.
    if !has_lane(dir, 0)? {
        return never_sent(dir);
    }
    let mut inputs = LaneReader::open(dir, 0)?;
    let begins = inputs.first_record().0;
    if begins > 0 {
        bail!("lane 0 begins at record {begins}: its first segments were removed");
    }
    let mut start = None;
    let mut symbols = Vec::new();
    for item in &mut inputs {
        let (_, event) = item?;
        match (event.kind(), start) {
            (Some(Kind::SessionStart), None) => {
                let told: SessionStart = *event.body();
                if told.event_version != EVENT_VERSION {
                    return other_version(dir, told.event_version, chain);
                }
                start = Some(told);
            }
            (_, None) => bail!("lane 0 does not begin with a session record"),
            (Some(Kind::Instrument), _) => symbols.push(symbol_of(&event)?),
            (Some(Kind::SessionCarried), Some(start)) => {
                return whole(dir, start, symbols, chain);
            }
            _ => {}
        }
    }
    never_sent(dir)
}

/// Nothing is sent before the opening is whole; a lane that says otherwise has lost its head. What
/// the opening carries is in that lane too, and was sent by another session.
fn never_sent(dir: &Path) -> Result<Look> {
    if !has_lane(dir, 3)? {
        return Ok(Look::PassedOver);
    }
    for item in LaneReader::open(dir, 3)? {
        let (_, event) = item?;
        if event.kind() != Some(Kind::OrderState) {
            bail!("lane 0 has no whole opening, though lane 3 holds orders");
        }
    }
    Ok(Look::PassedOver)
}

/// True where a lane has a segment.
fn has_lane(dir: &Path, lane: usize) -> Result<bool> {
    let prefix = format!("lane{lane}-");
    Ok(list(dir)?.iter().any(|name| name.starts_with(&prefix) && name.ends_with(SEGMENT)))
}

fn symbol_of(event: &Event) -> Result<Symbol> {
    let body: &Instrument = event.body();
    Symbol::from_bytes(&body.symbol).context("an instrument record has no symbol")
}

fn whole(dir: &Path, start: SessionStart, symbols: Vec<Symbol>, chain: &Chain) -> Result<Look> {
    if at_venue(dir)? != chain.at_venue {
        return Ok(Look::PassedOver);
    }
    Ok(Look::Found(Box::new(Found { dir: dir.to_owned(), start, symbols })))
}

/// Another version's records cannot be read. On paper nothing is lost with them.
fn other_version(dir: &Path, theirs: u32, chain: &Chain) -> Result<Look> {
    if !chain.at_venue && !at_venue(dir)? {
        return Ok(Look::PassedOver);
    }
    bail!("it has event version {theirs}, this program {EVENT_VERSION}")
}

/// Where the orders of a journal's session went. Its configuration may be of another version: one
/// key of it is read.
fn at_venue(dir: &Path) -> Result<bool> {
    let bytes = read_attachment(dir, "config.toml")?;
    let text = String::from_utf8(bytes).context("config.toml is not UTF-8")?;
    let document: toml::Table = text.parse().context("config.toml")?;
    let route = document.get("venue").and_then(|venue| venue.get("orders"));
    Ok(route.and_then(toml::Value::as_str) == Some("venue"))
}
