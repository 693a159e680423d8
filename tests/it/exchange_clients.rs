//! Unmodified public clients, installed from their registries, trade on the simulated exchange:
//! every reply parses, and every balance agrees with the ledger to the last unit.
//!
//! The scripts are in `tests/clients`. Each environment is installed once, below the target folder.
//! Where a tool or a registry is out of reach the test says so and checks nothing; with `CI=true` a
//! tool that is there must also be able to install.

use crate::pipeline_support::root;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

/// One client: where it comes from and what drives it.
struct Client {
    /// Folder of its environment; the version is part of it, so that a new one is installed anew.
    name: &'static str,
    registry: Registry,
    /// Exact versions: the client, and what it talks HTTP and WebSocket with.
    packages: &'static [&'static str],
    script: &'static str,
    /// As the script prints it.
    version: &'static str,
}

#[derive(Clone, Copy)]
enum Registry {
    PyPi,
    Npm,
}

const CCXT: Client = Client {
    name: "ccxt-4.5.90",
    registry: Registry::PyPi,
    packages: &["ccxt==4.5.90", "aiohttp==3.14.5"],
    script: "ccxt_drive.py",
    version: "4.5.90",
};

const PYTHON_BINANCE: Client = Client {
    name: "python-binance-1.0.37",
    registry: Registry::PyPi,
    packages: &["python-binance==1.0.37", "aiohttp==3.14.5", "websockets==17.4"],
    script: "python_binance_drive.py",
    version: "1.0.37",
};

const OFFICIAL_SDK: Client = Client {
    name: "binance-sdk-18.0.1",
    registry: Registry::PyPi,
    packages: &["binance-sdk-derivatives-trading-usds-futures==18.0.1", "aiohttp==3.14.5"],
    script: "official_sdk_drive.py",
    version: "18.0.1",
};

const NPM_BINANCE: Client = Client {
    name: "npm-binance-3.6.5",
    registry: Registry::Npm,
    packages: &["binance@3.6.5"],
    script: "binance_drive.mjs",
    version: "3.6.5",
};

impl Registry {
    /// Programs that must be there, by a call that does nothing.
    const fn tools(self) -> &'static [&'static [&'static str]] {
        match self {
            Self::PyPi => &[&["python3", "-c", "import venv, ensurepip"]],
            Self::Npm => &[&["node", "--version"], &["npm", "--version"]],
        }
    }

    /// What installs the packages into a folder, step by step.
    fn steps(self, dir: &Path, packages: &[&str]) -> Vec<Command> {
        let command = |program: &Path, arguments: &[&str]| {
            let mut command = Command::new(program);
            command.args(arguments).current_dir(dir);
            command
        };
        match self {
            Self::PyPi => {
                let venv = command(Path::new("python3"), &["-m", "venv", "."]);
                let quiet = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
                let mut install = command(&dir.join("bin/python"), &quiet);
                install.args(packages);
                vec![venv, install]
            }
            Self::Npm => {
                let quiet =
                    ["install", "--prefix", ".", "--no-audit", "--no-fund", "--no-progress"];
                let mut install = command(Path::new("npm"), &quiet);
                install.args(packages);
                vec![install]
            }
        }
    }
}

impl Client {
    /// The folder of its environment, installed if it was not; or why there is none.
    fn environment(&self) -> Result<PathBuf, String> {
        for tool in self.registry.tools() {
            if let Err(why) = run(Command::new(tool[0]).args(&tool[1..])) {
                return Err(format!("{} is not to be had here: {why}", tool[0]));
            }
        }
        let clients = Path::new(env!("CARGO_TARGET_TMPDIR")).join("clients");
        fs::create_dir_all(&clients).unwrap();
        let lock = File::create(clients.join(format!("{}.lock", self.name))).unwrap();
        // Held until the file is closed; other tests and other runs wait for the one who installs.
        lock.lock().unwrap();
        let dir = clients.join(self.name);
        let done = dir.join("installed");
        if done.exists() {
            return Ok(dir);
        }
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        for mut step in self.registry.steps(&dir, self.packages) {
            if let Err(why) = run(&mut step) {
                let failure = format!("{:?} did not install: {why}", self.packages);
                assert!(std::env::var("CI").as_deref() != Ok("true"), "{failure}");
                return Err(failure);
            }
        }
        fs::write(done, self.packages.join("\n")).unwrap();
        Ok(dir)
    }

    /// Drives an exchange of its own with the account that it opens by itself.
    fn drive(&self) {
        self.drive_at(|| RunningExchange::start(&[]));
    }

