//! Data sets made for the purpose: what becomes of their candles, and what a session makes of them.

use super::{CANDLE_FEATURES, LabelOf, Rows, Wanted, choose, feature_settings, rows};
use crate::data::{freeze::freeze, import::import};
use crate::forward::Config;
use crate::train::frozen::{Order, train_frozen};
use peregrine::base::Kind;
use peregrine::base::Nanos;
use peregrine::base::event::{Event, Prediction};
use peregrine::execution::Signer;
use peregrine::journal::LaneReader;
use peregrine::model::ArtifactFiles;
use peregrine::runtime::assemble::Parts;
use peregrine::runtime::backtest::{BacktestOrder, Source, run};
use peregrine::runtime::config;
use peregrine::runtime::own::OwnModels;
use peregrine::runtime::recover::Carried;
use peregrine::venue::dataset::DataSet;
use rand::{Rng, SeedableRng};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::Path;
use tempfile::TempDir;

const START_MS: i64 = 1_700_000_040_000;
const MINUTE_MS: i64 = 60_000;

/// Candles of a minute whose drift lasts: `skill` is the part of the move that it makes up; without
/// it the price walks at random. A minute moves by about 20 basis points.
pub(crate) fn candles(seed: u64, count: usize, skill: f64) -> String {
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    let mut normal = move || (0..12).map(|_| random.random::<f64>()).sum::<f64>() - 6.0;
    let (mut px, mut drift) = (1_000.0_f64, 0.0_f64);
    let mut text = "open_time_ms,open,high,low,close,volume\n".to_owned();
    for at in 0..count {
        drift = 0.95 * drift + (1.0_f64 - 0.95 * 0.95).sqrt() * normal();
        let change = 0.002 * (skill * drift + (1.0 - skill * skill).sqrt() * normal());
        let close = (px * (1.0 + change)).max(10.0);
        let (high, low) = (px.max(close) * 1.0002, px.min(close) * 0.9998);
        let volume = 5.0 + normal().abs();
        let ms = START_MS + at as i64 * MINUTE_MS;
        let _ = writeln!(text, "{ms},{px:.2},{high:.2},{low:.2},{close:.2},{volume:.3}");
        px = (close * 100.0).round() / 100.0;
    }
    text
}

