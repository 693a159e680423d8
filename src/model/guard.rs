//! Limits on a graph file, checked on its bytes before any library parses it.
//!
//! The walk follows the nesting of the format and never recurses into what it refuses:
//!
//! ```text
//! model ── opset_import                    no functions, no training graphs
//!       ── graph ── node ── attribute      no subgraphs, no sparse tensors
//!                │                └─ tensor
//!                ── initializer (tensor)   no external data, sizes equal to the shape
//!                ── input, output, value_info
//! ```
//! Every repeated message is counted and charged with the memory it will take once decoded, so a
//! small file cannot become a large one.

use super::artifact::ONNX_BYTES_MAX;
use super::error::{Refusal, Rule};
use super::wire::{Fields, Value};

/// Most operators in a graph.
pub const NODES_MAX: u64 = 10_000;
/// Most elements of one tensor.
pub const ELEMENTS_MAX: u64 = 16 << 20;
/// Most dimensions of a tensor.
pub const RANK_MAX: u64 = 8;
/// Most memory the decoded graph may take, bytes.
pub const DECODED_BYTES_MAX: u64 = 256 << 20;
/// Supported versions of the default operator set.
pub const OPSET: std::ops::RangeInclusive<u64> = 9..=21;
/// Supported versions of the `ai.onnx.ml` operator set.
pub const OPSET_ML: std::ops::RangeInclusive<u64> = 1..=4;

/// Operators of the default set that may appear in a file.
pub const OPERATORS: &[&str] = &[
    "Abs",
    "Add",
    "ArgMax",
    "Cast",
    "Clip",
    "Concat",
    "Constant",
    "Div",
    "Dropout",
    "Elu",
    "Exp",
    "Flatten",
    "GRU",
    "Gather",
    "Gemm",
    "Identity",
    "LSTM",
    "LeakyRelu",
    "MatMul",
    "Max",
    "Min",
    "Mul",
    "Neg",
    "Pow",
    "Reciprocal",
    "ReduceMax",
    "ReduceMean",
    "ReduceSum",
    "Relu",
    "Reshape",
    "Sigmoid",
    "Slice",
    "Softmax",
    "Softplus",
    "Split",
    "Sqrt",
    "Squeeze",
    "Sub",
    "Tanh",
    "Transpose",
    "Unsqueeze",
];
/// Operators of `ai.onnx.ml` that may appear in a file.
pub const OPERATORS_ML: &[&str] = &[
    "ArrayFeatureExtractor",
    "LinearClassifier",
    "LinearRegressor",
    "Normalizer",
    "Scaler",
    "TreeEnsembleClassifier",
    "TreeEnsembleRegressor",
];

/// Checks a file's bytes.
///
/// # Errors
/// Names the operator, tensor or field that breaks a limit, with the remedy.
pub fn check(file: &[u8]) -> Result<(), Refusal> {
    if file.len() as u64 > ONNX_BYTES_MAX {
        return Err(size("file", file.len() as u64, ONNX_BYTES_MAX));
    }
    let mut walk = Walk::default();
    walk.model(file)?;
    if walk.graphs != 1 {
        let why = format!("{} graphs, one expected", walk.graphs);
        return Err(Refusal::new(Rule::Wire, "model", why));
    }
    Ok(())
}

#[derive(Default)]
struct Walk {
    decoded: u64,
    nodes: u64,
    graphs: u64,
}

// What one decoded element costs in memory, rounded up.
const MESSAGE_BYTES: u64 = 512;
const STRING_BYTES: u64 = 24;

impl Walk {
    fn charge(&mut self, item: &str, bytes: u64) -> Result<(), Refusal> {
        self.decoded = self.decoded.saturating_add(bytes);
        if self.decoded > DECODED_BYTES_MAX {
            return Err(size(item, self.decoded, DECODED_BYTES_MAX));
        }
        Ok(())
    }

    fn model(&mut self, message: &[u8]) -> Result<(), Refusal> {
        for field in Fields::new(message) {
            let (number, value) = wire("model", field)?;
            match number {
                7 => {
                    self.graphs += 1;
                    let graph = wire("graph", value.bytes())?;
                    self.graph(graph)?;
                }
                8 => self.opset(wire("opset_import", value.bytes())?)?,
                20 => return Err(subgraph("training_info")),
                25 => return Err(subgraph("functions")),
                _ => self.charge("model", MESSAGE_BYTES + byte_len(value))?,
            }
        }
        Ok(())
    }

