//! What is searched: named parameters and the values each may take.
//!
//! A value is one `f64` wherever it is sampled or stored, as in Optuna's tables: a float is itself,
//! an integer is a whole number, a choice is its place in the list.

use super::TuneError;
use serde_json::{Value, json};

/// The values one parameter may take.
#[derive(Clone, Debug, PartialEq)]
pub enum Distribution {
    /// A real number from `low` to `high`, both included.
    Float {
        /// Least value.
        low: f64,
        /// Largest value.
        high: f64,
        /// Even over the logarithm; `low` is above 0 and there is no step.
        log: bool,
        /// Distance between two values that may be taken; none is every value.
        step: Option<f64>,
    },
    /// A whole number from `low` to `high`, both included.
    Int {
        /// Least value.
        low: i64,
        /// Largest value.
        high: i64,
        /// Even over the logarithm; `low` is at least 1 and `step` is 1.
        log: bool,
        /// Distance between two values that may be taken, at least 1.
        step: i64,
    },
    /// One of a list without an order.
    Categorical {
        /// Text, numbers, booleans or null; at least one.
        choices: Vec<Value>,
    },
}

/// A named parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// Its name, at most 512 bytes.
    pub name: String,
    /// What it may be.
    pub distribution: Distribution,
}

/// The parameters of a search, in the order points list them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Space {
    parameters: Vec<Parameter>,
}

/// One point of a space.
#[derive(Clone, Debug, PartialEq)]
pub struct Point<'a> {
    /// What the values mean.
    pub space: &'a Space,
    /// A value a parameter, in the space's order.
    pub values: Vec<f64>,
}

impl Space {
    /// Of parameters with different names.
    ///
    /// # Errors
    /// The first parameter whose range is empty, not finite or not what its kind allows.
    pub fn new(parameters: Vec<Parameter>) -> Result<Self, TuneError> {
        if parameters.is_empty() {
            return Err(TuneError::Space("the space has no parameter".to_owned()));
        }
        for (at, parameter) in parameters.iter().enumerate() {
            let name = &parameter.name;
            if name.is_empty() || name.len() > 512 {
                return Err(TuneError::Space(format!("'{name}' is no name of a parameter")));
            }
            if parameters[..at].iter().any(|other| other.name == *name) {
                return Err(TuneError::Space(format!("{name} is there twice")));
            }
            parameter
                .distribution
                .check()
                .map_err(|why| TuneError::Space(format!("{name}: {why}")))?;
        }
        Ok(Self { parameters })
    }

    /// The parameters.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// How many there are, at least 1.
    pub fn len(&self) -> usize {
        self.parameters.len()
    }

    /// Never: a space has a parameter.
    pub fn is_empty(&self) -> bool {
        self.parameters.is_empty()
    }
}

impl Point<'_> {
    fn at(&self, name: &str) -> Option<(&Distribution, f64)> {
        let at = self.space.parameters.iter().position(|parameter| parameter.name == name)?;
        Some((&self.space.parameters[at].distribution, *self.values.get(at)?))
    }

    /// A number by name; `None` where there is no such parameter or it is a choice.
    pub fn number(&self, name: &str) -> Option<f64> {
        let (distribution, value) = self.at(name)?;
        (!matches!(distribution, Distribution::Categorical { .. })).then_some(value)
    }

    /// What was chosen of a list by name.
    pub fn choice(&self, name: &str) -> Option<&Value> {
        match self.at(name)? {
            (Distribution::Categorical { choices }, value) => choices.get(value as usize),
            _ => None,
        }
    }

    /// Every parameter by name as a person reads it.
    pub fn to_json(&self) -> Value {
        let parameters = self.space.parameters.iter().zip(&self.values);
        let outside = |(p, &v): (&Parameter, &f64)| (p.name.clone(), p.distribution.outside(v));
        Value::Object(parameters.map(outside).collect())
    }
}

