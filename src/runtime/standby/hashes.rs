//! What the nodes of a group must have in common before any of them may lead: the program, the
//! configuration but for what is a node's own, and the models.

use crate::model::artifact::hex;
use crate::runtime::config::Loaded;
use crate::runtime::own;
use crate::runtime::revert::start;
use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use toml::{Table, Value};

/// Keys that are a node's own.
const OWN: [(&str, &str); 8] = [
    ("standby", "node"),
    ("standby", "endpoints"),
    ("session", "state_dir"),
    ("model", "dir"),
    ("rollback", "gates"),
    ("shadow", "gates"),
    ("http", "bind"),
    ("topology", "cores"),
];

/// The models that a group agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreed {
    /// Hash of the one that `model.version` stands for.
    pub model: [u8; 32],
    /// Hash of those that symbols have of their own.
    pub own: [u8; 32],
}

/// The hashes as one text, and the models' alone.
///
/// # Errors
/// When the program or a model cannot be read.
pub fn of(loaded: &Loaded) -> Result<(String, Agreed)> {
    let program = std::fs::read("/proc/self/exe").context("the program's own file")?;
    let program: [u8; 32] = Sha256::digest(&program).into();
    let files = start::files(&loaded.settings)?;
    let card: [u8; 32] = Sha256::digest(files.card_text.as_bytes()).into();
    let config = of_config(&loaded.text)?;
    let [program, config, card] = [program, config, card].map(|hash| hex(&hash));
    let model = hex(&files.sha256);
    let own = own::hash(&own::files(&loaded.settings)?);
    let own_models = hex(&own);
    let text = format!(
        "program {program} configuration {config} model {model} card {card} own {own_models}"
    );
    Ok((text, Agreed { model: files.sha256, own }))
}

/// Of the configuration without what is a node's own; the order of its keys does not matter.
fn of_config(text: &str) -> Result<[u8; 32]> {
    let mut document: Table = text.parse().context("the configuration")?;
    for (section, key) in OWN {
        if let Some(Value::Table(table)) = document.get_mut(section) {
            table.remove(key);
        }
    }
    let mut lines = Vec::new();
    flatten("", &Value::Table(document), &mut lines);
    lines.sort();
    Ok(Sha256::digest(lines.join("\n").as_bytes()).into())
}

fn flatten(path: &str, value: &Value, lines: &mut Vec<String>) {
    match value {
        Value::Table(table) => {
            for (key, value) in table {
                flatten(&format!("{path}.{key}"), value, lines);
            }
        }
        other => lines.push(format!("{path} = {other}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::{Change, Registry};
    use crate::runtime::config;

    #[test]
    fn fault_h08_another_limit_is_another_configuration_and_another_node_is_not() {
        let own =
            "[standby]\nnode = \"a\"\ngroup = \"g\"\n[session]\nstate_dir = \"x\"\nseed = 1\n";
        let hash = |text: &str| of_config(text).unwrap();
        let other = own.replace("\"a\"", "\"b\"").replace("\"x\"", "\"y\"");
        assert_eq!(hash(own), hash(&other));
        let turned = "[session]\nseed = 1\n[standby]\ngroup = \"g\"\nnode = \"c\"\n";
        assert_eq!(hash(own), hash(turned), "the order of keys does not matter");
        for (from, to) in [("seed = 1", "seed = 2"), ("\"g\"", "\"h\"")] {
            assert_ne!(hash(own), hash(&own.replace(from, to)), "{from}");
        }
        assert_ne!(hash(own), hash(&format!("{own}[risk]\nday_loss = 1\n")));
    }

    #[test]
    fn another_model_of_a_symbols_own_is_another_group() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let loaded = config::load(&root.join("config/paper.toml")).unwrap();
        let path = |path: std::path::PathBuf| Value::String(path.display().to_string());
        let dir = tempfile::tempdir().unwrap();
        let own: Table = "ETHUSDT = \"other\"".parse().unwrap();
        let node = |name: &str, threshold: &str| {
            // The same version, of the same card but for one figure.
            let (models, made) = (dir.path().join(name), dir.path().join(format!("{name}/other")));
            std::fs::create_dir_all(&made).unwrap();
            let from = root.join("models_saved/synthetic-1");
            let card = std::fs::read_to_string(from.join("card.toml")).unwrap();
            let card = card.replacen("\"synthetic-1\"", "\"other\"", 1);
            assert!(card.contains("threshold_bps = 0.7"));
            let card = card.replace("threshold_bps = 0.7", threshold);
            std::fs::write(made.join("card.toml"), card).unwrap();
            std::fs::copy(from.join("model.onnx"), made.join("model.onnx")).unwrap();
            let change = || {
                let (by, reason) = ("a test".to_owned(), "a node".to_owned());
                Change { at_ms: 1, by, reason, evidence_sha256: None }
            };
            let mut registry = Registry::create(&models).unwrap();
            registry.register(&from, None, change()).unwrap();
            registry.crown_first("synthetic-1", change()).unwrap();
            registry.register(&made, None, change()).unwrap();
            let values = [
                ("session", "state_dir", path(dir.path().to_owned())),
                ("model", "dir", path(models)),
                ("model", "own", Value::Table(own.clone())),
            ];
            of(&config::with_values(&loaded, &values).unwrap()).unwrap()
        };
        let (first, same) = (node("a", "threshold_bps = 0.7"), node("b", "threshold_bps = 0.7"));
        assert_eq!(first, same);
        let other = node("c", "threshold_bps = 0.8");
        assert_ne!(first.0, other.0, "what a node campaigns with");
        assert_eq!(first.1.model, other.1.model, "the pooled one is the same");
        assert_ne!(first.1.own, other.1.own, "what it looks at again before it trades");
    }
}
