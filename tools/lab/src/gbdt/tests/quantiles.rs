//! Quantiles: closed forms, the definition, and a family whose quantiles are known.

use super::*;
use crate::statistics::normal_quantile;
use proptest::prelude::*;

const DECILES: Objective = Objective::Quantiles { permille: [100, 500, 900] };

#[test]
fn a_leaf_holds_the_quantiles_of_its_rows() {
    // Two groups told apart by the feature: 0 to 10 and 100 to 200 in tens.
    let mut table = table_of(1);
    for step in 0..11 {
        table.values.extend([0.0, 1.0]);
        table.targets.extend([f64::from(step), 100.0 + 10.0 * f64::from(step)]);
    }
    let params = Params {
        rounds: 1,
        learning_rate: 1.0,
        leaf_rows_min: 1,
        leaves_max: 2,
        ..Params::new(DECILES)
    };
    let forest = grown(&params, &table).forest;
    // A tenth of eleven rows is reached by the second, a half by the sixth, nine by the tenth.
    for (x, expected) in [(0.0, [1.0, 5.0, 9.0]), (1.0, [110.0, 150.0, 190.0])] {
        for (found, expected) in forest.quantiles(&[x]).iter().zip(expected) {
            assert!((found - expected).abs() < 1e-5, "{x}: {found} is not {expected}");
        }
    }
}

/// y = x + (0.1 + x)·z with z normal: its quantiles are known at every x.
fn fan(rows: usize, seed: u64) -> Table {
    let mut draw = lcg(seed);
    let mut table = table_of(2);
    for _ in 0..rows {
        let (x, other) = (draw(), draw());
        table.values.extend([x as f32, other as f32]);
        table.targets.push(x + (0.1 + x) * normal_quantile(draw()));
    }
    table
}

#[test]
fn known_quantiles_of_a_widening_fan_are_found_and_cover_what_they_say() {
    let (table, held, test) = (fan(12_000, 31), fan(4_000, 32), fan(8_000, 33));
    let params = Params {
        rounds: 200,
        leaf_rows_min: 150,
        patience: 20,
        depth_max: 3,
        ..Params::new(DECILES)
    };
    let forest = train(&params, &table, Some(&held), &mut |_, _| {}).expect("a table").forest;
    for (place, level) in [0.1, 0.5, 0.9].into_iter().enumerate() {
        let (mut off, mut below) = (0.0, 0.0);
        for row in 0..test.rows() {
            let x = f64::from(test.row(row)[0]);
            let said = forest.quantiles(test.row(row))[place];
            off += (said - (x + (0.1 + x) * normal_quantile(level))).abs();
            below += f64::from(u8::from(test.targets[row] <= said));
        }
        let rows = test.rows() as f64;
        assert!(off / rows < 0.06, "level {level}: off by {}", off / rows);
        assert!((below / rows - level).abs() < 0.02, "level {level}: covers {}", below / rows);
    }
}

proptest! {
    #[test]
    fn no_value_has_a_lower_pinball_loss_than_the_quantile(
        values in prop::collection::vec((-50_i32..50, 1_u8..4), 1..40),
        permille in 1_u16..1_000,
    ) {
        let level = f64::from(permille) / 1_000.0;
        let pairs: Vec<(f64, f64)> =
            values.iter().map(|&(v, w)| (f64::from(v), f64::from(w))).collect();
        let loss = |said: f64| -> f64 {
            let one = |&(came, weight): &(f64, f64)| {
                weight * (level * (came - said)).max((level - 1.0) * (came - said))
            };
            pairs.iter().map(one).sum()
        };
        let found = loss(weighted_quantile(pairs.clone(), level));
        for &(other, _) in &pairs {
            prop_assert!(found <= loss(other) + 1e-9);
        }
    }

    #[test]
    fn quantiles_of_any_row_do_not_cross(x in -3.0_f32..3.0, other in -3.0_f32..3.0) {
        // Trees of few rows cross without being put in order.
        let params = Params { rounds: 30, leaf_rows_min: 2, ..Params::new(DECILES) };
        let forest = grown(&params, &fan(60, 34)).forest;
        let said = forest.quantiles(&[x, other]);
        prop_assert!(said[0] <= said[1] && said[1] <= said[2]);
    }
}

#[test]
fn levels_that_do_not_rise_are_refused() {
    for permille in [[500, 500, 900], [0, 500, 900], [100, 500, 1_000], [900, 500, 100]] {
        let params = Params::new(Objective::Quantiles { permille });
        let refused = train(&params, &fan(100, 35), None, &mut |_, _| {});
        assert_eq!(refused, Err(TrainError::Parameter("permille")), "{permille:?}");
    }
}
