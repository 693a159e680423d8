//! What is to be seen: held against files and the registry by ways of its own.

use crate::door::Door;
use crate::fake::{Fake, FakeRun, open, server};
use crate::world::{World, look, mirror_of};
use peregrine::model::artifact::{hex, sha256};
use peregrine::observe::alerts::secret::Secret;
use peregrine::registry::{Needs, Proving, Stage, Target};
use peregrine_lab::mirror::client::Client;
use peregrine_lab::mirror::settings::Settings;
use peregrine_lab::mirror::watch::{Mirror, Outcome};
use serde_json::{Value, json};
use std::fs;

fn hash_of(world: &World, name: &str) -> String {
    hex(&sha256(&fs::read(world.path(name)).expect("a file")))
}

/// The one run whose name begins so.
fn run<'v>(shown: &'v Value, name: &str) -> &'v Value {
    let mut runs = shown["runs"].as_object().expect("runs").values();
    let found = runs.find(|run| run["name"].as_str().is_some_and(|own| own.starts_with(name)));
    found.unwrap_or_else(|| panic!("no run {name}"))
}

/// Aliases with the names of the versions.
fn aliases(shown: &Value) -> Value {
    let aliases = shown["models"]["peregrine"]["aliases"].as_object().expect("aliases");
    let name = |key: &Value| key.as_str()?.split('/').nth(1).map(str::to_owned);
    aliases.iter().map(|(alias, key)| (alias.clone(), json!(name(key)))).collect()
}

#[test]
fn a_version_is_shown_with_its_files_figures_lineage_and_the_evidence_on_it() {
    let world = World::new();
    let (fake, door) = open();
    drop(world.sync(&door));
    let shown = look(&fake);
    let version = run(&shown, "m-1");
    assert_eq!(version["status"], "FINISHED");
    for (path, name) in [
        ("model/model.onnx", "models_saved/m-1/model.onnx"),
        ("model/card.toml", "models_saved/m-1/card.toml"),
        ("evidence/data_manifest.yaml", "data/made-up/data_manifest.yaml"),
        ("evidence/gate_decision.json", "reports/first/gate_decision.json"),
        ("evidence/gate_decision.pdf", "reports/first/gate_decision.pdf"),
        ("evidence/walk_forward.json", "reports/first/walk_forward.json"),
        ("evidence/wfv_report.md", "reports/first/wfv_report.md"),
        ("evidence/promotion_verdict.json", "reports/later/promotion_verdict.json"),
    ] {
        assert_eq!(version["files"][path], hash_of(&world, name), "{path}");
    }
    let card: toml::Table = fs::read_to_string(world.path("models_saved/m-1/card.toml"))
        .expect("a card")
        .parse()
        .expect("TOML");
    let figures = card["metrics"].as_table().expect("figures");
    let told = version["metrics"].as_array().expect("figures");
    assert_eq!(told.len(), figures.len());
    for (name, value) in figures {
        let value = json!(value.as_float().expect("a number")).to_string();
        assert!(told.contains(&json!([name, value, 1_000, 0])), "{name} {value}");
    }
    assert_eq!(version["params"]["seed"], card["created_from"]["seed"].to_string());
    assert_eq!(
        version["tags"]["peregrine.model_sha256"],
        hash_of(&world, "models_saved/m-1/model.onnx")
    );
    assert_eq!(aliases(&shown), json!({"champion": "m-1", "challenger": "m-2"}));
}

#[test]
fn folds_are_steps_and_judgements_lie_below_the_version_they_are_about() {
    let world = World::new();
    let (fake, door) = open();
    drop(world.sync(&door));
    let shown = look(&fake);
    let validation = run(&shown, "validation first");
    for (step, loss) in [(0, "1.1"), (1, "1.2"), (2, "1.3")] {
        let told = json!(["fold.log_loss", loss, 5_000 + step, step]);
        assert!(validation["metrics"].as_array().expect("figures").contains(&told), "{told}");
    }
    let paths = validation["metrics"].as_array().expect("figures").iter();
    let paths: Vec<&Value> = paths.filter(|metric| metric[0] == "path.sharpe").collect();
    assert_eq!(
        json!(paths),
        json!([["path.sharpe", "1.0", 5_002, 0], ["path.sharpe", "2.0", 5_002, 2]])
    );
    let keys = shown["runs"].as_object().expect("runs").keys();
    let version = keys.clone().find(|key| key.starts_with("version/m-1/")).expect("its run");
    let decision = run(&shown, "decision first");
    assert_eq!(decision["tags"]["peregrine.verdict"], "NO-GO");
    assert_eq!(decision["tags"]["peregrine.failed"], "dsr: 0.5, needs >= 0.9");
    assert_eq!(decision["tags"]["mlflow.parentRunId"], *version);
    assert_eq!(run(&shown, "verdict later")["tags"]["peregrine.verdict"], "hold");
    assert_eq!(run(&shown, "verdict later")["tags"]["mlflow.parentRunId"], *version);
    // The same training made both: which one the validation lies below is told by its order.
    assert_eq!(validation["tags"]["mlflow.parentRunId"], *version);
    let trial = run(&shown, "made-up 1");
    assert_eq!(trial["experiment"][0], "peregrine-tuning");
    assert_eq!(trial["params"].as_object().map(|all| all.len()), Some(5));
}

