//! Every command of every runbook is run, in its order, against a running session at an exchange on
//! loopback. A command that does not exist, or ends with another code than its page says, fails.

use crate::pipeline_support::{root, text};
use crate::process::wait;
use crate::trader_world::{SUCCESSOR, addresses, champion, successor};
use peregrine::exchange::{ExchangeServer, ServerSettings};
use peregrine::runtime::admin::{self, Request};
use rustix::process::{Pid, Signal, kill_process};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// What a line says behind a command that ends otherwise than well.
const ENDS_WITH: &str = "# ends with ";

/// A command and the exit code that its page promises.
#[derive(Debug, PartialEq)]
struct Step {
    command: String,
    code: i32,
}

/// The commands of a page, in order.
fn steps(page: &str) -> Vec<Step> {
    let (mut steps, mut inside) = (Vec::new(), false);
    for line in page.lines() {
        match line.trim() {
            "```sh" => inside = true,
            "```" => inside = false,
            command if inside && !command.is_empty() && !command.starts_with('#') => {
                let (command, code) = command.split_once(ENDS_WITH).unwrap_or((command, "0"));
                let code = code.trim().parse().expect("a number behind `ends with`");
                steps.push(Step { command: command.trim().to_owned(), code });
            }
            _ => {}
        }
    }
    steps
}

/// The working folder of a service, and the service.
struct Service {
    exchange: ExchangeServer,
    dir: TempDir,
    child: Option<Child>,
    /// What the running service says of itself.
    words: PathBuf,
}

impl Service {
    fn new() -> Self {
        // What people do over days is done here within a minute.
        let mut settings = ServerSettings::default();
        settings.request_limits.weight_minute *= 10;
        let exchange = ExchangeServer::start(settings).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("config");
        std::fs::create_dir(&config).unwrap();
        for entry in std::fs::read_dir(root().join("config")).unwrap() {
            let path = entry.unwrap().path();
            std::fs::copy(&path, config.join(path.file_name().unwrap())).unwrap();
        }
        let models = dir.path().join("models_saved");
        champion(&models);
        // The champion that the pages begin with.
        successor(&models);
        let words = dir.path().join("words");
        Self { exchange, dir, child: None, words }
    }

    fn state(&self) -> PathBuf {
        self.dir.path().join("state/testnet")
    }

    /// A program in the working folder, with the addresses of this exchange.
    fn program(&self, name: &str) -> Command {
        let bin = Path::new(env!("CARGO_BIN_EXE_peregrine")).parent().unwrap();
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = Command::new(name);
        command.current_dir(self.dir.path()).stdin(Stdio::null());
        command.envs(addresses(&self.exchange)).envs([
            ("PATH", format!("{}:{path}", text(bin))),
            ("PEREGRINE_KILLER_API_KEY", self.exchange.api_key().to_owned()),
            ("PEREGRINE_KILLER_API_SECRET", self.exchange.api_secret().to_owned()),
            ("VENUE_REST", self.exchange.rest_url()),
            ("VERSION", SUCCESSOR.to_owned()),
            ("PEREGRINE__MODEL__BUDGET_US", "1000000".to_owned()),
            ("PEREGRINE__POLICY__ENTER_EDGE", "0.01".to_owned()),
            ("PEREGRINE__HTTP__BIND", String::new()),
            // A model of chance soon loses five times in a row, and what is run here is what a
            // person does.
            ("PEREGRINE__ROLLBACK__GATES", String::new()),
        ]);
        command
    }

    fn status(&self) -> Option<serde_json::Value> {
        let status = Request { verb: "status".to_owned(), mode: None, reason: None };
        admin::ask(&self.state(), &status).ok()
    }

    fn state_is(&self, among: &[&str]) -> bool {
        self.status().is_some_and(|status| among.iter().any(|state| status["state"] == *state))
    }

