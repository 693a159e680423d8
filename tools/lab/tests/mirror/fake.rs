//! What an MLflow server remembers, as far as it is asked for: the same answers, refusals and
//! limits as the real one, which `real.rs` is about.

use super::door::{Answer, Door, Request, Server};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// A run.
#[derive(Clone, Debug, Default)]
pub struct FakeRun {
    pub experiment: String,
    pub name: String,
    pub status: String,
    pub deleted: bool,
    pub params: BTreeMap<String, String>,
    pub tags: BTreeMap<String, String>,
    /// Name, value as text, time, step: a figure that is told twice is one.
    pub metrics: Vec<(String, String, u64, u64)>,
}

/// A version of a registered model.
#[derive(Clone, Debug)]
pub struct FakeVersion {
    pub number: u64,
    pub run: String,
    pub source: String,
    pub tags: BTreeMap<String, String>,
}

/// A registered model.
#[derive(Clone, Debug, Default)]
pub struct FakeModel {
    pub last: u64,
    pub versions: Vec<FakeVersion>,
    pub aliases: BTreeMap<String, u64>,
    pub tags: BTreeMap<String, String>,
}

/// Everything.
#[derive(Clone, Debug, Default)]
pub struct Fake {
    /// Names of experiments with whether they are deleted; their ids are their places.
    pub experiments: Vec<(String, bool)>,
    pub runs: BTreeMap<String, FakeRun>,
    pub models: BTreeMap<String, FakeModel>,
    pub files: BTreeMap<String, Vec<u8>>,
    made: u64,
}

type Told = Result<Value, (u16, &'static str, String)>;

fn missing(what: &str) -> (u16, &'static str, String) {
    (404, "RESOURCE_DOES_NOT_EXIST", what.to_owned())
}

fn invalid(what: &str) -> (u16, &'static str, String) {
    (400, "INVALID_PARAMETER_VALUE", what.to_owned())
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

fn pairs(value: &Value) -> Vec<(String, String)> {
    let pairs = value.as_array().into_iter().flatten();
    pairs.map(|pair| (text(&pair["key"]), text(&pair["value"]))).collect()
}

fn listed(map: &BTreeMap<String, String>) -> Vec<Value> {
    map.iter().map(|(key, value)| json!({"key": key, "value": value})).collect()
}

fn decoded(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), text.bytes());
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => {
                let two = [rest.next().expect("a digit"), rest.next().expect("a digit")];
                let digits = std::str::from_utf8(&two).expect("digits");
                bytes.push(u8::from_str_radix(digits, 16).expect("digits"));
            }
            b'+' => bytes.push(b' '),
            other => bytes.push(other),
        }
    }
    String::from_utf8(bytes).expect("text")
}

/// A server that the test can look into.
pub fn server() -> (Arc<Mutex<Fake>>, Server) {
    let fake = Arc::new(Mutex::new(Fake::default()));
    let inner = fake.clone();
    (fake, Box::new(move |request| Some(inner.lock().expect("no panic").answer(request))))
}

/// The same behind a door.
pub fn open() -> (Arc<Mutex<Fake>>, Door) {
    let (fake, server) = server();
    (fake, Door::open(server))
}

impl Fake {
    fn answer(&mut self, request: &Request) -> Answer {
        let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
        if let Some(place) = path.strip_prefix("/api/2.0/mlflow-artifacts/artifacts/") {
            assert_eq!(request.method, "PUT");
            self.files.insert(decoded(place), request.body.clone());
            return Answer { status: 200, body: b"{}".to_vec() };
        }
        let call = path.strip_prefix("/api/2.0/mlflow/").expect("a call");
        let body = if request.method == "GET" {
            let parts = query.split('&').filter_map(|part| part.split_once('='));
            let parts = parts.map(|(key, value)| (decoded(key), decoded(value).into()));
            Value::Object(parts.collect::<Map<_, _>>())
        } else {
            assert!(request.body.len() < 1_000_000, "calls of less than 1 MB");
            serde_json::from_slice(&request.body).expect("JSON")
        };
        let (status, told) = match self.call(&format!("{} {call}", request.method), &body) {
            Ok(value) => (200, value),
            Err((status, code, what)) => (status, json!({"error_code": code, "message": what})),
        };
        Answer { status, body: told.to_string().into_bytes() }
    }