#[test]
fn aliases_follow_promotion_and_rollback_and_those_of_others_stay() {
    let world = World::new();
    let (fake, door) = open();
    drop(world.sync(&door));
    let model = |fake: &mut Fake| {
        let aliases = &mut fake.models.get_mut("peregrine").expect("a model").aliases;
        aliases.insert("of-a-person".to_owned(), 1);
    };
    model(&mut fake.lock().expect("no panic"));
    world.add("m-3");
    world.advance("m-3", Stage::Shadow);
    drop(world.sync(&door));
    let own = |shown: &Value| {
        let mut all = aliases(shown);
        assert_eq!(all["of-a-person"], "m-1");
        all.as_object_mut().expect("aliases").remove("of-a-person");
        all
    };
    let wanted = json!({"champion": "m-1", "challenger": "m-2", "challenger-2": "m-3"});
    assert_eq!(own(&look(&fake)), wanted);
    world.advance("m-2", Stage::Canary);
    drop(world.sync(&door));
    let wanted = json!({"canary": "m-2", "champion": "m-1", "challenger": "m-3"});
    assert_eq!(own(&look(&fake)), wanted);
    world.advance("m-2", Stage::Champion);
    drop(world.sync(&door));
    let wanted = json!({"challenger": "m-3", "champion": "m-2", "previous": "m-1"});
    assert_eq!(own(&look(&fake)), wanted);
    let change = crate::world::change(5_000, "worse than the one before");
    world.registry().rollback(Target::Previous, Proving::ANY, change, true).expect("rolled back");
    drop(world.sync(&door));
    assert_eq!(own(&look(&fake)), json!({"challenger": "m-3", "champion": "m-1"}));
    let versions = look(&fake)["models"]["peregrine"]["versions"].clone();
    assert_eq!(versions[1]["peregrine.quarantined"], "yes");
    assert_eq!(versions[1]["peregrine.stage"], "retired");
}

#[test]
fn what_was_deleted_at_the_server_is_made_again_and_a_sync_without_need_changes_nothing() {
    let world = World::new();
    let (fake, door) = open();
    drop(world.sync(&door));
    let wanted = look(&fake);
    door.plan(None);
    let mut mirror = world.mirror(&door.url);
    mirror.round().expect("a disk");
    let told: Vec<String> = door
        .seen()
        .iter()
        .filter(|request| request.method != "GET" && !request.target.ends_with("runs/search"))
        .map(|request| request.target.clone())
        .collect();
    assert_eq!(told, Vec::<String>::new(), "nothing is told twice");
    let damages: [fn(&mut Fake); 6] = [
        |fake| fake.runs.values_mut().for_each(|run| run.deleted = true),
        |fake| {
            let is_version = |run: &FakeRun| run.tags["peregrine.kind"] == "version";
            let versions = fake.runs.values_mut().filter(|run| is_version(run));
            versions.for_each(|run| run.deleted = true);
        },
        |fake| fake.models.clear(),
        |fake| {
            let model = fake.models.get_mut("peregrine").expect("a model");
            model.versions.remove(0);
            model.aliases.clear();
        },
        |fake| {
            let model = fake.models.get_mut("peregrine").expect("a model");
            model.versions[0].tags.insert("peregrine.stage".to_owned(), "other".to_owned());
            model.aliases.insert("champion".to_owned(), model.versions[1].number);
            model.aliases.insert("canary".to_owned(), model.versions[1].number);
        },
        |fake| *fake = Fake::default(),
    ];
    for (at, damage) in damages.iter().enumerate() {
        damage(&mut fake.lock().expect("no panic"));
        for _ in 0..2 {
            mirror.round().expect("a disk");
        }
        assert_eq!(mirror.status().problems, Vec::<String>::new(), "damage {at}");
        assert_eq!(look(&fake), wanted, "damage {at}");
    }
}

