//! Versions of the registry.

use super::evidence::{Owners, Report};
use super::find::{bytes_of, named};
use super::{Found, Gathered, ModelVersion};
use crate::mirror::item::{Kind, Run, shortened};
use crate::mirror::settings::{MIB, Settings};
use peregrine::model::artifact::{CARD_BYTES_MAX, CARD_FILE, Card, ONNX_FILE, hex, sha256};
use peregrine::registry::{Entry, Record, Registry, Stage, Standing};
use peregrine::venue::dataset::MANIFEST_FILE;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Largest manifest of data that is shown, bytes.
const MANIFEST_BYTES_MAX: u64 = 4 << 20;

/// Key of the run of a version.
pub fn key_of(version: &str, record: &Record) -> String {
    let (model, card) = (record.file_sha256(ONNX_FILE), record.file_sha256(CARD_FILE));
    format!("version/{version}/{model}/{card}")
}

/// Runs, model versions and aliases of the registry.
pub(super) fn look(settings: &Settings, reports: &[Report], gathered: &mut Gathered) {
    let dir = &settings.sources.registry;
    if !dir.exists() {
        return;
    }
    let registry = match Registry::open(dir) {
        Ok(registry) => registry,
        Err(error) => {
            gathered.problems.push(format!("{}: {error}", dir.display()));
            return;
        }
    };
    let standing = match registry.standing() {
        Ok(standing) => standing,
        Err(error) => {
            gathered.problems.push(format!("{}: {error}", dir.display()));
            return;
        }
    };
    let manifests = manifests(settings, &mut gathered.problems);
    let mut records: Vec<(&str, &Record)> = registry.list().collect();
    let born = |version: &str| {
        let entry = registry.history().iter().find(|entry| entry.version == version);
        entry.map_or(0, |entry| entry.seq)
    };
    records.sort_by_key(|(version, _)| born(version));
    for (version, record) in records {
        let folder = dir.join(version);
        let card = card_of(&folder, record);
        if let Err(problem) = &card
            && !standing.removed.contains(version)
        {
            gathered.problems.push(problem.clone());
        }
        let mut found = run_of(version, record, card.ok(), settings);
        found.is_less |= !files(&mut found, &folder, record, &mut gathered.problems);
        if let Some(path) = manifests.get(&record.data_hash) {
            found.attach("evidence/data_manifest.yaml", path);
        }
        let own = reports.iter().filter(|report| report.is_of(&found.run));
        let own: Vec<_> = own.flat_map(Report::shown_with_the_model).collect();
        for (path, name) in own {
            found.attach(&format!("evidence/{name}"), &path);
        }
        let history = registry.history().iter().filter(|entry| entry.version == version);
        let tags = tags_of(version, record, &standing, history);
        let key = found.run.key.clone();
        gathered.versions.push(ModelVersion { key, version: version.to_owned(), tags });
        gathered.found.push(found);
    }
    gathered.aliases = aliases(&registry);
    let last = registry.history().last();
    gathered.history = last.map_or((0, String::new()), |entry| (entry.seq, entry.hash.clone()));
}

/// Manifests of frozen data by their SHA-256.
fn manifests(settings: &Settings, problems: &mut Vec<String>) -> BTreeMap<String, PathBuf> {
    let mut found = BTreeMap::new();
    for root in &settings.sources.data {
        for path in named(root, &[MANIFEST_FILE], problems) {
            match bytes_of(&path, MANIFEST_BYTES_MAX) {
                Ok(bytes) => {
                    found.insert(hex(&sha256(&bytes)), path);
                }
                Err(problem) => problems.push(problem),
            }
        }
    }
    found
}

/// The card of a version, where it is the one that was registered.
fn card_of(folder: &Path, record: &Record) -> Result<Card, String> {
    let path = folder.join(CARD_FILE);
    let bytes = bytes_of(&path, CARD_BYTES_MAX)?;
    let wrong = |what: &dyn std::fmt::Display| format!("{}: {what}", path.display());
    if hex(&sha256(&bytes)) != record.file_sha256(CARD_FILE) {
        return Err(wrong(&"is not what was registered; it is not shown"));
    }
    let text = String::from_utf8(bytes).map_err(|error| wrong(&error))?;
    Card::parse(&text).map_err(|error| wrong(&error))
}

