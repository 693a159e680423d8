"""What the real Optuna does with a study on a server; `tools/lab/tests/farm/main.rs` calls it.

    theirs.py make URL      a study `s` in tables of Optuna's own making
    theirs.py read URL      every trial, as Optuna reads it
    theirs.py see URL       the study as optuna-dashboard shows it
    theirs.py leave URL     takes a trial of the function `mixed`, notes this and that, and is gone
    theirs.py rescue URL    puts trials back whose workers are gone
    theirs.py hang URL      is within a trial of `mixed` until it is killed
    theirs.py work URL N    works on N trials of `mixed`
"""
import contextlib
import json
import pathlib
import socket
import subprocess
import sys
import threading
import time
import urllib.request
import warnings

import optuna

warnings.simplefilter("ignore")
sys.path.append(str(pathlib.Path(__file__).parent.parent / "optuna"))
from reference import mixed

optuna.logging.set_verbosity(optuna.logging.ERROR)
verb, url = sys.argv[1], sys.argv[2]


def opened():
    storage = optuna.storages.RDBStorage(
        url,
        heartbeat_interval=1,
        grace_period=8,
        heartbeat_stale_trial_callback=optuna.storages.RetryHeartbeatStaleTrialCallback(max_retry=3),
    )
    sampler = optuna.samplers.TPESampler(seed=1)
    return optuna.load_study(study_name="s", storage=storage, sampler=sampler)


def make():
    study = optuna.create_study(study_name="s", storage=url)
    study.set_user_attr("about", "function mixed")


def read():
    def told(trial):
        again = None
        if trial.values and set(trial.params) == {"rate", "depth", "share", "kind"}:
            again = float(mixed(optuna.trial.FixedTrial(trial.params)))
        return {
            "number": trial.number,
            "state": trial.state.name,
            "params": trial.params,
            "value": trial.value if trial.values else None,
            "again": again,
            "notes": trial.system_attrs,
            "people": trial.user_attrs,
            "distributions": {k: str(v) for k, v in trial.distributions.items()},
            "steps": len(trial.intermediate_values),
        }

    print(json.dumps([told(trial) for trial in opened().get_trials()]))


def see():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(pathlib.Path(sys.executable).parent / "optuna-dashboard")]
    command += ["--host", "127.0.0.1", "--port", str(port), url]
    server = subprocess.Popen(command, stderr=subprocess.DEVNULL)

    def ask(path):
        return json.load(urllib.request.urlopen(base + path))

    base = f"http://127.0.0.1:{port}"
    try:
        # It says that it listens before it does.
        while server.poll() is None:
            with contextlib.suppress(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port)).close()
                break
            time.sleep(0.05)
        [study] = ask("/api/studies")["study_summaries"]
        shown = ask(f"/api/studies/{study['study_id']}?after=0")
        with urllib.request.urlopen(base + "/dashboard") as page:
            is_page = page.status == 200 and b"<html" in page.read().lower()
    finally:
        server.kill()
        server.wait()
    states = [trial["state"] for trial in shown["trials"]]
    best = [trial["number"] for trial in shown["best_trials"]]
    print(json.dumps({"name": study["study_name"], "states": states, "best": best, "page": is_page}))


def leave():
    study = opened()
    trial = study.ask()
    mixed(trial)
    trial.set_user_attr("who", ["somebody", 1.5])
    study._storage.set_trial_system_attr(trial._trial_id, "noted", {"by": "a plug-in"})
    trial.report(3.5, 1)
    study._storage.record_heartbeat(trial._trial_id)


def hang():
    def objective(trial):
        mixed(trial)
        print("hanging")
        threading.Event().wait()

    opened().optimize(objective, n_trials=1)


def work():
    opened().optimize(lambda trial: float(mixed(trial)), n_trials=int(sys.argv[3]))


def rescue():
    optuna.storages.fail_stale_trials(opened())


verbs = {"make": make, "read": read, "see": see, "leave": leave, "hang": hang}
{**verbs, "work": work, "rescue": rescue}[verb]()
