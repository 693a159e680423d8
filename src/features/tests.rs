//! The pieces under the features: arithmetic against the standard library, windows against slices.

use super::bars::{BARS_SKIPPED_MAX, BarClock, Passed};
use super::math::{decay, ln, per_half_life, sin_cos_turn};
use super::window::{Window, dot, mean_sigma, sum};
use crate::base::Nanos;
use std::f64::consts::TAU;

const SECOND: i64 = 1_000_000_000;

#[test]
fn decay_is_the_power_of_one_half() {
    for half_life in [1_i64, 7, SECOND, 5 * SECOND, 60 * SECOND] {
        let per = per_half_life(half_life);
        for i in 0..4_000 {
            let span = half_life / 13 * i + i;
            let want = 0.5_f64.powf(span as f64 / half_life as f64);
            let got = decay(span, per);
            assert!((got - want).abs() <= 1e-13 * want + 1e-300, "{span} over {half_life}");
        }
    }
    assert_eq!(decay(SECOND, per_half_life(SECOND)), 0.5);
    assert_eq!(decay(0, 1.0), 1.0);
    assert_eq!(decay(-5, 1.0), 1.0);
    assert_eq!(decay(i64::MAX, 1.0), 0.0);
}

#[test]
fn logarithm_equals_the_standard_library_and_refuses_what_has_none() {
    for i in 1..20_000 {
        for x in [f64::from(i) / 10_000.0, f64::from(i) * 1e17, 1.0 + f64::from(i) * 1e-12] {
            assert!((ln(x) - x.ln()).abs() <= 4e-16 * (1.0 + x.ln().abs()), "ln {x}");
        }
    }
    assert_eq!(ln(1.0), 0.0);
    for x in [0.0, -1.0, f64::NAN, f64::INFINITY, f64::MIN_POSITIVE / 2.0] {
        assert!(ln(x).is_nan());
    }
}

#[test]
fn sine_and_cosine_equal_the_standard_library_all_around() {
    for i in 0..86_400 {
        let turn = f64::from(i) / 86_400.0;
        let (sin, cos) = sin_cos_turn(turn);
        assert!((sin - (TAU * turn).sin()).abs() < 1e-15, "sin of {turn} turns");
        assert!((cos - (TAU * turn).cos()).abs() < 1e-15, "cos of {turn} turns");
    }
}

#[test]
fn a_window_gives_the_newest_values_oldest_first_at_every_fill() {
    let mut window: Window<7> = Window::EMPTY;
    let mut all: Vec<f64> = Vec::new();
    for i in 0..40 {
        for n in 0..10 {
            let want = (n <= all.len().min(7)).then(|| &all[all.len() - n..]);
            assert_eq!(window.last(n), want, "{n} of {i}");
        }
        window.push(f64::from(i));
        all.push(f64::from(i));
        assert_eq!(window.back(0), Some(f64::from(i)));
    }
}

#[test]
fn sums_equal_plain_sums_at_every_length() {
    let values: Vec<f64> = (0..78).map(|i| f64::from(i * i % 31) - 11.5).collect();
    for n in 0..values.len() {
        let part = &values[..n];
        assert_eq!(sum(part), part.iter().sum::<f64>());
        assert_eq!(dot(part, &values[78 - n..]), {
            part.iter().zip(&values[78 - n..]).map(|(a, b)| a * b).sum::<f64>()
        });
    }
}

#[test]
fn equal_values_have_no_deviation_whatever_their_rounding() {
    for n in 1..30 {
        assert_eq!(mean_sigma(&vec![0.1; n]), (0.1, 0.0));
    }
    let (mean, sigma) = mean_sigma(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]);
    assert_eq!((mean, sigma), (5.0, 2.0));
}

#[test]
fn the_bar_clock_never_runs_back_and_gives_up_after_the_cap() {
    let mut clock = BarClock::new(1_000);
    let at = |bar: i64| Nanos(bar * SECOND);
    assert_eq!(clock.trade(at(100)), (Passed::Bars(0), false));
    assert_eq!(clock.trade(at(99)), (Passed::Bars(0), true));
    assert_eq!(clock.trade(at(103)), (Passed::Bars(3), false));
    assert_eq!(clock.other(at(90)), Passed::Bars(0));
    assert_eq!(clock.trade(at(103 + BARS_SKIPPED_MAX)).0, Passed::Bars(128));
    assert_eq!(clock.trade(at(104 + 2 * BARS_SKIPPED_MAX)).0, Passed::TooMany);
    assert_eq!(clock.trade(Nanos(i64::MAX)).0, Passed::TooMany);
    assert_eq!(clock.other(Nanos(i64::MIN)), Passed::Bars(0));
}
