//! Dense net and recurrent step on rows.

use super::{Ground, Predictor, shares, weighted_loss};
use crate::gbdt::random::{Purpose, generator};
use crate::gbdt::{Table, Watch};
use crate::nets::{Dense, Gru, Lesson, NetParams, Scale, Windows, fit};
use rand::RngCore;

/// Rows before the held-out ones that a memory is built up on when an epoch is judged.
const REACH: usize = 2_000;

/// Numbers 0 to 1 for first weights.
fn draws(params: &NetParams) -> impl FnMut() -> f64 {
    let mut random = generator(params.seed, Purpose::Weights, params.fold, 0, 0);
    move || (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
}

/// A dense net.
pub(super) fn dense(
    ground: Ground<'_>,
    (rows, stop): (&[usize], &[usize]),
    params: &NetParams,
    watch: Watch<'_>,
) -> (Predictor, usize) {
    let scale = Scale::of(ground.table, rows);
    let shares = shares(ground.table, rows);
    let net = Dense::new(scale.clone(), params.hidden, &shares, &mut draws(params));
    let scaled = scaled(&scale, ground.table, rows);
    let width = ground.table.features.max(1);
    let one = |(at, &row): (usize, &usize)| {
        vec![lesson(ground.table, row, &scaled[at * width..(at + 1) * width], true)]
    };
    let windows: Vec<Vec<Lesson<'_>>> = rows.iter().enumerate().map(one).collect();
    let judge = |net: &Dense| {
        let said: Vec<Vec<f64>> =
            stop.iter().map(|&row| net.logits(ground.table.row(row))).collect();
        weighted_loss(ground.table, stop, &said)
    };
    let mut told = |epoch, loss| watch(epoch, Some(loss));
    let fitted = fit(net, &windows, params, &judge, &mut told);
    (Predictor::Dense(fitted.net), fitted.epochs)
}

/// A recurrent step.
pub(super) fn gru(
    ground: Ground<'_>,
    (rows, stop): (&[usize], &[usize]),
    (params, lengths): (&NetParams, Windows),
    watch: Watch<'_>,
) -> (Predictor, usize) {
    let scale = Scale::of(ground.table, rows);
    let shares = shares(ground.table, rows);
    let net = Gru::new(scale.clone(), params.hidden, &shares, &mut draws(params));
    let scaled = scaled(&scale, ground.table, rows);
    let width = ground.table.features.max(1);
    let mut windows = Vec::new();
    for run in runs(ground.symbols, rows) {
        for (lead, learned) in cut(&run, lengths) {
            let one = |(&at, is_learned)| {
                let input = &scaled[at * width..(at + 1) * width];
                lesson(ground.table, rows[at], input, is_learned)
            };
            let lead = lead.iter().map(|at| (at, false));
            let all = lead.chain(learned.iter().map(|at| (at, true)));
            windows.push(all.map(one).collect::<Vec<_>>());
        }
    }
    let start = stop.first().map_or(0, |&first| first.saturating_sub(REACH));
    let judge = |net: &Gru| {
        let walked = Predictor::Gru(net.clone()).walk(ground, start, stop);
        let said: Vec<Vec<f64>> = walked.into_iter().map(|seen| seen.logits).collect();
        weighted_loss(ground.table, stop, &said)
    };
    let mut told = |epoch, loss| watch(epoch, Some(loss));
    let fitted = fit(net, &windows, params, &judge, &mut told);
    (Predictor::Gru(fitted.net), fitted.epochs)
}

fn scaled(scale: &Scale, table: &Table, rows: &[usize]) -> Vec<f64> {
    let mut all = Vec::with_capacity(rows.len() * table.features);
    let mut one = Vec::with_capacity(table.features);
    for &row in rows {
        scale.apply(table.row(row), &mut one);
        all.extend_from_slice(&one);
    }
    all
}

fn lesson<'r>(table: &Table, row: usize, input: &'r [f64], is_learned: bool) -> Lesson<'r> {
    let weight = if is_learned { table.weight(row) } else { 0.0 };
    Lesson { input, class: table.targets[row] as usize, weight }
}

/// Runs of rows of one symbol that follow each other without one left out, as places in `rows`.
pub(super) fn runs(symbols: &[u16], rows: &[usize]) -> Vec<Vec<usize>> {
    let count = symbols.iter().max().map_or(0, |&most| usize::from(most) + 1);
    // Of each symbol the run that is open.
    let mut open: Vec<Vec<usize>> = vec![Vec::new(); count];
    let mut done = Vec::new();
    let mut place = 0;
    for (row, &symbol) in symbols.iter().enumerate() {
        let run = &mut open[usize::from(symbol)];
        if rows.get(place) == Some(&row) {
            run.push(place);
            place += 1;
        } else if !run.is_empty() {
            done.push(std::mem::take(run));
        }
    }
    done.extend(open.into_iter().filter(|run| !run.is_empty()));
    done
}

/// A run in windows: the places that lead up, and those that are learned from.
pub(super) fn cut(run: &[usize], lengths: Windows) -> Vec<(&[usize], &[usize])> {
    let steps = lengths.steps.max(1);
    let window = |start: usize| {
        let end = (start + steps).min(run.len());
        (&run[start.saturating_sub(lengths.lead)..start], &run[start..end])
    };
    (0..run.len()).step_by(steps).map(window).collect()
}
