//! Keys and signatures.

use super::key;
use crate::registry::seal::{PublicKey, SealError, Sealed, SigningKey, read_signed, sign_file};
use serde_json::json;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// RFC 8032, section 7.1, test 2: key, message, signature.
const RFC_KEY: &str = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
const RFC_TEXT: &str = "r";
const RFC_SIGNATURE: &str = "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
                             085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00";

#[test]
fn a_signature_of_the_standard_s_vectors_is_taken_beside_its_file_and_no_other_text() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("text");
    let signature = json!({"public_key": RFC_KEY, "signature": RFC_SIGNATURE}).to_string();
    fs::write(dir.path().join("text.sig"), signature).unwrap();
    fs::write(&path, RFC_TEXT).unwrap();
    let trusted = [PublicKey::from_hex(RFC_KEY).unwrap()];
    assert_eq!(read_signed(&path, &trusted).unwrap().0, RFC_TEXT);
    for other in ["s", "", "r\n"] {
        fs::write(&path, other).unwrap();
        let refused = read_signed(&path, &trusted).unwrap_err();
        assert!(matches!(refused, SealError::Broken { .. }), "{other:?}: {refused}");
    }
}

#[test]
fn no_byte_of_a_sealed_file_can_be_changed_unseen() {
    let dir = tempfile::tempdir().unwrap();
    let (signing, public) = key(dir.path(), "key");
    let path = dir.path().join("sealed.json");
    let body = json!({"b": 0.1, "a": [1, null, "x"], "kind": "test"});
    let text = Sealed::new(&body, &signing).unwrap().text().unwrap();
    fs::write(&path, &text).unwrap();
    let (sealed, by) = Sealed::read(&path, &[public]).unwrap();
    assert_eq!((sealed.body(), by), (r#"{"a":[1,null,"x"],"b":0.1,"kind":"test"}"#, public));
    for at in 0..text.len() - 1 {
        let mut changed = text.clone().into_bytes();
        changed[at] ^= 1;
        fs::write(&path, &changed).unwrap();
        let read = Sealed::read(&path, &[public]);
        assert!(read.is_err(), "{}", String::from_utf8_lossy(&changed));
    }
    fs::write(&path, text.replace(r#""b":0.1"#, r#""b":0.10"#)).unwrap();
    assert!(Sealed::read(&path, &[public]).is_err(), "the same number in other letters");
}

#[test]
fn only_a_trusted_key_counts_however_well_another_signed() {
    let dir = tempfile::tempdir().unwrap();
    let ((ours, public), (theirs, other)) = (key(dir.path(), "ours"), key(dir.path(), "theirs"));
    let path = dir.path().join("record.toml");
    fs::write(&path, "[signoff]\n").unwrap();
    sign_file(&path, &theirs).unwrap();
    let refused = read_signed(&path, &[public]).unwrap_err().to_string();
    assert!(refused.contains("record.toml") && refused.contains(&other.fingerprint()), "{refused}");
    assert!(read_signed(&path, &[]).is_err(), "nobody is trusted until somebody is named");
    sign_file(&path, &ours).unwrap();
    assert_eq!(read_signed(&path, &[other, public]).unwrap().1, public);
    fs::remove_file(dir.path().join("record.toml.sig")).unwrap();
    let unsigned = read_signed(&path, &[public]).unwrap_err().to_string();
    assert!(unsigned.contains("record.toml.sig"), "{unsigned}");
}

#[test]
fn a_key_that_anybody_else_may_read_is_refused_and_none_is_written_over() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    let public = SigningKey::create(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    let told = fs::read_to_string(dir.path().join("key.pub")).unwrap();
    assert_eq!(PublicKey::from_hex(told.trim()), Some(public));
    for bit in [0o040, 0o020, 0o010, 0o004, 0o002, 0o001] {
        fs::set_permissions(&path, Permissions::from_mode(0o600 | bit)).unwrap();
        let refused = SigningKey::read(&path).unwrap_err();
        assert!(matches!(refused, SealError::Exposed { .. }), "{bit:o}: {refused}");
    }
    fs::set_permissions(&path, Permissions::from_mode(0o400)).unwrap();
    assert_eq!(SigningKey::read(&path).unwrap().public(), public);
    assert!(SigningKey::create(&path).is_err(), "it is there");
    let private = fs::read_to_string(&path).unwrap();
    let shown = format!("{:?}", SigningKey::read(&path).unwrap());
    assert!(private.lines().all(|line| !shown.contains(line)), "{shown}");
}

/// What openssl answers; `None` where it is not installed.
fn openssl(words: &[&str]) -> Option<Vec<u8>> {
    let output = Command::new("openssl").args(words).output().ok()?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(output.stdout)
}

#[test]
fn openssl_reads_the_key_and_agrees_on_the_signature() {
    let dir = tempfile::tempdir().unwrap();
    let (signing, public) = key(dir.path(), "key");
    let name = |file: &str| dir.path().join(file).to_str().unwrap().to_owned();
    let (private, der) = (name("key"), ["pkey", "-pubout", "-outform", "DER", "-in"]);
    let Some(public_der) = openssl(&[&der[..], &[&private]].concat()) else {
        println!("openssl is not installed: nothing was compared");
        return;
    };
    assert_eq!(crate::model::artifact::hex(&public_der[public_der.len() - 32..]), public.hex());
    let sealed = Sealed::new(&json!({"kind": "test"}), &signing).unwrap();
    fs::write(Path::new(&name("body")), sealed.body()).unwrap();
    let words = ["pkeyutl", "-sign", "-rawin", "-inkey", &private, "-in", &name("body")];
    let theirs = openssl(&words).unwrap();
    assert_eq!(crate::model::artifact::hex(&theirs), sealed.signature());
}
