"""What the real Optuna does with a study of ours; `tools/lab/tests/optuna/run` is how it is called.

    both.py make FILE    a small study of the function `mixed` with one trial asked for by hand
    both.py go-on FILE   opens a study `s` of ours, checks what it reads, adds six trials
    both.py see PORT     asks the dashboard on loopback for the study and its trials
"""
import json
import sys
import urllib.request

import optuna
from reference import mixed

optuna.logging.set_verbosity(optuna.logging.ERROR)


def objective(trial):
    return float(mixed(trial))


def make(file):
    sampler = optuna.samplers.TPESampler(seed=1)
    study = optuna.create_study(study_name="s", storage=f"sqlite:///{file}", sampler=sampler)
    study.set_user_attr("about", "function mixed")
    study.optimize(objective, n_trials=3)
    study.enqueue_trial({"depth": 5, "kind": "b"})


def go_on(file):
    storage = optuna.storages.RDBStorage(f"sqlite:///{file}", heartbeat_interval=60)
    study = optuna.load_study(
        study_name="s", storage=storage, sampler=optuna.samplers.TPESampler(seed=1)
    )
    before = study.get_trials()
    complete = [t for t in before if t.state == optuna.trial.TrialState.COMPLETE]
    assert len(complete) == 24, len(complete)
    assert study.user_attrs["about"] == "function mixed", study.user_attrs
    for trial in complete:
        again = objective(optuna.trial.FixedTrial(trial.params))
        assert abs(again - trial.value) < 1e-9, (trial.params, again, trial.value)
        assert trial.datetime_start <= trial.datetime_complete
    space = optuna.search_space.intersection_search_space(before)
    assert sorted(space) == ["depth", "kind", "rate", "share"], space
    study.optimize(objective, n_trials=6)
    assert len(study.trials) == len(before) + 6
    assert [t.number for t in study.trials] == list(range(len(study.trials)))
    print(f"optuna {optuna.__version__}: 24 trials read, 6 added, best {study.best_value:.5f}")


def see(port):
    def ask(path):
        return json.load(urllib.request.urlopen(f"http://127.0.0.1:{port}{path}"))

    [study] = ask("/api/studies")["study_summaries"]
    trials = ask(f"/api/studies/{study['study_id']}?after=0")["trials"]
    print(f"dashboard: study {study['study_name']} with {len(trials)} trials")
    assert study["study_name"] == "s" and len(trials) >= 36, len(trials)


{"make": make, "go-on": go_on, "see": see}[sys.argv[1]](sys.argv[2])
