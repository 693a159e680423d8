//! Signatures of versions.

use super::{again, change, key, staged};
use crate::registry::{Action, RegistryError};

#[test]
fn a_signed_version_is_vouched_for_by_that_key_and_no_other() {
    let (root, mut registry) = staged(&["v1", "v2"]);
    let ((ours, public), (_, other)) = (key(root.path(), "ours"), key(root.path(), "theirs"));
    assert_eq!(registry.sign("v1", &ours, change("looked at")).unwrap(), public);
    assert!(registry.sign("v1", &ours, change("again")).is_err());
    let registry = again(&root);
    assert_eq!(registry.unsigned(None).unwrap(), []);
    let told = |keys: &[crate::registry::seal::PublicKey]| {
        let problems = registry.unsigned(Some(keys)).unwrap();
        problems.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let by_nobody = |version| format!("registry.json: {version} is signed by no trusted key");
    assert_eq!(told(&[public]), [by_nobody("v2")]);
    assert_eq!(told(&[other]), [by_nobody("v1"), by_nobody("v2")]);
    let last = registry.history().last().unwrap();
    assert_eq!((last.action, last.version.as_str()), (Action::Signed, "v1"));
    assert_eq!(last.papers[0].key.as_deref(), Some(public.hex().as_str()));
}

#[test]
fn a_signature_says_what_openssl_would_say() {
    let (root, mut registry) = staged(&["v1"]);
    let (ours, public) = key(root.path(), "ours");
    registry.sign("v1", &ours, change("looked at")).unwrap();
    let record = registry.show("v1").unwrap();
    let signature = &record.signatures[0].signature;
    let statement = record.statement("v1");
    assert!(public.verifies(statement.as_bytes(), signature));
    assert!(statement.contains(record.file_sha256("model.onnx")));
    assert!(!public.verifies(record.statement("v2").as_bytes(), signature));
}

#[test]
fn a_changed_removed_or_added_signature_is_seen_when_the_registry_is_opened() {
    let (root, mut registry) = staged(&["v1"]);
    let (ours, public) = key(root.path(), "ours");
    registry.sign("v1", &ours, change("looked at")).unwrap();
    let path = root.path().join("models/registry.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let signature = registry.show("v1").unwrap().signatures[0].signature.clone();
    let flipped =
        signature.replacen(&signature[..1], if signature.starts_with('0') { "1" } else { "0" }, 1);
    let whole: serde_json::Value = serde_json::from_str(&text).unwrap();
    let with = |signatures: serde_json::Value| {
        let mut edited = whole.clone();
        edited["models"]["v1"]["signatures"] = signatures;
        edited.to_string()
    };
    let one = whole["models"]["v1"]["signatures"][0].clone();
    let edits = [
        text.replace(&signature, &flipped),
        text.replacen(&public.hex(), &"0".repeat(64), 1),
        with(serde_json::json!([])),
        with(serde_json::json!([one, one])),
    ];
    for edited in edits {
        assert_ne!(edited, text);
        std::fs::write(&path, edited).unwrap();
        let refused = crate::registry::Registry::open(&root.path().join("models")).unwrap_err();
        assert!(matches!(refused, RegistryError::Broken { .. }), "{refused}");
        assert!(refused.to_string().contains("v1") || refused.to_string().contains("history"));
    }
}

#[test]
fn what_is_not_what_was_registered_is_not_signed() {
    let (root, mut registry) = staged(&["v1"]);
    let (ours, _) = key(root.path(), "ours");
    std::fs::write(root.path().join("models/v1/model.onnx"), b"other").unwrap();
    let refused = registry.sign("v1", &ours, change("x")).unwrap_err().to_string();
    assert!(refused.contains("v1/model.onnx"), "{refused}");
}