#[test]
fn a_file_that_is_not_what_was_registered_is_named_and_not_shown() {
    let world = World::new();
    let path = world.path("models_saved/m-2/card.toml");
    let mut bytes = fs::read(&path).expect("a card");
    bytes[1_000] ^= 1;
    fs::write(&path, bytes).expect("written");
    let (fake, door) = open();
    let mut mirror = world.mirror(&door.url);
    let outcome = mirror.round().expect("a disk");
    assert!(matches!(outcome, Outcome::Through(_)), "{outcome:?}");
    let told = mirror.status().problems.join("\n");
    assert!(told.contains("m-2/card.toml"), "{told}");
    let shown = look(&fake);
    assert!(shown["runs"].as_object().expect("runs").keys().all(|key| !key.contains("/m-2/")));
    assert_eq!(aliases(&shown), json!({"champion": "m-1"}));
}

#[test]
fn files_of_retired_versions_that_were_pruned_stay_shown_and_their_run_is_left_as_it_is() {
    let world = World::new();
    let (fake, door) = open();
    world.advance("m-2", Stage::Retired);
    drop(world.sync(&door));
    let before = look(&fake);
    let change = crate::world::change(9_000, "room");
    let pruned = world.registry().prune(0, Needs::default(), change, true);
    assert_eq!(pruned.expect("pruned").removed.len(), 1);
    drop(world.sync(&door));
    let after = look(&fake);
    assert_eq!(run(&after, "m-2"), run(&before, "m-2"));
    assert_eq!(after["models"]["peregrine"]["versions"][1]["peregrine.files_removed"], "yes");
}

#[test]
fn a_file_that_is_too_large_is_told_by_hash_and_an_outbox_that_is_full_says_so() {
    let world = World::new();
    let large = vec![b'x'; (2 << 20) + 1];
    world.write("reports/first/gate_decision.pdf", &large);
    let (fake, door) = open();
    let text = world.text(&door.url).replace("file_mib_max = 256", "file_mib_max = 1");
    let mut mirror = mirror_of(Settings::parse(&text).expect("settings"));
    mirror.round().expect("a disk");
    let shown = look(&fake);
    assert!(run(&shown, "decision first")["files"]["gate_decision.pdf"].is_null());
    drop(mirror);

    fs::remove_dir_all(world.path("outbox")).expect("it was there");
    let text = world.text("http://127.0.0.1:9").replace("mib_max = 4096", "mib_max = 1");
    let mut mirror = mirror_of(Settings::parse(&text).expect("settings"));
    mirror.round().expect("a disk");
    let told = mirror.status().problems.join("\n");
    assert!(told.contains("outbox.mib_max = 1 is reached"), "{told}");
    drop(mirror);
    // With the server back it goes through all the same.
    drop(world.sync(&door));
}

#[test]
fn credentials_go_to_the_server_and_to_no_file_or_message_and_never_in_the_open() {
    let world = World::new();
    let secret = || Secret::new("Bearer a-token-that-never-shows".to_owned());
    let (_, mut inner) = server();
    let door = Door::open(Box::new(move |request| {
        assert_eq!(request.authorization.as_deref(), Some("Bearer a-token-that-never-shows"));
        let mut answer = inner(request)?;
        if request.target.ends_with("runs/create") {
            // A server that repeats what it was told.
            answer.status = 403;
            answer.body = b"no: Bearer a-token-that-never-shows".to_vec();
        }
        Some(answer)
    }));
    let settings = world.settings(&door.url);
    let client = Client::with(&settings.server, secret()).expect("a client");
    let mut mirror = Mirror::with(settings, client).expect("a mirror");
    mirror.round().expect("a disk");
    let told = format!("{:?}", mirror.status());
    assert!(told.contains("403") && !told.contains("a-token"), "{told}");
    for folder in ["outbox", "outbox/items"] {
        for entry in fs::read_dir(world.path(folder)).expect("a folder").flatten() {
            let bytes = fs::read(entry.path()).unwrap_or_default();
            assert!(!String::from_utf8_lossy(&bytes).contains("a-token"), "{entry:?}");
        }
    }
    let open = ["http://mlflow.example:5000", "http://10.0.0.1", "http://[2001:db8::1]:5000"];
    for url in open {
        let refused = Client::with(&world.settings(url).server, secret());
        let told = refused.err().expect("it is refused").to_string();
        assert!(told.contains("TLS"), "{told}");
    }
    for url in ["https://mlflow.example", "http://localhost:5000", "http://[::1]:5000"] {
        assert!(Client::with(&world.settings(url).server, secret()).is_ok(), "{url}");
    }
    let with_user = world.text("http://user:word@127.0.0.1:5000");
    assert!(Settings::parse(&with_user).is_err(), "a password in an address is refused");
}
