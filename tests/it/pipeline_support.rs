//! What the end-to-end tests share: recorded and synthetic inputs, the four stages with a paper
//! venue beside them, and the program itself run as a child.

use peregrine::base::counters::{Counter, Counters};
use peregrine::base::event::{Event, Kind, ModelSwap, Order};
use peregrine::base::hop::Stamp;
use peregrine::base::settings::InstrumentSettings;
use peregrine::base::{InstrumentId, Money, Nanos};
use peregrine::engine::{
    Crossing, FeedStage, Halt, InferenceStage, ModelSigns, ModelSupply, Next, NoProbe, Outlet,
    With, model_rings,
};
use peregrine::exchange::{SymbolSpec, SyntheticMarket};
use peregrine::execution::{RequestText, Signer};
use peregrine::feed::Feed;
use peregrine::journal::{Journal, LaneReader, Recorder};
use peregrine::model::artifact::{CLASSES, Card, CreatedFrom, Golden, hex, sha256};
use peregrine::model::{ArtifactFiles, onnx};
use peregrine::promotion::PromotionSettings;
use peregrine::registry::Registry;
use peregrine::runtime::assemble::{Budget, Parts, StageRecorders};
use peregrine::runtime::backtest::{close_journal, create_journal};
use peregrine::runtime::config;
use peregrine::runtime::own::OwnModels;
use peregrine::runtime::running::Gathered;
use peregrine::runtime::swap::attached::attach;
use peregrine::venue::capture::{Capture, Payload, discover};
use peregrine::venue::paper::PaperVenue;
use prost::Message;
use rtrb::{Consumer, RingBuffer};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

/// Orders that can be on their way between execution and the paper venue within one step.
const ORDERS: usize = 4_096;
/// Milliseconds between timers.
const TIMER_MS: u64 = 100;

/// The recorded markets; `None`, and said so, where they are absent.
pub fn data_dir() -> Option<PathBuf> {
    let given = std::env::var_os("PEREGRINE_DATA").map(PathBuf::from);
    let beside = root().join("../shared/data");
    let found = given.into_iter().chain([beside]).find(|path| path.is_dir());
    if found.is_none() {
        println!("recorded data is absent: nothing was checked");
    }
    found
}

/// The repository.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The program with these arguments, run in the repository to its end.
pub fn peregrine(arguments: &[&str]) -> Output {
    peregrine_in(&root(), arguments, &[])
}

/// The same in a folder of choice, with these variables on top of ours.
pub fn peregrine_in(dir: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_peregrine"))
        .args(arguments)
        .envs(variables.iter().copied())
        .current_dir(dir)
        .output()
        .expect("the program was built beside this test")
}

/// The JSON object on the last line of standard output.
pub fn last_json(output: &Output) -> serde_json::Value {
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().last().unwrap_or_default();
    let parsed = serde_json::from_str(line);
    parsed.unwrap_or_else(|e| panic!("{e}: {line:?}; {}", String::from_utf8_lossy(&output.stderr)))
}

/// A path as an argument.
pub fn text(path: &Path) -> &str {
    path.to_str().expect("test paths are UTF-8")
}

/// The paper configuration with keys replaced: `("policy", "enter_edge", "0.2")`, values as TOML.
pub fn config_text(changes: &[(&str, &str, &str)]) -> String {
    let loaded = config::load(&root().join("config/paper.toml")).unwrap();
    let mut document: toml::Table = loaded.text.parse().unwrap();
    for (section, key, value) in changes {
        let parsed: toml::Table = format!("v = {value}").parse().unwrap();
        let table = document[*section].as_table_mut().unwrap();
        table.insert((*key).to_owned(), parsed["v"].clone());
    }
    toml::to_string(&document).unwrap()
}

/// The shipped rules of promotion and rollback.
pub fn rules() -> PromotionSettings {
    let gates = std::fs::read_to_string(root().join("config/gates.toml")).unwrap();
    PromotionSettings::parse(&gates).unwrap()
}

