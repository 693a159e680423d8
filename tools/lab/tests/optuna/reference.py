"""Prints what Optuna's own TPE reaches on the functions of `tools/lab/src/tune/functions.rs`.

    python3 -m venv VENV && VENV/bin/pip install optuna==5.0.0
    VENV/bin/python tools/lab/tests/optuna/reference.py > tools/lab/tests/optuna/reference.txt

One line a case: function, trials, then the medians over 20 seeds of the regret (best value found
minus the optimum) of `TPESampler(seed)` with nothing else set, and of `RandomSampler(seed)`.
"""
import statistics
import sys

import numpy as np
import optuna

optuna.logging.set_verbosity(optuna.logging.ERROR)
SEEDS = 20
A = np.array(
    [[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]]
)
P = 1e-4 * np.array(
    [
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ]
)


def point(trial, low, high, count):
    return np.array([trial.suggest_float(f"x{i}", low, high) for i in range(count)])


def sphere(trial):
    return float((point(trial, -5, 5, 5) ** 2).sum())


def rosenbrock(trial):
    x = point(trial, -5, 10, 2)
    return float(100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2)


def branin(trial):
    x, y = trial.suggest_float("x0", -5, 10), trial.suggest_float("x1", 0, 15)
    bend = y - 5.1 / (4 * np.pi**2) * x * x + 5 / np.pi * x - 6
    return float(bend**2 + 10 * (1 - 1 / (8 * np.pi)) * np.cos(x) + 10)


def hartmann6(trial):
    x = point(trial, 0, 1, 6)
    return float(-(np.array([1, 1.2, 3, 3.2]) * np.exp(-(A * (x - P) ** 2).sum(axis=1))).sum())


def ackley(trial):
    x = point(trial, -32.768, 32.768, 5)
    hill = -20 * np.exp(-0.2 * np.sqrt((x**2).mean()))
    return float(hill - np.exp(np.cos(2 * np.pi * x).mean()) + 20 + np.e)


def mixed(trial):
    rate = trial.suggest_float("rate", 1e-4, 1, log=True)
    depth = trial.suggest_int("depth", 1, 12)
    share = trial.suggest_float("share", 0.1, 1.0, step=0.05)
    kind = trial.suggest_categorical("kind", ["a", "b", "c"])
    apart = {"a": 0.5, "b": 0.0, "c": 1.0}[kind]
    return (np.log10(rate) + 1.5) ** 2 + ((depth - 5) / 4) ** 2 + 4 * (share - 0.7) ** 2 + apart


CASES = [
    (sphere, 100, 0.0),
    (rosenbrock, 100, 0.0),
    (branin, 50, 0.39788735772973816),
    (branin, 200, 0.39788735772973816),
    (hartmann6, 200, -3.322368011391339),
    (ackley, 100, 0.0),
    (mixed, 60, 0.0),
]


def regret(sampler, function, trials, optimum):
    study = optuna.create_study(sampler=sampler)
    study.optimize(function, n_trials=trials)
    return study.best_value - optimum


if __name__ == "__main__":
    print(f"# optuna {optuna.__version__}, {SEEDS} seeds: function trials tpe random")
    for function, trials, optimum in CASES:
        medians = []
        for sampler in (optuna.samplers.TPESampler, optuna.samplers.RandomSampler):
            found = [regret(sampler(seed=s), function, trials, optimum) for s in range(SEEDS)]
            medians.append(statistics.median(found))
        print(function.__name__, trials, *(f"{m:.6g}" for m in medians))
        sys.stdout.flush()
