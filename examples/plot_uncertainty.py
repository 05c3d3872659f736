"""
Prediction intervals with MAPIE
===============================

MAPIE computes prediction intervals of any scikit-learn regressor that contain the true value with a given frequency,
whatever the model; here for a ridge regression on the vectors. (``pip install mapie``.)
"""

# %%
# Vectors and three sets of rows
# ------------------------------
# Some rows for training, some to measure the errors of the model (to conformalise), and the rest for the test. Each
# formula is in one set only.

import matplotlib.pyplot as plt
import numpy as np
from mapie.regression import SplitConformalRegressor
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import GroupShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdim import DeepInfoMaxEmbedder, SiteNetFeaturizer
from skdim.datasets import load_formation_energy
from skdim.model_selection import formula_groups

data = load_formation_energy()
test = np.flatnonzero(data.split == "test")
X = SiteNetFeaturizer().fit_transform([data.structures[row] for row in test])
y, groups = data.target[test], formula_groups(X)
vectors = DeepInfoMaxEmbedder.from_pretrained().transform(X).astype(float)

use, check = next(GroupShuffleSplit(1, train_size=0.5, random_state=0).split(vectors, groups=groups))
fit, conform = next(GroupShuffleSplit(1, train_size=0.5, random_state=0).split(use, groups=groups[use]))
fit, conform = use[fit], use[conform]
print(f"{len(fit)} labels to train on, {len(conform)} to conformalise, {len(check)} crystals to test")

# %%
# Intervals of 80, 90 and 95 %
# ----------------------------

levels = [0.8, 0.9, 0.95]
model = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-1, 5, 13))).fit(vectors[fit], y[fit])
mapie = SplitConformalRegressor(model, confidence_level=levels, prefit=True).conformalize(vectors[conform], y[conform])
predicted, intervals = mapie.predict_interval(vectors[check])

for k, level in enumerate(levels):
    low, high = intervals[:, 0, k], intervals[:, 1, k]
    inside = np.mean((low <= y[check]) & (y[check] <= high))
    width = np.mean(high - low) / 2
    print(f"requested {level:.0%}: {inside:.0%} of the true values inside, half width {width:.2f} eV/atom")

# %%
# The observed frequencies are close to the requested ones, on crystals of other formulas.

order = check[np.argsort(predicted)][::6]
rank = np.argsort(predicted)[::6]
fig, ax = plt.subplots(figsize=(8, 3.6), layout="constrained")
position = np.arange(len(rank))
low, high = intervals[rank, 0, 1], intervals[rank, 1, 1]
missed = (y[order] < low) | (y[order] > high)
ax.vlines(position, low, high, color="#0072B2", alpha=0.3, linewidth=3, label="interval of 90 %")
ax.plot(position[~missed], y[order][~missed], ".", color="0.2", label="true value inside")
ax.plot(position[missed], y[order][missed], "x", color="#D55E00", label="outside")
ax.set(xlabel="Crystals, by prediction", ylabel="Formation energy (eV/atom)")
ax.legend()
plt.show()

# %%
# These intervals have the same width for all crystals. MAPIE can also scale them by a model of the residuals
# (``conformity_score="residual_normalized"``), and a Gaussian process predicts a standard deviation.
