//! One round at the server: what it has against what it should have, and the difference made.
//!
//! ```text
//!  runs of the server ──┐
//!  sources ─► outbox ───┴─► missing, other, twice ─► make, tell, upload, end, mark as whole
//!                                                              │
//!  registry ─► versions ─► tags ─► aliases no longer so ─► aliases ─► mark of the history
//! ```
//! A run is found by the key in its tags before it is made, so that a repeat after a lost answer
//! finds it. The mark that it is whole is the last thing that is told of it: where it is missing,
//! everything is told again, which changes nothing that was told before.

use super::api::{self, Seen, SeenVersion};
use super::client::{Client, Trouble};
use super::gather::Gathered;
use super::item::{KEY_TAG, Run};
use super::outbox::Outbox;
use super::settings::Names;
use anyhow::Result;
use std::collections::{BTreeMap, BTreeSet};

/// Refusals by the server's own failure, one after the other, after which it is taken to be away.
const FAILED_MAX: usize = 3;
/// Names of aliases that are ours; others are left alone.
const ALIASES: [&str; 4] = ["champion", "previous", "canary", "challenger"];

/// What a round came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Runs that were sent.
    pub runs: usize,
    /// Changes of versions, tags and aliases.
    pub changes: usize,
    /// What does not go, each in a line.
    pub problems: Vec<String>,
}

/// A round.
pub struct Round<'a> {
    client: &'a Client,
    names: &'a Names,
    outbox: &'a mut Outbox,
    done: Done,
    failed: usize,
}

impl<'a> Round<'a> {
    /// Between these.
    pub fn new(client: &'a Client, names: &'a Names, outbox: &'a mut Outbox) -> Self {
        Self { client, names, outbox, done: Done::default(), failed: 0 }
    }

    /// Makes the difference. What does not go is told and waits; the rest goes on.
    ///
    /// # Errors
    /// [`Trouble::Away`] where the server is to be left alone for a while, and anything else that
    /// ends the round, such as a disk that is full.
    pub fn carry_out(mut self, gathered: &Gathered) -> Result<Done> {
        let mut seen = BTreeMap::new();
        let experiments = self.experiments(gathered)?;
        for id in experiments.iter().flatten() {
            let runs = api::runs(self.client, id)?;
            self.only_once(runs, &mut seen)?;
        }
        for found in &gathered.found {
            let there = seen.get(&found.run.key).and_then(|seen: &Seen| seen.digest.as_ref());
            if found.is_less && (there.is_some() || self.outbox.waits(&found.run.key)) {
                continue;
            }
            if there != Some(&found.run.digest())
                && let Err(problem) = self.outbox.admit(found.run.clone(), &found.sources)
            {
                self.done.problems.push(format!("{problem:#}"));
            }
        }
        for run in self.outbox.waiting() {
            let experiment = experiments[usize::from(run.kind.is_tuning())].as_deref();
            self.run(run, experiment.unwrap_or_default(), &mut seen)?;
        }
        let keys: BTreeSet<&String> = gathered.found.iter().map(|found| &found.run.key).collect();
        let is_news = |key: &String| keys.contains(key) && !self.outbox.knows(key);
        let whole = seen.iter().filter_map(|(key, run)| Some((key, run.digest.as_ref()?)));
        let news = whole.filter(|(key, _)| is_news(key));
        let news = news.map(|(key, digest)| (key.clone(), digest.clone())).collect();
        self.outbox.learn(news)?;
        for found in &gathered.found {
            self.below(&found.run, &seen)?;
        }
        self.model(gathered, &seen)?;
        Ok(self.done)
    }

    /// The experiment of models and that of trials, where one is needed.
    fn experiments(&self, gathered: &Gathered) -> Result<[Option<String>; 2]> {
        let kinds = gathered.found.iter().map(|found| found.run.kind);
        let has_trials = kinds.chain(self.outbox.kinds()).any(super::item::Kind::is_tuning);
        let name = &self.names.experiment;
        let plain = api::experiment(self.client, name)?;
        let tuning = has_trials
            .then(|| api::experiment(self.client, &format!("{name}-tuning")))
            .transpose()?;
        Ok([Some(plain), tuning])
    }

