//! A session's journal as it lies on disk.

use peregrine::base::Kind;
use peregrine::base::event::{
    Command, Denied, Event, ModelSwap, NoDecision, Order, Position, Prediction,
};
use peregrine::journal::LaneReader;
use std::collections::BTreeMap;
use std::path::Path;

/// Every record of a lane, each of which is sound.
pub fn lane(dir: &Path, number: usize) -> Vec<Event> {
    LaneReader::open(dir, number).unwrap().map(|record| record.unwrap().1).collect()
}

/// The model that a record of a decision, an order or a denial names.
pub fn tag(event: &Event) -> Option<u64> {
    match event.kind()? {
        Kind::Prediction => Some(event.body::<Prediction>().model_tag),
        Kind::NoDecision => Some(event.body::<NoDecision>().model_tag),
        Kind::OrderApproved | Kind::OrderIntent => Some(event.body::<Order>().model_tag),
        Kind::Denied => Some(event.body::<Denied>().model_tag),
        _ => None,
    }
}

/// How many records of each kind name which model.
pub fn by_model(dir: &Path) -> BTreeMap<(u64, &'static str), usize> {
    let mut found = BTreeMap::new();
    for event in (1..=3).flat_map(|number| lane(dir, number)) {
        if let (Some(tag), Some(kind)) = (tag(&event), event.kind()) {
            *found.entry((tag, kind.name())).or_default() += 1;
        }
    }
    found
}

/// Every change of models: its place in the river, and what it says.
pub fn swaps(dir: &Path) -> Vec<(u64, ModelSwap)> {
    let swaps = lane(dir, 0).into_iter().filter(|event| event.kind() == Some(Kind::ModelSwap));
    swaps.map(|event| (event.seq, *event.body())).collect()
}

/// The account's equity after the newest change of a position, 1e-8.
pub fn equity(dir: &Path) -> i64 {
    let risk = lane(dir, 2);
    let newest = risk.iter().rev().find(|event| event.kind() == Some(Kind::Position));
    newest.expect("a position").body::<Position>().equity
}

/// Why anything was asked for, in words.
pub fn reasons(dir: &Path) -> Vec<String> {
    let commands = lane(dir, 0).into_iter().filter(|event| event.kind() == Some(Kind::Command));
    let words = |event: Event| {
        let reason = event.body::<Command>().reason;
        String::from_utf8_lossy(&reason).trim_end_matches('\0').to_owned()
    };
    commands.map(words).collect()
}
