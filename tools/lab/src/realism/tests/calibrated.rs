//! What a session was made with is found again, within the interval that is told.

use super::{session, trader};
use crate::realism::calibrate::{Calibration, calibrate};
use crate::realism::fills_file;
use peregrine::base::settings::QUANTILE_PLACES;
use peregrine::runtime::config;
use toml::Value;

fn micros(us: i64) -> Value {
    Value::Integer(us)
}

fn list(all: [i64; 9]) -> Value {
    Value::Array(all.into_iter().map(Value::Integer).collect())
}

fn found(values: &[super::Set<'_>], seconds: i64) -> Calibration {
    let dir = tempfile::tempdir().expect("a folder");
    let journal = session(&dir.path().join("one"), &trader(values), (5, seconds));
    calibrate(&[journal]).expect("a calibration")
}

#[test]
fn latencies_of_one_value_are_found_to_the_microsecond() {
    let values = [
        ("paper", "order_latency_us", micros(7_000)),
        ("paper", "report_latency_us", micros(3_000)),
    ];
    let found = found(&values, 240);
    for (measured, wanted) in
        [(&found.order, 7_000.0), (&found.report, 3_000.0), (&found.round_trip, 10_000.0)]
    {
        let middle = measured.p50_us.expect("enough requests");
        assert_eq!((middle.value, middle.low, middle.high), (wanted, wanted, wanted));
    }
    // Nothing moved the price, so no impact is written.
    let text = fills_file::text(&found);
    assert!(!text.contains("\nimpact_bps"), "{text}");
    // What was paid is the configured fee of takers, 5 basis points of the value.
    let fee = found.fees_bps[1].expect("enough fills");
    assert!((fee.value - 5.0).abs() < 1e-3, "{fee:?}");
}

#[test]
fn a_distribution_of_latencies_is_found_within_its_intervals() {
    let order = [1_000, 2_000, 3_000, 4_000, 6_000, 9_000, 12_000, 20_000, 30_000];
    let report = [500, 600, 700, 800, 900, 1_500, 2_500, 5_000, 9_000];
    let values = [
        ("paper", "order_latency_quantiles_us", list(order)),
        ("paper", "report_latency_quantiles_us", list(report)),
    ];
    let found = found(&values, 900);
    for (measured, truth) in [(&found.order, order), (&found.report, report)] {
        for (told, per_mille) in
            [(measured.p50_us, 500), (measured.p90_us, 900), (measured.p99_us, 990)]
        {
            let place = QUANTILE_PLACES.iter().position(|at| *at == per_mille).expect("a place");
            let told = told.expect("enough requests");
            assert!(told.holds(truth[place] as f64), "{per_mille}: {told:?} {}", truth[place]);
        }
        let quantiles = measured.quantiles_us.expect("enough for the tail");
        assert!(quantiles.is_sorted());
        let (least, most) = (i64::from(quantiles[0]), i64::from(quantiles[8]));
        assert!(least >= truth[0] && most <= truth[8], "{quantiles:?}");
    }
}

#[test]
fn the_model_that_filled_the_orders_is_off_by_nothing_and_no_other_is_nearer() {
    for model in ["risk_averse", "probabilistic"] {
        let values = [
            ("paper", "queue", Value::String(model.to_owned())),
            ("policy", "enter_as_maker", Value::Boolean(true)),
            ("policy", "entry_rest_ms_max", Value::Integer(4_000)),
        ];
        let found = found(&values, 900);
        let queue = &found.queue;
        // The synthetic market hardly cancels, so that the models may not be told apart.
        assert!(queue.nearest.is_none_or(|nearest| nearest == model), "{queue:?}");
        let own = queue.models.iter().find(|judged| judged.model == model).expect("listed");
        // The same model on the same market fills the same: every order, to the lot.
        assert_eq!(own.error_abs.expect("enough orders").value, 0.0, "{own:?}");
    }
}

#[test]
fn an_impact_is_found_within_its_interval_and_can_be_used_again() {
    let values = [("paper", "impact_bps", Value::Float(1.5))];
    let found = found(&values, 240);
    let impact = found.impact.impact_bps.expect("enough orders");
    assert!(impact.holds(1.5) && impact.low > 1.0 && impact.high < 2.0, "{impact:?}");
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("fills.toml");
    std::fs::write(&path, fills_file::text(&found)).expect("written");
    let loaded = config::with_fills(&trader(&[]), &path).expect("a lawful file");
    let used = loaded.settings.paper.impact.0 as f64 / 1e4;
    assert!(impact.holds(used), "{used}");
    assert_eq!(loaded.settings.paper.order_latency_us, 2_000);
}

#[test]
fn what_too_few_orders_tell_is_not_told_and_the_file_says_so() {
    let found = found(&[("paper", "order_latency_us", micros(9_000))], 12);
    assert!(found.order.count < 30, "{} requests in twelve seconds", found.order.count);
    let text = fills_file::text(&found);
    for key in ["order_latency_us", "report_latency_us", "queue", "impact_bps"] {
        let said = text.lines().find(|line| line.starts_with(&format!("# {key}: "))).expect(key);
        assert!(said.ends_with("it stays."), "{said}");
    }
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("fills.toml");
    std::fs::write(&path, &text).expect("written");
    let own = trader(&[]);
    let loaded = config::with_fills(&own, &path).expect("a lawful file");
    assert_eq!(loaded.settings.paper, own.settings.paper);
}
