"""Compares the lab's trees with the figures of LightGBM, XGBoost and scikit-learn on bundled data.

Optional and offline; nothing of it ships. Needs scikit-learn (its data sets are BSD-licensed) and a
built lab:

    python3 -m venv VENV && VENV/bin/pip install scikit-learn
    cargo build --release -p peregrine-lab --example published
    VENV/bin/python tools/lab/parity/published.py target/release/examples/published

Rows with index mod 5 = 0 are the test rows; features are f32; 100 rounds, learning rate 0.1, 31
leaves, depth 6 at most. Each line says the figure reached and the one that must be reached: no more
than one row worse than the worst library, log-loss and error within 1.15 and 1.03 of the worst.
"""
import json
import subprocess
import sys

import numpy as np
from sklearn import datasets

# Worst accuracy and log-loss (or RMSE) of the three libraries on the same rows.
LIMITS = {
    "breast_cancer": (0.9386, 0.1785),
    "wine": (0.9722, 0.0731),
    "digits": (0.9583, 0.1551),
    "diabetes": (None, 64.420),
}
ok = True
for name, (accuracy, loss) in LIMITS.items():
    data = getattr(datasets, f"load_{name}")()
    job = {
        "classes": 0 if accuracy is None else int(data.target.max()) + 1,
        "features": data.data.shape[1],
        "values": data.data.astype(np.float32).ravel().tolist(),
        "targets": data.target.astype(float).tolist(),
    }
    run = subprocess.run([sys.argv[1]], input=json.dumps(job), capture_output=True, text=True)
    got = json.loads(run.stdout)
    tests = (len(data.target) + 4) // 5
    if accuracy is None:
        good = got["rmse"] <= 1.03 * loss
        print(f"{name:14} rmse {got['rmse']:.3f} (limit {1.03 * loss:.3f})", "ok" if good else "NO")
    else:
        floor = accuracy - 1 / tests - 1e-4
        good = got["accuracy"] >= floor and got["log_loss"] <= 1.15 * loss
        print(
            f"{name:14} accuracy {got['accuracy']:.4f} (limit {floor:.4f})",
            f"log-loss {got['log_loss']:.4f} (limit {1.15 * loss:.4f})",
            "ok" if good else "NO",
        )
    ok = ok and good
sys.exit(0 if ok else 1)