impl Distribution {
    fn check(&self) -> Result<(), &'static str> {
        let holds = match self {
            Self::Float { low, high, log, step } => {
                if !low.is_finite() || !high.is_finite() || low > high {
                    return Err("low is at most high, and both are finite");
                }
                !log || (*low > 0.0 && step.is_none())
            }
            Self::Int { low, high, log, step } => {
                let exact = |bound: &i64| bound.unsigned_abs() < 1 << 53;
                if low > high || !exact(low) || !exact(high) {
                    return Err("low is at most high, and both are below 2^53");
                }
                *step >= 1 && (!log || (*low >= 1 && *step == 1))
            }
            Self::Categorical { choices } => {
                let plain = |value: &Value| !value.is_array() && !value.is_object();
                if choices.is_empty() || !choices.iter().all(plain) {
                    return Err("choices are at least one text, number, boolean or null");
                }
                true
            }
        };
        if !holds {
            return Err("log needs a low above 0 and goes without a step");
        }
        match self {
            Self::Float { step: Some(step), .. } if !(*step > 0.0 && step.is_finite()) => {
                Err("a step is above 0")
            }
            _ => Ok(()),
        }
    }

    /// Whether a stored value may be taken; steps are forgiven their rounding.
    pub fn contains(&self, value: f64) -> bool {
        let on_step = |low: f64, step: f64| {
            let steps = (value - low) / step;
            (steps - libm::round(steps)).abs() < 1e-8
        };
        match self {
            Self::Float { low, high, step, .. } => {
                value >= *low && value <= *high && step.is_none_or(|step| on_step(*low, step))
            }
            Self::Int { low, high, step, .. } => {
                let (low, high) = (*low as f64, *high as f64);
                value >= low && value <= high && on_step(low, *step as f64)
            }
            Self::Categorical { choices } => {
                value >= 0.0 && value < choices.len() as f64 && libm::floor(value) == value
            }
        }
    }

    /// Whether both may stand under one name in a study: the kind is the same, and the choices.
    pub fn fits(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Float { log: a, .. }, Self::Float { log: b, .. })
            | (Self::Int { log: a, .. }, Self::Int { log: b, .. }) => a == b,
            (Self::Categorical { choices: a }, Self::Categorical { choices: b }) => a == b,
            _ => false,
        }
    }

    /// A stored value as a person reads it.
    pub fn outside(&self, value: f64) -> Value {
        match self {
            Self::Float { .. } => json!(value),
            Self::Int { .. } => json!(value as i64),
            Self::Categorical { choices } => {
                choices.get(value as usize).cloned().unwrap_or(Value::Null)
            }
        }
    }

    /// A value as a person writes it as it is stored; `None` where it may not be taken.
    pub fn inside(&self, value: &Value) -> Option<f64> {
        let inside = match self {
            Self::Categorical { choices } => {
                choices.iter().position(|choice| choice == value)? as f64
            }
            _ => value.as_f64()?,
        };
        self.contains(inside).then_some(inside)
    }

    /// As Optuna's column `distribution_json` has it, to the byte.
    pub fn to_json(&self) -> String {
        match self {
            Self::Float { low, high, log, step } => {
                let step = step.map_or("null".to_owned(), python_float);
                let (low, high) = (python_float(*low), python_float(*high));
                format!(
                    "{{\"name\": \"FloatDistribution\", \"attributes\": {{\"step\": {step}, \
                     \"low\": {low}, \"high\": {high}, \"log\": {log}}}}}"
                )
            }
            Self::Int { low, high, log, step } => format!(
                "{{\"name\": \"IntDistribution\", \"attributes\": {{\"log\": {log}, \
                 \"step\": {step}, \"low\": {low}, \"high\": {high}}}}}"
            ),
            Self::Categorical { choices } => {
                let choices: Vec<String> = choices.iter().map(python_json).collect();
                format!(
                    "{{\"name\": \"CategoricalDistribution\", \"attributes\": \
                     {{\"choices\": [{}]}}}}",
                    choices.join(", ")
                )
            }
        }
    }

    /// Reads the column `distribution_json`. `None` for kinds that are no longer written.
    pub fn from_json(text: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(text).ok()?;
        let attributes = value.get("attributes")?;
        let number = |key: &str| attributes.get(key).and_then(Value::as_f64);
        let whole = |key: &str| attributes.get(key).and_then(Value::as_i64);
        let log = attributes.get("log").and_then(Value::as_bool).unwrap_or(false);
        match value.get("name")?.as_str()? {
            "FloatDistribution" => Some(Self::Float {
                low: number("low")?,
                high: number("high")?,
                log,
                step: number("step"),
            }),
            "IntDistribution" => Some(Self::Int {
                low: whole("low")?,
                high: whole("high")?,
                log,
                step: whole("step").unwrap_or(1),
            }),
            "CategoricalDistribution" => {
                Some(Self::Categorical { choices: attributes.get("choices")?.as_array()?.clone() })
            }
            _ => None,
        }
    }
}

/// A float as Python prints it: the shortest digits, an exponent below 1e-4 and from 1e16.
fn python_float(value: f64) -> String {
    if value == 0.0 {
        return if value.is_sign_negative() { "-0.0" } else { "0.0" }.to_owned();
    }
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').expect("`e` prints an exponent");
    let exponent: i32 = exponent.parse().expect("`e` prints a whole exponent");
    if (-4..16).contains(&exponent) {
        return format!("{value:?}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

/// A plain JSON value as Python's `json.dumps` writes it: what is beyond ASCII is escaped.
pub(super) fn python_json(value: &Value) -> String {
    match value {
        Value::Number(number) if number.is_f64() => {
            python_float(number.as_f64().unwrap_or_default())
        }
        Value::String(_) => {
            let mut out = String::new();
            for c in value.to_string().chars() {
                if c.is_ascii() && c != '\x7f' {
                    out.push(c);
                    continue;
                }
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
            out
        }
        other => other.to_string(),
    }
}
