"""What an MLflow server shows, asked by MLflow's own client; or things deleted at it."""

import hashlib
import json
import pathlib
import sys
import tempfile

import mlflow
from mlflow import MlflowClient


def files_of(client, run_id):
    found = {}
    folders = [""]
    with tempfile.TemporaryDirectory() as place:
        while folders:
            for entry in client.list_artifacts(run_id, folders.pop()):
                if entry.is_dir:
                    folders.append(entry.path)
                    continue
                path = client.download_artifacts(run_id, entry.path, place)
                found[entry.path] = hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()
    return found


def runs_of(client):
    shown, key_of = {}, {}
    found = []
    for experiment in client.search_experiments():
        if experiment.name != "Default":
            found += [(experiment, run) for run in client.search_runs([experiment.experiment_id])]
    for _, run in found:
        key_of[run.info.run_id] = run.data.tags["peregrine.key"]
    for experiment, run in found:
        tags = {k: v for k, v in run.data.tags.items() if k.startswith("peregrine.")}
        if "mlflow.parentRunId" in run.data.tags:
            tags["mlflow.parentRunId"] = key_of[run.data.tags["mlflow.parentRunId"]]
        metrics = []
        for name in run.data.metrics:
            for told in client.get_metric_history(run.info.run_id, name):
                metrics.append([name, told.value, told.timestamp, told.step])
        key = tags["peregrine.key"]
        assert key not in shown, f"{key} is there twice"
        shown[key] = {
            "name": run.info.run_name,
            "status": run.info.status,
            "params": run.data.params,
            "tags": tags,
            "metrics": sorted(metrics),
            "files": files_of(client, run.info.run_id),
            "experiment": [experiment.name, experiment.lifecycle_stage == "deleted"],
        }
    return shown, key_of


def models_of(client, key_of):
    shown = {}
    for model in client.search_registered_models():
        versions = client.search_model_versions(f"name='{model.name}'")
        versions = sorted(versions, key=lambda version: int(version.version))
        keys = {str(version.version): version.tags["peregrine.key"] for version in versions}
        assert len(set(keys.values())) == len(keys), "a version is there twice"
        for version in versions:
            assert key_of[version.run_id] == version.tags["peregrine.key"]
            assert version.status == "READY", version
        aliases = {}
        for alias in client.get_registered_model(model.name).aliases:
            version = client.get_model_version_by_alias(model.name, alias)
            aliases[alias] = keys[str(version.version)]
        shown[model.name] = {
            "versions": sorted(
                (version.tags for version in versions), key=lambda tags: tags["peregrine.version"]
            ),
            "aliases": aliases,
            "tags": model.tags,
        }
    return shown


def champion_of(client):
    """SHA-256 of the graph that the alias leads to."""
    version = client.get_model_version_by_alias("peregrine", "champion")
    source = client.get_model_version_download_uri("peregrine", version.version)
    with tempfile.TemporaryDirectory() as place:
        path = mlflow.artifacts.download_artifacts(artifact_uri=source, dst_path=place)
        return hashlib.sha256((pathlib.Path(path) / "model.onnx").read_bytes()).hexdigest()


def main(url, what):
    mlflow.set_tracking_uri(url)
    client = MlflowClient(tracking_uri=url, registry_uri=url)
    if what == "delete":
        for run in client.search_runs([client.get_experiment_by_name("peregrine").experiment_id]):
            if run.data.tags["peregrine.kind"] in ("version", "decision"):
                client.delete_run(run.info.run_id)
        client.delete_registered_model_alias("peregrine", "champion")
        client.delete_experiment(client.get_experiment_by_name("peregrine-tuning").experiment_id)
        print("{}")
        return
    runs, key_of = runs_of(client)
    models = models_of(client, key_of)
    told = {"runs": runs, "models": models, "champion": champion_of(client)}
    print(json.dumps(told))


main(*sys.argv[1:])
