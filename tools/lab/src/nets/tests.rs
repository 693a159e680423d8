//! Slopes against finite differences, closed forms, and what only such nets can learn.

use super::*;
use crate::gbdt::Table;
use std::ops::ControlFlow;

/// Numbers 0 to 1.
fn lcg(seed: u64) -> impl FnMut() -> f64 {
    let mut x = seed;
    move || {
        x = (1_664_525 * x + 1_013_904_223) % (1 << 32);
        (x as f64 + 0.5) / (1_u64 << 32) as f64
    }
}

fn plain(width: usize) -> Scale {
    Scale { mean: vec![0.0; width], inverse: vec![1.0; width] }
}

fn params() -> NetParams {
    NetParams {
        hidden: 8,
        epochs: 60,
        patience: 0,
        batch: 32,
        learning_rate: 0.01,
        decay: 0.0,
        threads: 1,
        seed: 7,
        fold: 0,
    }
}

const THIRDS: [f64; 3] = [1.0 / 3.0; 3];

/// Windows of rows with a class and a weight by lot; the first rows of a window weigh nothing.
fn lessons(inputs: &[f64], width: usize, window: usize, lead: usize) -> Vec<Vec<Lesson<'_>>> {
    let mut draw = lcg(99);
    let rows: Vec<&[f64]> = inputs.chunks_exact(width).collect();
    let mut all = Vec::new();
    for chunk in rows.chunks(window) {
        let mut made = Vec::new();
        for (at, input) in chunk.iter().enumerate() {
            let weight = if at < lead { 0.0 } else { 0.5 + draw() };
            made.push(Lesson { input, class: (draw() * 3.0) as usize, weight });
        }
        all.push(made);
    }
    all
}