/// A frozen data set of these files.
pub(crate) fn frozen(files: &[(&str, String)]) -> (TempDir, DataSet) {
    let (from, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for (name, text) in files {
        std::fs::write(from.path().join(name), text).unwrap();
    }
    import(&[from.path().to_path_buf()], dir.path(), &mut |_, _, _| {}).unwrap();
    let set = freeze(dir.path(), "made").unwrap();
    (dir, set)
}

pub(crate) fn two(seed: u64, count: usize, skill: f64) -> (TempDir, DataSet) {
    let one = |seed| candles(seed, count, skill);
    frozen(&[("BTCUSDT-1m.csv", one(seed)), ("SOLUSDT-1m.csv", one(seed + 1_000))])
}

const LABEL: LabelOf = LabelOf {
    horizon_bars: 10,
    profit: None,
    loss: None,
    flat: 0.001,
    half_life_bars: 60.0,
    cost: 0.0,
};

fn every(bars: u32) -> Wanted {
    Wanted { every_bars: bars, ..Wanted::default() }
}

fn read(set: &DataSet, wanted: &Wanted) -> Rows {
    rows(set, wanted, &LABEL, &mut |_| {}).unwrap()
}

#[test]
fn a_row_is_made_when_its_bar_has_closed_and_knows_the_candle_and_nothing_behind_it() {
    let text = candles(3, 400, 0.0);
    let (_dir, set) = frozen(&[("BTCUSDT-1m.csv", text.clone())]);
    let found = read(&set, &every(1));
    let closes: Vec<f64> =
        text.lines().skip(1).map(|line| line.split(',').nth(4).unwrap().parse().unwrap()).collect();
    let one = found.names.iter().position(|name| name == "return_1").unwrap();
    let (mut seen, mut flats) = (0, 0);
    for (row, life) in found.lives.iter().enumerate() {
        // The candle that closed at this instant is the newest known one.
        let at = ((life.from - START_MS) / MINUTE_MS) as usize - 1;
        assert_eq!((life.from - START_MS) % MINUTE_MS, 0);
        assert_eq!(found.bars[row] as usize, at);
        let expected = closes[at] / closes[at - 1] - 1.0;
        let value = f64::from(found.table.row(row)[one]);
        assert!((value - expected).abs() < 1e-7, "row {row}: {value} {expected}");
        let later = closes[at + 10] / closes[at] - 1.0;
        let class = if later > 0.001 {
            2.0
        } else if later < -0.001 {
            0.0
        } else {
            1.0
        };
        assert_eq!(found.table.targets[row], class, "row {row}: {later}");
        assert_eq!(life.until - life.from, 10 * MINUTE_MS);
        seen += 1;
        flats += usize::from(class == 1.0);
    }
    // 78 bars of the longest average, ten of the future.
    assert!(seen > 400 - 78 - 10 - 3 && flats > 0, "{seen} rows, {flats} flat");
}

#[test]
fn what_comes_later_changes_no_feature_of_what_was_before() {
    let (whole, part) = (candles(4, 500, 0.3), candles(4, 300, 0.3));
    let (_a, long) = frozen(&[("BTCUSDT-1m.csv", whole)]);
    let (_b, short) = frozen(&[("BTCUSDT-1m.csv", part)]);
    let (long, short) = (read(&long, &every(1)), read(&short, &every(1)));
    assert!(short.len() > 150);
    for row in 0..short.len() {
        assert_eq!(long.lives[row], short.lives[row]);
        assert_eq!(bits(long.table.row(row)), bits(short.table.row(row)), "row {row}");
    }
}

fn bits(row: &[f32]) -> Vec<u32> {
    row.iter().map(|value| value.to_bits()).collect()
}

#[test]
fn labels_whose_future_was_not_recorded_are_left_out() {
    let text = candles(5, 400, 0.0);
    // An hour is missing.
    let kept = |(at, line): (usize, &str)| (!(251..311).contains(&at)).then(|| line.to_owned());
    let lines: Vec<String> = text.lines().enumerate().filter_map(kept).collect();
    let (_dir, set) = frozen(&[("BTCUSDT-1m.csv", lines.join("\n"))]);
    let found = read(&set, &every(1));
    let hole = (START_MS + 250 * MINUTE_MS, START_MS + 310 * MINUTE_MS);
    assert!(found.left_out > 0 && found.lives.iter().any(|life| life.from >= hole.1));
    for life in &found.lives {
        assert!(life.until <= hole.0 || life.from >= hole.1, "{life:?} reaches into {hole:?}");
    }
}

#[test]
fn features_without_a_value_on_the_data_are_refused_by_name() {
    let (_dir, set) = frozen(&[("BTCUSDT-1m.csv", candles(6, 200, 0.0))]);
    let asked = |name: &str| choose(&set, &[name.to_owned()]).map_err(|e| e.to_string());
    assert!(asked("oi_change_1").unwrap_err().contains("open interest"));
    assert!(asked("no_such").unwrap_err().contains("no_such"));
    assert_eq!(choose(&set, &[]).unwrap(), CANDLE_FEATURES);
    let funding = "funding_time_ms,funding_rate\n1700000000000,0.0001\n1700028800000,0.0001\n";
    let (_dir, bare) = frozen(&[("BTCUSDT-funding.csv", funding.to_owned())]);
    let refused = choose(&bare, &[]).unwrap_err().to_string();
    assert!(refused.contains("neither candles nor trades") && refused.contains("funding"));
    // Too short for the longest average: it is said which feature has no value.
    let (_dir, short) = frozen(&[("BTCUSDT-1m.csv", candles(6, 60, 0.0))]);
    let refused = rows(&short, &every(1), &LABEL, &mut |_| {}).unwrap_err().to_string();
    assert!(refused.contains("no row") && refused.contains("macd_12_26"), "{refused}");
}

#[test]
fn rows_are_the_vectors_that_a_session_over_the_same_data_decides_on_bit_for_bit() {
    let (_dir, set) = two(7, 800, 0.3);
    let mut settings = Config::default();
    settings.rows.every_bars = 1;
    settings.trees.leaf_rows_min = 20;
    settings.trees.rounds = 3;
    settings.folds.embargo_bars = 0;
    settings.label.horizon_bars = 5;
    let found =
        rows(&set, &settings.wanted(), &settings.label_of(), &mut |_| {}).expect("enough rows");
    let order = Order { version: "parity-1".to_owned(), config: settings, threads: 1 };
    let version = train_frozen(&set, &order, &mut |_| {}).unwrap();
    let decided = session(&set, &version.card.to_toml().unwrap(), version.onnx);
    assert!(found.len() > 1_300, "{} rows", found.len());
    for row in 0..found.len() {
        let values: Vec<u8> =
            found.table.row(row).iter().flat_map(|value| value.to_le_bytes()).collect();
        let place = (found.symbols[row], found.lives[row].from * 1_000_000);
        let hash = xxhash_rust::xxh3::xxh3_64(&values);
        assert!(
            decided.contains_key(&(place, hash)),
            "row {row} of {place:?} was never decided on"
        );
    }
}

/// Of every prediction of a backtest: by instrument, time and hash of its vector what it said.
fn session(set: &DataSet, card: &str, onnx: Vec<u8>) -> HashMap<((u16, i64), u64), [f32; 3]> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/paper.toml");
    let loaded = config::load(&file).unwrap();
    let features = feature_settings(60_000);
    let number = |value: u32| toml::Value::Integer(value.into());
    let symbols = set.instruments().unwrap().iter().map(|f| f.symbol.to_string().into()).collect();
    let symbols = toml::Value::Array(symbols);
    let values = [
        ("features", "bar_interval_ms", number(features.bar_interval_ms)),
        ("features", "market_age_ms_max", number(features.market_age_ms_max)),
        ("features", "slow_age_ms_max", number(features.slow_age_ms_max)),
        ("policy", "decision_interval_ms", number(0)),
        ("instruments", "symbols", symbols.clone()),
        ("risk", "allow", symbols),
    ];
    let loaded = config::with_values(&loaded, &values).unwrap();
    let journal = tempfile::tempdir().unwrap();
    let parts = Parts {
        settings: loaded.settings,
        text: loaded.text,
        instruments: set.instruments().unwrap(),
        files: ArtifactFiles::from_bytes(onnx, card.to_owned()).unwrap(),
        own: OwnModels::default(),
        epoch: 1,
        mode: 0,
        carried: Carried::default(),
        signer: Signer::paper(),
    };
    let dir = journal.path().join("journal");
    let source = Source::Frozen(set.clone());
    let order = BacktestOrder { source, journal: dir.clone(), from: None, to: None, audit: None };
    run(&parts, &order).unwrap();
    let mut decided = HashMap::new();
    for item in LaneReader::open(&dir, 1).unwrap() {
        let (_, event): (_, Event) = item.unwrap();
        if event.kind() == Some(Kind::Prediction) {
            let said = event.body::<Prediction>();
            let key = ((event.instrument, event.ts_recv), said.features_hash);
            decided.insert(key, said.probability);
        }
    }
    decided
}