    /// Drives an exchange, and checks what the script says at its end.
    fn drive_at(&self, start: impl FnOnce() -> RunningExchange) {
        let dir = match self.environment() {
            Ok(dir) => dir,
            Err(why) => {
                println!("{} did not run and checked nothing: {why}", self.name);
                return;
            }
        };
        let exchange = start();
        let script = root().join("tests/clients").join(self.script);
        let mut command = match self.registry {
            Registry::PyPi => Command::new(dir.join("bin/python")),
            Registry::Npm => Command::new("node"),
        };
        // Addresses on loopback are never asked of a proxy.
        command.env("NO_PROXY", "127.0.0.1").env("no_proxy", "127.0.0.1");
        command.env("PYTHONDONTWRITEBYTECODE", "1").current_dir(&dir);
        let output = command.arg(script).arg(&exchange.start_line).output().unwrap();
        let (told, errors) = [&output.stdout, &output.stderr].map(|b| lossy(b)).into();
        assert!(output.status.success(), "{}:\n{told}\n{errors}", self.name);
        let last = told.lines().last().unwrap_or_default();
        let counts: serde_json::Value = serde_json::from_str(last).expect("a JSON line at the end");
        println!("{counts}");
        assert_eq!(counts["version"], self.version);
        for name in ["steps", "orders", "fills", "events"] {
            assert!(counts[name].as_u64().is_some_and(|count| count > 0), "{name} in {counts}");
        }
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs a program to its end; what it said where that was not a success.
fn run(command: &mut Command) -> Result<(), String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let said = lossy(&output.stderr);
    Err(format!("{}: {}", output.status, said.trim().replace('\n', "; ")))
}

/// `peregrine exchange` on free ports; ends with the test.
struct RunningExchange {
    child: Child,
    start_line: String,
    /// Kept open: the exchange may still write.
    _stdout: BufReader<ChildStdout>,
}

impl RunningExchange {
    fn start(arguments: &[&str]) -> Self {
        let free = ["--rest", "127.0.0.1:0", "--ws", "127.0.0.1:0", "--seed", "7"];
        let mut child = Command::new(env!("CARGO_BIN_EXE_peregrine"))
            .arg("exchange")
            .args(free)
            .args(arguments)
            .current_dir(root())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program was built beside this test");
        let mut stdout = BufReader::new(child.stdout.take().expect("piped above"));
        let mut start_line = String::new();
        stdout.read_line(&mut start_line).expect("a first line");
        Self { child, start_line: start_line.trim().to_owned(), _stdout: stdout }
    }
}

impl Drop for RunningExchange {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn ccxt_trades_every_kind_of_order_and_its_books_agree_with_the_ledger() {
    CCXT.drive();
}

#[test]
fn python_binance_trades_every_kind_of_order_and_its_books_agree_with_the_ledger() {
    PYTHON_BINANCE.drive();
}

#[test]
fn the_venues_own_sdk_finds_every_answer_and_event_as_its_models_declare_it() {
    OFFICIAL_SDK.drive();
}

/// Secret key of the first example of RFC 8032, section 7.1, in the form of RFC 8410, and its
/// public key.
const EXAMPLE_SECRET: &str = "-----BEGIN PRIVATE KEY-----\n\
    MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n\
    -----END PRIVATE KEY-----\n";
const EXAMPLE_PUBLIC: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

#[test]
fn a_javascript_client_logs_on_with_a_key_pair_and_signs_no_order_after_that() {
    let config = fs::read_to_string(root().join("config/exchange.toml")).unwrap();
    let api_key = "K".repeat(64);
    let key = format!("api_key = \"{api_key}\"\ned25519 = \"{EXAMPLE_PUBLIC}\"\n");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("exchange.toml");
    fs::write(&file, format!("{config}\n[[account]]\n{key}")).unwrap();
    NPM_BINANCE.drive_at(|| {
        let mut exchange = RunningExchange::start(&["--config", file.to_str().unwrap()]);
        let mut start: serde_json::Value = serde_json::from_str(&exchange.start_line).unwrap();
        assert_eq!(start["api_key"], api_key);
        // The exchange knows the public key alone.
        start["api_secret"] = EXAMPLE_SECRET.into();
        exchange.start_line = start.to_string();
        exchange
    });
}

#[test]
fn a_javascript_client_trades_every_kind_of_order_and_its_books_agree_with_the_ledger() {
    NPM_BINANCE.drive();
}
