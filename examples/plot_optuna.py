"""
Tuning with optuna
==================

optuna searches a continuous space: it proposes settings of a small model on the frozen vectors, and cross-validation
scores them. The vectors are computed once, so a trial takes milliseconds. (``pip install optuna``.)
"""

# %%
# Labels to tune on, and crystals to test on
# ------------------------------------------
# 150 labels; the test crystals are used once, at the end.

import matplotlib.pyplot as plt
import numpy as np
import optuna
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
from sklearn.metrics import mean_absolute_error
from sklearn.model_selection import GroupKFold, GroupShuffleSplit, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdim import DeepInfoMaxEmbedder, SiteNetFeaturizer, StructureStatistics
from skdim.datasets import load_formation_energy
from skdim.model_selection import formula_groups

data = load_formation_energy()
test = np.flatnonzero(data.split == "test")
X = SiteNetFeaturizer().fit_transform([data.structures[row] for row in test])
y, groups = data.target[test], formula_groups(X)
labelled, unseen = next(GroupShuffleSplit(1, train_size=150, random_state=0).split(X, groups=groups))

embedder = DeepInfoMaxEmbedder.from_pretrained()
blocks = {kind: embedder.set_params(representation=kind).transform(X) for kind in ("global", "local", "both")}
statistics = StructureStatistics().fit_transform(X)

# %%
# The objective
# -------------
# The kind of vectors, with or without statistics of the structure, and length, smoothness and noise of the kernel.


def features(settings):
    parts = [blocks[settings["vectors"]], *([statistics] if settings["statistics"] else [])]
    return np.hstack(parts)


def model(settings, n_columns):
    kernel = ConstantKernel(5.0) * Matern(settings["length"] * np.sqrt(n_columns), nu=settings["nu"])
    kernel += WhiteKernel(settings["noise"])
    return make_pipeline(StandardScaler(), GaussianProcessRegressor(kernel, optimizer=None, normalize_y=True))


def objective(trial):
    trial.suggest_categorical("vectors", list(blocks))
    trial.suggest_categorical("statistics", [False, True])
    trial.suggest_float("length", 0.3, 10, log=True)
    trial.suggest_categorical("nu", [0.5, 1.5, 2.5])
    trial.suggest_float("noise", 1e-3, 1, log=True)
    columns = features(trial.params)[labelled]
    scores = cross_val_score(
        model(trial.params, columns.shape[1]),
        columns,
        y[labelled],
        groups=groups[labelled],
        cv=GroupKFold(5),
        scoring="neg_mean_absolute_error",
    )
    return -scores.mean()


optuna.logging.set_verbosity(optuna.logging.WARNING)
study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0))
# A sensible start:
study.enqueue_trial({"vectors": "both", "statistics": False, "length": 2.0, "nu": 1.5, "noise": 0.1})
study.optimize(objective, n_trials=40)
print(study.best_params)

# %%
# Result
# ------

errors = [trial.value for trial in study.trials]
fig, ax = plt.subplots(figsize=(6, 3.4), layout="constrained")
ax.plot(errors, ".", color="0.6", label="trial")
ax.plot(np.minimum.accumulate(errors), color="#D55E00", drawstyle="steps-post", label="best so far")
ax.set(xlabel="Trial", ylabel="Cross-validated error (eV/atom)", ylim=(0.9 * min(errors), 2.2 * min(errors)))
ax.legend()
plt.show()

for name, trial in {"start": study.trials[0], "tuned": study.best_trial}.items():
    columns = features(trial.params)
    fitted = model(trial.params, columns.shape[1]).fit(columns[labelled], y[labelled])
    error = mean_absolute_error(y[unseen], fitted.predict(columns[unseen]))
    print(f"{name}: {trial.value:.3f} in cross-validation, {error:.3f} eV/atom on {len(unseen)} unseen crystals")

# %%
# The cross-validated error of the best of many trials is too optimistic; the error on unseen crystals is not. With so
# few labels, most of the apparent gain of tuning is chance, so keep the search space small.