    /// Sorts runs by key. Where an answer was lost and the server went on for longer than we
    /// waited, one may be there twice: the whole one stays, else the one of the least name.
    fn only_once(&mut self, runs: Vec<Seen>, seen: &mut BTreeMap<String, Seen>) -> Result<()> {
        for run in runs {
            let Some(other) = seen.remove(&run.key) else {
                seen.insert(run.key.clone(), run);
                continue;
            };
            let rank = |run: &Seen| (run.digest.is_none(), run.id.clone());
            let (stays, goes) = if rank(&run) < rank(&other) { (run, other) } else { (other, run) };
            api::delete_run(self.client, &goes.id)?;
            self.done.changes += 1;
            seen.insert(stays.key.clone(), stays);
        }
        Ok(())
    }

    /// Sends a run that waits.
    fn run(&mut self, run: Run, experiment: &str, seen: &mut BTreeMap<String, Seen>) -> Result<()> {
        let parent = match &run.parent {
            None => None,
            Some(key) => match seen.get(key) {
                Some(parent) => Some(parent.id.clone()),
                None => {
                    let problem = format!("{} {}: its version is not there yet", run.key, run.name);
                    self.done.problems.push(problem);
                    return Ok(());
                }
            },
        };
        let digest = run.digest();
        if seen.get(&run.key).is_some_and(|there| there.digest.as_ref() == Some(&digest)) {
            return self.outbox.settle(&run.key, digest);
        }
        let mut files = Vec::with_capacity(run.artifacts.len());
        for artifact in &run.artifacts {
            files.push((artifact.path.clone(), self.outbox.bytes_of(artifact)?));
        }
        let there = seen.get(&run.key).cloned();
        match send(self.client, experiment, (&run, &digest), (there, parent), &files) {
            Ok(sent) => {
                seen.insert(run.key.clone(), sent);
                self.outbox.settle(&run.key, digest)?;
                self.done.runs += 1;
                self.failed = 0;
                Ok(())
            }
            Err(trouble) => self.trouble(&run.key, trouble),
        }
    }

    /// Lays a run below the one that its version has: another one, where that was made again.
    fn below(&mut self, run: &Run, seen: &BTreeMap<String, Seen>) -> Result<()> {
        let parent = run.parent.as_ref().and_then(|key| seen.get(key));
        if let (Some(own), Some(parent)) = (seen.get(&run.key), parent)
            && own.parent.as_ref() != Some(&parent.id)
        {
            api::tag_run(self.client, &own.id, (api::PARENT_TAG, &parent.id))?;
            self.done.changes += 1;
        }
        Ok(())
    }

    /// Trouble with one thing: told, unless it is with the server as a whole.
    fn trouble(&mut self, what: &str, trouble: Trouble) -> Result<()> {
        if let Trouble::Away { .. } = trouble {
            return Err(trouble.into());
        }
        self.done.problems.push(format!("{what}: {trouble}"));
        if let Trouble::Failed { what } = trouble {
            self.failed += 1;
            if self.failed == FAILED_MAX {
                return Err(Trouble::Away { what, retry_after: None }.into());
            }
        }
        Ok(())
    }

    /// Versions, their tags and aliases as the registry has them.
    fn model(&mut self, gathered: &Gathered, seen: &BTreeMap<String, Seen>) -> Result<()> {
        if gathered.versions.is_empty() {
            return Ok(());
        }
        let name = self.names.model.as_str();
        let model = api::model(self.client, name)?;
        let mut there: BTreeMap<String, SeenVersion> = BTreeMap::new();
        for version in api::versions(self.client, name)? {
            let Some(key) = version.tags.get(KEY_TAG).cloned() else { continue };
            let is_right = seen.get(&key).is_none_or(|run| run.id == version.run);
            if !is_right || there.contains_key(&key) {
                // From a run that is gone, or made twice over a lost answer.
                api::delete_version(self.client, name, version.number)?;
                self.done.changes += 1;
                continue;
            }
            there.insert(key, version);
        }
        let mut numbers = BTreeMap::new();
        for wanted in &gathered.versions {
            let number = match (there.get(&wanted.key), seen.get(&wanted.key)) {
                (Some(version), _) => {
                    self.tags(version, &wanted.tags)?;
                    version.number
                }
                (None, Some(run)) if run.digest.is_some() => {
                    match api::create_version(self.client, name, run, &wanted.tags) {
                        Ok(number) => {
                            self.done.changes += 1;
                            number
                        }
                        Err(trouble) => {
                            self.trouble(&wanted.version, trouble)?;
                            continue;
                        }
                    }
                }
                (None, _) => continue,
            };
            numbers.insert(wanted.version.as_str(), number);
        }
        self.aliases(gathered, &model.aliases, &numbers)?;
        let (seq, hash) = &gathered.history;
        for (key, value) in
            [("peregrine.history", seq.to_string()), ("peregrine.history_hash", hash.clone())]
        {
            if model.tags.get(key) != Some(&value) {
                api::tag_model(self.client, name, (key, &value))?;
            }
        }
        Ok(())
    }

