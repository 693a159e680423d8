//! A real `mlflow server`, installed from its registry once below the target folder, and looked at
//! by MLflow's own client.

use crate::door::{Door, Fault, carried, kill};
use crate::fake::open;
use crate::python::{environment, run};
use crate::world::{World, change, look};
use peregrine::model::artifact::{hex, sha256};
use peregrine::registry::{Proving, Stage, Target};
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

const MLFLOW: &str = "mlflow==3.17.2";
/// What a server says on its standard error when it takes requests.
const READY: &str = "Application startup complete";

fn python(dir: &Path) -> Command {
    let mut command = Command::new(dir.join("bin/python"));
    // Nothing is asked of anybody but this machine.
    command.env("MLFLOW_DISABLE_TELEMETRY", "true").env("DO_NOT_TRACK", "true");
    // Half a dozen processes for jobs that nobody asks for.
    command.env("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false");
    command.env("NO_PROXY", "127.0.0.1").env("no_proxy", "127.0.0.1");
    command.env("PYTHONDONTWRITEBYTECODE", "1").env("GIT_PYTHON_REFRESH", "quiet");
    command
}

/// A server with its workers, a group of processes of its own.
struct Mlflow {
    child: Child,
    reader: Option<JoinHandle<()>>,
}

impl Mlflow {
    fn start(dir: &Path, place: &Path, port: u16) -> Self {
        let store = format!("sqlite:///{}", place.join("mlflow.db").display());
        let mut command = python(dir);
        command.args(["-m", "mlflow", "server", "--host", "127.0.0.1", "--workers", "1"]);
        command.args(["--port", &port.to_string(), "--backend-store-uri", &store]);
        command.arg("--artifacts-destination").arg(place.join("files"));
        command.current_dir(place).stdin(Stdio::null()).stdout(Stdio::null());
        let mut child = command.stderr(Stdio::piped()).process_group(0).spawn().expect("it runs");
        let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        let mut said = Vec::new();
        loop {
            let Some(Ok(line)) = lines.next() else { panic!("it ended: {}", said.join("\n")) };
            let is_ready = line.contains(READY);
            said.push(line);
            if is_ready {
                break;
            }
        }
        // What it says is taken until it ends, lest it waits for somebody to read.
        let reader = std::thread::spawn(move || lines.for_each(drop));
        Self { child, reader: Some(reader) }
    }

    fn kill(&mut self) {
        kill(&format!("-{}", self.child.id()));
        self.child.wait().expect("its end");
        if let Some(reader) = self.reader.take() {
            reader.join().expect("no panic");
        }
    }
}

/// A server that is killed and started again at one port, over one store.
#[derive(Clone)]
struct Site {
    dir: PathBuf,
    place: PathBuf,
    port: u16,
    server: Arc<Mutex<Option<Mlflow>>>,
}

impl Site {
    fn start(&self) {
        let server = Mlflow::start(&self.dir, &self.place, self.port);
        *self.server.lock().expect("no panic") = Some(server);
    }

    fn kill(&self) {
        if let Some(mut server) = self.server.lock().expect("no panic").take() {
            server.kill();
        }
    }

    fn ask(&self, what: &str) -> Value {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mirror/oracle.py");
        let url = format!("http://127.0.0.1:{}", self.port);
        let told = run(python(&self.dir).arg(script).args([&url, what]));
        let told = told.unwrap_or_else(|why| panic!("{why}"));
        serde_json::from_str(told.lines().last().expect("a line")).expect("JSON")
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // The last of them: others are with the door's thread.
        if Arc::strong_count(&self.server) == 1 {
            self.kill();
        }
    }
}