/// What sessions over `instruments` are made of, with the shipped champion.
pub fn parts(instruments: Vec<InstrumentSettings>, changes: &[(&str, &str, &str)]) -> Parts {
    let names: Vec<String> =
        instruments.iter().map(|facts| format!("\"{}\"", facts.symbol)).collect();
    let allow = format!("[{}]", names.join(", "));
    let mut all = vec![("risk", "allow", allow.as_str())];
    all.extend_from_slice(changes);
    let loaded = config::from_text("test", &config_text(&all)).unwrap();
    let files = Registry::open(&root().join("models_saved")).unwrap().champion().unwrap();
    let (settings, text, signer) = (loaded.settings, loaded.text, Signer::paper());
    let carried = peregrine::runtime::recover::Carried::default();
    let (own, epoch, mode) = (OwnModels::default(), 1, 0);
    Parts { settings, text, instruments, files, own, epoch, mode, carried, signer }
}

/// One thing that arrives at the entrance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    pub ts: Nanos,
    pub what: What,
}

/// What arrives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    Frame(Vec<u8>),
    Snapshot(InstrumentId, Vec<u8>),
}

/// Recorded files as arrivals, with the facts of what they hold.
pub fn recorded(names: &[&str]) -> Option<(Vec<InstrumentSettings>, Vec<Arrival>)> {
    let dir = data_dir()?;
    let paths: Vec<PathBuf> = names.iter().map(|name| dir.join(name)).collect();
    let found: Vec<InstrumentSettings> =
        discover(&paths).unwrap().into_iter().map(|item| item.settings).collect();
    let mut capture = Capture::open(&paths).unwrap();
    let mut arrivals = Vec::new();
    while let Some(record) = capture.next() {
        let record = record.unwrap();
        let ts = record.ts_recv;
        match record.payload {
            Payload::Frame(frame) => {
                arrivals.push(Arrival { ts, what: What::Frame(frame.to_vec()) });
            }
            Payload::Snapshot { symbol, body } => {
                let place = found.iter().position(|facts| facts.symbol == symbol).unwrap();
                let id = InstrumentId(u16::try_from(place).unwrap());
                arrivals.push(Arrival { ts, what: What::Snapshot(id, body.to_vec()) });
            }
            Payload::ExchangeInfo(_) => {}
        }
    }
    Some((found, arrivals))
}

/// Changes under which a synthetic session of some seconds has orders and fills: ranges are known
/// after short bars, and little of an edge is enough.
pub const EAGER: [(&str, &str, &str); 2] =
    [("features", "bar_interval_ms", "250"), ("policy", "enter_edge", "0.1")];

/// Frames of a synthetic market after which both books are offered a snapshot.
pub const SNAPSHOT_AT: usize = 500;

/// `frames` frames of the synthetic pair, with a snapshot of each book after [`SNAPSHOT_AT`] frames
/// and after every place in `again`.
pub fn synthetic(
    seed: u64,
    frames: usize,
    again: &[usize],
) -> (Vec<InstrumentSettings>, Vec<Arrival>) {
    let start = Nanos(1_750_000_000_000_000_000);
    let mut market = SyntheticMarket::new(seed, &SymbolSpec::default_pair(), start);
    let mut arrivals = Vec::with_capacity(frames + 16);
    for i in 0..frames {
        let frame = market.step();
        let (ts, stream) = (frame.ts, frame.stream.to_owned());
        // What the default subscription leaves out.
        if !stream.ends_with("@trade") && !stream.contains("@kline") {
            arrivals.push(Arrival { ts, what: What::Frame(frame.frame.to_vec()) });
        }
        if i == SNAPSHOT_AT || again.contains(&i) {
            for (place, symbol) in ["BTCUSDT", "ETHUSDT"].into_iter().enumerate() {
                let mut body = Vec::new();
                assert!(market.snapshot(symbol, &mut body));
                let id = InstrumentId(u16::try_from(place).unwrap());
                arrivals.push(Arrival { ts, what: What::Snapshot(id, body) });
            }
        }
    }
    (market.instruments(), arrivals)
}