    fn call(&mut self, call: &str, body: &Value) -> Told {
        match call.split_once(' ').expect("two words").1.split_once('/').expect("a group") {
            ("experiments", _) => self.experiments(call, body),
            ("runs", _) => self.runs(call, body),
            ("registered-models", _) => self.models(call, body),
            ("model-versions", _) => self.versions(call, body),
            _ => panic!("{call}"),
        }
    }

    fn experiments(&mut self, call: &str, body: &Value) -> Told {
        let place = |name: &str| self.experiments.iter().position(|(own, _)| own == name);
        match call {
            "GET experiments/get-by-name" => {
                let place = place(&text(&body["experiment_name"])).ok_or(missing("experiment"))?;
                let stage = if self.experiments[place].1 { "deleted" } else { "active" };
                let id = place.to_string();
                Ok(json!({"experiment": {"experiment_id": id, "lifecycle_stage": stage}}))
            }
            "POST experiments/create" => {
                let name = text(&body["name"]);
                if place(&name).is_some() {
                    return Err((400, "RESOURCE_ALREADY_EXISTS", name));
                }
                self.experiments.push((name, false));
                Ok(json!({"experiment_id": (self.experiments.len() - 1).to_string()}))
            }
            "POST experiments/restore" => {
                let id: usize = text(&body["experiment_id"]).parse().expect("a number");
                self.experiments[id].1 = false;
                Ok(json!({}))
            }
            _ => panic!("{call}"),
        }
    }

    fn run(&mut self, body: &Value) -> Result<&mut FakeRun, (u16, &'static str, String)> {
        self.runs.get_mut(&text(&body["run_id"])).filter(|run| !run.deleted).ok_or(missing("run"))
    }

    fn shown(&self, id: &str) -> Value {
        let run = &self.runs[id];
        let place = format!("mlflow-artifacts:/{}/{id}/artifacts", run.experiment);
        json!({"info": {"run_id": id, "artifact_uri": place, "status": run.status},
            "data": {"tags": listed(&run.tags)}})
    }

    fn runs(&mut self, call: &str, body: &Value) -> Told {
        match call {
            "POST runs/search" => {
                assert_eq!(body["run_view_type"], "ACTIVE_ONLY");
                let wanted = text(&body["experiment_ids"][0]);
                let of = |run: &FakeRun| run.experiment == wanted && !run.deleted;
                let ids: Vec<&String> =
                    self.runs.iter().filter(|(_, run)| of(run)).map(|(id, _)| id).collect();
                // Pages of two, so that pages are turned.
                let from = body["page_token"].as_str().map_or(0, |at| at.parse().expect("a page"));
                let shown: Vec<Value> =
                    ids.iter().skip(from).take(2).map(|id| self.shown(id)).collect();
                let mut told = json!({"runs": shown});
                if from + 2 < ids.len() {
                    told["next_page_token"] = (from + 2).to_string().into();
                }
                Ok(told)
            }
            "POST runs/create" => {
                let experiment = text(&body["experiment_id"]);
                let place: usize = experiment.parse().expect("a number");
                assert!(!self.experiments[place].1, "the experiment is deleted");
                self.made += 1;
                // Names that do not rise with time, as the real ones.
                let id = format!("{:x}", self.made.wrapping_mul(0x9e37_79b9_7f4a_7c15));
                let run = FakeRun {
                    experiment,
                    name: text(&body["run_name"]),
                    status: "RUNNING".to_owned(),
                    tags: pairs(&body["tags"]).into_iter().collect(),
                    ..FakeRun::default()
                };
                self.runs.insert(id.clone(), run);
                Ok(json!({"run": self.shown(&id)}))
            }
            "POST runs/log-batch" => self.log(body),
            "POST runs/set-tag" => {
                let (key, value) = (text(&body["key"]), text(&body["value"]));
                self.run(body)?.tags.insert(key, value);
                Ok(json!({}))
            }
            "POST runs/update" => {
                let status = text(&body["status"]);
                self.run(body)?.status = status;
                Ok(json!({}))
            }
            "POST runs/delete" => {
                self.run(body)?.deleted = true;
                Ok(json!({}))
            }
            _ => panic!("{call}"),
        }
    }

