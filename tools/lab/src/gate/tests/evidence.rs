//! Evidence of something else, or that was changed, gives no decision at all.

use super::Reports;
use serde_json::{Value, json};
use std::fs;

/// What is done to the evidence, the file that is named, and what is said.
type Harm = (fn(&mut Reports), &'static str, &'static str);

const HARMS: [Harm; 18] = [
    (|r| r.walk["kind"] = json!("stress"), "walk_forward.json", "kind"),
    (|r| r.walk["schema"] = json!(2), "walk_forward.json", "schema"),
    (|r| r.walk["data_manifest_sha256"] = other(), "walk_forward.json", "data_manifest_sha256"),
    (|r| r.walk["data_manifest_sha256"] = Value::Null, "walk_forward.json", "data_manifest_sha256"),
    (|r| r.walk["training_sha256"] = other(), "walk_forward.json", "training_sha256"),
    (|r| r.walk["training_sha256"] = Value::Null, "walk_forward.json", "training_sha256"),
    (|r| r.walk["model_sha256"] = other(), "walk_forward.json", "model_sha256"),
    (|r| r.stress["model_sha256"] = other(), "stress.json", "model_sha256"),
    (|r| r.stress["model_sha256"] = Value::Null, "stress.json", "model_sha256"),
    (|r| r.stress["data_manifest_sha256"] = other(), "stress.json", "data_manifest_sha256"),
    (|r| r.held["model_sha256"] = other(), "hold_out.json", "model_sha256"),
    (|r| r.held["data_manifest_sha256"] = other(), "hold_out.json", "data_manifest_sha256"),
    (|r| r.stress["scenarios"][0]["name"] = json!("../x"), "stress.json", "scenarios"),
    (|r| r.walk["files"]["wfv_report.md"] = other(), "walk_forward.json", "files.wfv_report.md"),
    (|r| r.walk["files"]["gone.md"] = other(), "walk_forward.json", "files.gone.md"),
    (|r| r.walk["files"]["/etc/passwd"] = other(), "walk_forward.json", "not inside"),
    (|r| r.walk["files"]["../wfv_report.md"] = other(), "walk_forward.json", "not inside"),
    (|r| r.walk["files"] = json!(["wfv_report.md"]), "walk_forward.json", "files"),
];

fn other() -> Value {
    json!("0".repeat(64))
}

#[test]
fn evidence_of_another_model_other_data_or_another_kind_is_refused_by_file_and_key() {
    for (harm, file, told) in HARMS {
        let mut reports = Reports::good();
        harm(&mut reports);
        let refused = reports.decide().unwrap_err().to_string();
        assert!(refused.contains(file) && refused.contains(told), "{told}: {refused}");
    }
}

#[test]
fn a_report_that_was_changed_after_its_evidence_was_written_is_refused() {
    let reports = Reports::good();
    let decision = reports.decide().unwrap();
    assert_eq!(decision.evidence.len(), 4, "three files and the report");
    assert!(crate::gate::check_evidence(&decision, reports.path()).is_ok());
    fs::write(reports.path().join("wfv_report.md"), "ten folds.\n").unwrap();
    let refused = reports.decide().unwrap_err().to_string();
    assert!(refused.contains("files.wfv_report.md: was changed"), "{refused}");
    let later = crate::gate::check_evidence(&decision, reports.path()).unwrap_err().to_string();
    assert!(later.contains("wfv_report.md: was changed"), "{later}");
}

#[test]
fn evidence_that_is_no_json_is_refused() {
    let reports = Reports::good();
    reports.decide().unwrap();
    for text in ["", "{", "{\"pbo\": NaN}", "{\"pbo\": 1e999}"] {
        fs::write(reports.path().join("stress.json"), text).unwrap();
        let shipped = super::shipped();
        let read = crate::gate::decide(&reports.model, reports.path(), &shipped, 0);
        let refused = read.unwrap_err().to_string();
        assert!(refused.contains("stress.json"), "{refused}");
    }
}

#[test]
fn a_model_whose_card_tells_no_training_is_matched_with_no_validation() {
    let reports = Reports::good();
    reports.decide().unwrap();
    let decide = || super::decide(&super::model(), reports.path(), &super::shipped(), 0);
    let refused = decide().unwrap_err().to_string();
    assert!(refused.contains("walk_forward.json: training_sha256: cannot be"), "{refused}");
    // Without a validation there is nothing to match, and nobody goes.
    fs::remove_file(reports.path().join("walk_forward.json")).unwrap();
    let decision = decide().unwrap();
    assert!(decision.failed().any(|criterion| criterion.name == "significance.dsr_min"));
}