/// The pipeline with a paper venue and timers, driven by hand in event time.
pub struct Rig {
    pub feed: FeedStage,
    pub counters: Arc<Counters>,
    /// How other models come to the inference stage, and what they do there.
    pub supply: ModelSupply,
    pub signs: Arc<ModelSigns>,
    paper: PaperVenue,
    orders: Consumer<Crossing<Event>>,
    texts: Consumer<RequestText>,
    journal: Journal,
    stamps: Recorder,
    opening: Vec<Event>,
    next_timer: Option<Nanos>,
}

/// The recorders of lanes 1 to 3 with the rest of a fresh journal.
pub struct Lanes {
    pub journal: Journal,
    pub inputs: Recorder,
    pub stages: StageRecorders,
    pub stamps: Recorder,
}

/// A journal in `dir` as a backtest makes it.
pub fn lanes(parts: &Parts, dir: &Path) -> Lanes {
    let (journal, writers) = create_journal(parts, dir, false).unwrap();
    let [inputs, inference, risk, execution, stamps] = writers.map(Recorder::lane);
    let stages = StageRecorders { inference, risk, execution };
    Lanes { journal, inputs, stages, stamps }
}

impl Rig {
    /// All four stages on this thread, writing to `dir`.
    pub fn fused(parts: &Parts, dir: &Path) -> Self {
        let Lanes { journal, inputs, stages, stamps } = lanes(parts, dir);
        let counters = Arc::new(Counters::new());
        let (model, selection) = parts.load_model(Budget::None).unwrap();
        let opening = parts.opening(&model);
        let (producer, orders) = RingBuffer::new(ORDERS);
        let (texts_in, texts) = RingBuffer::new(ORDERS);
        let outlet = Outlet::ring(producer).with_texts(texts_in);
        let mut stages = parts.fused((model, selection), stages, outlet, &counters).unwrap();
        let (supply, intake) = model_rings();
        let signs = Arc::new(ModelSigns::default());
        stages.let_models_in(intake, Arc::clone(&signs));
        let next: Next<InferenceStage> = Next::Here(Box::new(stages));
        let feed =
            FeedStage::new(Feed::new(&parts.instruments), inputs, next, Arc::clone(&counters));
        let deposit = parts.settings.risk.starting_equity.unwrap();
        let paper = PaperVenue::new(&parts.instruments, parts.settings.paper, deposit);
        Self {
            feed,
            counters,
            supply,
            signs,
            paper,
            orders,
            texts,
            journal,
            stamps,
            opening,
            next_timer: None,
        }
    }

    /// One arrival, after the timers and reports that are due before it.
    pub fn take(&mut self, arrival: &Arrival) {
        self.advance(arrival.ts);
        let ts = arrival.ts;
        match &arrival.what {
            What::Frame(frame) => self.call(|feed, with| feed.on_frame(frame, ts, Stamp(0), with)),
            What::Snapshot(id, body) => {
                self.call(|feed, with| feed.on_snapshot(*id, body, ts, with))
            }
        }
    }

    /// Everything that arrives.
    pub fn run(&mut self, arrivals: &[Arrival]) {
        arrivals.iter().for_each(|arrival| self.take(arrival));
    }

    /// The same; `act` is called before each, with their number so far.
    pub fn drive(&mut self, arrivals: &[Arrival], mut act: impl FnMut(&mut Self, usize)) {
        for (taken, arrival) in arrivals.iter().enumerate() {
            act(self, taken);
            self.take(arrival);
        }
    }

    pub fn count(&self, counter: Counter) -> u64 {
        self.counters.get(counter)
    }

