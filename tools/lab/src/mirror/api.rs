//! The calls of an MLflow server that are used, with names for what they take and give.
//!
//! Calls that make something are not repeated here: whoever makes looks first whether it is there,
//! because an answer that was lost does not say that nothing was done.

use super::client::{Client, Trouble};
use super::item::{DIGEST_TAG, KEY_TAG, Run};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Most entities of one call: 1 000 are allowed, 100 of parameters and of tags.
const BATCH_METRICS: usize = 500;
const BATCH_PAIRS: usize = 90;
/// The server's own tag of the run that another one lies below.
pub const PARENT_TAG: &str = "mlflow.parentRunId";
/// Runs or versions on a page.
const PAGE: u64 = 1_000;
/// Most pages that are read.
const PAGES_MAX: usize = 1_000;

/// A run at the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The server's name of it.
    pub id: String,
    /// Its key, from its tag.
    pub key: String,
    /// What was sent last, where it was sent whole.
    pub digest: Option<String>,
    /// Where its files go.
    pub artifacts: String,
    /// The server's name of the run that it lies below.
    pub parent: Option<String>,
}

/// A version at the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenVersion {
    /// The server's number of it.
    pub number: u64,
    /// The run it is from.
    pub run: String,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

/// A registered model at the server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeenModel {
    /// Aliases with the numbers of versions.
    pub aliases: BTreeMap<String, u64>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Numbers of versions come as texts.
fn number(value: &Value) -> u64 {
    value.as_u64().or_else(|| value.as_str()?.parse().ok()).unwrap_or_default()
}

fn tags(value: &Value) -> BTreeMap<String, String> {
    let pairs = value.as_array().into_iter().flatten();
    pairs.map(|pair| (text(&pair["key"]), text(&pair["value"]))).collect()
}

fn pairs(map: &BTreeMap<String, String>) -> Vec<Value> {
    map.iter().map(|(key, value)| json!({"key": key, "value": value})).collect()
}

fn seen(run: &Value) -> Seen {
    let tags = tags(&run["data"]["tags"]);
    Seen {
        id: text(&run["info"]["run_id"]),
        key: tags.get(KEY_TAG).cloned().unwrap_or_default(),
        digest: tags.get(DIGEST_TAG).cloned(),
        artifacts: text(&run["info"]["artifact_uri"]),
        parent: tags.get(PARENT_TAG).cloned(),
    }
}

fn lacking(what: &str, answer: &Value) -> Trouble {
    Trouble::Failed { what: format!("{what}: an answer that does not tell it: {answer}") }
}

/// What is there of a name, made where it is not.
fn got_or_made(
    client: &Client,
    (get, query): (&str, (&str, &str)),
    (create, body): (&str, &Value),
) -> Result<Value, Trouble> {
    let ask = || client.get(get, &[query]);
    match ask() {
        Err(trouble) if trouble.is_missing() => match client.post(create, body) {
            Err(trouble) if !trouble.is_there() => Err(trouble),
            _ => ask(),
        },
        told => told,
    }
}

/// What `read` finds in the list `name` of every page; `ask` takes the token of a page, empty for
/// the first.
fn pages<T>(
    name: &str,
    ask: impl Fn(&str) -> Result<Value, Trouble>,
    read: impl Fn(&Value) -> T,
) -> Result<Vec<T>, Trouble> {
    let (mut found, mut page) = (Vec::new(), String::new());
    for _ in 0..PAGES_MAX {
        let told = ask(&page)?;
        found.extend(told[name].as_array().into_iter().flatten().map(&read));
        page = text(&told["next_page_token"]);
        if page.is_empty() {
            break;
        }
    }
    Ok(found)
}

/// The experiment of a name, made or brought back where it is not there.
///
/// # Errors
/// [`Trouble`].
pub fn experiment(client: &Client, name: &str) -> Result<String, Trouble> {
    let get = ("experiments/get-by-name", ("experiment_name", name));
    let told = got_or_made(client, get, ("experiments/create", &json!({"name": name})))?;
    let experiment = &told["experiment"];
    let id = text(&experiment["experiment_id"]);
    if id.is_empty() {
        return Err(lacking("experiments/get-by-name", &told));
    }
    if experiment["lifecycle_stage"] == "deleted" {
        client.post("experiments/restore", &json!({"experiment_id": id}))?;
    }
    Ok(id)
}

/// Every run of ours in an experiment that is not deleted.
///
/// # Errors
/// [`Trouble`].
pub fn runs(client: &Client, experiment: &str) -> Result<Vec<Seen>, Trouble> {
    let ask = |page: &str| {
        let mut ask = json!({
            "experiment_ids": [experiment],
            "run_view_type": "ACTIVE_ONLY",
            "max_results": PAGE,
        });
        if !page.is_empty() {
            ask["page_token"] = page.into();
        }
        client.post("runs/search", &ask)
    };
    let mut found = pages("runs", ask, seen)?;
    found.retain(|run| !run.key.is_empty());
    Ok(found)
}

/// Makes a run; it has its key from the first moment on.
///
/// # Errors
/// [`Trouble`].
pub fn create_run(client: &Client, experiment: &str, run: &Run) -> Result<Seen, Trouble> {
    let body = json!({
        "experiment_id": experiment,
        "run_name": run.name,
        "start_time": run.at_ms.0,
        "tags": [{"key": KEY_TAG, "value": run.key}],
    });
    let told = client.post("runs/create", &body)?;
    let made = seen(&told["run"]);
    if made.id.is_empty() { Err(lacking("runs/create", &told)) } else { Ok(made) }
}

