//! Against what LightGBM, XGBoost and scikit-learn made of the same rows; see
//! `parity/reference.py`.

use peregrine_lab::gbdt::{Forest, Objective, Params, Table, train};
use peregrine_lab::learn::weigh;
use peregrine_lab::metrics::{accuracy, auc_one_vs_rest, log_loss};
use serde_json::Value;
use std::path::PathBuf;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("parity")
}

fn reference() -> Value {
    let text = std::fs::read_to_string(folder().join("reference.json")).expect("a recording");
    serde_json::from_str(&text).expect("JSON")
}

fn number(value: &Value, path: &str) -> f64 {
    value.pointer(path).and_then(Value::as_f64).unwrap_or_else(|| panic!("no {path}"))
}

/// All rows of a data set.
fn data(name: &str) -> Table {
    let text = std::fs::read_to_string(folder().join(format!("{name}.csv"))).expect("data");
    let mut table = Table::default();
    for line in text.lines() {
        let cells: Vec<&str> = line.split(',').collect();
        let (target, features) = cells.split_last().expect("cells");
        table.features = features.len();
        table.values.extend(features.iter().map(|cell| cell.parse::<f32>().expect("a number")));
        table.targets.push(target.parse().expect("a number"));
    }
    table
}

/// Rows to learn from, and every fifth to be judged on.
fn parts(table: &Table) -> (Table, Table) {
    let mut parts = [0; 2].map(|_| Table { features: table.features, ..Table::default() });
    for row in 0..table.rows() {
        let part = &mut parts[usize::from(row % 5 == 0)];
        part.values.extend_from_slice(table.row(row));
        part.targets.push(table.targets[row]);
    }
    let [fit, test] = parts;
    (fit, test)
}

fn grown(params: &Params, table: &Table) -> Forest {
    train(params, table, None, &mut |_, _| {}).expect("a usable table").forest
}

/// At least as good as the worst of the three, but for one row; log-loss within 15 % of it, area
/// within 0.01.
#[test]
fn classes_are_told_as_well_as_by_lightgbm_xgboost_and_scikit_learn() {
    let reference = reference();
    for name in ["wine", "breast_cancer", "iris"] {
        let (fit, test) = parts(&data(name));
        let classes = fit.targets.iter().fold(0.0_f64, |most, &y| most.max(y)) as usize + 1;
        let forest = grown(&Params::new(Objective::Softmax { classes }), &fit);
        let said: Vec<Vec<f64>> =
            (0..test.rows()).map(|row| forest.probabilities(test.row(row))).collect();
        let labels: Vec<usize> = test.targets.iter().map(|&y| y as usize).collect();
        let theirs = |figure: &str| {
            ["lightgbm", "xgboost", "histgradientboosting"]
                .map(|library| number(&reference, &format!("/classes/{name}/{library}/{figure}")))
        };
        let lowest = theirs("accuracy").into_iter().fold(1.0, f64::min);
        let found = accuracy(&said, &labels);
        let one_row = 1.0 / test.rows() as f64;
        assert!(found >= lowest - one_row - 1e-9, "{name}: {found} of {lowest} are right");
        let highest = theirs("log_loss").into_iter().fold(0.0, f64::max);
        let found = log_loss(&said, &labels);
        println!("{name}: log-loss {found:.4}, theirs {:?}", theirs("log_loss"));
        assert!(found <= 1.15 * highest, "{name}: log-loss {found}, theirs {highest}");
        let lowest = theirs("auc").into_iter().fold(1.0, f64::min);
        let found = auc_one_vs_rest(&said, &labels, classes).expect("all classes occur");
        assert!(found >= lowest - 0.01, "{name}: area {found}, theirs {lowest}");
    }
}

