//! The exchange's process.

use anyhow::{Context, Result};
use peregrine::venue::rest::RestClient;
use serde::Deserialize;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const CONFIG: &str = include_str!("../../config/exchange.toml");

/// What the exchange says in its first line.
#[derive(Deserialize)]
struct Said {
    rest: String,
    ws: String,
    api_key: String,
    api_secret: String,
}

/// A running exchange; ended when dropped.
pub struct Exchange {
    child: Child,
    said: Said,
}

/// The program that is tried: it lies beside this one.
pub fn program() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let program = own.with_file_name("peregrine");
    program.is_file().then_some(program).with_context(|| {
        format!("{}: peregrine does not lie beside it; build it first", own.display())
    })
}

impl Exchange {
    /// Starts one on free ports.
    pub fn start(folder: &Path, seed: u64) -> Result<Self> {
        let config = folder.join("exchange.toml");
        // A process that starts every second asks for more than one that stays up.
        let changes = [
            ("deposit = \"10000\"", "deposit = \"1000000\""),
            ("weight_1m_max = 2400", "weight_1m_max = 2400000"),
            ("orders_10s_max = 300", "orders_10s_max = 300000"),
            ("orders_1m_max = 1200", "orders_1m_max = 1200000"),
        ];
        let mut text = CONFIG.to_owned();
        for (usual, other) in changes {
            anyhow::ensure!(text.contains(usual), "config/exchange.toml does not say {usual}");
            text = text.replace(usual, other);
        }
        std::fs::write(&config, text)?;
        let log = std::fs::File::create(folder.join("exchange.log"))?;
        let mut child = Command::new(program()?)
            .arg("exchange")
            .arg("--config")
            .arg(&config)
            .args(["--rest", "127.0.0.1:0", "--ws", "127.0.0.1:0"])
            .args(["--seed", &seed.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()?;
        let out = child.stdout.take().context("the exchange has no output")?;
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line)?;
        let said = serde_json::from_str(&line).context("the exchange's first line");
        match said {
            Ok(said) => Ok(Self { child, said }),
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(error)
            }
        }
    }

    /// REST base URL.
    pub fn rest(&self) -> &str {
        &self.said.rest
    }

    /// WebSocket base URL.
    pub fn ws(&self) -> &str {
        &self.said.ws
    }

    /// The account's key.
    pub fn api_key(&self) -> &str {
        &self.said.api_key
    }

    /// The account's secret.
    pub fn api_secret(&self) -> &str {
        &self.said.api_secret
    }

    /// Its own clock, in milliseconds since the epoch.
    pub fn time_ms(&self) -> Result<i64> {
        let body = RestClient::new(&self.said.rest).get("/sim/state");
        let body = body.map_err(|error| anyhow::anyhow!("the exchange's state: {error}"))?;
        let told: serde_json::Value = serde_json::from_slice(&body)?;
        told["time"].as_i64().context("the exchange's state tells no time")
    }

    /// Its own ledger.
    pub fn ledger(&self) -> Result<Vec<u8>> {
        let body = RestClient::new(&self.said.rest).get("/sim/ledger");
        body.map_err(|error| anyhow::anyhow!("the exchange's ledger: {error}"))
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
