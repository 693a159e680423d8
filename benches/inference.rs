//! One row through a model: the native plan against tract and against onnxruntime, all from the
//! same file.

#[path = "harness/mod.rs"]
mod harness;
#[path = "harness/graphs.rs"]
mod graphs;
#[path = "harness/onnxruntime.rs"]
mod onnxruntime;

use harness::{Bench, Race, Sequence, repository};
use onnxruntime::{Library, Session};
use peregrine::model::{Executor, ModelOutput, executors};
use std::hint::black_box;

/// Rows gone round in; branch predictors see them again, so trees look a little better than live.
const ROWS: usize = 256;
const ROUNDS: usize = 11;
const BATCHES: usize = 250;
const PROBABILITY_GAP: f32 = 1e-6;
const STATE_GAP: f32 = 2e-6;

/// A graph and what is known of it.
struct Subject {
    name: &'static str,
    onnx: Vec<u8>,
    features: usize,
    /// State inputs and outputs by name, with their shape.
    states: &'static [(&'static str, &'static str, &'static [i64])],
    /// Times faster than onnxruntime it should be at least.
    least_gain: f64,
    rows: Vec<Vec<f32>>,
}

impl Subject {
    fn new(name: &'static str, onnx: Vec<u8>, features: usize, least_gain: f64) -> Self {
        let mut random = Sequence::new(3);
        let row = |_| (0..features).map(|_| random.unit()).collect();
        let rows = (0..ROWS).map(row).collect();
        Self { name, onnx, features, states: &[], least_gain, rows }
    }

    /// The same graph in onnxruntime.
    fn session(&self, library: &Library) -> Session {
        let row = [1, self.features as i64];
        let (mut inputs, mut outputs) = (Vec::new(), Vec::<(&str, &[i64])>::new());
        inputs.push(("x", row.as_slice()));
        outputs.push(("probabilities", [1, 3].as_slice()));
        for (from, to, shape) in self.states {
            inputs.push((from, shape));
            outputs.push((to, shape));
        }
        library.load(&self.onnx, &inputs, &outputs).expect("onnxruntime takes what we take")
    }
}

fn subjects() -> Vec<Subject> {
    let file = |name: &str| {
        let path = repository("tests/fixtures/models").join(format!("{name}.onnx"));
        std::fs::read(path).expect("the fixture is part of the repository")
    };
    let champion = std::fs::read(repository("models_saved/synthetic-1/model.onnx"));
    vec![
        Subject::new("champion", champion.expect("the champion is shipped"), 9, 6.0),
        Subject::new("mlp_32_64_32_3", file("torch_mlp"), 32, 10.0),
        Subject::new("gbdt_100x6", graphs::forest(100, 6, 32), 32, 6.0),
        Subject::new("gbdt_500x6", graphs::forest(500, 6, 32), 32, 6.0),
        Subject {
            states: &[("h_in", "h_out", &[1, 32])],
            ..Subject::new("gru_step_32", file("torch_gru_step"), 16, 8.0)
        },
        Subject {
            states: &[("h_in", "h_out", &[1, 1, 32]), ("c_in", "c_out", &[1, 1, 32])],
            ..Subject::new("lstm_step_32", file("torch_lstm_step"), 16, 8.0)
        },
    ]
}

fn step(executor: &mut impl Executor, row: &[f32]) -> [f32; 3] {
    let mut out = ModelOutput::default();
    executor.run(row, &mut out).expect("rows have the model's length");
    executor.commit_state();
    out.probability
}

fn step_session(session: &mut Session, row: &[f32], states: usize) -> [f32; 3] {
    session.input(0).copy_from_slice(row);
    session.run().expect("it ran before");
    (1..=states).for_each(|state| session.carry(state, state));
    session.output(0).try_into().expect("three classes")
}

/// Every executor gives the same probabilities and leads to the same state, row after row.
fn check(
    subject: &Subject,
    native: &mut impl Executor,
    tract: &mut impl Executor,
    mut session: Option<&mut Session>,
) -> f32 {
    let mut widest = 0.0_f32;
    let states = subject.states.len();
    for (at, row) in subject.rows.iter().enumerate() {
        let ours = step(native, row);
        let mut others = vec![("tract", step(tract, row), tract.state().to_vec())];
        if let Some(session) = &mut session {
            let found = step_session(session, row, states);
            let state = (1..=states).flat_map(|n| session.output(n).to_vec()).collect();
            others.push(("onnxruntime", found, state));
        }
        for (label, probability, state) in others {
            let name = subject.name;
            for (a, b) in ours.iter().zip(probability) {
                widest = widest.max((a - b).abs());
                assert!((a - b).abs() <= PROBABILITY_GAP, "{name} row {at}: {a}, {label} {b}");
            }
            assert_eq!(native.state().len(), state.len(), "{name}");
            for (a, b) in native.state().iter().zip(state) {
                let gap = STATE_GAP * (1.0 + b.abs());
                assert!((a - b).abs() <= gap, "{name} row {at}: state {a}, {label} {b}");
            }
        }
    }
    widest
}

fn race(bench: &mut Bench, subject: &Subject, library: Option<&Library>) {
    let (native, mut tract) =
        executors(&subject.onnx, subject.features).expect("the graph is lawful");
    let mut native = native.expect("the graph has a native form");
    let mut session = library.map(|library| subject.session(library));
    let widest = check(subject, &mut native, &mut tract, session.as_mut());
    println!("\n{}: {ROWS} rows agree, widest gap {widest:.1e}", subject.name);
    let (rows, states) = (&subject.rows, subject.states.len());
    let mut race = Race::new(subject.name, 4);
    race.add("native", |range| {
        for i in range {
            black_box(step(&mut native, black_box(&rows[i % ROWS])));
        }
    });
    race.add("tract", |range| {
        for i in range {
            black_box(step(&mut tract, black_box(&rows[i % ROWS])));
        }
    });
    if let Some(session) = &mut session {
        race.add("onnxruntime", |range| {
            for i in range {
                black_box(step_session(session, black_box(&rows[i % ROWS]), states));
            }
        });
    }
    let outcome = race.run(bench, ROUNDS, BATCHES);
    let name = subject.name;
    bench.figure(&format!("{name}_native_p50_ns"), outcome.nanos("native", 0.5));
    bench.figure(&format!("{name}_native_p99_ns"), outcome.nanos("native", 0.99));
    bench.figure(&format!("{name}_tract_over_native"), outcome.ratio("tract", "native"));
    let figure = format!("{name}_onnxruntime_over_native");
    if library.is_some() {
        let ratio = outcome.ratio("onnxruntime", "native");
        bench.figure(&figure, ratio);
        let what = format!("{name} onnxruntime / native");
        bench.target(&what, ratio, Some(subject.least_gain), None);
    } else {
        bench.absent(&figure, "no library");
    }
}

fn main() {
    let mut bench = Bench::start(
        "inference: one row through a model, by executor",
        &["features and their selection: `features` has them", "loading, proving and warming up"],
    );
    harness::machine::pin_last();
    let library = Library::open();
    match &library {
        Ok(library) => println!("onnxruntime {}, one thread, tensors bound", library.version),
        Err(why) => println!("onnxruntime: absent, {why}"),
    }
    for subject in subjects() {
        race(&mut bench, &subject, library.as_ref().ok());
    }
    bench.finish();
}