fn run_of(version: &str, record: &Record, card: Option<Card>, settings: &Settings) -> Found {
    let at_ms = record.registered_at_ms;
    let mut run = Run::new(Kind::Version, key_of(version, record), version, at_ms);
    run.param("version", version);
    run.param("seed", record.seed);
    run.param("schema_hash", &record.schema_hash);
    run.param("data_hash", &record.data_hash);
    for (name, value) in [
        ("parent", &record.parent),
        ("code", &record.code),
        ("config_sha256", &record.config_sha256),
    ] {
        if let Some(value) = value {
            run.param(name, value);
        }
    }
    run.tag("model_sha256", record.file_sha256(ONNX_FILE));
    run.tag("card_sha256", record.file_sha256(CARD_FILE));
    if let Some(origin) = &record.origin {
        run.tag("bundle_sha256", &origin.bundle_sha256);
    }
    for (name, value) in &record.metrics {
        run.metric(name, Some(*value), (at_ms, 0));
    }
    let is_less = card.is_none();
    if let Some(card) = card {
        run.param("horizon_ms", card.horizon_ms);
        run.param("features", card.features.len());
        if let Some(bar) = card.bar_interval_ms {
            run.param("bar_interval_ms", bar);
        }
        if let Some(training) = card.created_from.training_sha256 {
            run.param("training_sha256", training);
        }
    }
    Found { is_less, ..Found::new(run, settings.outbox.file_mib_max * MIB) }
}

/// Shows the version's own files; false where one of them is not what was registered.
fn files(found: &mut Found, folder: &Path, record: &Record, problems: &mut Vec<String>) -> bool {
    let mut is_whole = true;
    for file in &record.files {
        let path = folder.join(&file.path);
        let is_there = std::fs::metadata(&path).is_ok_and(|about| about.len() == file.bytes);
        if is_there {
            found.file(&format!("model/{}", file.path), &file.sha256, file.bytes, &path);
        } else if path.exists() {
            problems.push(format!("{}: is not what was registered", path.display()));
        }
        is_whole &= is_there;
    }
    is_whole
}

/// Where a version stands and how it came there: every entry of the history that is about it.
fn tags_of<'e>(
    version: &str,
    record: &Record,
    standing: &Standing<'_>,
    history: impl Iterator<Item = &'e Entry>,
) -> BTreeMap<String, String> {
    let yes = |holds: bool| if holds { "yes" } else { "no" }.to_owned();
    let mut tags = BTreeMap::new();
    let mut tag = |key: &str, value: String| tags.insert(format!("peregrine.{key}"), value);
    tag("key", key_of(version, record));
    tag("version", version.to_owned());
    tag("stage", record.stage.name().to_owned());
    tag("model_sha256", record.file_sha256(ONNX_FILE).to_owned());
    tag("card_sha256", record.file_sha256(CARD_FILE).to_owned());
    tag("data_hash", record.data_hash.clone());
    tag("schema_hash", record.schema_hash.clone());
    tag("parent", record.parent.clone().unwrap_or("none".to_owned()));
    tag("quarantined", yes(standing.quarantined.contains(version)));
    tag("files_removed", yes(standing.removed.contains(version)));
    let keys: Vec<&str> = record.signatures.iter().map(|one| one.public_key.as_str()).collect();
    tag("signed_by", if keys.is_empty() { "nobody".to_owned() } else { keys.join(", ") });
    for entry in history {
        let text = serde_json::to_string(entry).unwrap_or_default();
        tag(&format!("history.{:06}", entry.seq), shortened(&text));
    }
    tags
}

/// The version that trades, the one before it, and those on trial: the one that stands there
/// longest has the plain name, so that a new one moves no other.
fn aliases(registry: &Registry) -> BTreeMap<String, String> {
    let mut aliases = BTreeMap::new();
    let pointers =
        [("champion", registry.champion_version()), ("previous", registry.previous_version())];
    for (alias, version) in pointers {
        if let Some(version) = version {
            aliases.insert(alias.to_owned(), version.to_owned());
        }
    }
    for (stage, alias) in [(Stage::Canary, "canary"), (Stage::Shadow, "challenger")] {
        let mut there: Vec<(u64, &str)> = registry
            .list()
            .filter(|(_, record)| record.stage == stage)
            .map(|(version, _)| {
                let mut history = registry.history().iter().rev();
                let came = history.find(|entry| {
                    entry.version == version && entry.to == stage && entry.from != Some(stage)
                });
                (came.map_or(0, |entry| entry.seq), version)
            })
            .collect();
        there.sort_unstable();
        for (place, (_, version)) in there.into_iter().enumerate() {
            let name = if place == 0 { alias.to_owned() } else { format!("{alias}-{}", place + 1) };
            aliases.insert(name, version.to_owned());
        }
    }
    aliases
}

impl Owners {
    /// The versions among what was gathered.
    pub(super) fn of(gathered: &Gathered) -> Self {
        let runs = gathered.found.iter().map(|found| &found.run);
        Self(runs.filter(|run| run.kind == Kind::Version).cloned().collect())
    }
}