    fn is_running(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| child.try_wait().unwrap().is_none())
    }

    fn start(&mut self) {
        if self.is_running() {
            return;
        }
        let mut command = self.program("peregrine");
        command.args(["run", "--config", "config/testnet.toml"]);
        let words = std::fs::File::create(&self.words).unwrap();
        self.child = Some(command.stdout(Stdio::null()).stderr(words).spawn().unwrap());
        wait("the service to answer", || {
            let ended = self.child.as_mut().unwrap().try_wait().unwrap();
            let words = ended.map(|_| std::fs::read_to_string(&self.words).unwrap());
            assert!(ended.is_none(), "{ended:?}: {}", words.unwrap_or_default());
            self.status().is_some()
        });
    }

    fn stop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        let id = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
        let _ = kill_process(id, Signal::TERM);
        child.wait().unwrap();
    }

    /// A service that trades: what most pages begin with.
    fn trade(&mut self) {
        if self.state().join("killed").exists() {
            let words = ["clear", "--config", "config/testnet.toml", "--reason", "the next page"];
            let cleared = self.program("peregrine").args(words).output().unwrap();
            let error = String::from_utf8_lossy(&cleared.stderr);
            assert!(cleared.status.success(), "{error}");
        }
        self.start();
        wait("the books to agree", || self.state_is(&["active", "halted", "reducing"]));
        if !self.state_is(&["active"]) {
            self.operate("arm");
            wait("trading", || self.state_is(&["active"]));
        }
    }

    fn operate(&self, verb: &str) {
        let reason = Some("the next page".to_owned());
        let request = Request { verb: verb.to_owned(), mode: None, reason };
        let answer = admin::ask(&self.state(), &request).unwrap();
        assert_eq!(answer["ok"], true, "{answer}");
    }

    /// Books that agree, and nothing under way: an operator looks at that before loosening.
    fn settled(&self) {
        wait("nothing to be open", || {
            let status = self.status();
            let clear = |status: &serde_json::Value| {
                status["state"] != "reconciling" && status["open_orders"] == 0
            };
            status.is_some_and(|status| clear(&status))
        });
    }

    /// Runs a step; what is wrong with it.
    fn run(&mut self, step: &Step) -> Result<(), String> {
        // The service manager's part is played here.
        match step.command.as_str() {
            "systemctl start peregrine" => {
                self.start();
                return Ok(());
            }
            "systemctl stop peregrine" => {
                self.stop();
                return Ok(());
            }
            command if command.starts_with("systemctl") => {
                return Err(format!("{command}: not one of the service manager's two"));
            }
            _ => {}
        }
        if step.command.contains(" arm ") && self.is_running() {
            self.settled();
        }
        let output = self.program("sh").args(["-c", &step.command]).output().unwrap();
        if step.command.contains("peregrine kill ") {
            // It ends by itself; the service manager leaves it down.
            wait("the killed service to end", || !self.is_running());
            let ended = self.child.take().map(|mut child| child.wait().unwrap().code());
            assert!(matches!(ended, None | Some(Some(78))), "{ended:?}");
        }
        if output.status.code() == Some(step.code) {
            return Ok(());
        }
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        Err(format!("{}: ended with {:?}: {error}", step.command, output.status.code()))
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The pages, by name.
fn pages() -> Vec<(String, String)> {
    let named = ["docs/kill_switch_runbook.md", "docs/rollback_playbook.md"];
    let mut paths: Vec<PathBuf> = named.iter().map(|name| root().join(name)).collect();
    let folder = std::fs::read_dir(root().join("docs/incident_runbooks")).unwrap();
    paths.extend(folder.map(|entry| entry.unwrap().path()));
    paths.sort();
    paths
        .into_iter()
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, std::fs::read_to_string(path).unwrap())
        })
        .collect()
}

#[test]
fn every_command_of_every_runbook_runs_and_ends_as_its_page_says() {
    let mut service = Service::new();
    let (mut faults, mut run) = (Vec::new(), 0);
    for (name, page) in pages() {
        // A young journal is read in no time.
        service.stop();
        service.trade();
        let steps = steps(&page);
        assert!(!steps.is_empty(), "{name}: a runbook without a command");
        for step in &steps {
            run += 1;
            faults.extend(service.run(step).err().map(|fault| format!("{name}: {fault}")));
        }
    }
    assert!(faults.is_empty(), "of {run} commands:\n{}", faults.join("\n"));
}

#[test]
fn a_command_that_does_not_exist_and_one_that_ends_otherwise_are_found() {
    let page =
        "x\n```sh\nperegrine nonsense\n# a comment\nfalse # ends with 1\n\ntrue\n```\ntrue2\n";
    let found = steps(page);
    let commands: Vec<(&str, i32)> =
        found.iter().map(|step| (step.command.as_str(), step.code)).collect();
    assert_eq!(commands, [("peregrine nonsense", 0), ("false", 1), ("true", 0)]);
    let mut service = Service::new();
    let faults: Vec<bool> = found.iter().map(|step| service.run(step).is_err()).collect();
    assert_eq!(faults, [true, false, false]);
    for command in ["no-such-program-here", "systemctl restart peregrine", "false"] {
        let step = Step { command: command.to_owned(), code: 0 };
        assert!(service.run(&step).is_err(), "{command}");
    }
}

#[test]
fn every_runbook_is_listed_and_every_listed_one_exists() {
    let pages = pages();
    let index = &pages.iter().find(|(name, _)| name == "README.md").unwrap().1;
    for (name, _) in pages.iter().filter(|(name, _)| name != "README.md") {
        assert!(index.contains(&format!("{name})")), "{name} is not listed");
    }
    let folder = root().join("docs/incident_runbooks");
    let behind = index.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    let listed: Vec<&str> =
        behind.map(|(link, _)| link).filter(|link| link.ends_with(".md")).collect();
    assert!(listed.len() >= pages.len() - 1, "{listed:?}");
    for link in listed {
        assert!(folder.join(link).is_file(), "{link} is listed and does not exist");
    }
}