/// Every weight is moved a little, and the loss moves as the slope says.
fn hold_to_differences(mut net: impl Net, window: &[Lesson<'_>]) {
    let mut slope = vec![0.0; net.weights().len()];
    net.loss(window, Some(&mut slope));
    let step = 1e-5;
    for (at, &slope) in slope.iter().enumerate() {
        let before = net.weights()[at];
        net.weights_mut()[at] = before + step;
        let above = net.loss(window, None);
        net.weights_mut()[at] = before - step;
        let below = net.loss(window, None);
        net.weights_mut()[at] = before;
        let found = (above - below) / (2.0 * step);
        let off = (found - slope).abs();
        assert!(off < 1e-7 * (1.0 + slope.abs()), "weight {at}: {slope} is not {found}");
    }
    assert!(slope.iter().filter(|slope| slope.abs() > 1e-6).count() > slope.len() / 2);
}

#[test]
fn slopes_of_the_dense_net_are_those_of_finite_differences() {
    let mut draw = lcg(1);
    let inputs: Vec<f64> = (0..40).map(|_| 2.0 * draw() - 1.0).collect();
    let net = Dense::new(plain(4), 6, &THIRDS, &mut draw);
    hold_to_differences(net, &lessons(&inputs, 4, 10, 0)[0]);
}

#[test]
fn slopes_of_the_recurrent_step_are_those_of_finite_differences_through_time() {
    let mut draw = lcg(2);
    let inputs: Vec<f64> = (0..36).map(|_| 2.0 * draw() - 1.0).collect();
    let net = Gru::new(plain(3), 5, &THIRDS, &mut draw);
    hold_to_differences(net, &lessons(&inputs, 3, 12, 4)[0]);
}

#[test]
fn a_step_is_the_published_formula() {
    // One input, one value remembered; the formula written out with a calculator's words.
    let mut net = Gru::new(plain(1), 1, &THIRDS, &mut || 0.5);
    // Wz Wr Wn, their biases, Uz Ur Un, their biases, the head's rows, its biases.
    let weights = [
        0.5, -0.3, 0.8, 0.1, 0.2, -0.1, 0.4, 0.6, -0.7, 0.05, -0.05, 0.3, 1.0, -1.0, 0.0, 0.1, 0.2,
        0.3,
    ];
    net.weights_mut().copy_from_slice(&weights);
    let (x, h) = (0.9_f64, -0.4_f64);
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let z = sigmoid(0.5 * x + 0.1 + 0.4 * h + 0.05);
    let r = sigmoid(-0.3 * x + 0.2 + 0.6 * h - 0.05);
    let n = (0.8 * x - 0.1 + r * (-0.7 * h + 0.3)).tanh();
    let after = (1.0 - z) * n + z * h;
    let (logits, state) = net.step(&[0.9], &[h]);
    // The row is single precision.
    assert!((state[0] - after).abs() < 1e-7, "{} is not {after}", state[0]);
    for (found, expected) in logits.iter().zip([after + 0.1, 0.2 - after, 0.3]) {
        assert!((found - expected).abs() < 1e-7, "{found} is not {expected}");
    }
}

#[test]
fn the_first_step_of_adam_has_the_length_of_the_learning_rate() {
    let mut draw = lcg(3);
    let inputs: Vec<f64> = (0..40).map(|_| 2.0 * draw() - 1.0).collect();
    let net = Dense::new(plain(4), 6, &THIRDS, &mut draw);
    let windows = lessons(&inputs, 4, 10, 0);
    let mut slope = vec![0.0; net.weights().len()];
    net.loss(&windows[0], Some(&mut slope));
    let before = net.weights().to_vec();
    let one = NetParams { epochs: 1, ..params() };
    let moved = fit(net, &windows, &one, &|_| 0.0, &mut |_, _| ControlFlow::Continue(()));
    for ((before, after), slope) in before.iter().zip(moved.net.weights()).zip(slope) {
        // m̂ / √v̂ of one slope is its sign.
        let expected = if slope.abs() > 1e-6 { 0.01 * slope.signum() } else { before - after };
        assert!((before - after - expected).abs() < 1e-5, "{before} to {after} by {slope}");
    }
}

fn judged<N: Net>(net: N, windows: &[Vec<Lesson<'_>>], params: &NetParams) -> Fitted<N> {
    let weight: f64 = windows.iter().flatten().map(|lesson| lesson.weight).sum();
    let judge = |net: &N| windows.iter().map(|window| net.loss(window, None)).sum::<f64>() / weight;
    fit(net, windows, params, &judge, &mut |_, _| ControlFlow::Continue(()))
}

#[test]
fn several_threads_learn_the_same_weights_to_the_bit() {
    let mut draw = lcg(4);
    let inputs: Vec<f64> = (0..6_000).map(|_| 2.0 * draw() - 1.0).collect();
    let few = NetParams { epochs: 2, batch: 600, ..params() };
    let dense = Dense::new(plain(3), 6, &THIRDS, &mut draw);
    let gru = Gru::new(plain(3), 5, &THIRDS, &mut draw);
    let rows = lessons(&inputs, 3, 1, 0);
    let runs = lessons(&inputs, 3, 20, 5);
    let one = judged(dense.clone(), &rows, &few);
    let other = judged(gru.clone(), &runs, &few);
    for threads in [2, 3, 8] {
        let several = NetParams { threads, ..few.clone() };
        assert!(judged(dense.clone(), &rows, &several) == one, "{threads} threads: dense");
        assert!(judged(gru.clone(), &runs, &several) == other, "{threads} threads: recurrent");
    }
}

#[test]
fn a_dense_net_learns_what_no_sum_of_its_inputs_tells() {
    // Class 2 where the signs are equal, 0 where they are not.
    let mut draw = lcg(5);
    let inputs: Vec<f64> = (0..1_600).map(|_| 2.0 * draw() - 1.0).collect();
    let one = |input: &'_ [f64]| input[0] * input[1] > 0.0;
    let windows: Vec<Vec<Lesson<'_>>> = inputs
        .chunks_exact(2)
        .map(|input| vec![Lesson { input, class: 2 * usize::from(one(input)), weight: 1.0 }])
        .collect();
    let net = Dense::new(plain(2), 12, &THIRDS, &mut draw);
    let learned = judged(net, &windows, &params());
    let loss = learned.held_out[learned.epochs - 1];
    assert!(loss < 0.2, "{loss} where the shares alone are 0.693");
}

#[test]
fn a_recurrent_step_learns_what_only_earlier_rows_tell() {
    // The class is the sign of the input two rows ago.
    let mut draw = lcg(6);
    let inputs: Vec<f64> = (0..4_000).map(|_| 2.0 * draw() - 1.0).collect();
    let rows: Vec<Lesson<'_>> = inputs
        .chunks_exact(1)
        .enumerate()
        .map(|(at, input)| Lesson {
            input,
            class: 2 * usize::from(at >= 2 && inputs[at - 2] > 0.0),
            weight: f64::from(u8::from(at % 20 >= 4)),
        })
        .collect();
    let windows: Vec<Vec<Lesson<'_>>> = rows.chunks(20).map(<[_]>::to_vec).collect();
    let net = Gru::new(plain(1), 8, &THIRDS, &mut draw);
    let learned = judged(net, &windows, &NetParams { batch: 8, ..params() });
    let loss = learned.held_out[learned.epochs - 1];
    assert!(loss < 0.35, "{loss} where the shares alone are 0.693");
}

#[test]
fn learning_stops_when_it_no_longer_helps_and_keeps_the_best() {
    let mut draw = lcg(7);
    let inputs: Vec<f64> = (0..300).map(|_| 2.0 * draw() - 1.0).collect();
    let windows = lessons(&inputs, 3, 1, 0);
    let net = Dense::new(plain(3), 6, &THIRDS, &mut draw);
    let count = std::cell::Cell::new(0);
    // Falls to the third epoch and rises from there.
    let judge = |_: &Dense| {
        count.set(count.get() + 1);
        f64::from((count.get() - 3_i32).abs())
    };
    let stopped = NetParams { patience: 4, ..params() };
    let quiet = &mut |_: usize, _: f64| ControlFlow::Continue(());
    let learned = fit(net.clone(), &windows, &stopped, &judge, quiet);
    assert_eq!((learned.epochs, learned.held_out.len()), (3, 7));
    let three = NetParams { epochs: 3, ..params() };
    let falling = |_: &Dense| -f64::from(count.replace(count.get() + 1));
    assert!(fit(net, &windows, &three, &falling, quiet).net == learned.net, "not the best");
}

#[test]
fn inputs_come_to_one_size_and_what_never_changes_to_nothing() {
    let mut table = Table { features: 3, ..Table::default() };
    for at in 0..100 {
        // 10 ± 2, always 7, and one far out.
        let far = if at == 0 { 1e9 } else { at as f32 };
        table.values.extend([if at % 2 == 0 { 8.0 } else { 12.0 }, 7.0, far]);
        table.targets.push(0.0);
    }
    let rows: Vec<usize> = (0..100).collect();
    let scale = Scale::of(&table, &rows);
    let mut out = Vec::new();
    scale.apply(table.row(1), &mut out);
    assert!((out[0] - 1.0).abs() < 1e-6 && out[1] == 0.0, "{out:?}");
    scale.apply(table.row(0), &mut out);
    assert_eq!(out[2], FAR);
    scale.apply(&[12.0, 8.0, -1e30], &mut out);
    assert_eq!((out[1], out[2]), (0.0, -FAR));
}