    fn opset(&mut self, message: &[u8]) -> Result<(), Refusal> {
        self.charge("opset_import", MESSAGE_BYTES)?;
        let (mut domain, mut version) = (String::new(), 0);
        for field in Fields::new(message) {
            match wire("opset_import", field)? {
                (1, value) => domain = text("opset_import", value)?,
                (2, value) => version = wire("opset_import", value.varint())?,
                _ => {}
            }
        }
        let range = match domain.as_str() {
            "" | "ai.onnx" => OPSET,
            "ai.onnx.ml" => OPSET_ML,
            // A set nobody uses is harmless; its operators are refused where they appear.
            _ => return Ok(()),
        };
        if range.contains(&version) {
            return Ok(());
        }
        let name = if domain.is_empty() { "ai.onnx" } else { &domain };
        let why = format!("version {version} is not in {} to {}", range.start(), range.end());
        Err(Refusal::new(Rule::Opset, format!("operator set `{name}`"), why)
            .remedy("export with opset 17 and ai.onnx.ml 3"))
    }

    fn graph(&mut self, message: &[u8]) -> Result<(), Refusal> {
        for field in Fields::new(message) {
            let (number, value) = wire("graph", field)?;
            match number {
                1 => self.node(wire("node", value.bytes())?)?,
                5 => self.tensor("initializer", wire("initializer", value.bytes())?)?,
                11..=13 => self.value_info(wire("value_info", value.bytes())?)?,
                15 => return Err(sparse("sparse_initializer")),
                _ => self.charge("graph", MESSAGE_BYTES + byte_len(value))?,
            }
        }
        Ok(())
    }

    fn node(&mut self, message: &[u8]) -> Result<(), Refusal> {
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            return Err(size("nodes", self.nodes, NODES_MAX).remedy("merge or shrink the model"));
        }
        self.charge("node", MESSAGE_BYTES)?;
        let (mut name, mut operator, mut domain) = Default::default();
        for field in Fields::new(message) {
            match wire("node", field)? {
                (1 | 2, value) => self.charge("node", STRING_BYTES + byte_len(value))?,
                (3, value) => name = text("node", value)?,
                (4, value) => operator = text("node", value)?,
                (7, value) => domain = text("node", value)?,
                _ => {}
            }
        }
        check_operator(&name, &operator, &domain)?;
        let item = describe(&operator, &name);
        for field in Fields::new(message) {
            if let (5, value) = wire("node", field)? {
                self.attribute(&item, wire(&item, value.bytes())?)?;
            }
        }
        Ok(())
    }

    fn attribute(&mut self, item: &str, message: &[u8]) -> Result<(), Refusal> {
        self.charge(item, MESSAGE_BYTES)?;
        for field in Fields::new(message) {
            let (number, value) = wire(item, field)?;
            match number {
                5 | 10 => self.tensor(item, wire(item, value.bytes())?)?,
                6 | 11 => return Err(subgraph(item)),
                22 | 23 => return Err(sparse(item)),
                7 => self.charge(item, wire(item, value.fixed_count(4))?.saturating_mul(8))?,
                8 => self.charge(item, wire(item, value.varint_count())?.saturating_mul(16))?,
                9 => self.charge(item, STRING_BYTES * 2 + byte_len(value))?,
                15 => {
                    let why = "holds a type";
                    return Err(Refusal::new(Rule::DataType, item, why));
                }
                _ => self.charge(item, byte_len(value))?,
            }
        }
        Ok(())
    }

    fn value_info(&mut self, message: &[u8]) -> Result<(), Refusal> {
        self.charge("value_info", MESSAGE_BYTES)?;
        for field in Fields::new(message) {
            let (number, value) = wire("value_info", field)?;
            self.charge("value_info", byte_len(value))?;
            if number == 2 {
                self.type_proto(wire("value_info", value.bytes())?)?;
            }
        }
        Ok(())
    }

    // Only `tensor_type` (field 1) is walked; the decoder skips the other kinds as unknown bytes.
    fn type_proto(&mut self, message: &[u8]) -> Result<(), Refusal> {
        for field in Fields::new(message) {
            let (1, value) = wire("type", field)? else { continue };
            for field in Fields::new(wire("type", value.bytes())?) {
                let (2, value) = wire("type", field)? else { continue };
                let mut rank = 0;
                for field in Fields::new(wire("type", value.bytes())?) {
                    wire("type", field)?;
                    rank += 1;
                    if rank > RANK_MAX {
                        return Err(size("rank of a value", rank, RANK_MAX));
                    }
                    self.charge("type", MESSAGE_BYTES)?;
                }
            }
        }
        Ok(())
    }

    fn tensor(&mut self, owner: &str, message: &[u8]) -> Result<(), Refusal> {
        self.charge(owner, MESSAGE_BYTES)?;
        let facts = TensorFacts::read(owner, message)?;
        self.charge(&facts.item, facts.stored_bytes.saturating_mul(4))?;
        facts.check()
    }
}