    fn advance(&mut self, ts: Nanos) {
        let step = Nanos::from_millis(TIMER_MS as i64);
        if self.next_timer.is_none() {
            for event in std::mem::take(&mut self.opening) {
                self.call(|feed, with| feed.on_event(event, ts, with));
            }
            self.next_timer = Some(ts.floor_to(step) + step);
        }
        let timer = self.next_timer.unwrap_or(Nanos(i64::MAX));
        let due = self.paper.next_due().unwrap_or(Nanos(i64::MAX));
        if due.min(timer) > ts {
            return;
        }
        if due <= timer {
            while let Some(report) = self.paper.poll(due) {
                let at = report.now();
                self.call(|feed, with| feed.on_event(report, at, with));
            }
        } else {
            self.call(|feed, with| feed.on_timer(TIMER_MS, timer, with));
            self.next_timer = Some(timer + step);
        }
        self.advance(ts);
    }

    fn call(
        &mut self,
        call: impl FnOnce(&mut FeedStage, &mut With<'_, NoProbe>) -> Result<(), Halt>,
    ) {
        let paper = &mut self.paper;
        let mut watch = |event: &Event| paper.on_market(event);
        call(&mut self.feed, &mut With { probe: &mut NoProbe, watch: &mut watch }).unwrap();
        while let Ok(Crossing { message, .. }) = self.orders.pop() {
            // Where a request is, its text is: signed, and naming the order.
            let text = self.texts.pop().unwrap();
            let id = message.body::<Order>().id().to_text();
            assert!(text.as_bytes().windows(id.len()).any(|window| window == id));
            match message.kind() {
                Some(Kind::OrderApproved) => self.paper.submit(&message, message.now()),
                Some(Kind::CancelApproved) => self.paper.cancel(&message, message.now()),
                other => panic!("{other:?} left execution"),
            }
        }
    }

    /// Gives an operator's command at the time of the newest input.
    pub fn command(&mut self, verb: u32) {
        let command = peregrine::base::event::Command { verb, ..Default::default() };
        self.call(|feed, with| feed.on_command(&command, Nanos(i64::MIN), with));
    }

    /// Lets a change of model into the river at the time of the newest input.
    pub fn swap(&mut self, swap: &ModelSwap) {
        self.event(Event::new(Kind::ModelSwap, InstrumentId::NONE, swap));
    }

    /// Lets a record into the river at the time of the newest input.
    pub fn event(&mut self, event: Event) {
        self.call(|feed, with| feed.on_event(event, Nanos(i64::MIN), with));
    }

    /// Has the model at its place, and its files beside the journal, as a session does.
    pub fn bring(&mut self, parts: &Parts, files: &ArtifactFiles, slot: usize) {
        attach(&self.journal.attacher(), files).unwrap();
        let model = parts.terms().mount(files, Budget::None).unwrap();
        assert!(self.supply.send(slot, model));
    }

    /// Ends the session in order and seals its journal.
    pub fn finish(mut self) {
        let end = Event::new(Kind::SessionEnd, InstrumentId::NONE, &no_body());
        self.call(|feed, with| feed.on_event(end, Nanos(i64::MIN), with));
        let (_, inputs, next) = self.feed.into_parts();
        let mut gathered = Gathered {
            equity: Money::ZERO,
            killed: false,
            halts: Vec::new(),
            recorders: vec![inputs],
        };
        if let Next::Here(stages) = next {
            gathered.inference(*stages);
        }
        let mut recorders = gathered.recorders;
        recorders.push(self.stamps);
        close_journal(self.journal, recorders).unwrap();
    }
}

/// A body of zeros.
fn no_body() -> peregrine::base::event::Timer {
    peregrine::base::event::Timer::default()
}

/// Every record of a lane, with its checksum left out.
pub fn lane(dir: &Path, lane: usize) -> Vec<Event> {
    LaneReader::open(dir, lane)
        .unwrap()
        .map(|item| {
            let (_, mut event) = item.unwrap();
            event.check = 0;
            event
        })
        .collect()
}

/// The lane files of a journal folder by name, with their bytes.
pub fn lane_files(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<(String, Vec<u8>)> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().extension().is_some_and(|ending| ending == "pgj"))
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            (name, std::fs::read(entry.path()).unwrap())
        })
        .collect();
    files.sort();
    files
}

