"""Records what LightGBM, XGBoost and scikit-learn make of small public data sets: `reference.json`
and the data beside it, which `tools/lab/tests/parity.rs` reads.

    python3 -m venv VENV && VENV/bin/pip install lightgbm scikit-learn xgboost-cpu
    VENV/bin/python tools/lab/parity/reference.py

The data are those that come with scikit-learn: wine and breast cancer of the UCI repository
(CC BY 4.0), iris (Fisher, 1936), diabetes (Efron and others, 2004). Features are rounded to f32.
Rows with index mod 5 = 0 are the test rows. One thread, deterministic, no row or column sampling.
"""
import json
import pathlib

import lightgbm as lgb
import numpy as np
import sklearn
import xgboost
from sklearn import datasets
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, mean_pinball_loss, roc_auc_score

HERE = pathlib.Path(__file__).parent
COMMON = dict(
    learning_rate=0.1, num_leaves=31, max_depth=6, lambda_l2=1.0, min_data_in_leaf=20,
    min_sum_hessian_in_leaf=1e-3, max_bin=255, min_data_in_bin=1, num_threads=1,
    deterministic=True, force_row_wise=True, feature_pre_filter=False, verbosity=-1, seed=7,
)


def load(name):
    data = getattr(datasets, f"load_{name}")()
    values = data.data.astype(np.float32)
    lines = [",".join([*(str(x) for x in row), str(float(y))])
             for row, y in zip(values, data.target)]
    (HERE / f"{name}.csv").write_text("\n".join(lines) + "\n")
    test = np.arange(len(values)) % 5 == 0
    return values.astype(np.float64), data.target.astype(float), test


def grown(params, x, y, rounds):
    data = lgb.Dataset(x, label=y, params={**COMMON, **params})
    return lgb.train({**COMMON, **params}, data, num_boost_round=rounds)


def classes(name):
    x, y, test = load(name)
    count = int(y.max()) + 1
    params = {"objective": "multiclass", "num_class": count}
    said = grown(params, x[~test], y[~test], 100).predict(x[test])
    other = HistGradientBoostingClassifier(
        learning_rate=0.1, max_iter=100, max_leaf_nodes=31, max_depth=6, l2_regularization=1.0,
        min_samples_leaf=20, early_stopping=False,
    ).fit(x[~test], y[~test]).predict_proba(x[test])
    third = xgboost.XGBClassifier(
        n_estimators=100, learning_rate=0.1, max_depth=6, reg_lambda=1.0, tree_method="hist",
        n_jobs=1, random_state=7,
    ).fit(x[~test], y[~test].astype(int)).predict_proba(x[test])

    def figures(said):
        hit = np.mean(said.argmax(axis=1) == y[test])
        areas = [roc_auc_score(y[test] == k, said[:, k]) for k in range(count)]
        return {"accuracy": hit, "log_loss": log_loss(y[test], said), "auc": np.mean(areas)}

    return {
        "lightgbm": figures(said),
        "histgradientboosting": figures(other),
        "xgboost": figures(third),
    }


def same_trees(name, yes):
    """Two classes. A tree a class with twice the second derivative and twice the penalty is
    LightGBM's one tree: the scores are the same, row by row. The least of a leaf is told as a sum
    of second derivatives, for LightGBM only estimates how many rows a leaf has."""
    x, y, test = load(name)
    y = (y == yes).astype(float)
    least = {"min_sum_hessian_in_leaf": 1.0, "min_data_in_leaf": 1}
    model = grown({"objective": "binary", "num_leaves": 4, **least}, x[~test], y[~test], 20)
    scores = model.predict(x[~test], raw_score=True).tolist()
    return {"yes": yes, "rounds": 20, "leaves": 4, "scores": scores}


def squared(name):
    x, y, test = load(name)
    said = grown({"objective": "regression"}, x[~test], y[~test], 60).predict(x[test])
    return {"rounds": 60, "rmse": float(np.sqrt(np.mean((said - y[test]) ** 2)))}


def quantiles(name):
    x, y, test = load(name)
    found = {}
    for level in (0.1, 0.5, 0.9):
        params = {"objective": "quantile", "alpha": level, "lambda_l2": 0.0, "max_depth": 3}
        said = grown(params, x[~test], y[~test], 60).predict(x[test])
        found[str(level)] = {
            "pinball": mean_pinball_loss(y[test], said, alpha=level),
            "coverage": float(np.mean(y[test] <= said)),
        }
    return {"rounds": 60, "depth": 3, "levels": found}


def weights(name, pull):
    """Multinomial logistic regression with the intercept drawn to 0 like every other weight."""
    x, y, _ = load(name)
    x = np.hstack([x, np.ones((len(x), 1))])
    model = LogisticRegression(C=1 / (pull * len(x)), fit_intercept=False, tol=1e-12,
                               max_iter=100_000, solver="newton-cg").fit(x, y)
    return {"pull": pull, "weights": model.coef_.ravel().tolist()}


reference = {
    "versions": {"lightgbm": lgb.__version__, "scikit-learn": sklearn.__version__,
                 "xgboost": xgboost.__version__},
    "classes": {name: classes(name) for name in ("wine", "breast_cancer", "iris")},
    "same_trees": {"wine": same_trees("wine", 1), "iris": same_trees("iris", 1)},
    "squared": {"diabetes": squared("diabetes")},
    "quantiles": {"diabetes": quantiles("diabetes")},
    "weights": {"iris": weights("iris", 0.01)},
}
(HERE / "reference.json").write_text(json.dumps(reference, indent=1) + "\n")