/// What the walk learns of one tensor.
struct TensorFacts {
    item: String,
    rank: u64,
    elements: u64,
    data_type: u64,
    raw: Option<u64>,
    typed: u64,
    stored_bytes: u64,
}

impl TensorFacts {
    fn read(owner: &str, message: &[u8]) -> Result<Self, Refusal> {
        let mut facts = Self {
            item: format!("tensor of {owner}"),
            rank: 0,
            elements: 1,
            data_type: 0,
            raw: None,
            typed: 0,
            stored_bytes: message.len() as u64,
        };
        // The name first, so that every refusal can say it.
        for field in Fields::new(message) {
            if let (8, value) = wire(owner, field)? {
                facts.item = format!("tensor `{}`", text(owner, value)?);
            }
        }
        for field in Fields::new(message) {
            let (number, value) = wire(&facts.item, field)?;
            facts.field(number, value)?;
        }
        Ok(facts)
    }

    fn field(&mut self, number: u64, value: Value<'_>) -> Result<(), Refusal> {
        let item = self.item.as_str();
        match number {
            1 => {
                self.rank += wire(item, value.varint_count())?;
                if self.rank > RANK_MAX {
                    return Err(size(&format!("rank of {item}"), self.rank, RANK_MAX));
                }
                for dim in dims(item, value)? {
                    self.elements = self.elements.saturating_mul(dim);
                }
            }
            2 => self.data_type = wire(item, value.varint())?,
            3 => return Err(Refusal::new(Rule::Size, item, "is cut into segments")),
            4 => self.typed += wire(item, value.fixed_count(4))?,
            5 | 7 | 11 => self.typed += wire(item, value.varint_count())?,
            6 => self.typed += 1,
            9 => self.raw = Some(byte_len(value)),
            10 => self.typed += wire(item, value.fixed_count(8))?,
            13 => return Err(external(item)),
            14 if wire(item, value.varint())? != 0 => return Err(external(item)),
            _ => {}
        }
        Ok(())
    }

    fn check(&self) -> Result<(), Refusal> {
        let size_of = match self.data_type {
            1 | 6 => 4,
            7 | 11 => 8,
            9 => 1,
            8 => 0,
            other => {
                let why = format!("has data type {other}");
                return Err(Refusal::new(Rule::DataType, &self.item, why)
                    .remedy("export in float32, with integers as int64 or int32"));
            }
        };
        if self.elements > ELEMENTS_MAX {
            return Err(size(&format!("elements of {}", self.item), self.elements, ELEMENTS_MAX));
        }
        let fits = match self.raw {
            Some(bytes) => size_of > 0 && bytes == self.elements * size_of && self.typed == 0,
            None => self.typed == self.elements,
        };
        if !fits {
            let why = format!("its data does not fill its shape of {} elements", self.elements);
            return Err(Refusal::new(Rule::Wire, &self.item, why));
        }
        Ok(())
    }
}

