"""
Representation or transfer: one GridSearchCV
============================================

A small model on frozen vectors, a network from pre-trained weights, and one from random weights are choices for the
steps of one ``Pipeline``, and random draws of the labels are folds. So the comparison of the paper's figure S1 is one
``GridSearchCV``.
"""

# %%
# Crystals and a pre-trained encoder
# ----------------------------------
# Labels are drawn among crystals that were used in pre-training, without labels; no formula of the test crystals was.
# ``FrozenEstimator`` keeps the encoder fitted when the search clones it.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from skdim import CompositionStatistics, DeepInfoMaxEmbedder, SiteNetFeaturizer, SiteNetRegressor
from skdim.datasets import load_formation_energy
from skdim.model_selection import label_draws
from skdim.plotting import LabelEfficiencyDisplay

data = load_formation_energy()
train, test = np.flatnonzero(data.split == "train")[::15], np.flatnonzero(data.split == "test")[::2]
rows = np.concatenate([train, test])
X = SiteNetFeaturizer().fit_transform([data.structures[row] for row in rows])
y = data.target[rows]
train, test = np.arange(len(train)), np.arange(len(train), len(rows))

pretrained = FrozenEstimator(DeepInfoMaxEmbedder.from_pretrained())
untrained = FrozenEstimator(DeepInfoMaxEmbedder(max_epochs=0, random_state=0).fit(X[train]))

# %%
# Models and folds
# ----------------
# Each dict of the grid is a model. All models have the same folds: a draw of labels for training, and fixed test rows.
# The networks are trained for 12 epochs here, to save time; the default is 50.

pipeline = Pipeline([("features", "passthrough"), ("scale", "passthrough"), ("model", None)])
mlp = MLPRegressor(hidden_layer_sizes=(64,), solver="lbfgs", alpha=10.0, max_iter=5000, tol=3e-3, random_state=0)
sitenet = SiteNetRegressor(max_epochs=12, random_state=0)
arms = {
    "composition": {"features": [CompositionStatistics()], "model": [ExtraTreesRegressor(50, random_state=0)]},
    "representation": {"features": [pretrained], "scale": [StandardScaler()], "model": [mlp]},
    "representation, untrained": {"features": [untrained], "scale": [StandardScaler()], "model": [mlp]},
    "transfer": {"model": [sitenet], "model__pretrained": [pretrained]},
    "supervised": {"model": [sitenet]},
}
draws = label_draws(len(train), train_sizes=[40, 100], n_repeats=3, random_state=0)
search = GridSearchCV(
    pipeline,
    list(arms.values()),
    cv=[(train[draw.rows], test) for draw in draws],
    scoring="neg_mean_absolute_error",
    refit=False,
).fit(X, y)

# %%
# Result
# ------
# Each row of ``cv_results_`` is a model, and each column of scores a draw.

results = pd.DataFrame(
    [
        (arm, draw.n_labels, draw.repeat, -search.cv_results_[f"split{k}_test_score"][i])
        for i, arm in enumerate(arms)
        for k, draw in enumerate(draws)
    ],
    columns=["arm", "n_labels", "repeat", "mae"],
)
display = LabelEfficiencyDisplay.from_results(results, units="eV/atom")

plt.show()

# %%
# Each point is a draw of labels. Pre-training changes both kinds of models: compare the representation with the
# untrained one, and transfer with supervised. The networks gain most from more labels.
#
# How much pre-training helps depends on the model on top, so it can be searched as well: add further ``model`` entries
# to a dict, for example a Gaussian process.

print(results.groupby(["arm", "n_labels"], sort=False)["mae"].median().unstack().round(3).to_string())
