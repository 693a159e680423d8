//! Every command of every runbook is run, in its order, against a running session at an exchange on
//! loopback. A command that does not exist, or ends with another code than its page says, fails,
//! and so does one that stands in the text of a page and in none of its blocks.

use crate::pipeline_support::{root, text};
use crate::process::{free_address, wait};
use crate::trader_world::{SUCCESSOR, addresses, champion, successor};
use peregrine::exchange::{ExchangeServer, ServerSettings};
use peregrine::runtime::admin::{self, Request};
use rustix::process::{Pid, Signal, kill_process};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// Who may ask the page for a kill.
const TOKEN: &str = "a-token-of-this-test-0123456789-0123456789-0123456789";
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

/// What stands between backquotes outside of blocks, without line breaks.
fn spans(page: &str) -> Vec<String> {
    let mut inside = false;
    let mut text = String::new();
    for line in page.lines() {
        let fence = line.trim().starts_with("```");
        inside ^= fence;
        if !inside && !fence {
            text.push_str(line);
            text.push(' ');
        }
    }
    let odd = text.split('`').skip(1).step_by(2);
    odd.map(|span| span.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

/// Verbs of our program, which a page names without the program.
const VERBS: [&str; 9] =
    ["arm", "audit", "check", "clear", "kill", "model", "pause", "report", "status"];

/// True for what somebody could type: a program or one of our verbs, and what it is to do.
fn is_command(span: &str) -> bool {
    let Some((first, _)) = span.split_once(' ') else { return false };
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there = || std::env::split_paths(&path).any(|folder| folder.join(first).is_file());
    let named = first.starts_with("peregrine") || ["systemctl", "curl", "sudo"].contains(&first);
    named || VERBS.contains(&first) || is_there()
}

/// Commands in the text of a page that no command of its blocks has all words of. A word in
/// capitals stands for what somebody fills in.
fn told_alone(page: &str) -> Vec<String> {
    let steps = steps(page);
    let runs = |span: &str| {
        let filled_in = |word: &str| word.chars().all(|c| c.is_ascii_uppercase() || c == '_');
        let given: Vec<&str> = span.split(' ').filter(|word| !filled_in(word)).collect();
        steps.iter().any(|step| {
            let words: Vec<&str> = step.command.split_whitespace().collect();
            given.iter().all(|word| words.contains(word))
        })
    };
    spans(page).into_iter().filter(|span| is_command(span) && !runs(span)).collect()
}

/// The working folder of a service, and the service.
struct Service {
    exchange: ExchangeServer,
    dir: TempDir,
    child: Option<Child>,
    /// What the running service says of itself.
    words: PathBuf,
    /// Where its page is.
    page: SocketAddr,
}

/// How a step is taken.
#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    /// As it stands there, by a shell.
    Shell,
    /// By a shell; it kills the service, which ends by itself.
    Kill,
    /// The service manager's part: the service is sent SIGUSR1, which kills it.
    Signal,
    /// The service manager's part.
    Start,
    /// The service manager's part.
    Stop,
}

impl How {
    fn of(command: &str) -> Result<Self, String> {
        let posts = command.starts_with("curl ") && command.contains("/api/v1/kill");
        match command {
            "systemctl start peregrine" => Ok(Self::Start),
            "systemctl stop peregrine" => Ok(Self::Stop),
            "systemctl kill --signal=SIGUSR1 peregrine" => Ok(Self::Signal),
            _ if command.starts_with("systemctl") => {
                Err(format!("{command}: not one of the service manager's three"))
            }
            _ if posts || command.contains("peregrine kill ") => Ok(Self::Kill),
            _ => Ok(Self::Shell),
        }
    }
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
        let service = Self { exchange, dir, child: None, words, page: free_address() };
        // What somebody once put aside.
        let aside = ["model", "export", SUCCESSOR, "--out", "bundle.tar.gz"];
        let exported = service.program("peregrine").args(aside).output().unwrap();
        let error = String::from_utf8_lossy(&exported.stderr);
        assert!(exported.status.success(), "{error}");
        service
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
            ("PEREGRINE__HTTP__BIND", self.page.to_string()),
            ("PEREGRINE_HTTP_TOKEN", TOKEN.to_owned()),
            ("PAGE", format!("http://{}", self.page)),
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
        if self.is_running() {
            self.signal(Signal::TERM);
        }
        if let Some(mut child) = self.child.take() {
            child.wait().unwrap();
        }
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

    fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().expect("a running service");
        let id = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
        kill_process(id, signal).unwrap();
    }

    /// It ends by itself; the service manager leaves it down.
    fn ends_killed(&mut self) -> Result<(), String> {
        wait("the killed service to end", || !self.is_running());
        let ended = self.child.take().map(|mut child| child.wait().unwrap().code());
        let kept = self.state().join("killed").exists();
        if ended == Some(Some(78)) && kept { Ok(()) } else { Err(format!("{ended:?}, {kept}")) }
    }

    /// Runs a step; what is wrong with it.
    fn run(&mut self, step: &Step) -> Result<(), String> {
        let how = How::of(&step.command)?;
        match how {
            How::Start => self.start(),
            How::Stop => self.stop(),
            // One that was killed before shows nothing of another way to kill it.
            How::Kill | How::Signal => self.trade(),
            How::Shell => {}
        }
        if how == How::Signal {
            self.signal(Signal::USR1);
            return self.ends_killed().map_err(|fault| format!("{}: {fault}", step.command));
        }
        if matches!(how, How::Start | How::Stop) {
            return Ok(());
        }
        if step.command.contains(" arm ") && self.is_running() {
            self.settled();
        }
        let output = self.program("sh").args(["-c", &step.command]).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.code() != Some(step.code) {
            let code = output.status.code();
            return Err(format!("{}: ended with {code:?}: {error}", step.command));
        }
        match how {
            How::Kill => self.ends_killed().map_err(|fault| format!("{}: {fault}", step.command)),
            _ => Ok(()),
        }
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
fn no_command_stands_in_the_text_of_a_runbook_alone() {
    let typed = std::fs::read_to_string(root().join("tests/it/alerts_commands.rs")).unwrap();
    for (name, page) in pages() {
        assert_eq!(told_alone(&page), [""; 0], "{name}: in no block of the page");
        let spans = spans(&page);
        let words = spans.iter().filter_map(|span| span.split(' ').next());
        let to_bot = |word: &&str| word.starts_with('/') && word.rfind('/') == Some(0);
        for word in words.filter(to_bot) {
            let sent = typed.contains(&format!("\"{word}"));
            assert!(sent, "{name}: {word} is typed to the bot in no test");
        }
    }
}

#[test]
fn a_command_in_the_text_is_found_unless_a_block_has_all_of_its_words() {
    let page = "Do `peregrine pause --now`, `kill -s\n  SIGUSR1 1`, `pause --config FILE`,\n\
        `expected x`.\n\
        ```sh\nperegrine pause --config a.toml # `peregrine arm --now`\n```\nThen `ls -l`, `sh`.\n";
    assert_eq!(told_alone(page), ["peregrine pause --now", "kill -s SIGUSR1 1", "ls -l"]);
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
