"""
The paper's comparison as one grid search
=========================================

Representation, transfer and training from scratch are steps of one ``Pipeline``, and random draws of the labels are
folds. So the whole comparison of the paper's figure S1 is one ``GridSearchCV``.
"""

# %%
# Crystals
# --------
# A modest subset keeps the run short. ``SKDIM_EXAMPLE_SIZE=small`` makes it shorter still, to see that it runs.

import os

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

small = os.environ.get("SKDIM_EXAMPLE_SIZE") == "small"
every, train_sizes, n_repeats, epochs, sitenet_epochs = (25, (10, 20), 2, 1, 1) if small else (4, (50, 100), 4, 10, 50)

data = load_formation_energy()
X = SiteNetFeaturizer().fit_transform(data.structures[::every])
y = data.target[::every]
is_test = data.split[::every] == "test"
train, test = np.flatnonzero(~is_test), np.flatnonzero(is_test)

# %%
# Pre-training
# ------------
# On all training structures and no label. ``FrozenEstimator`` keeps the fitted encoder whole when the search clones it.

pretrained = FrozenEstimator(DeepInfoMaxEmbedder(max_epochs=epochs, random_state=0).fit(X[train]))
untrained = FrozenEstimator(DeepInfoMaxEmbedder(max_epochs=0, random_state=0).fit(X[train]))

# %%
# Arms and folds
# --------------
# Each dict of the grid is an arm. Every arm meets the same folds: a draw of labels to fit on, and the fixed test rows.

pipeline = Pipeline([("features", "passthrough"), ("scale", "passthrough"), ("model", None)])
mlp = MLPRegressor(hidden_layer_sizes=(64,), solver="lbfgs", alpha=10.0, max_iter=5000, tol=3e-3, random_state=0)
sitenet = SiteNetRegressor(max_epochs=sitenet_epochs, random_state=0)
arms = {
    "composition": {"features": [CompositionStatistics()], "model": [ExtraTreesRegressor(random_state=0)]},
    "representation": {"features": [pretrained], "scale": [StandardScaler()], "model": [mlp]},
    "representation, untrained": {"features": [untrained], "scale": [StandardScaler()], "model": [mlp]},
    "transfer": {"model": [sitenet], "model__pretrained": [pretrained]},
    "supervised": {"model": [sitenet]},
}
draws = label_draws(len(train), train_sizes=train_sizes, n_repeats=n_repeats, random_state=0)
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
# A row of ``cv_results_`` is an arm, a column of scores a draw.

results = pd.DataFrame(
    [
        (arm, draw.n_labels, draw.repeat, -search.cv_results_[f"split{k}_test_score"][i])
        for i, arm in enumerate(arms)
        for k, draw in enumerate(draws)
    ],
    columns=["arm", "n_labels", "repeat", "mae"],
)
display = LabelEfficiencyDisplay.from_results(results, units="eV/atom")

# %%
# The head decides how much of the pre-training shows, so it is worth searching as well: add further ``model`` entries
# to the dict of an arm, for example a Gaussian process.

plt.show()