fn dims(item: &str, value: Value<'_>) -> Result<Vec<u64>, Refusal> {
    let mut dims = Vec::new();
    match value {
        Value::Varint(dim) => dims.push(dim),
        Value::Bytes(packed) => {
            // Read as the values of fields would be: a packed list is varints back to back.
            let mut key_and_value = Vec::with_capacity(11);
            for part in packed.split_inclusive(|b| b & 0x80 == 0) {
                key_and_value.clear();
                key_and_value.push(8);
                key_and_value.extend_from_slice(part);
                for field in Fields::new(&key_and_value) {
                    dims.push(wire(item, wire(item, field)?.1.varint())?);
                }
            }
        }
        Value::Fixed(_) => return Err(malformed(item, "a dimension of fixed size")),
    }
    match dims.iter().find(|&&dim| dim > i64::MAX as u64) {
        Some(_) => Err(Refusal::new(Rule::Shape, item, "has a dimension below zero")),
        None => Ok(dims),
    }
}

fn check_operator(name: &str, operator: &str, domain: &str) -> Result<(), Refusal> {
    let allowed = match domain {
        "" | "ai.onnx" => OPERATORS.contains(&operator),
        "ai.onnx.ml" => OPERATORS_ML.contains(&operator),
        _ => false,
    };
    if allowed {
        return Ok(());
    }
    let item = describe(operator, name);
    let (rule, why, remedy) = match operator {
        "ZipMap" => (
            Rule::Operator,
            "turns probabilities into a list of maps",
            "export with zipmap off (options={'zipmap': False}, or zipmap=False)",
        ),
        "Loop" | "If" | "Scan" => (
            Rule::Subgraph,
            "runs a graph inside the graph",
            "export a feed-forward graph, or one step with state in and out",
        ),
        "Shape" | "ConstantOfShape" | "Expand" | "Range" | "NonZero" | "Where" => (
            Rule::Operator,
            "belongs to computed shapes",
            "export with fixed shapes (no dynamic axes) or simplify the graph",
        ),
        "RNN" => (Rule::Operator, "is not supported", "use a GRU or LSTM step"),
        "TreeEnsemble" => (
            Rule::Operator,
            "is the tree format of ai.onnx.ml 5",
            "export with ai.onnx.ml 3 (TreeEnsembleClassifier or TreeEnsembleRegressor)",
        ),
        "Imputer" => {
            (Rule::Operator, "replaces missing values", "leave it out: features never hold NaN")
        }
        _ if !matches!(domain, "" | "ai.onnx" | "ai.onnx.ml") => {
            (Rule::Operator, "comes from a custom domain", "export with standard operators only")
        }
        _ => (Rule::Operator, "is not on the allow-list", "see docs/MODELS.md for the list"),
    };
    Err(Refusal::new(rule, item, why).remedy(remedy))
}

pub(crate) fn describe(operator: &str, name: &str) -> String {
    match name {
        "" => format!("operator `{operator}`"),
        name => format!("operator `{operator}` (node `{name}`)"),
    }
}

fn wire<T>(item: &str, result: Result<T, &'static str>) -> Result<T, Refusal> {
    result.map_err(|what| malformed(item, what))
}

fn malformed(item: &str, what: &str) -> Refusal {
    Refusal::new(Rule::Wire, item, format!("is not well-formed: {what}"))
}

fn text(item: &str, value: Value<'_>) -> Result<String, Refusal> {
    let bytes = wire(item, value.bytes())?;
    if bytes.len() > 4_096 {
        return Err(size(&format!("name in {item}"), bytes.len() as u64, 4_096));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| malformed(item, "a name is not UTF-8"))?;
    Ok(text.to_owned())
}

fn byte_len(value: Value<'_>) -> u64 {
    match value {
        Value::Varint(_) => 8,
        Value::Fixed(bytes) | Value::Bytes(bytes) => bytes.len() as u64,
    }
}

fn size(item: &str, found: u64, cap: u64) -> Refusal {
    Refusal::new(Rule::Size, item, format!("{found} exceed the cap of {cap}"))
}

fn subgraph(item: &str) -> Refusal {
    Refusal::new(Rule::Subgraph, item, "holds a graph inside the graph")
        .remedy("export a feed-forward graph without functions, loops or branches")
}

fn sparse(item: &str) -> Refusal {
    Refusal::new(Rule::DataType, item, "holds a sparse tensor").remedy("export dense tensors")
}

fn external(item: &str) -> Refusal {
    Refusal::new(Rule::ExternalData, item, "keeps its data in another file")
        .remedy("save the model as one file (save_as_external_data=False)")
}
