//! What a training is: all of a configuration that decides what is learned from the data.

use super::config::Config;
use peregrine::model::artifact::{hex, sha256};
use serde_json::{Value, json};

/// Keys that decide on judging, trading and counting alone. Whatever is not named here counts as
/// training, so that a key that comes later makes another training until it is named.
const OF_JUDGING: [&str; 9] = [
    "/period_ms",
    "/trials_before",
    "/policy",
    "/folds/count",
    "/folds/train_share",
    "/folds/embargo_bars",
    "/folds/groups",
    "/folds/tested",
    "/folds/blocks",
];

/// SHA-256 that stands for the training of trees of `depth`: rows, labels with their costs, what
/// stops and calibrates, trees, seed. A version's card names that of its model, a validation that
/// of the trial it judged.
pub fn training_hash(config: &Config, depth: usize) -> String {
    let mut told = serde_json::to_value(config).unwrap_or_default();
    for path in OF_JUDGING {
        let (parent, key) = path.rsplit_once('/').unwrap_or(("", path));
        if let Some(Value::Object(table)) = told.pointer_mut(parent) {
            table.remove(key);
        }
    }
    told["trees"]["depths"] = json!([depth]);
    hex(&sha256(told.to_string().as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_learned_makes_another_training_and_what_judges_it_does_not() {
        let usual = Config::default();
        let hash = training_hash(&usual, 3);
        let mut judged = usual.clone();
        judged.period_ms = 1;
        judged.trials_before = 9;
        judged.policy.enter_edges = vec![0.9];
        judged.folds.count = 2;
        judged.folds.train_share = 0.8;
        judged.folds.embargo_bars = 1;
        judged.folds.groups = 0;
        judged.folds.blocks = 2;
        judged.trees.depths = vec![7, 3];
        assert_eq!(training_hash(&judged, 3), hash);
        assert_ne!(training_hash(&usual, 5), hash);
        let learned: [fn(&mut Config); 9] = [
            |config| config.seed += 1,
            |config| config.from_ms = Some(1),
            |config| config.rows.every_bars += 1,
            |config| config.rows.features.push("rsi_14".to_owned()),
            |config| config.label.horizon_bars += 1,
            |config| config.costs.taker_fee_bps += 1.0,
            |config| config.folds.stop_share += 0.01,
            |config| config.trees.rounds += 1,
            |config| config.trees.row_share = 0.5,
        ];
        for (at, change) in learned.iter().enumerate() {
            let mut other = usual.clone();
            change(&mut other);
            assert_ne!(training_hash(&other, 3), hash, "change {at}");
        }
    }
}
