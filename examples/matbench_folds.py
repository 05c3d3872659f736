"""Run Matbench's five-fold protocol with a model that starts from the weights included in skdim.

Downloads a task of Matbench v0.1 once (see skdim.datasets.fetch_matbench), fits the model on the training rows of each
fold, predicts its test rows, and writes the record of Matbench: the file that MatbenchBenchmark.from_file reads. The
record is written after each fold; to resume a killed run, run the same command. Matbench accepts records of all five
folds.

The weights were pre-trained on structures of the Materials Project, without labels. Test crystals may be among them:
mention this when you report the errors.
"""

import argparse
import datetime
import hashlib
import json
import os
import time
from pathlib import Path

import joblib
import numpy as np
from sklearn.compose import TransformedTargetRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    f1_score,
    max_error,
    mean_absolute_error,
    roc_auc_score,
    root_mean_squared_error,
)
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skdim
from skdim import DeepInfoMaxEmbedder, SiteNetFeaturizer, SiteNetRegressor
from skdim.datasets import fetch_matbench

TASKS = (
    "jdft2d",
    "phonons",
    "dielectric",
    "log_gvrh",
    "log_kvrh",
    "perovskites",
    "mp_gap",
    "mp_is_metal",
    "mp_e_form",
)
MODELS = {
    "transfer": "Site-Net whose encoder starts from skdim's shipped Deep InfoMax weights; numbers only",
    "vectors": "small perceptron on the frozen vectors of skdim's shipped Deep InfoMax weights",
}
#: Version of Matbench in the record.
MATBENCH_VERSION = "0.6"


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n\n")[0],
        epilog="Models: " + "; ".join(f"{name}: {what}" for name, what in MODELS.items()) + ".",
    )
    parser.add_argument("--task", choices=TASKS, default="jdft2d", help="task of Matbench (jdft2d)")
    parser.add_argument(
        "--folds", type=int, nargs="+", choices=range(5), default=list(range(5)), help="folds to run (all five)"
    )
    parser.add_argument("--model", choices=MODELS, help="model (transfer; vectors if the target is a class)")
    parser.add_argument("--epochs", type=int, metavar="N", help="epochs (default of the model)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the model (0)")
    parser.add_argument("--jobs", type=int, default=joblib.cpu_count(), metavar="N", help="processes that featurize")
    parser.add_argument(
        "--data-home", type=Path, metavar="FOLDER", help="folder of downloaded data (SKDIM_DATA, or ~/skdim_data)"
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="record to write (matbench_TASK_MODEL.json)")
    return parser.parse_args()


def make_model(name, is_class, epochs, seed):
    """Make an unfitted estimator on featurized crystals."""
    embedder = FrozenEstimator(DeepInfoMaxEmbedder.from_pretrained())
    if name == "transfer":
        settings = {} if epochs is None else {"max_epochs": epochs}
        return SiteNetRegressor(pretrained=embedder, random_state=seed, **settings)
    settings = {"random_state": seed, "early_stopping": True, "max_iter": 200 if epochs is None else epochs}
    if is_class:
        return make_pipeline(embedder, StandardScaler(), MLPClassifier(**settings))
    head = TransformedTargetRegressor(MLPRegressor(**settings), transformer=StandardScaler())
    return make_pipeline(embedder, StandardScaler(), head)


def score(truth, predicted):
    """The scores of Matbench for a fold, of numbers or of classes."""
    if truth.dtype == bool:
        scores = {
            "accuracy": accuracy_score(truth, predicted),
            "balanced_accuracy": balanced_accuracy_score(truth, predicted),
            "f1": f1_score(truth, predicted),
            "rocauc": roc_auc_score(truth, predicted),
        }
    else:
        large = np.abs(truth) > 1e-5  # as in Matbench
        scores = {
            "mae": mean_absolute_error(truth, predicted),
            "rmse": root_mean_squared_error(truth, predicted),
            "mape": np.mean(np.abs((truth[large] - predicted[large]) / truth[large])),
            "max_error": max_error(truth, predicted),
        }
    return {name: float(value) for name, value in scores.items()}


def make_record(task, results, metadata):
    """Make the dict of MatbenchBenchmark.as_dict, with one task."""
    name = f"matbench_{task}"
    record = {
        "@module": "matbench.bench",
        "@class": "MatbenchBenchmark",
        "version": MATBENCH_VERSION,
        "benchmark_name": "matbench_v0.1",
        "datestamp": datetime.datetime.now(datetime.UTC).strftime("%Y.%m.%d %H:%M.%S"),
        "user_metadata": metadata,
        "tasks": {
            name: {
                "@module": "matbench.task",
                "@class": "MatbenchTask",
                "benchmark_name": "matbench_v0.1",
                "dataset_name": name,
                "results": dict(sorted(results.items())),
            }
        },
    }
    # Matbench checks this when it reads the record.
    record["hash"] = hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()
    return record


def read_results(path, task, metadata):
    """Read the folds that an earlier run has finished."""
    if not path.exists():
        return {}
    record = json.loads(path.read_text(encoding="utf-8"))
    tasks = record.get("tasks", {})
    if record.get("user_metadata") != metadata or list(tasks) != [f"matbench_{task}"]:
        raise SystemExit(f"{path} is the record of another run: delete it, or pass another --output")
    return tasks[f"matbench_{task}"]["results"]


def write(path, record):
    """Write the record atomically."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_text(json.dumps(record), encoding="utf-8")
    os.replace(temporary, path)


def main():
    options = parse_arguments()
    is_class = options.task == "mp_is_metal"
    name = options.model or ("vectors" if is_class else "transfer")
    if is_class and name == "transfer":
        raise SystemExit("transfer predicts numbers, and the target of mp_is_metal is a class: use --model vectors")
    path = options.output or Path(f"matbench_{options.task}_{name}.json")
    metadata = {
        "algorithm": MODELS[name],
        "epochs": options.epochs,
        "seed": options.seed,
        "skdim_version": skdim.__version__,
        "pretraining": "structures of the Materials Project without labels, which may include test crystals",
    }
    results = read_results(path, options.task, metadata)

    data = fetch_matbench(options.task, data_home=options.data_home, verbose=1)
    X = SiteNetFeaturizer(n_jobs=options.jobs, verbose=1).fit_transform(data.structures)
    path.parent.mkdir(parents=True, exist_ok=True)
    metric = "rocauc" if is_class else "mae"
    for fold in sorted(set(options.folds)):
        train, test = data.folds[fold]
        start = time.perf_counter()
        if f"fold_{fold}" not in results:
            model = make_model(name, is_class, options.epochs, options.seed).fit(X[train], data.target[train])
            predicted = model.predict(X[test])
            results[f"fold_{fold}"] = {
                "data": dict(zip(data.ids[test].tolist(), predicted.tolist(), strict=True)),
                "parameters": {"seed": options.seed},
                "scores": score(data.target[test], predicted),
            }
            write(path, make_record(options.task, results, metadata))
        value = results[f"fold_{fold}"]["scores"][metric]
        print(f"fold {fold}: {metric} {value:.4f} {data.unit or ''} ({time.perf_counter() - start:.0f} s)", flush=True)

    values = [fold["scores"][metric] for fold in results.values()]
    print(f"mean of {len(values)} of 5 folds: {metric} {np.mean(values):.4f} (standard deviation {np.std(values):.4f})")
    print(f"Wrote {path.resolve()}")
    if len(values) < 5:
        print("Matbench accepts the record when it has all five folds: run the others with the same options.")


if __name__ == "__main__":
    main()
