//! What a version's card holds beside figures: golden vectors, which are inputs with the answers
//! the trainer computed, and what the model was fitted on.

use crate::gbdt::{Forest, Table, softmax};
use crate::learn::{Ground, Predictor, pick};
use peregrine::model::{Golden, Training};

/// At most `count` vectors: rows spread over `rows`, with the memory they are met with; every
/// second one has a value moved onto, just below or just above a cut of the trees, where an error
/// of routing would show.
pub fn golden(
    (predictor, spread): (&Predictor, Option<&Forest>),
    (ground, rows): (Ground<'_>, &[usize]),
    count: usize,
) -> Golden {
    let trees = predictor.forest().into_iter().chain(spread).flat_map(|forest| &forest.trees);
    let cuts: Vec<(usize, f32)> = trees
        .flat_map(|tree| tree.nodes.iter().filter(|node| node.left != 0))
        .map(|node| (node.feature as usize, node.cut))
        .collect();
    let chosen: Vec<usize> =
        (0..count).map(|number| rows[number * (rows.len() - 1) / count.max(1)]).collect();
    let mut wanted = chosen.clone();
    wanted.dedup();
    let seen = predictor.walk(ground, 0, &wanted);
    let (mut inputs, mut states, mut next_states) = (Vec::new(), Vec::new(), Vec::new());
    let (mut answers, mut quantiles) = (Vec::new(), Vec::new());
    for (number, &place) in chosen.iter().enumerate() {
        let mut row = ground.table.row(place).to_vec();
        if number % 2 == 1 && !cuts.is_empty() {
            let (feature, cut) = cuts[number * cuts.len() / count];
            row[feature] = match number % 6 {
                1 => cut,
                3 => cut.next_up(),
                _ => cut.next_down(),
            };
        }
        let before = wanted.binary_search(&place).map_or(&[][..], |at| &seen[at].before);
        let single: Vec<f32> = before.iter().map(|&value| value as f32).collect();
        let wide: Vec<f64> = single.iter().map(|&value| f64::from(value)).collect();
        let (mut said, after) = predictor.step(&row, &wide);
        softmax(&mut said);
        answers.extend(said.iter().map(|&p| p as f32));
        if let Some(spread) = spread {
            quantiles.extend(spread.quantiles(&row).iter().map(|&value| value as f32));
        }
        states.extend(single);
        next_states.extend(after.iter().map(|&value| value as f32));
        inputs.extend(row);
    }
    Golden::pack(count, &inputs, &states, &answers, &quantiles, &next_states)
}

/// Deciles of each feature over the rows a model was fitted on.
pub fn training(table: &Table, fit: &[usize]) -> Option<Training> {
    Training::of(table.features, &pick(table, fit).values)
}