/// `peregrine-lab mirror sync`, once, on its way.
fn sync(world: &World, url: &str) -> Child {
    world.write("mirror.toml", world.text(url).as_bytes());
    let mut command = Command::new(env!("CARGO_BIN_EXE_peregrine-lab"));
    command.args(["mirror", "sync", "--tries", "1", "--config"]).arg(world.path("mirror.toml"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("it runs")
}

fn ends_with(mut child: Child) -> Option<i32> {
    child.wait().expect("its end").code()
}

/// What must be shown: by the server of the tests, whose rules are those of the real one, in the
/// same form as the script tells it.
fn wanted(world: &World) -> Value {
    let (fake, door) = open();
    let kept = world.path("outbox");
    let aside = world.path("outbox-aside");
    let was_there = fs::rename(&kept, &aside).is_ok();
    drop(world.sync(&door));
    fs::remove_dir_all(&kept).expect("it was made");
    if was_there {
        fs::rename(&aside, &kept).expect("back");
    }
    let mut told = look(&fake);
    for run in told["runs"].as_object_mut().expect("runs").values_mut() {
        for metric in run["metrics"].as_array_mut().expect("figures") {
            let number: f64 = metric[1].as_str().expect("text").parse().expect("a number");
            metric[1] = json!(number);
        }
    }
    let champion = world.registry().champion_version().expect("one").to_owned();
    let path = world.path(&format!("models_saved/{champion}/model.onnx"));
    told["champion"] = hex(&sha256(&fs::read(path).expect("a model"))).into();
    told
}

/// Both in one order: figures by name, time and step.
fn assert_shown(site: &Site, world: &World, when: &str) {
    let (mut found, mut wanted) = (site.ask("shown"), wanted(world));
    for told in [&mut found, &mut wanted] {
        for run in told["runs"].as_object_mut().expect("runs").values_mut() {
            let metrics = run["metrics"].as_array_mut().expect("figures");
            metrics.sort_by_key(|metric| format!("{} {} {}", metric[0], metric[2], metric[3]));
            for metric in metrics {
                metric[1] = json!(metric[1].as_f64());
            }
        }
    }
    assert_eq!(found, wanted, "{when}");
}

#[test]
fn a_real_server_shows_runs_versions_and_aliases_though_it_and_we_are_killed_on_the_way() {
    let dir = match environment(&[MLFLOW]) {
        Ok(dir) => dir,
        Err(why) => {
            println!("the real server did not run and checked nothing: {why}");
            return;
        }
    };
    let world = World::new();
    let place = world.path("server");
    fs::create_dir_all(&place).expect("a folder");
    let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
    let port = port.expect("a port").port();
    let site = Site { dir, place, port, server: Arc::default() };
    site.start();
    let door = Door::open(Box::new(move |request| carried(port, request)));

    // Killed: we, the server before it carries out, we again, the server behind it.
    for (at, fault) in [(9, Fault::Behind), (14, Fault::Before)] {
        let child = door.doom((at, fault), || sync(&world, &door.url));
        assert_eq!(ends_with(child), None, "killed at {at}");
        assert!(door.is_over());
        let doomed = site.clone();
        door.arrange(Box::new(move || doomed.kill()));
        door.plan(Some((at + 3, fault)));
        assert_eq!(ends_with(sync(&world, &door.url)), Some(1), "the server is away");
        assert!(door.is_over());
        site.start();
    }
    door.arrange(Box::new(|| ()));
    assert_eq!(ends_with(sync(&world, &door.url)), Some(0));
    assert_shown(&site, &world, "behind the kills");

    world.advance("m-2", Stage::Canary);
    world.advance("m-2", Stage::Champion);
    assert_eq!(ends_with(sync(&world, &door.url)), Some(0));
    assert_shown(&site, &world, "behind a promotion");
    let back = change(5_000, "worse than the one before");
    world.registry().rollback(Target::Previous, Proving::ANY, back, true).expect("rolled back");
    assert_eq!(ends_with(sync(&world, &door.url)), Some(0));
    assert_shown(&site, &world, "behind a rollback");

    site.ask("delete");
    for _ in 0..2 {
        ends_with(sync(&world, &door.url));
    }
    assert_shown(&site, &world, "behind a deletion");
}