#[test]
fn a_session_remembers_from_bar_to_bar_what_the_training_did() {
    let (_dir, set) = two(9, 900, 0.5);
    let mut settings = crate::forward::tests::small();
    settings.rows.every_bars = 1;
    settings.model.kind = crate::learn::Kind::Gru;
    settings.folds.embargo_bars = 0;
    settings.gru.epochs = 2;
    settings.gru.hidden = 6;
    let order = Order { version: "memory-1".to_owned(), config: settings.clone(), threads: 1 };
    let version = train_frozen(&set, &order, &mut |_| {}).unwrap();
    let found = rows(&set, &settings.wanted(), &settings.label_of(), &mut |_| {}).unwrap();
    let decided = session(&set, &version.card.to_toml().unwrap(), version.onnx);
    let all: Vec<usize> = (0..found.len()).collect();
    let said = version.predictor.probabilities(found.ground(), &all);
    let forgetful = version.predictor.step(found.table.row(900), &[0.0; 6]).0;
    let kept = version.predictor.walk(found.ground(), 0, &[900])[0].logits.clone();
    assert!((kept[0] - forgetful[0]).abs() > 1e-3, "the memory says nothing: nothing is shown");
    assert!(found.len() > 1_000, "{} rows", found.len());
    for row in 0..found.len() {
        let values: Vec<u8> =
            found.table.row(row).iter().flat_map(|value| value.to_le_bytes()).collect();
        let place = (found.symbols[row], found.lives[row].from * 1_000_000);
        let hash = xxhash_rust::xxh3::xxh3_64(&values);
        let told = decided.get(&(place, hash)).unwrap_or_else(|| panic!("row {row}"));
        for (told, said) in told.iter().zip(&said[row]) {
            // Single precision, carried over hundreds of steps.
            assert!((f64::from(*told) - said).abs() < 1e-5, "row {row}: {told} is not {said}");
        }
    }
}

#[test]
fn a_span_takes_its_rows_and_no_others() {
    let (_dir, set) = frozen(&[("BTCUSDT-1m.csv", candles(8, 400, 0.0))]);
    let (from, to) = (START_MS + 150 * MINUTE_MS, START_MS + 300 * MINUTE_MS);
    let (from, to) = (Nanos::from_millis(from), Nanos::from_millis(to));
    let wanted = Wanted { from: Some(from), to: Some(to), ..every(3) };
    let (part, whole) = (read(&set, &wanted), read(&set, &every(3)));
    assert!(part.len() > 30 && part.len() < 50, "{}", part.len());
    let inside = |life: &crate::validation::folds::Life| {
        life.from >= from.0 / 1_000_000 && life.until <= to.0 / 1_000_000
    };
    let expected: Vec<_> = whole.lives.iter().filter(|life| inside(life)).copied().collect();
    assert_eq!(part.lives, expected);
}
