//! `/readiness` of whole sessions: no, with each reason, while it is so, and yes again afterwards.
//! That a silent stream of the account is told is in `fault_silence`.

use crate::floor::Floor;
use crate::model_swaps::{Models, tamper};
use crate::pipeline_support::{leaning, text};
use crate::process::look;
use crate::trader_world::champion;
use peregrine::runtime::admin::{self, Request};
use serde_json::{Value, json};

const CLOCK: &[(&str, &str, &str)] = &[("watch", "clock_every_s", "1")];

/// Ends the session in order.
#[track_caller]
fn end(floor: Floor) {
    let (outcome, _state) = floor.session.end();
    assert_eq!(outcome.halt, None);
    assert_eq!(outcome.differences, Vec::<String>::new());
}

#[test]
fn a_book_that_cannot_be_synchronised_is_told_until_it_can() {
    let floor = Floor::start("", &[]);
    floor.is_ready("at first");
    // A hole in the changes, and no snapshot to begin again with.
    let snapshots = json!({"kind": "unavailable", "target": {"path": "/fapi/v1/depth"}});
    floor.sim("POST", "/sim/faults", &snapshots);
    floor.sim("POST", "/sim/faults", &json!({"kind": "gap", "count": 1}));
    floor.is_not_ready("book_invalid");
    floor.sim("DELETE", "/sim/faults", &Value::Null);
    floor.is_ready("afterwards");
    end(floor);
}

#[test]
fn an_account_that_cannot_be_looked_at_is_told_as_unreconciled_until_it_was() {
    let floor = Floor::start("", &[]);
    floor.is_ready("at first");
    for path in ["/fapi/v1/openOrders", "/fapi/v3/positionRisk"] {
        let fault = json!({"kind": "unavailable", "target": {"path": path}});
        floor.sim("POST", "/sim/faults", &fault);
    }
    floor.sim("POST", "/sim/disconnect", &json!({"target": {"route": "private"}}));
    // The stream is up again; what the account holds is still not known.
    floor.readiness("unreconciled alone", |status, reasons| {
        status == 503 && *reasons == [json!("unreconciled")]
    });
    floor.sim("DELETE", "/sim/faults", &Value::Null);
    floor.is_ready("afterwards");
    end(floor);
}

#[test]
fn a_model_whose_file_changes_under_the_session_is_unverified_until_it_is_what_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let models = dir.path().join("models");
    champion(&models);
    let quoted = format!("\"{}\"", text(&models));
    let floor = Floor::start("", &[("model", "dir", quoted.as_str())]);
    floor.is_ready("at first");
    let file = models.join("quick-1/model.onnx");
    let sound = std::fs::read(&file).unwrap();
    let mut other = sound.clone();
    let middle = other.len() / 2;
    other[middle] ^= 1;
    std::fs::write(&file, other).unwrap();
    floor.is_not_ready("model_unverified");
    let (_, models) = floor.get("/api/v1/models").unwrap();
    let models: Value = serde_json::from_str(&models).unwrap();
    assert_eq!(models[0]["verified"], false, "{models}");
    let (_, metrics) = floor.get("/metrics").unwrap();
    assert!(metrics.contains("peregrine_model_verified{version=\"quick-1\"} 0"), "{metrics}");
    std::fs::write(&file, sound).unwrap();
    floor.is_ready("afterwards");
    end(floor);
}

#[test]
fn a_symbols_own_model_whose_file_changes_is_unverified_by_its_name_until_it_is_what_it_was() {
    let models = Models::new(&[&leaning("own", "imbalance_1", 1.0)]);
    let quoted = format!("\"{}\"", text(models.dir.path()));
    let own = "{ ETHUSDT = \"own\" }";
    let floor = Floor::start("", &[("model", "dir", quoted.as_str()), ("model", "own", own)]);
    floor.is_ready("at first");
    let file = models.file("own", "model.onnx");
    tamper(&file);
    floor.is_not_ready("model_unverified");
    let page = |path: &str| floor.get(path).unwrap().1;
    let json = |path: &str| serde_json::from_str::<Value>(&page(path)).unwrap();
    assert_eq!(json("/readiness")["models_unverified"], json!(["own"]));
    let told = json("/api/v1/models");
    let [champion, own] = &told.as_array().unwrap()[..] else { panic!("{told}") };
    assert_eq!((&champion["verified"], &champion["symbols"]), (&json!(true), &json!([])));
    assert_eq!((&own["stage"], &own["symbols"]), (&json!("own"), &json!(["ETHUSDT"])));
    assert_eq!((&own["version"], &own["verified"]), (&json!("own"), &json!(false)));
    let metrics = page("/metrics");
    let line =
        |version, value| format!("peregrine_model_verified{{version=\"{version}\"}} {value}");
    assert!(metrics.contains(&line("own", 0)) && metrics.contains(&line("synthetic-1", 1)));
    tamper(&file);
    floor.is_ready("afterwards");
    assert_eq!(json("/readiness")["models_unverified"], json!([]));
    end(floor);
}

#[test]
fn clocks_that_are_apart_are_told_until_they_agree() {
    let floor = Floor::start("", CLOCK);
    floor.is_ready("at first");
    // Above what reduces, 250 ms, and below what halts, 500 ms.
    floor.sim("POST", "/sim/faults", &json!({"kind": "clock_skew", "ms": 350}));
    floor.readiness("the clock alone", |status, reasons| {
        status == 503 && *reasons == [json!("clock_off")]
    });
    floor.sim("DELETE", "/sim/faults", &Value::Null);
    floor.is_ready("afterwards");
    end(floor);
}

#[test]
fn a_halt_is_told_until_an_operator_arms() {
    let floor = Floor::start("", CLOCK);
    floor.is_ready("at first");
    floor.sim("POST", "/sim/faults", &json!({"kind": "clock_skew", "ms": 700}));
    floor.is_not_ready("halted");
    floor.sim("DELETE", "/sim/faults", &Value::Null);
    floor.readiness("the halt alone, when its cause has gone", |status, reasons| {
        status == 503 && *reasons == [json!("halted")]
    });
    let request =
        Request { verb: "arm".to_owned(), mode: None, reason: Some("clocks compared".to_owned()) };
    look("the order to go on", || admin::ask(floor.session.state(), &request));
    floor.is_ready("afterwards");
    end(floor);
}