/// With two classes a tree a class, twice the second derivative and twice the penalty, the
/// difference of our scores is LightGBM's score of its one tree.
#[test]
fn scores_of_every_row_are_those_of_lightgbm_where_both_ask_the_same() {
    let reference = reference();
    for name in ["wine", "iris"] {
        let path = format!("/same_trees/{name}");
        let yes = number(&reference, &format!("{path}/yes"));
        let mut table = data(name);
        table.targets.iter_mut().for_each(|target| *target = f64::from(u8::from(*target == yes)));
        let (fit, _) = parts(&table);
        let params = Params {
            rounds: number(&reference, &format!("{path}/rounds")) as usize,
            leaves_max: number(&reference, &format!("{path}/leaves")) as usize,
            lambda: 2.0,
            leaf_rows_min: 1,
            leaf_weight_min: 2.0,
            ..Params::new(Objective::Softmax { classes: 2 })
        };
        let forest = grown(&params, &fit);
        let theirs = reference.pointer(&format!("{path}/scores")).and_then(Value::as_array);
        let mut worst = 0.0_f64;
        for (row, theirs) in theirs.expect("scores").iter().enumerate() {
            let scores = forest.scores(fit.row(row));
            let theirs = theirs.as_f64().expect("a number");
            worst = worst.max((scores[1] - scores[0] - theirs).abs());
        }
        println!("{name}: worst difference of a score {worst:.2e}");
        assert!(worst < 1e-6, "{name}: a score differs by {worst}");
    }
}

/// Within 3 %.
#[test]
fn numbers_are_foretold_as_well_as_by_lightgbm() {
    let (fit, test) = parts(&data("diabetes"));
    let reference = reference();
    let rounds = number(&reference, "/squared/diabetes/rounds") as usize;
    let forest = grown(&Params { rounds, ..Params::new(Objective::Squared) }, &fit);
    let square = |row: usize| (forest.scores(test.row(row))[0] - test.targets[row]).powi(2);
    let rmse = ((0..test.rows()).map(square).sum::<f64>() / test.rows() as f64).sqrt();
    let theirs = number(&reference, "/squared/diabetes/rmse");
    println!("diabetes: {rmse:.3}, theirs {theirs:.3}");
    assert!((rmse / theirs - 1.0).abs() < 0.03, "{rmse} against {theirs}");
}

/// Pinball loss at most 10 % higher, coverage within 0.07: LightGBM interpolates between two
/// residuals of a leaf, here the one that reaches the level is taken; and the test has 89 rows.
#[test]
fn quantiles_are_as_good_as_those_of_lightgbm() {
    let (fit, test) = parts(&data("diabetes"));
    let reference = reference();
    let params = Params {
        rounds: number(&reference, "/quantiles/diabetes/rounds") as usize,
        depth_max: number(&reference, "/quantiles/diabetes/depth") as usize,
        lambda: 0.0,
        ..Params::new(Objective::Quantiles { permille: [100, 500, 900] })
    };
    let forest = grown(&params, &fit);
    for (place, level) in [0.1, 0.5, 0.9].into_iter().enumerate() {
        let (mut loss, mut below) = (0.0, 0.0);
        for row in 0..test.rows() {
            let off = test.targets[row] - forest.scores(test.row(row))[place];
            loss += (level * off).max((level - 1.0) * off) / test.rows() as f64;
            below += f64::from(u8::from(off <= 0.0)) / test.rows() as f64;
        }
        let path = format!("/quantiles/diabetes/levels/{level}");
        let theirs = number(&reference, &format!("{path}/pinball"));
        let covered = number(&reference, &format!("{path}/coverage"));
        println!("{level}: {loss:.4} covers {below:.3}, theirs {theirs:.4} {covered:.3}");
        assert!(loss < 1.1 * theirs, "level {level}: {loss} against {theirs}");
        assert!((below - covered).abs() < 0.07, "level {level}: covers {below}, {covered}");
    }
}

#[test]
fn weights_of_models_are_those_of_scikit_learns_logistic_regression() {
    let table = data("iris");
    let reference = reference();
    let inputs: Vec<Vec<f64>> = (0..table.rows())
        .map(|row| table.row(row).iter().map(|&x| f64::from(x)).collect())
        .collect();
    let labels: Vec<usize> = table.targets.iter().map(|&y| y as usize).collect();
    let pull = number(&reference, "/weights/iris/pull");
    let found = weigh(&inputs, (&labels, &vec![1.0; labels.len()]), pull, &[0.0; 15]);
    let theirs = reference.pointer("/weights/iris/weights").and_then(Value::as_array);
    for (place, (found, theirs)) in found.iter().zip(theirs.expect("weights")).enumerate() {
        let theirs = theirs.as_f64().expect("a number");
        assert!((found - theirs).abs() < 1e-5, "weight {place}: {found} is not {theirs}");
    }
}