/// Tells parameters, tags and figures of a run, in as many calls as it takes.
///
/// # Errors
/// [`Trouble`].
pub fn log(client: &Client, id: &str, run: &Run) -> Result<(), Trouble> {
    let (params, tags) = (pairs(&run.params), pairs(&run.tags));
    let metrics: Vec<Value> = run
        .metrics
        .iter()
        .map(|metric| {
            json!({"key": metric.key, "value": metric.value, "timestamp": metric.at_ms,
                "step": metric.step})
        })
        .collect();
    let batches = [("params", params, BATCH_PAIRS), ("tags", tags, BATCH_PAIRS)];
    for (name, all, most) in batches.into_iter().chain([("metrics", metrics, BATCH_METRICS)]) {
        for part in all.chunks(most) {
            client.post("runs/log-batch", &json!({"run_id": id, name: part}))?;
        }
    }
    Ok(())
}

/// Ends a run, and behind that tells what was sent: from here on it is whole.
///
/// # Errors
/// [`Trouble`].
pub fn finish(client: &Client, id: &str, run: &Run, digest: &str) -> Result<(), Trouble> {
    let status = if run.failed { "FAILED" } else { "FINISHED" };
    let end = json!({"run_id": id, "status": status, "end_time": run.at_ms.1});
    client.post("runs/update", &end)?;
    tag_run(client, id, (DIGEST_TAG, digest))
}

/// Tells a tag of a run.
///
/// # Errors
/// [`Trouble`].
pub fn tag_run(client: &Client, id: &str, (key, value): (&str, &str)) -> Result<(), Trouble> {
    let tag = json!({"run_id": id, "key": key, "value": value});
    client.post("runs/set-tag", &tag).map(|_| ())
}

/// Deletes a run, which the server keeps for who wants it back.
///
/// # Errors
/// [`Trouble`].
pub fn delete_run(client: &Client, id: &str) -> Result<(), Trouble> {
    client.post("runs/delete", &json!({"run_id": id})).map(|_| ())
}

/// The registered model of a name, made where it is not there.
///
/// # Errors
/// [`Trouble`].
pub fn model(client: &Client, name: &str) -> Result<SeenModel, Trouble> {
    let description = "Shown here from a registry of Peregrine, which alone decides.";
    let body = json!({"name": name, "description": description});
    let get = ("registered-models/get", ("name", name));
    let told = got_or_made(client, get, ("registered-models/create", &body))?;
    let model = &told["registered_model"];
    let aliases = model["aliases"].as_array().into_iter().flatten();
    let aliases = aliases.map(|alias| (text(&alias["alias"]), number(&alias["version"]))).collect();
    Ok(SeenModel { aliases, tags: tags(&model["tags"]) })
}

/// Every version of a model, by number.
///
/// # Errors
/// [`Trouble`].
pub fn versions(client: &Client, name: &str) -> Result<Vec<SeenVersion>, Trouble> {
    let (filter, most) = (format!("name='{name}'"), PAGE.to_string());
    let ask = |page: &str| {
        let mut query = vec![("filter", filter.as_str()), ("max_results", most.as_str())];
        if !page.is_empty() {
            query.push(("page_token", page));
        }
        client.get("model-versions/search", &query)
    };
    let read = |version: &Value| SeenVersion {
        number: number(&version["version"]),
        run: text(&version["run_id"]),
        tags: tags(&version["tags"]),
    };
    let mut found = pages("model_versions", ask, read)?;
    found.sort_by_key(|version| version.number);
    Ok(found)
}

/// Makes a version of a model from a run; its number.
///
/// # Errors
/// [`Trouble`].
pub fn create_version(
    client: &Client,
    name: &str,
    run: &Seen,
    tags: &BTreeMap<String, String>,
) -> Result<u64, Trouble> {
    let source = format!("{}/model", run.artifacts.trim_end_matches('/'));
    let body = json!({"name": name, "source": source, "run_id": run.id, "tags": pairs(tags)});
    let told = client.post("model-versions/create", &body)?;
    match number(&told["model_version"]["version"]) {
        0 => Err(lacking("model-versions/create", &told)),
        number => Ok(number),
    }
}

/// Deletes a version of a model.
///
/// # Errors
/// [`Trouble`].
pub fn delete_version(client: &Client, name: &str, number: u64) -> Result<(), Trouble> {
    let body = json!({"name": name, "version": number.to_string()});
    client.delete("model-versions/delete", &body).map(|_| ())
}

/// Tells a tag of a version.
///
/// # Errors
/// [`Trouble`].
pub fn tag_version(
    client: &Client,
    name: &str,
    number: u64,
    (key, value): (&str, &str),
) -> Result<(), Trouble> {
    let body = json!({"name": name, "version": number.to_string(), "key": key, "value": value});
    client.post("model-versions/set-tag", &body).map(|_| ())
}

/// Tells a tag of a model.
///
/// # Errors
/// [`Trouble`].
pub fn tag_model(client: &Client, name: &str, (key, value): (&str, &str)) -> Result<(), Trouble> {
    let body = json!({"name": name, "key": key, "value": value});
    client.post("registered-models/set-tag", &body).map(|_| ())
}

/// Moves an alias to a version.
///
/// # Errors
/// [`Trouble`].
pub fn set_alias(client: &Client, name: &str, alias: &str, number: u64) -> Result<(), Trouble> {
    let body = json!({"name": name, "alias": alias, "version": number.to_string()});
    client.post("registered-models/alias", &body).map(|_| ())
}

/// Takes an alias away.
///
/// # Errors
/// [`Trouble`].
pub fn delete_alias(client: &Client, name: &str, alias: &str) -> Result<(), Trouble> {
    client.delete("registered-models/alias", &json!({"name": name, "alias": alias})).map(|_| ())
}