/// Replays a journal and asserts that nothing differs.
pub fn assert_replays(dir: &Path) {
    let report = peregrine::runtime::replay::verify(dir).unwrap();
    assert_eq!((report.differences, report.first.as_deref()), (0, None));
    assert!(report.inputs > 0, "a replay without inputs proves nothing");
}

/// A model of one feature that answers thirds: three equal logits, `weight` times the feature. With
/// a weight of 1e38 they overflow beyond 3.4, and the answer is no number.
pub fn thirds_of(feature: &str, weight: f32, schema: u64) -> ArtifactFiles {
    softmax_of(feature, [weight; 3], schema)
}

/// A model of one feature: the logits are `weights` times the feature.
pub fn softmax_of(feature: &str, weights: [f32; 3], schema: u64) -> ArtifactFiles {
    let port = |name: &str, len: i64| {
        use onnx::tensor_shape_proto::{Dimension, dimension::Value};
        let dim = |n| Dimension { value: Some(Value::DimValue(n)), ..Default::default() };
        let shape = onnx::TensorShapeProto { dim: vec![dim(1), dim(len)] };
        let tensor = onnx::type_proto::Tensor { elem_type: 1, shape: Some(shape) };
        let value = Some(onnx::type_proto::Value::TensorType(tensor));
        let kind = onnx::TypeProto { value, ..Default::default() };
        onnx::ValueInfoProto { name: name.into(), r#type: Some(kind), ..Default::default() }
    };
    let node = |op: &str, inputs: &[&str], output: &str| onnx::NodeProto {
        op_type: op.into(),
        input: inputs.iter().map(|name| (*name).into()).collect(),
        output: vec![output.into()],
        ..Default::default()
    };
    let tensor = onnx::TensorProto {
        name: "w".into(),
        dims: vec![1, 3],
        data_type: 1,
        float_data: weights.to_vec(),
        ..Default::default()
    };
    let graph = onnx::GraphProto {
        node: vec![node("MatMul", &["x", "w"], "z"), node("Softmax", &["z"], "probabilities")],
        initializer: vec![tensor],
        input: vec![port("x", 1)],
        output: vec![port("probabilities", 3)],
        ..Default::default()
    };
    let model = onnx::ModelProto {
        ir_version: 8,
        opset_import: vec![onnx::OperatorSetIdProto { version: 17, ..Default::default() }],
        graph: Some(graph),
        ..Default::default()
    };
    let bytes = model.encode_to_vec();
    let third = 1.0 / 3.0;
    let card = Card {
        version: "thirds".into(),
        model_sha256: hex(&sha256(&bytes)),
        schema_hash: format!("{schema:016x}"),
        horizon_ms: 1_000,
        bar_interval_ms: Some(250),
        classes: CLASSES.map(String::from).to_vec(),
        features: vec![feature.to_owned()],
        created_from: CreatedFrom {
            data_hash: "00".repeat(32),
            code: "test".into(),
            ..CreatedFrom::default()
        },
        metrics: Default::default(),
        training: None,
        golden: Golden::pack(1, &[0.0], &[], &[third; 3], &[], &[]),
    };
    ArtifactFiles::from_bytes(bytes, card.to_toml().unwrap()).unwrap()
}

/// A model of one feature under a name of its own; where the feature is above zero it leans up as
/// far as `lean`.
pub fn leaning(name: &str, feature: &str, lean: f32) -> ArtifactFiles {
    let files = softmax_of(feature, [-lean, 0.0, lean], peregrine::features::schema_hash());
    let card = Card { version: name.to_owned(), ..files.card };
    ArtifactFiles::from_bytes(files.onnx, card.to_toml().unwrap()).unwrap()
}
