//! `config/mirror.toml`.

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Bytes of a MiB.
pub const MIB: u64 = 1 << 20;

/// The whole file. Paths are below the working folder.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Where the server is.
    pub server: ServerSettings,
    /// What things are called there.
    pub names: Names,
    /// What is shown.
    pub sources: Sources,
    /// What waits.
    pub outbox: OutboxSettings,
    /// When it is looked at.
    pub watch: WatchSettings,
}

/// Where the server is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerSettings {
    /// `http` or `https`, a host, a port if need be; no user, no query.
    pub url: String,
    /// Longest time of a request in seconds, 1 to 600.
    pub request_s: u64,
    /// Whether credentials may leave without TLS to another host.
    pub plain_credentials: bool,
}

/// What things are called on the server.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Names {
    /// The experiment, 1 to 200 bytes.
    pub experiment: String,
    /// The registered model, 1 to 200 bytes.
    pub model: String,
}

/// What is shown.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sources {
    /// Folder of the registry.
    pub registry: PathBuf,
    /// Folders below which reports lie.
    pub reports: Vec<PathBuf>,
    /// Folders below which frozen data sets lie.
    pub data: Vec<PathBuf>,
    /// Studies, in files.
    pub studies: Vec<StudyName>,
}

/// A study.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StudyName {
    /// Its file.
    pub storage: String,
    /// Its name in there.
    pub name: String,
}

/// What waits for the server.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutboxSettings {
    /// Its folder.
    pub dir: PathBuf,
    /// Most that may wait, in MiB, 1 to 1 048 576.
    pub mib_max: u64,
    /// Largest file that is shown, in MiB, 1 to 1 024.
    pub file_mib_max: u64,
}

/// When sources and server are looked at.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WatchSettings {
    /// Seconds between two looks at the sources, 1 to 3 600.
    pub every_s: u64,
    /// Seconds after which the server is asked whether all is there, 1 to 86 400.
    pub verify_s: u64,
    /// Longest wait after failures in seconds, 1 to 3 600.
    pub wait_max_s: u64,
}

impl Settings {
    /// Reads a file.
    ///
    /// # Errors
    /// A file that cannot be read, a key that is missing or unknown, and all values out of their
    /// range at once.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(&text).with_context(|| path.display().to_string())
    }

    /// The same from a text.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn parse(text: &str) -> Result<Self> {
        let settings: Self = toml::from_str(text)?;
        let named = |name: &str| {
            !name.trim().is_empty() && name.len() <= 200 && !name.contains(['\'', '`', '/', ':'])
        };
        let Self { server, names, outbox, watch, sources } = &settings;
        let studies = sources.studies.iter();
        let files = studies.clone().all(|study| !study.storage.contains("://"));
        let url = server.url.as_str();
        let host = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
        let plain = host.is_some_and(|host| !host.is_empty() && !host.contains(['@', '?', '#']));
        let ranges = [
            ("server.url is http:// or https:// and a host, without a user or a query", plain),
            ("server.request_s is 1 to 600", (1..=600).contains(&server.request_s)),
            ("names.experiment is 1 to 200 bytes without ' ` / :", named(&names.experiment)),
            ("names.model is 1 to 200 bytes without ' ` / :", named(&names.model)),
            ("sources.studies are files", files),
            ("outbox.mib_max is 1 to 1048576", (1..=1 << 20).contains(&outbox.mib_max)),
            ("outbox.file_mib_max is 1 to 1024", (1..=1_024).contains(&outbox.file_mib_max)),
            ("watch.every_s is 1 to 3600", (1..=3_600).contains(&watch.every_s)),
            ("watch.verify_s is 1 to 86400", (1..=86_400).contains(&watch.verify_s)),
            ("watch.wait_max_s is 1 to 3600", (1..=3_600).contains(&watch.wait_max_s)),
        ];
        let wrong: Vec<&str> =
            ranges.iter().filter(|(_, holds)| !holds).map(|(rule, _)| *rule).collect();
        ensure!(wrong.is_empty(), "{}", wrong.join("; "));
        Ok(settings)
    }
}

impl ServerSettings {
    /// Longest time of a request that carries `bytes`.
    pub fn longest(&self, bytes: usize) -> Duration {
        Duration::from_secs(self.request_s.saturating_add(bytes as u64 / 100_000))
    }

    /// Whether what is sent can be read on the way: no TLS, and another host.
    pub fn is_open(&self) -> bool {
        let Some(host) = self.url.strip_prefix("http://") else { return false };
        let host = host.split('/').next().unwrap_or(host);
        let name = match host.strip_prefix('[') {
            Some(rest) => rest.split(']').next().unwrap_or(rest),
            None => host.split(':').next().unwrap_or(host),
        };
        let is_here = name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
        !is_here && name != "localhost"
    }
}
