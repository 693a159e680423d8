//! Trains on a table read from standard input and prints figures of its test rows as JSON.
//! Driven by `parity/published.py`, which says the format.

use peregrine_lab::gbdt::{Objective, Params, Table, train};
use peregrine_lab::metrics::{accuracy, log_loss};
use serde_json::{Value, json};

fn main() -> anyhow::Result<()> {
    let job: Value = serde_json::from_reader(std::io::stdin())?;
    let number = |key: &str| job[key].as_u64().unwrap_or(0) as usize;
    let (classes, features) = (number("classes"), number("features"));
    let list = |key: &str| -> Vec<f64> {
        job[key].as_array().into_iter().flatten().filter_map(Value::as_f64).collect()
    };
    let (values, targets) = (list("values"), list("targets"));
    let mut parts = [0; 2].map(|_| Table { features, ..Table::default() });
    for (row, &target) in targets.iter().enumerate() {
        let part = &mut parts[usize::from(row % 5 == 0)];
        let cells = &values[row * features..(row + 1) * features];
        part.values.extend(cells.iter().map(|&cell| cell as f32));
        part.targets.push(target);
    }
    let [fit, test] = parts;
    let objective = if classes > 0 { Objective::Softmax { classes } } else { Objective::Squared };
    let forest = train(&Params::new(objective), &fit, None, &mut |_, _| {})?.forest;
    if classes == 0 {
        let squares = (0..test.rows())
            .map(|row| (forest.scores(test.row(row))[0] - test.targets[row]).powi(2));
        let rmse = (squares.sum::<f64>() / test.rows() as f64).sqrt();
        println!("{}", json!({ "rmse": rmse }));
        return Ok(());
    }
    let answers: Vec<Vec<f64>> =
        (0..test.rows()).map(|row| forest.probabilities(test.row(row))).collect();
    let labels: Vec<usize> = test.targets.iter().map(|&target| target as usize).collect();
    let figures =
        json!({ "accuracy": accuracy(&answers, &labels), "log_loss": log_loss(&answers, &labels) });
    println!("{figures}");
    Ok(())
}
