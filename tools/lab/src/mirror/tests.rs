//! Settings, names, and what an earlier form of a run leaves in a later one.

use super::client::escaped;
use super::item::{Artifact, Kind, Run, plain, shortened};
use super::send::store_of;
use super::settings::Settings;

const SHIPPED: &str = include_str!("../../../../config/mirror.toml");

#[test]
fn values_out_of_range_and_unknown_keys_are_all_told_by_name() {
    assert!(Settings::parse(SHIPPED).is_ok());
    let wrong = SHIPPED
        .replace("request_s = 30", "request_s = 0")
        .replace("every_s = 15", "every_s = 3601")
        .replace("model = \"peregrine\"", "model = \"it's\"")
        .replace("http://127.0.0.1:5000", "ftp://127.0.0.1");
    let told = Settings::parse(&wrong).expect_err("it is refused").to_string();
    for name in ["server.url", "server.request_s", "watch.every_s", "names.model"] {
        assert!(told.contains(name), "{name} in {told}");
    }
    assert!(!told.contains("names.experiment"), "{told}");
    let unknown = SHIPPED.replace("request_s = 30", "request_s = 30\npassword = \"x\"");
    assert!(Settings::parse(&unknown).is_err(), "a password has no place in the file");
}

#[test]
fn an_address_in_the_servers_own_store_is_a_folder_and_others_are_none() {
    let folder = |uri: &str| store_of(uri);
    assert_eq!(folder("mlflow-artifacts:/1/ab/artifacts").as_deref(), Some("1/ab/artifacts"));
    assert_eq!(folder("mlflow-artifacts://host:5000/1/ab").as_deref(), Some("1/ab"));
    assert_eq!(folder("s3://bucket/1/ab/artifacts"), None);
    assert_eq!(folder("/srv/mlruns/1/ab"), None);
}

#[test]
fn names_and_values_are_such_as_the_server_takes() {
    assert_eq!(plain("criterion.scenario.spread-x10 %"), "criterion.scenario.spread-x10 _");
    assert_eq!(escaped("1/a b/x?y#z%.md"), "1/a%20b/x%3Fy%23z%25.md");
    assert_eq!(shortened(&"ü".repeat(9_000)).chars().count(), 4_901);
    assert_eq!(shortened("short"), "short");
}

#[test]
fn what_waits_already_is_not_lost_when_its_source_tells_less() {
    let mut whole = Run::new(Kind::Version, "k".to_owned(), "v", 1);
    whole.param("seed", 7);
    whole.metric("loss", Some(1.5), (1, 0));
    whole.metric("no number", Some(f64::NAN), (1, 0));
    let file = |path: &str, sha256: &str| Artifact {
        path: path.to_owned(),
        sha256: sha256.to_owned(),
        bytes: 1,
    };
    whole.artifacts = vec![file("model", "a"), file("card", "b")];
    let mut less = Run::new(Kind::Version, "k".to_owned(), "v", 1);
    less.artifacts = vec![file("card", "c")];
    less.absorb(&whole);
    assert_eq!(less.params, whole.params);
    assert_eq!(less.metrics, whole.metrics);
    assert_eq!(less.artifacts, [file("card", "c"), file("model", "a")]);
    assert_eq!(whole.metrics.len(), 1);
    let later = Run { at_ms: (9, 9), ..whole.clone() };
    assert_eq!(later.digest(), whole.digest(), "when it was is no part of what it is");
    assert_ne!(less.digest(), whole.digest());
}
