//! The audit trail read back, with nothing but the files: who did what, when, on which papers.

use crate::world::World;
use peregrine::model::artifact::{hex, sha256};
use serde_json::Value;

/// What the first entry of a history names as the one before it.
const NOTHING: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// The history as the file has it, each entry chained to the one before it by our own reckoning.
pub fn history(world: &World) -> Vec<Value> {
    let registry = world.json("models/registry.json");
    let entries = registry["history"].as_array().unwrap().clone();
    let mut before = NOTHING.to_owned();
    for (number, entry) in (1_u64..).zip(&entries) {
        assert_eq!((&entry["seq"], &entry["prev_hash"]), (&number.into(), &before.as_str().into()));
        let mut open = entry.clone();
        open["hash"] = "".into();
        let hash = hex(&sha256(serde_json::to_string(&open).unwrap().as_bytes()));
        assert_eq!(entry["hash"], hash.as_str(), "entry {number}");
        before = hash;
    }
    entries
}

/// An entry in a few words.
pub fn told(entry: &Value) -> String {
    let word = |key: &str| entry[key].as_str().unwrap_or("-").to_owned();
    let [action, version, from, to] = ["action", "version", "from", "to"].map(word);
    let papers = entry["papers"].as_array().cloned().unwrap_or_default();
    let kinds: Vec<&str> = papers.iter().map(|paper| paper["kind"].as_str().unwrap()).collect();
    format!("{action} {version} {from}>{to} {}", kinds.join("+")).trim_end().to_owned()
}

/// The papers that an entry rests on, by their hashes.
pub fn papers(entry: &Value) -> Vec<String> {
    let papers = entry["papers"].as_array().cloned().unwrap_or_default();
    papers.iter().map(|paper| paper["sha256"].as_str().unwrap().to_owned()).collect()
}

/// SHA-256 of a file.
pub fn hash_of(path: &std::path::Path) -> String {
    hex(&sha256(&std::fs::read(path).unwrap()))
}