    fn log(&mut self, body: &Value) -> Told {
        let (params, tags) = (pairs(&body["params"]), pairs(&body["tags"]));
        let metrics = body["metrics"].as_array().map_or(&[][..], Vec::as_slice);
        if params.len() > 100 || tags.len() > 100 || metrics.len() > 1_000 {
            return Err(invalid("too many"));
        }
        if tags.iter().chain(&params).any(|(_, value)| value.chars().count() > 5_000) {
            return Err(invalid("too long"));
        }
        let run = self.run(body)?;
        for (key, value) in params {
            if run.params.get(&key).is_some_and(|was| *was != value) {
                return Err(invalid("a parameter does not change"));
            }
            run.params.insert(key, value);
        }
        run.tags.extend(tags);
        for metric in metrics {
            let number = |name: &str| metric[name].as_u64().expect("a number");
            let (time, step) = (number("timestamp"), number("step"));
            let told = (text(&metric["key"]), metric["value"].to_string(), time, step);
            if !run.metrics.contains(&told) {
                run.metrics.push(told);
            }
        }
        Ok(json!({}))
    }

    fn model(&mut self, name: &Value) -> Result<&mut FakeModel, (u16, &'static str, String)> {
        self.models.get_mut(&text(name)).ok_or(missing("model"))
    }

    fn models(&mut self, call: &str, body: &Value) -> Told {
        let name = &body["name"];
        match call {
            "GET registered-models/get" => {
                let model = self.model(name)?;
                let mut aliases = Vec::new();
                for (alias, number) in &model.aliases {
                    aliases.push(json!({"alias": alias, "version": number.to_string()}));
                }
                let tags = listed(&model.tags);
                Ok(json!({"registered_model": {"name": name, "aliases": aliases, "tags": tags}}))
            }
            "POST registered-models/create" => {
                if self.models.contains_key(&text(name)) {
                    return Err((400, "RESOURCE_ALREADY_EXISTS", text(name)));
                }
                self.models.insert(text(name), FakeModel::default());
                Ok(json!({}))
            }
            "POST registered-models/set-tag" => {
                let (key, value) = (text(&body["key"]), text(&body["value"]));
                self.model(name)?.tags.insert(key, value);
                Ok(json!({}))
            }
            "POST registered-models/alias" => {
                let number: u64 = text(&body["version"]).parse().expect("a number");
                let alias = text(&body["alias"]);
                let model = self.model(name)?;
                if model.versions.iter().all(|version| version.number != number) {
                    return Err(missing("version"));
                }
                model.aliases.insert(alias, number);
                Ok(json!({}))
            }
            "DELETE registered-models/alias" => {
                let alias = text(&body["alias"]);
                self.model(name)?.aliases.remove(&alias);
                Ok(json!({}))
            }
            _ => panic!("{call}"),
        }
    }

    fn versions(&mut self, call: &str, body: &Value) -> Told {
        match call {
            "GET model-versions/search" => {
                let filter = text(&body["filter"]);
                let name = filter.strip_prefix("name='").and_then(|name| name.strip_suffix('\''));
                let model = self.models.get(name.expect("a filter by name")).cloned();
                let versions = model.unwrap_or_default().versions.into_iter().map(|version| {
                    json!({"version": version.number.to_string(), "run_id": version.run,
                        "tags": listed(&version.tags)})
                });
                Ok(json!({"model_versions": versions.collect::<Vec<_>>()}))
            }
            "POST model-versions/create" => {
                let (run, source) = (text(&body["run_id"]), text(&body["source"]));
                if self.runs.get(&run).is_none_or(|run| run.deleted) {
                    return Err(missing("run"));
                }
                let tags = pairs(&body["tags"]).into_iter().collect();
                let model = self.model(&body["name"])?;
                model.last += 1;
                let number = model.last;
                model.versions.push(FakeVersion { number, run, source, tags });
                Ok(json!({"model_version": {"version": number.to_string()}}))
            }
            _ => {
                let number: u64 = text(&body["version"]).parse().expect("a number");
                let model = self.model(&body["name"])?;
                let place = model.versions.iter().position(|version| version.number == number);
                let place = place.ok_or(missing("version"))?;
                match call {
                    "POST model-versions/set-tag" => {
                        let (key, value) = (text(&body["key"]), text(&body["value"]));
                        model.versions[place].tags.insert(key, value);
                    }
                    "DELETE model-versions/delete" => {
                        model.versions.remove(place);
                        model.aliases.retain(|_, of| *of != number);
                    }
                    _ => panic!("{call}"),
                }
                Ok(json!({}))
            }
        }
    }
}