    fn tags(&mut self, version: &SeenVersion, wanted: &BTreeMap<String, String>) -> Result<()> {
        for (key, value) in wanted {
            if version.tags.get(key) != Some(value) {
                let (client, name) = (self.client, &self.names.model);
                api::tag_version(client, name, version.number, (key, value))?;
                self.done.changes += 1;
            }
        }
        Ok(())
    }

    /// What is no longer so is taken away first: for a moment an alias may be missing, and is never
    /// wrong. One that moves does so in one call.
    fn aliases(
        &mut self,
        gathered: &Gathered,
        there: &BTreeMap<String, u64>,
        numbers: &BTreeMap<&str, u64>,
    ) -> Result<()> {
        let name = &self.names.model;
        let is_ours = |alias: &str| {
            let plain = alias.rsplit_once('-').filter(|(_, end)| end.parse::<u32>().is_ok());
            ALIASES.contains(&plain.map_or(alias, |(plain, _)| plain))
        };
        let numbered = |version: &String| numbers.get(version.as_str()).copied();
        for alias in there.keys().filter(|alias| is_ours(alias)) {
            if gathered.aliases.get(alias).and_then(numbered).is_none() {
                api::delete_alias(self.client, name, alias)?;
                self.done.changes += 1;
            }
        }
        for (alias, version) in &gathered.aliases {
            match numbered(version) {
                Some(number) if there.get(alias) != Some(&number) => {
                    api::set_alias(self.client, name, alias, number)?;
                    self.done.changes += 1;
                }
                Some(_) => {}
                None => {
                    let problem = format!("{alias}: {version} is not there yet");
                    self.done.problems.push(problem);
                }
            }
        }
        Ok(())
    }
}

/// Makes a run where there is none, and tells everything of it; its mark last.
fn send(
    client: &Client,
    experiment: &str,
    (run, digest): (&Run, &str),
    (there, parent): (Option<Seen>, Option<String>),
    files: &[(String, Vec<u8>)],
) -> Result<Seen, Trouble> {
    let seen = match there {
        Some(seen) => seen,
        None => api::create_run(client, experiment, run)?,
    };
    let mut told = run.clone();
    if let Some(parent) = &parent {
        told.tags.insert(api::PARENT_TAG.to_owned(), parent.clone());
    }
    api::log(client, &seen.id, &told)?;
    let folder = store_of(&seen.artifacts);
    if let Some(folder) = &folder {
        for (path, bytes) in files {
            client.put(&format!("{folder}/{path}"), bytes)?;
        }
    } else if !files.is_empty() {
        let what = format!(
            "{}: its files go to {}, which this server does not take files for; start it with \
             --artifacts-destination",
            run.name, seen.artifacts
        );
        return Err(Trouble::Refused { code: String::new(), what });
    }
    api::finish(client, &seen.id, run, digest)?;
    Ok(Seen { digest: Some(digest.to_owned()), parent, ..seen })
}

/// The folder in the server's own store of artifacts that an address names.
pub(super) fn store_of(uri: &str) -> Option<String> {
    let rest = uri.strip_prefix("mlflow-artifacts:")?;
    let path = match rest.strip_prefix("//") {
        Some(rest) => rest.split_once('/').map_or("", |(_, path)| path),
        None => rest,
    };
    Some(path.trim_matches('/').to_owned())
}
